"""The lead gone through, its beats cut, and their annotated classes, on five real minutes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.signal import resample_poly

from ecg.data.aami import NAMES, UNLABELLED
from ecg.exceptions import InputError
from ecg.params import Cutting, Recording
from ecg.recordings import cutting, signals
from ecg.recordings.classes import CLASS_OF, TOLERANCE, Annotations, beats, labels, matched
from ecg.recordings.cutting import Cut, Plan, cut, running_median
from ecg.recordings.reading import Lead, opened
from ecg.recordings.signals import Signal, Stretch, gone_through, touching

SETTINGS = Cutting(
    highpass=0.5, lowpass=40.0, segmentation="rhythm", window=[0.25, 0.45], rhythm=[0.8, 0.5], length=140
)
RATE = 360
NOISE = 2 / RATE + 2 / signals.RATE  # seconds that a stretch may be off


@contextmanager
def through(samples: np.ndarray, rate: float = RATE, settings: Cutting = SETTINGS) -> Iterator[Signal]:
    lead = Lead("toy", "0", rate, len(samples), lambda start, stop: samples[start:stop].astype(float))
    with gone_through(lead, settings) as signal:
        yield signal


def found(samples: np.ndarray, rate: float = RATE) -> np.ndarray:
    """The seconds of the R peaks."""
    with through(samples, rate) as signal:
        return signal.seconds


@pytest.fixture(scope="session")
def peaks(toy: np.ndarray) -> np.ndarray:
    return found(toy)


def differing(a: np.ndarray, b: np.ndarray) -> int:
    """How many peaks of either have none of the other within 150 ms."""
    return len(a) + len(b) - 2 * int((matched(a, b) >= 0).sum())


# R peaks.


def test_r_peaks_are_where_another_detector_finds_them(toy: np.ndarray, peaks: np.ndarray) -> None:
    """That one is blind to wide ectopic beats; so only what it finds counts, not what it lacks."""
    sleepecg = pytest.importorskip("sleepecg")
    theirs = sleepecg.detect_heartbeats(toy, RATE) / RATE
    assert np.mean(matched(theirs, peaks) >= 0) >= 0.97


@pytest.mark.parametrize("name", ["100", "106", "119", "200", "213", "233"])
def test_r_peaks_are_where_cardiologists_see_beats(name: str, mitdb: Path, recording: Recording) -> None:
    with opened(str(mitdb / name)) as lead, gone_through(lead, recording.beats) as signal:
        assert lead.annotations is not None
        annotated, _ = beats(lead.annotations)
        hits = np.sum(matched(annotated, signal.seconds) >= 0)
    assert hits >= 0.99 * len(annotated)
    assert hits >= 0.99 * len(signal.peaks)


@pytest.mark.parametrize(("rate", "up", "down"), [(128, 16, 45), (250, 25, 36), (500, 25, 18), (1000, 25, 9)])
def test_another_rate_finds_the_same_beats(rate: int, up: int, down: int, toy: np.ndarray, peaks: np.ndarray) -> None:
    other = found(resample_poly(toy, up, down), rate)
    assert abs(len(other) - len(peaks)) <= 0.01 * len(peaks)
    assert differing(peaks, other) <= 0.01 * len(peaks)


@pytest.mark.parametrize("block", [30, 37, 60])
def test_the_size_of_a_block_does_not_matter(
    block: int, toy: np.ndarray, peaks: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with through(toy) as whole:
        samples = np.array(whole.samples)
    monkeypatch.setattr(signals, "BLOCK", block)
    with through(toy) as signal:
        assert differing(peaks, signal.seconds) <= 3
        assert np.diff(signal.seconds).min() > signals.REFRACTORY
        np.testing.assert_allclose(signal.samples, samples, atol=0.02 * samples.std())


def test_a_lead_that_is_upside_down_is_turned_over(toy: np.ndarray, peaks: np.ndarray) -> None:
    with through(toy) as upright, through(-toy) as inverted:
        assert (upright.inverted, inverted.inverted) == (False, True)
        assert differing(upright.seconds, inverted.seconds) <= 0.01 * len(peaks)
        np.testing.assert_allclose(inverted.samples, upright.samples, atol=1e-5)


def test_noise_lowers_the_quality(toy: np.ndarray) -> None:
    noisy = toy.copy()
    noisy[: len(toy) // 2] += np.random.default_rng(0).normal(0, 0.5, len(toy) // 2)
    with through(toy) as clean, through(noisy) as signal:
        assert np.median(signal.quality[signal.seconds < 149]) < np.median(clean.quality[clean.seconds < 149]) - 0.1
        assert ((signal.quality >= 0) & (signal.quality <= 1)).all()


# What is no ECG.


def spoil(samples: np.ndarray, kind: str, start: float, stop: float) -> np.ndarray:
    samples, part = samples.copy(), slice(round(start * RATE), round(stop * RATE))
    samples[part] = {"missing": np.nan, "flat": samples[part][0], "clipped": 5.0}[kind]
    return samples


@pytest.mark.parametrize(
    ("kind", "start", "stop"), [("missing", 100, 110), ("flat", 100, 110), ("clipped", 100, 100.5)]
)
@pytest.mark.parametrize("block", [300, 103])
def test_what_is_no_ecg_is_found_and_the_beats_beside_it_are_left_out(
    kind: str, start: float, stop: float, block: int, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "BLOCK", block)  # 103: the stretch goes on in the next block
    with through(spoil(toy, kind, start, stop)) as signal:
        (stretch,) = signal.stretches
        assert stretch.kind == kind
        assert stretch.start == pytest.approx(start, abs=NOISE)
        assert stretch.stop == pytest.approx(stop, abs=NOISE)
        assert signal.lost()[stretch.kind] == pytest.approx(stop - start, abs=2 * NOISE)
        assert sum(signal.lost().values()) == pytest.approx(stop - start, abs=2 * NOISE)
        assert not ((signal.seconds >= stretch.start) & (signal.seconds <= stretch.stop)).any()
        plan = Plan.of(signal, SETTINGS)
        assert plan.spoilt >= 1
        assert len(plan.beats) + plan.spoilt + plan.edge == len(signal.peaks)
        assert not ((plan.start <= stretch.stop) & (plan.stop >= stretch.start)).any()
        after = np.searchsorted(signal.seconds, stretch.stop)
        apart = signal.seconds[after] - signal.seconds[after - 1]  # a beat may be missing there
        assert apart not in plan.rr_before
        assert apart not in plan.rr_after
        assert np.isfinite(np.array(signal.samples)).all()


@pytest.mark.parametrize(
    "samples", [np.zeros(40_000), np.full(40_000, 1e6), np.full(40_000, np.nan), np.full(40_000, np.inf)]
)
def test_a_lead_of_nothing_is_refused_with_what_it_is(samples: np.ndarray) -> None:
    with through(samples) as signal, pytest.raises(InputError, match="has 0 usable beats; 50 are needed") as refused:
        Plan.of(signal, SETTINGS)
    assert f"111 s {'flat' if np.isfinite(samples[0]) else 'missing'}" in str(refused.value)


def test_a_recording_that_is_too_short_is_told_with_its_beats(toy: np.ndarray) -> None:
    with through(toy[: 20 * RATE]) as signal, pytest.raises(InputError) as refused:
        Plan.of(signal, SETTINGS)
    assert re.search(r"the recording of 20 s has 3\d usable beats; 50 are needed", str(refused.value))
    assert f"Found {len(signal.peaks)} R peaks, 0 of them beside what is no ECG (nothing)" in str(refused.value)


@settings(max_examples=60)
@given(
    pieces=st.lists(
        hnp.arrays(float, st.integers(1, 300), elements=st.floats(-9, 9) | st.sampled_from([0.0, 5.0, np.nan, np.inf])),
        min_size=1,
        max_size=4,
    ),
    times=st.integers(1, 20),
    rate=st.sampled_from([100.0, 127.3, 250.0, 360.0, 1000.0, 20_000.0]),
)
def test_any_samples_are_gone_through_or_refused(pieces: list[np.ndarray], times: int, rate: float) -> None:
    samples = np.tile(np.concatenate(pieces), times)
    try:
        with through(samples, rate) as signal:
            assert len(signal.samples) == int(len(samples) / rate * signals.RATE)
            assert np.isfinite(np.array(signal.samples)).all()
            assert len(signal.peaks) == len(signal.quality)
            Plan.of(signal, SETTINGS)
    except InputError:
        pass


spans = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=5)


@given(spans, spans)
def test_touching_is_having_a_moment_in_common(stretches: list[list[int]], asked: list[list[int]]) -> None:
    given = [Stretch(a, b, "flat") for a, b in sorted(stretches)]
    starts, stops = np.array(asked, float).reshape(-1, 2).T
    expected = [any(a <= stop and start <= b for a, b in stretches) for start, stop in asked]
    assert touching(given, starts, stops).tolist() == expected


# Cutting.


@pytest.mark.parametrize("segmentation", ["rr", "window", "rhythm"])
@pytest.mark.parametrize("length", [50, 140, 200])
def test_beats_are_of_one_length_and_z_normalised(segmentation: str, length: int, toy: np.ndarray) -> None:
    chosen = SETTINGS.model_copy(update={"segmentation": segmentation, "length": length})
    with through(toy) as signal:
        plan = Plan.of(signal, chosen)
        beats = Cut.joined(list(cut(signal, plan, chosen)))
    assert beats.samples.shape == (len(plan.beats), length)
    assert beats.samples.dtype == np.float32
    assert len(plan.beats) >= len(signal.peaks) - 3
    np.testing.assert_allclose(beats.samples.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(beats.samples.std(1, ddof=1), 1, atol=1e-5)
    assert (np.diff(beats.seconds) > 0).all()
    np.testing.assert_allclose(beats.rr_before[1:], beats.rr_after[:-1])


def test_the_r_peak_lies_where_the_segmentation_puts_it(toy: np.ndarray) -> None:
    for segmentation, place in (("window", 0.25 / 0.7), ("rhythm", 0.8 / 1.3)):
        chosen = SETTINGS.model_copy(update={"segmentation": segmentation})
        with through(toy) as signal:
            beats = Cut.joined(list(cut(signal, Plan.of(signal, chosen), chosen)))
        assert abs(np.abs(np.median(beats.samples, axis=0)).argmax() - 140 * place) <= 3


def test_the_size_of_a_block_of_beats_does_not_matter(toy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with through(toy) as signal:
        plan = Plan.of(signal, SETTINGS)
        (whole,) = cut(signal, plan, SETTINGS)
        monkeypatch.setattr(cutting, "BLOCK", 7)
        parts = list(cut(signal, plan, SETTINGS))
    assert {len(part.samples) for part in parts[:-1]} == {7}
    np.testing.assert_array_equal(Cut.joined(parts).samples, whole.samples)
    np.testing.assert_array_equal(Cut.joined(parts).rr_after, whole.rr_after)


def test_the_running_median_follows_the_rhythm_and_not_one_beat() -> None:
    rr = np.full(100, 0.8)
    rr[[20, 21]] = 0.4, 1.2  # an early beat and the pause after it
    rr[60:] = 0.5
    rr[[5, 80]] = np.nan
    median = running_median(rr, 101)
    np.testing.assert_allclose(median[:45], 0.8)
    np.testing.assert_allclose(median[76:], 0.5)
    assert np.isnan(running_median(np.full(3, np.nan), 4)).all()
    assert running_median(np.empty(0), 1).shape == (1,)


# Classes.


@pytest.mark.parametrize(
    ("symbols", "label"), [("NLRBejn", "N"), ("AaJS", "S"), ("VEr", "V"), ("F", "F"), ("/fQ?", "Q")]
)
def test_annotated_beats_are_of_the_classes_of_the_aami(symbols: str, label: str) -> None:
    assert {NAMES[CLASS_OF[symbol]] for symbol in symbols} == {label}


def test_what_is_no_beat_is_no_annotated_beat() -> None:
    seconds, classes = beats(Annotations(np.array([3.0, 0.5, 1.0, 2.0]), ["V", "+", "N", "~"]))
    assert seconds.tolist() == [1, 3]
    assert [NAMES[label] for label in classes.tolist()] == ["N", "V"]


moments = st.lists(st.integers(0, 60), max_size=6, unique=True).map(lambda found: np.sort(found) / 20)


@given(moments, moments)
def test_each_beat_is_matched_once_and_to_a_close_one(annotated: np.ndarray, detected: np.ndarray) -> None:
    places = matched(annotated, detected)
    hit = places >= 0
    assert len(set(places[hit].tolist())) == hit.sum()
    assert (np.abs(detected[places[hit]] - annotated[hit]) <= TOLERANCE).all()
    free = np.setdiff1d(np.arange(len(detected)), places)
    neighbours = [  # of an annotated beat without a match, the detected ones next to it
        k
        for i in np.flatnonzero(~hit)
        for k in (np.searchsorted(detected, annotated[i]) - 1, np.searchsorted(detected, annotated[i]))
        if 0 <= k < len(detected) and abs(detected[k] - annotated[i]) <= TOLERANCE
    ]
    assert not set(neighbours) & set(free.tolist())


@given(moments)
def test_beats_that_are_all_found_are_all_matched(annotated: np.ndarray) -> None:
    shifted = annotated + 0.02
    assert matched(annotated, shifted).tolist() == list(range(len(annotated)))


@given(st.permutations([0.0, 0.1, 0.3]))
def test_the_closest_pair_is_matched_first(offsets: list[float]) -> None:
    annotated = np.array([1.0])
    detected = np.sort(1 + np.array(offsets) / 2 - 0.04)
    assert detected[matched(annotated, detected)[0]] == min(detected, key=lambda at: abs(at - 1))


def test_a_beat_that_nobody_annotated_is_unlabelled() -> None:
    annotations = Annotations(np.array([1.0, 2.0]), ["N", "V"])
    assert labels(annotations, np.array([0.9, 1.5, 2.149, 3])).tolist() == [1, UNLABELLED, 3, UNLABELLED]
    assert labels(annotations, np.array([1.16])).tolist() == [UNLABELLED]
    assert labels(None, np.array([1.0])).tolist() == [UNLABELLED]
