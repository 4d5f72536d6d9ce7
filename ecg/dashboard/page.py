"""The frame around the five views: what is always said, the view that is open, and what is said if one cannot be."""

import re
from pathlib import Path

import numpy as np
import streamlit as st

from ecg.dashboard import browse, loading, recording, threshold, upload
from ecg.dashboard.loading import Tested
from ecg.dashboard.messages import tell
from ecg.detector.detector import Detector
from ecg.evaluation.card import card
from ecg.evaluation.provenance import PROVENANCE
from ecg.exceptions import InputError

VIEWS = ("Beats", "Threshold", "Your beats", "Your recording", "Model card")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#d1380b" stroke-width="3" '
    'stroke-linejoin="round"><path d="M1 18h8l3-5 5 15 5-24 3 14h6"/></svg>'
)
WIDTH = 1080  # pixels; lines and charts that are wider are hard to read


def show() -> None:
    """Draw the page."""
    st.set_page_config("ECG anomaly detector", ICON, "wide")
    with st.container(horizontal=True, horizontal_alignment="center"), st.container(width=WIDTH):
        st.title("ECG anomaly detector", anchor=False)
        folder = loading.models()
        try:
            detector = loading.detector(folder)
        except (InputError, OSError) as error:
            st.caption("For research and teaching. Not a medical device.")
            tell(error, "There is no model to show")
            return
        alpha = threshold.chosen_alpha(detector.calibration)
        st.caption(f"For research and teaching. Not a medical device. {threshold.rule(detector.calibration, alpha)}")
        _views(detector, folder, alpha)


def _views(detector: Detector, folder: Path, alpha: threshold.Alpha) -> None:
    """Only the open view is computed."""
    browsing, moving, uploading, recorded, reading = st.tabs(VIEWS, key="view", bind="query-params")
    path = loading.test_beats()
    normal = loading.normal_beats(path, detector.length)
    with browsing:
        if browsing.open and (tested := _tested(folder, path)):
            browse.show(detector, tested, _alarms(detector, tested, alpha), normal)
    with moving:
        if moving.open and (tested := _tested(folder, path)):
            threshold.show(detector, tested, _alarms(detector, tested, alpha), alpha)
    with uploading:
        beats = loading.some_beats(path, detector.length)
        upload.show(detector, alpha, beats, normal, is_open=bool(uploading.open))
    with recorded:
        recording.show(detector, alpha, is_open=bool(recorded.open))
    with reading:
        if reading.open:
            _card(folder)


def _tested(folder: Path, path: Path) -> Tested | None:
    """The scored test beats; if there are none, that is said."""
    try:
        tested = loading.tested(folder, path)
    except (InputError, OSError) as error:
        tell(error, "The test beats cannot be used")
        return None
    if tested is None:
        st.info(
            f"`{path}` is missing; `dvc repro` makes it. Your beats can be scored without it.",
            title="There are no test beats here",
            icon=":material/database_off:",
        )
        return None
    if not loading.normal_class(folder)[1]:
        st.caption(f"{PROVENANCE} does not say which class is normal: class {loading.NORMAL_CLASS} is taken for it.")
    return tested


def _alarms(detector: Detector, tested: Tested, alpha: threshold.Alpha) -> np.ndarray:
    verdicts = tested.verdicts
    return detector.calibration.anomalous(verdicts.score, verdicts.p_value, alpha)


def _card(folder: Path) -> None:
    try:
        text = _card_text(folder)
    except (InputError, OSError) as error:
        tell(error, "There is no card to show")
        return
    if text is None:
        st.info(
            f"`{folder / PROVENANCE}` is missing, from which the card is made; `dvc repro` makes it.",
            title="This model has no card",
            icon=":material/description:",
        )
        return
    st.html("<style>.st-key-card td:last-child { overflow-wrap: anywhere; }</style>")  # a hash is wider than a phone
    with st.container(key="card"):
        st.markdown(demoted(text))


def _card_text(folder: Path) -> str | None:
    """The card in Markdown; None if there is no provenance.json, InputError if it cannot be made of that."""
    made = loading.provenance(folder)
    try:
        return None if made is None else card(made)
    except KeyError as error:
        raise InputError(f"{folder / PROVENANCE} does not say {error}; run `dvc repro`") from None


def demoted(markdown: str) -> str:
    """The same text with each heading one level lower: the page has its own title."""
    return re.sub(r"^(#+ )", r"#\1", markdown, flags=re.MULTILINE)
