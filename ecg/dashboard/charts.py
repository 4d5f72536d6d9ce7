"""What the dashboard draws, as Vega-Lite by Altair. Lines differ in dash and width as well as in colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from ecg.detector.explanation import Explanation

CALM, ALARMING = "#5b7f95", "#d1380b"  # as ecg.evaluation.drawing has them, which would bring matplotlib
PALE = "#8c8c8c"  # seen on white and on black
BEAT, RECONSTRUCTION, NEAREST = "beat", "reconstruction", "nearest normal beat"
COLUMNS, SHOWN = 3, 6  # of small beats
LABELLED = 4  # runs that bear their share
HEIGHT = 470  # pixels of a beat's chart, its axis and legend among them
UPPER_PART = [
    {"expr": "0.62 * height"},
    {"expr": "20"},
]  # where the beat ends; below it are its errors, on the same x axis
LOWER_PART = [{"expr": "height"}, {"expr": "0.67 * height"}]

Segments = Sequence[tuple[str, int, int]]  # name, first sample, the one after the last
Layers = alt.LayerChart | alt.FacetChart  # what Altair says that layers are


@dataclass(frozen=True)
class Small:
    """A beat to draw small: its title, and raw samples of shape (L,)."""

    title: str
    beat: np.ndarray
    reconstruction: np.ndarray


def beat_over_reconstruction(explanation: Explanation, segments: Segments) -> Layers:
    """A beat over its reconstruction and the nearest normal beat; below it the error at each sample, on one x axis.

    The runs that carry half of the score are shaded in both.
    """
    layers = [_shading(explanation), *_waves(segments), _lines(explanation), _errors(explanation), _shares(explanation)]
    chart = alt.layer(*layers, _tooltips(explanation)).properties(height=HEIGHT)
    return chart.resolve_scale(y="independent")


def roc(rates: tuple[np.ndarray, np.ndarray], point: tuple[float, float], promised: float | None) -> Layers:
    """The ROC curve, the point where the detector stands on it, and the false-alarm rate that is promised.

    rates : false-positive and true-positive rates, from (0, 0) to (1, 1)
    point : the detector's false-alarm rate and recall
    """
    x = alt.X(
        "false:Q",
        title="false-alarm rate, square-root scale",
        scale=alt.Scale(type="sqrt", domain=[0, 1]),
        axis=alt.Axis(values=[0, 0.01, 0.05, 0.1, 0.2, 0.5, 1], format=".0%", labelFlush=True),
    )
    y = alt.Y("true:Q", title="recall", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    tooltip = [
        alt.Tooltip("false:Q", title="false-alarm rate", format=".2%"),
        alt.Tooltip("true:Q", title="recall", format=".2%"),
    ]
    curve = pd.DataFrame({"false": rates[0], "true": rates[1]})
    here = pd.DataFrame({"false": [point[0]], "true": [point[1]]})
    layers = [
        alt.Chart(curve).mark_line(color=CALM, strokeWidth=2, interpolate="linear").encode(x, y),
        alt.Chart(here)
        .mark_point(color=ALARMING, shape="diamond", size=220, filled=True, opacity=1)
        .encode(x, y, tooltip=tooltip),
    ]
    if promised is not None:
        rule = alt.Chart(pd.DataFrame({"false": [promised]}))
        layers.insert(0, rule.mark_rule(color=PALE, strokeDash=[4, 3], strokeWidth=1.5).encode(x))
    return alt.layer(*layers).properties(height=300)


def small_beats(beats: Sequence[Small]) -> Layers:
    """Up to SHOWN beats over their reconstructions, in rows of COLUMNS, on one scale and as wide as there is room."""
    length = len(beats[0].beat)
    ends = [(samples.min(), samples.max()) for small in beats for samples in (small.beat, small.reconstruction)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    wide, tall = length * 1.08, (high - low) * 1.5  # a tile with its margin
    frames, titles = [], []
    for place, small in enumerate(beats):
        left, down = place % COLUMNS * wide, place // COLUMNS * tall
        titles.append({"x": left, "y": high + 0.25 * (high - low) - down, "title": small.title})
        for line, samples in ((BEAT, small.beat), (RECONSTRUCTION, small.reconstruction)):
            frames.append(
                pd.DataFrame(
                    {"x": left + np.arange(length), "y": samples - down, "line": line, "of": f"{place} {line}"}
                )
            )
    rows = (len(beats) - 1) // COLUMNS + 1
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, COLUMNS * wide], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[high - rows * tall, high + 0.4 * (high - low)], nice=False))
    lines = (
        alt.Chart(pd.concat(frames))
        .mark_line(aria=False, strokeWidth=1.4)
        .encode(x, y, detail="of:N", **_styles((BEAT, RECONSTRUCTION)))
    )
    names = alt.Chart(pd.DataFrame(titles)).mark_text(align="left", color=PALE, fontSize=11).encode(x, y, text="title")
    return alt.layer(lines, names).properties(height=120 * rows + 60)


def _styles(lines: Sequence[str]) -> dict[str, alt.SchemaBase]:
    """Colour and dash of each kind of line, explained in one legend above."""
    colours = {BEAT: ALARMING, RECONSTRUCTION: CALM, NEAREST: PALE}
    dashes: dict[str, list[float]] = {BEAT: [1, 0], RECONSTRUCTION: [6, 3], NEAREST: [1.5, 2.5]}
    legend = alt.Legend(orient="top", title="", direction="horizontal", columns=2, symbolSize=500, symbolStrokeWidth=2)
    domain = list(lines)
    by_colour = alt.Scale(domain=domain, range=[colours[line] for line in lines])
    by_dash = alt.Scale(domain=domain, range=[dashes[line] for line in lines])
    return {
        "color": alt.Color("line:N", scale=by_colour, legend=legend),
        "strokeDash": alt.StrokeDash("line:N", scale=by_dash, legend=legend),
    }


def _x(explanation: Explanation) -> alt.X:
    scale = alt.Scale(domain=[-0.5, len(explanation.beat) - 0.5], nice=False)
    return alt.X("sample:Q", title="sample", scale=scale, axis=alt.Axis(tickCount=8, grid=False))


def _lines(explanation: Explanation) -> alt.Chart:
    drawn = {BEAT: explanation.beat, RECONSTRUCTION: explanation.reconstruction}
    if explanation.neighbour is not None:
        drawn[NEAREST] = explanation.neighbour.beat
    frame = pd.concat(
        pd.DataFrame({"sample": np.arange(len(samples)), "amplitude": samples, "line": line})
        for line, samples in reversed(drawn.items())
    )
    y = alt.Y(
        "amplitude:Q",
        title="amplitude",
        scale=alt.Scale(zero=False, range=UPPER_PART),
        axis=alt.Axis(orient="left", tickCount=5, grid=True),
    )
    return alt.Chart(frame).mark_line(aria=False, strokeWidth=1.8).encode(_x(explanation), y, **_styles(list(drawn)))


def _error_axis(explanation: Explanation) -> alt.Y:
    """Of the lower part, with room above for the shares."""
    largest = max(float(_step_error(explanation).max()), 1e-9)
    return alt.Y(
        "error:Q",
        title="error",
        scale=alt.Scale(domain=[0, 1.2 * largest], nice=False, range=LOWER_PART),
        axis=alt.Axis(orient="left", tickCount=3, grid=True),
    )


def _errors(explanation: Explanation) -> alt.Chart:
    error = _step_error(explanation)
    named = np.zeros(len(error), bool)
    for run in explanation.runs:
        named[run.start : run.stop] = True
    steps = np.arange(len(error))
    frame = pd.DataFrame({"sample": steps - 0.4, "after": steps + 0.4, "error": error, "none": 0.0, "named": named})
    colour = alt.when("datum.named").then(alt.value(ALARMING)).otherwise(alt.value(CALM))
    mark = alt.Chart(frame).mark_rect(aria=False)
    return mark.encode(_x(explanation), x2="after:Q", y=_error_axis(explanation), y2="none:Q", color=colour)


def _shares(explanation: Explanation) -> alt.Chart:
    """The share of the score that each of the first runs carries, above its highest error."""
    error = _step_error(explanation)
    frame = pd.DataFrame(
        [
            {
                "sample": (run.start + run.stop - 1) / 2,
                "error": error[run.start : run.stop].max(),
                "share": f"{run.share:.0%}",
            }
            for run in explanation.runs[:LABELLED]
        ]
    )
    mark = alt.Chart(frame).mark_text(dy=-8, fontSize=11, color=PALE, aria=False)
    hidden = _error_axis(explanation)
    return mark.encode(_x(explanation), hidden.axis(None), text="share:N")


def _tooltips(explanation: Explanation) -> alt.Chart:
    """Unseen rules that tell the numbers of the sample under the pointer."""
    frame = pd.DataFrame(
        {
            "sample": np.arange(len(explanation.beat)),
            BEAT: explanation.beat,
            RECONSTRUCTION: explanation.reconstruction,
            "error": _step_error(explanation),
        }
    )
    shown = ["sample:Q", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in (BEAT, RECONSTRUCTION, "error"))]
    return alt.Chart(frame).mark_rule(aria=False, opacity=0, strokeWidth=6).encode(_x(explanation), tooltip=shown)


def _shading(explanation: Explanation) -> alt.Chart:
    frame = pd.DataFrame([{"sample": run.start - 0.5, "after": run.stop - 0.5} for run in explanation.runs])
    mark = alt.Chart(frame).mark_rect(aria=False, color=ALARMING, opacity=0.13)
    return mark.encode(_x(explanation), x2="after:Q")


def _waves(segments: Segments) -> list[alt.Chart]:
    """The waves' names along the top, and where each ends."""
    if not segments:
        return []
    frame = pd.DataFrame(
        [{"middle": (first + after - 1) / 2, "sample": after - 0.5, "wave": name} for name, first, after in segments]
    )
    borders = alt.Chart(frame.iloc[:-1]).mark_rule(aria=False, color=PALE, opacity=0.35, strokeDash=[2, 2])
    names = alt.Chart(frame).mark_text(aria=False, color=PALE, fontSize=10, baseline="top")
    return [borders.encode(x="sample:Q"), names.encode(x="middle:Q", y=alt.value(2), text="wave:N")]


def _step_error(explanation: Explanation) -> np.ndarray:
    return explanation.contribution * len(explanation.contribution)
