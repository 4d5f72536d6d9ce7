"""Noise in a recording is marked, heartbeats are not, and a signal that is no ECG is named with the reason."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from ecg.exceptions import InputError
from ecg.recordings import signals
from ecg.recordings.classes import match_beats
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.quality import measure
from ecg.recordings.signals import SAMPLING_RATE, unusable_seconds
from tests.recordings.test_cutting import RATE, SETTINGS, processed

N = 300 * RATE
SECONDS = np.arange(N) / RATE
NOISE = 20  # seconds of noise in a recording
TOLERANCE = 2.0  # seconds, of where noise is marked: it is measured over 5 s


def with_noise(samples: np.ndarray, start: float, size: float, seed: int = 0) -> np.ndarray:
    """A lead with white noise in NOISE seconds, of a standard deviation that is a multiple of its own."""
    noisy, part = samples.copy(), slice(round(start * RATE), round((start + NOISE) * RATE))
    noisy[part] += np.random.default_rng(seed).normal(0, size * samples.std(), NOISE * RATE)
    return noisy


def fibrillation(seed: int) -> np.ndarray:
    """Twenty seconds like ventricular fibrillation: a wave of 3 to 8 Hz whose frequency and size wander."""
    rng = np.random.default_rng(seed)

    def wandering(width: float) -> np.ndarray:
        values = gaussian_filter1d(rng.normal(size=NOISE * RATE), width)
        return values / values.std()

    phase = np.cumsum(2 * np.pi * np.clip(5 + 0.8 * wandering(RATE), 3, 8) / RATE)
    return (1 + 0.4 * wandering(1.2 * RATE)) * np.sin(phase) + 0.3 * wandering(RATE / 20)


# Recordings that are no ECG.


SIGNALS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], str]] = {
    "white noise": (lambda rng: rng.normal(size=N), "it is noise throughout"),
    "brown noise": (lambda rng: np.cumsum(rng.normal(size=N)), "it is noise throughout"),
    "random integers": (lambda rng: rng.integers(0, 1024, N), "it is (noise|hum or hiss) throughout"),
    "count": (lambda _: np.arange(N), "it is a count"),
    "large count": (lambda _: np.arange(N) + 2.0**31, "it is a count"),
    "count that begins anew": (lambda _: np.arange(N) % 200, "it is a count"),
    "constant": (lambda _: np.full(N, 3.0), "it does not vary as heartbeats do"),
    "missing": (lambda _: np.full(N, np.nan), "it does not vary as heartbeats do: it is missing"),
    "pulse": (lambda _: np.sin(2 * np.pi * 1.2 * SECONDS), "it changes too slowly for heartbeats"),
    "sine": (lambda _: np.sin(2 * np.pi * 8 * SECONDS), "no heartbeats stand out of it"),
    "hum": (
        lambda rng: np.sin(2 * np.pi * 50 * SECONDS) + rng.normal(0, 0.01, N),
        "it is hum or hiss throughout",
    ),
}


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_a_signal_that_is_no_ecg_is_named_with_the_reason(name: str, scale: float) -> None:
    samples, reason = SIGNALS[name]
    with processed(scale * samples(np.random.default_rng(1))) as signal:
        assert signal.no_ecg is not None
        assert re.match(reason, signal.no_ecg)


@pytest.mark.parametrize("name", ["white noise", "brown noise", "hum"])
def test_noise_has_no_usable_beats_and_the_error_says_why(name: str) -> None:
    samples, reason = SIGNALS[name]
    with processed(samples(np.random.default_rng(1))) as signal:
        assert unusable_seconds(signal.unusable)["noisy"] >= 299
        with pytest.raises(InputError, match=rf"has 0 usable beats; .* \(300 s noisy\); it is no ECG: {reason}"):
            BeatWindows.find(signal, SETTINGS)


@pytest.mark.parametrize("change", ["none", "thousandth", "thousandfold", "offset", "inverted", "whole numbers"])
def test_heartbeats_are_an_ecg_without_noise(change: str, toy: np.ndarray) -> None:
    """More than a third of its beats are ectopic."""
    changed = {
        "none": toy,
        "thousandth": toy * 1e-3,
        "thousandfold": toy * 1e3,
        "offset": toy + 1000,
        "inverted": -toy,
        "whole numbers": np.round(toy * 200),
    }[change]
    with processed(changed) as signal:
        assert signal.no_ecg is None
        assert signal.unusable == []
        assert len(signal.r_peaks) == pytest.approx(500, abs=5)


@pytest.mark.parametrize("samples", [40, 100, 359, 360, 400, 720, 1800, 3600])
def test_a_part_of_an_ecg_however_short_may_be_one(samples: int, toy: np.ndarray) -> None:
    with processed(toy[:samples]) as signal:
        assert signal.no_ecg is None
        assert signal.unusable == []


# Stretches of noise.


@pytest.mark.parametrize("start", [40, 200, 279])
@pytest.mark.parametrize("size", [2.0, 5.0])
@pytest.mark.parametrize("chunk", [300, 50])
def test_noise_is_marked_where_it_is_and_costs_no_beat_elsewhere(
    start: float, size: float, chunk: int, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "CHUNK_SECONDS", chunk)  # 50: noise from 40 to 60 s lies in two chunks
    with processed(toy) as clean, processed(with_noise(toy, start, size)) as signal:
        (segment,) = signal.unusable
        assert segment.kind == "noisy"
        assert segment.start == pytest.approx(start, abs=TOLERANCE)
        assert segment.stop == pytest.approx(start + NOISE, abs=TOLERANCE)
        assert signal.no_ecg is None
        inside = (signal.r_peak_seconds >= segment.start) & (signal.r_peak_seconds <= segment.stop)
        assert not inside.any()
        expected, windows = BeatWindows.find(clean, SETTINGS), BeatWindows.find(signal, SETTINGS)
        assert not ((windows.start <= segment.stop) & (windows.stop >= segment.start)).any()
        left_out = windows.left_out.in_unusable_signal + windows.left_out.at_the_ends
        assert len(windows.r_peaks) + left_out == len(signal.r_peaks)
        outside = (expected.stop < segment.start) | (expected.start > segment.stop)
        kept = clean.r_peak_seconds[expected.r_peaks[outside]]
        matched = match_beats(kept, signal.r_peak_seconds[windows.r_peaks]) >= 0
    assert len(kept) > 430
    assert matched.mean() >= 0.995


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), start=st.integers(0, 280))
def test_strong_noise_is_marked_wherever_it_is(seed: int, start: int, toy: np.ndarray) -> None:
    with processed(with_noise(toy, start, 5.0, seed)) as signal:
        marked = [s for s in signal.unusable if s.kind == "noisy"]
    inside = sum(max(min(s.stop, start + NOISE) - max(s.start, start), 0) for s in marked)
    assert inside >= NOISE - 2 * TOLERANCE
    assert unusable_seconds(marked)["noisy"] <= inside + 10


def test_a_flutter_is_no_noise(toy: np.ndarray) -> None:
    at = np.arange(NOISE * RATE) / RATE
    flutter = (1.5 + 0.3 * np.sin(2 * np.pi * 0.3 * at)) * np.sin(2 * np.pi * 4.5 * at)
    with processed(np.concatenate([toy[: N // 3], flutter, toy[N // 3 : N // 2]])) as signal:
        assert signal.no_ecg is None
        assert signal.unusable == []


def test_little_of_a_fibrillation_is_taken_for_noise(toy: np.ndarray) -> None:
    """Its deflections are unlike each other, as those of noise are."""
    marked = []
    for seed in range(6):
        with processed(np.concatenate([toy[: N // 3], fibrillation(seed), toy[N // 3 : N // 2]])) as signal:
            assert signal.no_ecg is None
            marked.append(unusable_seconds(signal.unusable)["noisy"])
    assert np.mean(marked) <= NOISE / 4


def test_signal_that_is_unusable_twice_counts_once(toy: np.ndarray) -> None:
    noisy = with_noise(toy, 200, 5.0)
    noisy[205 * RATE : 211 * RATE] = np.nan
    with processed(noisy) as signal:
        before, missing, after = signal.unusable
    assert [before.kind, missing.kind, after.kind] == ["noisy", "missing", "noisy"]
    assert missing.stop - missing.start == pytest.approx(6, abs=0.02)
    assert (before.stop, after.start) == (missing.start, missing.stop)
    assert after.stop - before.start == pytest.approx(NOISE, abs=2 * TOLERANCE)


@pytest.mark.parametrize("value", [np.nan, 0.0, 5.0])
@pytest.mark.parametrize("seconds", [3, 10, 40])
def test_the_edges_of_lost_signal_are_no_noise(value: float, seconds: int, toy: np.ndarray) -> None:
    lost = toy.copy()
    lost[120 * RATE : (120 + seconds) * RATE] = value
    with processed(lost) as signal:
        assert unusable_seconds(signal.unusable)["noisy"] == 0


def test_the_measures_of_a_day_need_few_megabytes(toy: np.ndarray) -> None:
    for samples in (toy, np.random.default_rng(0).normal(size=N)):
        with processed(samples) as signal:
            measures = measure(np.array(signal.samples, float), samples, SAMPLING_RATE)
        assert sum(np.asarray(column).nbytes for column in vars(measures).values()) * 24 * 12 < 5e6
