"""The figures of the evaluation: beats, what their scores come from, and why one is an alarm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ecg.detector.explanation import Explanation, contributions
from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save

Segments = Sequence[tuple[str, int, int]]  # name, first sample, the one after the last

TITLE: dict[str, Any] = {"fontsize": "medium", "loc": "left"}
DASHED: dict[str, Any] = {"color": "#222222", "linewidth": 0.9, "linestyle": (0, (4, 2))}
LABELLED = 4  # runs of an explained beat that bear their share
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
class ClassProfile:
    """Where in the beat the scores of one class come from.

    mean : float ndarray of shape (n_samples,), the mean share of its beat's score that each step carries
    low, high : float ndarrays of shape (n_samples,), between which lie the shares of 8 in 10 beats
    examples : beats that stand for it
    """

    name: str
    beats: int
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    examples: Sequence[Example]

    @classmethod
    def of(cls, name: str, step_error: np.ndarray, examples: Sequence[Example]) -> Self:
        """From the errors at each step of all its beats, shape (n_beats, n_samples)."""
        shares = contributions(step_error)
        mean = shares.mean(axis=0)
        low, high = np.quantile(shares, [0.1, 0.9], axis=0, overwrite_input=True)  # without a copy of them all
        return cls(name=name, beats=len(shares), mean=mean, low=low, high=high, examples=examples)


def draw_examples(path: Path, examples: Sequence[Example], columns: int = 2) -> None:
    """Draw each beat over its reconstruction, the beat coloured by the error at each sample, on one scale for all."""
    with plain():
        rows = max(math.ceil(len(examples) / columns), 1)
        figure, [[sheet]] = _grid([7.6 + 0.4 * columns], [1.9 * rows], right=1.0, top=0.35)
        scale = _draw_sheet(sheet, examples, columns, "medium" if columns < 4 else "x-small")
        colours = figure.add_axes((1 - 0.75 / figure.get_figwidth(), 0.25, 0.16 / figure.get_figwidth(), 0.5))
        figure.colorbar(ScalarMappable(scale, HEAT), colours, label="squared error at the sample", extend="max")
        figure.legend(*sheet.get_legend_handles_labels(), loc="upper center", ncols=2, frameon=False)
        save(figure, path)


def draw_classes(path: Path, profiles: Sequence[ClassProfile], segments: Segments) -> None:
    """Draw, for each class of beats, where their scores come from, and some of the beats; without any, say so.

    segments : the names of the parts of a beat
    """
    with plain():
        if not profiles:
            figure = Figure((6, 1), dpi=DPI)
            figure.text(0.5, 0.5, "No beat is known to be anomalous.", ha="center", va="center")
            save(figure, path)
            return
        figure, rows = _grid([4.4, 8.2], [2.0] * len(profiles), top=0.85)
        for profile, (left, right) in zip(profiles, rows, strict=True):
            steps, low, high = np.arange(len(profile.mean)), 100 * profile.low, 100 * profile.high
            left.fill_between(
                steps, low, high, color=CALM, alpha=0.3, linewidth=0, label="share of the score, 8 of 10 beats"
            )
            left.plot(steps, 100 * profile.mean, color=ALARMING, linewidth=1.6, label="its mean")
            left.set_title(f"{profile.name}, {profile.beats:,} beats", **TITLE, pad=16)
            left.set_ylabel("% of the score")
            left.set_xlabel("sample")
            left.set_ylim(bottom=0)
            left.margins(x=0.01)
            _name_segments(left, segments)
            _draw_sheet(right, profile.examples, max(len(profile.examples), 1))
        handles, labels = left.get_legend_handles_labels()
        more, described = right.get_legend_handles_labels()
        figure.legend(handles + more, labels + described, loc="upper center", ncols=4, frameon=False)
        save(figure, path)


def draw_explanation(path: Path, title: str, explanation: Explanation, segments: Segments) -> None:
    """Draw why a beat has its score: the beat beside a normal one, and what each sample adds.

    segments : the names of the parts of a beat
    """
    with plain():
        figure, [[above], [below]] = _grid([7.5], [2.4, 1.6], left=0.8, top=0.5)
        steps = np.arange(len(explanation.beat))
        if explanation.neighbour is not None:
            nearest = explanation.neighbour.beat
            above.plot(steps, nearest, color="#999999", linewidth=1, label="nearest normal training beat")
        above.plot(steps, explanation.reconstruction, **DASHED, label="what a normal beat would have been")
        above.plot(steps, explanation.beat, color=ALARMING, linewidth=1.8, label="the beat")
        p_value = "" if explanation.p_value is None else f", p-value {explanation.p_value:.2g}"
        called = "anomalous" if explanation.anomalous else "normal"
        above.set_title(f"{title}, called {called} (score {explanation.score:.3f}{p_value})", **TITLE, pad=16)
        above.set_ylabel("amplitude")
        above.legend(frameon=False, fontsize="small")
        below.fill_between(steps, explanation.contribution, step="mid", color=CALM, linewidth=0)
        for number, run in enumerate(explanation.runs):
            for axis in (above, below):
                axis.axvspan(run.start - 0.5, run.stop - 0.5, color=ALARMING, alpha=0.15, linewidth=0, zorder=0)
            if number < LABELLED:
                middle, height = (run.start + run.stop - 1) / 2, explanation.contribution[run.start : run.stop].max()
                below.annotate(f"{run.share:.0%}", (middle, height), (0, 2), textcoords="offset points", ha="center")
        below.set_ylim(0, 1.25 * max(explanation.contribution.max(), 1e-9))
        below.set_title("what each sample adds to the score", **TITLE)
        below.set_xlabel("sample")
        _name_segments(above, segments)
        for axis in (above, below):
            axis.margins(x=0.01)
        save(figure, path)


def _grid(
    widths: Sequence[float], heights: Sequence[float], left: float = 0.65, right: float = 0.15, top: float = 0.3
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of axes in rows; all measures in inches.

    Placed by hand: matplotlib's own layouts take three times as long as the drawing.
    """
    across, down, bottom = 0.7, 0.95, 0.5  # gaps, and the margin
    width = left + sum(widths) + across * (len(widths) - 1) + right
    height = bottom + sum(heights) + down * (len(heights) - 1) + top
    figure, rows = Figure(figsize=(width, height), dpi=DPI), []
    for i, of_row in enumerate(heights):
        y = height - top - sum(heights[: i + 1]) - down * i
        places = [left + sum(widths[:j]) + across * j for j in range(len(widths))]
        rows.append(
            [
                figure.add_axes((x / width, y / height, of_column / width, of_row / height))
                for x, of_column in zip(places, widths, strict=True)
            ]
        )
        for axis in rows[-1]:
            axis.spines[["top", "right"]].set_visible(False)
    return figure, rows


def _draw_sheet(axis: Axes, examples: Sequence[Example], columns: int, title_size: str = "medium") -> PowerNorm:
    """Draw beats side by side into one axis, in rows; the scale that the errors are coloured by.

    One axis, three artists: an axis for each beat would take most of the time that the evaluation has.
    """
    highest = max((float(np.quantile(example.step_error, 0.98)) for example in examples), default=0.0)
    scale = PowerNorm(0.5, 0, max(highest, 1e-9))  # the root of the error: deviations, in the beat's own unit
    if not examples:
        axis.set_axis_off()
        return scale
    beats, reconstructions = (np.stack([getattr(e, name) for e in examples]) for name in ("beat", "reconstruction"))
    length, low, high = beats.shape[1], min(beats.min(), reconstructions.min()), max(beats.max(), reconstructions.max())
    across, down = 1.08 * length, 1.25 * max(high - low, 1e-9)
    place = np.arange(len(examples))
    left, lift = (place % columns * across)[:, None], (-(place // columns) * down)[:, None]
    x = np.arange(length) + left  # (n, L)

    def broken(y: np.ndarray) -> np.ndarray:
        """One line for all beats, with a gap after each."""
        return np.column_stack([y, np.full(len(y), np.nan)]).ravel()

    xs, ys, reconstructed = broken(x), broken(beats + lift), broken(reconstructions + lift)
    axis.fill_between(xs, ys, reconstructed, color="#dddddd", linewidth=0)
    axis.plot(xs, reconstructed, **DASHED, label="reconstruction")
    points = np.stack([x, beats + lift], axis=-1)  # (n, L, 2)
    lines = np.stack([points[:, :-1], points[:, 1:]], axis=2).reshape(-1, 2, 2)
    error = np.stack([(e.step_error[:-1] + e.step_error[1:]) / 2 for e in examples]).ravel()
    axis.add_collection(
        LineCollection(list(lines), array=error, cmap=HEAT, norm=scale, linewidth=2.2, capstyle="round")
    )
    axis.plot([], [], color=CALM, linewidth=2.2, label="beat")
    for example, x0, y0 in zip(examples, left.ravel(), lift.ravel(), strict=True):
        axis.text(x0, y0 + low + 0.86 * down, example.title, fontsize=title_size)
    rows, marks = np.unique(lift), np.arange(0, length, 40 if columns < 4 else 60)
    amplitudes = [value for value in MaxNLocator(3).tick_values(low, high) if low <= value <= high]
    ticks = [(value + row, f"{value:g}") for row in rows for value in amplitudes]
    axis.set_yticks([at for at, _ in ticks], [text for _, text in ticks])
    ticks = [(mark + x0, f"{mark:g}") for x0 in np.unique(left) for mark in marks]
    axis.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    axis.grid(color="#eeeeee", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.set_xlim(-0.02 * across, columns * across)
    axis.set_ylim(rows.min() + low - 0.02 * down, low + down)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.set_xlabel("sample")
    axis.set_ylabel("amplitude")
    return scale


def _name_segments(axis: Axes, segments: Segments) -> None:
    """Write the segments' names over an axis, and a line where each begins."""
    for name, start, stop in segments:
        axis.annotate(
            name, ((start + stop) / 2, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", fontsize="x-small", color="#666666",
        )  # fmt: skip
        if start:
            axis.axvline(start - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
