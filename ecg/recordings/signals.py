"""One lead, a block at a time: filtered, its R peaks found, and the stretches marked that are no ECG.

R peaks are found by NeuroKit2's own method (Makowski et al. 2021, "NeuroKit2: A Python toolbox for neurophysiological
signal processing"; Brammer 2020), which `benchmarks/recordings` compares with others. Memory does not grow with the
recording: the filtered lead lies in a temporary file.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import butter, sosfiltfilt

from ecg.exceptions import InputError
from ecg.params import Cutting
from ecg.recordings.reading import Lead

RATE = 250  # Hz, of the filtered lead, whatever the recording's
BLOCK, MARGIN = 300, 10  # seconds worked on at a time, and what is looked at on both sides of them
FLAT = 1.0  # seconds without any change that no heart leaves
CLIPPED = 0.03  # seconds at the signal's very top or bottom that no peak stays there
REFRACTORY = 0.2  # seconds after an R peak in which there is no other
AROUND = 0.4  # seconds on both sides of an R peak that its quality is of
QRS = 0.1  # seconds on both sides of an R peak in which its QRS complex lies
ORDER = 2  # of the Butterworth filter, which passes forwards and backwards
TILT = 1e-9  # of the signal's own size: less is no change

Kind = Literal["missing", "flat", "clipped"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Follow = Callable[[float], object]  # is told the share that is done


@dataclass(frozen=True)
class Stretch:
    """A part of the recording that is no ECG, in seconds."""

    start: float
    stop: float
    kind: Kind


@dataclass(frozen=True)
class Signal:
    """A lead that was gone through.

    samples : float32 memory map of shape (n,), the filtered lead at RATE
    peaks : int ndarray of shape (m,), where the R peaks are among the samples; none within a stretch
    quality : float ndarray of shape (m,), the share of the power around each R peak that the filter lets through: 1 is
        free of drift and noise (after the spectral indices of Li, Mark, Clifford 2008)
    stretches : what is no ECG, in its order
    inverted : whether the lead was turned over, because its large deflections point down
    """

    samples: np.ndarray
    peaks: np.ndarray
    quality: np.ndarray
    stretches: list[Stretch]
    inverted: bool

    @property
    def seconds(self) -> np.ndarray:
        """When each R peak is, from the start of the recording."""
        return self.peaks / RATE

    def lost(self) -> dict[Kind, float]:
        """How many seconds are no ECG, by kind."""
        return {kind: sum(s.stop - s.start for s in self.stretches if s.kind == kind) for kind in KINDS}


@contextmanager
def gone_through(lead: Lead, settings: Cutting, follow: Follow = lambda _share: None) -> Iterator[Signal]:
    """Filter a lead, find its R peaks, and mark what is no ECG; the samples are gone with the context.

    InputError if nothing of it is an ECG.
    """
    length = int(lead.seconds * RATE)
    if length < 1:
        raise InputError(f"the recording has {max(lead.length, 0)} samples; that is no heartbeat")
    starts = range(0, length, BLOCK * RATE)
    inverted = _inverted(lead, settings, starts)
    peaks, quality, stretches = [], [], []
    with tempfile.TemporaryFile() as file:
        for start in starts:
            block = _Block.of(lead, settings, start, min(start + BLOCK * RATE, length))
            filtered = -block.filtered if inverted else block.filtered
            inside = slice(start - block.first, min(start + BLOCK * RATE, length) - block.first)
            filtered[inside].astype(np.float32).tofile(file)
            found = _peaks(filtered)
            found = found[(found >= inside.start) & (found < inside.stop)]
            peaks.append(found + block.first)
            quality.append(block.quality(found))
            stretches += block.stretches(start / RATE, (start + BLOCK * RATE) / RATE)
            follow(min(start + BLOCK * RATE, length) / length)
        file.flush()
        joined = _joined(stretches)
        places, good = np.concatenate(peaks).astype(int), np.concatenate(quality)
        clear = ~touching(joined, places / RATE, places / RATE)
        clear[1:] &= np.diff(places) > REFRACTORY * RATE  # one peak, seen from the blocks on both sides of it
        yield Signal(np.memmap(file, np.float32, "r", shape=(length,)), places[clear], good[clear], joined, inverted)


def touching(stretches: list[Stretch], start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Which of the spans from `start` to `stop`, seconds of shape (n,), touch a stretch: bool of shape (n,)."""
    begins = np.array([stretch.start for stretch in stretches])
    ends = np.maximum.accumulate([stretch.stop for stretch in stretches]) if stretches else np.empty(0)
    before = np.searchsorted(begins, stop, side="right")  # as many begin before the span ends
    return np.searchsorted(ends, start, side="left") < before


@dataclass(frozen=True)
class _Block:
    """A part of the lead with margins.

    first : the place of its first sample among those at RATE
    filtered : float ndarray, at RATE
    raw : float ndarray, as read, NaN where there is nothing
    begin, rate : the number of the first raw sample, and their rate
    noise, power : cumulated squares of what the filter takes out, and of all but the mean, of the raw samples
    """

    first: int
    filtered: np.ndarray
    raw: np.ndarray
    begin: int
    rate: float
    noise: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, lead: Lead, settings: Cutting, start: int, stop: int) -> "_Block":
        begin = max(int((start / RATE - MARGIN) * lead.rate), 0)
        end = min(int(np.ceil((stop / RATE + MARGIN) * lead.rate)) + 1, lead.length)
        raw = lead.read(begin, end)
        raw = np.where(np.isfinite(raw), raw, np.nan)
        filled = _filled(raw)
        clean = _filter(filled, settings, lead.rate)
        first = int(np.ceil(begin / lead.rate * RATE))
        places = np.arange(first, stop + MARGIN * RATE) / RATE * lead.rate - begin
        filtered = map_coordinates(clean, [places[places <= end - begin]], order=3, mode="nearest")
        if len(filtered) < stop - first:  # the very last sample lies beyond the last raw one
            filtered = np.pad(filtered, (0, stop - first - len(filtered)), mode="edge")
        centred = filled - filled.mean()
        return cls(
            first,
            filtered,
            raw,
            begin,
            lead.rate,
            np.cumsum(np.square(centred - clean)),
            np.cumsum(np.square(centred)),
        )

    def quality(self, peaks: np.ndarray) -> np.ndarray:
        """The share of the power around each of the peaks, places in the block, that is left by the filter."""
        place = (peaks + self.first) / RATE * self.rate - self.begin
        low = np.clip(place - AROUND * self.rate, 0, len(self.raw) - 1).astype(int)
        high = np.clip(place + AROUND * self.rate, 0, len(self.raw) - 1).astype(int)
        noise, power = self.noise[high] - self.noise[low], self.power[high] - self.power[low]
        return np.clip(1 - noise / np.maximum(power, np.finfo(float).tiny), 0, 1)

    def stretches(self, start: float, stop: float) -> list[Stretch]:
        """What is no ECG between two times."""
        missing = np.isnan(self.raw)
        steps = np.abs(np.diff(self.raw, prepend=self.raw[:1]))
        same = ~missing & (np.nan_to_num(steps) <= TILT * _size(self.raw))
        marked = [("missing", _runs(missing, 1)), ("flat", _runs(same, round(FLAT * self.rate)))]
        shortest = max(round(CLIPPED * self.rate), 3)
        if not missing.all():
            extremes = (np.nanmin(self.raw), np.nanmax(self.raw))
            marked += [("clipped", _runs(self.raw == extreme, shortest)) for extreme in extremes]
        found = []
        for kind, runs in marked:
            for first, last in runs:
                begins, ends = (self.begin + first) / self.rate, (self.begin + last) / self.rate
                if ends > start and begins < stop:
                    found.append(Stretch(max(begins, start), min(ends, stop), kind))  # type: ignore[arg-type]
        return found


def _size(raw: np.ndarray) -> float:
    return float(np.nanmax(np.abs(raw))) if np.isfinite(raw).any() else 0.0


def _runs(marks: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """The runs of true values of at least this length, as first place and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marks.view(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= shortest
    return list(zip(starts[long].tolist(), stops[long].tolist(), strict=True))


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    """Stretches in their order, those of a kind that meet at the edge of a block as one; flat ones are not clipped."""
    joined: list[Stretch] = []
    last: dict[Kind, int] = {}
    for stretch in sorted(stretches, key=lambda s: (s.start, s.kind != "flat")):
        place = last.get(stretch.kind)
        if place is not None and stretch.start <= joined[place].stop + 1e-6:
            joined[place] = Stretch(joined[place].start, max(joined[place].stop, stretch.stop), stretch.kind)
        elif not any(s.start <= stretch.start and stretch.stop <= s.stop for s in joined[-3:]):
            last[stretch.kind] = len(joined)
            joined.append(stretch)
    return joined


def _filled(raw: np.ndarray) -> np.ndarray:
    """The samples with straight lines across what is missing; zeros if all is."""
    there = np.flatnonzero(np.isfinite(raw))
    if not len(there):
        return np.zeros(len(raw))
    return np.interp(np.arange(len(raw)), there, raw[there]) if len(there) < len(raw) else raw


def _filter(samples: np.ndarray, settings: Cutting, rate: float) -> np.ndarray:
    """The band of the samples that is asked for; all above the high-pass where the rate has no more."""
    band = [settings.highpass, settings.lowpass] if settings.lowpass < 0.45 * rate else settings.highpass
    sos = butter(ORDER, band, "bandpass" if isinstance(band, list) else "highpass", fs=rate, output="sos")
    if len(samples) < 10 * ORDER * 2:
        raise InputError(f"the recording has {len(samples)} samples; that is no heartbeat")
    return np.ascontiguousarray(sosfiltfilt(sos, samples))


def _peaks(filtered: np.ndarray) -> np.ndarray:
    """The places of the R peaks; none where nothing moves."""
    import neurokit2 as nk

    if not np.ptp(filtered) > 0 or len(filtered) < RATE:
        return np.empty(0, int)
    return np.asarray(nk.ecg_findpeaks(filtered, sampling_rate=RATE, method="neurokit")["ECG_R_Peaks"], int)


def _inverted(lead: Lead, settings: Cutting, starts: range) -> bool:
    """Whether most beats reach further down than up, by the first block of which at least half is an ECG.

    Most beats, not the largest: ectopic ones may point the other way.
    """
    reach = int(QRS * RATE)
    for start in starts:
        stop = min(start + BLOCK * RATE, int(lead.seconds * RATE))
        block = _Block.of(lead, settings, start, stop)
        lost = sum(s.stop - s.start for s in block.stretches(start / RATE, stop / RATE))
        peaks = _peaks(block.filtered)
        peaks = peaks[(peaks >= reach) & (peaks < len(block.filtered) - reach)]
        if lost < (stop - start) / RATE / 2 and len(peaks):
            around = block.filtered[peaks[:, None] + np.arange(-reach, reach + 1)]
            return bool(np.median(around.max(1) + around.min(1)) < 0)
    return False
