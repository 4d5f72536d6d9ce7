"""The tables of an evaluation: plots/*.csv, which DVC draws, and metrics/methods.csv."""

import numpy as np

from ecg.data.training_errors import TrainingErrors
from ecg.evaluation import metrics, reliability
from ecg.evaluation.evaluation import Evaluation
from ecg.files import Table
from ecg.params import Calibrate


def roc(evaluation: Evaluation) -> Table:
    """The corners of the ROC curve; none without both kinds of beats."""
    points = zip(*metrics.roc_curve(*evaluation.scores), strict=True) if evaluation.comparable else ()
    return ["false_positive_rate", "true_positive_rate"], points


def precision_recall(evaluation: Evaluation) -> Table:
    """The precision-recall curve; empty without both kinds of beats."""
    points = zip(*metrics.precision_recall_curve(*evaluation.scores), strict=True) if evaluation.comparable else ()
    return ["precision", "recall"], points


def methods(evaluation: Evaluation, errors: TrainingErrors, settings: Calibrate, development: np.ndarray) -> Table:
    """What each calibration method gives (`ecg.evaluation.reliability.methods`); empty without both kinds of beats."""
    if not evaluation.comparable:
        return reliability.METHOD_COLUMNS, ()
    known = evaluation.known
    return reliability.methods(
        errors, settings, development, evaluation.verdicts.where(known), evaluation.anomalous[known]
    )


def promised_rates(evaluation: Evaluation, errors: TrainingErrors, settings: Calibrate, alphas: np.ndarray) -> Table:
    """Promised and observed false-alarm rates (`ecg.evaluation.reliability.curves`); empty without normal beats."""
    if not evaluation.normal.any():
        return reliability.CURVE_COLUMNS, ()
    return reliability.curves(errors, settings, evaluation.verdicts.where(evaluation.normal), alphas)


def confusion(evaluation: Evaluation) -> Table:
    """What each beat of known class is and what it was called."""
    words = np.array(["normal", "anomalous"])
    kinds = (evaluation.anomalous, evaluation.verdicts.anomalous)
    return ["actual", "predicted"], zip(*(words[kind[evaluation.known].astype(int)] for kind in kinds), strict=True)


def histogram(evaluation: Evaluation, bins: int) -> Table:
    """How many beats of each class fall into each of `bins` ranges of the score, equal in its logarithm.

    Empty ranges are left out; the threshold stands in every row, where the plot finds it.
    """
    score, classes = np.maximum(evaluation.verdicts.score, np.finfo(np.float32).tiny), evaluation.beats.classes
    low, high = np.floor(np.log10(score.min())), np.ceil(np.log10(score.max()))  # whole decades
    edges = np.logspace(low, max(high, low + 1), bins + 1)
    threshold, rows = evaluation.detector.calibration.threshold, []
    for label in np.unique(classes).tolist():
        counts, _ = np.histogram(score[classes == label], edges)
        name = evaluation.dataset.class_name(label)
        rows += [(name, edges[i], edges[i + 1], int(counts[i]), threshold) for i in np.flatnonzero(counts)]
    return ["class", "score_from", "score_to", "beats", "threshold"], rows
