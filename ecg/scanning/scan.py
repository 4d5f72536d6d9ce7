"""Scan a recording: cut its beats, judge them in their order, and find the alarms, their kinds and episodes."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg.data.aami import NORMAL
from ecg.exceptions import InputError, needed_for
from ecg.hearts.context import START_SECONDS
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import OnProgress, ProcessedLead, process_lead
from ecg.scanning.changes import find_changes
from ecg.scanning.display import format_time
from ecg.scanning.episodes import find_episodes
from ecg.scanning.judges import Judge, Judged, Model, judge_by, load_model
from ecg.scanning.kinds import Kinds, Shape, find_kinds
from ecg.scanning.records import COLUMNS, RecordingInfo, Scan

PROCESSING, JUDGING = 0.4, 0.5  # share of the time that the lead takes, and the verdicts
SHORTEST = 20.0  # seconds of a recording
SHORT = 120.0  # seconds, below which a warning says what a short recording cannot say
HIGH_ALARM_RATE = 0.5  # from which on the model does not fit the recording
HIGH_UNUSABLE_SHARE = 0.1  # of a recording, from which on there is a warning


def scan(
    recording: Any,
    model: Model | str | os.PathLike[str] | None = None,
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
    recording : the path of a file or WFDB record, `physionet:DATABASE/RECORD`, or a recording in memory: an ndarray of
        shape (samples,) or (samples, leads), a DataFrame with a column for each lead, a wfdb.Record, or an MNE Raw
    model : None for the model of normal hearts, which judges recordings of patients that it has not seen; the folder
        that `ecg learn` made of this patient, or what `ecg.learn` returned; or a detector that was trained on this
        patient, or its folder
    lead : its name, or its number from 0; if not given, the lead that the model was trained on, or the first that is
        named as an ECG, or that may be one
    rate : the sampling rate in Hz, of recordings that do not state it
    alpha : the accepted false-alarm rate among normal beats; as calibrated if not given
    adaptive : whether verdicts follow slow change; otherwise beats are compared with the recording's start, or with a
        threshold that stays the same
    annotations : the annotator (file extension) of WFDB annotations of the recording's first minutes, for the model of
        normal hearts: beats that are annotated as normal there are known to be normal. None to use none
    on_progress : called from time to time with the share of the work that is done

    Raises
    ------
    InputError
        if the recording cannot be read, is no ECG, is shorter than SHORTEST or has too few usable beats, if the model
        does not state how its beats are cut, if no threshold is possible at this alpha, if there are no such
        annotations or they cannot be used, or if a package that reads recordings is missing.

    Examples
    --------
    >>> scan(np.zeros(1000), rate=250)
    Traceback (most recent call last):
    ecg.exceptions.InputError: array has 4 s: 20 s are needed, to know the patient's beat
    """
    judge = judge_by(load_model(Path(model)) if isinstance(model, (str, os.PathLike)) else model, alpha)

    def process(lead: Lead) -> AbstractContextManager[ProcessedLead]:
        return process_lead(lead, judge.cutting, lambda share: on_progress(PROCESSING * share))

    return scan_by(
        judge, recording, process, lead, rate, adaptive=adaptive, annotations=annotations, on_progress=on_progress
    )


def scan_by(
    judge: Judge,
    recording: Any,
    process: Callable[[Lead], AbstractContextManager[ProcessedLead]],
    lead: int | str | None = None,
    rate: float | None = None,
    *,
    adaptive: bool = True,
    annotations: str | None = None,
    on_progress: OnProgress = lambda _share: None,
) -> Scan:
    """Scan a recording with what judges it, and with what filters its lead and finds its R peaks; else as `scan`."""
    with (
        needed_for("reading recordings", "recordings"),
        open_lead(recording, judge.lead if lead is None else lead, rate, annotations) as raw,
        process(raw) as processed,
    ):
        where = os.fspath(recording) if isinstance(recording, (str, os.PathLike)) else raw.recording
        if raw.seconds < SHORTEST:
            raise InputError(f"{where} has {raw.seconds:.3g} s: {SHORTEST:g} s are needed, to know the patient's beat")
        if processed.no_ecg is not None:
            raise InputError(f"{where}, lead {raw.name}, is no ECG: {processed.no_ecg}; try another lead")
        windows = BeatWindows.find(processed, judge.cutting, judge.fewest_beats)
        known = None if annotations is None else _known(raw, annotations, processed.r_peak_seconds[windows.r_peaks])
        judged = judge.judge(processed, windows, raw.recording, known, adaptive=adaptive)
        on_progress(PROCESSING + JUDGING)
        kinds = _kinds(judged)
        changes = find_changes(judged.heart, judged.unlike_start, raw.seconds)
        beats = _table(judged, kinds)
        follows = np.diff(windows.r_peaks, prepend=-1) == 1
        episodes, beats["episode"] = find_episodes(beats, follows, changes, processed.unusable)
        sign = -1 if processed.inverted else 1
        scanned = Scan(
            recording=RecordingInfo(
                name=raw.recording,
                lead=raw.name,
                rate=raw.rate,
                length=raw.length,
                unit=raw.unit,
                read_as=raw.read_as,
                inverted=processed.inverted,
            ),
            judged_by=judge.name,
            alpha=judge.alpha,
            adaptive=adaptive,
            beats=beats,
            episodes=episodes,
            kinds=kinds.table,
            shapes={kind: Shape(sign * shape.mean, sign * shape.normal) for kind, shape in kinds.shapes.items()},
            unusable=processed.unusable,
            left_out=windows.left_out,
            changes=changes,
            warnings=[*raw.warnings, *judged.warnings],
            made=judge.made,
            samples=processed.samples,
        )
        on_progress(1.0)
        return replace(scanned, warnings=[*scanned.warnings, *_warnings(scanned)])


def _known(raw: Lead, annotations: str, seconds: np.ndarray) -> np.ndarray:
    """Which beats of the recording's start are annotated as normal."""
    known = (beat_classes(raw.annotations, seconds) == NORMAL) & (seconds < START_SECONDS)
    if not known.any():
        raise InputError(f"{raw.recording} has no beats annotated as normal in its first minutes (.{annotations})")
    return known


def _kinds(judged: Judged) -> Kinds:
    beats, alarms = judged.beats, np.flatnonzero(judged.beats.anomalous)
    height = beats.score[alarms] / beats.threshold[alarms]
    return find_kinds(judged.heart, judged.context, alarms, judged.reasons, beats.quality[alarms], height)


def _table(judged: Judged, kinds: Kinds) -> pd.DataFrame:
    """The beats as a table, as yet without their episodes."""
    beats = judged.beats
    columns = vars(beats) | {"seconds": beats.seconds.round(3), "episode": 0}
    columns["time"] = [format_time(seconds) for seconds in beats.seconds.tolist()]
    for name, values in (("why", judged.reasons.sentences()), ("kind", kinds.of_alarm)):
        columns[name] = np.full(len(beats), "", object)
        columns[name][beats.anomalous] = values
    return pd.DataFrame(columns, columns=list(COLUMNS))


def _warnings(scanned: Scan) -> list[str]:
    warnings, recording = [], scanned.recording
    alarm_rate, lost = scanned.beats["anomalous"].mean(), 1 - scanned.usable_share
    if recording.duration < SHORT:
        warnings.append(
            f"The recording has {recording.duration:.0f} s: it can show single early or wide beats. A rhythm that is "
            "the same throughout, a rare beat, or a slow change cannot be seen in it."
        )
    if alarm_rate > HIGH_ALARM_RATE:
        warnings.append(
            f"{alarm_rate:.0%} of the beats are alarms: it is mostly abnormal, or the model does not fit it."
        )
    if recording.inverted:
        warnings.append("Most QRS complexes of this lead are negative; the lead was inverted before the scan.")
    if lost > HIGH_UNUSABLE_SHARE:
        warnings.append(
            f"{lost:.0%} of the recording is missing, flat, clipped, outlying or noisy signal and was not scanned."
        )
    return warnings
