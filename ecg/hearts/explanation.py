"""Why beats have their scores: how early they come, and how their shape differs from the patient's normal beat."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from ecg.hearts.context import BEFORE, CHUNK_BEATS, IN_TIME, STEP, TOLERANCE, Context, Heart, beats_in_context
from ecg.hearts.model import HeartModel
from ecg.recordings.signals import SAMPLING_RATE

TELLING = 0.15  # share of a score from which on timing or shape is named
TELLING_EARLY, TELLING_SIZE, TELLING_WIDTH = 0.03, 1.25, 1.25  # share of the RR interval; ratios to the normal beat
OPPOSITE = -0.3  # correlation with the normal QRS complex, below which a beat points the other way
QRS_REGION = (0.12, 0.2)  # seconds before and after the R peak that a wide QRS complex lies in
QRS_POWER = 0.9  # share of the power there that the width of a QRS complex contains
# The parts of a beat, up to the seconds after the R peak at which each ends.
PARTS = (("P wave", -0.06), ("QRS complex", 0.1), ("ST segment and T wave", np.inf))


@dataclass(frozen=True)
class Reasons:
    """Why n beats have their scores: ndarrays of shape (n,).

    Attributes
    ----------
    timing : float, the share of the score that goes if the beat comes in time, beside that which goes with its shape
    early : float, by which share of the normal RR interval the beat comes early; negative if it is late
    width, size : float, of the QRS complex, as multiples of those of the normal beat
    opposite : bool, whether the QRS complex points the other way
    part : int, the part of the beat in PARTS that differs most
    """

    timing: np.ndarray
    early: np.ndarray
    width: np.ndarray
    size: np.ndarray
    opposite: np.ndarray
    part: np.ndarray

    def sentences(self) -> list[str]:
        """A phrase for each beat, such as "early by 38%, QRS 1.7 times as wide"."""
        return [", ".join(self._phrases(i)) for i in range(len(self.timing))]

    def usual(self, members: np.ndarray) -> Self:
        """One reason for several beats, by their positions: what is usual among them, the median."""
        own = {field.name: getattr(self, field.name)[members] for field in fields(self)}
        part = np.bincount(own.pop("part"), minlength=len(PARTS)).argmax()
        usual = {name: np.median(values) for name, values in own.items()}
        return type(self)(
            **{name: np.array([value]) for name, value in usual.items() if name != "opposite"},
            opposite=np.array([usual["opposite"] > 0.5]),
            part=np.array([part]),
        )

    def _phrases(self, i: int) -> list[str]:
        early, width, size = (float(x[i]) for x in (self.early, self.width, self.size))
        phrases = []
        if self.timing[i] >= TELLING and abs(early) >= TELLING_EARLY:
            phrases.append(f"early by {early:.0%}" if early > 0 else f"late by {-early:.0%}")
        if 1 - self.timing[i] < TELLING:
            return phrases or ["unusual rhythm"]
        shape = []
        if self.opposite[i]:
            shape.append("QRS the other way up")
        if max(width, 1 / width) >= TELLING_WIDTH:
            shape.append(f"QRS {width:.1f} times as wide")
        if max(size, 1 / size) >= TELLING_SIZE:
            shape.append(f"QRS {size:.1f} times as large")
        return phrases + (shape or [f"{PARTS[self.part[i]][0]} of another shape"])


def explain(heart: Heart, context: Context, model: HeartModel | None, chosen: np.ndarray) -> Reasons:
    """Explain the scores of some beats, by their indices.

    The shares of timing and shape are what the score loses if the beat is put in time, or is given its normal shape.
    Without a model, they are how far the beat is beyond the tolerances that an explained beat keeps.
    """
    chunks = [chosen[first : first + CHUNK_BEATS] for first in range(0, max(len(chosen), 1), CHUNK_BEATS)]
    parts = [_explain(heart, context, model, chunk) for chunk in chunks]
    return Reasons(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Reasons)))


def _explain(heart: Heart, context: Context, model: HeartModel | None, chosen: np.ndarray) -> Reasons:
    beats = beats_in_context(heart, context, chosen)
    if model is None:
        by_timing = np.abs(context.log_rr[chosen]) / IN_TIME[1]
        by_shape = np.maximum(context.excess[chosen], 0) / TOLERANCE
        step_error = np.square(beats.beat - beats.normal)
    else:
        score, step_error = model.score(beats), model.step_errors(beats)
        in_time = model.score(replace(beats, rhythm=np.zeros_like(beats.rhythm)))
        usual = model.score(replace(beats, beat=beats.normal))
        by_timing, by_shape = np.maximum(score - in_time, 0), np.maximum(score - usual, 0)
    ends = [max(int((BEFORE + end * SAMPLING_RATE) / STEP), 0) if np.isfinite(end) else None for _, end in PARTS]
    starts = [0, *ends[:-1]]
    excess = step_error - np.median(step_error, axis=1, keepdims=True)
    parts = np.stack([excess[:, a:b].mean(axis=1) for a, b in zip(starts, ends, strict=True)], axis=1)
    return Reasons(
        timing=by_timing / np.maximum(by_timing + by_shape, 1e-9),
        early=1 - np.exp(context.log_rr[chosen]),
        width=_widths(beats.beat) / _widths(beats.normal),
        size=np.ptp(_qrs(beats.beat), axis=1) / np.maximum(np.ptp(_qrs(beats.normal), axis=1), 1e-9),
        opposite=_correlation(_qrs(beats.beat), _qrs(beats.normal)) < OPPOSITE,
        part=parts.argmax(axis=1),
    )


def _qrs(beats: np.ndarray) -> np.ndarray:
    before, after = (round(seconds * SAMPLING_RATE / STEP) for seconds in QRS_REGION)
    middle = BEFORE // STEP
    return beats[:, middle - before : middle + after]


def _widths(beats: np.ndarray) -> np.ndarray:
    """The width of the QRS complexes, in samples: the shortest stretch with QRS_POWER of the power around."""
    qrs = _qrs(beats)
    power = np.square(qrs - np.median(qrs, axis=1, keepdims=True))
    total = np.cumsum(power, axis=1)
    total /= np.maximum(total[:, -1:], 1e-12)
    total = np.pad(total, ((0, 0), (1, 0)))
    widths = np.full(len(beats), float(qrs.shape[1]))
    for width in range(qrs.shape[1], 0, -1):
        inside = (total[:, width:] - total[:, :-width]).max(axis=1) >= QRS_POWER
        widths[inside] = width
    return widths


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    return (a * b).sum(axis=1) / np.maximum(np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1)), 1e-12)
