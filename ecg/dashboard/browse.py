"""Browse the test beats by class and verdict."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from ecg.dashboard.beat import show_beat
from ecg.dashboard.loading import Tested
from ecg.data.datasets import Dataset
from ecg.detector.detector import Detector

VERDICTS: dict[str, Callable[[np.ndarray, Tested], np.ndarray]] = {
    "All": lambda alarms, _: np.ones_like(alarms),
    "Alarms": lambda alarms, _: alarms,
    "False alarms": lambda alarms, tested: alarms & tested.normal,
    "Misses": lambda alarms, tested: ~alarms & tested.anomalous,
    "No alarm": lambda alarms, _: ~alarms,
}
ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Highest score first": lambda score: np.argsort(-score, kind="stable"),
    "Lowest score first": lambda score: np.argsort(score, kind="stable"),
    "As in the file": lambda score: np.arange(len(score)),
}
EVERY = "All classes"
PLACE = "place"  # which beat of the list is shown, from 1


def listed(tested: Tested, alarms: np.ndarray, label: int | None, verdict: str, order: str) -> np.ndarray:
    """Which test beats belong to a class and a verdict, in an order: int ndarray of their places from 0.

    alarms : bool ndarray of shape (n,)
    label : the class; None for all
    verdict, order : one of VERDICTS, one of ORDERS
    """
    wanted = VERDICTS[verdict](alarms, tested)
    if label is not None:
        wanted = wanted & (tested.beats.classes == label)
    ordered = ORDERS[order](tested.verdicts.score)
    return ordered[wanted[ordered]]


def show(detector: Detector, tested: Tested, alarms: np.ndarray, normal: np.ndarray | None) -> None:
    """Filters, the number of beats that they leave, and one of these.

    normal : float ndarray of shape (m, L), to find the nearest one among; or None
    """
    dataset = detector.dataset
    places = listed(tested, alarms, *_filters(tested, dataset))
    if not len(places):
        st.info(
            "Choose another class or another verdict.",
            title="No test beat is of this class and verdict",
            icon=":material/filter_alt_off:",
        )
        return
    place = int(places[_step(len(places), len(tested.beats)) - 1])
    (explanation,) = detector.explain(tested.beats.samples[[place]], normal)
    show_beat(
        explanation,
        f"Test beat {place}: {dataset.class_name(int(tested.beats.classes[place]))}",
        bool(alarms[place]),
        bool(tested.anomalous[place]) if tested.known[place] else None,
        dataset.segments,
    )


def _filters(tested: Tested, dataset: Dataset) -> tuple[int | None, str, str]:
    counts = dict(
        zip(*(column.tolist() for column in np.unique(tested.beats.classes, return_counts=True)), strict=True)
    )

    def named(label: int | str) -> str:
        return f"{dataset.class_name(label)} ({counts[label]:,})" if isinstance(label, int) else label

    first, second, third = st.columns([1, 2, 1], gap="medium")
    label = first.selectbox(
        "Class",
        [EVERY, *counts],
        format_func=named,
        key="class",
        on_change=_restart,
        persist_state="session",
    )
    verdict = second.segmented_control(
        "Verdict",
        list(VERDICTS),
        default="All",
        required=True,
        wrap=True,
        key="verdict",
        on_change=_restart,
        persist_state="session",
    )
    order = third.selectbox("Order", list(ORDERS), key="order", on_change=_restart, persist_state="session")
    return label if isinstance(label, int) else None, verdict or "All", order


def _step(found: int, of: int) -> int:
    """The place in the list, from 1, by its number or by buttons."""
    state = st.session_state
    state[PLACE] = min(max(int(state.get(PLACE, 1)), 1), found)  # the list may have become shorter
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("Previous", on_click=_move, args=(-1,), disabled=state[PLACE] == 1)
        st.number_input(f"Beat, 1 to {found:,}", 1, found, step=1, key=PLACE, width=130, persist_state="session")
        st.button("Next", on_click=_move, args=(1,), disabled=state[PLACE] == found)
    st.caption(f"{found:,} of {of:,} test beats")
    return int(state[PLACE])


def _move(by: int) -> None:
    st.session_state[PLACE] += by


def _restart() -> None:
    st.session_state[PLACE] = 1
