"""Scaling that is fitted on normal training beats and travels inside the model."""

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
        """Fit on normal beats, `samples` of shape (n_beats, n_samples), as the preprocess section of params.yaml says.

        none : beats as they are
        standard : each step standardised by its mean and deviation; one at which all beats are equal is centred but not
            divided, as in scikit-learn's StandardScaler
        filter : beats smoothed by a Gaussian of standard deviation `smoothing`, in samples, and freed of the polynomial
            of degree `detrend` that fits them best. Smoothing takes out noise, detrending what the electrode drifts;
            neither is the heart's. Nothing is fitted.
        """
        length = samples.shape[1]
        every, mean, deviation = np.eye(length), np.zeros(length), np.ones(length)
        if settings.scaling == "standard":
            mean, deviation = samples.mean(axis=0, dtype=np.float64), samples.std(axis=0, dtype=np.float64)
            deviation[deviation < 10 * np.finfo(np.float64).eps] = 1.0
        if settings.scaling == "filter":
            every = _gaussian(length, settings.smoothing) @ _detrending(length, settings.detrend)
        return cls(*(array.astype(np.float32) for array in (every, mean, deviation)))

    @property
    def filters(self) -> bool:
        """Whether the filter changes a beat."""
        return not bool((self.filter == np.eye(len(self.filter))).all())

    @property
    def standardises(self) -> bool:
        """Whether mean and deviation change a beat."""
        return not bool((self.mean == 0).all() and (self.deviation == 1).all())

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Raw beats in the space that the model works in; float32, shape (n_beats, n_samples)."""
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
    """The matrix (L, L) that smooths a row of samples; near an end, by the part of the Gaussian that is inside."""
    if width == 0:
        return np.eye(length)
    steps = np.arange(length)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    return weights / weights.sum(axis=0)


def _detrending(length: int, degree: int) -> np.ndarray:
    """The matrix (L, L) that takes the best-fitting polynomial out of a row of samples."""
    basis, _ = np.linalg.qr(np.linspace(-1, 1, length)[:, None] ** np.arange(degree + 1))
    return np.eye(length) - basis @ basis.T
