import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import Calibration, Tail, benjamini_hochberg
from ecg.exceptions import InputError
from tests.conftest import calibrating

p_values = st.lists(st.integers(1, 50).map(lambda k: k / 50), max_size=40).map(np.array)


def made(method: str, errors: TrainingErrors) -> Calibration:
    return thresholds.calibrate(errors, calibrating(method=method), "0" * 64, np.linspace(0, 3, 20))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_each_member_compares_a_beat_with_the_errors_that_it_did_not_see(seed: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.integers(0, 9, 8 * folds).astype(np.float32)  # few values, so that ties are the rule
    errors[:2] = 0, 1
    fold = np.arange(len(errors)) % folds
    calibration = thresholds.calibrate(TrainingErrors(fold, errors, errors), calibrating(alpha=0.9), "")
    member_score = rng.integers(0, 10, (5, folds)).astype(np.float32)
    expected = [
        (1 + sum(int(error >= own[k]) for error, k in zip(errors, fold, strict=True))) / (len(errors) + 1)
        for own in member_score
    ]
    p = calibration.p(member_score.mean(axis=1), member_score)
    np.testing.assert_allclose(p, expected)
    np.testing.assert_array_equal(calibration.anomalous(member_score.mean(axis=1), p), p <= 0.9)


@given(p_values, st.floats(0.01, 0.99))
def test_screening_is_benjamini_and_hochbergs(p: np.ndarray, level: float) -> None:
    if len(p) == 0:
        assert benjamini_hochberg(p, level).shape == (0,)
        return
    adjusted = stats.false_discovery_control(p, method="bh")
    clear = np.abs(adjusted - level) > 1e-9
    np.testing.assert_array_equal(benjamini_hochberg(p, level)[clear], (adjusted <= level)[clear])


def test_screening_keeps_false_discoveries_at_the_level_on_average() -> None:
    rng, level, shares, found = np.random.default_rng(0), 0.2, [], []
    anomalous = np.arange(200) < 40
    for _ in range(400):
        calibration = np.sort(rng.normal(size=300))
        scores = rng.normal(size=200) + 3.5 * anomalous
        p = (1 + len(calibration) - np.searchsorted(calibration, scores)) / 301
        called = benjamini_hochberg(p, level)
        shares.append((called & ~anomalous).sum() / max(called.sum(), 1))
        found.append(called[anomalous].mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= level + 2 * error
    assert np.mean(shares) >= 0.8 * level * 0.8 - 2 * error  # what the procedure leaves of it with 4 of 5 normal
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("method", [*thresholds.METHODS, *thresholds.LABELLED])
def test_a_calibration_survives_saving(tmp_path: Path, errors: TrainingErrors, method: str) -> None:
    calibration = made(method, errors)
    calibration.save(tmp_path / "calibration.json")
    back = Calibration.load(tmp_path / "calibration.json")
    assert (back.method, back.alpha, back.fdr) == (calibration.method, calibration.alpha, calibration.fdr)
    np.testing.assert_array_equal(
        np.concatenate(back.held_out).astype(np.float32), np.concatenate(calibration.held_out).astype(np.float32)
    )
    score = np.linspace(0, 4, 200, dtype=np.float32)
    member_score = np.tile(score[:, None], len(back.held_out))
    p = calibration.p(score, member_score)
    np.testing.assert_allclose(back.p(score, member_score), p, rtol=1e-6)
    np.testing.assert_array_equal(back.anomalous(score, p), calibration.anomalous(score, p))


values = st.none() | st.booleans() | st.floats() | st.text(max_size=5)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            values, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3)
        ).map(lambda x: json.dumps(x).encode()),
        st.dictionaries(st.sampled_from([*Calibration.model_fields, "more"]), values).map(
            lambda x: json.dumps(x).encode()
        ),
    )
)
def test_any_other_content_is_no_calibration(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("models") / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"calibration\.json"):
        Calibration.load(path)


@pytest.mark.parametrize(
    ("change", "output"),
    [
        ({"threshold": float("nan")}, "NaN is not a JSON number"),
        ({"threshold": "high"}, "threshold is 'high'"),
        ({"threshold": None}, "threshold is None"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"alpha": 0.1, "held_out": []}, "held_out should not be empty where there is an alpha"),
        ({"held_out": [[]]}, "held_out.0 is []"),
        ({"held_out": [[float("inf")]]}, "Infinity is not a JSON number"),
        ({"p_values": [0.9] + [0.5] * 292}, "p_values should not decrease"),
        ({"method": "\x1b[0m"}, "method is"),
        ({"p_values": [0.5]}, "p_values should have 293 entries"),
        ({"tail": {"level": 1.0, "excess": [1.0, 2.0], "p": [0.1]}}, "p should decrease"),
        ({"tail": {"level": 1.0, "excess": [2.0, 1.0], "p": [0.1, 0.05]}}, "p should decrease"),
        ({"tail": {"level": 1.0, "excess": [1.0, 2.0], "p": [0.1, 0.1]}}, "p should decrease"),
        ({"tail": {"level": 1.0, "excess": [1.0, 2.0], "p": [0.1, 0.0]}}, "tail.p.1 is 0.0"),
        ({"tail": {"level": 1e39, "excess": [1.0, 2.0], "p": [0.1, 0.05]}}, "tail.level is 1e+39"),
        ({"more": 1}, "more is not a known parameter"),
    ],
)
def test_a_calibration_that_does_not_fit_together_is_refused(
    tmp_path: Path, errors: TrainingErrors, change: dict, output: str
) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(made("conformal", errors).model_dump() | change))
    with pytest.raises(InputError, match=r"calibration\.json") as refused:
        Calibration.load(path)
    assert output.lower() in str(refused.value).lower()


@pytest.mark.parametrize("name", Calibration.model_fields)
def test_a_calibration_without_one_of_its_fields_is_refused(tmp_path: Path, errors: TrainingErrors, name: str) -> None:
    record = made("conformal", errors).model_dump()
    del record[name]
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"{name} is missing"):
        Calibration.load(path)


def test_between_its_points_a_tail_falls_as_a_power_of_the_excess() -> None:
    tail = Tail(level=1.0, excess=[1.0, 100.0], p=[0.1, 0.001])
    np.testing.assert_allclose(tail.p_values(np.array([1.5, 2.0, 11.0, 101.0, 1e9])), [0.1, 0.1, 0.01, 0.001, 0.001])
    assert tail.score(0.01) == pytest.approx(11.0)
