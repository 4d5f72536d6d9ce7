"""Episodes: alarms that belong together, and stretches of change and of noise."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecg.recordings.signals import UnusableSegment
from ecg.scanning.display import format_time
from ecg.scanning.kinds import NOISE
from ecg.scanning.records import Change

CHANGE, RUN, BIGEMINY, COUPLET, SINGLE = "sustained change", "run", "bigeminy", "couplet", "single"
TYPES = (CHANGE, RUN, BIGEMINY, COUPLET, SINGLE, NOISE)  # the most telling first
RUN_BEATS = 3  # consecutive alarms, from which on they are a run
BIGEMINY_ALARMS = 3  # alarms that alternate with other beats
MOST_ALARMS = 0.5  # share of the beats of a change that are alarms, from which on these are one episode
NOISE_GAP = 10.0  # seconds between alarms in noise, or stretches of it, that are one episode
COLUMNS = {
    "episode": "number, from 1, in the order of time",
    "type": f"{', '.join(TYPES)}; of alarms next to each other, 2 are a couplet and {RUN_BEATS} or more a run; in "
    "bigeminy, every other beat is an alarm",
    "start": "seconds from the start of the recording to the first beat",
    "stop": "seconds to the last beat",
    "time": "the start as H:MM:SS.s",
    "beats": "from the first to the last",
    "alarms": "among these",
    "heart_rate": f"per minute, from the median RR interval of these beats; empty if they are fewer than {RUN_BEATS}",
    "kind": "the kind of most of its alarms",
    "why": "the reason of its most anomalous alarm",
    "height": "score over threshold, of its most anomalous alarm",
}


def find_episodes(
    beats: pd.DataFrame,
    follows: np.ndarray,
    changes: Sequence[Change],
    unusable: Sequence[UnusableSegment],
) -> tuple[pd.DataFrame, np.ndarray]:
    """Join alarms to episodes.

    Parameters
    ----------
    beats : of a scan, with their kinds
    follows : bool ndarray of shape (n,), whether each beat follows the one before without a beat left out between them
    changes : each is an episode; its alarms belong to it if most of its beats are alarms
    unusable : segments of which noisy ones are episodes, too

    Returns
    -------
    The episodes, a row each with COLUMNS, and the number of the episode of each beat: int ndarray of shape (n,), 0 for
    beats without an alarm
    """
    seconds, kind = beats["seconds"].to_numpy(), beats["kind"].to_numpy()
    free = beats["anomalous"].to_numpy().copy()
    stretches: list[tuple[str, float, float, np.ndarray]] = []  # type, start, stop, alarms
    for change in changes:
        inside = (seconds >= change.start) & (seconds <= change.stop)
        own = np.flatnonzero(free & inside)
        if len(own) < MOST_ALARMS * inside.sum():  # verdicts have followed the change: its alarms tell something else
            own = own[:0]
        stretches.append((CHANGE, change.start, change.stop, own))
        free[own] = False
    in_noise = np.flatnonzero(free & (kind == NOISE))
    stretches += _noise(seconds, in_noise, unusable)
    free[in_noise] = False
    for label, alarms in _groups(free, follows):
        stretches.append((label, float(seconds[alarms[0]]), float(seconds[alarms[-1]]), alarms))
    stretches.sort(key=lambda stretch: (stretch[1], TYPES.index(stretch[0])))
    number = np.zeros(len(beats), int)
    for i, (*_, alarms) in enumerate(stretches):
        number[alarms] = i + 1
    columns = {name: beats[name].to_numpy() for name in ("rr_before", "score", "threshold", "kind", "why")}
    rows = [_row(i + 1, stretch, seconds, columns) for i, stretch in enumerate(stretches)]
    return pd.DataFrame(rows, columns=list(COLUMNS)), number


def _row(
    number: int,
    stretch: tuple[str, float, float, np.ndarray],
    seconds: np.ndarray,
    columns: dict[str, np.ndarray],
) -> dict[str, Any]:
    label, start, stop, alarms = stretch
    first, after = np.searchsorted(seconds, start), np.searchsorted(seconds, stop, side="right")
    rr = columns["rr_before"][first:after]
    rr = rr[np.isfinite(rr)]
    has_rate = after - first >= RUN_BEATS and len(rr) > 0
    row = {
        "episode": number,
        "type": label,
        "start": start,
        "stop": stop,
        "time": format_time(start),
        "beats": int(after - first),
        "alarms": len(alarms),
        "heart_rate": float(60 / np.median(rr)) if has_rate else np.nan,
        "kind": "",
        "why": "",
        "height": np.nan,
    }
    if len(alarms):
        height = columns["score"][alarms] / columns["threshold"][alarms]
        kinds, counts = np.unique(columns["kind"][alarms].astype(str), return_counts=True)
        most = alarms[height.argmax()]
        row |= {"kind": str(kinds[counts.argmax()]), "why": columns["why"][most], "height": float(height.max())}
    return row


def _groups(free: np.ndarray, follows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Runs, couplets and single alarms; single ones that alternate with other beats are bigeminy."""
    alarms = np.flatnonzero(free)
    if not len(alarms):
        return []
    joined = np.concatenate(([False], (np.diff(alarms) == 1) & follows[alarms[1:]]))
    parts = np.split(alarms, np.flatnonzero(~joined)[1:])
    breaks = np.cumsum(~follows)  # equal for beats without a beat left out between them
    groups, i = list[tuple[str, np.ndarray]](), 0
    while i < len(parts):
        j = i
        while j + 1 < len(parts) and _alternate(parts[j], parts[j + 1], breaks):
            j += 1
        if j - i + 1 >= BIGEMINY_ALARMS:
            groups.append((BIGEMINY, np.concatenate(parts[i : j + 1])))
            i = j + 1
            continue
        size = len(parts[i])
        groups.append((RUN if size >= RUN_BEATS else COUPLET if size > 1 else SINGLE, parts[i]))
        i += 1
    return groups


def _alternate(one: np.ndarray, other: np.ndarray, breaks: np.ndarray) -> bool:
    """Whether two single alarms have one beat between them."""
    return len(one) == len(other) == 1 and other[0] - one[0] == 2 and bool(breaks[other[0]] == breaks[one[0]])


def _noise(
    seconds: np.ndarray, alarms: np.ndarray, unusable: Sequence[UnusableSegment]
) -> list[tuple[str, float, float, np.ndarray]]:
    """Noisy segments and alarms in noise, joined where they are near each other."""
    spans = [(s.start, s.stop) for s in unusable if s.kind == "noisy"] + [(t, t) for t in seconds[alarms].tolist()]
    merged: list[list[float]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1] + NOISE_GAP:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    own = seconds[alarms]
    return [(NOISE, a, b, alarms[np.searchsorted(own, a) : np.searchsorted(own, b, "right")]) for a, b in merged]
