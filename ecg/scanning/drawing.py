"""Strips and mean beats as SVG paths, on the paper of an ECG: 25 mm a second and 10 mm a millivolt."""

from dataclasses import dataclass

import numpy as np

from ecg.recordings.cutting import thinned
from ecg.recordings.signals import SAMPLING_RATE
from ecg.scanning.records import Scan, Strip

MM_PER_SECOND, MM_PER_MV = 25.0, 10.0
TENTHS = 10  # coordinates are whole tenths of a millimetre, so that pages are small and equal
LEAST_HALF, MOST_HALF = 10.0, 30.0  # millimetres above and below the baseline that a strip shows
SPARE = 4.0  # millimetres above and below the signal
NORMAL_MM = 12.0  # height of the normal beat, if the unit of a lead is not known
MOST_PEAKS = 1000  # R peaks that its height is the median of


@dataclass(frozen=True)
class Scale:
    """How high a lead is drawn.

    mm : millimetres for each unit of the samples
    text : what to write beside a strip
    """

    mm: float
    text: str

    @classmethod
    def of(cls, scan: Scan) -> "Scale":
        """10 mm a millivolt or, if the unit is not known, as high as shows the usual beat well."""
        if scan.recording.unit == "mV":
            return cls(MM_PER_MV, "25 mm/s, 10 mm/mV")
        peaks = (scan.beats["seconds"].to_numpy() * SAMPLING_RATE).astype(int)
        heights = np.abs(scan.samples[thinned(np.clip(peaks, 0, len(scan.samples) - 1), MOST_PEAKS)])
        usual = float(np.median(heights)) or 1.0
        return cls(NORMAL_MM / usual, "25 mm/s, amplitude not calibrated")


@dataclass(frozen=True)
class Drawing:
    """A drawing in tenths of a millimetre.

    width, height : of it
    paths : the `d` attributes of its lines
    beats, alarms : x of the beats without an alarm, and of the alarms
    """

    width: int
    height: int
    paths: tuple[str, ...]
    beats: tuple[int, ...] = ()
    alarms: tuple[int, ...] = ()

    @classmethod
    def of_strip(cls, strip: Strip, scale: Scale) -> "Drawing":
        """A strip of a lead, with a mark for each beat."""
        at = np.round((strip.beats - strip.start) * MM_PER_SECOND * TENTHS).astype(int)
        is_alarm = np.isin(strip.beats, strip.alarms)
        drawn = _drawn((strip.samples,), scale)
        width = round(len(strip.samples) / SAMPLING_RATE * MM_PER_SECOND * TENTHS)
        return cls(width, drawn[0], drawn[1], tuple(at[~is_alarm].tolist()), tuple(at[is_alarm].tolist()))

    @classmethod
    def of_beats(cls, beats: tuple[np.ndarray, ...], scale: Scale) -> "Drawing":
        """Beats of equal length over each other, such as a mean beat over the normal one."""
        height, paths = _drawn(beats, scale)
        return cls(round(len(beats[0]) / SAMPLING_RATE * MM_PER_SECOND * TENTHS), height, paths)


def _drawn(lines: tuple[np.ndarray, ...], scale: Scale) -> tuple[int, tuple[str, ...]]:
    """The height of lines on the same paper, and their paths."""
    millimetres = [line.astype(float) * scale.mm for line in lines]
    both = np.concatenate(millimetres)
    middle = float(np.median(both))
    above = min(max(float(both.max()) - middle + SPARE, LEAST_HALF), MOST_HALF)
    below = min(max(middle - float(both.min()) + SPARE, LEAST_HALF), MOST_HALF)
    above, below = (float(np.ceil(half / 5) * 5) for half in (above, below))  # the paper's lines are 5 mm apart
    height = round((above + below) * TENTHS)
    paths = []
    for line in millimetres:
        y = np.clip(np.round((above + middle - line) * TENTHS), 0, height).astype(int)
        paths.append(_path(y, MM_PER_SECOND * TENTHS / SAMPLING_RATE))
    return height, tuple(paths)


def _path(y: np.ndarray, step: float) -> str:
    """A line through points at equal steps as relative moves; those in a straight line are one."""
    if not len(y):
        return ""
    dy = np.diff(y)
    ends = np.flatnonzero(np.diff(dy, append=np.nan))  # of each straight line
    moves = np.diff(np.concatenate(([0], ends + 1)))
    x = np.round((ends + 1) * step).astype(int)
    dx = np.diff(x, prepend=0).tolist()
    rises = (dy[ends] * moves).tolist()
    return f"M0 {y[0]}l" + " ".join(f"{a} {b}" for a, b in zip(dx, rises, strict=True)) if len(dx) else f"M0 {y[0]}"
