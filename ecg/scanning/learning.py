"""Learn a patient's normal beats from a recording, for scans of this patient."""

from dataclasses import replace
from typing import Any

import numpy as np

from ecg.data.aami import NORMAL
from ecg.exceptions import InputError, needed_for
from ecg.hearts.context import CUTTING, FEWEST, START_SECONDS, Heart, beats_in_context, follow
from ecg.hearts.judge import judge
from ecg.hearts.known import MOST_KNOWN
from ecg.hearts.learnt import Learnt, Source
from ecg.hearts.model import HeartModel
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows, thinned
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import OnProgress, ProcessedLead, process_lead


def learn(
    recording: Any,
    lead: int | str | None = None,
    rate: float | None = None,
    *,
    start: float = 0.0,
    stop: float = START_SECONDS,
    annotations: str | None = None,
    model: HeartModel | None = None,
    on_progress: OnProgress = lambda _share: None,
) -> Learnt:
    """Learn a patient's normal beats from a part of a recording.

    Parameters
    ----------
    recording, lead, rate : as `ecg.scan` takes them
    start, stop : the part, in seconds from the start of the recording
    annotations : the annotator (file extension) of WFDB annotations, by which beats are normal; without, those are
        normal that follow the patient's usual beat and rhythm and raise no alarm
    model : the model of normal hearts; None for the one that ships
    on_progress : called from time to time with the share of the part that is processed

    Raises
    ------
    InputError
        if the recording cannot be read, the part is not within it, it is no ECG, or it has fewer than FEWEST normal
        beats.
    """
    model = HeartModel.load() if model is None else model
    with needed_for("reading recordings", "recordings"), open_lead(recording, lead, rate, annotations) as raw:
        if not 0 <= start < stop or start >= raw.seconds:
            raise InputError(
                f"{raw.recording} lasts {raw.seconds:.0f} s; a part of it cannot be from {start:g} to {stop:g} s"
            )
        part = raw.between(start, stop)
        with process_lead(part, CUTTING, on_progress) as processed:
            if processed.no_ecg is not None:
                raise InputError(f"{raw.recording}, lead {raw.name}, is no ECG there: {processed.no_ecg}")
            learnt = learn_from(processed, part, annotations, model)
        return replace(learnt, source=learnt.source.model_copy(update={"start": start, "stop": min(stop, raw.seconds)}))


def learn_from(
    processed: ProcessedLead, part: Lead, annotations: str | None, model: HeartModel, patient: str | None = None
) -> Learnt:
    """Learn from a processed lead; `patient` as `judge` takes it."""
    windows = BeatWindows.find(processed, CUTTING, FEWEST)
    heart = Heart.of(processed, windows)
    known = None
    if annotations is not None:
        known = beat_classes(part.annotations, heart.seconds) == NORMAL
        if known.sum() < FEWEST:
            raise InputError(f"{part.recording} has {known.sum()} beats annotated as normal there (.{annotations})")
    context = follow(heart, known)
    judgement = judge(heart, context, model, patient, known)
    normal = known if known is not None else context.explained & (judgement.p_value > model.calibration.alpha)
    if normal.sum() < FEWEST:
        raise InputError(
            f"{part.recording} has {int(normal.sum())} normal beats there, {FEWEST} are needed: choose a part in which "
            "the heart beats as usual"
        )
    indices = np.flatnonzero(normal)
    mean = heart.aligned(indices, context.shift[indices]).mean(axis=0)
    source = Source(
        version=1,
        recording=part.recording,
        lead=part.name,
        start=0.0,
        stop=part.seconds,
        beats=len(indices),
        usual=float(np.median(context.usual[indices])),
        annotated=known is not None,
        model_sha256=model.calibration.model_sha256,
    )
    sample = beats_in_context(heart, context, thinned(indices, MOST_KNOWN))
    return Learnt(source, mean.astype(np.float32), sample, np.sort(judgement.score[indices].astype(float)))
