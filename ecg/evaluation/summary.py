"""What metrics/evaluate.json and metrics/intervals.json say of a detector."""

from dataclasses import asdict

import numpy as np

from ecg.data.training_errors import TrainingErrors
from ecg.detector.calibration import benjamini_hochberg
from ecg.detector.explanation import deletion
from ecg.detector.stream import Stream
from ecg.evaluation import metrics
from ecg.evaluation.evaluation import Evaluation
from ecg.exceptions import InputError


def summarize(evaluation: Evaluation, hours: float | None = None) -> dict[str, float]:
    """Metrics where classes are known, and of a recording its alarms.

    hours : how long the beats last together, in their order; None if that is not known
    """
    threshold = {"threshold": evaluation.detector.calibration.threshold}
    return threshold | (_metrics(evaluation) if evaluation.comparable else {}) | _alarms(evaluation, hours)


def development_auc(errors: TrainingErrors, anomalous: np.ndarray) -> dict[str, float]:
    """The AUC by which to choose parameters: held-out normal against anomalous training beats, if there are any.

    anomalous : float ndarray of shape (n,), the scores of the anomalous training beats
    """
    if errors.held_out is None or not len(anomalous):
        return {}
    auc, low, high = metrics.auc_with_interval(errors.held_out, anomalous)
    return {"development_auc": auc, "development_auc_ci95_low": low, "development_auc_ci95_high": high}


def intervals(evaluation: Evaluation, resamples: int) -> dict[str, dict[str, float]]:
    """The ends of the 95% intervals, by the names that the summary has.

    AUC: DeLong. Rates: Wilson. Average precision and F1: percentiles of a stratified bootstrap, seeded. None where
    beats of one kind or of none are known.
    """
    if not evaluation.comparable:
        return {}
    every, known = evaluation.verdicts, evaluation.known
    score, alarms, anomalous = (values[known] for values in (every.score, every.anomalous, evaluation.anomalous))
    precisions, f1s = [], []
    for counts in metrics.stratified_resamples(anomalous, resamples):
        precisions.append(metrics.resampled_average_precision(score, anomalous, counts))
        f1s.append(metrics.resampled_f1(alarms, anomalous, counts))
    found: dict[str, metrics.Interval] = {
        "auc": metrics.auc_with_interval(*evaluation.scores)[1:],
        "average_precision": metrics.percentile_interval(np.concatenate(precisions)),
        "f1": metrics.percentile_interval(np.concatenate(f1s)),
        **evaluation.counts(every.anomalous).intervals(),
    }
    for name, of_class in _alarms_by_class(evaluation).items():
        found[name] = metrics.wilson_interval(int(of_class.sum()), len(of_class))
    return {name: {"ci95_low": low, "ci95_high": high} for name, (low, high) in found.items()}


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    counts = evaluation.counts(evaluation.verdicts.anomalous)
    auc, low, high = metrics.auc_with_interval(*evaluation.scores)
    return {
        "auc": auc,
        "auc_ci95_low": low,
        "auc_ci95_high": high,
        "average_precision": metrics.average_precision(*evaluation.scores),
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "false_positive_rate": counts.false_positive_rate,
        "accuracy": counts.accuracy,
        **asdict(counts),
        **{name: float(of_class.mean()) for name, of_class in _alarms_by_class(evaluation).items()},
        **_screening(evaluation),
        **_deletion(evaluation),
    }


def _alarms_by_class(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """The verdicts on the beats of each anomalous class, bool of shape (n_of_class,), by the name of their mean."""
    return {
        f"recall_{evaluation.dataset.class_key(label)}": evaluation.verdicts.anomalous[
            evaluation.beats.classes == label
        ]
        for label in evaluation.anomalous_classes
    }


def _screening(evaluation: Evaluation) -> dict[str, float]:
    """What screening all beats as one set finds: the share of false ones among its alarms, and the recall."""
    if evaluation.verdicts.p_value is None:
        return {}
    screened = benjamini_hochberg(evaluation.verdicts.p_value, evaluation.detector.calibration.fdr)
    counts = evaluation.counts(screened)
    return {"screened_false_discoveries": counts.false_discovery_proportion, "screened_recall": counts.recall}


def _deletion(evaluation: Evaluation) -> dict[str, float]:
    """What is left of the scores of anomalous alarms without the steps that explain them, and without random ones."""
    caught = np.flatnonzero(evaluation.verdicts.anomalous & evaluation.anomalous)
    if not len(caught):
        return {}
    samples, details = evaluation.beats.samples[caught], evaluation.details(caught)
    named, random = deletion(evaluation.detector.model.scores, samples, details)
    return {"score_left_without_named_steps": named, "score_left_without_random_steps": random}


def _alarms(evaluation: Evaluation, hours: float | None) -> dict[str, float]:
    """How many alarms there are, of all beats; nothing where metrics say it, and nobody knows the time."""
    if evaluation.comparable and hours is None:
        return {}
    adaptive = None if hours is None else _adaptive(evaluation)
    found: dict[str, float] = {"beats": len(evaluation.beats)}
    for prefix, alarms in (("", evaluation.verdicts.anomalous), ("adaptive_", adaptive)):
        if alarms is None:
            continue
        found |= {f"{prefix}alarms": int(alarms.sum()), f"{prefix}alarm_rate": float(alarms.mean())}
        if hours:
            found[f"{prefix}alarms_per_hour"] = float(alarms.sum() / hours)
        if prefix and evaluation.comparable:
            found[f"{prefix}false_positive_rate"] = float(alarms[evaluation.normal].mean())
            found[f"{prefix}recall"] = float(alarms[evaluation.anomalous].mean())
    return found


def _adaptive(evaluation: Evaluation) -> np.ndarray | None:
    """The verdicts of a threshold that follows slow change, on beats in their order; None without an alpha for it."""
    try:
        return Stream.start(evaluation.detector).update(evaluation.verdicts.score)[0]
    except InputError:
        return None
