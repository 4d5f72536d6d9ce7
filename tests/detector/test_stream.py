import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import stream, thresholds
from ecg.detector.detector import Detector
from ecg.detector.model import Model
from ecg.detector.stream import Stream
from ecg.exceptions import InputError
from tests.conftest import calibrating


def normal_scores(detector: Detector, n: int, seed: int = 0) -> np.ndarray:
    """Scores like those of held-out normal beats."""
    held_out = np.concatenate(detector.calibration.held_out)
    return np.random.default_rng(seed).choice(held_out, n)


def test_without_drift_alarms_stay_at_alpha(detector: Detector) -> None:
    anomalous, _ = Stream.start(detector, alpha=0.1).update(normal_scores(detector, 20_000))
    assert np.mean(anomalous) == pytest.approx(0.1, abs=0.015)


def test_a_slow_rise_of_all_scores_is_followed_and_a_fixed_threshold_would_not(detector: Detector) -> None:
    scores = normal_scores(detector, 6000) * np.exp(np.clip(np.arange(6000) / 4000, 0, 1))
    assert np.mean(scores[4500:] >= detector.calibration.threshold) > 0.2
    anomalous, _ = Stream.start(detector).update(scores)
    assert np.mean(anomalous[4500:]) == pytest.approx(0.05, abs=0.02)


def rising(detector: Detector, n: int = 20_000) -> np.ndarray:
    """Scores that all rise without end, by a factor of e in 3,000 beats."""
    return normal_scores(detector, n) * np.exp(np.arange(n) / 3000)


def test_however_long_scores_rise_the_threshold_stays_below_a_multiple_of_the_first(detector: Detector) -> None:
    running = Stream.start(detector)
    highest = stream.LARGEST_RISE * running.threshold
    anomalous, met = running.update(rising(detector))
    assert met.max() == pytest.approx(highest)
    assert running.threshold <= highest * (1 + 1e-9)
    assert anomalous[-5000:].mean() > 0.99


def test_slower_rises_one_after_another_end_at_the_same_bound(detector: Detector) -> None:
    running = Stream.start(detector)
    highest = stream.LARGEST_RISE * running.threshold
    for part in range(40):
        running.update(normal_scores(detector, 500, part) * np.exp(0.1 * part))
        assert running.threshold <= highest * (1 + 1e-9)
    assert running.threshold > 0.8 * highest


def test_a_stream_that_goes_on_from_its_file_has_the_same_bound(tmp_path: Path, detector: Detector) -> None:
    first = Stream.start(detector)
    highest, scores = stream.LARGEST_RISE * first.threshold, rising(detector)
    first.update(scores[:2000])  # the threshold has risen, but is below the bound
    assert 1.2 * Stream.start(detector).threshold < first.threshold < 0.9 * highest
    first.save(tmp_path / "stream.json")
    second = Stream.load(tmp_path / "stream.json", detector)
    _, met = second.update(scores[2000:])
    assert met.max() == pytest.approx(highest)
    assert second.threshold <= highest * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        ({"log_threshold": 700.0}, "the stream's log_threshold is 700; no stream of this model leaves"),
        ({"log_threshold": -700.0}, "the stream's log_threshold is -700"),
        ({"target": 1e-300}, "the stream's target is 1e-300, but 0.0"),
        ({"alpha": 0.4}, "the stream's target is"),
        ({"alpha": 1e-9}, "held-out errors to start from"),
        ({"model_sha256": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_a_state_that_no_stream_reaches_is_refused_although_its_digest_is_right(
    tmp_path: Path, detector: Detector, change: dict, printed: str
) -> None:
    record = Stream.start(detector).state.model_dump() | change
    digest = "" if "model_sha256" in change else stream.State(**record).digest()
    (tmp_path / "stream.json").write_text(json.dumps({"state": record, "sha256": digest}))
    with pytest.raises(InputError, match=printed) as refused:
        Stream.load(tmp_path / "stream.json", detector)
    assert str(refused.value).isprintable()


@given(st.lists(st.sampled_from([0.0, 1e-30, 0.01, 1.0, 1e30]), max_size=300), st.integers(0, 5000))
def test_whatever_a_stream_scores_it_can_be_resumed(detector: Detector, scores: list[float], zeros: int) -> None:
    running = Stream.start(detector)
    running.update(np.array(scores + [0.0] * zeros))
    Stream(detector, running.state)


def test_at_its_bound_the_threshold_falls_again_with_the_scores(detector: Detector) -> None:
    running = Stream.start(detector)
    running.update(rising(detector))
    running.update(normal_scores(detector, 5000))
    assert running.threshold == pytest.approx(Stream.start(detector).threshold, rel=0.5)


def test_anomalies_far_above_the_threshold_do_not_move_it(detector: Detector) -> None:
    scores = normal_scores(detector, 2000)
    with_anomalies = np.insert(scores, np.arange(0, 2000, 10), 100.0)
    clean, disturbed = (Stream.start(detector) for _ in range(2))
    clean.update(scores)
    anomalous, _ = disturbed.update(with_anomalies)
    assert disturbed.state == clean.state
    assert anomalous[with_anomalies == 100].all()


@given(cuts=st.lists(st.integers(0, 120), max_size=6))
def test_blocks_of_any_size_give_what_one_by_one_gives(detector: Detector, cuts: list[int]) -> None:
    scores = normal_scores(detector, 120, seed=1)
    whole, parts = Stream.start(detector), Stream.start(detector)
    anomalous, met = whole.update(scores)
    blocks = [parts.update(block) for block in np.split(scores, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate([block[0] for block in blocks]), anomalous)
    np.testing.assert_array_equal(np.concatenate([block[1] for block in blocks]), met)
    assert parts.state == whole.state


def test_a_saved_stream_goes_on_as_if_nothing_had_been(tmp_path: Path, detector: Detector) -> None:
    scores, path = normal_scores(detector, 1000), tmp_path / "stream.json"
    whole, first = Stream.start(detector), Stream.start(detector)
    anomalous, _ = whole.update(scores)
    first.update(scores[:400])
    first.save(path)
    second = Stream.load(path, detector)
    assert second.state == first.state
    np.testing.assert_array_equal(second.update(scores[400:])[0], anomalous[400:])
    assert second.threshold == whole.threshold


def test_memory_does_not_grow(tmp_path: Path, detector: Detector) -> None:
    sizes, running = [], Stream.start(detector)
    for _ in range(3):
        running.update(normal_scores(detector, 1000))
        running.save(tmp_path / "stream.json")
        sizes.append((tmp_path / "stream.json").stat().st_size)
    assert max(sizes) < 1.02 * min(sizes) < 1_000


def test_beats_are_scored_as_by_the_detector_and_called_by_the_stream(detector: Detector, test: Beats) -> None:
    beats = test.samples[::20]
    verdicts, of_detector = Stream.start(detector).score(beats), detector.score(beats)
    np.testing.assert_array_equal(verdicts.score, of_detector.score)
    np.testing.assert_array_equal(verdicts.anomalous, Stream.start(detector).update(verdicts.score)[0])
    assert verdicts.anomalous[test.classes[::20] != 1].mean() > 0.8


def test_each_beat_meets_the_threshold_that_stands_at_its_turn(detector: Detector) -> None:
    running = Stream.start(detector)
    before = running.threshold
    anomalous, met = running.update(np.array([before * 1.01, before * 1.01, 0.0]))
    assert anomalous.tolist() == [True, False, False]
    assert (
        met[0] == before < running.threshold < met[2] == met[1] * np.exp(-stream.LEARNING_RATE * running.state.target)
    )


@pytest.mark.parametrize(
    ("alpha", "message"), [(0.0, "alpha is 0"), (0.6, "alpha is 0.6"), (0.001, "needs 999 held-out")]
)
def test_an_alpha_that_a_stream_cannot_keep_is_reported(detector: Detector, alpha: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Stream.start(detector, alpha)


def test_a_stream_needs_held_out_errors(onnx_model: bytes, errors: TrainingErrors) -> None:
    model = Model(onnx_model)
    settings, fitted = calibrating(method="percentile"), TrainingErrors(errors.fold, errors.fitted, None)
    without = Detector(model, thresholds.calibrate(fitted, settings, model.sha256))
    with pytest.raises(InputError, match="alpha is None"):
        Stream.start(without)
    with pytest.raises(InputError, match="needs 19 held-out errors"):
        Stream.start(without, alpha=0.05)


@given(
    st.lists(st.sampled_from([0.0, 1e-30, 0.5, 0.6, 1.0, 3.0, 1e30]), min_size=1, max_size=60),
    st.floats(0.001, 0.499),
    st.lists(st.floats(0, 1e30), max_size=50),
)
def test_from_any_held_out_errors_a_stream_goes_on_or_is_not_started(
    detector: Detector, held_out: list[float], alpha: float, scores: list[float]
) -> None:
    few = detector.calibration.model_copy(update={"held_out": [held_out], "alpha": None})
    small = Detector.__new__(Detector)
    small.model, small.calibration = detector.model, few
    try:
        running = Stream.start(small, alpha)
    except InputError:
        return
    anomalous, met = running.update(np.array(scores))
    assert anomalous.shape == met.shape == (len(scores),)
    assert np.isfinite(running.state.log_threshold)


@pytest.mark.parametrize("scores", [[np.nan], [np.inf], [-1.0], [[1.0]]])
def test_scores_that_are_none_are_refused_and_change_nothing(detector: Detector, scores: list) -> None:
    running = Stream.start(detector)
    before = running.state
    with pytest.raises(InputError, match="scores should be finite"):
        running.update(np.array(scores))
    assert running.state == before


def saved(tmp_path: Path, detector: Detector) -> Path:
    running = Stream.start(detector)
    running.update(normal_scores(detector, 10))
    running.save(tmp_path / "stream.json")
    return tmp_path / "stream.json"


def test_the_state_of_another_models_stream_is_refused(tmp_path: Path, detector: Detector) -> None:
    path = saved(tmp_path, detector)
    other = Detector.__new__(Detector)
    other.model = detector.model
    other.calibration = detector.calibration.model_copy(update={"model_sha256": "1" * 64})
    with pytest.raises(InputError, match=r"stream\.json: .* belongs to another model; start a new stream"):
        Stream.load(path, other)


@given(st.data())
def test_a_damaged_state_is_refused(
    tmp_path_factory: pytest.TempPathFactory, detector: Detector, data: st.DataObject
) -> None:
    path = saved(tmp_path_factory.mktemp("stream"), detector)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    original = json.loads(content)
    content[place] = damaged
    path.write_bytes(content)
    try:
        if json.loads(content) == original:  # white space for white space
            return
    except ValueError:
        pass
    with pytest.raises(InputError, match=r"stream\.json"):
        Stream.load(path, detector)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"])
def test_anything_else_is_no_state(tmp_path: Path, detector: Detector, content: bytes) -> None:
    path = tmp_path / "stream.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"stream\.json"):
        Stream.load(path, detector)
    path.unlink()
    with pytest.raises(InputError, match=r"stream\.json is missing; start a new stream"):
        Stream.load(path, detector)
