"""A scan as one figure: heart rate, alarms, scores with their threshold, and rhythm strips of alarms."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save
from ecg.recordings.cutting import thinned
from ecg.scanning.display import format_time, time_unit
from ecg.scanning.records import RhythmStrip, Scan, ScannedBeats

STRIP_COLUMNS = 2
MAX_BEATS = 20_000  # beats without an alarm that are drawn; alarms are all drawn
GREY = "#999999"


def draw(path: Path, scan: Scan) -> None:
    """Draw a scan as PNG."""
    beats, alarms, duration = scan.beats, len(scan.beats.alarms), scan.recording.duration
    with plain():
        rows = -(-len(scan.strips) // STRIP_COLUMNS)
        figure = Figure((11, 5.6 + 1.5 * rows), dpi=DPI, layout="constrained")
        grid = figure.add_gridspec(3 + rows, STRIP_COLUMNS, height_ratios=[1, 1, 1.6] + [1] * rows)
        above = [figure.add_subplot(grid[i, :]) for i in range(3)]
        unit, name = time_unit(duration)
        _rates(above[0], above[1], scan, unit)
        _scores(above[2], scan, unit)
        for axes in above:
            axes.set_xlim(0, duration / unit)
            for segment in scan.unusable:
                axes.axvspan(segment.start / unit, segment.stop / unit, color=GREY, alpha=0.35, linewidth=0)
        shaded = "; coloured: unlike the start" if scan.changes else ""
        above[2].set_xlabel(f"{name} from the start; grey: unusable signal{shaded}")
        for i, strip in enumerate(scan.strips):
            _strip(figure.add_subplot(grid[3 + i // STRIP_COLUMNS, i % STRIP_COLUMNS]), beats, strip)
        figure.suptitle(
            f"{scan.recording.name}, lead {scan.recording.lead}: {len(beats):,} beats, {alarms:,} alarms "
            f"({3600 * alarms / duration:,.0f} per hour). Not a medical device.",
            fontsize="medium",
        )
        save(figure, path)


def _rates(upper: Axes, lower: Axes, scan: Scan, unit: int) -> None:
    minutes = scan.per_minute()
    middle = (np.arange(len(minutes)) + 0.5) * 60 / unit
    upper.plot(middle, minutes.heart_rate, color=CALM, marker=".")
    upper.set_ylabel("heart rate,\nbeats/min")
    lower.bar(middle, np.nan_to_num(minutes.alarms), width=60 / unit, color=ALARMING)
    lower.set(ylabel="alarms\nper minute", ylim=(0, None))


def _scores(axes: Axes, scan: Scan, unit: int) -> None:
    beats, seconds = scan.beats, scan.beats.seconds / unit
    score = np.maximum(beats.score, np.finfo(np.float32).tiny)
    for indices, colour, marker, label in (
        (thinned(np.flatnonzero(~beats.anomalous), MAX_BEATS), CALM, ".", "score"),
        (beats.alarms, ALARMING, "x", "score of an alarm"),
    ):
        axes.plot(seconds[indices], score[indices], marker, color=colour, markersize=3, label=label)
    axes.plot(seconds, beats.threshold, color="#222222", linewidth=1, label="threshold")
    for change in scan.changes:
        axes.axvspan(change.start / unit, change.stop / unit, color=ALARMING, alpha=0.12, linewidth=0)
    axes.set(yscale="log", ylabel="score")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, fontsize="small", ncols=3, frameon=False)


def _strip(axes: Axes, beats: ScannedBeats, strip: RhythmStrip) -> None:
    when = beats.seconds[strip.beat]
    axes.plot(strip.seconds - when, strip.samples, color=CALM, linewidth=1)
    axes.axvline(0, color=ALARMING, linewidth=0.8, linestyle=(0, (4, 2)))
    reason = beats.why[strip.beat] or f"score {beats.score[strip.beat]:.3g}"
    axes.set_title(f"{format_time(when)}, {reason}", fontsize="small", loc="left")
    axes.set_yticks([])
    axes.set_xlabel("seconds", fontsize="small")
