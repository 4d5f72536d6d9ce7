"""Whether thresholds keep their promise: the false-alarm rate that a method promises, and the one that it has."""

from collections.abc import Sequence

import numpy as np

from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import at_most, attainable_count
from ecg.detector.verdicts import Verdicts
from ecg.evaluation import metrics
from ecg.exceptions import InputError
from ecg.files import Table
from ecg.params import Calibrate

CURVE_COLUMNS = ["method", "alpha", "false_alarm_rate", "chance_low", "chance_high"]
METHOD_COLUMNS = [
    "method",
    "uses_labels",
    "promised_rate",
    "false_positive_rate",
    "ci95_low",
    "ci95_high",
    "recall",
    "f1",
    "threshold",
]


def p_values(
    method: str, errors: TrainingErrors, settings: Calibrate, score: np.ndarray, member_score: np.ndarray
) -> np.ndarray:
    """The p-value of each beat, float64 of shape (n,), under a method that has an alpha.

    Parameters
    ----------
    method : one of `ecg.detector.thresholds.METHODS`, but not `percentile`
    errors : of the normal training beats
    settings : the calibrate section of params.yaml, of which method, alpha and percentile do not matter here
    score, member_score : float ndarrays of shape (n,) and (n, K), of other beats

    Raises
    ------
    InputError
        if the method cannot do with these errors.
    """
    any_alpha = settings.model_copy(update={"method": method, "alpha": 0.5})
    p = thresholds.calibrate(errors, any_alpha, "").p(score, member_score)
    assert p is not None  # a method with an alpha has held-out errors
    return p


def alarm_rates(
    method: str,
    errors: TrainingErrors,
    settings: Calibrate,
    score: np.ndarray,
    member_score: np.ndarray,
    alphas: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """The share of beats that raise an alarm at each alpha, under a method that promises a rate.

    Parameters
    ----------
    method : one of `ecg.detector.thresholds.METHODS`; `percentile` promises 1 - percentile / 100
    errors, settings, score, member_score : as for `p_values`

    Returns
    -------
    float ndarray, a rate for each alpha

    Raises
    ------
    InputError
        if the method cannot do with these errors.
    """
    if method == "percentile":
        reached = np.percentile(errors.calibrating, 100 * (1 - np.asarray(alphas)))
        return np.array([np.mean(score >= threshold) for threshold in reached])
    p = p_values(method, errors, settings, score, member_score)
    return np.array([np.mean(at_most(p, alpha)) for alpha in alphas])


def curves(errors: TrainingErrors, settings: Calibrate, normal: Verdicts, alphas: np.ndarray) -> Table:
    """The false-alarm rate on normal beats at each alpha, for each method that can do with the errors.

    Between `chance_low` and `chance_high` lie 95% of the rates that a conformal threshold has by chance
    (`ecg.evaluation.metrics.chance_band`).
    """
    n = len(errors.calibrating)
    counts = [attainable_count(n, alpha) for alpha in alphas]
    bands = [metrics.chance_band(n, len(normal.score), count) if count else (0.0, 0.0) for count in counts]
    rows: list[tuple[object, ...]] = []
    for method in thresholds.METHODS:
        try:
            rates = alarm_rates(method, errors, settings, normal.score, normal.member_score, alphas)
        except InputError:
            continue
        rows += [(method, alpha, rate, *band) for alpha, rate, band in zip(alphas, rates, bands, strict=True)]
    return CURVE_COLUMNS, rows


def methods(
    errors: TrainingErrors, settings: Calibrate, development: np.ndarray, verdicts: Verdicts, anomalous: np.ndarray
) -> Table:
    """What each method gives on beats of known class, as params.yaml sets it; figures are empty where it cannot.

    So is the promised rate of a method that promises none.

    Parameters
    ----------
    development : float ndarray of shape (m,), the scores of the anomalous training beats, for the method that uses them
    verdicts : of the beats, of which only the scores matter
    anomalous : bool ndarray of shape (n,), which of the beats are
    """
    rows: list[list[object]] = []
    for method in (*thresholds.METHODS, *thresholds.LABELLED):
        uses_labels = method in thresholds.LABELLED
        of_method = settings.model_copy(update={"method": method})
        try:
            calibration = thresholds.calibrate(errors, of_method, "", development)
        except InputError:
            rows.append([method, uses_labels, *[""] * (len(METHOD_COLUMNS) - 2)])
            continue
        promised = 1 - settings.percentile / 100 if method == "percentile" else calibration.alpha
        alarms = calibration.anomalous(verdicts.score, calibration.p(verdicts.score, verdicts.member_score))
        counts = metrics.Counts.of(alarms, anomalous)
        rate = counts.false_positive_rate, *counts.intervals()["false_positive_rate"]
        shown = "" if promised is None else promised
        rows.append([method, uses_labels, shown, *rate, counts.recall, counts.f1, calibration.threshold])
    return METHOD_COLUMNS, rows
