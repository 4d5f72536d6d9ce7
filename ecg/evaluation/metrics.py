"""How well scores separate anomalous beats from normal ones, with 95% confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.metrics import confusion_matrix

Z95 = float(stats.norm.ppf(0.975))
BATCH_NUMBERS = 1_000_000  # beats drawn at a time in a bootstrap: about 80 MB

Interval = tuple[float, float]


@dataclass(frozen=True)
class ConfusionMatrix:
    """How many normal and anomalous beats raise an alarm and how many do not, and the rates that follow from it."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @classmethod
    def of(cls, alarms: np.ndarray, anomalous: np.ndarray) -> "ConfusionMatrix":
        """Count from two bool ndarrays of shape (n_beats,): which beats raise an alarm, and which are anomalous."""
        return cls(*confusion_matrix(anomalous, alarms, labels=[False, True]).ravel().tolist())

    @property
    def precision(self) -> float:
        """The share of alarms that are on anomalous beats; 0 without alarms."""
        return self.true_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def false_discovery_proportion(self) -> float:
        """The share of alarms that are on normal beats; 0 without alarms."""
        return self.false_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> float:
        """The share of anomalous beats that raise an alarm; 0 without anomalous beats."""
        return self.true_positives / max(self.true_positives + self.false_negatives, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 without alarms and anomalous beats."""
        return 2 * self.true_positives / max(2 * self.true_positives + self.false_positives + self.false_negatives, 1)

    @property
    def false_positive_rate(self) -> float:
        """The share of normal beats that raise an alarm; 0 without normal beats."""
        return self.false_positives / max(self.false_positives + self.true_negatives, 1)

    @property
    def accuracy(self) -> float:
        """The share of beats that are classified correctly."""
        correct, wrong = self.true_positives + self.true_negatives, self.false_positives + self.false_negatives
        return correct / max(correct + wrong, 1)

    def intervals(self) -> dict[str, Interval]:
        """The 95% confidence intervals of precision, recall, false-positive rate and accuracy (`wilson_interval`)."""
        hits, false_alarms = self.true_positives, self.false_positives
        correct, wrong = hits + self.true_negatives, false_alarms + self.false_negatives
        return {
            "precision": wilson_interval(hits, hits + false_alarms),
            "recall": wilson_interval(hits, hits + self.false_negatives),
            "false_positive_rate": wilson_interval(false_alarms, false_alarms + self.true_negatives),
            "accuracy": wilson_interval(correct, correct + wrong),
        }


@dataclass(frozen=True)
class Placements:
    """The placement values of beats (DeLong 1988), whose mean is the AUC; neither SciPy nor scikit-learn has them.

    Placement values of the same beats under several detectors may be averaged and subtracted: the result belongs to
    the mean, or to the difference, of their AUCs.

    Parameters
    ----------
    normal : float ndarray of shape (n_normal,), the share of anomalous beats that score above each, ties half
    anomalous : float ndarray of shape (n_anomalous,), the share of normal beats that score below each, ties half

    References
    ----------
    DeLong, DeLong, Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach"; by the ranks of Sun, Xu 2014, "Fast implementation of DeLong's
    algorithm".
    """

    normal: np.ndarray
    anomalous: np.ndarray

    @classmethod
    def of(cls, normal: np.ndarray, anomalous: np.ndarray) -> "Placements":
        """From the scores of normal and anomalous beats, of shapes (n_normal,) and (n_anomalous,)."""
        m, n = len(anomalous), len(normal)
        ranks = stats.rankdata(np.concatenate([anomalous, normal]))
        return cls(1 - (ranks[m:] - stats.rankdata(normal)) / m, (ranks[:m] - stats.rankdata(anomalous)) / n)

    def interval(self) -> tuple[float, float, float]:
        """The mean and its 95% confidence interval, which is infinite with fewer than two beats of a kind."""
        mean = float(self.anomalous.mean())
        if min(len(self.anomalous), len(self.normal)) < 2:
            return mean, -np.inf, np.inf
        variance = sum(kind.var(ddof=1) / len(kind) for kind in (self.anomalous, self.normal))
        half = Z95 * float(np.sqrt(variance))
        return mean, mean - half, mean + half

    def auc_with_interval(self) -> tuple[float, float, float]:
        """The area under the ROC curve and its 95% confidence interval, limited to between 0 and 1."""
        auc, low, high = self.interval()
        return auc, max(low, 0.0), min(high, 1.0)


def auc_with_interval(normal: np.ndarray, anomalous: np.ndarray) -> tuple[float, float, float]:
    """The area under the ROC curve and its 95% confidence interval (`Placements`).

    From the scores of the beats, of shapes (n_normal,) and (n_anomalous,), at least one each; with fewer than two of a
    kind, the interval is from 0 to 1.

    Examples
    --------
    >>> auc_with_interval(np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.9]))[0]
    0.8333333333333333
    """
    return Placements.of(normal, anomalous).auc_with_interval()


def bootstrap_average_precision(score: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """The average precision of bootstrap samples, in which normal and anomalous beats are drawn separately.

    Parameters
    ----------
    score : float ndarray of shape (n_beats,)
    anomalous : bool ndarray of shape (n_beats,), with at least two beats of each kind
    resamples : how many bootstrap samples, each of which gives one value of the result
    seed : equal seeds draw the same beats, whatever their scores: detectors can be compared sample by sample
    """
    return _bootstrap(_average_precision, stats.rankdata(-score, "dense") - 1, anomalous, resamples, seed)


def bootstrap_f1(alarms: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """The F1 of bootstrap samples, as `bootstrap_average_precision`; alarms: bool ndarray of shape (n_beats,)."""
    return _bootstrap(_f1, alarms, anomalous, resamples, seed)


def percentile_interval(values: np.ndarray) -> Interval:
    """The 95% interval between the percentiles of a bootstrap's values, shape (resamples,)."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def wilson_interval(successes: int, trials: int) -> Interval:
    """The 95% confidence interval of a rate (Wilson 1927); 0 to 1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def chance_band(n: int, trials: int, count: int) -> Interval:
    """Between which rates the false-alarm rate of a conformal threshold lies in 95% of draws.

    If all beats are exchangeable, the number of `trials` new beats that reach the `count`-th largest of `n` held-out
    errors follows the beta-binomial distribution: both the held-out beats and the new ones are random draws.

    Parameters
    ----------
    n : how many held-out errors
    trials : how many new beats
    count : from 1 to n

    Returns
    -------
    low, high : the rates at which the distribution function first reaches 2.5% and 97.5%
    """
    # SciPy's ppf adds up the probabilities anew at each step of its search: 15 s for 150,000 beats
    probabilities = stats.betabinom.pmf(np.arange(trials + 1), trials, count, n + 1 - count)
    low, high = np.searchsorted(np.cumsum(probabilities), [0.025, 0.975]) / trials
    return float(low), float(high)


def _bootstrap(
    statistic: Callable[..., np.ndarray], values: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    """The statistic, which takes values of shapes (samples, n_normal) and (samples, n_anomalous), of each sample."""
    kinds, batch = (values[~anomalous], values[anomalous]), max(BATCH_NUMBERS // len(anomalous), 1)
    result = stats.bootstrap(
        kinds, statistic, n_resamples=resamples, batch=batch, vectorized=True, method="percentile", rng=seed
    )
    return np.asarray(result.bootstrap_distribution)


def _average_precision(normal: np.ndarray, anomalous: np.ndarray, axis: int = -1) -> np.ndarray:
    """The average precision of each row; the beats stand as ranks from 0, the highest score.

    scikit-learn's takes one sample at a time: 1.5 s more for 1,000 samples of the test beats.
    """
    ranks = 1 + max(normal.max(), anomalous.max())
    first = ranks * np.arange(len(normal))[:, None]

    def reached(kind: np.ndarray) -> np.ndarray:
        """How many of a row's beats have at most each rank: (rows, ranks)."""
        counts = np.bincount((kind + first).ravel(), minlength=ranks * len(kind))
        return counts.reshape(len(kind), ranks).cumsum(axis)

    hits, false_alarms = reached(anomalous), reached(normal)
    precision = hits / np.maximum(hits + false_alarms, 1)
    return (np.diff(hits, axis=axis, prepend=0) * precision).sum(axis) / anomalous.shape[axis]


def _f1(normal: np.ndarray, anomalous: np.ndarray, axis: int = -1) -> np.ndarray:
    """The F1 of each row of alarms; scikit-learn's, one row at a time, would take 2.4 s more."""
    hits = anomalous.sum(axis)
    return 2 * hits / (hits + normal.sum(axis) + anomalous.shape[axis])
