"""Beats of equal length from a lead, z-normalised, each with its time, its RR intervals and its signal quality."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from ecg.data.times import Times
from ecg.exceptions import InputError
from ecg.params import Cutting
from ecg.recordings.signals import SAMPLING_RATE, ProcessedLead, overlapping, unusable_seconds

MIN_BEATS = 50  # usable beats that a recording must have to be learnt from
MEDIAN_WIDTH = 25  # RR intervals that the running median is taken over
CHUNK_BEATS = 4096  # cut at a time


@dataclass(frozen=True)
class CutBeats(Times):
    """Beats cut from a lead, with their times."""

    samples: np.ndarray  # float32, of shape (n, L), each beat of mean 0 and standard deviation 1


@dataclass(frozen=True)
class LeftOut:
    """How many beats overlap unusable signal, and how many reach beyond the recording's start or end."""

    in_unusable_signal: int
    at_the_ends: int


@dataclass(frozen=True)
class BeatWindows:
    """Where each of n usable beats starts and stops: ndarrays of shape (n,), in seconds."""

    r_peaks: np.ndarray  # int, the indices of the beats' R peaks among those of the lead
    start: np.ndarray  # of the first sample
    stop: np.ndarray  # of the sample after the last
    rr_before: np.ndarray  # NaN where unknown, as is rr_after
    rr_after: np.ndarray
    left_out: LeftOut

    @classmethod
    def find(cls, lead: ProcessedLead, settings: Cutting, fewest: int = MIN_BEATS) -> "BeatWindows":
        """Find the usable beats; InputError if there are fewer than `fewest`."""
        seconds, end = lead.r_peak_seconds, len(lead.samples) / SAMPLING_RATE
        rr = np.diff(seconds)
        rr[overlapping(lead.unusable, seconds[:-1], seconds[1:])] = np.nan  # a beat may be undetected there
        before, after = np.concatenate(([np.nan], rr)), np.concatenate((rr, [np.nan]))
        if settings.segmentation == "rr":
            start, stop = seconds, np.concatenate((seconds[1:], [np.inf]))
        else:
            unit = running_median(rr, len(seconds)) if settings.segmentation == "rhythm" else 1.0
            ahead, behind = settings.rhythm if settings.segmentation == "rhythm" else settings.window
            start, stop = seconds - ahead * unit, seconds + behind * unit
        inside = (start >= 0) & (stop <= end - 1 / SAMPLING_RATE)
        unusable = inside & overlapping(lead.unusable, start, stop)
        usable = np.flatnonzero(inside & ~unusable & (stop > start))
        if len(usable) < fewest:
            lost = unusable_seconds(lead.unusable).items()
            listed = ", ".join(f"{duration:.0f} s {kind}" for kind, duration in lost if duration) or "none"
            raise InputError(
                f"the recording of {end:.0f} s has {len(usable)} usable beats; {fewest} are needed. It has "
                f"{len(seconds)} R peaks, {int(unusable.sum())} of them in or next to unusable signal "
                f"({listed}); " + ("try another lead" if lead.no_ecg is None else f"it is no ECG: {lead.no_ecg}")
            )
        start, stop, before, after = (column[usable] for column in (start, stop, before, after))
        return cls(usable, start, stop, before, after, LeftOut(int(unusable.sum()), int((~inside).sum())))


def running_median(rr: np.ndarray, n_beats: int) -> np.ndarray:
    """The median RR interval around each beat; NaN for all if no interval is known.

    Parameters
    ----------
    rr : float ndarray of shape (n_beats - 1,), the intervals between the beats, NaN where unknown
    n_beats : how many beats there are

    Returns
    -------
    float ndarray of shape (n_beats,)

    Examples
    --------
    >>> running_median(np.array([0.8, np.nan, 0.8]), 4)
    array([0.8, 0.8, 0.8, 0.8])
    """
    known = np.flatnonzero(np.isfinite(rr))
    if not len(known):
        return np.full(n_beats, np.nan)
    return np.interp(np.arange(n_beats) - 0.5, known, median_filter(rr[known], MEDIAN_WIDTH, mode="nearest"))


def cut_beats(lead: ProcessedLead, windows: BeatWindows, settings: Cutting) -> Iterator[CutBeats]:
    """Cut the beats from the lead, up to CHUNK_BEATS at a time."""
    for first in range(0, len(windows.r_peaks), CHUNK_BEATS):
        chunk = slice(first, first + CHUNK_BEATS)
        r_peaks = windows.r_peaks[chunk]
        rr_before, rr_after = windows.rr_before[chunk], windows.rr_after[chunk]
        samples = _resampled(lead.samples, windows.start[chunk], windows.stop[chunk], settings.length)
        yield CutBeats(lead.r_peak_seconds[r_peaks], rr_before, rr_after, lead.quality[r_peaks], samples)


# Own code: np.interp and scipy compute in float64; their last bits would change beats that models were trained on.
def _resampled(samples: np.ndarray, start: np.ndarray, stop: np.ndarray, length: int) -> np.ndarray:
    """Interpolate `length` samples linearly between start and stop of each beat, and z-normalise them."""
    at = (start[:, None] + (stop - start)[:, None] * (np.arange(length) / length)) * SAMPLING_RATE  # (n, L)
    low = at.astype(int)
    share = (at - low).astype(np.float32)
    beats = samples[low] * (1 - share) + samples[np.minimum(low + 1, len(samples) - 1)] * share
    beats = beats - beats.mean(1, keepdims=True)
    deviation = beats.std(1, ddof=1, keepdims=True)
    return np.asarray(beats / np.where(deviation > 0, deviation, 1), np.float32)


def thinned(indices: np.ndarray, at_most: int) -> np.ndarray:
    """The indices, or `at_most` of them, evenly spaced from the first to the last, if there are more.

    Examples
    --------
    >>> thinned(np.arange(100), 4)
    array([ 0, 33, 66, 99])
    """
    if len(indices) <= at_most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, at_most).astype(int)]
