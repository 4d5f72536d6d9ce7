"""What the dashboard draws of a scanned recording; `ecg.scanning.timeline` draws the same as a PNG."""

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from ecg.dashboard.charts import ALARMING, CALM, COLUMNS, PALE, Layers
from ecg.scanning.display import clock, evenly_spread, time_unit
from ecg.scanning.records import Scan, ScannedBeats, Strip

CALM_DRAWN, ALARMS_DRAWN = 5_000, 3_000  # beats at most
STEPS = 2_000  # of the threshold's line
STRETCHES = 1_000  # without ECG, the longest
AROUND = 3.0  # seconds of a strip on each side of its alarm, at most
HEIGHT = 520  # pixels of the timeline, its axis and legend among them
QUIET, ALARM = "no alarm", "alarm"
# Where heart rate, alarms and scores lie, one above the other on one x axis.
UPPER = [{"expr": "0.24 * height"}, {"expr": "0"}]
MIDDLE = [{"expr": "0.50 * height"}, {"expr": "0.30 * height"}]
LOWER = [{"expr": "height"}, {"expr": "0.56 * height"}]


@dataclass(frozen=True)
class Drawn:
    """Which beats are drawn, int ndarrays of their places, evenly spread: some without an alarm, and some alarms."""

    calm: np.ndarray
    alarms: np.ndarray


def drawn(beats: ScannedBeats) -> Drawn:
    """Of a long recording, fewer beats than there are: a browser that draws more is slow."""
    calm = np.flatnonzero(~beats.anomalous)
    return Drawn(evenly_spread(calm, CALM_DRAWN), evenly_spread(beats.alarms, ALARMS_DRAWN))


def timeline(scan: Scan) -> Layers:
    """Heart rate and alarms of each minute, the scores and their threshold, and what is no ECG."""
    duration = scan.recording.duration
    unit, name = time_unit(duration)
    x = alt.X(
        "time:Q",
        title=f"{name} from the start",
        scale=alt.Scale(domain=[0, duration / unit], nice=False),
        axis=alt.Axis(grid=False),
    )
    parts = [_stretches(scan, x, unit), *_minutes(scan, x, unit), _scores(scan.beats, x, unit)]
    layers = [part for part in parts if part is not None]
    return alt.layer(*layers).resolve_scale(y="independent").properties(height=HEIGHT)


def strips(scan: Scan) -> Layers:
    """The lead around the alarms furthest above the threshold, in rows of COLUMNS, on one time scale."""
    tiles, titles = [], []
    for place, strip in enumerate(scan.strips):
        offset = strip.seconds - scan.beats.seconds[strip.beat]
        near = np.abs(offset) <= AROUND
        samples = strip.samples[near]
        height = (samples - samples.min()) / max(np.ptp(samples), np.finfo(float).tiny)
        tiles.append(pd.DataFrame({"time": offset[near], "height": height, "of": place}))
        titles.append(titled(scan.beats, strip))
    first, last = min(tile["time"].min() for tile in tiles), max(tile["time"].max() for tile in tiles)
    wide, tall = 1.08 * (last - first), 1.5  # a tile with its margin
    rows = (len(tiles) - 1) // COLUMNS + 1
    left = [place % COLUMNS * wide - first for place in range(len(tiles))]
    down = [place // COLUMNS * tall for place in range(len(tiles))]
    for place, tile in enumerate(tiles):
        tile["x"], tile["y"] = tile["time"] + left[place], tile["height"] - down[place]
    names = pd.DataFrame({"x": np.add(left, first), "y": np.subtract(1.25, down), "title": titles})
    rules = pd.DataFrame({"x": left, "y": np.subtract(0.0, down), "top": np.subtract(1.0, down)})
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, COLUMNS * wide], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[1.05 - rows * tall, 1.4], nice=False))
    rule = alt.Chart(rules).mark_rule(aria=False, color=ALARMING, strokeDash=[4, 2]).encode(x, y, y2="top:Q")
    line = alt.Chart(pd.concat(tiles)).mark_line(aria=False, color=CALM, strokeWidth=1.4).encode(x, y, detail="of:N")
    text = alt.Chart(names).mark_text(align="left", color=PALE, fontSize=11).encode(x, y, text="title:N")
    return alt.layer(rule, line, text).properties(height=120 * rows + 20)


def titled(beats: ScannedBeats, strip: Strip) -> str:
    """When an alarm is, and its score."""
    return f"{clock(float(beats.seconds[strip.beat]))}, {beats.score[strip.beat]:.3g}"


def _stretches(scan: Scan, x: alt.X, unit: int) -> alt.Chart | None:
    if not scan.coverage.stretches:
        return None
    longest = sorted(scan.coverage.stretches, key=lambda stretch: stretch.start - stretch.stop)[:STRETCHES]
    frame = pd.DataFrame([{"time": s.start / unit, "after": s.stop / unit, "no ECG": s.kind} for s in longest])
    # The stroke shows what is narrower than a pixel.
    mark = alt.Chart(frame).mark_rect(aria=False, color=PALE, opacity=0.35, stroke=PALE, strokeWidth=0.5)
    return mark.encode(x, x2="after:Q", tooltip=["no ECG:N"])


def _minutes(scan: Scan, x: alt.X, unit: int) -> list[alt.Chart]:
    minutes = scan.minutes()
    start = np.arange(len(minutes.beats)) * 60.0
    stop = np.minimum(start + 60, scan.recording.duration)
    rates = pd.DataFrame({"time": (start + stop) / 2 / unit, "rate": minutes.heart_rate})
    rate = alt.Y(
        "rate:Q",
        title="heart rate",
        scale=alt.Scale(zero=False, range=UPPER),
        axis=alt.Axis(orient="left", grid=True, tickCount=3),
    )
    line = alt.Chart(rates).mark_line(
        aria=False,
        color=CALM,
        strokeWidth=1.5,
        point=alt.OverlayMarkDef(color=CALM, size=14 if len(rates) <= 180 else 2, aria=False),
    )
    alarms = np.nan_to_num(minutes.alarms)
    counts = pd.DataFrame({"time": start / unit, "after": stop / unit, "alarms": alarms, "none": 0.0})
    count = alt.Y(
        "alarms:Q",
        title="alarms/min",
        scale=alt.Scale(domain=[0, max(float(alarms.max()), 1)], range=MIDDLE),
        axis=alt.Axis(orient="left", grid=True, tickCount=3, tickMinStep=1),
    )
    bars = alt.Chart(counts[alarms > 0]).mark_rect(aria=False, color=ALARMING)
    return [
        line.encode(x, rate, tooltip=[alt.Tooltip("rate:Q", title="beats a minute", format=".0f")]),
        bars.encode(x, count, x2="after:Q", y2="none:Q", tooltip=[alt.Tooltip("alarms:Q", title="alarms a minute")]),
    ]


def _scores(scanned: ScannedBeats, x: alt.X, unit: int) -> Layers:
    shown = drawn(scanned)
    smallest = np.finfo(np.float32).tiny  # no logarithm of zero
    score, threshold = np.maximum(scanned.score, smallest), np.maximum(scanned.threshold, smallest)
    places = np.concatenate([shown.calm, shown.alarms])  # alarms lie above
    beats = pd.DataFrame(
        {
            "time": scanned.seconds[places] / unit,
            "score": score[places],
            "verdict": np.where(scanned.anomalous[places], ALARM, QUIET),
            "at": [clock(seconds) for seconds in scanned.seconds[places].tolist()],
        }
    )
    known = np.concatenate([score, threshold])
    y = alt.Y(
        "score:Q",
        title="score",
        scale=alt.Scale(type="log", domain=[known.min() / 1.1, known.max() * 1.1], nice=False, range=LOWER),
        axis=alt.Axis(orient="left", grid=True, format=".2~g", tickCount=4),
    )
    points = alt.Chart(beats).mark_point(aria=False, filled=True, opacity=0.8)
    encoded = points.encode(
        x,
        y,
        color=alt.Color(
            "verdict:N",
            scale=alt.Scale(domain=[QUIET, ALARM], range=[CALM, ALARMING]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        shape=alt.Shape("verdict:N", scale=alt.Scale(domain=[QUIET, ALARM], range=["circle", "triangle-up"])),
        size=alt.when(f"datum.verdict === '{ALARM}'").then(alt.value(26)).otherwise(alt.value(9)),
        tooltip=["at:N", alt.Tooltip("score:Q", format=".4g")],
    )
    steps = evenly_spread(np.arange(len(scanned)), STEPS)
    line = pd.DataFrame({"time": scanned.seconds[steps] / unit, "score": threshold[steps]})
    return alt.layer(encoded, alt.Chart(line).mark_line(aria=False, color=PALE, strokeWidth=2.5).encode(x, y))
