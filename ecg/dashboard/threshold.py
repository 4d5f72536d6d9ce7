"""The view of the threshold: what changes with alpha, the accepted false-alarm rate."""

import math

import numpy as np
import pandas as pd
import streamlit as st
from sklearn.metrics import roc_curve

from ecg.dashboard.browse import select_beats
from ecg.dashboard.charts import roc, small_beats
from ecg.dashboard.loading import ScoredBeats
from ecg.dashboard.results import FOUR_DECIMALS
from ecg.detector.calibration import NO_P_VALUES, Calibration, at_most
from ecg.detector.detector import Detector
from ecg.evaluation.metrics import ConfusionMatrix, auc_with_interval

ALPHA = "alpha"
LARGEST = 0.5
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # times a power of ten
SMALL = 6  # small charts of beats

Alpha = float | None  # None: as calibrated, by a method without an alpha


def alphas(calibration: Calibration) -> list[Alpha]:
    """The values of alpha on the slider, in about equal ratios; empty if the calibration has no p-values.

    From the smallest p-value up to LARGEST, with the calibrated alpha, or first None if the method has no alpha.
    """
    smallest, calibrated = calibration.smallest_p, calibration.alpha
    if smallest is None:
        return []
    decades = range(math.floor(math.log10(smallest)), 0)
    grid = (float(f"{step}e{decade}") for decade in decades for step in STEPS)
    values = {smallest, *(value for value in grid if smallest < value <= LARGEST)}
    if calibrated is not None and at_most(np.array(smallest), calibrated):
        return [*sorted(values | {calibrated})]
    return [None, *sorted(values)]


def chosen_alpha(calibration: Calibration) -> Alpha:
    """The alpha that was chosen in this session, or else the calibrated one."""
    possible = alphas(calibration)
    start = calibration.alpha if calibration.alpha in possible else None
    alpha = st.session_state.get(ALPHA, start)
    return alpha if alpha in possible else start


def rule(calibration: Calibration, alpha: Alpha) -> str:
    """When a beat raises an alarm, in a sentence."""
    calibrated = calibration.alpha
    by_score = f"score is at least {calibration.threshold:.4g}"
    if alpha is None and calibrated is None:
        return f"A beat raises an alarm if its {by_score} (as calibrated)."
    level = calibrated if alpha is None else alpha
    was = by_score if calibrated is None else f"at most {calibrated:.3g}"
    note = "as calibrated" if level == calibrated else f"calibrated: {was}"
    return f"A beat raises an alarm if its p-value is at most {level:.3g} ({note})."


def show(detector: Detector, scored: ScoredBeats, alarms: np.ndarray, alpha: Alpha) -> None:
    """The slider, the confusion matrix, the ROC curve, the false alarms and the misses.

    Of beats without labels, only the number of alarms. `alarms`, bool of shape (n,), are those at this alpha.
    """
    possible = alphas(detector.calibration)
    if len(possible) > 1:
        st.select_slider(
            "Alpha: the accepted share of normal beats that raise an alarm",
            possible,
            value=alpha,
            format_func=lambda value: "as calibrated" if value is None else f"{value:.3g}",
            key=ALPHA,
            persist_state="session",
        )
    else:
        st.info(f"Alpha is fixed: {NO_P_VALUES}. The verdicts are as calibrated.", icon=":material/info:")
    promised = detector.calibration.promised(alpha)
    if not (scored.normal.any() and scored.anomalous.any()):
        _show_alarms_only(detector, scored, alarms, promised)
        return
    matrix = ConfusionMatrix.of(alarms[scored.labelled], scored.anomalous[scored.labelled])
    if not scored.labelled.all():
        st.caption(f"Only the {scored.labelled.sum():,} labelled beats of {len(alarms):,} test beats.")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Confusion matrix", anchor=False)
        st.markdown(confusion_table(matrix))
        with st.container(horizontal=True):
            _show_false_alarm_rate(matrix.false_positive_rate, promised)
            for name, value in (("Recall", matrix.recall), ("Precision", matrix.precision), ("F1", matrix.f1)):
                st.metric(name, f"{value:.4f}", width=160)
    with right:
        st.subheader("ROC curve", anchor=False)
        _show_roc(scored, matrix, promised)
    left, right = st.columns(2, gap="large")
    with left:
        _show_beats(detector, scored, alarms, "False alarms", "Highest score first")
    with right:
        _show_beats(detector, scored, alarms, "Misses", "Lowest score first")


def _show_alarms_only(detector: Detector, scored: ScoredBeats, alarms: np.ndarray, promised: float | None) -> None:
    """The figures that need no labels of both normal and anomalous beats."""
    one_kind = "are all normal" if scored.normal.any() else "are all anomalous"
    reason = f"The labelled test beats {one_kind}" if scored.labelled.any() else "The test beats are not labelled"
    st.info(f"{reason}: there is no recall and no ROC curve.", icon=":material/info:")
    with st.container(horizontal=True):
        st.metric("Alarms", f"{alarms.sum():,}", width=160)
        st.metric("Share of beats", f"{alarms.mean():.2%}", width=160)
        if scored.normal.any():
            _show_false_alarm_rate(alarms[scored.normal].mean(), promised)
    _show_beats(detector, scored, alarms, "Alarms", "Highest score first")


def confusion_table(matrix: ConfusionMatrix) -> str:
    """The confusion matrix as a Markdown table; words, not only colours, tell errors from correct verdicts."""
    tp, fn = matrix.true_positives, matrix.false_negatives
    fp, tn = matrix.false_positives, matrix.true_negatives
    return (
        "| | alarm | no alarm |\n"
        "| :--- | :--- | :--- |\n"
        f"| **anomalous**, {tp + fn:,} | :blue[**{tp:,}** true positives] | :red[**{fn:,}** misses] |\n"
        f"| **normal**, {fp + tn:,} | :red[**{fp:,}** false alarms] | :blue[**{tn:,}** true negatives] |"
    )


def _show_false_alarm_rate(rate: float, promised: float | None) -> None:
    st.metric(
        "False-alarm rate",
        f"{rate:.2%}",
        "none promised" if promised is None else f"promised {promised:.2%}",
        delta_color="off",
        delta_arrow="off",
        width=160,
        help="The share of normal test beats that raise an alarm. The promise holds for normal beats that are like "
        "the training beats.",
    )


def _show_roc(scored: ScoredBeats, matrix: ConfusionMatrix, promised: float | None) -> None:
    score = scored.verdicts.score
    rate, recall = matrix.false_positive_rate, matrix.recall
    false_positive_rates, recalls, _ = roc_curve(scored.anomalous[scored.labelled], score[scored.labelled])
    auc, low, high = auc_with_interval(score[scored.normal], score[scored.anomalous])
    chart = roc((false_positive_rates, recalls), (rate, recall), promised)
    text = f"ROC curve, AUC {auc:.4f}. The detector has a false-alarm rate of {rate:.2%} and a recall of {recall:.2%}."
    st.altair_chart(chart, width="stretch", alt=text)
    st.caption(
        f"AUC {auc:.4f} (95% interval {low:.4f} to {high:.4f}). Diamond: the detector at this alpha. Dashed line: the "
        "promised rate. The diamond need not lie on the curve: the p-value compares each ensemble member's own scores, "
        "the curve their mean."
    )


def _show_beats(detector: Detector, scored: ScoredBeats, alarms: np.ndarray, verdict: str, order: str) -> None:
    """Small charts of the first test beats of a verdict, and a table of all."""
    index = select_beats(scored, alarms, None, verdict, order)
    st.subheader(f"{verdict}: {len(index):,}", anchor=False)
    if not len(index):
        st.info("None at this alpha.", icon=":material/info:")
        return
    first, verdicts = index[:SMALL], scored.verdicts.where(index)
    beats = scored.beats.samples[first]
    (reconstructions,) = detector.model.run(("reconstruction",), beats)
    titles = [f"{i}, {score:.3f}" for i, score in zip(first, verdicts.score, strict=False)]
    with st.container(horizontal=True):
        for chart, name in zip(small_beats(titles, beats, reconstructions), titles, strict=True):
            st.altair_chart(chart, width=150, alt=f"Test beat and score: {name}")
    st.caption("Number and score of each. Solid red: the beat. Dashed blue: its reconstruction.")
    classes = [detector.dataset.class_name(label) for label in scored.beats.classes[index].tolist()]
    table = pd.DataFrame({"test beat": index, "class": classes, "score": verdicts.score, "p-value": verdicts.p_value})
    table = table.dropna(axis="columns", how="all")  # the model may have no p-values
    columns = {"score": FOUR_DECIMALS, "p-value": FOUR_DECIMALS}
    st.dataframe(table, hide_index=True, column_config=columns, height=200, alt=f"Table of {verdict.lower()}")
