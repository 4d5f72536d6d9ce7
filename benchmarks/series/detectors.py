"""The detectors of anomalies in series, behind one interface: this project's, the matrix profile, and PyOD's.

All see the normal start of a series, then score each sample of the series. Windows are as long as the period that is
found in the normal start, and one starts at each sample.

SeriesDetector          this project's
discord                 matrix profile of the series with itself (Yeh et al., Matrix Profile I, ICDM 2016), by stumpy:
                        the distance of each window to the nearest other one in the whole series
nearest normal window   matrix profile of the series with its normal start, by stumpy
..., 100                these two with windows of 100 samples instead of a period
KNN, LOF, PCA, IForest  PyOD's detectors with their defaults, on windows as they come: what its TimeSeriesOD does with
                        score_aggregation="mean", but without its loops in Python over all samples of all windows
SpectralResidual        PyOD's, which has no windows

PyOD's other detectors for series are left out: its MatrixProfile is the discord again and takes ten times as long as
stumpy, its KShape takes 92 seconds for 30,000 samples, and its networks take longer.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from benchmarks.series.periods import period_of

Score = Callable[[np.ndarray, int], np.ndarray]  # values (n,), number of normal ones at the start -> (n,), as below


@dataclass(frozen=True)
class Detector:
    """A detector of anomalies in series.

    score : takes a series and how many samples at its start are normal; returns a score for each sample, higher is more
        anomalous
    package : what has to be installed for it; None for this project's
    """

    score: Score
    package: str | None = None

    @property
    def version(self) -> str | None:
        """That of its package; None if this is not installed, or if it has none."""
        try:
            return version(self.package) if self.package else None
        except PackageNotFoundError:
            return None

    @property
    def available(self) -> bool:
        """Whether its package is installed."""
        return self.package is None or self.version is not None

    def timed(self, values: np.ndarray, normal: int) -> tuple[np.ndarray, float]:
        """The scores, and the seconds that they took; ValueError if there is not a finite one for each sample."""
        start = time.perf_counter()
        scores = self.score(values, normal)
        seconds = time.perf_counter() - start
        if scores.shape != values.shape or not np.isfinite(scores).all():
            raise ValueError(
                f"scores of shape {scores.shape}, {np.isfinite(scores).sum()} finite, for {len(values)} samples"
            )
        return scores, seconds


def _this_project(values: np.ndarray, normal: int) -> np.ndarray:
    from ecg import SeriesDetector

    return -SeriesDetector(random_state=0).fit(values[:normal]).score_samples(values)


def _discord(values: np.ndarray, normal: int, fixed: int | None = None) -> np.ndarray:
    import stumpy

    window = fixed or period_of(values[:normal])
    return centred(stumpy.stump(values, window)[:, 0].astype(float), len(values))


def _nearest_normal_window(values: np.ndarray, normal: int, fixed: int | None = None) -> np.ndarray:
    import stumpy

    window = fixed or period_of(values[:normal])
    test, train = values[normal:], values[:normal]
    profile = stumpy.stump(test, window, train, ignore_trivial=False)[:, 0].astype(float)
    return np.concatenate(
        [np.zeros(normal), centred(profile, len(test))]
    )  # a normal window is at no distance to itself


def _pyod(module: str, name: str, values: np.ndarray, normal: int) -> np.ndarray:
    detector = getattr(import_module(f"pyod.models.{module}"), name)()
    if "random_state" in detector.get_params():
        detector.set_params(random_state=0)
    window = period_of(values[:normal])
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    detector.fit(windows[: normal - window + 1])
    return averaged(detector.decision_function(windows), window)


def _spectral_residual(values: np.ndarray, normal: int) -> np.ndarray:  # noqa: ARG001 (it learns from no part of its own)
    from pyod.models.ts_spectral_residual import SpectralResidual

    return SpectralResidual().fit(values).decision_scores_


DETECTORS: Mapping[str, Detector] = {
    "SeriesDetector": Detector(_this_project),
    "discord": Detector(_discord, "stumpy"),
    "discord, 100": Detector(partial(_discord, fixed=100), "stumpy"),
    "nearest normal window": Detector(_nearest_normal_window, "stumpy"),
    "nearest normal window, 100": Detector(partial(_nearest_normal_window, fixed=100), "stumpy"),
    "KNN": Detector(partial(_pyod, "knn", "KNN"), "pyod"),
    "LOF": Detector(partial(_pyod, "lof", "LOF"), "pyod"),
    "PCA": Detector(partial(_pyod, "pca", "PCA"), "pyod"),
    "IForest": Detector(partial(_pyod, "iforest", "IForest"), "pyod"),
    "SpectralResidual": Detector(_spectral_residual, "pyod"),
}


def centred(profile: np.ndarray, length: int) -> np.ndarray:
    """A score for each sample: that of the window around it; at both ends, that of the nearest window.

    profile : float ndarray of shape (length - window + 1,)

    Examples
    --------
    >>> centred(np.array([1.0, 5.0]), 4)
    array([1., 1., 5., 5.])
    """
    beyond = length - len(profile)
    return np.pad(profile, (math.ceil(beyond / 2), beyond // 2), mode="edge")


def averaged(scores: np.ndarray, window: int) -> np.ndarray:
    """A score for each sample: the mean of those of the windows that hold it.

    scores : float ndarray of shape (n - window + 1,)

    Examples
    --------
    >>> averaged(np.array([1.0, 5.0]), 3)
    array([1., 3., 3., 5.])
    """
    ones = np.ones(window)
    return np.convolve(scores, ones) / np.convolve(np.ones_like(scores), ones)
