"""One lead, processed chunk by chunk: band-pass filter, R-peak detection, and the segments of unusable signal.

Memory does not grow with the length of the recording: the filtered lead is kept in a temporary file.
"""

import mmap
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation, binary_opening, map_coordinates, median_filter
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg.exceptions import InputError
from ecg.params import Cutting
from ecg.recordings.quality import SHORTEST_NOISE, Measures, measure, noisy_stretches, why_no_ecg
from ecg.recordings.r_peaks import REFRACTORY_SECONDS, detect_r_peaks
from ecg.recordings.reading import Lead

SAMPLING_RATE = 250  # Hz, of the processed lead, for any recording
CHUNK_SECONDS = 300  # processed at a time
MARGIN_SECONDS = 10  # processed in addition on both sides of a chunk, so that its edges do not show
FLAT_SECONDS = 1.0  # shortest constant signal that is unusable
FLAT_TOLERANCE = 1e-9  # largest change from sample to sample that counts as constant, as a share of the largest sample
LARGEST = float(np.finfo(np.float32).max)  # of a sample, in any unit; one that is larger counts as missing
OUTLIER_WINDOW = 2.0  # seconds, in which there is a beat
BEAT_HEIGHT = (1, 99)  # percentiles of such a window that a beat is as high as, and a few outliers do not change
OUTLIER_AROUND = 4.0  # seconds, whose median an outlier is compared with
OUTLIER_HEIGHTS = 100  # heights of beats from that median, above which a sample is an outlier; a pacemaker's has 20
LONGEST_OUTLIER = 5  # windows in a row: more are a signal after a lead that was off
LASTING_HEIGHTS = 1_000_000  # from the chunk's median, above which a sample is one however long it lasts
OUTLIER_MARGIN = 0.1  # seconds on both sides of an outlier that are lost with it
CLIPPED_SECONDS = 0.03  # shortest time at the signal's minimum or maximum that is clipping
QUALITY_SECONDS = 0.4  # on both sides of an R peak, over which its signal quality is computed
QRS_SECONDS = 0.1  # on both sides of an R peak, within which its QRS complex lies
FILTER_ORDER = 2  # of the Butterworth filter, which is applied forwards and backwards
MIN_SAMPLES = 20 * FILTER_ORDER  # that can be filtered

UnusableKind = Literal["missing", "flat", "clipped", "outlier", "noisy"]
OnProgress = Callable[[float], object]  # called with the share of the work that is done


@dataclass(frozen=True)
class UnusableSegment:
    """A segment of unusable signal, from `start` to `stop` in seconds."""

    start: float
    stop: float
    kind: UnusableKind


@dataclass(frozen=True)
class ProcessedLead:
    """A lead after filtering and R-peak detection."""

    samples: np.ndarray  # float32 of shape (n,), the filtered lead at SAMPLING_RATE, mapped from a file without a name
    r_peaks: np.ndarray  # int, of shape (m,): indices of samples; none within unusable signal
    quality: np.ndarray  # float, of shape (m,): the quality index of each R peak; 1 without baseline wander and noise
    unusable: list[UnusableSegment]  # sorted by start
    no_ecg: str | None  # why the recording is no ECG; None if it may be one
    inverted: bool  # whether the lead was inverted, because most of its QRS complexes are negative

    @property
    def r_peak_seconds(self) -> np.ndarray:
        """The times of the R peaks from the start of the recording."""
        return self.r_peaks / SAMPLING_RATE


@dataclass(frozen=True)
class ProcessedChunk:
    """A chunk of a lead after filtering and R-peak detection; what its margins had is left out.

    samples : float32 ndarray of shape (n,), the filtered lead at SAMPLING_RATE
    r_peaks, quality : of the chunk's R peaks: int ndarray, their indices in the whole lead, and float ndarray
    """

    samples: np.ndarray
    r_peaks: np.ndarray
    quality: np.ndarray
    unusable: list[UnusableSegment]
    measures: Measures
    inverted: bool


@contextmanager
def process_lead(
    lead: Lead, settings: Cutting, on_progress: OnProgress = lambda _share: None
) -> Iterator[ProcessedLead]:
    """Filter a lead, detect its R peaks and find unusable signal.

    The samples are in a temporary file without a name, which is gone when nothing refers to them any more.

    Raises
    ------
    InputError
        if the recording is too short to be filtered.
    """
    with join_chunks(process_chunks(lead, settings, on_progress=on_progress)) as processed:
        yield processed


def process_chunks(
    lead: Lead, settings: Cutting, part: int = 0, parts: int = 1, on_progress: OnProgress = lambda _share: None
) -> Iterator[ProcessedChunk]:
    """The chunks of a lead, or of one of some parts of it, from 0 on; `join_chunks` makes one lead of those of all.

    Raises
    ------
    InputError
        if the recording is too short to be filtered.
    """
    length = int(lead.seconds * SAMPLING_RATE)
    if length < 1 or lead.length < MIN_SAMPLES:
        raise InputError(f"the recording has {max(lead.length, 0)} samples; that is too short for a heartbeat")
    chunk_length = CHUNK_SECONDS * SAMPLING_RATE
    bounds = [(start, min(start + chunk_length, length)) for start in range(0, length, chunk_length)]
    inverted = _is_inverted(lead, settings, bounds)
    own = bounds[len(bounds) * part // parts : len(bounds) * (part + 1) // parts]
    for start, stop in own:
        chunk = _Chunk.read(lead, settings, start, stop)
        filtered = -chunk.filtered if inverted else chunk.filtered
        r_peaks = detect_r_peaks(filtered, SAMPLING_RATE) + chunk.first
        r_peaks = r_peaks[(r_peaks >= start) & (r_peaks < stop)]
        yield ProcessedChunk(
            samples=filtered[start - chunk.first : stop - chunk.first].astype(np.float32),
            r_peaks=r_peaks,
            quality=chunk.quality(r_peaks),
            unusable=chunk.unusable(start / SAMPLING_RATE, (start + chunk_length) / SAMPLING_RATE),
            measures=chunk.measures,
            inverted=inverted,
        )
        on_progress((stop - own[0][0]) / (own[-1][1] - own[0][0]))


@contextmanager
def join_chunks(chunks: Iterable[ProcessedChunk]) -> Iterator[ProcessedLead]:
    """All chunks of a lead, in their order, as one lead; each is let go of before the next is taken."""
    r_peaks, quality, unusable, measures = [], [], list[UnusableSegment](), list[Measures]()
    length, inverted = 0, False
    with tempfile.TemporaryFile() as file:
        for chunk in chunks:
            chunk.samples.tofile(file)
            length, inverted = length + len(chunk.samples), chunk.inverted
            r_peaks.append(chunk.r_peaks)
            quality.append(chunk.quality)
            unusable += chunk.unusable
            measures.append(chunk.measures)
        file.flush()
        segments, joined = _merged(unusable), np.concatenate(r_peaks)
        usable = ~overlapping(segments, joined / SAMPLING_RATE, joined / SAMPLING_RATE)
        usable[1:] &= np.diff(joined) > REFRACTORY_SECONDS * SAMPLING_RATE  # one peak may be detected in two chunks
        samples = np.ndarray(length, np.float32, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        no_ecg = why_no_ecg(measures)
        yield ProcessedLead(samples, joined[usable], np.concatenate(quality)[usable], segments, no_ecg, inverted)


def release(samples: np.ndarray) -> None:
    """Let go of the memory of samples that are mapped from a file: what is needed again is read again."""
    owner: Any = samples.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def unusable_seconds(segments: list[UnusableSegment]) -> dict[UnusableKind, float]:
    """How many seconds of signal are unusable, by kind."""
    return {kind: sum(s.stop - s.start for s in segments if s.kind == kind) for kind in get_args(UnusableKind)}


# Own code: pandas' IntervalIndex compares its intervals with a single one at a time.
def overlapping(segments: list[UnusableSegment], start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Which intervals overlap or touch unusable signal.

    Parameters
    ----------
    segments : sorted by start
    start, stop : float ndarrays of shape (n,), where the intervals start and stop, in seconds

    Returns
    -------
    bool ndarray of shape (n,)

    Examples
    --------
    >>> overlapping([UnusableSegment(2.0, 3.0, "flat")], np.array([0.0, 1.0]), np.array([1.0, 2.5]))
    array([False,  True])
    """
    starts = [segment.start for segment in segments]
    stops = np.array(list(accumulate((segment.stop for segment in segments), max)))
    return np.searchsorted(stops, start, side="left") < np.searchsorted(starts, stop, side="right")


def outliers(raw: np.ndarray, rate: float) -> np.ndarray:
    """Which samples are so far from the others that they are none of an ECG, or are next to one that is.

    A single one, such as 1e10 for a lost packet, would leave its mark on all that is filtered with it.

    Parameters
    ----------
    raw : float ndarray of shape (n,), NaN where samples are missing
    rate : in Hz

    Returns
    -------
    bool ndarray of shape (n,)

    Examples
    --------
    >>> raw = np.sin(np.arange(5000) / 20)
    >>> raw[2000] = 1e10
    >>> np.flatnonzero(outliers(raw, 250))[[0, -1]]
    array([1975, 2025])
    """
    width = min(round(OUTLIER_WINDOW * rate), len(raw))
    known = np.isfinite(raw)
    if not known.any():
        return np.zeros(len(raw), bool)
    windows = np.where(known, raw, np.nanmedian(raw))[: len(raw) // width * width].reshape(-1, width)
    heights = np.ptp(np.percentile(windows, BEAT_HEIGHT, axis=1), axis=0)
    heights = heights[heights > 0]
    # Of beats, even if most of the chunk has none.
    height = float(np.quantile(heights, 0.9, method="lower")) if len(heights) else 0.0
    if not 0 < OUTLIER_HEIGHTS * height < np.nanmax(raw) - np.nanmin(raw):
        return np.zeros(len(raw), bool)
    filled = _filled(raw)
    step = max(round(rate / 50), 1)
    middle = median_filter(filled[::step], round(OUTLIER_AROUND * rate / step) | 1, mode="nearest")
    around = np.repeat(middle, step)[: len(raw)]
    far = np.abs(filled - around) > OUTLIER_HEIGHTS * height
    window = np.minimum(np.arange(len(raw)) // width, len(windows) - 1)
    lasts = binary_opening(np.bincount(window, far) > 0, np.ones(LONGEST_OUTLIER + 1))
    far &= ~lasts[window]
    far |= np.abs(filled - np.median(filled)) > LASTING_HEIGHTS * height
    return binary_dilation(far & known, np.ones(2 * round(OUTLIER_MARGIN * rate) + 1)) & known


def _filled(raw: np.ndarray) -> np.ndarray:
    """Samples with missing ones interpolated; 0 if all are missing."""
    return pd.Series(raw).interpolate(limit_direction="both").fillna(0).to_numpy()


@dataclass(frozen=True)
class _Chunk:
    """A part of a lead, with margins."""

    first: int  # index of the first filtered sample
    filtered: np.ndarray  # at SAMPLING_RATE
    raw: np.ndarray  # as read, NaN where samples are missing or outliers
    outlying: np.ndarray  # bool, which raw samples are outliers, or next to one
    raw_first: int  # index of the first raw sample
    raw_rate: float  # of the raw samples, in Hz
    noise: np.ndarray  # cumulative squares of what the filter removes from the raw samples
    power: np.ndarray  # cumulative squares of the raw samples without their mean
    measures: Measures

    @classmethod
    def read(cls, lead: Lead, settings: Cutting, start: int, stop: int) -> "_Chunk":
        rate = lead.rate
        raw_first = max(int((start / SAMPLING_RATE - MARGIN_SECONDS) * rate), 0)
        raw_stop = min(int(np.ceil((stop / SAMPLING_RATE + MARGIN_SECONDS) * rate)) + 1, lead.length)
        raw = lead.read(raw_first, raw_stop)
        raw = np.where(np.abs(raw) <= LARGEST, raw, np.nan)
        outlying = outliers(raw, rate)
        raw[outlying] = np.nan
        filled = _filled(raw)
        band, kind = [settings.highpass, settings.lowpass], "bandpass"
        if settings.lowpass >= 0.45 * rate:  # the sampling rate is too low for the band
            band, kind = [settings.highpass], "highpass"
        clean = sosfiltfilt(butter(FILTER_ORDER, band, kind, fs=rate, output="sos"), filled)  # without phase shift
        first = int(np.ceil(raw_first / rate * SAMPLING_RATE))
        at = np.arange(first, stop + MARGIN_SECONDS * SAMPLING_RATE) / SAMPLING_RATE * rate - raw_first
        filtered = map_coordinates(clean, [at[at <= raw_stop - raw_first]], order=3, mode="nearest")
        beyond = max(stop - first - len(filtered), 0)  # the last sample may lie beyond the last raw one
        filtered = np.pad(filtered, (0, beyond), mode="edge")
        centred = filled - filled.mean()
        noise, power = np.cumsum(np.square(centred - clean)), np.cumsum(np.square(centred))
        return cls(first, filtered, raw, outlying, raw_first, rate, noise, power, measure(filtered, raw, SAMPLING_RATE))

    def quality(self, r_peaks: np.ndarray) -> np.ndarray:
        """The share of the power around each R peak in the filter's band (after Li, Mark, Clifford 2008)."""
        at, reach = r_peaks / SAMPLING_RATE * self.raw_rate - self.raw_first, QUALITY_SECONDS * self.raw_rate
        low, high = np.clip([at - reach, at + reach], 0, len(self.raw) - 1).astype(int)
        noise, power = self.noise[high] - self.noise[low], self.power[high] - self.power[low]
        return np.clip(1 - noise / np.maximum(power, np.finfo(float).tiny), 0, 1)

    def unusable(self, start: float, stop: float) -> list[UnusableSegment]:
        """The unusable signal between two times in seconds."""
        raw, rate, missing = self.raw, self.raw_rate, np.isnan(self.raw) & ~self.outlying
        change = np.nan_to_num(np.abs(np.diff(raw, prepend=raw[:1])))
        constant = ~np.isnan(raw) & (change <= FLAT_TOLERANCE * np.nanmax(np.abs(raw), initial=0))
        shortest_clipped = max(round(CLIPPED_SECONDS * rate), 3)
        marked: list[tuple[UnusableKind, np.ndarray, int]] = [
            ("missing", missing, 1),
            ("outlier", self.outlying, 1),
            ("flat", constant, round(FLAT_SECONDS * rate)),
            ("clipped", raw == np.nanmin(raw, initial=np.inf), shortest_clipped),
            ("clipped", raw == np.nanmax(raw, initial=-np.inf), shortest_clipped),
        ]
        segments = []
        for kind, marks, shortest in marked:
            _, runs = find_peaks(np.pad(marks.astype(np.int8), 1), plateau_size=shortest)
            for first, last in zip(runs["left_edges"].tolist(), runs["right_edges"].tolist(), strict=True):
                begins, ends = (self.raw_first + first - 1) / rate, (self.raw_first + last) / rate
                segments.append(UnusableSegment(begins, ends, kind))
        for begins, ends in noisy_stretches(self.measures):
            offset = self.first / SAMPLING_RATE
            segments.append(UnusableSegment(offset + begins, offset + ends, "noisy"))
        return [
            replace(segment, start=max(segment.start, start), stop=min(segment.stop, stop))
            for segment in segments
            if segment.stop > start and segment.start < stop
        ]


def _merged(segments: list[UnusableSegment]) -> list[UnusableSegment]:
    """Join segments of a kind that meet, drop those that lie within another, and sort them by start.

    Noise is measured over some seconds, and so reaches into signal that is unusable for another reason, such as a loose
    electrode: there, the other reason is kept, and if little noise is left, it was the other signal's edge.
    """
    merged: list[UnusableSegment] = []
    for segment in sorted(segments, key=lambda s: (s.kind, s.start)):
        if merged and merged[-1].kind == segment.kind and segment.start <= merged[-1].stop + 1e-6:
            merged[-1] = replace(merged[-1], stop=max(merged[-1].stop, segment.stop))
        else:
            merged.append(segment)
    others = [segment for segment in merged if segment.kind != "noisy"]
    others.sort(key=lambda s: (s.start, -s.stop, s.kind != "flat"))  # any that contains another comes before it
    reached = accumulate((segment.stop for segment in others), max, initial=-np.inf)
    others = [segment for segment, stop in zip(others, reached, strict=False) if segment.stop > stop]
    noisy = [part for segment in merged if segment.kind == "noisy" for part in _noise_outside(segment, others)]
    return sorted(others + noisy, key=lambda s: s.start)


def _noise_outside(segment: UnusableSegment, others: list[UnusableSegment]) -> list[UnusableSegment]:
    """The parts of a noisy segment outside others, which are sorted by start and by stop; none if they are short."""
    start, parts = segment.start, list[UnusableSegment]()
    for other in others[bisect_right(others, start, key=lambda s: s.stop) :]:
        if other.start >= segment.stop:
            break
        if other.start > start:
            parts.append(replace(segment, start=start, stop=other.start))
        start = other.stop
    if start < segment.stop:
        parts.append(replace(segment, start=start))
    left = sum(part.stop - part.start for part in parts)
    return parts if left == segment.stop - segment.start or left >= SHORTEST_NOISE else []


# Own code: NeuroKit2's ecg_invert looks at the largest deflections, and inverts records with large ectopic beats.
def _is_inverted(lead: Lead, settings: Cutting, bounds: list[tuple[int, int]]) -> bool:
    """Whether most QRS complexes are negative, in the first chunk that is usable for the most part."""
    reach = int(QRS_SECONDS * SAMPLING_RATE)
    for start, stop in bounds:
        chunk = _Chunk.read(lead, settings, start, stop)
        unusable = _merged(chunk.unusable(start / SAMPLING_RATE, stop / SAMPLING_RATE))
        lost = sum(unusable_seconds(unusable).values())
        r_peaks = detect_r_peaks(chunk.filtered, SAMPLING_RATE)
        r_peaks = r_peaks[(r_peaks >= reach) & (r_peaks < len(chunk.filtered) - reach)]
        if lost < (stop - start) / SAMPLING_RATE / 2 and len(r_peaks):
            complexes = chunk.filtered[r_peaks[:, None] + np.arange(-reach, reach + 1)]
            return bool(np.median(complexes.max(1) + complexes.min(1)) < 0)
    return False
