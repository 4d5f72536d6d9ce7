"""Why a beat has its score: the samples that carry its error, its reconstruction, and the nearest normal beat."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ecg.data.datasets import Dataset
from ecg.detector.verdicts import Details
from ecg.exceptions import InputError

SHARE = 0.5  # of a beat's error that its regions carry at least
BEATS_AT_A_TIME = 2048  # beats whose shares are sorted at a time, which takes some double-precision copies


@dataclass(frozen=True)
class Region:
    """Consecutive samples that carry much of a beat's error.

    start, stop : the first sample, and the one after the last
    share : how much of the score they carry, 0 to 1
    segments : the waves of the beat that they touch, where the dataset defines them
    """

    start: int
    stop: int
    share: float
    segments: tuple[str, ...]

    def __str__(self) -> str:
        where = f" ({', '.join(self.segments)})" if self.segments else ""
        return f"samples {self.start} to {self.stop - 1}{where}: {self.share:.0%} of the score"


@dataclass(frozen=True)
class Neighbour:
    """The nearest of some normal beats.

    beat : float ndarray of shape (L,), raw
    index, distance : which of the normal beats it is, and its Euclidean distance
    """

    beat: np.ndarray
    index: int
    distance: float

    @classmethod
    def of(cls, beat: np.ndarray, normal: np.ndarray) -> Self:
        """Of a raw beat, shape (L,), among normal ones, shape (m, L) with m at least 1."""
        distance = np.linalg.norm(normal - beat, axis=1)
        nearest = int(np.argmin(distance))
        return cls(normal[nearest], nearest, float(distance[nearest]))


@dataclass(frozen=True)
class Explanation:
    """Why one beat of L samples has its score.

    Attributes
    ----------
    beat : float ndarray of shape (L,), raw
    score, p_value, anomalous : the verdict; p_value is None if the model was calibrated without held-out beats
    contribution : float64 ndarray of shape (L,), what each sample adds to the score; their sum is the score
    regions : the fewest samples that carry half of the score, as regions; the one with the largest share is first
    reconstruction : float ndarray of shape (L,), raw
    neighbour : the nearest of the normal beats that were passed to compare with; None if none were

    Examples
    --------
    >>> from ecg import Detector
    >>> normal, anomalous = Detector.load("models").explain("beats.csv")
    >>> anomalous.contribution.shape
    (140,)
    >>> round(float(anomalous.contribution.sum() / anomalous.score), 6)
    1.0
    >>> print(anomalous.regions[0])
    samples ... to ... (...): ...% of the score
    """

    beat: np.ndarray
    score: float
    p_value: float | None
    anomalous: bool
    contribution: np.ndarray
    regions: tuple[Region, ...]
    reconstruction: np.ndarray
    neighbour: Neighbour | None

    def __str__(self) -> str:
        p_value = "" if self.p_value is None else f", p-value {self.p_value:.3g}"
        verdict = f"{'anomalous' if self.anomalous else 'normal'}: score {self.score:.3g}{p_value}"
        return "\n".join([verdict, *map(str, self.regions)])


def explain(
    beats: ArrayLike,
    verdicts: Details,
    dataset: Dataset | None = None,
    normal: np.ndarray | None = None,
    share: float = SHARE,
) -> list[Explanation]:
    """Explain the verdicts on n beats of L samples.

    Parameters
    ----------
    beats : array or data frame of shape (n, L), raw
    verdicts : of a detector on these beats
    dataset : whose wave names the regions carry; without it they have none
    normal : float ndarray of shape (m, L), raw normal beats to find the nearest among, or None
    share : how much of a beat's error its regions carry at least, between 0 and 1

    Raises
    ------
    InputError
        if `normal` is empty or has beats of another length, or if `share` is out of range.
    """
    beats = np.asarray(beats, float)
    if normal is not None and (normal.ndim != 2 or normal.shape[1] != beats.shape[1] or len(normal) == 0):
        raise InputError(f"normal beats have shape {normal.shape}; they should be (1 or more, {beats.shape[1]})")
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it should be between 0 and 1")
    segments_in = (dataset or Dataset()).segments_in
    shares, largest = error_shares(verdicts.step_error), largest_errors(verdicts.step_error, share)
    explanations = []
    for i, beat in enumerate(beats):
        regions = [
            Region(start, stop, float(shares[i, start:stop].sum()), segments_in(start, stop))
            for start, stop in true_intervals(largest[i])
        ]
        score = float(verdicts.score[i])
        explanations.append(
            Explanation(
                beat=beat,
                score=score,
                p_value=None if verdicts.p_value is None else float(verdicts.p_value[i]),
                anomalous=bool(verdicts.anomalous[i]),
                contribution=score * shares[i],
                regions=tuple(sorted(regions, key=lambda region: -region.share)),
                reconstruction=verdicts.reconstruction[i],
                neighbour=None if normal is None else Neighbour.of(beat, normal),
            )
        )
    return explanations


def error_shares(step_error: np.ndarray) -> np.ndarray:
    """The share of its beat's error that each sample carries: (n, L) -> float64 (n, L), rows that add up to 1.

    In a beat without any error, all samples have the same share.
    """
    error = step_error.astype(float)
    total = error.sum(axis=-1, keepdims=True)
    np.divide(error, total, out=error, where=total > 0)  # in place: the errors of many beats are large
    np.copyto(error, 1 / error.shape[-1], where=~(total > 0))
    return error


def largest_errors(step_error: np.ndarray, share: float = SHARE) -> np.ndarray:
    """The fewest samples that carry at least `share` of their beat's error: (n, L) -> bool (n, L)."""
    chosen = np.zeros(step_error.shape, bool)
    for start in range(0, len(chosen), BEATS_AT_A_TIME):
        batch = slice(start, start + BEATS_AT_A_TIME)
        shares = error_shares(step_error[batch])
        order = np.argsort(-shares, axis=-1, kind="stable")
        ordered = np.take_along_axis(shares, order, axis=-1)
        np.put_along_axis(chosen[batch], order, np.cumsum(ordered, axis=-1) - ordered < share, axis=-1)
    return chosen


def true_intervals(mask: np.ndarray) -> list[tuple[int, int]]:
    """Where runs of true values start, and the index after each: bool (L,) -> [(start, stop), ...]."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def deletion_test(
    scores: Callable[[np.ndarray], np.ndarray], beats: np.ndarray, verdicts: Details, seed: int = 0
) -> tuple[float, float]:
    """How much of the score is left after the regions are deleted, and after as many random samples are.

    A sample is deleted by putting its reconstruction in its place.

    Parameters
    ----------
    scores : the detector's scores of beats
    beats : float ndarray of shape (n, L), raw; at least one
    verdicts : of the detector on these beats
    seed : of the random samples

    Returns
    -------
    The mean over beats of score after deletion / score before, for the regions and for random samples.

    References
    ----------
    Samek et al. 2017, "Evaluating the visualization of what a deep neural network has learned".
    """
    largest = largest_errors(verdicts.step_error)
    random = np.random.default_rng(seed).permuted(largest, axis=1)
    ratios = []
    for deleted in (largest, random):
        after = scores(np.where(deleted, verdicts.reconstruction, beats))
        ratios.append(float(np.mean(after / np.maximum(verdicts.score, np.finfo(np.float32).tiny))))
    return ratios[0], ratios[1]
