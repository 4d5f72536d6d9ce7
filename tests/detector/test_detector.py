import contextlib
import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joblib import cpu_count

from ecg.data.beats import Beats, save
from ecg.data.training_errors import TrainingErrors
from ecg.detector import model as model_module
from ecg.detector import thresholds
from ecg.detector.calibration import benjamini_hochberg
from ecg.detector.detector import Detector
from ecg.detector.model import BATCH_SIZE, CPU, CUDA, Model, pool
from ecg.exceptions import InputError
from ecg.files import sha256
from ecg.hearts.model import HeartModel
from tests.conftest import ROOT, calibrating, write_calibration


def test_a_detector_finds_most_anomalies_and_spares_most_normal_beats(shipped: Path, train: Beats) -> None:
    alarms = Detector.load(shipped).score(train.samples).anomalous
    assert alarms[train.classes != 1].mean() > 0.8
    assert alarms[train.classes == 1].mean() <= 0.06


def test_a_beat_at_the_threshold_is_anomalous(detector: Detector, errors: TrainingErrors, normal: np.ndarray) -> None:
    score = detector.score(normal).score
    calibration = thresholds.calibrate(errors, calibrating(method="percentile"), detector.model.sha256)
    at_beat_5 = calibration.model_copy(update={"threshold": float(score[5])})
    verdicts = Detector(detector.model, at_beat_5).score(normal)
    np.testing.assert_array_equal(verdicts.anomalous, score >= score[5])
    assert verdicts.anomalous[5]


def test_a_beat_is_anomalous_if_its_p_value_is_at_most_alpha(detector: Detector, test: Beats) -> None:
    verdicts = detector.score(test.samples)
    np.testing.assert_array_equal(verdicts.anomalous, verdicts.p_value <= detector.calibration.alpha)
    assert verdicts.anomalous.any()
    assert not verdicts.anomalous.all()
    n = detector.calibration.beats
    ranks = verdicts.p_value * (n + 1)
    np.testing.assert_allclose(ranks, np.round(ranks))
    assert (ranks.min(), ranks.max()) == pytest.approx((1, n + 1), abs=30)


def test_a_set_is_screened_at_the_calibrated_rate_or_at_another(detector: Detector, test: Beats) -> None:
    beats, p = test.samples[::3], detector.score(test.samples[::3]).p_value
    np.testing.assert_array_equal(detector.screen(beats).anomalous, benjamini_hochberg(p, detector.calibration.fdr))
    strict, loose = detector.screen(beats, fdr=0.02), detector.screen(beats, fdr=0.3)
    assert (strict.anomalous <= loose.anomalous).all()
    assert strict.anomalous.sum() < loose.anomalous.sum()
    wrong = loose.anomalous & (test.classes[::3] == 1)
    assert wrong.sum() / loose.anomalous.sum() < 0.3
    assert detector.screen(beats[:0]).anomalous.shape == (0,)


@pytest.mark.parametrize("fdr", [0.0, 1.0, -0.1])
def test_a_rate_that_is_none_is_refused(detector: Detector, normal: np.ndarray, fdr: float) -> None:
    with pytest.raises(InputError, match=f"fdr is {fdr}"):
        detector.screen(normal, fdr)


def test_without_held_out_errors_there_are_verdicts_but_no_p_values(
    detector: Detector, errors: TrainingErrors, normal: np.ndarray
) -> None:
    fitted = TrainingErrors(errors.fold, errors.fitted, None)
    calibration = thresholds.calibrate(fitted, calibrating(method="percentile"), detector.model.sha256)
    without = Detector(detector.model, calibration)
    verdicts = without.score(normal)
    assert verdicts.p_value is None
    assert verdicts.where(verdicts.anomalous).p_value is None
    assert 0 < verdicts.anomalous.sum() < len(normal) / 2
    with pytest.raises(InputError, match="screening needs p-values"):
        without.screen(normal)


def test_verdicts_can_be_picked(detector: Detector, normal: np.ndarray) -> None:
    verdicts, chosen = detector.score(normal, details=True), np.arange(len(normal)) % 3 == 0
    picked, alone = verdicts.where(chosen), detector.score(normal[chosen], details=True)
    for name in ("score", "p_value", "anomalous", "step_error", "reconstruction", "member_score"):
        np.testing.assert_array_equal(getattr(picked, name), getattr(verdicts, name)[chosen])
        assert getattr(picked, name).shape == getattr(alone, name).shape


def test_many_beats_are_scored_in_blocks_as_one_by_one(shipped: Path, test: Beats) -> None:
    detector, beats = Detector.load(shipped), test.samples[: 2 * BATCH_SIZE + 3]
    verdicts = detector.score(beats, details=True)
    assert verdicts.score.shape == (len(beats),)
    for i in (0, BATCH_SIZE - 1, BATCH_SIZE, len(beats) - 1):
        alone = detector.score(beats[i : i + 1], details=True)
        np.testing.assert_allclose(verdicts.score[i], alone.score[0], rtol=1e-5)
        np.testing.assert_allclose(verdicts.step_error[i], alone.step_error[0], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(verdicts.reconstruction[i], alone.reconstruction[0], atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_details_do_not_change_a_verdict(detector: Detector, test: Beats, n: int) -> None:
    beats, verdicts = test.samples[:n], detector.score(test.samples[:n], details=True)
    for name in ("score", "p_value", "anomalous", "member_score"):
        np.testing.assert_array_equal(getattr(detector.score(beats), name), getattr(verdicts, name))
    np.testing.assert_array_equal(detector.model.scores(beats), verdicts.score)
    np.testing.assert_array_equal(detector.model.member_scores(beats), verdicts.member_score)
    np.testing.assert_allclose(verdicts.member_score.mean(axis=1), verdicts.score, rtol=1e-5)


def test_shapes_are_what_they_are_said_to_be(shipped: Path, normal: np.ndarray) -> None:
    detector = Detector.load(shipped)
    assert detector.length == 140
    for n in (0, 1, 3):
        verdicts = detector.score(normal[:n], details=True)
        assert verdicts.score.shape == verdicts.p_value.shape == verdicts.anomalous.shape == (n,)
        assert verdicts.member_score.shape == (n, detector.model.members)
        assert verdicts.step_error.shape == verdicts.reconstruction.shape == (n, 140)


@pytest.mark.parametrize(
    ("beats", "printed"),
    [
        (np.zeros(140), r"beats have shape \(140,\); the model takes \(any number, 140\)"),
        (np.zeros((2, 139)), r"shape \(2, 139\)"),
        (np.zeros((1, 2, 140)), r"shape \(1, 2, 140\)"),
        (np.where(np.arange(280).reshape(2, 140) == 150, np.nan, 0), "beat 1, sample 10 is nan"),
        (np.full((1, 140), 1e39), "beat 0, sample 0 is inf"),
        (np.where(np.arange(280).reshape(2, 140) == 150, 1e30, 0), "beat 1 is too large"),
        ([["a"] * 140], "beats must be numbers in rows of 140"),
        ([[0.0] * 140, [0.0]], "beats must be numbers"),
    ],
)
def test_beats_that_are_none_are_refused(shipped: Path, beats: np.ndarray, printed: str) -> None:
    with pytest.raises(InputError, match=printed):
        Detector.load(shipped).score(beats)


@pytest.mark.parametrize("name", ["autoencoder.onnx", "calibration.json"])
def test_a_missing_file_is_reported_with_the_command_that_makes_it(shipped: Path, name: str) -> None:
    (shipped / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing; `dvc repro` makes it"):
        Detector.load(shipped)


def test_a_calibration_of_another_model_is_refused(shipped: Path, onnx_model: bytes) -> None:
    other = onnx.load_from_string(onnx_model)
    other.producer_name = "somebody else"
    (shipped / "autoencoder.onnx").write_bytes(other.SerializeToString())
    with pytest.raises(InputError, match="belongs to another model"):
        Detector.load(shipped)


def test_another_kind_of_model_is_refused(onnx_model: bytes) -> None:
    other = onnx.load_from_string(onnx_model)
    other.graph.output.pop()
    with pytest.raises(InputError, match="another kind of model: its outputs are reconstruction, step_error, score"):
        Model(other.SerializeToString())


def test_a_calibration_of_another_number_of_members_is_refused(detector: Detector, errors: TrainingErrors) -> None:
    two = TrainingErrors(errors.fold % 2, errors.fitted, errors.held_out)
    with pytest.raises(InputError, match="belongs to another model"):
        Detector(detector.model, thresholds.calibrate(two, calibrating(), detector.model.sha256))


def test_a_damaged_model_is_refused(shipped: Path, onnx_model: bytes, errors: TrainingErrors) -> None:
    half = onnx_model[: len(onnx_model) // 2]
    (shipped / "autoencoder.onnx").write_bytes(half)
    write_calibration(shipped, half, errors)
    with pytest.raises(InputError, match=r"autoencoder\.onnx is refused: it is no ONNX file, or a damaged one"):
        Detector.load(shipped)


def test_beats_come_as_an_array_a_frame_or_a_file(shipped: Path, test: Beats, tmp_path: Path) -> None:
    detector, samples, classes = Detector.load(shipped), test.samples[:40], test.classes[:40]
    frame = pd.DataFrame(samples)
    frame.to_csv(tmp_path / "beats.csv", index=False)
    labelled = frame.copy()
    labelled.insert(0, "class", classes)
    save(tmp_path / "beats.npz", Beats(samples, classes))
    expected = detector.score(samples)
    for beats in (samples.tolist(), frame, labelled, tmp_path / "beats.csv", str(tmp_path / "beats.npz")):
        np.testing.assert_array_equal(detector.score(beats).score, expected.score)
        np.testing.assert_array_equal(detector.screen(beats).score, expected.score)
        assert [str(why) for why in detector.explain(beats)] == [str(why) for why in detector.explain(samples)]


@pytest.mark.parametrize(
    "beats",
    [
        pd.DataFrame({"a": [1.0]}),
        pd.DataFrame([["x"] * 140]),
        pd.DataFrame([[None] * 140]),
        np.zeros((1, 140), complex),
        np.zeros((1, 140), bool),
        np.full((1, 140), "1"),
        np.zeros((1, 140), "datetime64[s]"),
        np.full((1, 140), "1", object),
        np.full((1, 140), True, object),
        np.array([[*[0.5] * 139, np.True_]], object),
        np.array([[*[0.5] * 139, "1"]], object),
        np.full((1, 140), 1j, object),
        [[10**400] * 140],
        None,
        {},
    ],
)
def test_what_is_no_table_of_numbers_is_refused(detector: Detector, beats: object) -> None:
    with pytest.raises(InputError, match="beats "):
        detector.score(beats)
    if beats is not None:  # which asks for no comparison
        with pytest.raises(InputError, match="beats "):
            detector.explain(np.zeros((1, 140)), normal=beats)


def test_numbers_of_several_kinds_in_one_array_are_taken(detector: Detector, normal: np.ndarray) -> None:
    mixed = normal[:3].astype(object)
    mixed[0, 0], mixed[1, 1], mixed[2, 2] = 1, np.int8(1), Fraction(1, 2)
    np.testing.assert_array_equal(detector.score(mixed).score, detector.score(mixed.astype(float)).score)


def test_blocks_of_beats_share_one_pool(detector: Detector, test: Beats) -> None:
    pool.cache_clear()
    before = threading.enumerate()  # among them, the threads of models that were given a number of their own
    for _ in range(3):
        detector.score(test.samples)
    new = [thread for thread in threading.enumerate() if thread not in before]
    ours = [thread for thread in new if thread.name.startswith("ecg")]
    assert 1 <= len(ours) <= cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that can bind a process to cores")
def test_there_are_as_many_threads_as_cores_that_the_process_may_use() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.cpu_count = lambda: 96
from ecg.detector.model import pool
print(pool()._max_workers)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "1\n"


def test_another_alpha_gives_the_verdicts_that_the_p_values_do(detector: Detector, test: Beats) -> None:
    p = detector.score(test.samples).p_value
    for alpha in (1 / 293, 0.01, 0.3):
        np.testing.assert_array_equal(detector.score(test.samples, alpha).anomalous, p <= alpha)


@pytest.mark.parametrize("alpha", [0.0034, 0.0, 1.0, -1.0, float("nan")])
def test_an_alpha_at_which_nothing_or_all_would_be_called_anomalous_is_refused(
    detector: Detector, normal: np.ndarray, alpha: float
) -> None:
    with pytest.raises(InputError, match=rf"alpha is {alpha}; it should be below 1, and 0.00341 at least"):
        detector.score(normal, alpha)


def test_the_smallest_alpha_is_the_smallest_p_value_of_any_method(detector: Detector, errors: TrainingErrors) -> None:
    for method in ("conformal", "conformal_conditional", "pot", "percentile"):
        calibration = thresholds.calibrate(errors, calibrating(method=method), detector.model.sha256)
        highest = np.full((1, detector.model.members), 1e30, np.float32)
        (p,) = calibration.p(highest[:, 0], highest)
        assert calibration.smallest_p == pytest.approx(p)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_model_of_arbitrary_bytes_is_refused(shipped: Path, onnx_model: bytes, data: st.DataObject) -> None:
    content = bytearray(onnx_model)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    drawn = data.draw(st.sampled_from([bytes(content), onnx_model[: len(onnx_model) // 2]]) | st.binary(max_size=200))
    if drawn != onnx_model:
        (shipped / "autoencoder.onnx").write_bytes(drawn)
        with pytest.raises(InputError, match="belongs to another model, or the model is damaged"):
            Detector.load(shipped)


anything = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
anything |= st.lists(st.floats(), max_size=9) | st.lists(st.floats(1e-9, 2), max_size=9)


@st.composite
def changed(draw: st.DrawFn, records: list[dict[str, Any]]) -> dict[str, Any]:
    """One of the records, with another value somewhere."""
    record = dict(draw(st.sampled_from(records)))
    name = draw(st.sampled_from(sorted(record)))
    if isinstance(record[name], dict):
        record[name] = draw(changed([record[name]]))
    else:
        record[name] = draw(anything)
    return record


def test_a_calibration_of_arbitrary_content_is_refused_or_gives_verdicts(
    shipped: Path, errors: TrainingErrors, onnx_model: bytes, normal: np.ndarray
) -> None:
    methods = ("conformal", "conformal_conditional", "pot", "percentile")
    calibrations = [thresholds.calibrate(errors, calibrating(method=method), sha256(onnx_model)) for method in methods]
    valid = [calibration.model_dump() for calibration in calibrations]

    @settings(max_examples=300)
    @given(changed(valid).map(lambda record: json.dumps(record).encode()) | st.binary(max_size=100))
    def check(content: bytes) -> None:
        (shipped / "calibration.json").write_bytes(content)
        with contextlib.suppress(InputError):
            verdicts = Detector.load(shipped).score(normal[:7])
            assert verdicts.anomalous.dtype == bool
            assert verdicts.p_value is None or ((verdicts.p_value > 0) & (verdicts.p_value <= 1)).all()

    check()


# Devices. A GPU is pretended: what it would be asked for, and what is said where it does not answer.


class Pretended(onnxruntime.InferenceSession):
    """A session on the processor that says it is on a GPU, if it is `found`."""

    asked: ClassVar[list[object]] = []
    sizes: ClassVar[list[int]] = []
    found = True

    def __init__(self, content: bytes, options: onnxruntime.SessionOptions, providers: list[object]) -> None:
        self.asked[:] = providers
        super().__init__(content, options, providers=[CPU])

    def get_providers(self) -> list[str]:
        return [CUDA, CPU] if self.found else [CPU]

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray], options: onnxruntime.RunOptions) -> list:
        self.sizes.append(len(inputs["beats"]))
        return super().run(outputs, inputs, options)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    """An ONNX Runtime that knows GPUs."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Pretended)
    monkeypatch.setattr(Pretended, "sizes", [])
    return Pretended


def test_on_a_gpu_large_batches_are_computed_without_tf32(
    shipped: Path, test: Beats, gpu: type[Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Detector.load(shipped, device="cpu").score(test.samples).score
    gpu.sizes.clear()
    monkeypatch.setattr(model_module, "CUDA_BATCH_SIZE", 2000)
    scores = Detector.load(shipped, device="cuda").score(test.samples).score
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert gpu.asked == [(CUDA, {"use_tf32": 0}), CPU]
    assert gpu.sizes == [2, 2000, 2000, len(test) - 4000]  # the first ones are zeros


def test_a_gpu_that_onnx_runtime_cannot_use_is_refused(
    shipped: Path, gpu: type[Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "found", False)
    with pytest.raises(InputError, match=r"device is cuda, and ONNX Runtime cannot use a GPU here.* driver"):
        Detector.load(shipped, device="cuda")


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime knows GPUs")
def test_an_onnx_runtime_that_knows_no_gpu_is_refused_with_the_remedy(shipped: Path) -> None:
    with pytest.raises(InputError, match=r"device is cuda.* install onnxruntime-gpu instead of onnxruntime"):
        Detector.load(shipped, device="cuda")
    with pytest.raises(InputError, match=r"device is cuda.* install onnxruntime-gpu instead of onnxruntime"):
        HeartModel.load(device="cuda")


def test_another_device_is_refused(shipped: Path) -> None:
    with pytest.raises(InputError, match=r"^the device is 'gpu': it should be cpu or cuda$"):
        Detector.load(shipped, device="gpu")
