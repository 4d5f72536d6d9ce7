"""The calibration that ships beside a model: the held-out errors, and how scores become p-values and verdicts.

`ecg.detector.thresholds` makes a calibration; the detector uses it. On NumPy and pydantic alone: scoring does without
SciPy and scikit-learn, so the little of them that it would use is written here.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from ecg.exceptions import InputError
from ecg.files import FLOAT32_DIGITS, read_json, write_json
from ecg.schema import Rate, Strict, check

NO_P_VALUES = "the model was calibrated without held-out beats: set train.folds to 2 or more"
_LARGEST = float(np.finfo(np.float32).max)
Score = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]  # what a model can give; not all scores are errors
_SLACK = 1 + 1e-12  # in floating point, 0.29 * 100 is less than 29


class Tail(Strict):
    """p-values above a level, where there are too few held-out errors to count.

    The p-value is a curve, interpolated linearly between the logarithms of the excess and of p, and constant before its
    first and after its last point.

    level : the score above which the curve holds
    excess : how far above the level each point of the curve is, increasing
    p : the p-value at each point, decreasing
    """

    level: Score
    excess: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, fail_fast=True)]
    p: Annotated[list[Rate], Field(fail_fast=True)]

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        falls = all(a < b for a, b in pairwise(self.excess)) and all(a > b for a, b in pairwise(self.p))
        if len(self.p) != len(self.excess) or not falls:
            raise ValueError("excess should increase, p should decrease, and both should have as many points")
        return self

    def p_values(self, score: np.ndarray) -> np.ndarray:
        """The p-value of each score above the level."""
        above = np.log(np.maximum(score.astype(float) - self.level, self.excess[0]))
        return np.exp(np.interp(above, np.log(self.excess), np.log(self.p)))

    def score(self, p: float) -> float:
        """The score at which the p-value falls to `p`; for a p below the curve, the score of its last point."""
        excess = np.interp(-np.log(p), -np.log(self.p), np.log(self.excess))
        return float(self.level + np.exp(excess))


class Calibration(Strict):
    """How one model's scores become p-values and verdicts.

    method : of calibration (params.yaml, calibrate.method)
    model_sha256 : of the ONNX file whose scores it is for
    alpha : the accepted false-alarm rate; a beat is anomalous if its p-value is at most alpha. None if the method does
        not use one: a beat is anomalous from the threshold on
    fdr : the accepted false-discovery rate among the alarms of a set of beats
    threshold : the score from which a beat is anomalous; with cross-conformal p-values, if all members give this score
    held_out : for each member, the errors of the normal training beats that it did not see; empty if there are none
    p_values : the p-value by the number of held-out errors that are at least as large as the beat's, from 0 up; None
        for cross-conformal p-values
    tail : p-values above the level where counting ends, or None
    """

    method: Annotated[str, Field(pattern=r"^\w{1,100}$")]
    model_sha256: str
    alpha: Rate | None
    fdr: Rate
    threshold: Score
    held_out: Annotated[list[Annotated[list[Score], Field(min_length=1, fail_fast=True)]], Field(fail_fast=True)]
    p_values: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(fail_fast=True)] | None
    tail: Tail | None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.p_values is not None and len(self.p_values) != self.beats + 1:
            raise ValueError(f"p_values should have {self.beats + 1} entries, one more than there are held-out errors")
        if self.p_values is not None and any(a > b for a, b in pairwise(self.p_values)):
            raise ValueError("p_values should not decrease: the more held-out errors are as large, the larger is p")
        if self.alpha is not None and not self.held_out:
            raise ValueError("held_out should not be empty where there is an alpha")
        return self

    @property
    def beats(self) -> int:
        """How many held-out errors there are."""
        return sum(map(len, self.held_out))

    def p(self, score: np.ndarray, member_score: np.ndarray) -> np.ndarray | None:
        """The p-value of each beat, float64 of shape (n,); None without held-out errors.

        The cross-conformal p-value is (1 + #{held-out errors >= the beat's}) / (n + 1), where each member compares its
        own score of the beat with the errors of the training beats that it did not see. The methods
        `conformal_conditional` and `pot` replace it by `p_values` and `tail`.

        Parameters
        ----------
        score : float ndarray of shape (n,)
        member_score : float ndarray of shape (n, K), the score by each member

        References
        ----------
        Vovk 2015, "Cross-conformal predictors".
        """
        if not self.held_out:
            return None
        table = np.arange(1, self.beats + 2) / (self.beats + 1) if self.p_values is None else np.array(self.p_values)
        members = [np.array(errors, np.float32) for errors in self.held_out]
        if self.tail is None:
            return table[sum(count_at_least(own, member_score[:, k]) for k, own in enumerate(members))]
        p = table[count_at_least(np.concatenate(members), score)]
        beyond = score > self.tail.level
        p[beyond] = self.tail.p_values(score[beyond])
        return p

    def anomalous(self, score: np.ndarray, p: np.ndarray | None, alpha: float | None = None) -> np.ndarray:
        """The verdict on each beat from its score and p-value, bool of shape (n,); by default at the calibrated alpha.

        InputError if no verdict at this alpha is possible.
        """
        if alpha is not None:
            self.check_alpha(alpha)
        level = self.alpha if alpha is None else alpha
        if level is None or p is None:
            return score >= np.float32(self.threshold)
        return at_most(p, level)

    @property
    def smallest_p(self) -> float | None:
        """The smallest p-value that a beat can have, and so the smallest alpha; None without p-values."""
        if not self.held_out:
            return None
        if self.tail is not None:
            return self.tail.p[-1]
        return 1 / (self.beats + 1) if self.p_values is None else self.p_values[0]

    def check_alpha(self, alpha: float) -> None:
        """InputError if there are no p-values to compare with this alpha, or if none can be as small."""
        if self.smallest_p is None:
            raise InputError(f"alpha is {alpha}: a verdict at an alpha needs p-values, and {NO_P_VALUES}")
        if not (0 < alpha < 1 and at_most(np.array(self.smallest_p), alpha)):
            raise InputError(
                f"alpha is {alpha}; it should be below 1, and {self.smallest_p:.3g} at least, the smallest p-value"
            )

    def threshold_at(self, alpha: float | None) -> float:
        """The score from which a beat is anomalous at `alpha`, or as calibrated, if all members give this score.

        InputError if no verdict at this alpha is possible.
        """
        if alpha is None or alpha == self.alpha:
            return self.threshold
        self.check_alpha(alpha)
        if self.tail is not None and not at_most(np.array(self.tail.p[0]), alpha):
            return self.tail.score(alpha)
        held_out = np.sort(np.concatenate(self.held_out).astype(np.float32))
        above = np.nextafter(held_out, np.float32(np.inf))  # p falls just above each held-out error, and nowhere else
        p = self.p(above, np.repeat(above[:, None], len(self.held_out), axis=1))
        assert p is not None  # check_alpha refuses a calibration without held-out errors
        return float(above[at_most(p, alpha)][0])

    def promised(self, alpha: float | None = None) -> float | None:
        """The false-alarm rate that is promised at `alpha`, by default the calibrated one; None if none is promised."""
        level = self.alpha if alpha is None else alpha
        if level is None or self.p_values is not None or self.tail is not None:
            return level
        return attainable_count(self.beats, level) / (self.beats + 1)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, self.model_dump(), FLOAT32_DIGITS)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; InputError if it is anything else."""
        return check(cls, read_json(path), str(path))


def count_at_least(errors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many of `errors`, shape (m,), are at least as large as each of `scores`, shape (n,): int of shape (n,)."""
    return len(errors) - np.searchsorted(np.sort(errors), scores, side="left")


def at_most(p: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """Which p-values are at most alpha, with a tolerance for floating-point rounding."""
    return p <= alpha * _SLACK


def attainable_count(n: int, alpha: float) -> int:
    """The largest k with k / (n + 1) <= alpha: conformal p-values are multiples of 1 / (n + 1)."""
    return min(int(alpha * (n + 1) * _SLACK), n)


def benjamini_hochberg(p: np.ndarray, level: float) -> np.ndarray:
    """Which beats of a set to call anomalous so that the false-discovery rate is at most `level`.

    Conformal p-values of one set are positively dependent, which the procedure allows (Bates et al., theorem 2).

    Parameters
    ----------
    p : float ndarray of shape (n,), the p-values of all beats of the set
    level : the false-discovery rate, between 0 and 1

    Returns
    -------
    bool ndarray of shape (n,)

    References
    ----------
    Benjamini & Hochberg 1995, "Controlling the false discovery rate". Bates, Candès, Lei, Romano, Sesia 2023, "Testing
    for outliers with conformal p-values".
    """
    ordered = np.sort(p)
    below = np.flatnonzero(at_most(ordered, level * np.arange(1, len(p) + 1) / max(len(p), 1)))
    return p <= ordered[below[-1]] if len(below) else np.zeros(len(p), bool)
