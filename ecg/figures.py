"""The figures of the evaluation, as PNG: the same bytes for the same numbers, whatever matplotlib is set to."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from ecg.files import write_bytes

COLUMNS = 2
DPI = 110
CALM, ALARMING, QUIET = "#5b7f95", "#d1380b", "#222222"  # told apart by lightness, too, not by hue alone
HEAT = LinearSegmentedColormap.from_list("error", [CALM, "#e8a33d", ALARMING])


@dataclass(frozen=True)
class Example:
    """One beat to draw.

    beat, reconstruction : ndarrays of shape (n_samples,), raw units
    step_error : ndarray of shape (n_samples,), the error at each sample
    """

    title: str
    beat: np.ndarray
    reconstruction: np.ndarray
    step_error: np.ndarray


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its interval, to stand beside others; `ours` sets it off from them."""

    name: str
    value: float
    low: float
    high: float
    ours: bool


def draw_examples(path: Path, examples: Sequence[Example]) -> None:
    """Draw each beat over its reconstruction, the beat coloured by the error at each sample, on one scale for all."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        rows = math.ceil(len(examples) / COLUMNS)
        figure = Figure(figsize=(9.5, 0.9 + 2.0 * rows), dpi=DPI, layout="constrained")
        axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        highest = max(float(np.quantile(example.step_error, 0.98)) for example in examples)
        scale = PowerNorm(0.5, 0, max(highest, 1e-9))  # the root of the error: deviations, in the beat's own unit
        for axis, example in zip(axes, examples, strict=False):
            _draw_example(axis, example, scale)
        for axis in axes[len(examples) :]:
            axis.set_axis_off()
        colours = ScalarMappable(scale, HEAT)
        figure.colorbar(colours, ax=figure.axes, label="squared error at the sample", shrink=0.6, extend="max")
        figure.supxlabel("sample", fontsize="medium")
        figure.supylabel("amplitude", fontsize="medium")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        _save(figure, path)


def draw_intervals(path: Path, intervals: Sequence[Interval], label: str) -> None:
    """Draw figures as points with their intervals, one line each, the highest on top."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        ordered = sorted(intervals, key=lambda interval: interval.value)
        figure = Figure(figsize=(8, 0.9 + 0.32 * len(ordered)), dpi=DPI, layout="constrained")
        axis = figure.subplots()
        for place, interval in enumerate(ordered):
            colour, marker = (ALARMING, "D") if interval.ours else (CALM, "o")
            axis.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axis.plot(interval.value, place, marker, color=colour, markersize=6)
            axis.annotate(
                f"{interval.value:.4f}", (interval.high, place), (6, 0), textcoords="offset points", va="center"
            )
        axis.set_yticks(range(len(ordered)), [interval.name for interval in ordered])
        axis.margins(x=0.12)
        axis.grid(axis="x", color="#dddddd", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(label)
        for name, kind in (("this project", True), ("classical", False)):
            axis.plot([], [], "D" if kind else "o", color=ALARMING if kind else CALM, label=name)
        axis.legend(loc="upper left", frameon=False)
        _save(figure, path)


def _draw_example(axis: Axes, example: Example, scale: PowerNorm) -> None:
    steps = np.arange(len(example.beat))
    points = np.column_stack([steps, example.beat])
    segments = np.stack([points[:-1], points[1:]], axis=1)  # (L - 1, 2, 2)
    error = (example.step_error[:-1] + example.step_error[1:]) / 2
    axis.fill_between(steps, example.beat, example.reconstruction, color="#dddddd", linewidth=0)
    axis.plot(steps, example.reconstruction, color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)), label="reconstruction")
    axis.add_collection(
        LineCollection(
            list(segments), array=error, cmap=HEAT, norm=scale, linewidth=2.2, capstyle="round", label="beat"
        )
    )
    axis.set_title(example.title, fontsize="medium", loc="left")
    axis.margins(x=0.01)
    axis.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})  # else it names matplotlib's version
    write_bytes(path, content.getvalue())
