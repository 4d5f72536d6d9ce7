"""The detectors that are compared on a recording, in three settings.

Settings:

labelled     the annotated normal beats of the first minutes are learnt from; the rest is test
unlabelled   the first minutes are learnt from as they come; the rest is test
unseen       nothing is learnt from the patient by training; all of the recording is test

Detectors:

default             the model of normal hearts, as `ecg scan` uses it; patients that it was trained on are judged by the
                    member that has not seen them, and by the p-values of the other patients
previous            the default before it: an autoencoder trained on the first minutes, with a threshold that follows
nearest neighbour   squared distance to the nearest normal beat of the first minutes, with the same threshold
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from benchmarks.protocol.configuration import Classical
from benchmarks.protocol.detectors import Fitted, fit_architecture, fit_classical
from benchmarks.recordings.records import Annotated
from ecg import params
from ecg.data.aami import NAMES, NORMAL
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.stream import Stream
from ecg.exceptions import InputError
from ecg.hearts.context import CUTTING, Heart, follow
from ecg.hearts.judge import judge
from ecg.hearts.model import HeartModel
from ecg.params import Params
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats
from ecg.recordings.patient import typical
from ecg.recordings.reading import Lead
from ecg.recordings.signals import process_lead

FIRST = 300.0  # seconds that are learnt from
ALPHAS = (0.01, 0.05)
NEAREST = Classical(kind="knn", scaling="none", size=1)
MIN_NORMAL = 20  # beats of the first minutes that previous detectors are trained on


@dataclass(frozen=True)
class Judged:
    """What a detector finds in the test part of a recording.

    labels : int ndarray of shape (n,), the class of each detected beat; 0 without annotation
    score : float ndarray of shape (n,)
    alarms : by alpha, and by None for the default alarm setting: bool ndarrays of shape (n,)
    hours : the duration of the test part
    missed : how many annotated beats of each class were not detected
    """

    labels: np.ndarray
    score: np.ndarray
    alarms: dict[float | None, np.ndarray]
    hours: float
    missed: dict[int, int]

    def arrays(self) -> dict[str, np.ndarray]:
        """What `of_arrays` takes."""
        alarms = {f"alarms_{alpha}": verdicts for alpha, verdicts in self.alarms.items()}
        missed = np.array(list(self.missed.items()))
        return {"labels": self.labels, "score": self.score, **alarms, "hours": np.array(self.hours), "missed": missed}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """What `arrays` gave."""
        alarms: dict[float | None, np.ndarray] = {alpha: arrays[f"alarms_{alpha}"] for alpha in (None, *ALPHAS)}
        missed = {int(label): int(count) for label, count in arrays["missed"]}
        return cls(arrays["labels"], arrays["score"], alarms, float(arrays["hours"]), missed)


def default(raw: Lead, name: str) -> dict[str, Judged]:
    """The model of normal hearts in the three settings."""
    model = HeartModel.load()
    with process_lead(raw, CUTTING) as lead:
        windows = BeatWindows.find(lead, CUTTING)
        heart, annotated = Heart.of(lead, windows), Annotated.of(raw, lead.r_peak_seconds, windows.r_peaks)
        first = heart.seconds < FIRST
        known = first & (annotated.labels == NORMAL)
        followed = follow(heart)
        judgements = {
            "labelled": judge(heart, follow(heart, known), model, name, known),
            "unlabelled": judge(heart, followed, model, name),
        }
        judgements["unseen"] = judgements["unlabelled"]
    judged = {}
    for setting, judgement in judgements.items():
        after = 0.0 if setting == "unseen" else FIRST
        alarms = {a: judgement.p_value <= (model.calibration.alpha if a is None else a) for a in (None, *ALPHAS)}
        judged[setting] = _tested(annotated, heart.seconds, judgement.score, alarms, after, raw.seconds)
    return judged


def _own(raw: Lead, fit: Callable[[Params, np.ndarray], Fitted]) -> dict[str, Judged]:
    """A detector that is trained on the first minutes, labelled and unlabelled, where they have MIN_NORMAL beats."""
    settings = recording_params()
    cutting = settings.fetch.recording.beats
    with process_lead(raw, cutting) as lead:
        windows = BeatWindows.find(lead, cutting)
        beats = CutBeats.joined(list(cut_beats(lead, windows, cutting)))
        annotated = Annotated.of(raw, lead.r_peak_seconds, windows.r_peaks)
    first = beats.seconds < FIRST
    alike = np.zeros(len(first), bool)
    if first.any():
        alike[first] = typical(beats.samples[first])
    judged = {}
    for setting, normal in (("labelled", first & (annotated.labels == NORMAL)), ("unlabelled", alike)):
        if normal.sum() < MIN_NORMAL:
            continue
        fitted = fit(settings, beats.samples[normal])
        score, alarms = fitted.score(beats.samples), dict[float | None, np.ndarray]()
        for alpha in (None, *ALPHAS):
            level = settings.calibrate.alpha if alpha is None else alpha
            calibrate = settings.calibrate.model_copy(update={"alpha": level})
            try:
                detector: Any = SimpleNamespace(calibration=thresholds.calibrate(fitted.errors, calibrate, ""))
                alarms[alpha] = np.full(len(score), False)
                alarms[alpha][~first], _ = Stream.start(detector, level).update(score[~first])
            except InputError:  # too few beats for this alpha
                alarms[alpha] = np.full(len(score), False)
        judged[setting] = _tested(annotated, beats.seconds, score, alarms, FIRST, raw.seconds)
    return judged


def previous(raw: Lead, _name: str) -> dict[str, Judged]:
    """The default before the model of normal hearts."""
    return _own(raw, lambda own, normal: fit_architecture(own.train, own.preprocess, own.models, normal))


def nearest_neighbour(raw: Lead, _name: str) -> dict[str, Judged]:
    """Nearest neighbour by its squared distance, which has the unit of this project's scores."""

    def fit(own: Params, normal: np.ndarray) -> Fitted:
        fitted = fit_classical(NEAREST, own.preprocess, own.train.folds, 0, normal)
        squared = np.square(fitted.errors.calibrating)
        return Fitted(
            TrainingErrors(fitted.errors.fold, squared, squared),
            lambda beats: np.square(fitted.member_scores(beats)),
            lambda beats: np.square(fitted.score(beats)),
            fitted.seconds,
        )

    return _own(raw, fit)


DETECTORS: dict[str, Callable[[Lead, str], dict[str, Judged]]] = {
    "default": default,
    "previous": previous,
    "nearest neighbour": nearest_neighbour,
}


def recording_params() -> Params:
    """The parameters of params.yaml for a recording."""
    record = params.read(params.PARAMS)
    record["fetch"]["source"] = "recording"
    return params.parse(record, str(params.PARAMS))


def _tested(
    annotated: Annotated,
    seconds: np.ndarray,
    score: np.ndarray,
    alarms: dict[float | None, np.ndarray],
    after: float,
    duration: float,
) -> Judged:
    test = seconds >= after
    return Judged(
        labels=annotated.labels[test],
        score=score[test],
        alarms={alpha: verdicts[test] for alpha, verdicts in alarms.items()},
        hours=(duration - after) / 3600,
        missed={label: annotated.missed(label, after) for label in NAMES if label > NORMAL},
    )
