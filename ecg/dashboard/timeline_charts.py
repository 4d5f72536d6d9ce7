"""Charts of a scanned recording; `ecg.scanning.timeline` draws the same as a PNG file."""

import altair as alt
import numpy as np
import pandas as pd

from ecg.dashboard.charts import ALARMING, CALM, GREY, HEIGHT, Layers, small_title, y_axis
from ecg.recordings.cutting import thinned
from ecg.scanning.display import format_time, time_unit
from ecg.scanning.records import RhythmStrip, Scan, ScannedBeats

MOST_NORMAL, MOST_ALARMS = 5_000, 3_000  # beats that are drawn at most: with more, a browser is slow
MOST_STEPS = 2_000  # points of the threshold's line
MOST_SEGMENTS = 1_000  # segments of unusable signal, the longest ones
AROUND = 3.0  # seconds of a strip on each side of its alarm, at most
NO_ALARM, ALARM = "no alarm", "alarm"


def drawn_beats(beats: ScannedBeats) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the beats without an alarm, and of the alarms, that are drawn: evenly spread int ndarrays."""
    without = np.flatnonzero(~beats.anomalous)
    return thinned(without, MOST_NORMAL), thinned(beats.alarms, MOST_ALARMS)


def timeline(scan: Scan) -> list[Layers]:
    """Heart rate and alarms of each minute, the scores and their threshold: three charts with the same x axis.

    Unusable signal is shaded.
    """
    duration = scan.recording.duration
    unit, name = time_unit(duration)
    scale = alt.Scale(domain=[0, duration / unit], nice=False)
    x = alt.X("time:Q", title=f"{name} from the start", scale=scale, axis=alt.Axis(grid=False))
    rate, alarms = _minutes(scan, x.axis(None), unit)
    return [
        alt.layer(_unusable(scan, x.axis(None), unit), rate, height=130),
        alt.layer(_unusable(scan, x.axis(None), unit), alarms, height=110),
        alt.layer(_unusable(scan, x, unit), *_scores(scan.beats, x, unit), height=300),
    ]


def strips(scan: Scan) -> list[Layers]:
    """A small chart of the lead around each strip's alarm; all have the same time scale."""
    offsets = [strip.seconds - scan.beats.seconds[strip.beat] for strip in scan.strips]
    before, after = (min(max(-offset[0] for offset in offsets), AROUND), min(max(o[-1] for o in offsets), AROUND))
    x = alt.X("time:Q", axis=None, scale=alt.Scale(domain=[-before, after], nice=False))
    y = alt.Y("amplitude:Q", axis=None, scale=alt.Scale(zero=False))
    rule = alt.Chart(pd.DataFrame({"time": [0.0]})).mark_rule(aria=False, color=ALARMING, strokeDash=[4, 2]).encode(x)
    charts = []
    for strip, offset in zip(scan.strips, offsets, strict=True):
        near = np.abs(offset) <= AROUND
        lead = alt.Chart(pd.DataFrame({"time": offset[near], "amplitude": strip.samples[near]}))
        line = lead.mark_line(aria=False, color=CALM, strokeWidth=1.4).encode(x, y)
        charts.append(alt.layer(rule, line, height=HEIGHT, title=small_title(strip_title(scan.beats, strip))))
    return charts


def strip_title(beats: ScannedBeats, strip: RhythmStrip) -> str:
    """The time of an alarm, and its score."""
    return f"{format_time(float(beats.seconds[strip.beat]))}, {beats.score[strip.beat]:.3g}"


def _unusable(scan: Scan, x: alt.X, unit: int) -> alt.Chart:
    longest = sorted(scan.unusable, key=lambda segment: segment.start - segment.stop)[:MOST_SEGMENTS]
    columns = ["time", "after", "unusable signal"]
    frame = pd.DataFrame([(s.start / unit, s.stop / unit, s.kind) for s in longest], columns=columns)
    # The stroke shows a segment that is narrower than a pixel.
    mark = alt.Chart(frame).mark_rect(aria=False, color=GREY, opacity=0.35, stroke=GREY, strokeWidth=0.5)
    return mark.encode(x, x2="after:Q", tooltip=["unusable signal:N"])


def _minutes(scan: Scan, x: alt.X, unit: int) -> tuple[alt.Chart, alt.Chart]:
    """The heart rate and the alarms of each minute."""
    minutes = scan.per_minute()
    start = np.arange(len(minutes)) * 60.0
    stop = np.minimum(start + 60, scan.recording.duration)
    rates = pd.DataFrame({"time": (start + stop) / 2 / unit, "rate": minutes.heart_rate})
    points = alt.OverlayMarkDef(color=CALM, size=14 if len(rates) <= 180 else 2, aria=False)
    rate = alt.Y("rate:Q", title="heart rate", scale=alt.Scale(zero=False), axis=y_axis(tickCount=3))
    counts = pd.DataFrame({"time": start / unit, "after": stop / unit, "alarms": minutes.alarms, "zero": 0.0})
    counts = counts[counts["alarms"] > 0]
    highest = alt.Scale(domain=[0, max(counts["alarms"].max(), 1) if len(counts) else 1])
    count = alt.Y("alarms:Q", title="alarms/min", scale=highest, axis=y_axis(tickCount=3, tickMinStep=1))
    line = alt.Chart(rates).mark_line(aria=False, color=CALM, strokeWidth=1.5, point=points)
    bars = alt.Chart(counts).mark_rect(aria=False, color=ALARMING)
    return (
        line.encode(x, rate, tooltip=[alt.Tooltip("rate:Q", title="beats per minute", format=".0f")]),
        bars.encode(x, count, x2="after:Q", y2="zero:Q", tooltip=[alt.Tooltip("alarms:Q", title="alarms per minute")]),
    )


def _scores(scanned: ScannedBeats, x: alt.X, unit: int) -> list[alt.Chart]:
    smallest = np.finfo(np.float32).tiny  # zero has no logarithm
    score, threshold = np.maximum(scanned.score, smallest), np.maximum(scanned.threshold, smallest)
    index = np.concatenate(drawn_beats(scanned))  # alarms are drawn last, above the others
    beats = pd.DataFrame(
        {
            "time": scanned.seconds[index] / unit,
            "score": score[index],
            "verdict": np.where(scanned.anomalous[index], ALARM, NO_ALARM),
            "at": [format_time(seconds) for seconds in scanned.seconds[index].tolist()],
        }
    )
    both = np.concatenate([score, threshold])
    scale = alt.Scale(type="log", domain=[both.min() / 1.1, both.max() * 1.1], nice=False)
    y = alt.Y("score:Q", title="score", scale=scale, axis=y_axis(format=".2~g", tickCount=4))
    legend, verdicts = alt.Legend(title=None, orient="top"), [NO_ALARM, ALARM]
    points = alt.Chart(beats).mark_point(aria=False, filled=True, opacity=0.8)
    encoded = points.encode(
        x,
        y,
        color=alt.Color("verdict:N", scale=alt.Scale(domain=verdicts, range=[CALM, ALARMING]), legend=legend),
        shape=alt.Shape("verdict:N", scale=alt.Scale(domain=verdicts, range=["circle", "triangle-up"])),
        size=alt.when(f"datum.verdict === '{ALARM}'").then(alt.value(26)).otherwise(alt.value(9)),
        tooltip=["at:N", alt.Tooltip("score:Q", format=".4g")],
    )
    steps = thinned(np.arange(len(scanned)), MOST_STEPS)
    line = alt.Chart(pd.DataFrame({"time": scanned.seconds[steps] / unit, "score": threshold[steps]}))
    return [encoded, line.mark_line(aria=False, color=GREY, strokeWidth=2.5).encode(x, y)]
