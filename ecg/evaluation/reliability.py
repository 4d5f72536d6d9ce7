"""How the false-alarm rate that a calibration method promises compares with the observed one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import at_most, attainable_count
from ecg.detector.verdicts import Verdicts
from ecg.evaluation import metrics
from ecg.exceptions import InputError
from ecg.params import Calibrate

CURVE_COLUMNS = ["method", "alpha", "false_alarm_rate", "chance_low", "chance_high"]
METHOD_COLUMNS = [
    "method", "uses_labels", "promised_rate",
    "false_positive_rate", "ci95_low", "ci95_high", "recall", "f1", "threshold",
]  # fmt: skip


def p_values(
    method: str, errors: TrainingErrors, settings: Calibrate, score: np.ndarray, member_score: np.ndarray
) -> np.ndarray:
    """The p-value of each beat, float64 of shape (n,), under a method that has an alpha.

    Parameters
    ----------
    method : one of `ecg.detector.thresholds.METHODS`, but not `percentile`
    errors : of the normal training beats
    settings : the calibrate section of params.yaml; its method, alpha and percentile do not matter here
    score, member_score : float ndarrays of shape (n,) and (n, K), of other beats

    Raises
    ------
    InputError : if the method cannot be calibrated on these errors
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

    The method is one of `ecg.detector.thresholds.METHODS`; `percentile` promises 1 - percentile / 100. The other
    arguments and the error are those of `p_values`.
    """
    if method == "percentile":
        percentiles = np.percentile(errors.calibrating, 100 * (1 - np.asarray(alphas)))
        return np.array([np.mean(score >= threshold) for threshold in percentiles])
    p = p_values(method, errors, settings, score, member_score)
    return np.array([np.mean(at_most(p, alpha)) for alpha in alphas])


def curves(errors: TrainingErrors, settings: Calibrate, normal: Verdicts, alphas: np.ndarray) -> pd.DataFrame:
    """The false-alarm rate on normal beats at each alpha, for each method that can be calibrated on the errors.

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
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def methods(
    errors: TrainingErrors, settings: Calibrate, development: np.ndarray, verdicts: Verdicts, anomalous: np.ndarray
) -> pd.DataFrame:
    """The false-alarm rate, recall and F1 of each calibration method on beats of known class, as params.yaml sets it.

    Values are missing where a method cannot be calibrated on the errors, and where it promises no rate.

    Parameters
    ----------
    errors : of the normal training beats
    settings : the calibrate section of params.yaml; its method does not matter here
    development : float ndarray of shape (m,), the scores of the anomalous training beats, for the method that uses them
    verdicts : on the n beats; only the scores are used
    anomalous : bool ndarray of shape (n,), which of the beats are anomalous
    """
    rows = []
    for method in (*thresholds.METHODS, *thresholds.LABELLED):
        row = {"method": method, "uses_labels": method in thresholds.LABELLED}
        try:
            calibration = thresholds.calibrate(errors, settings.model_copy(update={"method": method}), "", development)
        except InputError:
            rows.append(row)
            continue
        alarms = calibration.anomalous(verdicts.score, calibration.p(verdicts.score, verdicts.member_score))
        matrix = metrics.ConfusionMatrix.of(alarms, anomalous)
        low, high = matrix.intervals()["false_positive_rate"]
        rows.append(
            row
            | {
                "promised_rate": 1 - settings.percentile / 100 if method == "percentile" else calibration.alpha,
                "false_positive_rate": matrix.false_positive_rate,
                "ci95_low": low,
                "ci95_high": high,
                "recall": matrix.recall,
                "f1": matrix.f1,
                "threshold": calibration.threshold,
            }
        )
    return pd.DataFrame(rows, columns=METHOD_COLUMNS)
