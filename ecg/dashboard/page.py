"""The page with its five views: its title, the view that is open, and messages for what is missing."""

import re
from pathlib import Path

import numpy as np
import streamlit as st

from ecg.dashboard import browse, loading, recording, threshold, upload
from ecg.dashboard.loading import ScoredBeats
from ecg.dashboard.messages import show_error
from ecg.detector.detector import Detector
from ecg.evaluation.card import card
from ecg.evaluation.provenance import PROVENANCE
from ecg.exceptions import InputError

VIEWS = ("Beats", "Threshold", "Your beats", "Your recording", "Model card")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#d1380b" stroke-width="3" '
    'stroke-linejoin="round"><path d="M1 18h8l3-5 5 15 5-24 3 14h6"/></svg>'
)
WIDTH = 1080  # pixels; wider lines and charts are hard to read
DISCLAIMER = "For research and teaching. Not a medical device."


def show() -> None:
    """Draw the page."""
    st.set_page_config("ECG anomaly detector", ICON, "wide")
    with st.container(horizontal=True, horizontal_alignment="center"), st.container(width=WIDTH):
        st.title("ECG anomaly detector", anchor=False)
        folder, path = loading.paths()
        try:
            detector = loading.load_detector(folder)
        except (InputError, OSError) as error:
            st.caption(DISCLAIMER)
            show_error(error, "The model cannot be loaded")
            return
        alpha = threshold.chosen_alpha(detector.calibration)
        _show_views(detector, folder, path, alpha)


def _show_views(detector: Detector, folder: Path, path: Path, alpha: float | None) -> None:
    """Only the open view is computed."""
    caption = st.empty()
    st.html(
        "<style>.st-key-view [role=tablist] { flex-wrap: wrap; row-gap: 0; }</style>"
    )  # else a phone hides the last
    beats_tab, threshold_tab, upload_tab, recording_tab, card_tab = st.tabs(VIEWS, key="view", bind="query-params")
    by_alpha = beats_tab.open or threshold_tab.open or upload_tab.open  # a recording is judged by a setting of its own
    caption.caption(f"{DISCLAIMER} {threshold.rule(detector.calibration, alpha)}" if by_alpha else DISCLAIMER)
    fit = loading.beats_of_length(path.with_name(loading.FIT), detector.length)
    normal = None if fit is None else fit.samples
    with beats_tab:
        if beats_tab.open and (scored := _test_beats(folder, path)):
            browse.show(detector, scored, _alarms(detector, scored, alpha), normal)
    with threshold_tab:
        if threshold_tab.open and (scored := _test_beats(folder, path)):
            threshold.show(detector, scored, _alarms(detector, scored, alpha), alpha)
    with upload_tab:
        test = loading.beats_of_length(path, detector.length)
        upload.show(detector, alpha, test, normal, is_open=bool(upload_tab.open))
    with recording_tab:
        recording.show(detector, is_open=bool(recording_tab.open))
    with card_tab:
        if card_tab.open:
            _show_card(folder)


def _test_beats(folder: Path, path: Path) -> ScoredBeats | None:
    """The scored test beats; without them a message is shown."""
    try:
        scored = loading.score_test_beats(folder, path)
    except (InputError, OSError) as error:
        show_error(error, "The test beats cannot be used")
        return None
    if scored is None:
        message = f"`{path}` is missing; `dvc repro` makes it. You can score your own beats without it."
        st.info(message, title="There are no test beats", icon=":material/database_off:")
    elif not loading.normal_class(folder)[1]:
        st.caption(f"{PROVENANCE} does not say which class is normal; class {loading.NORMAL_CLASS} is assumed.")
    return scored


def _alarms(detector: Detector, scored: ScoredBeats, alpha: float | None) -> np.ndarray:
    verdicts = scored.verdicts
    return detector.calibration.anomalous(verdicts.score, verdicts.p_value, alpha)


def _show_card(folder: Path) -> None:
    path = folder / PROVENANCE
    try:
        provenance = loading.load_provenance(folder)
        text = None if provenance is None else card(provenance)
    except (InputError, OSError) as error:
        show_error(error, "The model card cannot be shown")
    except KeyError as error:
        show_error(InputError(f"{path} does not say {error}; run `dvc repro`"), "No model card")
    else:
        if text is None:
            message = f"The card is made from `{path}`, which is missing; `dvc repro` makes it."
            st.info(message, title="This model has no card", icon=":material/description:")
            return
        # A hash is wider than a phone.
        st.html("<style>.st-key-card td:last-child { overflow-wrap: anywhere; }</style>")
        with st.container(key="card"):
            st.markdown(lower_headings(text))


def lower_headings(markdown: str) -> str:
    """The text with each heading one level lower, below the title of the page."""
    return re.sub(r"^(#+ )", r"#\1", markdown, flags=re.MULTILINE)
