"""The verdicts of a detector on beats, and the details that they come from."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a detector of K members on n beats.

    Attributes
    ----------
    score : float32 ndarray of shape (n,), mean error over the beat's samples; higher is more anomalous
    p_value : float64 ndarray of shape (n,), about the share of normal beats that score as high; None if the model was
        calibrated without held-out beats
    anomalous : bool ndarray of shape (n,), whether the beat raises an alarm
    member_score : float32 ndarray of shape (n, K), the score by each ensemble member; `score` is their mean

    Examples
    --------
    >>> from ecg import Detector
    >>> verdicts = Detector.load("models").score("beats.csv")
    >>> verdicts.where(verdicts.anomalous).p_value.round(4)
    array([0.0034])
    """

    score: np.ndarray
    p_value: np.ndarray | None
    anomalous: np.ndarray
    member_score: np.ndarray

    def where(self, chosen: np.ndarray) -> Self:
        """The verdicts at `chosen`, a boolean mask of shape (n,) or an array of indices."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: column[chosen] for name, column in columns.items() if column is not None})


@dataclass(frozen=True)
class Details(Verdicts):
    """Verdicts on n beats of L samples, with the errors and reconstructions that they come from.

    Attributes
    ----------
    step_error : float32 ndarray of shape (n, L), the error at each sample; its mean over the samples is the score
    reconstruction : float32 ndarray of shape (n, L), the mean over the ensemble, in raw units
    """

    step_error: np.ndarray
    reconstruction: np.ndarray
