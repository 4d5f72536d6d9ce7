import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.beats import Beats
from ecg.calibration import conformal
from ecg.detector import BLOCK, Calibration, Detector
from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.files import sha256
from ecg.params import Params


def write_calibration(folder: Path, threshold: float, model: bytes) -> None:
    calibration = Calibration(method="conformal", threshold=threshold, model_sha256=sha256(model))
    calibration.save(folder / "calibration.json")


@pytest.fixture
def shipped(tmp_path: Path, onnx_model: bytes, errors: Errors, committed: Params) -> Path:
    """A folder with a model and its calibration."""
    (tmp_path / "autoencoder.onnx").write_bytes(onnx_model)
    threshold = conformal(errors, committed.calibrate)
    write_calibration(tmp_path, threshold, onnx_model)
    return tmp_path


def test_a_detector_finds_most_anomalies_and_spares_most_normal_beats(shipped: Path, train: Beats) -> None:
    alarms = Detector.load(shipped).score(train.samples).anomalous
    assert alarms[train.classes != 1].mean() > 0.8
    assert alarms[train.classes == 1].mean() <= 0.06


def test_a_beat_at_the_threshold_is_anomalous(shipped: Path, normal: np.ndarray, onnx_model: bytes) -> None:
    score = Detector.load(shipped).score(normal).score
    write_calibration(shipped, float(score[5]), onnx_model)
    verdicts = Detector.load(shipped).score(normal)
    np.testing.assert_array_equal(verdicts.anomalous, score >= score[5])
    assert verdicts.anomalous[5]


def test_many_beats_are_scored_in_blocks_as_one_by_one(shipped: Path, test: Beats) -> None:
    detector, beats = Detector.load(shipped), test.samples[: 2 * BLOCK + 3]
    verdicts = detector.score(beats)
    assert verdicts.score.shape == (len(beats),)
    for i in (0, BLOCK - 1, BLOCK, len(beats) - 1):
        alone = detector.score(beats[i : i + 1])
        np.testing.assert_allclose(verdicts.score[i], alone.score[0], rtol=1e-5)
        np.testing.assert_allclose(verdicts.step_error[i], alone.step_error[0], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(verdicts.reconstruction[i], alone.reconstruction[0], atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_scores_alone_are_the_same(shipped: Path, test: Beats, n: int) -> None:
    detector = Detector.load(shipped)
    np.testing.assert_array_equal(detector.scores(test.samples[:n]), detector.score(test.samples[:n]).score)


def test_shapes_are_what_they_are_said_to_be(shipped: Path, normal: np.ndarray) -> None:
    detector = Detector.load(shipped)
    assert detector.length == 140
    for n in (0, 1, 3):
        verdicts = detector.score(normal[:n])
        assert verdicts.score.shape == verdicts.anomalous.shape == (n,)
        assert verdicts.step_error.shape == verdicts.reconstruction.shape == (n, 140)


@pytest.mark.parametrize(
    ("beats", "told"),
    [
        (np.zeros(140), r"beats have shape \(140,\); the model takes \(any number, 140\)"),
        (np.zeros((2, 139)), r"shape \(2, 139\)"),
        (np.zeros((1, 2, 140)), r"shape \(1, 2, 140\)"),
        (np.where(np.arange(280).reshape(2, 140) == 150, np.nan, 0), "beat 1, sample 10 is nan"),
        (np.full((1, 140), 1e39), "beat 0, sample 0 is inf"),
        ([["a"] * 140], "beats must be numbers in rows of 140"),
        ([[0.0] * 140, [0.0]], "beats must be numbers"),
    ],
)
def test_beats_that_are_none_are_refused(shipped: Path, beats: np.ndarray, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Detector.load(shipped).score(beats)


@pytest.mark.parametrize("name", ["autoencoder.onnx", "calibration.json"])
def test_a_missing_file_is_told_with_the_command_that_makes_it(shipped: Path, name: str) -> None:
    (shipped / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing; `dvc repro` makes it"):
        Detector.load(shipped)


def test_a_calibration_of_another_model_is_refused(shipped: Path, onnx_model: bytes) -> None:
    (shipped / "autoencoder.onnx").write_bytes(onnx_model + b"\0")
    with pytest.raises(InputError, match="belongs to another model"):
        Detector.load(shipped)


def test_a_damaged_model_is_refused(shipped: Path, onnx_model: bytes) -> None:
    half = onnx_model[: len(onnx_model) // 2]
    (shipped / "autoencoder.onnx").write_bytes(half)
    write_calibration(shipped, 1.0, half)
    with pytest.raises(InputError, match="not a model that ONNX Runtime can read"):
        Detector.load(shipped)


values = st.none() | st.booleans() | st.floats() | st.text(max_size=5)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            values, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3)
        ).map(lambda x: json.dumps(x).encode()),
        st.dictionaries(st.sampled_from(["method", "threshold", "model_sha256", "more"]), values, max_size=4)
        .filter(lambda record: len(record) != 3 or "more" in record)
        .map(lambda x: json.dumps(x).encode()),
    )
)
def test_any_other_content_is_no_calibration(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("models") / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"calibration\.json"):
        Calibration.load(path)


def test_a_threshold_must_be_a_finite_number(tmp_path: Path) -> None:
    for threshold in ("NaN", "Infinity", '"high"', "true", "null"):
        path = tmp_path / "calibration.json"
        path.write_text(f'{{"method": "conformal", "model_sha256": "00", "threshold": {threshold}}}')
        with pytest.raises(InputError, match="threshold is"):
            Calibration.load(path)
