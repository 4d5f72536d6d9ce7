"""The calibration of the model of normal hearts, its files, and the model that ships."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.detector.model import Model
from ecg.exceptions import InputError
from ecg.files import LARGEST_JSON, sha256
from ecg.hearts.context import Heart, beats_in_context, follow
from ecg.hearts.model import CALIBRATION, MODEL, MOST, SHIPPED, Calibration, HeartModel, Patient, score_of
from tests.conftest import ROOT

ALPHAS = st.floats(0.005, 0.6)


@st.composite
def of_patients(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the normal beats of some patients, each with a level of his own, and the patient of each."""
    sizes = draw(st.lists(st.integers(1, 60), min_size=2, max_size=14))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    patient = np.repeat(np.arange(len(sizes)), sizes)
    level = random.normal(0, draw(st.sampled_from([0.1, 1.5])), len(sizes))
    return np.exp(level[patient] + random.normal(0, 1, len(patient))), patient


def calibrated(scores: np.ndarray, patient: np.ndarray, alpha: float = 0.05) -> Calibration:
    patients = int(patient.max()) + 1
    names = [f"db/{i}" for i in range(patients)]
    return Calibration.of(scores, patient, names, np.arange(patients) % 2, 2, "0" * 64, alpha)


@given(of_patients())
def test_a_patients_share_is_that_of_his_beats_that_score_as_high(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, patient = drawn
    calibration = calibrated(scores, patient)
    for i, known in enumerate(calibration.patients):
        own = scores[patient == i]
        assert (known.name, known.beats) == (f"db/{i}", len(own))
        np.testing.assert_allclose(known.shares, (own >= np.array(calibration.scores)[:, None]).mean(axis=1))


@given(of_patients(), st.lists(st.floats(0, 60), min_size=2, max_size=30))
def test_a_p_value_is_a_share_and_falls_with_the_score(
    drawn: tuple[np.ndarray, np.ndarray], scores: list[float]
) -> None:
    p = calibrated(*drawn).p(np.sort(scores))
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p) <= 1e-12).all()


@given(of_patients())
def test_a_p_value_promises_a_mean_over_patients_and_twice_it_to_most(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    calibration = calibrated(*drawn)
    p, n = calibration.p(np.array(calibration.scores)), len(calibration.patients)
    shares = np.array([patient.shares for patient in calibration.patients])
    assert (shares.mean(axis=0) <= p * (1 + 1e-9)).all()
    above = (shares > 2 * p * (1 + 1e-9)).sum(axis=0)
    assert (above <= max(n - np.ceil(MOST * (n + 1)), 0)).all()


@given(of_patients(), st.integers(2, 5))
def test_patients_count_alike_however_many_beats_they_have(drawn: tuple[np.ndarray, np.ndarray], times: int) -> None:
    """Each beat of one patient, counted several times: his shares stay, and so do the p-values."""
    calibration = calibrated(*drawn)
    first, *others = calibration.patients
    more = first.model_copy(update={"beats": times * first.beats})
    again = calibration.model_copy(update={"patients": [more, *others]})
    large = again.curve > 1.01 / (1 + sum(patient.beats for patient in calibration.patients))
    np.testing.assert_array_equal(calibration.curve_without(None)[large], again.curve_without(None)[large])


@given(of_patients(), ALPHAS)
def test_the_threshold_is_the_smallest_score_with_a_p_value_of_at_most_alpha(
    drawn: tuple[np.ndarray, np.ndarray], alpha: float
) -> None:
    calibration = calibrated(*drawn)
    try:
        threshold = calibration.threshold(alpha)
    except InputError:
        assert calibration.curve[-1] > alpha
        return
    assert calibration.p(np.array([threshold]))[0] <= alpha * (1 + 1e-9)
    lower = np.linspace(0, threshold, 50)[:-1]
    assert (calibration.p(lower) >= alpha * (1 - 1e-9)).all() or calibration.curve[0] <= alpha


def test_the_threshold_at_the_p_value_of_several_scores_is_the_smallest_of_them() -> None:
    shares = [1.0, 0.5, 0.25, 0.25, 0.25, 0.1, 0.01]
    patients = [Patient(name=f"db/{i}", fold=i, beats=100, shares=shares) for i in range(2)]
    scores = [1.0, 2, 3, 4, 5, 6, 7]
    calibration = Calibration(model_sha256="0" * 64, alpha=0.25, folds=2, scores=scores, patients=patients)
    assert calibration.threshold() == 3
    assert calibration.p(np.array([3.0, 5.0])).tolist() == pytest.approx([0.25, 0.25])


@given(of_patients(), st.integers(0, 13))
def test_without_a_patient_p_values_are_those_of_the_others(
    drawn: tuple[np.ndarray, np.ndarray], left_out: int
) -> None:
    calibration = calibrated(*drawn)
    name = calibration.patients[left_out % len(calibration.patients)].name
    others = [patient for patient in calibration.patients if patient.name != name]
    alone = calibration.model_copy(update={"patients": others})
    smallest = 1 / (1 + sum(patient.beats for patient in others))
    expected = np.maximum(alone.curve_without(None), smallest)
    np.testing.assert_allclose(np.maximum(calibration.curve_without(name), smallest), expected)
    score = np.array(calibration.scores)
    np.testing.assert_allclose(calibration.p(score, name), calibration.curve_without(name))
    np.testing.assert_array_equal(calibration.p(score, "db/nobody"), calibration.p(score))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1e-9, float("nan")])
def test_an_alpha_without_a_threshold_is_refused(alpha: float) -> None:
    calibration = HeartModel.load().calibration
    with pytest.raises(InputError, match=rf"alpha is {alpha}; it should be below 1, and .* at least"):
        calibration.threshold(alpha)


# Files.


@given(of_patients())
@settings(max_examples=20)
def test_a_calibration_that_is_written_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    calibration, path = calibrated(*drawn), tmp_path_factory.mktemp("calibration") / CALIBRATION
    path.write_bytes(calibration.content())
    read = Calibration.load(path)
    assert read.content() == calibration.content()
    np.testing.assert_allclose(read.curve, calibration.curve, rtol=1e-4)
    assert len(path.read_text().splitlines()) == len(calibration.patients) + 2


def test_a_calibration_on_thousands_of_patients_is_read(tmp_path: Path) -> None:
    patients, path = 3500, tmp_path / CALIBRATION
    scores = np.random.default_rng(0).random(7 * patients)
    path.write_bytes(calibrated(scores, np.arange(7 * patients) % patients).content())
    assert path.stat().st_size > LARGEST_JSON
    assert len(Calibration.load(path).patients) == patients


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the files that ship."""
    for name in (MODEL, CALIBRATION):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    return tmp_path


Change = Callable[[dict], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("scores"), "scores"),
        (lambda record: record["scores"].reverse(), "scores should increase"),
        (lambda record: record["scores"].pop(), "a share for each score"),
        (lambda record: record["patients"][3]["shares"].pop(), "a share for each score"),
        (lambda record: record["patients"][3]["shares"].reverse(), "shares should not"),
        (lambda record: record["patients"][3]["shares"].__setitem__(0, 1.5), "shares"),
        (lambda record: record["patients"][3].update(fold=-1), "fold"),
        (lambda record: record["patients"][3].update(beats=0), "beats"),
        (lambda record: record["patients"].clear(), "patients"),
        (lambda record: record.update(alpha=0.0), "alpha"),
        (lambda record: record.update(alpha="0.05"), "alpha"),
        (lambda record: record.update(folds=1), "folds"),
        (lambda record: record.update(more=1), "more"),
    ],
)
def test_a_damaged_calibration_is_refused_with_its_name(shipped: Path, change: Change, message: str) -> None:
    record = json.loads((shipped / CALIBRATION).read_text())
    change(record)
    (shipped / CALIBRATION).write_text(json.dumps(record))
    with pytest.raises(InputError, match=rf"{CALIBRATION}.*{message}"):
        HeartModel.load(shipped)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]", b'{"alpha": NaN}'])
def test_what_is_no_calibration_is_refused_with_its_name(shipped: Path, content: bytes) -> None:
    (shipped / CALIBRATION).write_bytes(content)
    with pytest.raises(InputError, match=CALIBRATION):
        HeartModel.load(shipped)


@pytest.mark.parametrize("name", [MODEL, CALIBRATION])
def test_a_missing_file_is_named_with_the_remedy(shipped: Path, name: str) -> None:
    (shipped / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing; `dvc repro hearts/dvc.yaml` makes it"):
        HeartModel.load(shipped)


def test_a_model_and_a_calibration_of_another_one_are_refused(shipped: Path) -> None:
    (shipped / MODEL).write_bytes((shipped / MODEL).read_bytes() + b"\x00")
    with pytest.raises(InputError, match=rf"{MODEL} and its calibration do not belong together"):
        HeartModel.load(shipped)


def test_a_calibration_of_another_model_is_refused(onnx_model: bytes) -> None:
    with pytest.raises(InputError, match="the model of normal hearts and its calibration do not belong together"):
        HeartModel(Model(onnx_model), HeartModel.load().calibration)


def test_what_is_no_model_is_refused_with_its_name(shipped: Path) -> None:
    (shipped / MODEL).write_bytes(b"nonsense")
    record = json.loads((shipped / CALIBRATION).read_text())
    (shipped / CALIBRATION).write_text(json.dumps(record | {"model_sha256": sha256(b"nonsense")}))
    with pytest.raises(InputError, match=rf"{MODEL} is refused: it is no ONNX file"):
        HeartModel.load(shipped)


# The model that ships.


def listed(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text())


def names(records: dict[str, list[str]]) -> list[str]:
    return [f"{database}/{record}" for database, of_database in records.items() for record in of_database]


def test_it_loads_and_is_small() -> None:
    model = HeartModel.load()
    assert model.calibration.model_sha256 == sha256((SHIPPED / MODEL).read_bytes())
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5_000_000
    assert 0 < model.calibration.threshold() < np.inf


def test_it_was_calibrated_on_the_patients_of_its_settings_and_on_no_others() -> None:
    settings, model = listed("hearts/params.yaml")["hearts"], HeartModel.load()
    assert [patient.name for patient in model.calibration.patients] == names(settings["collect"]["records"])
    assert model.model.metadata["patients"].split(", ") == names(settings["collect"]["records"])
    del settings["train"]["device"]  # which decides nothing
    assert json.loads(model.model.metadata["params"]) == settings["train"]
    assert model.calibration.alpha == settings["calibrate"]["alpha"]
    assert model.calibration.folds == settings["train"]["folds"]
    assert {patient.fold for patient in model.calibration.patients} == set(range(model.calibration.folds))


def test_patients_for_reporting_are_neither_trained_nor_developed_on() -> None:
    lists = listed("hearts/patients.yaml")
    development, reporting = set(names(lists["development"])), set(names(lists["reporting"]))
    trained_on = {patient.name for patient in HeartModel.load().calibration.patients}
    assert trained_on < development
    assert not development & reporting
    assert not set(names(lists["paced"])) & (development | reporting)
    assert len(development) + len(reporting) == len(names(lists["development"]) + names(lists["reporting"]))


def test_a_patient_that_it_was_trained_on_is_judged_by_the_members_that_have_not_seen_him(toy_heart: Heart) -> None:
    import onnxruntime

    model, beats = HeartModel.load(), beats_in_context(toy_heart, follow(toy_heart), slice(50))
    session = onnxruntime.InferenceSession((SHIPPED / MODEL).read_bytes())
    (sums,) = session.run(["member_score"], {"beats": beats.columns})
    known = next(patient for patient in model.calibration.patients if patient.name == "mitdb/208")
    own = sums[:, known.fold :: model.calibration.folds]
    assert 0 < own.shape[1] < sums.shape[1]
    np.testing.assert_allclose(model.score(beats, "mitdb/208"), score_of(own), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.score(beats), score_of(sums), rtol=1e-4, atol=1e-6)


SCAN_WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "onnxscript", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import ecg
print(len(ecg.scan("lead.npy", rate=360).beats))
"""


def test_it_judges_a_recording_without_torch(toy: np.ndarray, toy_heart: Heart, tmp_path: Path) -> None:
    np.save(tmp_path / "lead.npy", toy)
    done = subprocess.run(
        [sys.executable, "-c", SCAN_WITHOUT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{len(toy_heart)}\n"), done.stderr
