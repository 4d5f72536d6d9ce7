"""The content of metrics/evaluate.json, metrics/details.json and metrics/intervals.json."""

from dataclasses import asdict

import numpy as np
from sklearn.metrics import average_precision_score

from ecg.data.training_errors import TrainingErrors
from ecg.detector.calibration import benjamini_hochberg
from ecg.detector.explanation import deletion_test
from ecg.detector.stream import Stream
from ecg.evaluation import metrics
from ecg.evaluation.evaluation import Evaluation
from ecg.exceptions import InputError

AucWithInterval = tuple[float, float, float]  # and the ends of its 95% interval


def summarize(
    evaluation: Evaluation, hours: float | None = None, development: AucWithInterval | None = None
) -> dict[str, float]:
    """The main figures: the metrics where classes are known, elsewhere the number and rate of alarms.

    Parameters
    ----------
    hours : of a recording, for the number of alarms in an hour
    development : the AUC to choose parameters by (`development_auc`)
    """
    alarms = evaluation.verdicts.anomalous
    summary = {"threshold": evaluation.detector.calibration.threshold}
    summary |= _metrics(evaluation) if evaluation.comparable else _alarms(alarms)
    summary |= _per_hour(alarms, hours)
    return summary if development is None else summary | {"development_auc": development[0]}


def details(evaluation: Evaluation, hours: float | None = None) -> dict[str, float]:
    """Where classes are known, recall per class, screening and deletion test; of a recording, an adaptive threshold."""
    known: dict[str, float] = {}
    if evaluation.comparable:
        known = {name: float(alarms.mean()) for name, alarms in _alarms_by_class(evaluation).items()}
        known |= _screening(evaluation) | _deletion(evaluation)
    return known if hours is None else known | _adaptive(evaluation, hours)


def development_auc(errors: TrainingErrors, anomalous: np.ndarray) -> AucWithInterval | None:
    """The AUC to choose parameters by: of held-out normal against anomalous training beats.

    Parameters
    ----------
    errors : of the normal training beats
    anomalous : float ndarray of shape (n,), the scores of the anomalous training beats

    Returns
    -------
    None without held-out errors, or without anomalous training beats
    """
    if errors.held_out is None or not len(anomalous):
        return None
    return metrics.auc_with_interval(errors.held_out, anomalous)


def intervals(
    evaluation: Evaluation, resamples: int, development: AucWithInterval | None = None
) -> dict[str, dict[str, float]]:
    """The 95% confidence intervals of the metrics, by their names in the summary and the details.

    AUC: DeLong. Rates: Wilson. Average precision and F1: percentiles of a stratified bootstrap with a fixed seed, or 0
    to 1 with fewer than two beats of a kind. Without both normal and anomalous beats, of `development` alone.
    """
    ends = {} if development is None else {"development_auc": development[1:]}
    if evaluation.comparable:
        ends |= _ends(evaluation, resamples)
    return {name: {"ci95_low": low, "ci95_high": high} for name, (low, high) in ends.items()}


def _ends(evaluation: Evaluation, resamples: int) -> dict[str, tuple[float, float]]:
    """The ends of the intervals, where classes are known."""
    alarms = evaluation.verdicts.anomalous
    anomalous, score = evaluation.truth_and_score
    ends = {
        "auc": metrics.auc_with_interval(*evaluation.scores)[1:],
        "average_precision": (0.0, 1.0),
        "f1": (0.0, 1.0),
        **evaluation.confusion_matrix(alarms).intervals(),
    }
    if min(anomalous.sum(), (~anomalous).sum()) > 1:
        precisions = metrics.bootstrap_average_precision(score, anomalous, resamples)
        f1s = metrics.bootstrap_f1(alarms[evaluation.known], anomalous, resamples)
        ends |= {"average_precision": metrics.percentile_interval(precisions), "f1": metrics.percentile_interval(f1s)}
    for name, alarms_of_class in _alarms_by_class(evaluation).items():
        ends[name] = metrics.wilson_interval(int(alarms_of_class.sum()), len(alarms_of_class))
    return ends


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    matrix = evaluation.confusion_matrix(evaluation.verdicts.anomalous)
    return {
        "auc": metrics.auc_with_interval(*evaluation.scores)[0],
        "average_precision": float(average_precision_score(*evaluation.truth_and_score)),
        "f1": matrix.f1,
        "precision": matrix.precision,
        "recall": matrix.recall,
        "false_positive_rate": matrix.false_positive_rate,
        "accuracy": matrix.accuracy,
        **asdict(matrix),
    }


def _alarms_by_class(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Which beats of each anomalous class raise an alarm, bool of shape (n_of_class,), by the name of their recall."""
    alarms, classes, key = evaluation.verdicts.anomalous, evaluation.beats.classes, evaluation.dataset.class_key
    return {f"recall_{key(label)}": alarms[classes == label] for label in evaluation.anomalous_classes}


def _screening(evaluation: Evaluation) -> dict[str, float]:
    """The false discovery proportion and the recall when all beats are screened as one set."""
    if evaluation.verdicts.p_value is None:
        return {}
    screened = benjamini_hochberg(evaluation.verdicts.p_value, evaluation.detector.calibration.fdr)
    matrix = evaluation.confusion_matrix(screened)
    return {"screened_false_discoveries": matrix.false_discovery_proportion, "screened_recall": matrix.recall}


def _deletion(evaluation: Evaluation) -> dict[str, float]:
    """The share of its score that a detected anomalous beat keeps without its named steps, and without random ones."""
    detected = np.flatnonzero(evaluation.verdicts.anomalous & evaluation.anomalous)
    if not len(detected):
        return {}
    samples, details = evaluation.beats.samples[detected], evaluation.details(detected)
    named, random = deletion_test(evaluation.detector.model.scores, samples, details)
    return {"score_left_without_named_steps": named, "score_left_without_random_steps": random}


def _alarms(alarms: np.ndarray) -> dict[str, float]:
    """The number and rate of alarms, bool of shape (n_beats,), among all beats."""
    return {"beats": len(alarms), "alarms": int(alarms.sum()), "alarm_rate": float(alarms.mean())}


def _per_hour(alarms: np.ndarray, hours: float | None) -> dict[str, float]:
    """The alarms in an hour; empty if the duration is unknown or 0."""
    return {"alarms_per_hour": float(alarms.sum() / hours)} if hours else {}


def _adaptive(evaluation: Evaluation, hours: float) -> dict[str, float]:
    """The alarms of an adaptive threshold on the beats in their order; empty if the calibration has no alpha."""
    try:
        alarms = Stream.start(evaluation.detector).update(evaluation.verdicts.score)[0]
    except InputError:
        return {}
    found = _alarms(alarms) | _per_hour(alarms, hours)
    if evaluation.comparable:
        found["false_positive_rate"] = float(alarms[evaluation.normal].mean())
        found["recall"] = float(alarms[evaluation.anomalous].mean())
    return {f"adaptive_{name}": value for name, value in found.items() if name != "beats"}
