"""What a detector says of beats: verdicts, and on request what they come from."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Verdicts:
    """What a detector of K members says of n beats.

    score : float32 ndarray of shape (n,), mean error over the beat's samples; higher is more anomalous
    p_value : float64 ndarray of shape (n,), about the share of normal beats that look as anomalous; None if the model
        was calibrated without held-out beats
    anomalous : bool ndarray of shape (n,), whether the p-value is low enough or the score high enough for an alarm
    member_score : float32 ndarray of shape (n, K), each member's own score; the score is their mean
    """

    score: np.ndarray
    p_value: np.ndarray | None
    anomalous: np.ndarray
    member_score: np.ndarray

    def where(self, chosen: np.ndarray) -> Self:
        """The verdicts that `chosen` picks, a boolean array of shape (n,) or places, in their order."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: column[chosen] for name, column in columns.items() if column is not None})


@dataclass(frozen=True)
class Details(Verdicts):
    """Verdicts on n beats of L samples, and what they come from.

    step_error : float32 ndarray of shape (n, L), the error at each sample; its mean over the samples is the score
    reconstruction : float32 ndarray of shape (n, L), the normal beat that the model sees in the beat, in raw units
    """

    step_error: np.ndarray
    reconstruction: np.ndarray
