"""A recording as one figure: heart rate, alarms, scores against their threshold, and the strips around alarms."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecg.drawing import ALARMING, CALM, DPI, plain, save
from serve.scan import Scan, clock

COLUMNS = 2  # of strips
POINTS = 20_000  # beats that are drawn at most; alarms always are
GREY = "#999999"


def draw(path: Path, scanned: Scan) -> None:
    """Draw a scan as PNG."""
    with plain():
        rows = -(-len(scanned.strips) // COLUMNS)
        height = 5.6 + 1.5 * rows
        figure = Figure((11, height), dpi=DPI, layout="constrained")
        grid = figure.add_gridspec(3 + rows, COLUMNS, height_ratios=[1, 1, 1.6] + [1] * rows)
        above = [figure.add_subplot(grid[i, :]) for i in range(3)]
        unit, name = (3600, "hours") if scanned.duration > 2 * 3600 else (60, "minutes")
        _rates(above[0], above[1], scanned, unit)
        _scores(above[2], scanned, unit)
        for axes in above:
            axes.set_xlim(0, scanned.duration / unit)
            for stretch in scanned.stretches:
                axes.axvspan(stretch.start / unit, stretch.stop / unit, color=GREY, alpha=0.35, linewidth=0)
        above[2].set_xlabel(f"{name} from the start; grey: no ECG")
        for i in range(len(scanned.strips)):
            _strip(figure.add_subplot(grid[3 + i // COLUMNS, i % COLUMNS]), scanned, i)
        alarms = len(scanned.alarms)
        figure.suptitle(
            f"{scanned.name}, lead {scanned.lead}: {len(scanned.seconds):,} beats, {alarms:,} alarms "
            f"({3600 * alarms / scanned.duration:,.0f} an hour). Not a medical device.",
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
    calm = np.flatnonzero(~scanned.anomalous)
    calm = calm[:: max(len(calm) // POINTS, 1)]
    for places, colour, mark, label in (
        (calm, CALM, ".", "score"),
        (scanned.alarms, ALARMING, "x", "score of an alarm"),
    ):
        axes.plot(
            scanned.seconds[places] / unit,
            np.maximum(scanned.score[places], np.finfo(np.float32).tiny),
            mark,
            color=colour,
            markersize=3,
            label=label,
        )
    kind = "threshold, adaptive" if scanned.adaptive else "threshold"
    axes.plot(scanned.seconds / unit, scanned.threshold, color="#222222", linewidth=1, label=kind)
    axes.set_yscale("log")
    axes.set_ylabel("score")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, fontsize="small", ncols=3, frameon=False)


def _strip(axes: Axes, scanned: Scan, i: int) -> None:
    strip = scanned.strips[i]
    when = scanned.seconds[strip.beat]
    axes.plot(strip.seconds - when, strip.samples, color=CALM, linewidth=1)
    axes.axvline(0, color=ALARMING, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_title(f"{clock(when)}, score {scanned.score[strip.beat]:.3g}", fontsize="small", loc="left")
    axes.set_yticks([])
    axes.set_xlabel("seconds", fontsize="small")
