"""The content of metrics/evaluate.json and metrics/intervals.json."""

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


def summarize(evaluation: Evaluation, hours: float | None = None) -> dict[str, float]:
    """The metrics where classes are known, and the alarms of a recording that lasts `hours`, None if unknown."""
    threshold = {"threshold": evaluation.detector.calibration.threshold}
    return threshold | (_metrics(evaluation) if evaluation.comparable else {}) | _alarms(evaluation, hours)


def development_auc(errors: TrainingErrors, anomalous: np.ndarray) -> dict[str, float]:
    """The AUC to choose parameters by: of held-out normal against anomalous training beats; empty without both.

    Parameters
    ----------
    errors : of the normal training beats
    anomalous : float ndarray of shape (n,), the scores of the anomalous training beats
    """
    if errors.held_out is None or not len(anomalous):
        return {}
    auc, low, high = metrics.auc_with_interval(errors.held_out, anomalous)
    return {"development_auc": auc, "development_auc_ci95_low": low, "development_auc_ci95_high": high}


def intervals(evaluation: Evaluation, resamples: int) -> dict[str, dict[str, float]]:
    """The 95% confidence intervals of the metrics, by their names in the summary.

    AUC: DeLong. Rates: Wilson. Average precision and F1: percentiles of a stratified bootstrap with a fixed seed, or 0
    to 1 with fewer than two beats of a kind. Empty without both normal and anomalous beats.
    """
    if not evaluation.comparable:
        return {}
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
    return {name: {"ci95_low": low, "ci95_high": high} for name, (low, high) in ends.items()}


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    matrix = evaluation.confusion_matrix(evaluation.verdicts.anomalous)
    auc, low, high = metrics.auc_with_interval(*evaluation.scores)
    return {
        "auc": auc,
        "auc_ci95_low": low,
        "auc_ci95_high": high,
        "average_precision": float(average_precision_score(*evaluation.truth_and_score)),
        "f1": matrix.f1,
        "precision": matrix.precision,
        "recall": matrix.recall,
        "false_positive_rate": matrix.false_positive_rate,
        "accuracy": matrix.accuracy,
        **asdict(matrix),
        **{name: float(alarms.mean()) for name, alarms in _alarms_by_class(evaluation).items()},
        **_screening(evaluation),
        **_deletion(evaluation),
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


def _alarms(evaluation: Evaluation, hours: float | None) -> dict[str, float]:
    """The number and rate of alarms among all beats; empty where the metrics say it and the duration is unknown."""
    if evaluation.comparable and hours is None:
        return {}
    adaptive = None if hours is None else _adaptive(evaluation)
    summary: dict[str, float] = {"beats": len(evaluation.beats)}
    for prefix, alarms in (("", evaluation.verdicts.anomalous), ("adaptive_", adaptive)):
        if alarms is None:
            continue
        summary |= {f"{prefix}alarms": int(alarms.sum()), f"{prefix}alarm_rate": float(alarms.mean())}
        if hours:
            summary[f"{prefix}alarms_per_hour"] = float(alarms.sum() / hours)
        if prefix and evaluation.comparable:
            summary[f"{prefix}false_positive_rate"] = float(alarms[evaluation.normal].mean())
            summary[f"{prefix}recall"] = float(alarms[evaluation.anomalous].mean())
    return summary


def _adaptive(evaluation: Evaluation) -> np.ndarray | None:
    """The alarms of an adaptive threshold on the beats in their order; None if the calibration has no alpha."""
    try:
        return Stream.start(evaluation.detector).update(evaluation.verdicts.score)[0]
    except InputError:
        return None
