"""The figures of the comparison and the experiments, as PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save

STYLES = [("#999999", "-"), (CALM, "-"), ("#e8a33d", "--"), (ALARMING, "-.")]  # distinct without colour, too


@dataclass(frozen=True)
class Interval:
    """A value with its interval; `ours` marks a detector of this project."""

    name: str
    value: float
    low: float
    high: float
    ours: bool


@dataclass(frozen=True)
class Curve:
    """Observed false-alarm rates of a method against promised ones, over redraws of the training beats.

    alpha, mean, low, high : float ndarrays of shape (n,); low and high are the 10th and the 90th percentile
    """

    method: str
    alpha: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Trace:
    """The rates of a threshold along a stream: float ndarrays of shape (n_beats,)."""

    threshold: str
    false_alarm_rate: np.ndarray
    recall: np.ndarray


def draw_intervals(path: Path, intervals: Sequence[Interval], label: str) -> None:
    """Draw values as points with their intervals, one line each, the highest on top."""
    with plain():
        ordered = sorted(intervals, key=lambda interval: interval.value)
        figure = Figure(figsize=(8, 0.9 + 0.32 * len(ordered)), dpi=DPI, layout="constrained")
        axis = figure.subplots()
        for height, interval in enumerate(ordered):
            colour, marker = (ALARMING, "D") if interval.ours else (CALM, "o")
            axis.plot([interval.low, interval.high], [height, height], color=colour, linewidth=2, solid_capstyle="butt")
            axis.plot(interval.value, height, marker, color=colour, markersize=6)
            axis.annotate(
                f"{interval.value:.4f}", (interval.high, height), (6, 0), textcoords="offset points", va="center"
            )
        axis.set_yticks(range(len(ordered)), [interval.name for interval in ordered])
        axis.margins(x=0.12)
        axis.grid(axis="x", color="#dddddd", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(label)
        for name, colour, marker in (("this project", ALARMING, "D"), ("classical", CALM, "o")):
            axis.plot([], [], marker, color=colour, label=name)
        axis.legend(loc="upper left", frameon=False)
        save(figure, path)


def draw_curves(path: Path, panels: Mapping[str, Sequence[Curve]]) -> None:
    """Draw observed against promised false-alarm rates, a panel for each detector."""
    with plain():
        figure = Figure(figsize=(0.6 + 4.6 * len(panels), 4.6), dpi=DPI, layout="constrained")
        axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False).ravel()
        for axis, (name, curves) in zip(axes, panels.items(), strict=True):
            ends = curves[0].alpha[[0, -1]]
            axis.plot(ends, ends, color="#222222", linewidth=0.9, label="as promised")
            for curve, (colour, style) in zip(curves, STYLES, strict=False):
                axis.fill_between(curve.alpha, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
                axis.plot(curve.alpha, curve.mean, color=colour, linestyle=style, linewidth=1.8, label=curve.method)
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_ylim(ends[0], 2 * ends[1])
            axis.set_title(name, fontsize="medium", loc="left")
            axis.set_xlabel("promised false-alarm rate")
            axis.grid(color="#eeeeee", linewidth=0.8)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("observed: mean, 10th to 90th percentile")
        axes[0].legend(frameon=False, fontsize="small")
        save(figure, path)


def draw_traces(path: Path, traces: Sequence[Trace], alpha: float, phases: Mapping[str, int]) -> None:
    """Draw false-alarm rate and recall along a stream; `phases` are the first beats of its parts."""
    with plain():
        figure = Figure(figsize=(8.5, 5.0), dpi=DPI, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        above.axhspan(alpha - 0.02, alpha + 0.02, color="#eeeeee", linewidth=0, label="alpha ± 2 points")
        for trace, (colour, style) in zip(traces, STYLES, strict=False):
            above.plot(trace.false_alarm_rate, color=colour, linestyle=style, linewidth=1.4, label=trace.threshold)
            below.plot(trace.recall, color=colour, linestyle=style, linewidth=1.4)
        above.set_ylabel("false-alarm rate")
        above.set_ylim(bottom=0)
        below.set_ylabel("recall")
        below.set_ylim(min(0.8, *(float(trace.recall[-1]) for trace in traces)), 1.005)
        below.set_xlabel("beat")
        for axis in (above, below):
            axis.margins(x=0)
            axis.spines[["top", "right"]].set_visible(False)
            for start in phases.values():
                axis.axvline(start, color="#cccccc", linewidth=0.8, zorder=0)
        for name, start in phases.items():
            above.annotate(
                name, (start, 1), (3, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                fontsize="small", color="#666666",
            )  # fmt: skip
        above.legend(frameon=False, fontsize="small", loc="upper left")
        save(figure, path)
