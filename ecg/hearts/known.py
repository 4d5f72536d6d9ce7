"""Beats of the patient's own that are known to be normal, and how unlike all of these other beats are.

The normal beat is a mean. What is normal for this heart also shows in how its normal beats differ from one another: a
beat that resembles one of them is as normal as that one, a beat that resembles none of them is not.

References
----------
Distance to the nearest normal example as an anomaly score: Ramaswamy, Rastogi, Shim 2000, "Efficient algorithms for
mining outliers from large data sets".
"""

from typing import Self

import numpy as np
from scipy.spatial import KDTree

from ecg.hearts.context import EXCESSES, FEWEST, RHYTHM, BeatsInContext, Context, Heart, beats_in_context
from ecg.recordings.cutting import thinned

MOST_KNOWN = 512  # known beats that others are compared with
RHYTHM_SCALE = 2.0  # units of the normal beat that a log unit of the RR interval before or after counts as
_TINY = 1e-5
_AROUND = slice(RHYTHM.index("before"), RHYTHM.index("after") + 1)


class KnownBeats:
    """Beats that are known to be normal, in the context of their recording.

    Parameters
    ----------
    beats : MOST_KNOWN of them at most
    indices : int ndarray of shape (m,), of these beats, if they are of the recording that is judged
    """

    def __init__(self, beats: BeatsInContext, indices: np.ndarray | None = None) -> None:
        self._indices = np.empty(0, int) if indices is None else indices
        self._nearest, self._usual = None, 0.0
        if len(beats) >= FEWEST:
            points = _points(beats)
            self._nearest = KDTree(points)
            self._usual = float(np.median(self._difference(points, np.ones(len(points), bool))))

    @classmethod
    def of_recording(cls, heart: Heart, context: Context, known: np.ndarray) -> Self:
        """The beats of a recording that are known to be normal, or MOST_KNOWN of them at regular distances.

        known : bool ndarray of shape (n,)
        """
        indices = thinned(np.flatnonzero(known), MOST_KNOWN)
        return cls(beats_in_context(heart, context, indices), indices)

    def excess(self, beats: BeatsInContext, indices: np.ndarray) -> np.ndarray:
        """How much more beats differ from the known beat that is most alike than known ones do: log units, (m,).

        A known beat is compared with the others. It is 0 for beats that are as alike as is usual, and for all beats if
        fewer than FEWEST are known.

        Parameters
        ----------
        beats : of the recording that is judged
        indices : int ndarray of shape (m,), of these beats in the recording
        """
        if self._nearest is None:
            return np.zeros(len(beats))
        difference = self._difference(_points(beats), np.isin(indices, self._indices))
        return np.clip(difference - self._usual, 0, EXCESSES[1])

    def _difference(self, points: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The log of the squared distance to the nearest known beat; of `own`, which is one of them, to another."""
        assert self._nearest is not None
        distance, _ = self._nearest.query(points, k=2)
        return np.log(np.square(np.where(own, distance[:, 1], distance[:, 0])) + _TINY)


def _points(beats: BeatsInContext) -> np.ndarray:
    """Beats and the RR intervals around them: a squared distance is the mean square difference, and the rhythm's."""
    shape = beats.beat / np.sqrt(beats.beat.shape[1])
    return np.concatenate([shape, RHYTHM_SCALE * beats.rhythm[:, _AROUND]], axis=1).astype(float)
