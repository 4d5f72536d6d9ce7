"""What judges the beats of a recording: the model of normal hearts, or a detector that was trained on the patient."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg.detector.detector import Detector
from ecg.detector.stream import Stream
from ecg.exceptions import InputError
from ecg.hearts.context import (
    CUTTING,
    FEWEST,
    START_SECONDS,
    Context,
    Heart,
    compare_with,
    compare_with_start,
    follow,
    resembling,
)
from ecg.hearts.explanation import Reasons, explain
from ecg.hearts.judge import judge
from ecg.hearts.learnt import Learnt, is_learnt
from ecg.hearts.model import HeartModel
from ecg.recordings.cutting import MIN_BEATS, BeatWindows, CutBeats, cut_beats
from ecg.recordings.reading.lead import cleaned
from ecg.recordings.signals import SAMPLING_RATE, ProcessedLead
from ecg.scanning.display import format_time
from ecg.scanning.records import ScannedBeats

FEW_EXPLAINED = 0.5  # of the beats of the start, below which it is a poor reference
OTHER_RHYTHM = 0.25  # log units of the RR interval between the start and the recording as a whole
OTHER_SHAPE = 2.5  # log units that a beat differs more from the start's normal beat than is usual: 12 times
FEW_RESEMBLING = 0.1  # of the beats, below which those learnt of the patient are no reference
NOISY_START = 0.3  # share of the start that is unusable


@dataclass(frozen=True)
class Judged:
    """The beats with their verdicts.

    heart, context : the beats, and the patient's normal beat that they are compared with
    reasons : of the alarms
    unlike_start : bool ndarray of shape (n,), whether each beat is unlike the recording's start
    warnings : reasons to doubt the verdicts, a sentence each
    """

    beats: ScannedBeats
    heart: Heart
    context: Context
    reasons: Reasons
    unlike_start: np.ndarray
    warnings: list[str]


Model = Detector | HeartModel | Learnt


def load_model(folder: Path) -> Model:
    """What a folder holds: normal beats of a patient (`ecg learn`), or a detector; InputError if neither."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} of a model: `ecg learn` makes one, or `dvc repro`")
    if is_learnt(folder):
        return Learnt.load(folder, HeartModel.load().calibration.model_sha256)
    return Detector.load(folder)


def judge_by(model: Model | None, alpha: float | None, hearts: HeartModel | None = None) -> "Judge":
    """What judges by a model; None for the model of normal hearts alone, which is that which ships unless given."""
    if isinstance(model, Detector):
        return ByOwnModel(model, alpha)
    if isinstance(model, Learnt):
        return ByNormalHearts(hearts or HeartModel.load(), alpha, model)
    return ByNormalHearts(model or hearts or HeartModel.load(), alpha)


class ByNormalHearts:
    """The model of normal hearts, which needs no training on the patient, and what was learnt of him, if anything.

    Raises
    ------
    InputError
        if no threshold is possible at this alpha.
    """

    cutting = CUTTING
    lead: int | str | None = None  # if none is asked for
    fewest_beats = 10

    def __init__(self, model: HeartModel, alpha: float | None, learnt: Learnt | None = None) -> None:
        self.model, self.learnt = model, learnt
        self.alpha = model.calibration.alpha if alpha is None else alpha
        self.threshold = model.calibration.threshold(self.alpha)

    @property
    def name(self) -> str:
        """Of the model."""
        name = "the model of normal hearts"
        return name if self.learnt is None else f"{name} and {self.learnt.source.beats:,} normal beats of this patient"

    @property
    def made(self) -> list[str]:
        """How the model was made, a paragraph each."""
        learnt = [] if self.learnt is None else [f"Of this patient, it knows {self.learnt.source}."]
        patients = self.model.calibration.patients
        return [
            f"The model of normal hearts (SHA-256 {self.model.calibration.model_sha256[:16]}...) was trained on normal "
            f"beats of {len(patients)} other patients, of the MIT-BIH Arrhythmia Database and the MIT-BIH "
            "Supraventricular Arrhythmia Database; each of its parts was calibrated on patients that it had not seen. "
            "No annotated anomaly was used.",
            "Each beat is compared with this patient's own normal beat, which is followed through the recording by the "
            "beats that resemble it and come in time.",
            *learnt,
        ]

    def judge(
        self,
        lead: ProcessedLead,
        windows: BeatWindows,
        recording: str,
        known: np.ndarray | None,
        *,
        adaptive: bool,
    ) -> Judged:
        """Judge the beats in the context of the patient's normal beat, followed or of the start.

        known : bool ndarray of shape (n,), beats that are known to be normal; None if none are
        """
        heart = Heart.of(lead, windows)
        followed = follow(heart, known)
        from_start, warnings = self._reference(heart, followed, lead, recording)
        judgements = [
            judge(heart, context, self.model, known=known, learnt=self.learnt) for context in (followed, from_start)
        ]
        following, fixed = (judgement.p_value <= self.alpha for judgement in judgements)
        chosen, context = (judgements[0], followed) if adaptive else (judgements[1], from_start)
        anomalous = following if adaptive else fixed
        reasons = explain(heart, context, self.model, np.flatnonzero(anomalous))
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
        )
        return Judged(beats, heart, context, reasons, fixed | (from_start.excess > OTHER_SHAPE), warnings)

    def _reference(
        self, heart: Heart, followed: Context, lead: ProcessedLead, recording: str
    ) -> tuple[Context, list[str]]:
        """What beats are compared with if nothing is followed: the recording's start, or the learnt beats; warnings."""
        if self.learnt is None:
            reasons = _of_start(heart, followed.explained, followed.normal_rr, lead)
            return compare_with_start(heart, followed), reasons
        source, normal = self.learnt.source, self.learnt.normal
        warnings = []
        if source.recording == recording:
            warnings.append(
                f"The patient's beats were learnt from {format_time(source.start)} to {format_time(source.stop)} of a "
                "recording of this name: if it is the same, this part has fewer alarms than it should."
            )
        like = resembling(heart, normal, source.usual)
        if like.sum() < max(FEWEST, FEW_RESEMBLING * len(heart)):
            warnings.append(
                f"Hardly any beat resembles the learnt ones ({source.recording}, lead {source.lead}): this may be "
                "another patient or lead, or the heart may have changed. Beats are compared with the start "
                "of the recording instead."
            )
            return compare_with_start(heart, followed), warnings
        return compare_with(heart, followed, normal, source.usual, like), warnings


class ByOwnModel:
    """A detector that was trained on beats of this patient, with a threshold that follows slow change.

    Raises
    ------
    InputError
        if the model does not state how its beats are cut, or if no threshold is possible at this alpha.
    """

    fewest_beats = MIN_BEATS

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
        self.name = f"the model that was trained on {_dataset(detector, 'an unnamed dataset')}"
        self.level = None if alpha == detector.calibration.alpha else alpha
        self.alpha = detector.calibration.alpha if alpha is None else alpha
        self.lead = detector.dataset.lead
        self.threshold = detector.calibration.threshold_at(self.level)

    @property
    def made(self) -> list[str]:
        """How the model was made, a paragraph each."""
        dataset = _dataset(self.detector, "a dataset")
        return [
            f"An autoencoder that was trained on normal beats of {dataset} alone (SHA-256 "
            f"{self.detector.model.sha256[:16]}...): a beat that it reconstructs badly is an alarm. `ecg info` "
            "prints its parameters, data and metrics."
        ]

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
        heart = Heart.of(lead, windows)
        context = follow(heart)
        reasons = explain(heart, context, None, np.flatnonzero(beats.anomalous))
        return Judged(beats, heart, context, reasons, beats.anomalous_from_start, [self._of_patient(recording)])

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
        )

    def _of_patient(self, recording: str) -> str:
        dataset = self.detector.dataset
        if dataset.recording != recording:
            trained_on = _dataset(self.detector, "another recording")
            return (
                f"The model was trained on another patient ({trained_on}): an alarm may only mean that this heart "
                "differs from that one. Scan without --model, by the model of normal hearts."
            )
        return (
            f"The model was trained on the first {dataset.minutes:g} minutes of a recording of this name. If it is the "
            "same recording, these minutes have fewer alarms than they should."
        )


Judge = ByNormalHearts | ByOwnModel


def _dataset(detector: Detector, unnamed: str) -> str:
    """The dataset that a model was trained on, by the model's own file."""
    return cleaned(detector.model.metadata.get("dataset", unnamed))


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
