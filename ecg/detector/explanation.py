"""Why a beat has the score that it has: where its error lies, what a normal beat would have been, and one that was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ecg.data.datasets import Dataset
from ecg.detector.verdicts import Details
from ecg.exceptions import InputError

SHARE = 0.5  # of a beat's error, that the named steps carry at least
BEATS_AT_A_TIME = 2048  # the shares of these take some double-precision copies


@dataclass(frozen=True)
class Run:
    """Consecutive steps that carry much of a beat's error.

    start, stop : the first step, and the one after the last
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
    index, distance : which one of them it is, and its Euclidean distance
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

    beat : float ndarray of shape (L,), raw
    score, p_value, anomalous : the verdict; p_value is None if the model was calibrated without held-out beats
    contribution : float64 ndarray of shape (L,), what each step adds to the score; they add up to it
    runs : the steps that carry most of it, the run with the largest share first
    reconstruction : float ndarray of shape (L,), what a normal beat would have been, raw
    neighbour : the nearest of the normal beats that were there to compare with; None if there were none
    """

    beat: np.ndarray
    score: float
    p_value: float | None
    anomalous: bool
    contribution: np.ndarray
    runs: tuple[Run, ...]
    reconstruction: np.ndarray
    neighbour: Neighbour | None

    def __str__(self) -> str:
        p_value = "" if self.p_value is None else f", p-value {self.p_value:.3g}"
        verdict = f"{'anomalous' if self.anomalous else 'normal'}: score {self.score:.3g}{p_value}"
        return "\n".join([verdict, *map(str, self.runs)])


def explain(
    beats: ArrayLike,
    verdicts: Details,
    dataset: Dataset | None = None,
    normal: np.ndarray | None = None,
    share: float = SHARE,
) -> list[Explanation]:
    """Explain what a detector says of n beats of L samples.

    Parameters
    ----------
    beats : array or data frame of shape (n, L), raw
    verdicts : what the detector says of them
    dataset : whose waves name the steps; None names none
    normal : float ndarray of shape (m, L), raw normal beats to find the nearest among, or None
    share : how much of a beat's error the named steps carry at least, between 0 and 1

    Raises
    ------
    InputError
        if there are normal beats, but none or of another length, or if `share` is out of range.
    """
    beats = np.asarray(beats, float)
    if normal is not None and (normal.ndim != 2 or normal.shape[1] != beats.shape[1] or len(normal) == 0):
        raise InputError(f"normal beats have shape {normal.shape}; they should be (1 or more, {beats.shape[1]})")
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it should be between 0 and 1")
    segments_in = (dataset or Dataset()).segments_in
    shares, named = contributions(verdicts.step_error), carrying(verdicts.step_error, share)
    found = []
    for i, beat in enumerate(beats):
        runs = [
            Run(start, stop, float(shares[i, start:stop].sum()), segments_in(start, stop))
            for start, stop in stretches(named[i])
        ]
        score = float(verdicts.score[i])
        found.append(
            Explanation(
                beat=beat,
                score=score,
                p_value=None if verdicts.p_value is None else float(verdicts.p_value[i]),
                anomalous=bool(verdicts.anomalous[i]),
                contribution=score * shares[i],
                runs=tuple(sorted(runs, key=lambda run: -run.share)),
                reconstruction=verdicts.reconstruction[i],
                neighbour=None if normal is None else Neighbour.of(beat, normal),
            )
        )
    return found


def contributions(step_error: np.ndarray) -> np.ndarray:
    """The share of its beat's error that each step carries: (n, L) -> float64 (n, L), rows that add up to 1.

    Steps of a beat without any error share alike.
    """
    error = step_error.astype(float)
    total = error.sum(axis=-1, keepdims=True)
    np.divide(error, total, out=error, where=total > 0)  # in place: of many beats, each copy counts
    np.copyto(error, 1 / error.shape[-1], where=~(total > 0))
    return error


def carrying(step_error: np.ndarray, share: float = SHARE) -> np.ndarray:
    """The fewest steps that carry at least `share` of their beat's error: (n, L) -> bool (n, L)."""
    named = np.zeros(step_error.shape, bool)
    for start in range(0, len(named), BEATS_AT_A_TIME):
        block = slice(start, start + BEATS_AT_A_TIME)
        shares = contributions(step_error[block])
        order = np.argsort(-shares, axis=-1, kind="stable")
        ordered = np.take_along_axis(shares, order, axis=-1)
        np.put_along_axis(named[block], order, np.cumsum(ordered, axis=-1) - ordered < share, axis=-1)
    return named


def stretches(named: np.ndarray) -> list[tuple[int, int]]:
    """Where runs of true steps start, and the step after each: bool (L,) -> [(start, stop), ...]."""
    edges = np.flatnonzero(np.diff(named.astype(int), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def deletion(
    scores: Callable[[np.ndarray], np.ndarray], beats: np.ndarray, verdicts: Details, seed: int = 0
) -> tuple[float, float]:
    """Whether the named steps matter: what is left of the scores without them, and without as many random ones.

    Steps are deleted by putting the reconstruction in their place. (Samek et al. 2017, "Evaluating the visualization of
    what a deep neural network has learned".)

    Parameters
    ----------
    scores : the detector's scores of beats
    beats : float ndarray of shape (n, L), raw; at least one
    verdicts : what the detector says of them
    seed : of the random steps

    Returns
    -------
    The mean over beats of score after deletion / score before, for the named steps and for random ones.
    """
    named = carrying(verdicts.step_error)
    random = np.random.default_rng(seed).permuted(named, axis=1)
    left = []
    for deleted in (named, random):
        after = scores(np.where(deleted, verdicts.reconstruction, beats))
        left.append(float(np.mean(after / np.maximum(verdicts.score, np.finfo(np.float32).tiny))))
    return left[0], left[1]
