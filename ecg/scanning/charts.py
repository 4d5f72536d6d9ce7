"""Charts of a scanned recording over time, as Vega-Lite by Altair: heart rate and alarms of each interval."""

import altair as alt
import numpy as np
import pandas as pd

from ecg.scanning.display import format_time, time_unit
from ecg.scanning.episodes import CHANGE
from ecg.scanning.kinds import NOISE, OTHER
from ecg.scanning.records import Scan
from ecg.scanning.style import ALARMING, CALM, GREY, y_axis

# Of kinds, A first: distinct with every kind of colour blindness (Okabe & Ito 2008), on white and on black.
KIND_COLOURS = ("#d1380b", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#9a6324", "#7a5fb5")
OTHER_COLOUR, NOISE_COLOUR = "#8c8c8c", "#bfb8a5"
INTERVALS = ((900, 5), (2 * 86_400, 60), (np.inf, 300))  # up to these seconds: seconds of an interval of the charts
Layers = alt.LayerChart | alt.FacetChart  # the type of `alt.layer`
MOST_SEGMENTS = 1_000  # segments of unusable signal that are drawn, the longest ones
HEIGHTS = (150, 130)  # pixels of the two charts


def interval_seconds(duration: float) -> int:
    """The seconds of an interval of the charts of a recording of this duration."""
    return next(seconds for until, seconds in INTERVALS if duration <= until)


def colours(scan: Scan) -> dict[str, str]:
    """The colour of each kind of alarm that there is."""
    fixed = {OTHER: OTHER_COLOUR, NOISE: NOISE_COLOUR}
    kinds = scan.kinds["kind"].tolist()
    letters = [kind for kind in kinds if kind not in fixed]
    by_letter = dict(zip(letters, KIND_COLOURS, strict=False))
    return {kind: by_letter.get(kind, fixed.get(kind, GREY)) for kind in kinds}


def interval_words(seconds: int) -> str:
    """An interval in words.

    Examples
    --------
    >>> interval_words(60), interval_words(300), interval_words(5)
    ('minute', '5 minutes', '5 seconds')
    """
    if seconds == 60:
        return "minute"
    return f"{seconds // 60} minutes" if seconds > 60 else f"{seconds} seconds"


def timeline(scan: Scan, marked: float | None = None) -> tuple[Layers, Layers]:
    """The heart rate, and the alarms by kind, of each interval: two charts with the same x axis.

    Unusable signal and stretches that are unlike the start are shaded. Each datum of an interval has `start`, its
    seconds from the start of the recording. The last layer of each chart is that of the intervals.

    Parameters
    ----------
    marked : seconds from the start, of a line in both charts; None for no line
    """
    duration, seconds = scan.recording.duration, interval_seconds(scan.recording.duration)
    unit, name = time_unit(duration)
    intervals = scan.per_interval(seconds).reset_index().round({"heart_rate": 1, "usable": 3})
    intervals["at"] = [format_time(at) for at in intervals["start"].tolist()]
    base = _in_unit(intervals, seconds, unit)
    scale = alt.Scale(domain=[0, duration / unit], nice=False)
    hidden = alt.X("time:Q", scale=scale, axis=None)
    x = alt.X("time:Q", scale=scale, title=f"{name} from the start", axis=alt.Axis(grid=False))
    shown = [
        alt.Tooltip("at:N", title="from"),
        alt.Tooltip("heart_rate:Q", title="beats per minute", format=".0f"),
        alt.Tooltip("beats:Q"),
        alt.Tooltip("alarms:Q"),
        alt.Tooltip("usable:Q", title="usable signal", format=".0%"),
    ]
    pointer = base.mark_rect(aria=False, opacity=0, color=GREY, clip=True)
    rate = alt.Y("heart_rate:Q", title="heart rate", scale=alt.Scale(zero=False), axis=y_axis(tickCount=4))
    dots = alt.OverlayMarkDef(color=CALM, size=14 if len(intervals) <= 180 else 2, aria=False)
    line = base.mark_line(aria=False, color=CALM, strokeWidth=1.5, point=dots, clip=True)
    line = line.encode(alt.X("middle:Q", scale=scale, axis=None), rate)
    by_kind = colours(scan)
    kind = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(by_kind), range=list(by_kind.values())),
        legend=alt.Legend(orient="top", title="kind of alarm", symbolOpacity=1) if by_kind else None,
    )
    by_interval = _alarms_by_kind(scan, seconds)
    most = int(by_interval["high"].max()) if len(by_interval) else 1
    axis = y_axis(tickCount=min(most, 4), format="d")  # whole numbers alone
    count = alt.Y("low:Q", title=f"alarms per {interval_words(seconds)}", axis=axis)
    bars = _in_unit(by_interval, seconds, unit).mark_rect(aria=False, clip=True)
    bars = bars.encode(x, count, x2="after:Q", y2="high:Q", color=kind)
    shading, pointer = _shading(scan, unit), pointer.encode(x2="after:Q", tooltip=shown)
    mark = alt.Chart(pd.DataFrame({"time": [] if marked is None else [marked / unit]}))
    mark = mark.mark_rule(aria=False, color=GREY, strokeWidth=2)

    def panel(drawn: alt.Chart, x: alt.X, height: int) -> Layers:
        marks = [] if marked is None else [mark.encode(x)]
        return alt.layer(shading.encode(x, x2="after:Q"), drawn, *marks, pointer.encode(x), height=height)

    upper, lower = HEIGHTS
    return panel(line, hidden, upper), panel(bars, x, lower)


def _in_unit(intervals: pd.DataFrame, seconds: int, unit: int) -> alt.Chart:
    """A chart of intervals, from `time` to `after` in the unit of the x axis, with its `middle`."""
    known = intervals.astype(object).where(intervals.notna(), None)
    rows = alt.Data(values=known.to_dict("records"))  # of a DataFrame, Altair takes 5,000 rows at most
    return alt.Chart(rows).transform_calculate(
        time=f"datum.start / {unit}",
        after=f"(datum.start + {seconds}) / {unit}",
        middle=f"(datum.start + {seconds / 2}) / {unit}",
    )


def _alarms_by_kind(scan: Scan, seconds: int) -> pd.DataFrame:
    """The alarms of each interval, one kind above the other: `start`, `kind`, and from `low` to `high`."""
    alarms, kinds = scan.alarms, scan.kinds["kind"].tolist()
    start = ((alarms["seconds"] // seconds).astype(int) * seconds).rename("start")
    counts = (
        alarms.groupby([start, alarms["kind"].map(kinds.index).rename("order")]).size().rename("high").reset_index()
    )
    high = counts.groupby("start")["high"].cumsum()
    kind = [kinds[order] for order in counts["order"].tolist()]
    return pd.DataFrame({"start": counts["start"], "kind": kind, "low": high - counts["high"], "high": high})


def _shading(scan: Scan, unit: int) -> alt.Chart:
    """Unusable signal, grey, and stretches that are unlike the start, coloured."""
    longest = sorted(scan.unusable, key=lambda segment: segment.start - segment.stop)[:MOST_SEGMENTS]
    rows = [(s.start / unit, s.stop / unit, f"{s.kind} signal", GREY) for s in longest]
    changes = scan.episodes[scan.episodes["type"] == CHANGE]
    rows += [(c.start / unit, c.stop / unit, "unlike the start", ALARMING) for c in changes.itertuples()]
    frame = pd.DataFrame(rows, columns=["time", "after", "shaded", "colour"])
    # The stroke shows a segment that is narrower than a pixel. Vega-Lite would give the `opacity` to the legend, too.
    mark = alt.Chart(frame).mark_rect(aria=False, fillOpacity=0.25, strokeOpacity=0.25, strokeWidth=0.5)
    return mark.encode(
        color=alt.Color("colour:N", scale=None), stroke=alt.Stroke("colour:N", scale=None), tooltip=["shaded:N"]
    )
