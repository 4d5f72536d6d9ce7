"""The view of the test beats: one at a time, by class and verdict."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from ecg.dashboard.beat import show_beat
from ecg.dashboard.loading import ScoredBeats
from ecg.detector.detector import Detector

VERDICTS: dict[str, Callable[[np.ndarray, ScoredBeats], np.ndarray]] = {
    "All": lambda alarms, _: np.ones_like(alarms),
    "Alarms": lambda alarms, _: alarms,
    "False alarms": lambda alarms, scored: alarms & scored.normal,
    "Misses": lambda alarms, scored: ~alarms & scored.anomalous,
    "No alarm": lambda alarms, _: ~alarms,
}
ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Highest score first": lambda score: np.argsort(-score, kind="stable"),
    "Lowest score first": lambda score: np.argsort(score, kind="stable"),
    "As in the file": lambda score: np.arange(len(score)),
}
ALL_CLASSES = "All classes"


def verdicts_on(scored: ScoredBeats) -> list[str]:
    """The verdicts that beats may have: unlabelled ones, neither false alarms nor misses."""
    impossible = {
        name for name, labelled in (("False alarms", scored.normal), ("Misses", scored.anomalous)) if not labelled.any()
    }
    return [verdict for verdict in VERDICTS if verdict not in impossible]


def select_beats(scored: ScoredBeats, alarms: np.ndarray, label: int | None, verdict: str, order: str) -> np.ndarray:
    """The test beats of a class and a verdict, sorted: int ndarray of their positions in the file, from 0.

    Parameters
    ----------
    alarms : bool ndarray of shape (n,)
    label : the class; None for all
    verdict, order : a key of VERDICTS, a key of ORDERS
    """
    selected = VERDICTS[verdict](alarms, scored)
    if label is not None:
        selected = selected & (scored.beats.classes == label)
    ordered = ORDERS[order](scored.verdicts.score)
    return ordered[selected[ordered]]


def show(detector: Detector, scored: ScoredBeats, alarms: np.ndarray, normal: np.ndarray | None) -> None:
    """Filters, the number of beats that pass them, and one of these beats.

    Parameters
    ----------
    alarms : bool ndarray of shape (n,)
    normal : float ndarray of shape (m, L), normal beats to find the nearest one in; None if there are none
    """
    dataset = detector.dataset
    label, verdict, order = filters = _filters(scored, dataset.class_name)
    selected = select_beats(scored, alarms, label, verdict, order)
    if not len(selected):
        st.info(
            "Choose another class or another verdict.",
            title="No test beat has this class and verdict",
            icon=":material/filter_alt_off:",
        )
        return
    last = len(selected)
    key = f"beat {last} of {filters}"  # another selection starts at its first beat
    number = st.number_input(f"Beat, 1 to {last:,}", 1, last, key=key, width=200, persist_state="session")
    st.caption(f"{last:,} of {len(scored.beats):,} test beats")
    index = int(selected[number - 1])
    (explanation,) = detector.explain(scored.beats.samples[[index]], normal)
    title = f"Test beat {index}: {dataset.class_name(int(scored.beats.classes[index]))}"
    anomalous = bool(scored.anomalous[index]) if scored.labelled[index] else None
    show_beat(explanation, title, bool(alarms[index]), anomalous, dataset.segments)


def _filters(scored: ScoredBeats, class_name: Callable[[int], str]) -> tuple[int | None, str, str]:
    """The chosen class (None for all), verdict and order."""
    labels, sizes = np.unique(scored.beats.classes, return_counts=True)
    counts = dict(zip(labels.tolist(), sizes.tolist(), strict=True))
    if st.session_state.get("verdict") not in (None, *verdicts_on(scored)):  # chosen before the beats were replaced
        del st.session_state["verdict"]
    first, second, third = st.columns([1, 2, 1], gap="medium")
    label = first.selectbox(
        "Class",
        [ALL_CLASSES, *counts],
        format_func=lambda label: f"{class_name(label)} ({counts[label]:,})" if label in counts else label,
        key="class",
        persist_state="session",
    )
    verdict = second.segmented_control(
        "Verdict", verdicts_on(scored), default="All", required=True, wrap=True, key="verdict", persist_state="session"
    )
    order = third.selectbox("Order", list(ORDERS), key="order", persist_state="session")
    return label if label in counts else None, verdict or "All", order
