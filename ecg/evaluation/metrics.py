"""How well scores tell anomalous beats from normal ones.

scikit-learn has most of these; importing its metrics takes longer than training the detector. The tests hold each of
these functions to scikit-learn's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054  # the standard normal distribution's 97.5% quantile
NUMBERS_AT_A_TIME = 4_000_000  # of a block of resamples: 32 MB

Interval = tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """The confusion matrix of alarms on normal and anomalous beats, and the rates that follow from it."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @classmethod
    def of(cls, alarms: np.ndarray, anomalous: np.ndarray) -> "Counts":
        """Count from two bool ndarrays of shape (n_beats,): who was called anomalous, and who is."""
        cells = [(~alarms & ~anomalous), (alarms & ~anomalous), (~alarms & anomalous), (alarms & anomalous)]
        return cls(*(int(cell.sum()) for cell in cells))

    @property
    def precision(self) -> float:
        """The share of alarms that are right; 0 without alarms."""
        return self.true_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def false_discovery_proportion(self) -> float:
        """The share of alarms that are false; 0 without alarms."""
        return self.false_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> float:
        """The share of anomalous beats that raise an alarm."""
        return self.true_positives / max(self.true_positives + self.false_negatives, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        errors = self.false_positives + self.false_negatives
        return 2 * self.true_positives / max(2 * self.true_positives + errors, 1)

    @property
    def false_positive_rate(self) -> float:
        """The share of normal beats that raise an alarm."""
        return self.false_positives / max(self.false_positives + self.true_negatives, 1)

    @property
    def accuracy(self) -> float:
        """The share of beats that are called what they are."""
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_positives + self.false_negatives)

    def intervals(self) -> dict[str, Interval]:
        """The 95% confidence intervals of the four rates, by Wilson."""
        hits, false, right = self.true_positives, self.false_positives, self.true_positives + self.true_negatives
        trials = {
            "precision": (hits, hits + false),
            "recall": (hits, hits + self.false_negatives),
            "false_positive_rate": (false, false + self.true_negatives),
            "accuracy": (right, right + false + self.false_negatives),
        }
        return {name: wilson_interval(*of) for name, of in trials.items()}


def auc_with_interval(normal: np.ndarray, anomalous: np.ndarray) -> tuple[float, float, float]:
    """Area under the ROC curve with its 95% confidence interval.

    The area is the probability that an anomalous beat scores above a normal one, ties counting half. Its variance is
    that of DeLong, DeLong, Clarke-Pearson 1988, by the ranks of Sun & Xu 2014.

    Parameters
    ----------
    normal, anomalous : ndarrays of shape (n_normal,) and (n_anomalous,), the scores; at least one each

    Returns
    -------
    The area, and the interval's ends, cut at 0 and 1; with one beat of a kind, the interval says nothing: 0 to 1.
    """
    return Placements.of(normal, anomalous).auc_with_interval()


@dataclass(frozen=True)
class Placements:
    """The placement values of beats, which the AUC is the mean of (DeLong, DeLong, Clarke-Pearson 1988).

    normal : float ndarray of shape (n_normal,), the share of anomalous beats that score above each normal one
    anomalous : float ndarray of shape (n_anomalous,), the share of normal beats that score below each anomalous one

    Placements of the same beats under several detectors may be averaged and subtracted: the result belongs to the mean,
    or to the difference, of their AUCs.
    """

    normal: np.ndarray
    anomalous: np.ndarray

    @classmethod
    def of(cls, normal: np.ndarray, anomalous: np.ndarray) -> "Placements":
        """From scores of shapes (n_normal,) and (n_anomalous,), ties counting half; by the ranks of Sun & Xu 2014."""
        m, n = len(anomalous), len(normal)
        ranks = _midranks(np.concatenate([anomalous, normal]))
        return cls(1 - (ranks[m:] - _midranks(normal)) / m, (ranks[:m] - _midranks(anomalous)) / n)

    def interval(self) -> tuple[float, float, float]:
        """The mean and the ends of its 95% confidence interval; infinite ends with one beat of a kind."""
        mean = float(self.anomalous.mean())
        if min(len(self.anomalous), len(self.normal)) < 2:
            return mean, -np.inf, np.inf
        variances = (kind.var(ddof=1) / len(kind) for kind in (self.anomalous, self.normal))
        half = Z95 * float(np.sqrt(sum(variances)))
        return mean, mean - half, mean + half

    def auc_with_interval(self) -> tuple[float, float, float]:
        """The area under the ROC curve with its 95% confidence interval, cut at 0 and 1."""
        auc, low, high = self.interval()
        return auc, max(low, 0.0), min(high, 1.0)


def roc_curve(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve's corners as (false positive rates, true positive rates), from (0, 0) to (1, 1)."""
    false_positives, true_positives = _cumulative(normal, anomalous)
    turns = np.ones(len(false_positives), bool)  # a point on the straight between its neighbours says nothing
    steps = np.diff(false_positives), np.diff(true_positives)
    turns[1:-1] = steps[0][:-1] * steps[1][1:] != steps[0][1:] * steps[1][:-1]
    return false_positives[turns] / len(normal), true_positives[turns] / len(anomalous)


def precision_recall_curve(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(precisions, recalls), one for each threshold at which the recall changes, the highest threshold first."""
    false_positives, true_positives = _cumulative(normal, anomalous)
    rises = np.flatnonzero(np.diff(true_positives)) + 1
    hits, misfires = true_positives[rises], false_positives[rises]
    return hits / (hits + misfires), hits / len(anomalous)


def average_precision(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """The mean of the precisions, each weighted by the recall that its threshold adds."""
    scores = np.concatenate([normal, anomalous])
    is_anomalous = np.arange(len(scores)) >= len(normal)
    return float(resampled_average_precision(scores, is_anomalous, np.ones((1, len(scores)), int))[0])


def resampled_average_precision(scores: np.ndarray, anomalous: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The average precision of samples that hold each beat a number of times.

    Parameters
    ----------
    scores, anomalous : ndarrays of shape (n_beats,), the score, and whether the beat is anomalous
    counts : integer ndarray of shape (n_samples, n_beats), each with an anomalous beat at least

    Returns
    -------
    float ndarray of shape (n_samples,)
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each run of equal scores
    result = []
    for drawn in counts[:, order]:
        hits, all_so_far = np.cumsum(drawn * anomalous[order])[last], np.cumsum(drawn)[last]
        result.append(np.sum(np.diff(hits, prepend=0) * hits / np.maximum(all_so_far, 1)) / hits[-1])
    return np.array(result)


def resampled_f1(alarms: np.ndarray, anomalous: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The F1 of such samples, from bool ndarrays of shape (n_beats,): who was called anomalous, and who is."""
    hits, called, there = (counts[:, chosen].sum(axis=1) for chosen in (alarms & anomalous, alarms, anomalous))
    return 2 * hits / (called + there)


def stratified_resamples(anomalous: np.ndarray, samples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each beat is drawn when normal and anomalous beats are each drawn anew, with replacement.

    Parameters
    ----------
    anomalous : bool ndarray of shape (n_beats,), of both kinds at least one

    Yields
    ------
    int64 ndarrays of shape (some samples, n_beats), with at most `NUMBERS_AT_A_TIME` numbers or one sample each
    """
    kinds = [(kind, int(kind.sum()), np.random.default_rng(seed)) for kind in (anomalous, ~anomalous)]
    (_, size, _), (_, _, ahead) = kinds
    for _ in range(samples):  # in one sequence of random numbers, those of the normal beats follow all of the anomalous
        ahead.integers(size, size=size)
    rows = max(NUMBERS_AT_A_TIME // len(anomalous), 1)
    for start in range(0, samples, rows):
        counts = np.empty((min(rows, samples - start), len(anomalous)), np.int64)
        for kind, size, random in kinds:
            for row in counts:
                row[kind] = np.bincount(random.integers(size, size=size), minlength=size)
        yield counts


def percentile_interval(resampled: np.ndarray) -> Interval:
    """The 95% interval between the percentiles of a bootstrap's values, shape (n_samples,)."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def wilson_interval(successes: int, trials: int) -> Interval:
    """The 95% confidence interval of a rate (Wilson 1927); 0 to 1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z95**2
    centre, shrunk = (rate + z2 / (2 * trials)), 1 + z2 / trials
    half = Z95 * float(np.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2)))
    return max((centre - half) / shrunk, 0.0), min((centre + half) / shrunk, 1.0)


def chance_band(n: int, trials: int, count: int) -> tuple[float, float]:
    """Where the false-alarm rate of a conformal threshold lies in 95% of draws.

    The number of `trials` new beats that reach the `count`-th largest of `n` held-out errors follows the beta-binomial
    distribution, if all are exchangeable: chance is in the draw of the held-out beats, and in that of the new ones.

    Parameters
    ----------
    count : from 1 to n

    Returns
    -------
    The rates at which the distribution function first reaches 2.5% and 97.5%.
    """
    alarms = np.arange(trials)
    above, below = count, n + 1 - count
    # log of P(alarms + 1) / P(alarms), summed up, gives every probability but for a factor
    steps = np.log((trials - alarms) * (above + alarms)) - np.log((alarms + 1) * (below + trials - alarms - 1))
    logarithm = np.append(0.0, np.cumsum(steps))
    cumulative = np.cumsum(np.exp(logarithm - logarithm.max()))
    low, high = np.searchsorted(cumulative / cumulative[-1], [0.025, 0.975])
    return low / trials, high / trials


def _cumulative(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positives at each distinct score as threshold, highest first, with (0, 0) in front."""
    scores = np.concatenate([normal, anomalous])
    hits = np.concatenate([np.zeros(len(normal), int), np.ones(len(anomalous), int)])
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], hits[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # the last beat of each run of equal scores
    true_positives = np.cumsum(hits)[last]
    return np.append(0, last + 1 - true_positives), np.append(0, true_positives)


def _midranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal scores sharing the mean of theirs."""
    ordered = np.sort(scores)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right") + 1) / 2
