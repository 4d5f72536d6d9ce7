"""What is learnt of a patient from an uploaded recording: it stays in the session until it is forgotten."""

import io
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ecg.dashboard.messages import escape_markdown, file_stem
from ecg.files import sha256
from ecg.scanning.display import parse_time

if TYPE_CHECKING:  # imported where it is used: the first page should not wait for it
    from ecg.hearts.learnt import Learnt

LEARNT = "learnt"
ANNOTATOR = "atr"  # file extension of annotations


@dataclass(frozen=True)
class Part:
    """The part of a recording that should be learnt from, in seconds, and by which annotations; None by none."""

    start: float
    stop: float
    annotations: str | None


def learnt() -> "Learnt | None":
    """What was learnt in this session, if anything."""
    return st.session_state.get(LEARNT)


def version(learnt: "Learnt") -> tuple[str, str]:
    """What differs between any two that were learnt."""
    return learnt.source.model_dump_json(), sha256(learnt.normal.tobytes() + learnt.scores.tobytes())


def as_zip(learnt: "Learnt") -> bytes:
    """The folder that `ecg learn` would write, as a zip."""
    from ecg.hearts.learnt import BEATS, PATIENT

    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w") as archive:
        learnt.save(Path(folder))
        for name in (PATIENT, BEATS):
            archive.writestr(zipfile.ZipInfo(name), Path(folder, name).read_bytes())
    return content.getvalue()


def show_learnt() -> None:
    """What was learnt, to download and to forget."""
    if (known := learnt()) is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Compared with what was learnt: {escape_markdown(str(known.source))}.", width="stretch")
        st.download_button(
            "Download what was learnt (ZIP)",
            lambda: as_zip(known),
            f"{file_stem(known.source.recording, 'patient')}_learnt.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
            help="Unzip it into a folder: `ecg scan RECORDING --model FOLDER` judges by it.",
        )
        st.button("Forget", on_click=_forget, icon=":material/delete:")


def asked_for(annotated: bool) -> Part | None:
    """The part to learn from, once the button is pressed.

    annotated : whether annotations are uploaded with the recording
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        start = st.text_input("From", "0:00", key="learn from", width=100)
        stop = st.text_input("To", "5:00", key="learn to", width=100)
        use = annotated and st.toggle(
            "By the annotations",
            value=True,
            key="learn by annotations",
            help="Beats that they call normal are learnt. Off: beats that look normal to the model.",
        )
        pressed = st.button(
            "Learn this recording",
            key="learn",
            icon=":material/school:",
            help="Later scans in this session, of this recording and others of the same patient, are compared with the "
            "normal beats of this part, too.",
        )
    if not pressed:
        return None
    return Part(parse_time(start), parse_time(stop), ANNOTATOR if use else None)


def _forget() -> None:
    st.session_state.pop(LEARNT, None)
