"""Charts of beats and the ROC curve, as Vega-Lite by Altair. Lines differ in dash as well as in colour."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from ecg.detector.explanation import Explanation, Region
from ecg.scanning.style import ALARMING, CALM, GREY, y_axis

BEAT, RECONSTRUCTION, NEAREST = "beat", "reconstruction", "nearest normal beat"
COLOURS = {NEAREST: GREY, RECONSTRUCTION: CALM, BEAT: ALARMING}  # of the lines, in the order of drawing
DASHES: dict[str, list[float]] = {NEAREST: [1.5, 2.5], RECONSTRUCTION: [6, 3], BEAT: [1, 0]}
LABELLED = 4  # regions with their share of the score above them
HEIGHT = 120  # pixels of a small chart

Segments = Sequence[tuple[str, int, int]]  # name, first sample, one after the last sample
Layers = alt.LayerChart | alt.FacetChart  # the type of `alt.layer`


def beat_charts(explanation: Explanation, segments: Segments) -> tuple[Layers, Layers]:
    """A beat over its reconstruction and the nearest normal beat; and the error at each sample, on the same x axis.

    The regions that carry half of the score are shaded in both.
    """
    length = len(explanation.beat)
    samples = pd.DataFrame({"sample": np.arange(length), BEAT: explanation.beat})
    samples[RECONSTRUCTION], samples["error"] = explanation.reconstruction, explanation.contribution * length
    if explanation.neighbour is not None:
        samples[NEAREST] = explanation.neighbour.beat
    scale = alt.Scale(domain=[-0.5, length - 0.5], nice=False)
    x = alt.X("sample:Q", title="sample", scale=scale, axis=alt.Axis(tickCount=8, grid=False))
    y = alt.Y("amplitude:Q", title="amplitude", scale=alt.Scale(zero=False), axis=y_axis(tickCount=5))
    lines = _lines(samples).mark_line(aria=False, strokeWidth=1.8).encode(x.axis(None), y, **_styles(samples, True))
    edges = [(region.start - 0.5, region.stop - 0.5) for region in explanation.regions]
    regions = pd.DataFrame(edges, columns=["sample", "after"])
    shading = alt.Chart(regions).mark_rect(aria=False, color=ALARMING, opacity=0.13)
    shown = ["sample:Q", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in (BEAT, RECONSTRUCTION, "error"))]
    pointer = alt.Chart(samples).mark_rule(aria=False, opacity=0, strokeWidth=6).encode(tooltip=shown)

    def panel(layers: list[alt.Chart], x: alt.X, height: int) -> Layers:
        return alt.layer(shading.encode(x, x2="after:Q"), *layers, pointer.encode(x), height=height)

    beat = panel([*_waves(segments), lines], x.axis(None), 320)
    return beat, panel(_errors(samples, explanation.regions, x), x, 170)


def roc(rates: tuple[np.ndarray, np.ndarray], point: tuple[float, float], promised: float | None) -> Layers:
    """The ROC curve, the detector's own point, and the false-alarm rate that the threshold promises.

    Parameters
    ----------
    rates : false-alarm rates and recalls, from (0, 0) to (1, 1)
    point : the detector's false-alarm rate and recall
    promised : the promised false-alarm rate; None if there is none
    """
    names = ["false-alarm rate", "recall"]
    x = alt.X(
        "false-alarm rate:Q",
        title="false-alarm rate, square-root scale",
        scale=alt.Scale(type="sqrt", domain=[0, 1]),
        axis=alt.Axis(values=[0, 0.01, 0.05, 0.1, 0.2, 0.5, 1], format=".0%", labelFlush=True),
    )
    y = alt.Y("recall:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    shown = [alt.Tooltip(f"{name}:Q", format=".2%") for name in names]
    curve = alt.Chart(pd.DataFrame(dict(zip(names, rates, strict=True))))
    here = alt.Chart(pd.DataFrame([point], columns=names))
    rule = alt.Chart(pd.DataFrame({"false-alarm rate": [promised]}).dropna())
    return alt.layer(
        rule.mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.5).encode(x),
        curve.mark_line(color=CALM, strokeWidth=2, interpolate="linear").encode(x, y),
        here.mark_point(color=ALARMING, shape="diamond", size=220, filled=True, opacity=1).encode(x, y, tooltip=shown),
        height=300,
    )


def small_beats(titles: Sequence[str], beats: np.ndarray, reconstructions: np.ndarray) -> list[alt.Chart]:
    """A small chart of each beat over its reconstruction, both of shape (n, L); all have the same scale."""
    values = np.concatenate([beats, reconstructions])
    y = alt.Y("amplitude:Q", axis=None, scale=alt.Scale(domain=[values.min(), values.max()], nice=False))
    charts = []
    for title, beat, reconstruction in zip(titles, beats, reconstructions, strict=True):
        samples = pd.DataFrame({"sample": np.arange(len(beat)), BEAT: beat, RECONSTRUCTION: reconstruction})
        line = _lines(samples).mark_line(aria=False, strokeWidth=1.4)
        encoded = line.encode(alt.X("sample:Q", axis=None), y, **_styles(samples, False))
        charts.append(encoded.properties(height=HEIGHT, title=small_title(title)))
    return charts


def small_title(text: str) -> alt.Title:
    """The title of a small chart."""
    return alt.Title(text, anchor="start", color=GREY, fontSize=11, fontWeight="normal")


def _lines(samples: pd.DataFrame) -> alt.Chart:
    """A chart of one row per sample and line, with the columns `line` and `amplitude`."""
    return alt.Chart(samples).transform_fold([name for name in COLOURS if name in samples], as_=["line", "amplitude"])


def _styles(samples: pd.DataFrame, legend: bool) -> dict[str, alt.SchemaBase]:
    """Colour and dash of each line, with one legend above the chart."""
    names = [name for name in reversed(COLOURS) if name in samples]
    above = alt.Legend(orient="top", title="", columns=2, symbolSize=500, symbolStrokeWidth=2) if legend else None
    colours = alt.Scale(domain=names, range=[COLOURS[name] for name in names])
    dashes = alt.Scale(domain=names, range=[DASHES[name] for name in names])
    return {
        "color": alt.Color("line:N", scale=colours, legend=above),
        "strokeDash": alt.StrokeDash("line:N", scale=dashes, legend=above),
    }


def _errors(samples: pd.DataFrame, regions: Sequence[Region], x: alt.X) -> list[alt.Chart]:
    """A bar for the error at each sample, and above the first regions their share of the score."""
    error, steps = samples["error"].to_numpy(), np.arange(len(samples))
    in_region = np.zeros(len(error), bool)
    for region in regions:
        in_region[region.start : region.stop] = True
    bars = pd.DataFrame(
        {"sample": steps - 0.4, "after": steps + 0.4, "error": error, "zero": 0.0, "in region": in_region}
    )
    labels = [
        ((region.start + region.stop - 1) / 2, error[region.start : region.stop].max(), f"{region.share:.0%}")
        for region in regions[:LABELLED]
    ]
    shares = pd.DataFrame(labels, columns=["sample", "error", "share"])
    scale = alt.Scale(domain=[0, 1.2 * max(error.max(), 1e-9)], nice=False)  # with room above for the shares
    y = alt.Y("error:Q", title="error", scale=scale, axis=y_axis(tickCount=3))
    colour = alt.when("datum['in region']").then(alt.value(ALARMING)).otherwise(alt.value(CALM))
    return [
        alt.Chart(bars).mark_rect(aria=False).encode(x, x2="after:Q", y=y, y2="zero:Q", color=colour),
        alt.Chart(shares).mark_text(dy=-8, fontSize=11, color=GREY, aria=False).encode(x, y, text="share:N"),
    ]


def _waves(segments: Segments) -> list[alt.Chart]:
    """The names of the waves along the top, and where each ends."""
    if not segments:
        return []
    frame = pd.DataFrame(
        [{"middle": (first + after - 1) / 2, "sample": after - 0.5, "wave": name} for name, first, after in segments]
    )
    borders = alt.Chart(frame.iloc[:-1]).mark_rule(aria=False, color=GREY, opacity=0.35, strokeDash=[2, 2])
    names = alt.Chart(frame).mark_text(aria=False, color=GREY, fontSize=10, baseline="top")
    return [
        borders.encode(alt.X("sample:Q", axis=None)),
        names.encode(alt.X("middle:Q", axis=None), y=alt.value(2), text="wave:N"),
    ]
