"""The view of an uploaded recording and its alarms, which stay in the session's memory until the file is removed."""

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ecg.dashboard import loading
from ecg.dashboard.messages import escape_markdown
from ecg.dashboard.results import FOUR_DECIMALS, SHOWN, computed_once, show_table
from ecg.detector.detector import Detector
from ecg.exceptions import InputError, needed_for
from ecg.files import csv_bytes
from ecg.scanning.display import time_unit

if TYPE_CHECKING:  # imported where it is used: the first page should not wait for it
    from ecg.hearts.model import HeartModel
    from ecg.scanning.records import Scan

TYPES = ("hea", "dat", "edf", "csv", "tsv", "txt", "npy")
RESULT = "scanned recording"
ALPHAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)  # of the model of normal hearts, that can be chosen
_NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{,199}")


@dataclass(frozen=True)
class ScannedUpload:
    """The scan of an uploaded recording, all its alarms as CSV, and a table of the first SHOWN of them."""

    scan: "Scan"
    alarms: bytes
    table: pd.DataFrame


def safe_names(names: Sequence[str]) -> list[str]:
    """The names without folders, to write the files under; InputError for a name that is not safe.

    Names are kept, because the header of a WFDB record contains the name of its signal file.
    """
    last = [re.split(r"[/\\]", name)[-1] for name in names]
    for name in last:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot be used as a file name: it should not begin with a dot, have control characters or "
                "be longer than 200 characters"
            )
    if len(set(last)) < len(last):
        raise InputError("two files have the same name; remove one")
    return last


def main_file(names: Sequence[str]) -> str:
    """The file by which the recording is opened: the header of a WFDB record, or the only file.

    InputError if the files are not exactly one recording.
    """
    headers = [name for name in names if name.lower().endswith(".hea")]
    signals = [name for name in names if name.lower().endswith(".dat")]
    others = len(names) - len(headers) - len(signals)
    if len(headers) + others > 1 or (others and signals):
        raise InputError("the files belong to more than one recording; keep a .hea with its .dat, or one other file")
    if signals and not headers:
        raise InputError(f"{signals[0]} has no header; a WFDB record is a .hea and a .dat file: add the .hea file")
    return headers[0] if headers else names[0]


def show(detector: Detector, alpha: float | None, *, is_open: bool) -> None:
    """The upload of a recording and, if the view is open, its alarms.

    The upload is drawn in a closed view as well: Streamlit forgets the files of a widget that is not drawn.
    """
    files = st.file_uploader(
        "A recording: WFDB (.hea and .dat together), EDF, CSV, TSV, TXT or NPY",
        list(TYPES),
        accept_multiple_files=True,
        key="recording",
        help="A table has one column for each lead; the first column may be the time in seconds.",
    )
    if not is_open:
        return
    st.caption(
        "The recording stays in this session's memory. During the scan it is also in temporary files, which are then "
        "deleted. It is neither stored nor logged."
    )
    options = _options(detector, alpha)
    if not files:
        st.session_state.pop(RESULT, None)
        st.info(
            "A WFDB record is a header and a signal file: upload both (.hea and .dat). EDF, CSV, TSV, TXT and NPY are "
            "one file each. NPY, and a table without a column of seconds, need the sampling rate.",
            title="No recording yet",
            icon=":material/upload_file:",
        )
        return
    inputs = (tuple(sorted(file.file_id for file in files)), options)
    scanned = computed_once(RESULT, inputs, lambda: _scan(files, options), "This recording cannot be scanned")
    if scanned is not None:
        _show_scan(scanned)


def _options(detector: Detector, alpha: float | None) -> dict[str, Any]:
    """The chosen model, alarm setting, lead, sampling rate, and what follows change: arguments of a scan."""
    left, right = st.columns([1, 2], gap="medium", vertical_alignment="bottom")
    own = left.toggle(
        "By this page's model",
        key="own model",
        help="Off: by the model of normal hearts, which compares each beat with the patient's own normal beat and "
        "rhythm and needs no training on the patient. On: by the model that this page shows, and its alarm setting; it "
        "fits only the patient that it was trained on.",
        persist_state="session",
    )
    if own:
        model: Detector | HeartModel = detector
    else:
        model = loading.normal_hearts()
        alpha = right.select_slider(
            "Accepted false alarms, share of normal beats",
            ALPHAS,
            value=model.calibration.alpha,
            format_func=lambda share: f"{share:.1%}",
            key="alpha of normal hearts",
            persist_state="session",
        )
    model_lead = detector.dataset.lead if own else None
    default = "the first" if model_lead is None else f"{model_lead}, as the model"
    first, second, third = st.columns(3, gap="medium", vertical_alignment="bottom")
    lead = first.text_input(
        "Lead", key="lead", placeholder=default, help="Its name, or its number from 0.", persist_state="session"
    ).strip()
    rate = second.number_input(
        "Sampling rate, Hz",
        min_value=1.0,
        value=None,
        step=1.0,
        format="%g",
        key="rate",
        placeholder="as in the file",
        persist_state="session",
    )
    adaptive = third.toggle(
        "Follow slow change",
        value=True,
        key="adaptive",
        help="Beats change slowly, for example when electrodes dry or the person turns over. Off: they are "
        "compared with the recording's start.",
        persist_state="session",
    )
    return {"model": model, "alpha": alpha, "lead": lead or None, "rate": rate, "adaptive": adaptive}


def _scan(files: Sequence[UploadedFile], options: dict[str, Any]) -> ScannedUpload:
    """Scan the files in a temporary folder, which no error message mentions."""
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.scan import scan
    names = safe_names([file.name for file in files])
    main = main_file(names)
    label = f"Scanning {escape_markdown(main)}"
    bar = st.progress(0.0, label)
    with tempfile.TemporaryDirectory() as folder:
        try:
            for file, name in zip(files, names, strict=True):
                Path(folder, name).write_bytes(file.getbuffer())
            scanned = scan(
                path=str(Path(folder, main)),
                on_progress=lambda share: bar.progress(min(share, 1.0), label),
                **options,
            )
        except (InputError, OSError) as error:
            raise InputError(str(error).replace(folder + os.sep, "").replace(folder, "")) from None
        finally:
            bar.empty()
    alarms = scanned.beats.table().query("anomalous").reset_index(drop=True)
    first = alarms[:SHOWN].drop(columns=["anomalous", "anomalous_from_start"]).replace({"why": {"": None}})
    return ScannedUpload(scanned, csv_bytes(alarms), first.dropna(axis="columns", how="all"))


def _show_scan(scanned: ScannedUpload) -> None:
    scan, recording = scanned.scan, scanned.scan.recording
    st.markdown(
        f"**{escape_markdown(recording.name)}**, lead {escape_markdown(recording.lead)}, "
        f"{_duration(recording.duration)}, {recording.rate:g} Hz"
    )
    st.caption(f"Judged by {scan.judged_by}" + ("." if scan.alpha is None else f", at alpha {scan.alpha:g}."))
    for warning in scan.warnings:
        st.warning(escape_markdown(warning), icon=":material/warning:")
    for change in scan.changes:
        st.info(escape_markdown(f"{str(change).capitalize()}."), icon=":material/timeline:")
    _show_figures(scan)
    _show_timeline(scan)
    alarms = len(scan.beats.alarms)
    if not alarms:
        st.info("No beat raises an alarm.", icon=":material/check:")
        return
    _show_strips(scan)
    download = (f"{recording.name}_alarms.csv", scanned.alarms)
    show_table(f"**{alarms:,}** alarms", "alarms", scanned.table, alarms, download, _COLUMNS)


def _show_figures(scan: "Scan") -> None:
    summary, left_out = scan.summary(), scan.left_out
    heart_rate = "unknown" if summary["heart_rate"] is None else f"{summary['heart_rate']:.0f}"
    with st.container(horizontal=True):
        st.metric("Beats", f"{summary['beats']:,}", width=160)
        st.metric("Alarms", f"{summary['alarms']:,}", width=160)
        st.metric(
            "Unlike the start",
            f"{summary['alarms_from_start']:,}",
            help="Alarms if nothing followed slow change since the recording's start.",
            width=160,
        )
        st.metric("Alarms per hour", f"{summary['alarms_per_hour']:,.0f}", width=160)
        st.metric("Heart rate", heart_rate, help="Beats per minute, from the median RR interval.", width=160)
    unusable = [f"{seconds:,.1f} s {kind}" for kind, seconds in summary["seconds_without_ecg"].items() if seconds]
    st.caption(
        f"Unusable signal: {', '.join(unusable) or 'none'}. Beats left out: {left_out.in_unusable_signal:,} in "
        f"unusable signal, {left_out.at_the_ends:,} at the ends."
    )


def _show_timeline(scan: "Scan") -> None:
    from ecg.dashboard.timeline_charts import MOST_SEGMENTS, drawn_beats, timeline

    alarms, segments = len(scan.beats.alarms), len(scan.unusable)
    others = len(scan.beats) - alarms
    shown_others, shown_alarms = map(len, drawn_beats(scan.beats))
    st.subheader("Timeline", anchor=False)
    titles = ("Heart rate", f"Alarms per minute, {alarms:,} in all", f"Scores of {len(scan.beats):,} beats")
    with st.container(gap=None):
        for chart, title in zip(timeline(scan), titles, strict=True):
            st.altair_chart(chart, alt=f"{title}, over {_duration(scan.recording.duration)}.")
    caption = ["Scores on a logarithmic axis. Line: the threshold."]
    if segments:
        longest = f" (the {MOST_SEGMENTS:,} longest of {segments:,} segments)" if segments > MOST_SEGMENTS else ""
        caption.append(f"Grey: unusable signal{longest}.")
    if shown_others < others:
        caption.append(f"{shown_others:,} of {others:,} beats without an alarm are drawn.")
    if shown_alarms < alarms:
        caption.append(f"{shown_alarms:,} of {alarms:,} alarms are drawn.")
    st.caption(" ".join(caption))


def _show_strips(scan: "Scan") -> None:
    from ecg.dashboard.timeline_charts import AROUND, strip_title, strips

    st.subheader("Alarms furthest above the threshold", anchor=False)
    with st.container(horizontal=True):
        for chart, strip in zip(strips(scan), scan.strips, strict=True):
            st.altair_chart(chart, width=320, alt=f"The lead around an alarm: {strip_title(scan.beats, strip)}")
    st.caption(
        "Rhythm strips with the time and score of each alarm: the filtered lead from the previous beat to the next, at "
        f"most {AROUND:g} s to each side. The amplitude scales differ."
    )


_COLUMNS = {
    "seconds": st.column_config.NumberColumn(format="%.3f"),
    "rr_before": st.column_config.NumberColumn(format="%.3f", help="Seconds since the previous R peak."),
    "rr_after": st.column_config.NumberColumn(format="%.3f", help="Seconds to the next R peak."),
    "quality": st.column_config.NumberColumn(format="%.2f", help="Signal quality: 1 is free of drift and noise."),
    **dict.fromkeys(("score", "p_value", "threshold"), FOUR_DECIMALS),
}


def _duration(seconds: float) -> str:
    unit, name = time_unit(seconds)
    return f"{seconds / unit:.1f} {name}"
