"""Scaling of beats, fitted on normal training beats; it is part of the exported model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg.files import read_arrays, write_arrays
from ecg.params import Preprocess


@dataclass(frozen=True)
class Scaling:
    """The model works on (beat @ filter - mean) / deviation.

    filter : float32 ndarray of shape (n_samples, n_samples)
    mean, deviation : float32 ndarrays of shape (n_samples,)
    """

    filter: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, samples: np.ndarray, settings: Preprocess) -> "Scaling":
        """Fit on normal beats, by the method `settings.scaling`.

        none : beats are not changed
        unit : the mean of all samples is subtracted, and their standard deviation divides them: beats in any unit
        standard : each step is standardised by its mean and standard deviation; a step at which all beats are equal is
            only centred, as in scikit-learn's StandardScaler
        filter : beats are smoothed by a Gaussian of standard deviation `smoothing`, in samples, and the polynomial of
            degree `detrend` that fits a beat best is subtracted. This removes noise and baseline wander. Nothing is
            fitted.

        Parameters
        ----------
        samples : float ndarray of shape (n_beats, n_samples)
        settings : the preprocess section of params.yaml
        """
        length = samples.shape[1]
        matrix, mean, deviation = np.eye(length), np.zeros(length), np.ones(length)
        if settings.scaling in ("unit", "standard"):
            axis = 0 if settings.scaling == "standard" else None
            mean = mean + samples.mean(axis=axis, dtype=np.float64)
            deviation = deviation * samples.std(axis=axis, dtype=np.float64)
            deviation[deviation < 10 * np.finfo(np.float64).eps] = 1.0
        if settings.scaling == "filter":
            matrix = _gaussian(length, settings.smoothing) @ _detrending(length, settings.detrend)
        return cls(*(array.astype(np.float32) for array in (matrix, mean, deviation)))

    @property
    def filters(self) -> bool:
        """Whether the filter changes a beat."""
        return not bool((self.filter == np.eye(len(self.filter))).all())

    @property
    def standardises(self) -> bool:
        """Whether mean and deviation change a beat."""
        return not bool((self.mean == 0).all() and (self.deviation == 1).all())

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Scale raw beats: float32 of shape (n_beats, n_samples) in and out."""
        filtered = samples @ self.filter if self.filters else samples
        return (filtered - self.mean) / self.deviation if self.standardises else filtered

    def save(self, path: Path) -> None:
        """Write the arrays as .npz."""
        write_arrays(path, filter=self.filter, mean=self.mean, deviation=self.deviation)

    @classmethod
    def load(cls, path: Path) -> "Scaling":
        """Read what `save` wrote."""
        return cls(*read_arrays(path, "filter", "mean", "deviation"))


def _gaussian(length: int, width: float) -> np.ndarray:
    """The matrix (L, L) that smooths a row of samples; near an end, with the part of the Gaussian inside the beat."""
    if width == 0:
        return np.eye(length)
    steps = np.arange(length)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    return weights / weights.sum(axis=0)


def _detrending(length: int, degree: int) -> np.ndarray:
    """The matrix (L, L) that subtracts the best-fitting polynomial from a row of samples."""
    basis, _ = np.linalg.qr(np.linspace(-1, 1, length)[:, None] ** np.arange(degree + 1))
    return np.eye(length) - basis @ basis.T
