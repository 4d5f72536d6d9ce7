"""The view of uploaded beats and their verdicts. They stay in the memory of the session until the file is removed."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import streamlit as st

from ecg.dashboard.beat import show_beat
from ecg.dashboard.messages import escape_markdown
from ecg.dashboard.results import FOUR_DECIMALS, SHOWN, computed_once, show_table
from ecg.data.beats import Beats
from ecg.detector import tables
from ecg.detector.batch import COLUMNS, Tally, score_table
from ecg.detector.detector import Detector
from ecg.detector.tables import BeatTable

EXAMPLES = 3  # beats of each class in the example
RESULT = "scored upload"


@dataclass(frozen=True)
class ScoredUpload:
    """The verdicts on the beats of an uploaded file.

    verdicts : of all beats, as CSV
    tally : how many beats and alarms
    table : the verdicts on the first SHOWN beats
    samples : float ndarray of shape (up to SHOWN, L), these beats
    """

    verdicts: bytes
    tally: Tally
    table: pd.DataFrame
    samples: np.ndarray


def score(detector: Detector, file: BinaryIO, name: str, alpha: float | None = None) -> ScoredUpload:
    """Score all beats of a table.

    Parameters
    ----------
    file : seekable
    name : of the file; its ending gives the format
    alpha : the accepted false-alarm rate; None as calibrated

    Raises
    ------
    InputError
        if the file is damaged or its beats have another length than the model's.
    """
    table, verdicts = BeatTable(file, tables.format_of(Path(name), tables.INPUTS), name), io.BytesIO()
    file.seek(0)
    tally = score_table(detector, table, verdicts, "csv", alpha)
    file.seek(0)
    first = next(table.batches(detector.length), None)
    samples = np.empty((0, detector.length)) if first is None else first.samples[:SHOWN]
    return ScoredUpload(verdicts.getvalue(), tally, _first_rows(verdicts.getvalue()), samples)


def example(detector: Detector, test: Beats | None) -> bytes:
    """A CSV file to try: some test beats of each class; without test beats, the reconstruction of a beat of zeros."""
    if test is None:
        zeros = np.zeros((1, detector.length), np.float32)
        frame = pd.DataFrame(detector.score(zeros, details=True).reconstruction)
        frame.insert(0, "class", "reconstruction")
    else:
        frame = pd.DataFrame(test.samples)
        frame.insert(0, "class", [detector.dataset.class_name(label) for label in test.classes.tolist()])
        frame = frame.groupby("class").head(EXAMPLES)
    return frame.to_csv(index=False).encode()


def show(
    detector: Detector, alpha: float | None, test: Beats | None, normal: np.ndarray | None, *, is_open: bool
) -> None:
    """The upload of a file and, if the view is open, the verdicts on its beats.

    The upload is drawn in a closed view as well: Streamlit forgets the file of a widget that is not drawn.
    """
    uploaded = st.file_uploader(
        f"Beats of {detector.length} samples, one per row: CSV, TSV, NPY or Parquet",
        [suffix.removeprefix(".") for suffix in tables.INPUTS],
        key="upload",
        help="One more column may come first, with a class or a name for each beat; the table of verdicts repeats it.",
    )
    if not is_open:
        return
    messages = st.container()  # next to the upload, where they are seen without scrolling
    st.caption("The beats stay in this session's memory. They are neither stored nor logged.")
    if uploaded is None:
        st.session_state.pop(RESULT, None)
        st.info(
            "Beats should be cut and scaled like those that the model was trained on; the model card says how.",
            title="No file yet",
            icon=":material/upload_file:",
        )
        file, icon = example(detector, test), ":material/download:"
        st.download_button("Example file", file, "beats.csv", "text/csv", on_click="ignore", icon=icon)
        return
    with messages, st.spinner(f"Scoring {escape_markdown(uploaded.name)}"):
        scored = computed_once(
            RESULT,
            (uploaded.file_id, detector, alpha),
            lambda: score(detector, uploaded, uploaded.name, alpha),
            lambda _: "The beats in this file cannot be scored",
        )
    if scored is None:
        return
    beats, alarms = scored.tally.beats, scored.tally.alarms
    if not beats:
        text = f"It has no beat of {detector.length} samples."
        messages.info(text, title="The file is empty", icon=":material/info:")
        return
    heading = f"**{beats:,}** beats, **{alarms:,}** alarms ({alarms / beats:.1%})"
    download = (f"{Path(uploaded.name).stem}_verdicts.csv", scored.verdicts)
    columns = {"score": FOUR_DECIMALS, "p_value": FOUR_DECIMALS}
    show_table(heading, "verdicts", scored.table, beats, download, columns)
    _show_chosen_beat(detector, scored, uploaded.file_id, normal)


def _show_chosen_beat(detector: Detector, scored: ScoredUpload, file_id: str, normal: np.ndarray | None) -> None:
    """One of the beats in the table: at first the one with the highest score."""
    table, last = scored.table, len(scored.samples) - 1
    highest = int(table["score"].to_numpy().argmax())
    index = st.number_input(f"Beat to show, 0 to {last:,}", 0, last, highest, key=f"beat of {file_id}", width=220)
    (explanation,) = detector.explain(scored.samples[[index]], normal)
    label = next((f": {escape_markdown(table[column][index])}" for column in table if column not in COLUMNS), "")
    show_beat(explanation, f"Beat {index}{label}", bool(table["anomalous"][index]), None, detector.dataset.segments)


def _first_rows(verdicts: bytes) -> pd.DataFrame:
    """The first SHOWN rows of the CSV; labels stay as they were written."""
    header = pd.read_csv(io.BytesIO(verdicts), nrows=0).columns
    text = {column: str for column in header if column not in COLUMNS}
    return pd.read_csv(io.BytesIO(verdicts), nrows=SHOWN, dtype=text, keep_default_na=False)
