"""Scan a recording: cut its beats, judge them in their order, and find the alarms."""

import numpy as np

from ecg.data.aami import NORMAL
from ecg.detector.detector import Detector
from ecg.exceptions import InputError, needed_for
from ecg.hearts.context import START_SECONDS
from ecg.hearts.model import HeartModel
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import SAMPLING_RATE, OnProgress, ProcessedLead, process_lead, unusable_seconds
from ecg.scanning.judges import ByNormalHearts, ByOwnModel
from ecg.scanning.records import Change, RecordingInfo, RhythmStrip, Scan, ScannedBeats

STRIPS = 6  # alarms that are shown with the beats around them
STRIP_MARGIN = 0.3  # of a strip before the beat before and after the beat after, in RR intervals
HIGH_ALARM_RATE = 0.5  # from which on the model does not fit the recording
HIGH_UNUSABLE_SHARE = 0.1  # of a recording, from which on there is a warning
CHANGE_SECONDS = 60.0  # over which most beats must be unlike the start, for a change that is reported
CHANGE_SHARE = 0.7  # of the beats, which are most


def scan(
    model: Detector | HeartModel,
    path: str,
    lead: int | str | None = None,
    rate: float | None = None,
    alpha: float | None = None,
    *,
    adaptive: bool = True,
    annotations: str | None = None,
    on_progress: OnProgress = lambda _share: None,
) -> Scan:
    """Cut a recording into beats, and judge them in their order.

    Parameters
    ----------
    model : the model of normal hearts (`HeartModel.load()`), which judges recordings of patients that it has not seen,
        or a detector that was trained on this patient
    path : of a WFDB record, an EDF, CSV or NPY file, or `physionet:DATABASE/RECORD`
    lead : its name, or its number from 0; if not given, the lead that the model was trained on, or the first
    rate : the sampling rate in Hz, for files that do not state it
    alpha : the accepted false-alarm rate among normal beats; as calibrated if not given
    adaptive : whether verdicts follow slow change; otherwise beats are compared with the recording's start, or with a
        threshold that stays the same
    annotations : the annotator (file extension) of WFDB annotations of the recording's first minutes, for the model of
        normal hearts: beats that are annotated as normal there are known to be normal. None to use none
    on_progress : called from time to time with the share of the recording that is processed

    Raises
    ------
    InputError
        if the recording cannot be read, is no ECG or has too few usable beats, if the model does not state how its
        beats are cut, if no threshold is possible at this alpha, if there are no such annotations or they cannot be
        used, or if a package that reads recordings is missing.
    """
    judge = ByNormalHearts(model, alpha) if isinstance(model, HeartModel) else ByOwnModel(model, alpha)
    with (
        needed_for("reading recordings", "recordings"),
        open_lead(path, judge.lead if lead is None else lead, rate, annotations) as raw,
        process_lead(raw, judge.cutting, on_progress) as processed,
    ):
        if processed.no_ecg is not None:
            raise InputError(f"{path}, lead {raw.name}, is no ECG: {processed.no_ecg}; try another lead")
        windows = BeatWindows.find(processed, judge.cutting)
        known = None if annotations is None else _known(raw, annotations, processed.r_peak_seconds[windows.r_peaks])
        judged = judge.judge(processed, windows, raw.recording, known, adaptive=adaptive)
        return Scan(
            recording=RecordingInfo(name=raw.recording, lead=raw.name, rate=raw.rate, length=raw.length),
            judged_by=judge.name,
            alpha=judge.alpha,
            beats=judged.beats,
            unusable=processed.unusable,
            left_out=windows.left_out,
            adaptive=adaptive,
            changes=_changes(judged.beats.seconds, judged.unlike_start, raw.seconds),
            strips=_strips(processed, judged.beats),
            warnings=[*judged.warnings, *_warnings(processed, judged.beats, raw.seconds)],
        )


def _known(raw: Lead, annotations: str, seconds: np.ndarray) -> np.ndarray:
    """Which beats of the recording's start are annotated as normal."""
    known = (beat_classes(raw.annotations, seconds) == NORMAL) & (seconds < START_SECONDS)
    if not known.any():
        raise InputError(f"{raw.recording} has no beats annotated as normal in its first minutes (.{annotations})")
    return known


def _changes(seconds: np.ndarray, unlike: np.ndarray, duration: float) -> list[Change]:
    """Stretches of at least CHANGE_SECONDS in which most beats are unlike the recording's start."""
    total = np.concatenate(([0], np.cumsum(unlike)))
    first = np.searchsorted(seconds, seconds - CHANGE_SECONDS / 2)
    after = np.searchsorted(seconds, seconds + CHANGE_SECONDS / 2, side="right")
    most = total[after] - total[first] >= CHANGE_SHARE * (after - first)
    changes = []
    edges = np.flatnonzero(np.diff(most.astype(int), prepend=0, append=0)).tolist()
    for begins, ends in zip(edges[::2], edges[1::2], strict=True):
        own = np.arange(begins, ends)[unlike[begins:ends]]
        if not len(own) or seconds[own[-1]] - seconds[own[0]] < CHANGE_SECONDS:
            continue
        start, stop = int(own[0]), int(own[-1]) + 1
        lasts = bool(duration - seconds[stop - 1] < CHANGE_SECONDS)
        changes.append(
            Change(
                start=float(seconds[start]),
                stop=float(seconds[stop - 1]),
                beats=stop - start,
                unlike=int(unlike[start:stop].sum()),
                lasts=lasts,
            )
        )
    return changes


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


def _warnings(processed: ProcessedLead, beats: ScannedBeats, duration: float) -> list[str]:
    warnings, alarm_rate = [], beats.anomalous.mean()
    if alarm_rate > HIGH_ALARM_RATE:
        warnings.append(
            f"{alarm_rate:.0%} of the beats are alarms: it is mostly abnormal, or the model does not fit it."
        )
    if processed.inverted:
        warnings.append("Most QRS complexes of this lead are negative; the lead was inverted before the scan.")
    lost = sum(unusable_seconds(processed.unusable).values()) / duration
    if lost > HIGH_UNUSABLE_SHARE:
        warnings.append(f"{lost:.0%} of the recording is missing, flat, clipped or noisy signal and was not scanned.")
    return warnings
