"""Kinds of alarm: alarms of a shape and a timing, found by clustering; alarms in noise are set aside.

References
----------
Average linkage: Sokal & Michener 1958, "A statistical method for evaluating systematic relationships", by
`scipy.cluster.hierarchy`. Grouping the beats of a long recording by shape: Lagerholm et al. 2000, "Clustering ECG
complexes using Hermite functions and self-organizing maps".
"""

import string
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage

from ecg.hearts.context import BLOCK, Context, Heart, beats_in_context
from ecg.hearts.explanation import Reasons
from ecg.recordings.cutting import thinned

MOST_CLUSTERED = 2000  # alarms that clusters are found in; the others join the nearest
CHUNK = 4096  # alarms that join at a time
DISTANCE = 0.6  # within a kind, on average: of shapes alone, a correlation of 0.82
EARLY_SCALE = 0.2  # log units of the RR interval, from which on a beat is simply early or late
EARLY_WEIGHT = 0.5  # the distance from a beat in time to one that is early
MOST_KINDS = 8
FEWEST = 3  # alarms of a kind
FEWEST_SHARE = 0.01  # of all alarms
SHAPE_BEATS = 400  # alarms of a kind that its mean beat is of

# Noise. Chosen on development patients, clean and with noise added at 6 and 12 dB: at these thresholds, 2% of the
# ventricular alarms of clean recordings count as in noise, and 85% (electrode motion) or 49% (muscle) of the false
# alarms of noisy ones.
LOW_QUALITY = 0.7  # share of the power in the filter's band, below which a beat is in noise
NOISY_USUAL = -1.5  # log of the usual difference from the normal beat, above which a beat is in noise
REPEATS = 0.15  # share of all alarms, from which on a kind is no noise, as noise does not repeat

OTHER, NOISE = "other", "noise"  # alarms of no kind; alarms that are set aside
COLUMNS = {
    "kind": "its letter, A being the most frequent; `other`, alarms unlike each other; `noise`, set aside",
    "alarms": "how many",
    "share": "of all alarms",
    "why": "what is usual among them, such as: early by 38%, QRS 1.7 times as wide",
    "early": "share of the normal RR interval by which they come early, in the median; negative if late",
    "quality": "signal quality around them, in the median: 1 without drift and noise",
    "height": "score over threshold, in the median",
    "first": "seconds from the start of the recording to the first",
    "last": "seconds to the last",
    "example": "seconds to the one that is most like the others",
    "set_aside": "whether noise is the likely cause",
}


@dataclass(frozen=True)
class Shape:
    """The mean beat of a kind and the patient's normal beat at the same times.

    mean, normal : float ndarrays of shape (LENGTH,), filtered samples without offset, from 0.26 s before the R peak on
    """

    mean: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True)
class Kinds:
    """The alarms of a recording by kind.

    of_alarm : object ndarray of shape (a,), the kind of each alarm
    table : a row for each kind, with COLUMNS
    shapes : of each kind that is neither `other` nor `noise`, by its letter
    """

    of_alarm: np.ndarray
    table: pd.DataFrame
    shapes: dict[str, Shape]


def find_kinds(
    heart: Heart, context: Context, alarms: np.ndarray, reasons: Reasons, quality: np.ndarray, height: np.ndarray
) -> Kinds:
    """Group alarms by shape and timing.

    Parameters
    ----------
    alarms : int ndarray of shape (a,), their indices among the beats
    reasons : of each alarm
    quality, height : float ndarrays of shape (a,), the signal quality around each, and score over threshold
    """
    n = len(alarms)
    clusters, distance = _clusters(heart, context, alarms)
    noisy = (quality < LOW_QUALITY) | (context.usual[alarms] > NOISY_USUAL)
    of_alarm = np.where(noisy, NOISE, OTHER).astype(object)
    sizes = np.bincount(clusters[clusters >= 0], minlength=1)
    letters = iter(string.ascii_uppercase)
    for cluster in np.argsort(-sizes, kind="stable")[:MOST_KINDS].tolist():
        members = clusters == cluster
        if members.sum() < max(FEWEST, FEWEST_SHARE * n):
            break
        if noisy[members].mean() > 0.5 and members.mean() < REPEATS:
            of_alarm[members] = NOISE
        else:
            of_alarm[members] = next(letters)
    rows, shapes = [], dict[str, Shape]()
    for kind in _in_order(of_alarm):
        members = np.flatnonzero(of_alarm == kind)
        is_shape = kind not in (OTHER, NOISE)
        seconds = heart.seconds[alarms[members]]
        rows.append(
            {
                "kind": kind,
                "alarms": len(members),
                "share": len(members) / n,
                "why": reasons.usual(members).sentences()[0] if is_shape else _WHY[kind],
                "early": float(np.median(reasons.early[members])),
                "quality": float(np.median(quality[members])),
                "height": float(np.median(height[members])),
                "first": seconds[0],
                "last": seconds[-1],
                "example": float(seconds[np.argmin(distance[members]) if is_shape else np.argmax(height[members])]),
                "set_aside": kind == NOISE,
            }
        )
        if is_shape:
            shapes[kind] = _shape(heart, context, alarms[members])
    return Kinds(of_alarm, pd.DataFrame(rows, columns=list(COLUMNS)), shapes)


_WHY = {OTHER: "unlike each other", NOISE: "in noise, or of a shape that noise makes"}


def _in_order(of_alarm: np.ndarray) -> list[str]:
    """The kinds that there are: letters, then alarms of no kind, then those that are set aside."""
    present = set(of_alarm.tolist())
    return sorted(present - {OTHER, NOISE}) + [kind for kind in (OTHER, NOISE) if kind in present]


def _clusters(heart: Heart, context: Context, alarms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cluster of each alarm, -1 for none, and its distance from the cluster's centre."""
    chosen = thinned(np.arange(len(alarms)), MOST_CLUSTERED)
    points = _points(heart, context, alarms[chosen])
    if len(points) < 2:
        return np.full(len(alarms), -1), np.zeros(len(alarms))
    found = fcluster(linkage(points, "average"), DISTANCE, "distance") - 1
    centres = np.zeros((found.max() + 1, points.shape[1]))
    np.add.at(centres, found, points)
    centres /= np.bincount(found)[:, None]
    if len(chosen) == len(alarms):
        return found, np.linalg.norm(points - centres[found], axis=1)
    cluster, distance = np.empty(len(alarms), int), np.empty(len(alarms))
    for first in range(0, len(alarms), CHUNK):
        part = slice(first, first + CHUNK)
        points = _points(heart, context, alarms[part])
        squares = np.square(points).sum(1)[:, None] - 2 * points @ centres.T + np.square(centres).sum(1)
        cluster[part] = squares.argmin(1)
        distance[part] = np.sqrt(np.maximum(squares.min(1), 0))
    cluster[distance > DISTANCE] = -1
    return cluster, distance


def _points(heart: Heart, context: Context, alarms: np.ndarray) -> np.ndarray:
    """Alarms as points: the shape, of length one, and whether the beat is early or late; float64, (a, L + 1)."""
    shape = beats_in_context(heart, context, alarms).beat.astype(float)
    shape -= shape.mean(1, keepdims=True)
    shape /= np.maximum(np.linalg.norm(shape, axis=1, keepdims=True), 1e-12)
    early = np.clip(context.log_rr[alarms] / EARLY_SCALE, -1, 1) * EARLY_WEIGHT
    return np.column_stack([shape, early])


def _shape(heart: Heart, context: Context, alarms: np.ndarray) -> Shape:
    members = thinned(alarms, SHAPE_BEATS)
    mean = heart.aligned(members, np.zeros(len(members), int)).mean(0)
    return Shape(mean, context.normals[members // BLOCK].astype(float).mean(0))
