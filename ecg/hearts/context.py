"""The patient's own normal beat and rhythm, and how each beat of a recording differs from them.

Nothing here is trained. The normal beat is that of the patient's usual rhythm: the median of the beats that are most
alike and in time. From there it is followed through the recording: a beat that resembles the normal beat of its
neighbourhood, and comes in time, is *explained* by it, and the normal beat of each moment is the mean of the explained
beats around it. Other beats, however many, do not change it.

Each beat is compared with the normal beat at the best of some small shifts and gains; amplitudes are in units of the
patient's own normal beat. So what remains is how this beat differs from what this heart usually does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from ecg.params import Cutting
from ecg.recordings.cutting import BeatWindows, thinned
from ecg.recordings.signals import SAMPLING_RATE, ProcessedLead, release

BEFORE, AFTER = 65, 115  # samples of a beat before and after its R peak, at SAMPLING_RATE: 0.26 and 0.46 s
LENGTH = BEFORE + AFTER
SHIFT = 4  # samples by which a beat may be shifted to resemble the normal beat
STEP = 2  # every second sample of a beat is an input of the network
GAINS = (0.6, 1.6)  # times the normal beat that a beat may be as large as
# How a recording is filtered, and how much of the signal around an R peak should be usable.
CUTTING = Cutting(
    highpass=0.5,
    lowpass=40.0,
    segmentation="window",
    window=[(BEFORE + SHIFT) / SAMPLING_RATE, (AFTER + SHIFT) / SAMPLING_RATE],
    rhythm=[0.8, 0.5],
    length=LENGTH // STEP,
)

START_SECONDS = 300  # of a recording, that its later beats are compared with
GRID_SECONDS = 0.5  # at which beats are sampled, so that a rhythm counts by its duration, not by its beats
CORE_SAMPLES = 4096  # beats that the first normal beat is computed from, at most
CORE_ROUNDS = 3
ROUNDS = 4  # in which the normal beats and the explained beats are computed from one another
BLOCK = 16  # beats that share a normal beat
AROUND = 64  # explained beats around a block, of which its normal beat is the mean
FEWEST = 30  # explained beats: with fewer, the last round is not used

TOLERANCE = 1.2  # log units of the squared difference above the usual one, up to which a beat is explained
IN_TIME = (0.15, 0.25)  # log units of the RR interval: the least and the largest tolerance
IN_TIME_DEVIATIONS = 3.0  # standard deviations of the rhythm, between these
MUCH_FASTER = 0.75  # of the start's, or of the usual, RR interval: a faster rhythm is not taken for the usual one
RESTING_RR = 0.55  # seconds: a new rhythm is followed if it is not faster than this
NEW_RHYTHM = 0.35  # share of beats of normal shape in the old rhythm, below which there is a new one
NEAR_RHYTHM = 0.25  # log units of the RR interval around the old rhythm
RR_AROUND, LEVEL_AROUND = 25, 51  # beats that running medians are taken over
MOST_IRREGULAR = 0.3  # log units
EXCESSES = (-3.0, 6.0)  # log units that an excess is limited to
LARGEST_RR = 1.5  # log units that an RR interval is limited to, beside the normal one, for the network
CHUNK_BEATS = 4096  # compared at a time
_TINY = 1e-12
_MAD = 0.6745  # of the standard normal distribution: its median absolute deviation

RHYTHM = ("two_before", "one_before", "before", "after", "one_after", "two_after")  # RR intervals around a beat
# How much the beats before and after differ from the normal beat beyond what is usual, the logarithm of the rhythm's
# irregularity, and the usual difference.
SURROUNDINGS = ("excess_before", "excess_after", "irregularity", "usual")
IRREGULARITY_OFFSET = 0.01  # added before the logarithm


@dataclass(frozen=True)
class BeatsInContext:
    """Beats as the network takes them.

    Attributes
    ----------
    beat : float32 ndarray of shape (n, L), aligned with the normal beat, without offset, in units of its root mean
        square
    normal : float32 ndarray of shape (n, L), the patient's normal beat around that time, in the same unit
    rhythm : float32 ndarray of shape (n, 6), the logarithms of the RR intervals RHYTHM over the normal one; 0 if
        unknown
    surroundings : float32 ndarray of shape (n, 4), SURROUNDINGS
    """

    beat: np.ndarray
    normal: np.ndarray
    rhythm: np.ndarray
    surroundings: np.ndarray

    def __len__(self) -> int:
        return len(self.beat)

    @property
    def columns(self) -> np.ndarray:
        """All of it side by side, as the ONNX file takes it: float32 of shape (n, 2 L + 10)."""
        return np.concatenate([self.beat, self.normal, self.rhythm, self.surroundings], axis=1)

    @classmethod
    def of_columns(cls, columns: np.ndarray) -> Self:
        """What `columns` gave."""
        beat = LENGTH // STEP
        return cls(*np.split(columns, [beat, 2 * beat, 2 * beat + len(RHYTHM)], axis=1))


@dataclass(frozen=True)
class Context:
    """The normal beat and rhythm at each of n beats of a recording, and how the beat differs from them.

    Attributes
    ----------
    normals : float32 ndarray of shape (blocks, LENGTH), the normal beat of each BLOCK beats, without offset
    shift : int ndarray of shape (n,), by which each beat resembles the normal beat most
    difference : float ndarray of shape (n,), logarithm of the squared difference over the normal beat's square
    usual : float ndarray of shape (n,), the difference that is usual among explained beats around
    log_rr : float ndarray of shape (n,), logarithm of the RR interval before a beat over the normal one; 0 if unknown
    normal_rr : float ndarray of shape (n,), the normal RR interval at each beat, in seconds
    irregularity : float ndarray of shape (n,), the rhythm's standard deviation, in log units of the RR interval
    alike : bool ndarray of shape (n,), whether the beat has the shape of the normal beat
    explained : bool ndarray of shape (n,), whether it also comes in time
    """

    normals: np.ndarray
    shift: np.ndarray
    difference: np.ndarray
    usual: np.ndarray
    log_rr: np.ndarray
    normal_rr: np.ndarray
    irregularity: np.ndarray
    alike: np.ndarray
    explained: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """How much each beat differs from the normal beat beyond what is usual, in log units: (n,)."""
        return np.clip(self.difference - self.usual, *EXCESSES)


@dataclass(frozen=True)
class Heart:
    """The beats of a recording, to be compared with a normal beat.

    Attributes
    ----------
    samples : float32 ndarray or memory map, the filtered lead
    r_peaks : int ndarray of shape (n,), indices of samples
    rr_before, rr_after : float ndarrays of shape (n,), seconds; NaN where unknown
    """

    samples: np.ndarray
    r_peaks: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray

    @classmethod
    def of(cls, lead: ProcessedLead, windows: BeatWindows) -> Self:
        """The usable beats of a lead, cut by CUTTING."""
        return cls(lead.samples, lead.r_peaks[windows.r_peaks], windows.rr_before, windows.rr_after)

    def __len__(self) -> int:
        return len(self.r_peaks)

    @property
    def seconds(self) -> np.ndarray:
        """The times of the beats from the start of the recording."""
        return self.r_peaks / SAMPLING_RATE

    def windows(self, beats: np.ndarray | slice) -> np.ndarray:
        """The signal around the R peaks of some beats, with SHIFT more samples at both ends."""
        at = self.r_peaks[beats, None] + np.arange(-BEFORE - SHIFT, AFTER + SHIFT)
        return self._at(at)

    def aligned(self, beats: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """The beats, shifted, each without its mean: (m, LENGTH)."""
        at = (self.r_peaks[beats] + shift)[:, None] + np.arange(-BEFORE, AFTER)
        return centred(self._at(at))

    def _at(self, at: np.ndarray) -> np.ndarray:
        """The samples at some indices, or at the nearest of the recording."""
        samples = self.samples[np.clip(at, 0, len(self.samples) - 1)]
        release(self.samples)
        return samples


def follow(heart: Heart, known: np.ndarray | None = None) -> Context:
    """Follow the patient's normal beat through a recording.

    Parameters
    ----------
    heart : the beats of a recording, at least two
    known : bool ndarray of shape (n,), beats that are known to be normal: they are explained from the beginning, beside
        those of the usual rhythm that are most alike
    """
    log_rr = np.log(_known_rr(heart.rr_before))
    explained = _usual_beats(heart, log_rr)
    if known is not None:
        explained |= known
    shift = np.zeros(len(heart), int)
    for _ in range(ROUNDS):
        normals = _means_around(heart, explained, shift)
        context = _compare(heart, normals, log_rr, explained)
        shift = context.shift
        if context.explained.sum() < FEWEST:
            break
        explained = context.explained
    return context


def compare_with_start(heart: Heart, followed: Context, start: float = START_SECONDS) -> Context:
    """Compare all beats with the normal beat and rhythm of the recording's start.

    These are of its explained beats; of the beats that are most alike and in time there, if hardly any is explained,
    since the start is unlike the rest; of the first explained beats, if the start has no such beats either.

    Parameters
    ----------
    followed : what `follow` found
    start : seconds of the recording that count as its start
    """
    log_rr = np.log(_known_rr(heart.rr_before))
    first, shift = followed.explained & (heart.seconds < start), followed.shift
    if first.sum() < FEWEST:  # shifts to another normal beat say nothing
        first, shift = _core(heart, _in_time(log_rr), start), np.zeros(len(heart), int)
    if first.sum() < FEWEST:
        first, shift = followed.explained & (np.cumsum(followed.explained) <= AROUND), followed.shift
    normal = heart.aligned(np.flatnonzero(first), shift[first]).mean(axis=0)
    normals = np.broadcast_to(normal.astype(np.float32), followed.normals.shape)
    return _compare(heart, normals, log_rr, first, fixed=True)


def resembling(heart: Heart, normal: np.ndarray, usual: float) -> np.ndarray:
    """Which beats resemble a normal beat of another recording of the patient, and come in time: bool of shape (n,).

    Parameters
    ----------
    normal : float ndarray of shape (LENGTH,), in any unit
    usual : the difference from it that is usual
    """
    alike, scaled = np.zeros(len(heart), bool), _scaled(heart, normal)
    for chunk in _chunks(len(heart)):
        _, _, difference = match(heart.windows(chunk), np.broadcast_to(scaled, (len(alike[chunk]), LENGTH)))
        alike[chunk] = difference < usual + TOLERANCE
    return alike & _in_time(np.log(_known_rr(heart.rr_before)))


def compare_with(heart: Heart, followed: Context, normal: np.ndarray, usual: float, like: np.ndarray) -> Context:
    """Compare all beats with a normal beat of another recording of the patient, and with the rhythm of those like it.

    Parameters
    ----------
    followed : what `follow` found
    normal, usual : as `resembling` takes them
    like : bool ndarray of shape (n,), what it found
    """
    normals = np.broadcast_to(_scaled(heart, normal).astype(np.float32), followed.normals.shape)
    return _compare(heart, normals, np.log(_known_rr(heart.rr_before)), like, fixed=True, usual_everywhere=usual)


def _scaled(heart: Heart, normal: np.ndarray) -> np.ndarray:
    """A normal beat, as large as the usual beat of a recording."""
    some = thinned(np.arange(len(heart)), CORE_SAMPLES)
    usual = np.median(unit_of(heart.aligned(some, np.zeros(len(some), int))))
    return normal * (usual / unit_of(normal[None])[0, 0])


def _compare(
    heart: Heart,
    normals: np.ndarray,
    log_rr: np.ndarray,
    explained: np.ndarray,
    *,
    fixed: bool = False,
    usual_everywhere: float | None = None,
) -> Context:
    n = len(heart)
    shift, difference = np.empty(n, int), np.empty(n)
    for chunk in _chunks(n):
        normal = normals[np.arange(n)[chunk] // BLOCK]
        shift[chunk], _, difference[chunk] = match(heart.windows(chunk), normal)
    usual = np.full(n, usual_everywhere)
    if usual_everywhere is None:
        usual = _running(difference, explained, LEVEL_AROUND)
    alike = difference < usual + TOLERANCE
    normal_rr = _running(log_rr, explained, RR_AROUND)
    if not fixed:
        normal_rr = _new_rhythms(log_rr, normal_rr, alike)
    own = np.where(np.isfinite(heart.rr_before), log_rr - normal_rr, 0.0)
    deviation = _running(np.abs(own), alike, LEVEL_AROUND) / _MAD
    irregularity = np.minimum(deviation, MOST_IRREGULAR)
    in_time = np.abs(own) < np.clip(IN_TIME_DEVIATIONS * irregularity, *IN_TIME)
    return Context(
        normals=normals,
        shift=shift,
        difference=difference,
        usual=usual,
        log_rr=own,
        normal_rr=np.exp(normal_rr),
        irregularity=irregularity,
        alike=alike,
        explained=alike & in_time,
    )


def beats_in_context(heart: Heart, context: Context, chosen: np.ndarray | slice) -> BeatsInContext:
    """Some beats of a recording as inputs of the network, by their indices."""
    beats = np.arange(len(heart))[chosen]
    normal = context.normals[beats // BLOCK]
    unit = unit_of(normal)
    beat = heart.aligned(beats, context.shift[beats])
    excess = np.pad(context.excess, 1)
    surroundings = (
        excess[beats],
        excess[beats + 2],
        np.log(context.irregularity[beats] + IRREGULARITY_OFFSET),
        context.usual[beats],
    )
    rr = np.pad(np.clip(context.log_rr, -LARGEST_RR, LARGEST_RR), 3, mode="edge")
    return BeatsInContext(
        beat=(beat / unit)[:, ::STEP].astype(np.float32),
        normal=(normal / unit)[:, ::STEP].astype(np.float32),
        rhythm=np.stack([rr[beats + 1 + k] for k in range(len(RHYTHM))], axis=1).astype(np.float32),
        surroundings=np.stack(surroundings, axis=1).astype(np.float32),
    )


def unit_of(normal: np.ndarray) -> np.ndarray:
    """The unit of beats, the root mean square of their normal beats: (n, LENGTH) -> (n, 1)."""
    return np.sqrt(np.maximum(np.square(normal).mean(axis=1, keepdims=True, dtype=float), _TINY))


def _known_rr(rr: np.ndarray) -> np.ndarray:
    """The RR intervals; where one is unknown, the median of the others."""
    return np.where(np.isfinite(rr), rr, np.nanmedian(rr) if np.isfinite(rr).any() else 1.0)


def _usual_beats(heart: Heart, log_rr: np.ndarray) -> np.ndarray:
    """The beats that are most alike and in time, of the whole recording or, if that is much faster, of its start."""
    in_time = _in_time(log_rr)
    everywhere, start = _core(heart, in_time, np.inf), _core(heart, in_time, START_SECONDS)
    if not start.any() or not everywhere.any():
        return everywhere | start | in_time
    faster = np.median(log_rr[everywhere]) < np.median(log_rr[start]) + np.log(MUCH_FASTER)
    core = start if faster else everywhere
    usual = np.median(log_rr[core])
    return core & (log_rr > min(usual + np.log(MUCH_FASTER), np.log(RESTING_RR)))


def _in_time(log_rr: np.ndarray) -> np.ndarray:
    """The beats that come in time, compared with those around: bool of shape (n,)."""
    return np.abs(log_rr - _running(log_rr, np.ones(len(log_rr), bool), RR_AROUND)) < IN_TIME[0]


def _core(heart: Heart, in_time: np.ndarray, until: float) -> np.ndarray:
    """The beats up to some seconds that are in time and close to the median beat: bool of shape (n,)."""
    seconds = heart.seconds
    end = min(until, seconds[-1])
    grid = thinned(np.searchsorted(seconds, np.arange(seconds[0], end, GRID_SECONDS)), CORE_SAMPLES)
    grid = grid[in_time[grid]]
    if not len(grid):
        return np.zeros(len(heart), bool)
    windows = heart.windows(grid)
    normal, limit = np.median(centred(windows[:, SHIFT:-SHIFT]), axis=0), 0.0
    for _ in range(CORE_ROUNDS):
        shift, _, difference = match(windows, np.broadcast_to(normal, (len(grid), LENGTH)))
        limit = float(np.median(difference)) + np.log(2)
        near = difference <= limit
        normal = np.median(heart.aligned(grid[near], shift[near]), axis=0)
    core = in_time & (seconds <= until)
    for chunk in _chunks(int((seconds <= until).sum())):
        _, _, difference = match(heart.windows(chunk), np.broadcast_to(normal, (len(seconds[chunk]), LENGTH)))
        core[chunk] &= difference <= limit
    return core


def match(windows: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shift and the gain at which the normal beat explains each beat best, and the log of what is left.

    Parameters
    ----------
    windows : float32 ndarray of shape (m, LENGTH + 2 SHIFT)
    normal : float32 ndarray of shape (m, LENGTH), without offset

    Returns
    -------
    Three ndarrays of shape (m,); what is left is the mean square, over that of the normal beat
    """
    windows, normal = windows.astype(float), normal.astype(float)  # rounded sums are then alike on every machine
    shifted = np.lib.stride_tricks.sliding_window_view(windows, LENGTH, axis=1)  # (m, 2 SHIFT + 1, LENGTH)
    product = np.einsum("msk,mk->ms", shifted, normal)
    sums, squares = (np.pad(np.cumsum(x, axis=1), ((0, 0), (1, 0))) for x in (windows, np.square(windows)))
    power = squares[:, LENGTH:] - squares[:, :-LENGTH] - np.square(sums[:, LENGTH:] - sums[:, :-LENGTH]) / LENGTH
    size = np.maximum(np.square(normal).sum(axis=1), _TINY)[:, None]
    gain = np.clip(product / size, *GAINS)
    left = np.maximum(power - 2 * gain * product + np.square(gain) * size, 0) / size
    best = left.argmin(axis=1)
    rows = np.arange(len(windows))
    return best - SHIFT, gain[rows, best], np.log(left[rows, best] + 1e-6)


def _means_around(heart: Heart, explained: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """For each block of beats, the mean of the AROUND explained beats that are closest to it: (blocks, LENGTH)."""
    blocks = -(-len(heart) // BLOCK)
    sums, counts = np.zeros((blocks + 1, LENGTH)), np.zeros(blocks + 1, int)
    for chunk in _chunks(len(heart)):
        beats = np.arange(len(heart))[chunk][explained[chunk]]
        np.add.at(sums, beats // BLOCK + 1, heart.aligned(beats, shift[beats]))
        np.add.at(counts, beats // BLOCK + 1, 1)
    sums, counts = sums.cumsum(axis=0), counts.cumsum()
    block = np.arange(blocks)
    middle = (counts[:-1] + counts[1:]) / 2
    low = np.searchsorted(counts, np.clip(middle - AROUND / 2, 0, max(counts[-1] - AROUND, 0)), side="right") - 1
    high = np.searchsorted(counts, np.minimum(counts[low] + AROUND, counts[-1]), side="left")
    low, high = np.minimum(low, block), np.maximum(high, block + 1)
    return ((sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)[:, None]).astype(np.float32)


def _new_rhythms(log_rr: np.ndarray, normal_rr: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """The normal log RR interval, changed to that of a new rhythm where few alike beats are in the old one."""
    where = np.flatnonzero(alike)
    if not len(where):
        return normal_rr
    near = (np.abs(log_rr - normal_rr) < NEAR_RHYTHM)[where].astype(float)
    share = np.interp(np.arange(len(log_rr)), where, uniform_filter1d(near, LEVEL_AROUND, mode="nearest"))
    around = _running(log_rr, alike, LEVEL_AROUND)
    return np.where((share < NEW_RHYTHM) & (around > np.log(RESTING_RR)), around, normal_rr)


def _running(values: np.ndarray, where: np.ndarray, around: int) -> np.ndarray:
    """The running median of some values, interpolated at all others."""
    known = np.flatnonzero(where)
    if not len(known):
        return np.full(len(values), np.median(values))
    medians = median_filter(values[known], min(around, len(known) // 2 * 2 + 1), mode="nearest")
    return np.interp(np.arange(len(values)), known, medians)


def centred(beats: np.ndarray) -> np.ndarray:
    """The beats without their means, in double precision: its sums are alike on every machine once they are rounded."""
    return beats - beats.mean(axis=1, keepdims=True, dtype=float)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(first, min(first + CHUNK_BEATS, n)) for first in range(0, n, CHUNK_BEATS))
