"""What judges the beats of a recording: the model of normal hearts, or a detector that was trained on the patient."""

from dataclasses import dataclass

import numpy as np

from ecg.detector.detector import Detector
from ecg.detector.stream import Stream
from ecg.exceptions import InputError
from ecg.hearts.context import CUTTING, START_SECONDS, Heart, compare_with_start, follow
from ecg.hearts.explanation import explain
from ecg.hearts.judge import judge
from ecg.hearts.model import HeartModel
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats
from ecg.recordings.signals import SAMPLING_RATE, ProcessedLead
from ecg.scanning.records import ScannedBeats

FEW_EXPLAINED = 0.5  # of the beats of the start, below which it is a poor reference
OTHER_RHYTHM = 0.25  # log units of the RR interval between the start and the recording as a whole
OTHER_SHAPE = 2.5  # log units that a beat differs more from the start's normal beat than is usual: 12 times
NOISY_START = 0.3  # share of the start that is unusable


@dataclass(frozen=True)
class Judged:
    """The beats with their verdicts.

    unlike_start : bool ndarray of shape (n,), whether each beat is unlike the recording's start
    warnings : reasons to doubt the verdicts, a sentence each
    """

    beats: ScannedBeats
    unlike_start: np.ndarray
    warnings: list[str]


class ByNormalHearts:
    """The model of normal hearts: it needs no training on the patient.

    Raises
    ------
    InputError
        if no threshold is possible at this alpha.
    """

    name = "the model of normal hearts"
    cutting = CUTTING
    lead: int | str = 0  # if none is asked for

    def __init__(self, model: HeartModel, alpha: float | None) -> None:
        self.model = model
        self.alpha = model.calibration.alpha if alpha is None else alpha
        self.threshold = model.calibration.threshold(self.alpha)

    def judge(
        self,
        lead: ProcessedLead,
        windows: BeatWindows,
        recording: str,  # noqa: ARG002
        known: np.ndarray | None,
        *,
        adaptive: bool,
    ) -> Judged:
        """Judge the beats in the context of the patient's normal beat, followed or of the start.

        known : bool ndarray of shape (n,), beats that are known to be normal; None if none are
        """
        heart = Heart.of(lead, windows)
        followed = follow(heart, known)
        from_start = compare_with_start(heart, followed)
        judgements = [judge(heart, context, self.model, known=known) for context in (followed, from_start)]
        following, fixed = (judgement.p_value <= self.alpha for judgement in judgements)
        chosen, context = (judgements[0], followed) if adaptive else (judgements[1], from_start)
        anomalous = following if adaptive else fixed
        why = np.full(len(heart), "", dtype=object)
        why[anomalous] = explain(heart, context, self.model, np.flatnonzero(anomalous)).sentences()
        beats = ScannedBeats(
            seconds=heart.seconds,
            rr_before=windows.rr_before,
            rr_after=windows.rr_after,
            quality=lead.quality[windows.r_peaks],
            score=chosen.score.astype(float),
            p_value=chosen.p_value,
            threshold=np.full(len(heart), self.threshold),
            anomalous=anomalous,
            anomalous_from_start=fixed,
            why=why,
        )
        warnings = _of_start(heart, followed.explained, followed.normal_rr, lead)
        return Judged(beats, fixed | (from_start.excess > OTHER_SHAPE), warnings)


class ByOwnModel:
    """A detector that was trained on beats of this patient, with a threshold that follows slow change.

    Raises
    ------
    InputError
        if the model does not state how its beats are cut, or if no threshold is possible at this alpha.
    """

    def __init__(self, detector: Detector, alpha: float | None) -> None:
        settings = detector.dataset.beats
        if settings is None:
            raise InputError(
                "the model does not state how its beats are cut from a recording: use one that was trained on a "
                "recording (fetch.source: recording), or on ECG5000"
            )
        if settings.length != detector.length:
            raise InputError(f"the model takes beats of {detector.length} samples, but states {settings.length}")
        self.detector, self.cutting = detector, settings
        self.name = f"the model that was trained on {detector.model.metadata.get('dataset', 'an unnamed dataset')}"
        self.level = None if alpha == detector.calibration.alpha else alpha
        self.alpha = detector.calibration.alpha if alpha is None else alpha
        self.lead = 0 if detector.dataset.lead is None else detector.dataset.lead
        self.threshold = detector.calibration.threshold_at(self.level)

    def judge(
        self,
        lead: ProcessedLead,
        windows: BeatWindows,
        recording: str,
        known: np.ndarray | None,
        *,
        adaptive: bool,
    ) -> Judged:
        """Judge the beats, cut as the model's training beats were, in their order; `known` must be None."""
        if known is not None:
            raise InputError("a model of the patient's own has learnt from annotations already: leave them out")
        stream = self._stream() if adaptive else None
        beats = ScannedBeats.joined([self._scored(chunk, stream) for chunk in cut_beats(lead, windows, self.cutting)])
        return Judged(beats, beats.anomalous_from_start, [self._of_patient(recording)])

    def _stream(self) -> Stream:
        try:
            return Stream.start(self.detector, alpha=self.level)
        except InputError as error:
            raise InputError(f"{error}; or use the calibrated threshold (adaptive=False, --fixed)") from None

    def _scored(self, beats: CutBeats, stream: Stream | None) -> ScannedBeats:
        verdicts = self.detector.score(beats.samples, self.level if self.detector.calibration.held_out else None)
        anomalous, threshold = verdicts.anomalous, np.full(len(beats), self.threshold)
        if stream is not None:
            anomalous, threshold = stream.update(verdicts.score)
        return ScannedBeats(
            seconds=beats.seconds,
            rr_before=beats.rr_before,
            rr_after=beats.rr_after,
            quality=beats.quality,
            score=verdicts.score.astype(float),
            p_value=np.full(len(beats), np.nan) if verdicts.p_value is None else verdicts.p_value,
            threshold=threshold,
            anomalous=anomalous,
            anomalous_from_start=verdicts.anomalous,
            why=np.full(len(beats), "", dtype=object),
        )

    def _of_patient(self, recording: str) -> str:
        dataset = self.detector.dataset
        if dataset.recording != recording:
            trained_on = self.detector.model.metadata.get("dataset", "another recording")
            return (
                f"The model was trained on another patient ({trained_on}): an alarm may only mean that this heart "
                "differs from that one. Scan without --models, by the model of normal hearts."
            )
        return (
            f"The model was trained on the first {dataset.minutes:g} minutes of a recording of this name. If it is the "
            "same recording, these minutes have fewer alarms than they should."
        )


def _of_start(heart: Heart, explained: np.ndarray, normal_rr: np.ndarray, lead: ProcessedLead) -> list[str]:
    """Reasons why the recording's start is a poor reference for the rest."""
    start = heart.seconds < START_SECONDS
    if not start.any():
        return ["The first minutes have no usable beats: the later ones are compared with each other."]
    reasons = []
    until = min(START_SECONDS, len(lead.samples) / SAMPLING_RATE)
    lost = sum(max(min(s.stop, until) - s.start, 0) for s in lead.unusable)
    if lost > NOISY_START * until:
        reasons.append(f"{lost:.0f} of its {until:.0f} seconds are unusable")
    if explained[start].mean() < FEW_EXPLAINED:
        reasons.append(
            f"only {explained[start].mean():.0%} of its beats resemble the patient's usual normal beat in time"
        )
    first, usual = np.median(normal_rr[start]), np.median(normal_rr)
    if abs(np.log(first / usual)) > OTHER_RHYTHM:
        reasons.append(
            f"its heart rate is {60 / first:.0f} per minute and that of the whole recording {60 / usual:.0f}"
        )
    return [f"The first minutes are a poor reference for the rest: {'; '.join(reasons)}."] if reasons else []
