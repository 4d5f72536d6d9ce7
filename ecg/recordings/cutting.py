"""Beats of equal length from a lead, z-normalised, each with its time, its RR intervals and its quality."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from ecg.data.times import Times
from ecg.exceptions import InputError
from ecg.params import Cutting
from ecg.recordings.signals import RATE, Signal, touching

FEWEST = 50  # usable beats that a recording must have
MEDIAN = 25  # RR intervals that the running median is of
BLOCK = 4096  # beats cut at a time


@dataclass(frozen=True)
class Cut(Times):
    """Beats that were cut from a lead, and their times.

    samples : float32 ndarray of shape (n, L), each of mean 0 and standard deviation 1
    """

    samples: np.ndarray


@dataclass(frozen=True)
class Plan:
    """Where each usable beat begins and ends.

    beats : int ndarray of shape (n,), which of the signal's R peaks it belongs to
    start, stop : float ndarrays of shape (n,), seconds of its first sample and of the one after its last
    rr_before, rr_after : float ndarrays of shape (n,), seconds
    spoilt : how many beats touch what is no ECG
    edge : how many reach beyond the recording's start or end
    """

    beats: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray
    spoilt: int
    edge: int

    @classmethod
    def of(cls, signal: Signal, settings: Cutting) -> "Plan":
        """Find the usable beats; InputError if there are fewer than FEWEST, with what became of the others."""
        seconds, end = signal.seconds, len(signal.samples) / RATE
        rr = np.diff(seconds)
        rr[touching(signal.stretches, seconds[:-1], seconds[1:])] = np.nan  # a beat may be missing there
        before, after = np.concatenate(([np.nan], rr)), np.concatenate((rr, [np.nan]))
        if settings.segmentation == "rr":
            start, stop = seconds, np.concatenate((seconds[1:], [np.inf]))
        else:
            unit = running_median(rr, len(seconds)) if settings.segmentation == "rhythm" else 1.0
            ahead, behind = settings.rhythm if settings.segmentation == "rhythm" else settings.window
            start, stop = seconds - ahead * unit, seconds + behind * unit
        inside = (start >= 0) & (stop <= end - 1 / RATE)
        spoilt = inside & touching(signal.stretches, start, stop)
        usable = np.flatnonzero(inside & ~spoilt & (stop > start))
        if len(usable) < FEWEST:
            lost = ", ".join(f"{seconds:.0f} s {kind}" for kind, seconds in signal.lost().items() if seconds)
            raise InputError(
                f"the recording of {end:.0f} s has {len(usable)} usable beats; {FEWEST} are needed. Found "
                f"{len(seconds)} R peaks, {int(spoilt.sum())} of them beside what is no ECG ({lost or 'nothing'}); "
                "another lead may do"
            )
        start, stop, before, after = (column[usable] for column in (start, stop, before, after))
        return cls(usable, start, stop, before, after, int(spoilt.sum()), int((~inside).sum()))


def running_median(rr: np.ndarray, beats: int) -> np.ndarray:
    """The median RR interval around each of as many beats, from the intervals between them, NaN where unknown.

    NaN for all if no interval is known.
    """
    known = np.flatnonzero(np.isfinite(rr))
    if not len(known):
        return np.full(beats, np.nan)
    return np.interp(np.arange(beats) - 0.5, known, median_filter(rr[known], MEDIAN, mode="nearest"))


def cut(signal: Signal, plan: Plan, settings: Cutting) -> Iterator[Cut]:
    """The planned beats, up to BLOCK at a time."""
    for first in range(0, len(plan.beats), BLOCK):
        part = slice(first, first + BLOCK)
        of = plan.beats[part]
        yield Cut(
            seconds=signal.seconds[of],
            rr_before=plan.rr_before[part],
            rr_after=plan.rr_after[part],
            quality=signal.quality[of],
            samples=_resampled(signal.samples, plan.start[part], plan.stop[part], settings.length),
        )


def _resampled(samples: np.ndarray, start: np.ndarray, stop: np.ndarray, length: int) -> np.ndarray:
    """The samples between two times, as many of each beat, by straight lines; z-normalised."""
    place = (start[:, None] + (stop - start)[:, None] * (np.arange(length) / length)) * RATE  # (n, L)
    low = place.astype(int)
    share = (place - low).astype(np.float32)
    beats = samples[low] * (1 - share) + samples[np.minimum(low + 1, len(samples) - 1)] * share
    beats = beats - beats.mean(1, keepdims=True)
    deviation = beats.std(1, ddof=1, keepdims=True)
    return np.asarray(beats / np.where(deviation > 0, deviation, 1), np.float32)
