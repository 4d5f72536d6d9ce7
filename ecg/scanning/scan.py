"""Scan a recording: cut its beats as the model's training beats were, score them in order, and find the alarms."""

from collections.abc import Callable

import numpy as np

from ecg.detector.detector import Detector
from ecg.detector.stream import Stream
from ecg.exceptions import InputError, needed_for
from ecg.params import Cutting
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import SAMPLING_RATE, OnProgress, ProcessedLead, process_lead, unusable_seconds
from ecg.scanning.records import RecordingInfo, RhythmStrip, Scan, ScannedBeats

STRIPS = 6  # alarms that are shown with the beats around them
STRIP_MARGIN = 0.3  # of a strip before the beat before and after the beat after, in RR intervals
HIGH_ALARM_RATE = 0.5  # from which on the model does not fit the recording
HIGH_UNUSABLE_SHARE = 0.1  # of a recording, from which on there is a warning


def scan(
    detector: Detector,
    path: str,
    lead: int | str | None = None,
    rate: float | None = None,
    alpha: float | None = None,
    *,
    adaptive: bool = True,
    on_progress: OnProgress = lambda _share: None,
) -> Scan:
    """Cut a recording into beats as the model's training beats were, and score them in their order.

    Parameters
    ----------
    path : of a WFDB record, an EDF, CSV or NPY file, or `physionet:DATABASE/RECORD`
    lead : its name, or its number from 0; if not given, the lead that the model was trained on, or the first
    rate : the sampling rate in Hz, for files that do not state it
    alpha : the accepted false-alarm rate; as calibrated if not given
    adaptive : whether the threshold follows slow change (`ecg.detector.stream`); otherwise it stays the same
    on_progress : called from time to time with the share of the recording that is processed

    Raises
    ------
    InputError
        if the recording cannot be read or has too few usable beats, if the model does not state how its beats are cut,
        if no threshold is possible at this alpha, or if a package that reads recordings is not installed.
    """
    settings, score = _cutting(detector), _scorer(detector, alpha, adaptive=adaptive)
    trained_on = 0 if detector.dataset.lead is None else detector.dataset.lead
    with (
        needed_for("reading recordings", "recordings"),
        open_lead(path, trained_on if lead is None else lead, rate, annotations=None) as raw,
        process_lead(raw, settings, on_progress) as processed,
    ):
        windows = BeatWindows.find(processed, settings)
        beats = ScannedBeats.joined([score(chunk) for chunk in cut_beats(processed, windows, settings)])
        return Scan(
            recording=RecordingInfo(name=raw.recording, lead=raw.name, rate=raw.rate, length=raw.length),
            beats=beats,
            unusable=processed.unusable,
            left_out=windows.left_out,
            adaptive=adaptive,
            strips=_strips(processed, beats),
            warnings=_warnings(detector, raw, processed, beats),
        )


def _cutting(detector: Detector) -> Cutting:
    """How the model's beats are cut; InputError if the model does not state it."""
    settings = detector.dataset.beats
    if settings is None:
        raise InputError(
            "the model does not state how its beats are cut from a recording: use one that was trained on a recording "
            "(fetch.source: recording), or on ECG5000"
        )
    if settings.length != detector.length:
        raise InputError(f"the model takes beats of {detector.length} samples, but states {settings.length}")
    return settings


def _scorer(detector: Detector, alpha: float | None, *, adaptive: bool) -> Callable[[CutBeats], ScannedBeats]:
    """A function that scores the next beats of the recording."""
    level = None if alpha == detector.calibration.alpha else alpha
    if adaptive:
        try:
            stream = Stream.start(detector, alpha=level)
        except InputError as error:
            raise InputError(f"{error}; or use the calibrated threshold (adaptive=False, --fixed)") from None
    else:
        fixed = detector.calibration.threshold_at(level)

    def score(beats: CutBeats) -> ScannedBeats:
        verdicts = detector.score(beats.samples, None if adaptive else level)
        if adaptive:
            anomalous, threshold = stream.update(verdicts.score)
        else:
            anomalous, threshold = verdicts.anomalous, np.full(len(beats), fixed)
        p_value = np.full(len(beats), np.nan) if verdicts.p_value is None else verdicts.p_value
        times = (beats.seconds, beats.rr_before, beats.rr_after, beats.quality)
        return ScannedBeats(*times, verdicts.score.astype(float), p_value, threshold, anomalous)

    return score


def _strips(lead: ProcessedLead, beats: ScannedBeats) -> list[RhythmStrip]:
    """The alarms that are furthest above the threshold, in their order."""
    excess = beats.score[beats.alarms] / beats.threshold[beats.alarms]
    strips = []
    for i in np.sort(beats.alarms[np.argsort(-excess, kind="stable")[:STRIPS]]).tolist():
        before, after = np.nan_to_num((beats.rr_before[i], beats.rr_after[i]), nan=1.0)
        start = max(int((beats.seconds[i] - (1 + STRIP_MARGIN) * before) * SAMPLING_RATE), 0)
        stop = min(int((beats.seconds[i] + (1 + STRIP_MARGIN) * after) * SAMPLING_RATE), len(lead.samples))
        samples = np.array(lead.samples[start:stop], float)
        strips.append(RhythmStrip(beat=i, seconds=np.arange(start, stop) / SAMPLING_RATE, samples=samples))
    return strips


def _warnings(detector: Detector, raw: Lead, processed: ProcessedLead, beats: ScannedBeats) -> list[str]:
    dataset = detector.dataset
    if dataset.recording != raw.recording:
        trained_on = detector.model.metadata.get("dataset", "another recording")
        patient_warning = (
            f"The model was trained on another patient ({trained_on}): an alarm may only mean that this heart differs "
            "from that one. Train a model on this recording (README.md, Your own ECG)."
        )
    else:
        patient_warning = (
            f"The model was trained on the first {dataset.minutes:g} minutes of a recording of this name. If it is the "
            "same recording, these minutes have fewer alarms than they should."
        )
    warnings = [patient_warning]
    alarm_rate = beats.anomalous.mean()
    if alarm_rate > HIGH_ALARM_RATE:
        warnings.append(f"{alarm_rate:.0%} of the beats are alarms: the model does not fit this recording.")
    if processed.inverted:
        warnings.append("Most QRS complexes of this lead are negative; the lead was inverted before the scan.")
    unusable = sum(unusable_seconds(processed.unusable).values()) / raw.seconds
    if unusable > HIGH_UNUSABLE_SHARE:
        warnings.append(f"{unusable:.0%} of the recording is missing, flat or clipped signal and was not scanned.")
    return warnings
