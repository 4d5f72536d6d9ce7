"""Stretches that are unlike a recording's start, and a usual beat or rhythm that changes for good.

A change for good is a time before and after which the usual beat differs, as it does nowhere else, and which nearly all
of the recording agrees with: what comes before resembles the earlier usual beat, what comes after the later one. The
same is done for the rhythm. Numbers were chosen on single records of development patients, and on two joined ones
(`python -m benchmarks.scans`).
"""

from dataclasses import dataclass

import numpy as np

from ecg.hearts.context import SHIFT, Heart, centred, match
from ecg.scanning.records import Change

CHANGE_SECONDS = 60.0  # over which most beats must be unlike the start, for a change that is reported
CHANGE_SHARE = 0.7  # of the beats, which are most

BIN_SECONDS = 30.0  # of which there is a usual beat and rhythm
FEWEST_BEATS = 8  # in these
AROUND = 4  # bins before and after a change that are compared
AGREE = 0.9  # share of the bins before, and after, that must be nearer to their own side
MOST_CANDIDATES = 8  # times that are looked at, the largest differences first
# Logarithms of the squared difference of two usual beats, over the square of one: at a change; above what is usual in
# the recording; and above what bins differ from their own side.
AT_CHANGE, ABOVE_USUAL, ABOVE_OWN = -2.0, 2.5, 1.5
RHYTHM_SCALES = (0.2, 1.0)  # log units of the RR interval and of its irregularity that count alike
RHYTHM_CHANGE = 1.5  # of these
IRREGULARITY_OFFSET = 0.01


def find_changes(heart: Heart, unlike: np.ndarray, duration: float) -> list[Change]:
    """The changes of a recording, in the order of time.

    Parameters
    ----------
    heart : the beats of the recording
    unlike : bool ndarray of shape (n,), whether each beat is unlike the recording's start
    duration : of the recording, in seconds
    """
    stretches = _stretches(heart.seconds, unlike, duration)
    for_good = _for_good(heart, duration)
    if for_good is None or any(s.lasts and abs(s.start - for_good.start) < CHANGE_SECONDS for s in stretches):
        return stretches
    return [stretch for stretch in stretches if stretch.stop <= for_good.start + CHANGE_SECONDS] + [for_good]


def _stretches(seconds: np.ndarray, unlike: np.ndarray, duration: float) -> list[Change]:
    """Stretches of at least CHANGE_SECONDS in which most beats are unlike the recording's start."""
    total = np.concatenate(([0], np.cumsum(unlike)))
    first = np.searchsorted(seconds, seconds - CHANGE_SECONDS / 2)
    after = np.searchsorted(seconds, seconds + CHANGE_SECONDS / 2, side="right")
    most = total[after] - total[first] >= CHANGE_SHARE * (after - first)
    changes = []
    edges = np.flatnonzero(np.diff(most.astype(int), prepend=0, append=0)).tolist()
    for begins, ends in zip(edges[::2], edges[1::2], strict=True):
        own = np.arange(begins, ends)[unlike[begins:ends]]
        if not len(own) or seconds[own[-1]] - seconds[own[0]] < CHANGE_SECONDS:
            continue
        start, stop = int(own[0]), int(own[-1]) + 1
        lasts = bool(duration - seconds[stop - 1] < CHANGE_SECONDS)
        changes.append(
            Change(
                start=float(seconds[start]),
                stop=float(seconds[stop - 1]),
                beats=stop - start,
                unlike=int(unlike[start:stop].sum()),
                lasts=lasts,
            )
        )
    return changes


@dataclass(frozen=True)
class _Bins:
    """What is usual in each of m stretches of BIN_SECONDS that have FEWEST_BEATS.

    start : float ndarray of shape (m,), in seconds
    beats : int ndarray of shape (m,), how many beats there are
    shape : float ndarray of shape (m, LENGTH), the median beat
    rhythm : float ndarray of shape (m, 2), the log of the RR interval and of its irregularity, over RHYTHM_SCALES
    """

    start: np.ndarray
    beats: np.ndarray
    shape: np.ndarray
    rhythm: np.ndarray

    @classmethod
    def of(cls, heart: Heart, duration: float) -> "_Bins":
        edges = np.searchsorted(heart.seconds, np.arange(int(duration / BIN_SECONDS) + 1) * BIN_SECONDS)
        rows = []
        for i, (first, after) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            rr = np.log(heart.rr_before[first:after])
            rr = rr[np.isfinite(rr)]
            if len(rr) < FEWEST_BEATS:
                continue
            shape = np.median(centred(heart.windows(np.arange(first, after))[:, SHIFT:-SHIFT]), axis=0)
            irregularity = np.log(IRREGULARITY_OFFSET + np.median(np.abs(np.diff(rr))))
            rows.append(
                (i * BIN_SECONDS, after - first, shape, np.array([np.median(rr), irregularity]) / RHYTHM_SCALES)
            )
        return cls(*map(np.array, zip(*rows, strict=True))) if rows else cls(*[np.empty(0)] * 4)

    def __len__(self) -> int:
        return len(self.start)


def _for_good(heart: Heart, duration: float) -> Change | None:
    """The change for good, of the usual beat or else of the rhythm; None if there is none."""
    bins = _Bins.of(heart, duration)
    if len(bins) < 2 * AROUND:
        return None
    at = _shape_change(bins.shape)
    if at is None:
        at = _rhythm_change(bins.rhythm)
    if at is None:
        return None
    beats = int(bins.beats[at:].sum())
    stop = float(heart.seconds[-1])
    return Change(start=float(bins.start[at]), stop=stop, beats=beats, unlike=beats, lasts=True)


def _differ(shapes: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The log of the squared difference of beats from another one, at the best shift and gain: (m,)."""
    windows = np.pad(shapes, ((0, 0), (SHIFT, SHIFT)), mode="edge").astype(np.float32)
    return match(windows, np.broadcast_to(normal, shapes.shape).astype(np.float32))[2]


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(max(_differ(one[None], other)[0], _differ(other[None], one)[0]))


def _shape_change(shape: np.ndarray) -> int | None:
    """The first bin after the usual beat has changed for good."""
    candidates = np.arange(AROUND, len(shape) - AROUND + 1)
    apart = np.array(
        [_apart(np.median(shape[k - AROUND : k], 0), np.median(shape[k : k + AROUND], 0)) for k in candidates]
    )
    least = max(AT_CHANGE, float(np.median(apart)) + ABOVE_USUAL)
    found, most = None, 0
    for k in candidates[np.argsort(-apart, kind="stable")[:MOST_CANDIDATES]].tolist():
        if apart[k - AROUND] < least:
            break
        before, after = np.median(shape[:k], 0), np.median(shape[k:], 0)
        from_before, from_after = _differ(shape, before), _differ(shape, after)
        is_later = from_after < from_before
        own = np.median(np.concatenate([from_before[:k], from_after[k:]]))
        agreeing = int((~is_later[:k]).sum() + is_later[k:].sum())
        if _agree(is_later, k) and agreeing > most and _apart(before, after) > max(AT_CHANGE, own + ABOVE_OWN):
            found, most = k, agreeing
    return found


def _rhythm_change(rhythm: np.ndarray) -> int | None:
    """The first bin after the rhythm has changed for good."""
    found, largest = None, RHYTHM_CHANGE
    for k in range(AROUND, len(rhythm) - AROUND + 1):
        here = np.linalg.norm(np.median(rhythm[k - AROUND : k], 0) - np.median(rhythm[k : k + AROUND], 0))
        if here < largest:
            continue
        before, after = np.median(rhythm[:k], 0), np.median(rhythm[k:], 0)
        is_later = np.linalg.norm(rhythm - after, axis=1) < np.linalg.norm(rhythm - before, axis=1)
        if _agree(is_later, k) and np.linalg.norm(before - after) > RHYTHM_CHANGE:
            found, largest = k, float(here)
    return found


def _agree(is_later: np.ndarray, k: int) -> bool:
    """Whether nearly all bins before the k-th are of the earlier side, and the others of the later one."""
    return bool((~is_later[:k]).mean() >= AGREE and is_later[k:].mean() >= AGREE)
