"""The tables of an evaluation: plots/*.csv, which DVC draws, and metrics/methods.csv."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from ecg.data.training_errors import TrainingErrors
from ecg.evaluation import reliability
from ecg.evaluation.evaluation import Evaluation
from ecg.params import Calibrate

THRESHOLD = ["threshold", "in_use"]  # columns of a curve


def roc(evaluation: Evaluation) -> pd.DataFrame:
    """The ROC curve from (0, 0) to (1, 1) (`_curve`); empty without both kinds of beats."""
    names = ["false_positive_rate", "true_positive_rate"]
    if not evaluation.comparable:
        return pd.DataFrame(columns=[*names, *THRESHOLD])
    false_positive_rate, true_positive_rate, thresholds = roc_curve(*evaluation.truth_and_score)
    in_use = evaluation.confusion_matrix(evaluation.verdicts.anomalous)
    at_threshold = (in_use.false_positive_rate, in_use.recall)
    return _curve(evaluation, names, (false_positive_rate, true_positive_rate), thresholds, at_threshold)


def precision_recall(evaluation: Evaluation) -> pd.DataFrame:
    """The precision-recall curve from recall 0 to recall 1 (`_curve`); empty without both kinds of beats."""
    names = ["precision", "recall"]
    if not evaluation.comparable:
        return pd.DataFrame(columns=[*names, *THRESHOLD])
    precision, recall, thresholds = precision_recall_curve(*evaluation.truth_and_score, drop_intermediate=True)
    in_use = evaluation.confusion_matrix(evaluation.verdicts.anomalous)
    alarms = in_use.true_positives + in_use.false_positives
    at_threshold = (in_use.precision if alarms else 1.0, in_use.recall)  # 1.0 as at the start of the curve
    return _curve(evaluation, names, (precision, recall), np.append(thresholds, np.inf), at_threshold)


def _curve(
    evaluation: Evaluation,
    names: Sequence[str],
    rates: Sequence[np.ndarray],
    thresholds: np.ndarray,
    at_threshold: Sequence[float],
) -> pd.DataFrame:
    """Two rates at each threshold, from the highest, and in a row of its own at the detector's: `in_use` is 1 there.

    The first row has no threshold: no beat is called anomalous.
    """
    in_use = [*at_threshold, evaluation.detector.calibration.threshold]
    rows = pd.DataFrame(np.column_stack([*rates, thresholds]), columns=[*names, "threshold"]).assign(in_use=0)
    rows.loc[len(rows)] = [*in_use, 1]
    rows = rows.sort_values("threshold", ascending=False, kind="stable", ignore_index=True)
    return rows.astype({"in_use": int}).replace({"threshold": {np.inf: np.nan}})


def methods(
    evaluation: Evaluation, errors: TrainingErrors, settings: Calibrate, development: np.ndarray
) -> pd.DataFrame:
    """What each calibration method gives (`ecg.evaluation.reliability.methods`); empty without both kinds of beats."""
    if not evaluation.comparable:
        return pd.DataFrame(columns=reliability.METHOD_COLUMNS)
    anomalous, verdicts = evaluation.anomalous[evaluation.known], evaluation.verdicts.where(evaluation.known)
    return reliability.methods(errors, settings, development, verdicts, anomalous)


def promised_rates(
    evaluation: Evaluation, errors: TrainingErrors, settings: Calibrate, alphas: np.ndarray
) -> pd.DataFrame:
    """Promised and observed false-alarm rates (`ecg.evaluation.reliability.curves`); empty without normal beats."""
    if not evaluation.normal.any():
        return pd.DataFrame(columns=reliability.CURVE_COLUMNS)
    return reliability.curves(errors, settings, evaluation.verdicts.where(evaluation.normal), alphas)


def confusion(evaluation: Evaluation) -> pd.DataFrame:
    """The actual and the predicted kind of each beat of known class, a row for each beat."""
    kinds = {"actual": evaluation.anomalous, "predicted": evaluation.verdicts.anomalous}
    return pd.DataFrame(
        {name: np.where(anomalous[evaluation.known], "anomalous", "normal") for name, anomalous in kinds.items()}
    )


def histogram(evaluation: Evaluation, bins: int) -> pd.DataFrame:
    """How many beats of each class fall into each of `bins` ranges of the score, of equal width on a logarithmic scale.

    Empty ranges are left out. The threshold is repeated in every row, because the plot reads it from there.
    """
    score, classes = np.maximum(evaluation.verdicts.score, np.finfo(np.float32).tiny), evaluation.beats.classes
    low, high = np.floor(np.log10(score.min())), np.ceil(np.log10(score.max()))  # whole decades
    edges = np.logspace(low, max(high, low + 1), bins + 1)
    tables = []
    for label in np.unique(classes).tolist():
        beats, _ = np.histogram(score[classes == label], edges)
        name = evaluation.dataset.class_name(label)
        table = pd.DataFrame({"class": name, "score_from": edges[:-1], "score_to": edges[1:], "beats": beats})
        tables.append(table[table["beats"] > 0])
    return pd.concat(tables, ignore_index=True).assign(threshold=evaluation.detector.calibration.threshold)
