"""Processing a lead, cutting its beats, and their annotated classes, on five minutes of a real recording."""

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
from ecg.recordings.classes import CLASS_OF, MATCH_SECONDS, Annotations, annotated_beats, beat_classes, match_beats
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats, running_median, thinned
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import (
    ProcessedLead,
    UnusableSegment,
    outliers,
    overlapping,
    process_lead,
    unusable_seconds,
)

SETTINGS = Cutting(
    highpass=0.5, lowpass=40.0, segmentation="rhythm", window=[0.25, 0.45], rhythm=[0.8, 0.5], length=140
)
RATE = 360
TOLERANCE = 2 / RATE + 2 / signals.SAMPLING_RATE  # seconds, of where a segment starts and stops


@contextmanager
def processed(samples: np.ndarray, rate: float = RATE, settings: Cutting = SETTINGS) -> Iterator[ProcessedLead]:
    lead = Lead("toy", "0", rate, len(samples), lambda start, stop: samples[start:stop].astype(float))
    with process_lead(lead, settings) as result:
        yield result


def r_peak_seconds(samples: np.ndarray, rate: float = RATE) -> np.ndarray:
    """The times of the R peaks."""
    with processed(samples, rate) as signal:
        return signal.r_peak_seconds


@pytest.fixture(scope="session")
def peaks(toy: np.ndarray) -> np.ndarray:
    return r_peak_seconds(toy)


def unmatched(a: np.ndarray, b: np.ndarray) -> int:
    """How many peaks of both have no counterpart within 150 ms."""
    return len(a) + len(b) - 2 * int((match_beats(a, b) >= 0).sum())


# R peaks.


def test_r_peaks_are_where_another_detector_finds_them(toy: np.ndarray, peaks: np.ndarray) -> None:
    """The other detector misses wide ectopic beats, so only the peaks that it finds are compared."""
    sleepecg = pytest.importorskip("sleepecg")
    others = sleepecg.detect_heartbeats(toy, RATE) / RATE
    assert np.mean(match_beats(others, peaks) >= 0) >= 0.97


@pytest.mark.parametrize("name", ["100", "106", "119", "200", "213", "233"])
def test_r_peaks_are_where_cardiologists_annotated_beats(name: str, mitdb: Path, recording: Recording) -> None:
    with open_lead(str(mitdb / name)) as lead, process_lead(lead, recording.beats) as signal:
        assert lead.annotations is not None
        annotated, _ = annotated_beats(lead.annotations)
        hits = np.sum(match_beats(annotated, signal.r_peak_seconds) >= 0)
    assert hits >= 0.99 * len(annotated)
    assert hits >= 0.99 * len(signal.r_peaks)


@pytest.mark.parametrize(("rate", "up", "down"), [(128, 16, 45), (250, 25, 36), (500, 25, 18), (1000, 25, 9)])
def test_another_sampling_rate_gives_the_same_beats(
    rate: int, up: int, down: int, toy: np.ndarray, peaks: np.ndarray
) -> None:
    other = r_peak_seconds(resample_poly(toy, up, down), rate)
    assert abs(len(other) - len(peaks)) <= 0.01 * len(peaks)
    assert unmatched(peaks, other) <= 0.01 * len(peaks)


@pytest.mark.parametrize("seconds", [30, 37, 60])
def test_the_length_of_a_chunk_does_not_matter(
    seconds: int, toy: np.ndarray, peaks: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with processed(toy) as whole:
        samples = np.array(whole.samples)
    monkeypatch.setattr(signals, "CHUNK_SECONDS", seconds)
    with processed(toy) as signal:
        assert unmatched(peaks, signal.r_peak_seconds) <= 3
        assert np.diff(signal.r_peak_seconds).min() > signals.REFRACTORY_SECONDS
        np.testing.assert_allclose(signal.samples, samples, atol=0.02 * samples.std())


def test_an_inverted_lead_is_corrected(toy: np.ndarray, peaks: np.ndarray) -> None:
    with processed(toy) as upright, processed(-toy) as inverted:
        assert (upright.inverted, inverted.inverted) == (False, True)
        assert unmatched(upright.r_peak_seconds, inverted.r_peak_seconds) <= 0.01 * len(peaks)
        np.testing.assert_allclose(inverted.samples, upright.samples, atol=1e-5)


def test_noise_lowers_the_quality(toy: np.ndarray) -> None:
    noisy = toy.copy()
    noisy[: len(toy) // 2] += 0.7 * np.sin(2 * np.pi * 60 * np.arange(len(toy) // 2) / RATE)
    with processed(toy) as clean, processed(noisy) as signal:
        assert signal.unusable == []  # the filter removes it
        assert (
            np.median(signal.quality[signal.r_peak_seconds < 149])
            < np.median(clean.quality[clean.r_peak_seconds < 149]) - 0.1
        )
        assert ((signal.quality >= 0) & (signal.quality <= 1)).all()


# Unusable signal.


def damaged(samples: np.ndarray, kind: str, start: float, stop: float) -> np.ndarray:
    samples, part = samples.copy(), slice(round(start * RATE), round(stop * RATE))
    samples[part] = {"missing": np.nan, "flat": samples[part][0], "clipped": 5.0}[kind]
    return samples


@pytest.mark.parametrize(
    ("kind", "start", "stop"),
    [("missing", 100, 110), ("flat", 100, 110), ("clipped", 99.65, 100.15)],
)
@pytest.mark.parametrize("seconds", [300, 103])
def test_unusable_signal_is_found_and_beats_that_overlap_it_are_left_out(
    kind: str, start: float, stop: float, seconds: int, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "CHUNK_SECONDS", seconds)  # 103: the segment continues in the next chunk
    with processed(damaged(toy, kind, start, stop)) as signal:
        (segment,) = signal.unusable
        assert segment.kind == kind
        assert segment.start == pytest.approx(start, abs=TOLERANCE)
        assert segment.stop == pytest.approx(stop, abs=TOLERANCE)
        assert unusable_seconds(signal.unusable)[segment.kind] == pytest.approx(stop - start, abs=2 * TOLERANCE)
        assert sum(unusable_seconds(signal.unusable).values()) == pytest.approx(stop - start, abs=2 * TOLERANCE)
        assert not ((signal.r_peak_seconds >= segment.start) & (signal.r_peak_seconds <= segment.stop)).any()
        windows = BeatWindows.find(signal, SETTINGS)
        assert windows.left_out.in_unusable_signal >= 1
        assert len(windows.r_peaks) + windows.left_out.in_unusable_signal + windows.left_out.at_the_ends == len(
            signal.r_peaks
        )
        assert not ((windows.start <= segment.stop) & (windows.stop >= segment.start)).any()
        after = np.searchsorted(signal.r_peak_seconds, segment.stop)
        apart = signal.r_peak_seconds[after] - signal.r_peak_seconds[after - 1]  # a beat may be undetected there
        assert apart not in windows.rr_before
        assert apart not in windows.rr_after
        assert np.isfinite(np.array(signal.samples)).all()


@pytest.mark.parametrize(("value", "samples"), [(1e3, 1), (1e10, 1), (-1e10, 3), (1e30, 360), (1e10, 10_000)])
def test_an_outlier_costs_its_neighbourhood_alone(value: float, samples: int, toy: np.ndarray) -> None:
    damaged = toy.copy()
    damaged[36_000 : 36_000 + samples] = value  # at 100 s
    with processed(damaged) as signal, processed(toy) as whole:
        (segment,) = signal.unusable
        assert segment.kind == "outlier"
        assert segment.start == pytest.approx(99.9, abs=0.01)
        assert segment.stop == pytest.approx(100.1 + samples / 360, abs=0.05)
        assert signal.no_ecg is None
        expected = whole.r_peak_seconds
        expected = expected[(expected < segment.start) | (expected > segment.stop)]
        assert np.isclose(expected[:, None], signal.r_peak_seconds, atol=0.02).any(axis=1).mean() > 0.99


def test_outliers_may_be_many_if_they_are_short(toy: np.ndarray) -> None:
    damaged = toy.copy()
    damaged[np.arange(1, 100) * 1000] = -32_768  # as a device may mark lost samples, in each third second
    with processed(damaged) as signal:
        assert {segment.kind for segment in signal.unusable} == {"outlier"}
        assert len(signal.unusable) == 99


@pytest.mark.parametrize("name", ["spikes", "drift", "step", "electrode"])
def test_what_is_large_in_a_recording_for_other_reasons_is_no_outlier(name: str, toy: np.ndarray) -> None:
    signal = toy.copy()
    if name == "spikes":  # of a pacemaker, 2 ms wide and 20 times as high as beats
        signal[::300] += 20 * np.ptp(toy)
    elif name == "drift":  # of a lead without a high-pass filter
        signal += np.linspace(0, 300, len(toy))
    elif name == "step":
        signal[50_000:] += 50
    else:  # that is put on late
        signal[:100_000] = np.random.default_rng(0).integers(0, 2, 100_000) / 2000
    assert not outliers(signal, 360).any()


def test_a_clipped_segment_in_two_chunks_is_one_segment(toy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "CHUNK_SECONDS", 103)
    with processed(damaged(toy, "clipped", 100, 110)) as signal:
        (segment,) = signal.unusable  # also flat, which is not counted a second time
        assert segment.kind == "clipped"
        assert segment.stop - segment.start == pytest.approx(10, abs=2 * TOLERANCE)


@pytest.mark.parametrize(
    "samples", [np.zeros(40_000), np.full(40_000, 1e6), np.full(40_000, np.nan), np.full(40_000, np.inf)]
)
def test_a_lead_of_unusable_signal_is_refused_with_its_kind(samples: np.ndarray) -> None:
    with processed(samples) as signal, pytest.raises(InputError, match="has 0 usable beats; 50 are needed") as refused:
        BeatWindows.find(signal, SETTINGS)
    assert f"111 s {'flat' if np.isfinite(samples[0]) else 'missing'}" in str(refused.value)


def test_a_recording_that_is_too_short_is_refused_with_its_number_of_beats(toy: np.ndarray) -> None:
    with processed(toy[: 20 * RATE]) as signal, pytest.raises(InputError) as refused:
        BeatWindows.find(signal, SETTINGS)
    assert re.search(r"the recording of 20 s has 3\d usable beats; 50 are needed", str(refused.value))
    assert f"{len(signal.r_peaks)} R peaks, 0 of them in or next to unusable signal (none)" in str(refused.value)


@pytest.mark.parametrize("raised", [1, 2, 40])
def test_a_step_at_the_end_is_no_r_peak(raised: int) -> None:
    samples = np.zeros(1000)
    samples[-raised:] = 5.0
    assert len(r_peak_seconds(samples)) == 0


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
def test_any_samples_are_processed_or_refused(pieces: list[np.ndarray], times: int, rate: float) -> None:
    samples = np.tile(np.concatenate(pieces), times)
    try:
        with processed(samples, rate) as signal:
            assert len(signal.samples) == int(len(samples) / rate * signals.SAMPLING_RATE)
            assert np.isfinite(np.array(signal.samples)).all()
            assert len(signal.r_peaks) == len(signal.quality)
            BeatWindows.find(signal, SETTINGS)
    except InputError:
        pass


pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=5)


@given(pairs, pairs)
def test_intervals_overlap_if_they_have_a_moment_in_common(
    segments: list[list[int]], intervals: list[list[int]]
) -> None:
    unusable = [UnusableSegment(a, b, "flat") for a, b in sorted(segments)]
    starts, stops = np.array(intervals, float).reshape(-1, 2).T
    expected = [any(a <= stop and start <= b for a, b in segments) for start, stop in intervals]
    assert overlapping(unusable, starts, stops).tolist() == expected


# Cutting.


@pytest.mark.parametrize("segmentation", ["rr", "window", "rhythm"])
@pytest.mark.parametrize("length", [50, 140, 200])
def test_beats_are_of_one_length_and_z_normalised(segmentation: str, length: int, toy: np.ndarray) -> None:
    chosen = SETTINGS.model_copy(update={"segmentation": segmentation, "length": length})
    with processed(toy) as signal:
        windows = BeatWindows.find(signal, chosen)
        beats = CutBeats.joined(list(cut_beats(signal, windows, chosen)))
    assert beats.samples.shape == (len(windows.r_peaks), length)
    assert beats.samples.dtype == np.float32
    assert len(windows.r_peaks) >= len(signal.r_peaks) - 3
    np.testing.assert_allclose(beats.samples.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(beats.samples.std(1, ddof=1), 1, atol=1e-5)
    assert (np.diff(beats.seconds) > 0).all()
    np.testing.assert_allclose(beats.rr_before[1:], beats.rr_after[:-1])


def test_the_r_peak_lies_where_the_segmentation_puts_it(toy: np.ndarray) -> None:
    for segmentation, share in (("window", 0.25 / 0.7), ("rhythm", 0.8 / 1.3)):
        chosen = SETTINGS.model_copy(update={"segmentation": segmentation})
        with processed(toy) as signal:
            beats = CutBeats.joined(list(cut_beats(signal, BeatWindows.find(signal, chosen), chosen)))
        assert abs(np.abs(np.median(beats.samples, axis=0)).argmax() - 140 * share) <= 3


def test_the_number_of_beats_in_a_chunk_does_not_matter(toy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with processed(toy) as signal:
        windows = BeatWindows.find(signal, SETTINGS)
        (whole,) = cut_beats(signal, windows, SETTINGS)
        monkeypatch.setattr(cutting, "CHUNK_BEATS", 7)
        parts = list(cut_beats(signal, windows, SETTINGS))
    assert {len(part.samples) for part in parts[:-1]} == {7}
    np.testing.assert_array_equal(CutBeats.joined(parts).samples, whole.samples)
    np.testing.assert_array_equal(CutBeats.joined(parts).rr_after, whole.rr_after)


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


def test_annotations_of_other_events_are_not_beats() -> None:
    seconds, classes = annotated_beats(Annotations(np.array([3.0, 0.5, 1.0, 2.0]), ["V", "+", "N", "~"]))
    assert seconds.tolist() == [1, 3]
    assert [NAMES[label] for label in classes.tolist()] == ["N", "V"]


moments = st.lists(st.integers(0, 60), max_size=6, unique=True).map(lambda numbers: np.sort(numbers) / 20)


@given(moments, moments)
def test_each_beat_is_matched_once_at_most_and_to_a_close_one(annotated: np.ndarray, detected: np.ndarray) -> None:
    matches = match_beats(annotated, detected)
    hit = matches >= 0
    assert len(set(matches[hit].tolist())) == hit.sum()
    assert (np.abs(detected[matches[hit]] - annotated[hit]) <= MATCH_SECONDS).all()
    free = np.setdiff1d(np.arange(len(detected)), matches)
    neighbours = [  # of an annotated beat without a match, the detected ones next to it
        k
        for i in np.flatnonzero(~hit)
        for k in (np.searchsorted(detected, annotated[i]) - 1, np.searchsorted(detected, annotated[i]))
        if 0 <= k < len(detected) and abs(detected[k] - annotated[i]) <= MATCH_SECONDS
    ]
    assert not set(neighbours) & set(free.tolist())


@given(moments)
def test_beats_that_are_all_detected_are_all_matched(annotated: np.ndarray) -> None:
    shifted = annotated + 0.02
    assert match_beats(annotated, shifted).tolist() == list(range(len(annotated)))


@given(st.permutations([0.0, 0.1, 0.3]))
def test_the_closest_pair_is_matched_first(offsets: list[float]) -> None:
    annotated = np.array([1.0])
    detected = np.sort(1 + np.array(offsets) / 2 - 0.04)
    assert detected[match_beats(annotated, detected)[0]] == min(detected, key=lambda at: abs(at - 1))


def test_a_beat_without_an_annotation_is_unlabelled() -> None:
    annotations = Annotations(np.array([1.0, 2.0]), ["N", "V"])
    assert beat_classes(annotations, np.array([0.9, 1.5, 2.149, 3])).tolist() == [1, UNLABELLED, 3, UNLABELLED]
    assert beat_classes(annotations, np.array([1.16])).tolist() == [UNLABELLED]
    assert beat_classes(None, np.array([1.0])).tolist() == [UNLABELLED]


@pytest.mark.parametrize("most", [2, 7, 99, 100, 101])
def test_thinned_indices_are_evenly_spaced_and_no_more_than_asked_for(most: int) -> None:
    indices = np.arange(100) * 3
    thin = thinned(indices, most)
    assert len(thin) == min(most, 100)
    assert set(thin) <= set(indices)
    assert (thin[0], thin[-1]) == (indices[0], indices[-1])
    assert np.ptp(np.diff(thin)) <= 3  # one index
