"""Move alpha, the false-alarm rate that one accepts, and see what follows."""

import math

import numpy as np
import pandas as pd
import streamlit as st

from ecg.dashboard.browse import listed
from ecg.dashboard.charts import SHOWN, Small, roc, small_beats
from ecg.dashboard.loading import Tested
from ecg.data.datasets import Dataset
from ecg.detector.calibration import NO_P_VALUES, Calibration, at_most
from ecg.detector.detector import Detector
from ecg.evaluation.metrics import Counts, auc_with_interval, roc_curve

ALPHA = "alpha"
LARGEST = 0.5
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # to a power of ten

Alpha = float | None  # None: as calibrated, where that is by no alpha


def alphas(calibration: Calibration) -> list[Alpha]:
    """What alpha can be set to, in about equal ratios; empty if no alpha can be compared with anything.

    From the smallest p-value up to LARGEST, the calibrated alpha among them. Where the method has none, None stands in
    front.
    """
    smallest = calibration.smallest_p
    if smallest is None:
        return []
    decades = range(math.floor(math.log10(smallest)), 0)
    steps = {_rounded_up(smallest), *(float(f"{step}e{decade}") for decade in decades for step in STEPS)}
    if calibration.alpha is not None:
        steps.add(calibration.alpha)
    possible: list[float] = sorted(
        step
        for step in steps
        if bool(at_most(np.array(smallest), step)) and (step <= LARGEST or step == calibration.alpha)
    )
    return list(possible) if calibration.alpha in possible else [None, *possible]


def chosen_alpha(calibration: Calibration) -> Alpha:
    """The alpha that is set in this session; as calibrated if none is."""
    possible = alphas(calibration)
    start = calibration.alpha if calibration.alpha in possible else None
    alpha = st.session_state.get(ALPHA, start)
    return alpha if alpha in possible else start


def rule(calibration: Calibration, alpha: Alpha) -> str:
    """When an alarm is raised, in a sentence."""
    if alpha is None and calibration.alpha is None:
        return f"Alarm from a score of {calibration.threshold:.4g} on, as calibrated."
    level = calibration.alpha if alpha is None else alpha
    at = f"Alarm at a p-value of at most {level:.3g}"
    if calibration.alpha is None:
        return f"{at}; calibrated: from a score of {calibration.threshold:.4g} on."
    return f"{at}, as calibrated." if level == calibration.alpha else f"{at}; calibrated: {calibration.alpha:.3g}."


def show(detector: Detector, tested: Tested, alarms: np.ndarray, alpha: Alpha) -> None:
    """The slider, the confusion matrix, the ROC curve and the beats that are called wrongly.

    Of beats of which the dataset does not say what they are, only how many raise an alarm.

    alarms : bool ndarray of shape (n,), at this alpha
    """
    calibration, possible = detector.calibration, alphas(detector.calibration)
    if len(possible) > 1:
        st.select_slider(
            "Alpha: the false-alarm rate that you accept among normal beats",
            possible,
            value=alpha,
            format_func=lambda step: "as calibrated" if step is None else f"{step:.3g}",
            key=ALPHA,
            persist_state="session",
        )
    else:
        st.info(f"Alpha cannot be moved: {NO_P_VALUES}. The verdicts are as calibrated.", icon=":material/info:")
    if not (tested.normal.any() and tested.anomalous.any()):
        _alarms_alone(detector, tested, alarms, alpha)
        return
    counts = Counts.of(alarms[tested.known], tested.anomalous[tested.known])
    if not tested.known.all():
        st.caption(f"Of {len(alarms):,} test beats, {tested.known.sum():,} that are labelled.")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Confusion matrix", anchor=False)
        st.markdown(confusion_matrix(counts))
        _rates(counts, calibration, alpha)
    with right:
        st.subheader("ROC curve", anchor=False)
        _roc(tested, counts, calibration.promised(alpha))
    left, right = st.columns(2, gap="large")
    with left:
        places = listed(tested, alarms, None, "False alarms", "Highest score first")
        _wrong(detector, tested, places, "False alarms")
    with right:
        places = listed(tested, alarms, None, "Misses", "Lowest score first")
        _wrong(detector, tested, places, "Misses")


def _alarms_alone(detector: Detector, tested: Tested, alarms: np.ndarray, alpha: Alpha) -> None:
    """What can be said where not both normal and anomalous beats are known."""
    reason = "The labelled test beats are all of one kind" if tested.known.any() else "The test beats are not labelled"
    st.info(f"{reason}: there is neither recall nor a ROC curve.", icon=":material/info:")
    with st.container(horizontal=True):
        st.metric("Alarms", f"{alarms.sum():,}", width=160)
        st.metric("Share of beats", f"{alarms.mean():.2%}", width=160)
        if tested.normal.any():
            _false_alarm_rate(alarms[tested.normal].mean(), detector.calibration.promised(alpha))
    _wrong(detector, tested, listed(tested, alarms, None, "Alarms", "Highest score first"), "Alarms")


def confusion_matrix(counts: Counts) -> str:
    """As a Markdown table; what is wrong is said, not only coloured."""
    anomalous = counts.true_positives + counts.false_negatives
    normal = counts.true_negatives + counts.false_positives
    return "\n".join(
        [
            "| | alarm | no alarm |",
            "| :--- | :--- | :--- |",
            f"| **anomalous**, {anomalous:,} | :blue[**{counts.true_positives:,}** found] "
            f"| :red[**{counts.false_negatives:,}** missed] |",
            f"| **normal**, {normal:,} | :red[**{counts.false_positives:,}** false alarms] "
            f"| :blue[**{counts.true_negatives:,}** left alone] |",
        ]
    )


def _rates(counts: Counts, calibration: Calibration, alpha: Alpha) -> None:
    with st.container(horizontal=True):
        _false_alarm_rate(counts.false_positive_rate, calibration.promised(alpha))
        for name, value in (("Recall", counts.recall), ("Precision", counts.precision), ("F1", counts.f1)):
            st.metric(name, f"{value:.4f}", width=160)


def _false_alarm_rate(rate: float, promise: float | None) -> None:
    st.metric(
        "False-alarm rate",
        f"{rate:.2%}",
        "none promised" if promise is None else f"promised {promise:.2%}",
        delta_color="off",
        delta_arrow="off",
        width=160,
        help="The share of normal test beats that raise an alarm. What is promised holds for normal beats like those "
        "of training.",
    )


def _roc(tested: Tested, counts: Counts, promise: float | None) -> None:
    normal, anomalous = tested.verdicts.score[tested.normal], tested.verdicts.score[tested.anomalous]
    rates = roc_curve(normal, anomalous)
    area, low, high = auc_with_interval(normal, anomalous)
    point = counts.false_positive_rate, counts.recall
    st.altair_chart(
        roc(rates, point, promise),
        width="stretch",
        alt=f"ROC curve, area {area:.4f}. The detector stands at a false-alarm rate of {point[0]:.2%} and a recall of "
        f"{point[1]:.2%}.",
    )
    st.caption(
        f"Area {area:.4f} ({low:.4f} to {high:.4f}). Diamond: at this alpha. Dashed: the promised rate. The "
        "diamond may lie beside the curve: p-values compare member by member, the curve is of the mean score."
    )


def _wrong(detector: Detector, tested: Tested, places: np.ndarray, title: str) -> None:
    st.subheader(f"{title}: {len(places):,}", anchor=False)
    if not len(places):
        st.info("None at this alpha.", icon=":material/check:")
        return
    first = places[:SHOWN]
    reconstruction, _ = detector.model.run(("reconstruction", "score"), tested.beats.samples[first])
    small = [
        Small(f"{place}, {tested.verdicts.score[place]:.3f}", tested.beats.samples[place], samples)
        for place, samples in zip(first, reconstruction, strict=True)
    ]
    st.altair_chart(
        small_beats(small), width="stretch", alt=f"{title}, the worst first: {'; '.join(one.title for one in small)}"
    )
    digits = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        _table(tested, places, detector.dataset),
        hide_index=True,
        column_config={"score": digits, "p-value": digits},
        height=200,
        alt=f"{title}: number, class, score and p-value",
    )


def _table(tested: Tested, places: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    verdicts = tested.verdicts.where(places)
    columns = {
        "test beat": places,
        "class": [dataset.class_name(label) for label in tested.beats.classes[places].tolist()],
        "score": verdicts.score,
    }
    return pd.DataFrame(columns if verdicts.p_value is None else columns | {"p-value": verdicts.p_value})


def _rounded_up(value: float) -> float:
    """To three digits, so that what is compared with it is not above it."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.3g}")
