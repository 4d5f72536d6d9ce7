"""The alarms in a recording of one's own. It stays in the memory of the session, and goes when the file is removed."""

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ecg.dashboard.messages import plain, tell
from ecg.detector.detector import Detector
from ecg.exceptions import InputError, needed_for

if TYPE_CHECKING:  # it needs the extra `recordings`, which the other views do without
    from ecg.scanning.records import Scan

TYPES = ("hea", "dat", "edf", "csv", "tsv", "txt", "npy")
SHOWN = 1_000  # alarms in the table on the page; the file to download has all
RESULT = "scanned"
_NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{,199}")


@dataclass(frozen=True)
class Wanted:
    """How to scan.

    lead : its name, or its number from 0; None for the model's, or the first
    rate : samples a second; None as the file says
    alpha : the accepted false-alarm rate; None as calibrated
    adaptive : whether the threshold follows slow change
    """

    lead: str | None
    rate: float | None
    alpha: float | None
    adaptive: bool


@dataclass(frozen=True)
class Scanned:
    """What became of a recording.

    alarms : all, as CSV
    table : the first SHOWN of them
    """

    scan: "Scan"
    alarms: bytes
    table: pd.DataFrame


def safe_names(names: Sequence[str]) -> list[str]:
    """The names to write files under, each without its folder; InputError for one that may not be a file's here.

    They stay as they are otherwise: the header of a WFDB record names its signal file.
    """
    last = [re.split(r"[/\\]", name)[-1] for name in names]
    for name in last:
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} cannot be a file's name here: it should not begin with a dot")
    if len(set(last)) < len(last):
        raise InputError("there are two files of one name; remove one")
    return last


def recording_among(names: Sequence[str]) -> str:
    """Which file the recording is opened by: the header of a WFDB record, or the only file; InputError if none is."""
    headers = [name for name in names if name.lower().endswith(".hea")]
    signals = [name for name in names if name.lower().endswith(".dat")]
    rest = len(names) - len(headers) - len(signals)
    if len(headers) + rest > 1 or (rest and signals):
        raise InputError(
            "the files are of more than one recording; leave one recording, a .hea with its .dat or one file"
        )
    if signals and not headers:
        raise InputError(f"{signals[0]} is without its header: a WFDB record is a .hea and its .dat, add the .hea file")
    return headers[0] if headers else names[0]


def show(detector: Detector, alpha: float | None, *, is_open: bool) -> None:
    """The place to put a recording; if the view is open, its alarms.

    The place is there when the view is closed, too: Streamlit forgets a file whose widget is not drawn.
    """
    files = st.file_uploader(
        "A recording: WFDB (.hea and .dat together), EDF, CSV, TSV, TXT or NPY",
        list(TYPES),
        accept_multiple_files=True,
        key="recording",
        help="A table has a column for each lead, and maybe one of seconds in front.",
    )
    if not is_open:
        return
    st.caption(
        "The recording stays in this session's memory. While it is scanned, it lies in temporary files too, which are "
        "deleted then. It is neither kept nor logged."
    )
    try:
        with needed_for("reading recordings", "recordings"):
            import ecg.scanning.scan  # noqa: F401 - what it needs is missed here, before anything is asked
    except InputError as error:
        st.info(plain(str(error)), title="Recordings cannot be read here", icon=":material/extension_off:")
        return
    wanted = _wanted(detector, alpha)
    if not files:
        st.session_state.pop(RESULT, None)
        st.info(
            "A WFDB record is a header and its signal file: put both (.hea and .dat). EDF, CSV, TSV, TXT and NPY are "
            "one file each. NPY, and a table without a column of seconds, need the samples a second.",
            title="No recording yet",
            icon=":material/upload_file:",
        )
        return
    of = (tuple(sorted(file.file_id for file in files)), detector, wanted)
    if st.session_state.get(RESULT, (None, None))[0] != of:
        st.session_state.pop(RESULT, None)
        try:
            st.session_state[RESULT] = (of, _scanned(detector, files, wanted))
        except (InputError, OSError) as error:
            tell(error, "No alarms from this recording")
            return
    _result(st.session_state[RESULT][1])


def _wanted(detector: Detector, alpha: float | None) -> Wanted:
    own_lead = detector.dataset.lead
    first, second, third = st.columns([1, 1, 1], gap="medium", vertical_alignment="bottom")
    lead = first.text_input(
        "Lead",
        key="lead",
        placeholder="the first" if own_lead is None else f"{own_lead}, as the model's",
        help="Its name, or its number from 0.",
        persist_state="session",
    ).strip()
    rate = second.number_input(
        "Samples a second",
        min_value=1.0,
        value=None,
        step=1.0,
        format="%g",
        key="rate",
        placeholder="as the file says",
        persist_state="session",
    )
    adaptive = third.toggle(
        "Threshold follows slow change",
        value=True,
        key="adaptive",
        help="Electrodes dry, people turn over: scores drift. Otherwise the threshold stays the same.",
        persist_state="session",
    )
    return Wanted(lead or None, rate, alpha, adaptive)


def _scanned(detector: Detector, files: Sequence[UploadedFile], wanted: Wanted) -> Scanned:
    """Scan the files in a folder of their own, which is gone afterwards; no message tells where it was."""
    from ecg.scanning.report import table, table_of_alarms
    from ecg.scanning.scan import scan

    names = safe_names([file.name for file in files])
    chosen = recording_among(names)
    bar = st.progress(0.0, f"Scanning {plain(chosen)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            for file, name in zip(files, names, strict=True):
                Path(folder, name).write_bytes(file.getbuffer())
            scanned = scan(
                detector,
                str(Path(folder, chosen)),
                wanted.lead,
                wanted.rate,
                wanted.alpha,
                adaptive=wanted.adaptive,
                follow=lambda share: bar.progress(min(share, 1.0), f"Scanning {plain(chosen)}"),
            )
        except (InputError, OSError) as error:
            raise InputError(str(error).replace(folder + os.sep, "").replace(folder, "")) from None
        finally:
            bar.empty()
    header, rows = table(scanned.beats, scanned.beats.alarms[:SHOWN])
    cells = [[None if cell == "" else cell for cell in row] for row in rows]
    first = pd.DataFrame(cells, columns=list(header)).drop(columns="anomalous")
    return Scanned(scanned, table_of_alarms(scanned), first.dropna(axis="columns", how="all"))


def _result(scanned: Scanned) -> None:
    scan, recording = scanned.scan, scanned.scan.recording
    st.markdown(
        f"**{plain(recording.name)}**, lead {plain(recording.lead)}, {_long(recording.duration)} at "
        f"{recording.rate:g} samples a second"
    )
    for warning in scan.warnings:
        st.warning(plain(warning), icon=":material/warning:")
    _numbers(scan)
    _timeline(scan)
    if not len(scan.beats.alarms):
        st.info("No beat raises an alarm.", icon=":material/check:")
        return
    _strips(scan)
    _table(scanned)


def _numbers(scan: "Scan") -> None:
    facts, coverage = scan.facts(), scan.coverage
    heart_rate = facts["heart_rate"]
    with st.container(horizontal=True):
        for name, value, explained in (
            ("Beats", f"{facts['beats']:,}", None),
            ("Alarms", f"{facts['alarms']:,}", None),
            ("Alarms an hour", f"{facts['alarms_per_hour']:,.0f}", None),
            (
                "Heart rate",
                "unknown" if heart_rate is None else f"{heart_rate:.0f}",
                "Beats a minute, by the median RR interval.",
            ),
        ):
            st.metric(name, value, help=explained, width=160)
    kinds = [f"{seconds:,.1f} s {kind}" for kind, seconds in coverage.lost.items() if seconds]
    lost = [f"No ECG: {', '.join(kinds)}."] if kinds else []
    places = (("beside what is no ECG", coverage.left_out_beside), ("at the ends", coverage.left_out_at_ends))
    out = [f"{beats:,} {where}" for where, beats in places if beats]
    st.caption(" ".join([*lost, f"Beats left out: {', '.join(out) or 'none'}."]))


def _timeline(scan: "Scan") -> None:
    from ecg.dashboard.timeline_charts import STRETCHES, drawn, timeline

    beats, stretches = scan.beats, scan.coverage.stretches
    shown, alarms = drawn(beats), len(beats.alarms)
    st.subheader("Timeline", anchor=False)
    st.altair_chart(
        timeline(scan),
        width="stretch",
        alt=f"Heart rate, alarms a minute and scores over {_long(scan.recording.duration)}: {len(beats):,} "
        f"beats, {alarms:,} alarms.",
    )
    caption = ["Score: on a log axis."]
    caption.append(f"Line: the threshold, which {'follows slow change' if scan.adaptive else 'stays the same'}.")
    if stretches:
        cut = len(stretches) > STRETCHES
        caption.append(f"Grey: no ECG, the longest {STRETCHES:,} stretches." if cut else "Grey: no ECG.")
    if len(shown.calm) < len(beats) - alarms:
        caption.append(f"Of {len(beats) - alarms:,} beats without an alarm, {len(shown.calm):,} are drawn.")
    if len(shown.alarms) < alarms:
        caption.append(f"Of {alarms:,} alarms, {len(shown.alarms):,} are drawn.")
    st.caption(" ".join(caption))


def _strips(scan: "Scan") -> None:
    from ecg.dashboard.timeline_charts import AROUND, strips, titled

    titles = [titled(scan.beats, strip) for strip in scan.strips]
    st.subheader("Alarms furthest above the threshold", anchor=False)
    st.altair_chart(strips(scan), width="stretch", alt=f"The lead around {len(titles)} alarms: {'; '.join(titles)}")
    st.caption(
        f"Time and score of each. The filtered lead from the beat before to the one after, {AROUND:g} s to each side "
        "at most; heights differ in scale."
    )


def _table(scanned: Scanned) -> None:
    alarms = len(scanned.scan.beats.alarms)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(f"Alarms: {alarms:,}", anchor=False, width="content")
        st.download_button(
            "Download alarms (CSV)",
            scanned.alarms,
            f"{scanned.scan.recording.name}_alarms.csv",
            "text/csv",
            on_click="ignore",
            type="primary",
            icon=":material/download:",
        )
    st.dataframe(
        scanned.table, hide_index=True, height=260, alt="Time, score and p-value of each alarm", column_config=_COLUMNS
    )
    if alarms > SHOWN:
        st.caption(f"The first {SHOWN:,} alarms. The file to download has all {alarms:,}.")


_COLUMNS = {
    "seconds": st.column_config.NumberColumn(format="%.3f"),
    "rr_before": st.column_config.NumberColumn(format="%.3f", help="Seconds since the R peak before."),
    "rr_after": st.column_config.NumberColumn(format="%.3f", help="Seconds to the R peak after."),
    "quality": st.column_config.NumberColumn(format="%.2f", help="1 is free of drift and noise."),
    **{name: st.column_config.NumberColumn(format="%.4f") for name in ("score", "p_value", "threshold")},
}


def _long(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 2 * 3600 else f"{seconds / 60:.1f} minutes"
