"""Anomalies in a long series, by autoencoders of its windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.ndimage import percentile_filter
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from ecg.estimators.autoencoder import AutoencoderDetector, as_value_error
from ecg.estimators.kinds import plain
from ecg.estimators.periods import period_of
from ecg.schema import Rate, Strict, check

FOLDS = 5
FEWEST = 2 * FOLDS  # windows to fit to
MOST = 2_000  # windows to fit to
STEPS = 16  # windows that begin within the length of one
POINTS = 96  # samples of a window at most: longer ones are averaged
SHORTEST = 8  # samples of a window
CALM = 10  # percentile of the errors around a window that stands for the level there
AT_A_TIME = 2**14  # windows in memory


@dataclass(frozen=True)
class Windows:
    """Windows of one length and the detector that is fitted to them.

    length, step : samples of a window, and between the starts of two
    detector : of a window as a beat
    usual : the median of the logarithms of the held-out errors
    """

    length: int
    step: int
    detector: AutoencoderDetector
    usual: float


class _Accepted(Strict):
    """The parameters that are no other estimator's."""

    period: Annotated[float, Field(ge=2)] | None
    windows: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    drift: Annotated[float, Field(gt=0)] | None
    alpha: Rate


class SeriesDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Detect anomalies in a long univariate series that repeats itself, such as an ECG, without finding its beats.

    Windows of some periods are cut from a normal part of the series, and an ensemble of autoencoders is fitted to those
    of each length (`AutoencoderDetector`, kind "generic"). Of a series to be scored, each window gets the logarithm of
    its error over that of a usual one. What the calmest windows around it have is subtracted, as it is slow drift. A
    sample has the mean of the windows that contain it.

    Parameters
    ----------
    period : samples in which the series repeats itself; None: it is found in the normal part
    windows : their lengths, in periods
    drift : periods around a window that its error is compared with; None: it is not
    features, variance : of `AutoencoderDetector`
    alpha : share of the samples of the normal part that may be called anomalous
    random_state, n_jobs : as for `AutoencoderDetector`

    Attributes
    ----------
    period_ : int
    windows_ : list of Windows
    decision_scores_ : float64 ndarray of shape (n_samples,), scores of the normal part by members that have not seen
        it; higher is more anomalous
    threshold_, labels_ : the score above which a sample is anomalous, and for which samples of the normal part that is
        so (1)
    offset_ : float, the value of `score_samples` below which a sample is anomalous

    Examples
    --------
    >>> import numpy as np
    >>> from ecg import SeriesDetector
    >>> series = np.sin(np.arange(3000) / 8) + np.random.default_rng(0).normal(0, 0.05, 3000)
    >>> series[2500:2540] *= 0.3
    >>> score = SeriesDetector().fit(series[:2000]).score_samples(series)
    >>> bool(2480 < score.argmin() < 2560)
    True
    """

    def __init__(
        self,
        period: int | None = None,
        *,
        windows: Sequence[float] = (1.0,),
        drift: float | None = 100.0,
        features: int = 400,
        variance: float | None = None,
        alpha: float = 0.05,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = -1,
    ) -> None:
        self.period = period
        self.windows = windows
        self.drift = drift
        self.features = features
        self.variance = variance
        self.alpha = alpha
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002, N803
        """Fit to a normal part of a series.

        Parameters
        ----------
        X : array of shape (n_samples,)
        y : not used; it is there by the convention of scikit-learn

        Raises
        ------
        ValueError
            if X is not a row of finite samples, if it is too short for the windows, or if a parameter is wrong.
        """
        series = _series(X)
        self._check()
        self.period_ = period_of(series) if self.period is None else self.period
        self.windows_, scores = [], []
        for periods in self.windows:
            length = max(SHORTEST, round(periods * self.period_))
            if len(series) < length + FEWEST:
                raise ValueError(
                    f"the normal part has {len(series)} samples: {length + FEWEST} are needed for windows of {length}"
                )
            fitted, starts, error = self._fitted(series, length)
            self.windows_.append(fitted)
            excess = self._excess(error, fitted.usual, starts[1] - starts[0])
            every = np.arange(len(series) - length + 1)  # a sample has a mean, as where a series is scored
            scores.append(_averaged(np.interp(every, starts, excess), every, length, len(series)))
        self.decision_scores_ = np.mean(scores, axis=0)
        self.threshold_ = float(np.quantile(self.decision_scores_, 1 - self.alpha))
        self.offset_ = -self.threshold_
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def score_samples(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """How normal each sample is, float64 of shape (n_samples,): the lower, the more anomalous.

        Parameters
        ----------
        X : array of shape (n_samples,), a series; the normal part may be in it

        Raises
        ------
        ValueError
            if X is not a row of finite samples, or if it is shorter than a window.
        """
        check_is_fitted(self)
        series = _series(X)
        scores = []
        for windows in self.windows_:
            if len(series) < windows.length:
                raise ValueError(f"the series has {len(series)} samples; a window has {windows.length}")
            starts = np.append(np.arange(0, len(series) - windows.length, windows.step), len(series) - windows.length)
            error = np.concatenate(
                [-windows.detector.score_samples(part) for part in _cut(series, starts, windows.length)]
            )
            excess = self._excess(error, windows.usual, windows.step)
            scores.append(_averaged(excess, starts, windows.length, len(series)))
        return -np.mean(scores, axis=0)

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """`score_samples` minus `offset_`, float64 of shape (n_samples,): anomalous samples are negative."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """1 for normal samples and -1 for anomalous ones, int of shape (n_samples,).

        The threshold is a quantile of the samples of the normal part. As neighbouring samples resemble each other, it
        promises no rate of false alarms.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _check(self) -> None:
        given = {"period": self.period, "windows": self.windows, "drift": self.drift, "alpha": self.alpha}
        default: dict[str, Any] = {"windows": []}
        with as_value_error():
            check(_Accepted, {name: plain(default.get(name), value) for name, value in given.items()}, "SeriesDetector")

    def _fitted(self, series: np.ndarray, length: int) -> tuple[Windows, np.ndarray, np.ndarray]:
        """Fit to windows of one length; their starts and their held-out errors, too."""
        step = max(1, length // STEPS)
        apart = max(min(step, (len(series) - length) // (FEWEST - 1)), -(-(len(series) - length) // MOST))
        starts = np.arange(0, len(series) - length + 1, apart)
        cut = np.concatenate(list(_cut(series, starts, length)))
        detector = AutoencoderDetector(
            kind="generic",
            folds=FOLDS,
            features=self.features,
            variance=self.variance,
            method="percentile",
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        # Windows overlap: a fold is a stretch of the series, so that a member does not see most of what it holds out.
        detector.fit(cut, fold=np.arange(len(starts)) * FOLDS // len(starts))
        error = detector.decision_scores_
        return Windows(length, step, detector, float(np.median(_log(error)))), starts, error

    def _excess(self, error: np.ndarray, usual: float, step: int) -> np.ndarray:
        """By how much the logarithm of each window's error exceeds the usual one, and that of the calm ones around."""
        excess = _log(error) - usual
        if self.drift is None:
            return excess
        around = min(round(self.drift * self.period_ / step), len(excess)) // 2 * 2 + 1
        return excess - percentile_filter(excess, CALM, size=around, mode="nearest")


def _series(values: Any) -> np.ndarray:
    checked = check_array(column_or_1d(values), ensure_2d=False, dtype=np.float64, ensure_min_samples=2)
    if not np.ptp(checked) > 0:
        raise ValueError(f"all {len(checked)} samples of the series are equal")
    return checked


def _cut(series: np.ndarray, starts: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Windows as rows, with the mean 0, some at a time; longer ones than POINTS are averaged to that."""
    edges = np.linspace(0, length, min(length, POINTS) + 1).round().astype(int)
    total = np.append(0, np.cumsum(series - series.mean()))
    for first in range(0, len(starts), AT_A_TIME):
        at = starts[first : first + AT_A_TIME, None]
        points = (total[at + edges[1:]] - total[at + edges[:-1]]) / np.diff(edges)
        yield points - points.mean(axis=1, keepdims=True)


def _averaged(scores: np.ndarray, starts: np.ndarray, length: int, samples: int) -> np.ndarray:
    """The mean score of the windows that contain each sample: (samples,)."""
    total, number = np.zeros(samples + 1), np.zeros(samples + 1)
    for edge, sign in ((starts, 1), (starts + length, -1)):
        np.add.at(total, edge, sign * scores)
        np.add.at(number, edge, sign)
    return np.cumsum(total)[:-1] / np.cumsum(number)[:-1]


def _log(error: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(error, np.finfo(np.float32).tiny))
