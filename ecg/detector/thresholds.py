"""The methods that make a calibration from the errors of normal beats.

A method is a function of the errors and the `calibrate` section of params.yaml that returns a `Rule`. To add one, write
it, enter it in METHODS and name it in `ecg.params.Calibrate`. A method that uses labels takes the scores of the
anomalous training beats instead of the section, and is entered in LABELLED.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecg.data.training_errors import TrainingErrors
from ecg.detector.calibration import Calibration, Tail, at_most, attainable_count, count_at_least
from ecg.exceptions import InputError
from ecg.params import Calibrate

FEWEST_PEAKS = 10  # held-out errors above the level that a tail can be fitted to


@dataclass(frozen=True)
class Rule:
    """The fields of a `Calibration` that a method decides; they are explained there."""

    threshold: float
    alpha: float | None = None
    p_values: list[float] | None = None
    tail: Tail | None = None


def percentile(errors: TrainingErrors, settings: Calibrate) -> Rule:
    """The threshold is a percentile of the held-out errors; without any, of the errors of the beats trained on.

    The second case promises nothing: the longer the training, the smaller these errors are beside those of new beats.
    """
    return Rule(float(np.percentile(errors.calibrating, settings.percentile)))


def conformal(errors: TrainingErrors, settings: Calibrate) -> Rule:
    """Alarm at a cross-conformal p-value of at most alpha.

    If a new normal beat is exchangeable with the training beats, the probability of an alarm is about alpha; it is
    at most 2 alpha + 2 (K - 1) / (n + K) with K members.

    Raises
    ------
    InputError
        if there are no held-out errors, or too few for alpha.

    References
    ----------
    Vovk 2015, "Cross-conformal predictors". The bound: Barber, Candès, Ramdas, Tibshirani 2021, "Predictive inference
    with the jackknife+".
    """
    held_out = _held_out(errors, settings)
    n, allowed = len(held_out), attainable_count(len(held_out), settings.alpha)
    if allowed < 1:
        raise InputError(
            f"params.yaml: calibrate.alpha is {settings.alpha}: the smallest p-value that {n} held-out beats can give "
            f"is {1 / (n + 1):.3g}; {int(np.ceil(1 / settings.alpha / (1 + 1e-12))) - 1} beats would do, or a larger "
            "alpha, or calibrate.method 'pot'"
        )
    return Rule(_above(held_out, allowed), settings.alpha)


def conformal_conditional(errors: TrainingErrors, settings: Calibrate) -> Rule:
    """Alarm at an adjusted p-value of at most alpha: for all but a share delta of calibration draws, not on average.

    Given the held-out errors, the rate at which new normal beats reach the k-th largest of them follows the
    distribution Beta(k, n + 1 - k). The adjusted p-value is its 1 - delta quantile in place of its mean k / (n + 1), so
    that with a probability of 1 - delta over the draw of the held-out beats, the false-alarm rate is at most alpha.
    This holds for an alpha that is chosen before the beats are drawn, as in params.yaml; Bates et al. adjust further,
    so that it holds for every alpha at once.

    Raises
    ------
    InputError
        if there are no held-out errors, or too few for alpha and delta.

    References
    ----------
    Vovk 2012, "Conditional validity of inductive conformal predictors". Bates, Candès, Lei, Romano, Sesia 2023,
    "Testing for outliers with conformal p-values".
    """
    from scipy.special import betaincinv  # takes a fifth of a second to import

    held_out = _held_out(errors, settings)
    n, k = len(held_out), np.arange(1, len(held_out) + 1)
    adjusted = np.append(betaincinv(k, n + 1 - k, 1 - settings.delta), 1.0)
    allowed = int(at_most(adjusted, settings.alpha).sum())
    if allowed < 1:
        enough = int(np.ceil(np.log(settings.delta) / np.log1p(-settings.alpha)))
        raise InputError(
            f"params.yaml: calibrate.alpha is {settings.alpha} and calibrate.delta {settings.delta}: the smallest "
            f"adjusted p-value that {n} held-out beats can give is {adjusted[0]:.3g}; {enough} beats would do, or a "
            "larger alpha or delta, or calibrate.method 'conformal' or 'pot'"
        )
    return Rule(_above(held_out, allowed), settings.alpha, adjusted.tolist())


def pot(errors: TrainingErrors, settings: Calibrate) -> Rule:
    """Peaks over threshold: a generalised Pareto tail above a level, for alarm rates below 1 / (n + 1).

    The peaks are the largest held-out errors, a share of `tail`. Above their level, p is the posterior predictive
    probability that a new normal beat scores as high. The maximum-likelihood fit alone would raise several times the
    alarms that it promises, since the peaks are few. The prior is flat in the shape, from 0 to 1 (a squared error has
    no upper bound, and has a mean), and in the logarithm of the scale.

    Raises
    ------
    InputError
        if there are no held-out errors, or fewer than 10 peaks, or if all peaks are equal to the level.

    References
    ----------
    Pickands 1975, "Statistical inference using extreme order statistics". Siffer, Fouque, Termier, Largouet 2017,
    "Anomaly detection in streams with extreme value theory". Predictive tails: Coles 2001, "An introduction to
    statistical modeling of extreme values".
    """
    held_out = np.sort(_held_out(errors, settings)).astype(float)
    n, peaks = len(held_out), min(round(settings.tail * len(held_out)), len(held_out) - 1)
    if peaks < FEWEST_PEAKS:
        raise InputError(
            f"params.yaml: calibrate.tail is {settings.tail}: that is {peaks} of {n} held-out beats, and at least "
            f"{FEWEST_PEAKS} are needed; {int(np.ceil(FEWEST_PEAKS / settings.tail))} beats would do, or a larger tail"
        )
    level = held_out[-peaks - 1]
    if held_out[-1] == level:
        raise InputError(f"the largest {peaks + 1} held-out errors are all {level:.6g}: no tail can be fitted to them")
    excess, survival = _predictive_tail(held_out[-peaks:] - level)
    tail = Tail(level=level, excess=excess.tolist(), p=((peaks + 1) / (n + 1) * survival).tolist())
    counted = attainable_count(n, settings.alpha)
    threshold = _above(held_out, counted) if counted > peaks else tail.score(settings.alpha)
    return Rule(threshold, settings.alpha, tail=tail)


def f1(errors: TrainingErrors, anomalous: np.ndarray) -> Rule:
    """The threshold of the best F1 on the training beats. It uses the LABELS of the anomalous training beats.

    It depends on the share of anomalous beats among them, and promises no false-alarm rate.

    Parameters
    ----------
    errors : of the normal training beats
    anomalous : float ndarray of shape (n,), the scores of the anomalous training beats; at least one
    """
    normal = errors.calibrating
    candidates = np.unique(np.concatenate([normal, anomalous]).astype(np.float32))
    hits, false = count_at_least(anomalous, candidates), count_at_least(normal, candidates)
    best = np.argmax(2 * hits / (len(anomalous) + hits + false))
    return Rule(float(candidates[best]))


METHODS: dict[str, Callable[[TrainingErrors, Calibrate], Rule]] = {
    "percentile": percentile,
    "conformal": conformal,
    "conformal_conditional": conformal_conditional,
    "pot": pot,
}
LABELLED: dict[str, Callable[[TrainingErrors, np.ndarray], Rule]] = {"f1": f1}


def calibrate(
    errors: TrainingErrors, settings: Calibrate, model_sha256: str, anomalous: np.ndarray | None = None
) -> Calibration:
    """Calibrate a model by `settings.method`.

    Parameters
    ----------
    errors : of the normal training beats
    settings : the section `calibrate` of params.yaml
    model_sha256 : of the ONNX file that the errors are from
    anomalous : float ndarray of shape (n,), the scores of the anomalous training beats, for a method that uses labels

    Raises
    ------
    InputError
        if the errors are not finite or all equal, or if the method cannot use them.
    """
    values = errors.calibrating
    if not np.isfinite(values).all():
        raise InputError(f"the error of training beat {np.flatnonzero(~np.isfinite(values))[0]} is not a finite number")
    if len(values) < 2 or values.min() == values.max():
        raise InputError(
            f"the errors of all {len(values)} normal training beats are equal: no threshold can come from them; are "
            "the beats copies of one, or has the model not been trained?"
        )
    if settings.method not in LABELLED:
        rule = METHODS[settings.method](errors, settings)
    elif anomalous is not None and len(anomalous):
        rule = LABELLED[settings.method](errors, anomalous)
    else:
        raise InputError(
            f"params.yaml: calibrate.method is {settings.method!r}, which needs anomalous training beats; it got none"
        )
    folds = [] if errors.held_out is None else [errors.held_out[errors.fold == k] for k in range(errors.fold.max() + 1)]
    return Calibration(
        method=settings.method,
        model_sha256=model_sha256,
        alpha=rule.alpha,
        fdr=settings.fdr,
        threshold=rule.threshold,
        held_out=[np.sort(fold).tolist() for fold in folds],
        p_values=rule.p_values,
        tail=rule.tail,
    )


def _held_out(errors: TrainingErrors, settings: Calibrate) -> np.ndarray:
    if errors.held_out is None:
        raise InputError(
            f"params.yaml: calibrate.method is {settings.method!r}, which needs errors on held-out beats: set "
            "train.folds to 2 or more, or calibrate.method to 'percentile'"
        )
    return errors.held_out


def _above(held_out: np.ndarray, allowed: int) -> float:
    """The smallest float32 that at most `allowed` - 1 held-out errors reach: just above the allowed-th largest."""
    return float(np.nextafter(np.float32(np.sort(held_out)[-allowed]), np.float32(np.inf)))


def _predictive_tail(peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Excesses over the level, from 1e-4 to 1e6 times the mean peak, and the probability that a new one is larger.

    The survival function of the generalised Pareto distribution, averaged over a grid of shapes and scales with the
    weights of their posterior.
    """
    from scipy.stats import genpareto  # takes a second to import

    mean = peaks.mean()
    shape = (np.arange(50)[:, None, None] + 0.5) / 50  # (50, 1, 1)
    scale = mean * np.exp(np.linspace(-3, 3, 121))[:, None]  # (121, 1)
    log_likelihood = genpareto.logpdf(peaks, shape, scale=scale).sum(axis=-1)  # (50, 121)
    weight = np.exp(log_likelihood - log_likelihood.max())
    excess = mean * np.logspace(-4, 6, 161)
    return excess, np.einsum("ij,ijk->k", weight / weight.sum(), genpareto.sf(excess, shape, scale=scale))
