"""A scanned recording: the parts of its report, in the report's order, and the strips that are asked for."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from ecg.dashboard.messages import escape_markdown, file_stem
from ecg.dashboard.results import FOUR_DECIMALS, SHOWN
from ecg.exceptions import InputError
from ecg.files import csv_bytes
from ecg.recordings.reading.lead import duration_text
from ecg.scanning.charts import colours, interval_seconds, interval_words, timeline
from ecg.scanning.display import format_time, parse_time
from ecg.scanning.drawing import Drawing, Scale
from ecg.scanning.episodes import TYPES
from ecg.scanning.findings import comparison, doubts, finding
from ecg.scanning.page import figures, hourly, page, shown_strip, strip_time, telling
from ecg.scanning.parts import part
from ecg.scanning.records import STRIP_SECONDS, Scan

PLACE = "place"
TYPED = "typed time"
SELECTED = "interval"  # name of the selection in the charts
ALL = "all"
NARROWEST = "40rem"  # of a strip; on a phone it scrolls
CHART_HEIGHTS = (160, 220)  # pixels, with axes and legend, which Streamlit counts
SHAPE_WIDTH = 180  # pixels of a mean beat


@dataclass(frozen=True)
class Place:
    """Where in a recording the strip below the charts is.

    number : of the scan
    seconds : the middle of the strip, or an alarm in it
    moves : how often it was moved; each time the charts start anew, so that the same minute can be clicked on again
    """

    number: int
    seconds: float
    moves: int = 0


@st.fragment  # what is chosen in it draws it alone: Streamlit copies uploaded files whenever it draws the page
def show(scan: Scan, number: int) -> None:
    """The parts of the report.

    Parameters
    ----------
    number : of the scan, in the keys of what can be chosen: another scan starts anew
    """
    st.html(
        f"<style>.st-key-scan {{ {part('text_rules')} .soft {{ opacity: .7 }}"
        f" [class*=st-key-lead-] {{ overflow-x: auto; img {{ min-width: {NARROWEST}; }} }} }}</style>"
    )
    with st.container(key="scan"):
        _show_finding(scan)
        _show_downloads(scan)
        scale = Scale.of(scan)
        _show_timeline(scan, number, scale)
        _show_kinds(scan, scale)
        _show_episodes(scan, number, scale)
        _show_hours(scan)
        _show_doubts(scan)


def _show_finding(scan: Scan) -> None:
    """What was found, in a sentence and five numbers, and reasons to doubt it."""
    recording = scan.recording
    st.subheader(escape_markdown(f"{recording.name}, lead {recording.lead}"), anchor=False)
    read_as = f"Read as: {recording.read_as}. " if recording.read_as else ""
    alpha = "" if scan.alpha is None else f", at alpha {scan.alpha:g}"
    st.caption(escape_markdown(f"{read_as}Judged by {scan.judged_by}{alpha}."))
    st.markdown(f"**{escape_markdown(finding(scan))}**")
    with st.container(horizontal=True):
        for name, value, means in figures(scan):
            st.metric(name, value, help=means, width=160)
    for warning in scan.warnings:
        st.warning(escape_markdown(warning), icon=":material/warning:")


def _show_downloads(scan: Scan) -> None:
    """The report and the tables, each made when it is asked for."""
    stem = file_stem(scan.recording.name, "recording")
    files: list[tuple[str, str, str, Callable[[], bytes]]] = [
        ("report (HTML)", f"{stem}_report.html", "text/html", lambda: page(scan).encode()),
        ("alarms (CSV)", f"{stem}_alarms.csv", "text/csv", lambda: csv_bytes(scan.alarms)),
        ("episodes (CSV)", f"{stem}_episodes.csv", "text/csv", lambda: csv_bytes(scan.episodes)),
    ]
    with st.container(horizontal=True):
        for label, name, kind, content in files:
            icon = ":material/download:"
            st.download_button(f"Download {label}", content, name, kind, on_click="ignore", icon=icon)


def _show_timeline(scan: Scan, number: int, scale: Scale) -> None:
    """Heart rate and alarms over time, and the strip at the time that is chosen there."""
    st.subheader("Over time", anchor=False)
    words = interval_words(interval_seconds(scan.recording.duration))
    st.caption(
        f"Click in the charts to see the lead there: the first alarm of the {words} or, if there is none, the start."
    )
    place = _place(scan, number)
    at = place.seconds
    reference = weakref.ref(scan)  # Streamlit keeps what a chart calls for as long as the session lasts
    titles = ("Heart rate", f"Alarms per {words}")
    with st.container(gap=None):
        for chart, title, height in zip(timeline(scan, at), titles, CHART_HEIGHTS, strict=True):
            chosen = alt.selection_point(name=SELECTED, fields=["start"], on="click", toggle=False)
            chart.layer[-1] = chart.layer[-1].add_params(chosen)
            key = f"{title} {number} {place.moves}"
            st.altair_chart(
                chart.properties(height=height),
                alt=f"{title}, over {duration_text(scan.recording.duration)}.",
                key=key,
                on_select=lambda key=key: _clicked(reference(), number, key),
            )
    red = "; red, unlike the start" if scan.changes else ""
    st.caption(
        f"Heart rate: beats per minute, from the median RR interval of each {words}. Grey: unusable signal{red}."
    )
    for change in scan.changes:
        st.info(escape_markdown(f"{str(change).capitalize()}."), icon=":material/timeline:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for label, step, icon in (("earlier", -STRIP_SECONDS, "left"), ("later", STRIP_SECONDS, "right")):
            st.button(
                f"{STRIP_SECONDS:g} s {label}",
                on_click=_go_to,
                args=(scan.recording.duration, number, at + step),
                icon=f":material/arrow_{icon}:",
                key=label,
            )
        st.text_input(
            "Go to",
            placeholder="0:12:30",
            key=TYPED,
            on_change=_typed,
            args=(scan.recording.duration, number),
            width=120,
        )
    if (problem := st.session_state.pop(f"{TYPED} error", None)) is not None:
        st.error(escape_markdown(problem), icon=":material/error:")
    _show_strip(scan, at, scale, "time")
    st.caption(f"{STRIP_SECONDS:g} seconds: {scale.text}, filtered. Triangles: alarms.")


def _place(scan: Scan, number: int) -> Place:
    """Where the strip is: at first, at the most telling alarm."""
    place = st.session_state.get(PLACE)
    if place is None or place.number != number:
        seconds = next(iter(telling(scan)), min(STRIP_SECONDS, scan.recording.duration) / 2)
        place = Place(number, float(seconds))
    return place


def _go_to(duration: float, number: int, seconds: float) -> None:
    """Show the strip at a time: all of it within the recording of this duration."""
    half = min(STRIP_SECONDS, duration) / 2
    _move(number, min(max(seconds, half), duration - half))


def _move(number: int, seconds: float) -> None:
    last = st.session_state.get(PLACE)
    st.session_state[PLACE] = Place(number, seconds, 1 if last is None else last.moves + 1)


def _clicked(scan: Scan | None, number: int, key: str) -> None:
    """Show the first alarm of the interval that was clicked on or, if it has none, its start."""
    chosen = st.session_state[key]["selection"].get(SELECTED)
    if scan is None or not chosen:  # it is another recording's, or was deselected
        return
    start = float(chosen[0]["start"])
    seconds = scan.alarms["seconds"].to_numpy()
    inside = seconds[(seconds >= start) & (seconds < start + interval_seconds(scan.recording.duration))]
    if len(inside):
        _move(number, float(inside[0]))
    else:
        _go_to(scan.recording.duration, number, start + STRIP_SECONDS / 2)


def _typed(duration: float, number: int) -> None:
    """Show the strip at the time that was entered."""
    if not (text := st.session_state[TYPED].strip()):
        return
    try:
        at = parse_time(text)
        if at > duration:
            raise InputError(f"the recording ends at {format_time(duration)}")
    except InputError as error:
        st.session_state[f"{TYPED} error"] = str(error)
    else:
        _go_to(duration, number, at)


def _show_strip(scan: Scan, at: float, scale: Scale, key: str) -> None:
    """The strip around a time.

    key : of the strip among those that are shown
    """
    shown = shown_strip(scan, at, scale)
    st.html(part("caption", shown=shown, colours=colours(scan)))
    with st.container(key=f"lead-{key}"):
        _draw(shown.drawing, f"The lead for {STRIP_SECONDS:g} seconds around {shown.title}", "stretch")


def _draw(drawing: Drawing, alt: str, width: Any) -> None:
    theme = st.context.theme.type or "light"
    st.image(part("image", drawing=drawing, theme=theme), width=width, alt=alt)


def _show_kinds(scan: Scan, scale: Scale) -> None:
    """Each kind of alarm: its mean beat over the normal one, and the strip of its example."""
    if not len(scan.kinds):
        return
    st.subheader("Kinds of alarm", anchor=False)
    st.caption(
        "Alarms of like shape and timing. Solid: the mean beat of the kind. Dashed: the patient's normal beat at the "
        "same times."
    )
    for kind in scan.kinds.to_dict("records"):
        left, right = st.columns([1, 5], gap="medium")
        shape = scan.shapes.get(kind["kind"])
        with left:
            if shape is None:
                st.caption("set aside" if kind["set_aside"] else "no common shape")
            else:
                drawing = Drawing.of_beats((shape.normal, shape.mean), scale)
                _draw(drawing, f"Mean beat of kind {kind['kind']} over the normal beat", SHAPE_WIDTH)
        with right:
            st.html(part("kind_words", kind=kind, colours=colours(scan)))
            _show_strip(scan, kind["example"], scale, f"kind-{kind['kind']}")


def _show_episodes(scan: Scan, number: int, scale: Scale) -> None:
    """Tables of the episodes and alarms, by type and kind; a selected row shows its strip."""
    episodes = scan.episodes
    if not len(episodes):
        return
    st.subheader("Episodes and alarms", anchor=False)
    st.caption(f"{', '.join(f'{label}: {count:,}' for label, count in scan.count_episodes().items())}.")
    types = [label for label in TYPES if label in set(episodes["type"])]
    with st.container(horizontal=True, gap="large"):
        label = _filter("Episodes of type", types, f"type {number}")
        kind = _filter("Alarms of kind", scan.kinds["kind"].tolist(), f"kind {number}")
    if label != ALL:
        episodes = episodes[episodes["type"] == label]
    alarms = scan.alarms
    if kind != ALL:
        alarms = alarms[alarms["kind"] == kind]
        episodes = episodes[(episodes["kind"] == kind) | episodes["episode"].isin(alarms["episode"])]
    if label != ALL:
        alarms = alarms[alarms["episode"].isin(episodes["episode"])]
    chosen = f"{number} {label} {kind}"
    row = _table(episodes, _EPISODES, "episodes", chosen)
    if row is not None:
        _show_strip(scan, strip_time(row["start"], row["stop"]), scale, "episode")
        alarms = alarms[alarms["episode"] == row["episode"]]
        chosen += f" {row['episode']}"
    row = _table(alarms, _ALARMS, "alarms" if row is None else f"alarms of episode {row['episode']}", chosen)
    if row is not None:
        _show_strip(scan, row["seconds"], scale, "alarm")


def _filter(label: str, options: list[str], key: str) -> str:
    chosen = st.segmented_control(label, [ALL, *options], default=ALL, required=True, wrap=True, key=key)
    return chosen or ALL


def _table(table: pd.DataFrame, columns: dict[str, Any], noun: str, chosen: str) -> pd.Series | None:
    """The first rows of a table; the row that is selected, if any.

    chosen : what the rows are chosen by: other rows start without a selection
    """
    st.markdown(f"**{len(table):,}** {noun}")
    if not len(table):
        return None
    shown = table[:SHOWN]
    selected = st.dataframe(
        shown[list(columns)].dropna(axis="columns", how="all"),
        hide_index=True,
        height=min(260, 36 * (len(shown) + 1)),
        alt=f"Table of {noun}",
        column_config=columns,
        key=f"{noun} {chosen}",
        on_select="rerun",
        selection_mode="single-row",
    )
    if len(table) > len(shown):
        st.caption(f"The first {len(shown):,} of {len(table):,}; the downloaded file has all.")
    rows = selected["selection"]["rows"]
    if not rows or rows[0] >= len(shown):
        st.caption("Select a row, at its left edge, to see its strip.")
        return None
    return shown.iloc[rows[0]]


_HEIGHT = st.column_config.NumberColumn("height", format="%.2f", help="Score over threshold.")
_EPISODES = {
    "time": "time",
    "type": "type",
    "kind": "kind",
    "alarms": "alarms",
    "beats": "beats",
    "heart_rate": st.column_config.NumberColumn("heart rate", format="%.0f", help="Per minute."),
    "height": _HEIGHT,
    "why": "why",
}
_ALARMS = {
    "time": "time",
    "kind": "kind",
    "why": "why",
    **dict.fromkeys(("score", "p_value", "threshold"), FOUR_DECIMALS),
    "rr_before": st.column_config.NumberColumn(format="%.3f", help="Seconds since the R peak before."),
    "rr_after": st.column_config.NumberColumn(format="%.3f", help="Seconds to the R peak after."),
    "quality": st.column_config.NumberColumn(format="%.2f", help="Signal quality: 1 is free of drift and noise."),
}


def _show_hours(scan: Scan) -> None:
    """A row for each hour."""
    st.subheader("Hours", anchor=False)
    st.html(part("hours_table", hours=hourly(scan).to_dict("records")))


def _show_doubts(scan: Scan) -> None:
    """Two ways to compare, what speaks against the result, and how the model was made."""
    st.subheader("Two ways to compare", anchor=False)
    st.markdown(escape_markdown(comparison(scan)))
    st.subheader("What speaks against this result", anchor=False)
    st.markdown("\n".join(f"- {escape_markdown(doubt)}" for doubt in doubts(scan)))
    st.subheader("How the model was made", anchor=False)
    for paragraph in scan.made:
        st.markdown(escape_markdown(paragraph))
    st.caption("No diagnosis follows from this page, and that nothing is found does not mean that nothing is wrong.")
