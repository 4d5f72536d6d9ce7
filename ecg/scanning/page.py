"""A scan as one HTML page that needs no server and no network: it can be kept, sent and printed."""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from ecg.recordings.cutting import thinned
from ecg.recordings.reading.lead import duration_text
from ecg.scanning.charts import colours, interval_seconds, interval_words, timeline
from ecg.scanning.display import format_time
from ecg.scanning.drawing import Drawing, Scale
from ecg.scanning.episodes import SINGLE, TYPES
from ecg.scanning.findings import comparison, doubts, finding
from ecg.scanning.kinds import NOISE
from ecg.scanning.parts import environment
from ecg.scanning.records import Scan

TELLING_STRIPS = 12  # that are shown open, of the most telling alarms
LISTED_EPISODES = 200  # that are listed, each with its strip; the others are in episodes.csv
LISTED_FIRST = 120  # of these, of the most telling types; the others are spread over the recording
HOUR = 3600
TEMPLATE = "report.html"
MARGIN = 4.0  # seconds, within which two alarms are on the same strip
NEAR = 0.01  # seconds between a time and the alarm that it is the time of


@dataclass(frozen=True)
class ShownStrip:
    """A strip with what it shows, in words: its time, a kind of alarm or none, and the reason."""

    title: str
    kind: str
    drawing: Drawing


def page(scan: Scan) -> str:
    """The page, as HTML; equal scans give equal pages."""
    scale = Scale.of(scan)
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            scan=scan,
            recording=scan.recording,
            finding=finding(scan),
            figures=list(figures(scan)),
            doubts=doubts(scan),
            scale=scale.text,
            colours=colours(scan),
            kinds=[_kind(scan, row, scale) for row in scan.kinds.to_dict("records")],
            strips=[shown_strip(scan, at, scale) for at in telling(scan)],
            episodes=[
                row | {"drawing": Drawing.of_strip(scan.strip(strip_time(row["start"], row["stop"])), scale)}
                for row in listed(scan.episodes).to_dict("records")
            ],
            types=[label for label in TYPES if label in set(scan.episodes["type"])],
            hours=hourly(scan).to_dict("records"),
            comparison=comparison(scan),
            interval=interval_words(interval_seconds(scan.recording.duration)),
            chart=_specification(scan),
            vega=_vega(),
        )
    )


@cache  # it takes a second
def _vega() -> str:
    """Vega as one script, which needs no other."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")


def figures(scan: Scan) -> Iterator[tuple[str, str, str]]:
    """The five numbers of a scan: name, value and what it means."""
    beats, alarms, rates = len(scan.beats), int(scan.beats["anomalous"].sum()), scan.heart_rates
    episodes = int((scan.episodes["type"] != NOISE).sum())
    yield "Beats", f"{beats:,}", "judged"
    yield "Alarms", f"{alarms:,}", f"{alarms / beats:.1%} of the beats"
    yield "Episodes", f"{episodes:,}", "of alarms that belong together, without those in noise"
    if rates is None:
        yield "Heart rate", "unknown", "no RR interval is known"
    else:
        low, median, high = rates
        yield "Heart rate", f"{low:.0f} to {high:.0f}", f"per minute; median {median:.0f}"
    yield "Usable", f"{scan.usable_share:.0%}", f"of {duration_text(scan.recording.duration)}"


def hourly(scan: Scan) -> pd.DataFrame:
    """A row for each hour: heart rate, beats, alarms, episodes and usable share."""
    hours = scan.per_interval(HOUR)
    minutes = scan.per_interval(60)["heart_rate"]
    by_hour = minutes.groupby((minutes.index // HOUR).astype(int))
    hours["lowest"], hours["highest"] = by_hour.min().to_numpy(), by_hour.max().to_numpy()
    started = scan.episodes[scan.episodes["type"] != NOISE]["start"] // HOUR
    hours["episodes"] = started.value_counts().reindex(range(len(hours)), fill_value=0).to_numpy()
    hours["from"] = [format_time(start)[:-2] for start in hours.index]
    return hours


def telling(scan: Scan) -> list[float]:
    """Times of the most telling alarms: kind by kind, the clearest first, and spread over the recording."""
    alarms, kinds = scan.alarms, scan.kinds[~scan.kinds["set_aside"].astype(bool)]
    kinds = kinds.sort_values("height", ascending=False, kind="stable")["kind"].tolist()
    if not kinds:
        return []
    each = -(-TELLING_STRIPS // len(kinds))
    chosen: list[list[float]] = []
    for kind in kinds:
        own = alarms[alarms["kind"] == kind]
        part = (own["seconds"] * each // max(scan.recording.duration, 1e-9)).astype(int)
        highest = (own["score"] / own["threshold"]).groupby(part).idxmax()
        chosen.append(own.loc[highest, "seconds"].tolist())
    in_turn = [times[i] for i in range(each) for times in chosen if i < len(times)]
    shown = list[float]()
    for at in in_turn:
        if all(abs(at - other) > MARGIN for other in shown):
            shown.append(at)
    return shown[:TELLING_STRIPS]


def listed(episodes: pd.DataFrame) -> pd.DataFrame:
    """The episodes that a page lists, in the order of time: all, or the most telling and some of each hour."""
    if len(episodes) <= LISTED_EPISODES:
        return episodes
    rank = episodes["type"].map(TYPES.index)
    first = episodes.assign(rank=rank).sort_values(["rank", "alarms"], ascending=[True, False], kind="stable")
    first = first[first["rank"] < TYPES.index(SINGLE)].index[:LISTED_FIRST]
    others = episodes.index.difference(first)
    spread = thinned(others.to_numpy(), LISTED_EPISODES - len(first))
    return episodes.loc[np.sort(np.concatenate([first.to_numpy(), spread]))]


def _kind(scan: Scan, row: dict[str, object], scale: Scale) -> dict[str, object]:
    """A row of the table of kinds with its drawings."""
    shape = scan.shapes.get(str(row["kind"]))
    beats = None if shape is None else Drawing.of_beats((shape.normal, shape.mean), scale)
    return row | {"beats": beats, "strip": shown_strip(scan, float(str(row["example"])), scale)}


def shown_strip(scan: Scan, at: float, scale: Scale) -> ShownStrip:
    """The strip around a time, named for the alarm there; around any other time, by the time alone."""
    near = scan.beats.iloc[int(np.argmin(np.abs(scan.beats["seconds"].to_numpy() - at)))]
    is_alarm = bool(near["anomalous"]) and abs(near["seconds"] - at) <= NEAR
    title = f"{format_time(at)}: {near['why']}" if is_alarm else format_time(at)
    return ShownStrip(title, str(near["kind"]) if is_alarm else "", Drawing.of_strip(scan.strip(at), scale))


def strip_time(start: float, stop: float) -> float:
    """The middle of the strip of an episode: the episode's own or, if it is longer than a strip, near its start."""
    middle = (start + stop) / 2
    return middle if middle - start < MARGIN else start + MARGIN


def _specification(scan: Scan) -> str:
    """The charts as Vega-Lite: both are zoomed and moved together."""
    zoom = alt.selection_interval(name="zoom", bind="scales", encodings=["x"])
    upper, lower = timeline(scan)
    upper.layer[-1].name, lower.layer[-1].name = "rates", "alarms"
    upper.layer[-1], lower.layer[-1] = (chart.layer[-1].add_params(zoom) for chart in (upper, lower))
    with warnings.catch_warnings(action="ignore"):  # that both have the same zoom, as they should
        both = alt.vconcat(upper, lower, spacing=8).resolve_scale(x="shared", color="independent")
    return json.dumps(both.to_dict(validate=False)).replace("<", "\\u003c")
