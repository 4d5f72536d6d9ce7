"""The figures of the evaluation: beats with reconstructions, the profile of each class, an explained alarm."""

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

from ecg.detector.explanation import Explanation, error_shares
from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save

Segments = Sequence[tuple[str, int, int]]  # of a beat: name, first sample, sample after the last

TITLE: dict[str, Any] = {"fontsize": "medium", "loc": "left", "y": 1.0}
DASHED: dict[str, Any] = {"color": "#222222", "linewidth": 0.9, "linestyle": (0, (4, 2))}
LABELLED = 4  # regions of an explained beat whose share of the score is written
HEAT = LinearSegmentedColormap.from_list("error", [CALM, "#e8a33d", ALARMING])


@dataclass(frozen=True)
class Example:
    """One beat to draw; its arrays are of shape (n_samples,)."""

    title: str
    beat: np.ndarray  # in raw units, as its reconstruction
    reconstruction: np.ndarray
    step_error: np.ndarray  # the error at each sample


@dataclass(frozen=True)
class ClassProfile:
    """Where in the beat the scores of one class come from; its arrays are float, of shape (n_samples,)."""

    name: str
    beats: int  # how many beats the class has
    mean: np.ndarray  # the mean share of its beat's score that each sample carries
    low: np.ndarray  # the shares of 8 in 10 beats lie between low and high
    high: np.ndarray
    examples: Sequence[Example]

    @classmethod
    def of(cls, name: str, step_error: np.ndarray, examples: Sequence[Example]) -> Self:
        """From the errors at each sample of all its beats, shape (n_beats, n_samples)."""
        shares = error_shares(step_error)
        mean = shares.mean(axis=0)
        low, high = np.quantile(shares, [0.1, 0.9], axis=0, overwrite_input=True)  # without a copy of them all
        return cls(name=name, beats=len(shares), mean=mean, low=low, high=high, examples=examples)


def draw_examples(path: Path, examples: Sequence[Example], columns: int = 2) -> None:
    """Draw each beat and its reconstruction, the beat coloured by the error at each sample, on one scale for all."""
    with plain():
        rows = max(math.ceil(len(examples) / columns), 1)
        # Equal limits: axes that are joined by sharex and sharey take twice as long to draw
        figure, axes = _subplots(rows, columns, (9.0 + 0.4 * columns, 1.9 * rows + 0.8), subplot_kw=_limits(examples))
        scale = _error_scale(examples)
        for number, axis in enumerate(axes.ravel()):
            if number >= len(examples):
                axis.set_axis_off()
                continue
            _draw_example(axis, examples[number], scale, "medium" if columns < 4 else "x-small")
            axis.yaxis.set_visible(number % columns == 0)
            axis.xaxis.set_visible(number + columns >= len(examples))  # the last of its column
        figure.supxlabel("sample", fontsize="medium")
        figure.supylabel("amplitude", fontsize="medium")
        colours = ScalarMappable(scale, HEAT)
        figure.colorbar(colours, ax=axes, label="squared error at the sample", extend="max", shrink=0.5, aspect=25)
        _legend(figure, axes[0, 0])
        save(figure, path)


def draw_classes(path: Path, profiles: Sequence[ClassProfile], segments: Segments) -> None:
    """Draw, for each anomalous class, where its scores come from, and some of its beats; without any, say so."""
    with plain():
        if not profiles:
            figure = Figure((6, 1), dpi=DPI)
            figure.text(0.5, 0.5, "No beat is known to be anomalous.", ha="center", va="center")
            save(figure, path)
            return
        columns = max(len(profile.examples) for profile in profiles)
        widths = {"width_ratios": [1.9] + [1.0] * columns}
        figure, axes = _subplots(len(profiles), 1 + columns, (14, 3.0 * len(profiles) + 0.3), gridspec_kw=widths)
        for profile, (left, *others) in zip(profiles, axes, strict=True):
            _draw_profile(left, profile, segments)
            scale = _error_scale(profile.examples)
            for number, (axis, example) in enumerate(zip(others, profile.examples, strict=True)):
                axis.set(**_limits(profile.examples), xlabel="sample", ylabel="" if number else "amplitude")
                _draw_example(axis, example, scale, "medium")
                axis.yaxis.set_visible(number == 0)
        _legend(figure, axes[0, 0], axes[0, 1])
        save(figure, path)


def draw_explanation(path: Path, title: str, explanation: Explanation, segments: Segments) -> None:
    """Draw why a beat has its score: the beat beside a normal one, and the contribution of each sample."""
    with plain():
        figure, ((above,), (below,)) = _subplots(2, 1, (8.5, 5.6), gridspec_kw={"height_ratios": [3, 2]})
        steps = np.arange(len(explanation.beat))
        if explanation.neighbour is not None:
            nearest = explanation.neighbour.beat
            above.plot(steps, nearest, color="#999999", linewidth=1, label="nearest normal training beat")
        above.plot(steps, explanation.reconstruction, **DASHED, label="reconstruction")
        above.plot(steps, explanation.beat, color=ALARMING, linewidth=1.8, label="beat")
        p_value = "" if explanation.p_value is None else f", p-value {explanation.p_value:.2g}"
        called = "anomalous" if explanation.anomalous else "normal"
        above.set_title(f"{title}, called {called} (score {explanation.score:.3f}{p_value})", **TITLE, pad=16)
        above.set_ylabel("amplitude")
        above.legend(frameon=False, fontsize="small")
        below.fill_between(steps, explanation.contribution, step="mid", color=CALM, linewidth=0)
        for number, region in enumerate(explanation.regions):
            for axis in (above, below):
                axis.axvspan(region.start - 0.5, region.stop - 0.5, color=ALARMING, alpha=0.15, linewidth=0, zorder=0)
            if number < LABELLED:
                highest = explanation.contribution[region.start : region.stop].max()
                top = (region.start + region.stop - 1) / 2, highest
                below.annotate(f"{region.share:.0%}", top, (0, 2), textcoords="offset points", ha="center")
        below.set_ylim(0, 1.25 * max(explanation.contribution.max(), 1e-9))
        below.set_title("contribution of each sample to the score", **TITLE)
        below.set_xlabel("sample")
        _name_segments(above, segments)
        for axis in (above, below):
            axis.margins(x=0.01)
        save(figure, path)


def _subplots(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, an object ndarray of shape (rows, columns), laid out by matplotlib; size in inches."""
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _limits(examples: Sequence[Example]) -> dict[str, tuple[float, float]]:
    """The limits of axes that hold any of these beats."""
    if not examples:
        return {}
    values = np.concatenate([(example.beat, example.reconstruction) for example in examples], axis=1)
    margin = 0.05 * max(float(np.ptp(values)), 1e-9)
    return {"xlim": (-2, len(examples[0].beat) + 1), "ylim": (values.min() - margin, values.max() + margin)}


def _error_scale(examples: Sequence[Example]) -> PowerNorm:
    """The colour scale of these beats' errors, by their square roots: deviations, in the beats' own unit."""
    highest = max((float(np.quantile(example.step_error, 0.98)) for example in examples), default=0.0)
    return PowerNorm(0.5, 0, max(highest, 1e-9))


def _draw_example(axis: Axes, example: Example, scale: PowerNorm, title_size: str) -> None:
    """Draw a beat, coloured by its errors, over its reconstruction."""
    steps = np.arange(len(example.beat))
    axis.fill_between(steps, example.beat, example.reconstruction, color="#dddddd", linewidth=0)
    axis.plot(steps, example.reconstruction, **DASHED, label="reconstruction")
    points = np.column_stack([steps, example.beat])
    lines = np.stack([points[:-1], points[1:]], axis=1)  # (L - 1, 2, 2)
    error = (example.step_error[:-1] + example.step_error[1:]) / 2
    heat: dict[str, Any] = {"array": error, "cmap": HEAT, "norm": scale}
    axis.add_collection(LineCollection(list(lines), **heat, linewidth=2.2, capstyle="round"))
    axis.plot([], [], color=CALM, linewidth=2.2, label="beat")
    axis.set_title(example.title, **TITLE | {"fontsize": title_size})
    axis.locator_params(nbins=4)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_major_formatter("{x:g}")
    grid: dict[str, Any] = {"color": "#eeeeee", "linewidth": 0.8, "zorder": 0}  # not all axes show their ticks
    axis.hlines(axis.get_yticks(), *axis.get_xlim(), **grid)
    axis.vlines(axis.get_xticks(), *axis.get_ylim(), **grid)
    axis.set_frame_on(False)
    axis.tick_params(length=0)


def _draw_profile(axis: Axes, profile: ClassProfile, segments: Segments) -> None:
    """Draw which samples the scores of a class come from."""
    steps, low, high = np.arange(len(profile.mean)), 100 * profile.low, 100 * profile.high
    axis.fill_between(steps, low, high, color=CALM, alpha=0.3, linewidth=0, label="share of the score, 80% of beats")
    axis.plot(steps, 100 * profile.mean, color=ALARMING, linewidth=1.6, label="mean share of the score")
    axis.set_title(f"{profile.name}, {profile.beats:,} beats", **TITLE, pad=16)
    axis.set_ylabel("% of the score")
    axis.set_xlabel("sample")
    axis.set_ylim(bottom=0)
    axis.margins(x=0.01)
    _name_segments(axis, segments)


def _legend(figure: Figure, *axes: Axes) -> None:
    """One legend above all axes."""
    handles = [handle for axis in axes for handle in axis.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(len(handles), 1), frameon=False)


def _name_segments(axis: Axes, segments: Segments) -> None:
    """Write the segments' names over an axis, and a line where each begins."""
    for name, start, stop in segments:
        axis.annotate(
            name, ((start + stop) / 2, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", fontsize="x-small", color="#666666",
        )  # fmt: skip
        if start:
            axis.axvline(start - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
