"""Verdicts on beats of one's own. They stay in the memory of the session, and go when the file is removed."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import streamlit as st

from ecg.dashboard.beat import show_beat
from ecg.dashboard.messages import plain, tell
from ecg.data.beats import Beats
from ecg.detector import tables
from ecg.detector.batch import COLUMNS, Source, Tally, score_table
from ecg.detector.detector import Detector
from ecg.exceptions import InputError

SHOWN = 1_000  # beats in the table on the page; the file to download has all
EXAMPLES = 3  # beats of each class in the example
RESULT = "uploaded"


@dataclass(frozen=True)
class Scored:
    """What became of an uploaded file.

    verdicts : all, as CSV
    tally : how many beats and alarms
    table : the verdicts on the first SHOWN beats
    samples : float ndarray of shape (up to SHOWN, L), these beats
    """

    verdicts: bytes
    tally: Tally
    table: pd.DataFrame
    samples: np.ndarray


def score(detector: Detector, file: BinaryIO, name: str, alpha: float | None = None) -> Scored:
    """Score every beat of a table in a seekable file; InputError if it is none, or not of the model's beats.

    name : of the file, which tells the kind
    """
    kind, verdicts = tables.kind_of(Path(name), tables.INPUTS), io.BytesIO()
    file.seek(0)
    tally = score_table(detector, Source(file, kind, name), verdicts, "csv", alpha)
    file.seek(0)
    first = next(tables.blocks(file, kind, detector.length, name), None)
    samples = np.empty((0, detector.length)) if first is None else first.samples[:SHOWN]
    return Scored(verdicts.getvalue(), tally, _table(verdicts.getvalue()), samples)


def example(detector: Detector, found: Beats | None) -> bytes:
    """A CSV file to try: some test beats of each class; without any, what the model makes of a beat of zeros."""
    names = detector.dataset.class_name
    if found is None:
        zeros = np.zeros((1, detector.length), np.float32)
        samples, labels = detector.score(zeros, details=True).reconstruction, ["reconstruction"]
    else:
        places = np.concatenate(
            [np.flatnonzero(found.classes == label)[:EXAMPLES] for label in np.unique(found.classes)]
        )
        samples, labels = found.samples[places], [names(label) for label in found.classes[places].tolist()]
    frame = pd.DataFrame(samples, columns=[str(step) for step in range(detector.length)])
    frame.insert(0, "class", labels)
    return frame.to_csv(index=False).encode()


def show(
    detector: Detector,
    alpha: float | None,
    found: Beats | None,
    normal: np.ndarray | None,
    *,
    is_open: bool,
) -> None:
    """The place to put a file; if the view is open, the verdicts on its beats.

    The place is there when the view is closed, too: Streamlit forgets a file whose widget is not drawn.
    """
    uploaded = st.file_uploader(
        f"Beats of {detector.length} samples, one a row: CSV, TSV, NPY or Parquet",
        [suffix.removeprefix(".") for suffix in tables.INPUTS],
        key="upload",
        help="One column more may stand in front, a class or a name; it is carried along.",
    )
    if not is_open:
        return
    st.caption("The beats stay in this session's memory. They are neither stored nor logged.")
    if uploaded is None:
        st.session_state.pop(RESULT, None)
        _nothing_yet(detector, found)
        return
    of = (uploaded.file_id, detector, alpha)
    if st.session_state.get(RESULT, (None, None))[0] != of:
        try:
            with st.spinner(f"Scoring {plain(uploaded.name)}"):
                st.session_state[RESULT] = (of, score(detector, uploaded, uploaded.name, alpha))
        except InputError as error:
            st.session_state.pop(RESULT, None)
            tell(error, "No verdicts on this file")
            return
    scored = st.session_state[RESULT][1]
    if not scored.tally.beats:
        st.info(f"It holds no beat of {detector.length} samples.", title="The file is empty", icon=":material/info:")
        return
    _verdicts(scored, uploaded.name)
    _beat(detector, scored, uploaded.file_id, normal)


def _nothing_yet(detector: Detector, found: Beats | None) -> None:
    st.info(
        "Beats should be cut and scaled as those that the model was trained on; the model card says how.",
        title="No file yet",
        icon=":material/upload_file:",
    )
    st.download_button(
        "Example file to try",
        example(detector, found),
        "beats.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _verdicts(scored: Scored, name: str) -> None:
    tally = scored.tally
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{tally.beats:,}** beats, **{tally.alarms:,}** alarms ({tally.alarms / tally.beats:.1%})",
            width="content",
        )
        st.download_button(
            "Download verdicts (CSV)",
            scored.verdicts,
            f"{Path(name).stem}_verdicts.csv",
            "text/csv",
            on_click="ignore",
            type="primary",
            icon=":material/download:",
        )
    st.dataframe(scored.table, hide_index=True, height=260, alt="Verdict on each beat", column_config=_COLUMNS)
    if tally.beats > SHOWN:
        st.caption(f"The first {SHOWN:,} beats. The file to download has all {tally.beats:,}.")


def _beat(detector: Detector, scored: Scored, file: str, normal: np.ndarray | None) -> None:
    """One of the beats in the table, the one with the highest score if no other is chosen.

    file : what tells this upload from others
    """
    table, last = scored.table, len(scored.samples) - 1
    worst = int(table["score"].idxmax())
    place = st.number_input(f"Beat to look at, 0 to {last:,}", 0, last, worst, key=f"beat of {file}", width=220)
    (explanation,) = detector.explain(scored.samples[[place]], normal)
    label = next((f": {plain(table[column][place])}" for column in table if column not in COLUMNS), "")
    show_beat(explanation, f"Beat {place}{label}", bool(table["anomalous"][place]), None, detector.dataset.segments)


_COLUMNS = {
    "score": st.column_config.NumberColumn(format="%.4f"),
    "p_value": st.column_config.NumberColumn(format="%.4f"),
}


def _table(verdicts: bytes) -> pd.DataFrame:
    """The first SHOWN rows, labels as they were written."""
    header = pd.read_csv(io.BytesIO(verdicts), nrows=0).columns
    text = {column: str for column in header if column not in COLUMNS}
    return pd.read_csv(io.BytesIO(verdicts), nrows=SHOWN, dtype=text, keep_default_na=False)
