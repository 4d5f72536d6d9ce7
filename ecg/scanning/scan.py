"""Scan a recording: its beats cut as the model's were, scored in their order, and the alarms with their times."""

from collections.abc import Callable

import numpy as np

from ecg.detector.detector import Detector
from ecg.detector.stream import Stream
from ecg.exceptions import InputError, needed_for
from ecg.params import Cutting
from ecg.recordings.cutting import Cut, Plan, cut
from ecg.recordings.reading import Lead, opened
from ecg.recordings.signals import RATE, Follow, Signal, gone_through
from ecg.scanning.records import Coverage, RecordingInfo, Scan, ScannedBeats, Strip

STRIPS = 6  # alarms that are shown with the beats around them
BESIDE = 0.3  # of the beat before and the beat after, how much more is shown, in RR intervals
MANY = 0.5  # share of alarms from which on a model does not fit
LOST = 0.1  # share of a recording that is no ECG from which on that is a warning

Judge = Callable[[Cut], ScannedBeats]


def scan(
    detector: Detector,
    path: str,
    lead: int | str | None = None,
    rate: float | None = None,
    alpha: float | None = None,
    *,
    adaptive: bool = True,
    follow: Follow = lambda _share: None,
) -> Scan:
    """Cut a recording into beats as the model's were cut, and score them in their order.

    Parameters
    ----------
    path : of a WFDB record, an EDF, CSV or NPY file, or `physionet:DATABASE/RECORD`
    lead : its name, or its number from 0; that of the model's recording, or the first, if not given
    rate : samples a second, for files that do not say
    alpha : the accepted false-alarm rate; as calibrated if not given
    adaptive : whether the threshold follows slow change (`ecg.detector.stream`); otherwise it stays the same
    follow : called with the share that is done, from time to time

    Raises
    ------
    InputError
        if the recording cannot be read or has too few usable beats, if nobody knows how the model's beats are cut, if
        there is no verdict at this alpha, or if what reads recordings of this kind is not installed.
    """
    settings, judge = _cutting(detector), _judge(detector, alpha, adaptive=adaptive)
    trained_on = detector.dataset.lead
    chosen = (0 if trained_on is None else trained_on) if lead is None else lead
    with (
        needed_for("reading recordings", "recordings"),
        opened(path, chosen, rate, annotations=None) as found,
        gone_through(found, settings, follow) as signal,
    ):
        plan = Plan.of(signal, settings)
        beats = ScannedBeats.joined([judge(block) for block in cut(signal, plan, settings)])
        return Scan(
            recording=RecordingInfo(name=found.name, lead=found.lead, rate=found.rate, length=found.length),
            beats=beats,
            coverage=Coverage(
                stretches=signal.stretches,
                lost=signal.lost(),
                peaks=len(signal.peaks),
                left_out_beside=plan.spoilt,
                left_out_at_ends=plan.edge,
            ),
            adaptive=adaptive,
            strips=_strips(signal, beats),
            warnings=_warnings(detector, found, signal, beats),
        )


def _cutting(detector: Detector) -> Cutting:
    """How the model's beats are cut; InputError if nobody knows."""
    settings = detector.dataset.beats
    if settings is None:
        raise InputError(
            "the model does not say how its beats are cut from a recording: use one that was trained on a recording "
            "(fetch.source: recording), or on ECG5000"
        )
    if settings.length != detector.length:
        raise InputError(f"the model takes beats of {detector.length} samples, but says {settings.length}")
    return settings


def _judge(detector: Detector, alpha: float | None, *, adaptive: bool) -> Judge:
    """What gives beats their scores and verdicts, block by block in their order."""
    level = None if alpha == detector.calibration.alpha else alpha
    if adaptive:
        try:
            stream = Stream.start(detector, "conformal", level)
        except InputError as error:
            raise InputError(f"{error}; or let the threshold stay as calibrated (adaptive=False, --fixed)") from None
    else:
        fixed = detector.calibration.threshold_at(level)

    def judge(block: Cut) -> ScannedBeats:
        verdicts = detector.score(block.samples, None if adaptive else level)
        if adaptive:
            anomalous, threshold = stream.update(verdicts.score)
        else:
            anomalous, threshold = verdicts.anomalous, np.full(len(block), fixed)
        return ScannedBeats(
            seconds=block.seconds,
            rr_before=block.rr_before,
            rr_after=block.rr_after,
            quality=block.quality,
            score=verdicts.score.astype(float),
            p_value=np.full(len(block), np.nan) if verdicts.p_value is None else verdicts.p_value,
            threshold=threshold,
            anomalous=anomalous,
        )

    return judge


def _strips(signal: Signal, beats: ScannedBeats) -> list[Strip]:
    """The alarms that are furthest above the threshold, in the order of their times."""
    height = beats.score / beats.threshold
    chosen = np.sort(beats.alarms[np.argsort(-height[beats.alarms], kind="stable")[:STRIPS]])
    strips = []
    for i in chosen.tolist():
        before, after = np.nan_to_num((beats.rr_before[i], beats.rr_after[i]), nan=1.0)
        start = max(int((beats.seconds[i] - (1 + BESIDE) * before) * RATE), 0)
        stop = min(int((beats.seconds[i] + (1 + BESIDE) * after) * RATE), len(signal.samples))
        shown = np.array(signal.samples[start:stop], float)
        strips.append(Strip(beat=i, seconds=np.arange(start, stop) / RATE, samples=shown))
    return strips


def _warnings(detector: Detector, found: Lead, signal: Signal, beats: ScannedBeats) -> list[str]:
    warnings = [_patient_warning(detector, found)]
    share = beats.anomalous.mean()
    if share > MANY:
        warnings.append(f"{share:.0%} of the beats raise an alarm: the model does not fit this recording.")
    if signal.inverted:
        warnings.append("Most beats of this lead reach further down than up; it was turned over before the scan.")
    lost = sum(signal.lost().values())
    if lost > LOST * found.seconds:
        warnings.append(f"{lost / found.seconds:.0%} of the recording is no ECG and was not scanned.")
    return warnings


def _patient_warning(detector: Detector, found: Lead) -> str:
    dataset = detector.dataset
    if dataset.recording is None or dataset.recording != found.name:
        trained_on = detector.model.facts.get("dataset", "another recording")
        return (
            f"The model has seen another patient ({trained_on}), not this one: an alarm may say no more than that this "
            "is another heart. Train on the recording itself (README.md, Your own ECG)."
        )
    return (
        f"The model was trained on the first {dataset.minutes:g} minutes of a recording of this name. If this is that "
        "one, there are fewer alarms in them than there should be."
    )
