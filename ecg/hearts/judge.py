"""Judge the beats of a recording by the model of normal hearts."""

from dataclasses import dataclass

import numpy as np

from ecg.hearts.context import CHUNK_BEATS, Context, Heart, beats_in_context
from ecg.hearts.known import KnownBeats
from ecg.hearts.learnt import Learnt
from ecg.hearts.model import HeartModel

# In the score, of how unlike all known beats a beat is: of beats that are annotated as normal, and of those that are
# only found to be normal. Chosen on development patients.
KNOWN_WEIGHT, FOUND_WEIGHT = 0.5, 0.25


@dataclass(frozen=True)
class Judgement:
    """The scores and p-values of n beats: ndarrays of shape (n,)."""

    score: np.ndarray
    p_value: np.ndarray


def judge(
    heart: Heart,
    context: Context,
    model: HeartModel,
    patient: str | None = None,
    known: np.ndarray | None = None,
    learnt: Learnt | None = None,
) -> Judgement:
    """Score the beats of a recording in their context.

    Parameters
    ----------
    patient : the name of a patient that the model was trained on, or None
    known : bool ndarray of shape (n,), beats that are known to be normal. A beat that is unlike all of them scores
        higher, and a p-value is the larger one of two: by the normal beats of other patients, and by these of the own,
        so that a heart whose normal beats score high has no more false alarms than others
    learnt : normal beats of an earlier recording of this patient, which serve in the same way if none are known here
    """
    if known is None and learnt is not None:
        known_beats, own = KnownBeats(learnt.beats), learnt.scores
        weight = KNOWN_WEIGHT if learnt.source.annotated else FOUND_WEIGHT
    else:
        known = np.zeros(len(heart), bool) if known is None else known
        known_beats, own, weight = KnownBeats.of_recording(heart, context, known), None, KNOWN_WEIGHT
    parts = []
    for first in range(0, len(heart), CHUNK_BEATS):
        indices = np.arange(first, min(first + CHUNK_BEATS, len(heart)))
        beats = beats_in_context(heart, context, indices)
        parts.append(model.score(beats, patient, weight * known_beats.excess(beats, indices)))
    score = np.concatenate(parts)
    p_value = model.calibration.p(score, patient)
    if own is None:
        own = np.sort(score[known])
    if len(own):
        p_value = np.maximum(p_value, (1 + len(own) - np.searchsorted(own, score, side="left")) / (len(own) + 1))
    return Judgement(score, p_value)
