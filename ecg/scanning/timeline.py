"""A recording as one figure: heart rate, alarms, scores against their threshold, and the strips around alarms."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save
from ecg.scanning.display import clock, evenly_spread, time_unit
from ecg.scanning.records import Scan, ScannedBeats, Strip

COLUMNS = 2  # of strips
POINTS = 20_000  # beats without an alarm that are drawn at most; alarms always are
GREY = "#999999"


def draw(path: Path, scanned: Scan) -> None:
    """Draw a scan as PNG."""
    beats, duration = scanned.beats, scanned.recording.duration
    with plain():
        rows = -(-len(scanned.strips) // COLUMNS)
        height = 5.6 + 1.5 * rows
        figure = Figure((11, height), dpi=DPI, layout="constrained")
        grid = figure.add_gridspec(3 + rows, COLUMNS, height_ratios=[1, 1, 1.6] + [1] * rows)
        above = [figure.add_subplot(grid[i, :]) for i in range(3)]
        unit, name = time_unit(duration)
        _rates(above[0], above[1], scanned, unit)
        _scores(above[2], scanned, unit)
        for axes in above:
            axes.set_xlim(0, duration / unit)
            for stretch in scanned.coverage.stretches:
                axes.axvspan(stretch.start / unit, stretch.stop / unit, color=GREY, alpha=0.35, linewidth=0)
        above[2].set_xlabel(f"{name} from the start; grey: no ECG")
        for i, strip in enumerate(scanned.strips):
            _strip(figure.add_subplot(grid[3 + i // COLUMNS, i % COLUMNS]), beats, strip)
        alarms = len(beats.alarms)
        figure.suptitle(
            f"{scanned.recording.name}, lead {scanned.recording.lead}: {len(beats):,} beats, {alarms:,} alarms "
            f"({3600 * alarms / duration:,.0f} an hour). Not a medical device.",
            fontsize="medium",
        )
        save(figure, path)


def _rates(upper: Axes, lower: Axes, scanned: Scan, unit: int) -> None:
    minutes = scanned.minutes()
    middle = (np.arange(len(minutes.beats)) + 0.5) * 60 / unit
    upper.plot(middle, minutes.heart_rate, color=CALM, marker=".")
    upper.set_ylabel("heart rate,\nbeats/min")
    lower.bar(middle, np.nan_to_num(minutes.alarms), width=60 / unit, color=ALARMING)
    lower.set_ylabel("alarms\na minute")
    lower.set_ylim(bottom=0)


def _scores(axes: Axes, scanned: Scan, unit: int) -> None:
    beats = scanned.beats
    for places, colour, mark, label in (
        (evenly_spread(np.flatnonzero(~beats.anomalous), POINTS), CALM, ".", "score"),
        (beats.alarms, ALARMING, "x", "score of an alarm"),
    ):
        axes.plot(
            beats.seconds[places] / unit,
            np.maximum(beats.score[places], np.finfo(np.float32).tiny),
            mark,
            color=colour,
            markersize=3,
            label=label,
        )
    kind = "threshold, adaptive" if scanned.adaptive else "threshold"
    axes.plot(beats.seconds / unit, beats.threshold, color="#222222", linewidth=1, label=kind)
    axes.set_yscale("log")
    axes.set_ylabel("score")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, fontsize="small", ncols=3, frameon=False)


def _strip(axes: Axes, beats: ScannedBeats, strip: Strip) -> None:
    when = beats.seconds[strip.beat]
    axes.plot(strip.seconds - when, strip.samples, color=CALM, linewidth=1)
    axes.axvline(0, color=ALARMING, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_title(f"{clock(when)}, score {beats.score[strip.beat]:.3g}", fontsize="small", loc="left")
    axes.set_yticks([])
    axes.set_xlabel("seconds", fontsize="small")
