"""Scaling that is fitted on normal training beats and travels inside the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecg.files import read_arrays, write_arrays


@dataclass(frozen=True)
class Scaling:
    """The model works on (beat - mean) / deviation.

    mean, deviation : float32 ndarray of shape (n_samples,)
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, samples: np.ndarray, kind: Literal["none", "standard"]) -> "Scaling":
        """Fit on `samples` of shape (n_beats, n_samples): `standard` standardises each step, `none` leaves it alone.

        A step at which all beats are equal is centred but not divided, as in scikit-learn's StandardScaler.
        """
        length = samples.shape[1]
        if kind == "none":
            return cls(np.zeros(length, np.float32), np.ones(length, np.float32))
        deviation = samples.std(axis=0, dtype=np.float64)
        deviation[deviation < 10 * np.finfo(np.float64).eps] = 1.0
        return cls(samples.mean(axis=0, dtype=np.float64).astype(np.float32), deviation.astype(np.float32))

    @property
    def is_identity(self) -> bool:
        """Whether scaling leaves every beat as it is."""
        return bool((self.mean == 0).all() and (self.deviation == 1).all())

    def save(self, path: Path) -> None:
        """Write both arrays as .npz."""
        write_arrays(path, mean=self.mean, deviation=self.deviation)

    @classmethod
    def load(cls, path: Path) -> "Scaling":
        """Read what `save` wrote."""
        return cls(*read_arrays(path, "mean", "deviation"))
