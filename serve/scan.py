"""Scan a recording: its beats cut as the model's were, scored in their order, and the alarms with their times."""

import csv
import io
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ecg.datasets import Dataset, dataset_of_model
from ecg.detector import Detector
from ecg.exceptions import InputError
from ecg.files import Table, rounded, write_csv, write_json
from ecg.recordings.cutting import Cut, Plan, cut
from ecg.recordings.reading import Lead, opened
from ecg.recordings.signals import RATE, Follow, Kind, Signal, Stretch, gone_through
from ecg.stream import Stream

STRIPS = 6  # alarms that are shown with the beats around them
BESIDE = 0.3  # of the beat before and the beat after, how much more is shown, in RR intervals
MANY = 0.5  # share of alarms from which on a model does not fit
LOST = 0.1  # share of a recording that is no ECG from which on that is a warning
ANNOTATOR = "alarm"  # the ending of the annotations that are written
HEADER = ("seconds", "time", "rr_before", "rr_after", "quality", "score", "p_value", "threshold", "anomalous")


@dataclass(frozen=True)
class Strip:
    """The lead around one alarm.

    beat : the alarm's place among the scanned beats
    seconds, samples : float ndarrays of shape (n,), the filtered lead from the beat before to the one after
    """

    beat: int
    seconds: np.ndarray
    samples: np.ndarray


@dataclass(frozen=True)
class Minutes:
    """The recording minute by minute, float ndarrays of shape (n,), NaN where there are no beats.

    heart_rate : beats a minute, of the median RR interval
    alarms : how many
    beats : how many were scored
    """

    heart_rate: np.ndarray
    alarms: np.ndarray
    beats: np.ndarray


@dataclass(frozen=True)
class Scan:
    """What a detector says of a recording.

    name, lead, rate, length : of the recording: seconds times `rate` is `length`
    seconds, rr_before, rr_after, quality : of each of n scored beats, float ndarrays of shape (n,)
    score, p_value, threshold : float ndarrays of shape (n,); NaN where there is none
    anomalous : bool ndarray of shape (n,), the alarms
    adaptive : whether the threshold follows slow change
    stretches : what of the recording is no ECG
    peaks, spoilt, edge : R peaks found; beats left out beside what is no ECG, and at the recording's ends
    strips : the alarms that are furthest above the threshold
    warnings : what speaks against the alarms, a sentence each
    """

    name: str
    lead: str
    rate: float
    length: int
    seconds: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray
    quality: np.ndarray
    score: np.ndarray
    p_value: np.ndarray
    threshold: np.ndarray
    anomalous: np.ndarray
    adaptive: bool
    stretches: list[Stretch]
    lost: dict[Kind, float]
    peaks: int
    spoilt: int
    edge: int
    strips: list[Strip]
    warnings: list[str]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.rate

    @property
    def alarms(self) -> np.ndarray:
        """The places of the alarms among the beats, in their order."""
        return np.flatnonzero(self.anomalous)

    def minutes(self) -> Minutes:
        """Heart rate, alarms and beats of each minute."""
        count = max(int(np.ceil(self.duration / 60)), 1)
        of = np.minimum((self.seconds / 60).astype(int), count - 1)
        beats, alarms = np.bincount(of, minlength=count), np.bincount(of[self.anomalous], minlength=count)
        known = np.isfinite(self.rr_before)
        return Minutes(
            60 / _medians(self.rr_before[known], of[known], count),
            np.where(beats > 0, alarms, np.nan),
            beats.astype(float),
        )

    def table(self, places: np.ndarray) -> Table:
        """The beats at these places, a row each; empty where something is not known."""
        columns = (self.rr_before, self.rr_after, self.quality, self.score, self.p_value, self.threshold)

        def row(i: int) -> list[object]:
            values = ["" if np.isnan(column[i]) else float(column[i]) for column in columns]
            seconds = float(self.seconds[i])
            return [round(seconds, 3), clock(seconds), *values, bool(self.anomalous[i])]

        return HEADER, map(row, places.tolist())  # one at a time: a day has a hundred thousand

    def facts(self) -> dict[str, object]:
        """The scan in numbers, for people and for programs."""
        alarms, hours = len(self.alarms), self.duration / 3600
        known = self.rr_before[np.isfinite(self.rr_before)]
        return {
            "recording": self.name,
            "lead": self.lead,
            "samples_per_second": self.rate,
            "minutes": self.duration / 60,
            "beats": len(self.seconds),
            "left_out": {"beside_what_is_no_ecg": self.spoilt, "at_the_ends": self.edge},
            "seconds_without_ecg": self.lost,
            "heart_rate": float(60 / np.median(known)) if len(known) else None,
            "quality": float(np.median(self.quality)),
            "adaptive_threshold": self.adaptive,
            "alarms": alarms,
            "alarm_rate": alarms / len(self.seconds),
            "alarms_per_hour": alarms / hours,
            "warnings": self.warnings,
        }


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
    adaptive : whether the threshold follows slow change (`ecg.stream`); otherwise it stays as calibrated
    follow : is told the share that is done

    Raises
    ------
    InputError
        if the recording cannot be read or has too few usable beats, if nobody knows how the model's beats are cut, or
        if there is no verdict at this alpha.
    """
    dataset = dataset_of_model(detector.model.facts)
    if dataset.beats is None:
        raise InputError(
            "the model does not say how its beats are cut from a recording: use one that was trained on a recording "
            "(fetch.source: recording), or on ECG5000"
        )
    if dataset.beats.length != detector.length:
        raise InputError(f"the model takes beats of {detector.length} samples, but says {dataset.beats.length}")
    judge = _judge(detector, alpha, adaptive=adaptive)
    chosen = (dataset.lead if dataset.lead is not None else 0) if lead is None else lead
    with opened(path, chosen, rate, annotations=None) as found, gone_through(found, dataset.beats, follow) as signal:
        plan = Plan.of(signal, dataset.beats)
        cuts, verdicts = [], []
        for block in cut(signal, plan, dataset.beats):
            verdicts.append(judge(block.samples))
            cuts.append(_without_samples(block))
        beats = Cut.joined(cuts)
        score, p_value, threshold, anomalous = (np.concatenate(part) for part in zip(*verdicts, strict=True))
        return Scan(
            found.name,
            found.lead,
            found.rate,
            found.length,
            beats.seconds,
            beats.rr_before,
            beats.rr_after,
            beats.quality,
            score,
            p_value,
            threshold,
            anomalous.astype(bool),
            adaptive,
            signal.stretches,
            signal.lost(),
            len(signal.peaks),
            plan.spoilt,
            plan.edge,
            _strips(signal, beats, score / threshold if np.isfinite(threshold).all() else score, anomalous),
            _warnings(detector, dataset, found, signal, anomalous),
        )


Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def _judge(detector: Detector, alpha: float | None, *, adaptive: bool) -> Judge:
    """What gives score, p-value, threshold and verdict of beats (n, L), those of a stream in their order."""
    calibration = detector.calibration
    if adaptive:
        try:
            stream = Stream.start(detector, "conformal", alpha)
        except InputError as error:
            raise InputError(f"{error}; or let the threshold stay as calibrated (adaptive=False, --fixed)") from None
    elif alpha is not None:
        calibration.check_alpha(alpha)

    def judge(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        verdicts = detector.score(samples, None if adaptive else alpha)
        p_value = np.full(len(samples), np.nan) if verdicts.p_value is None else verdicts.p_value
        if adaptive:
            anomalous, threshold = stream.update(verdicts.score)
        else:
            anomalous = verdicts.anomalous
            threshold = np.full(len(samples), calibration.threshold if alpha is None else np.nan)
        return verdicts.score.astype(float), p_value, threshold, anomalous

    return judge


def write(scanned: Scan, folder: Path) -> list[Path]:
    """Write what was found into a folder, each file whole or not at all.

    alarms.csv, the alarms with their times; beats.csv, all beats; scan.json, the scan in numbers; timeline.png; and the
    alarms as WFDB annotations for viewers, NAME.alarm, to be put beside the record.

    Returns
    -------
    The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scan") as place:
        part = Path(place)
        write_csv(part / "alarms.csv", *scanned.table(scanned.alarms))
        write_csv(part / "beats.csv", *scanned.table(np.arange(len(scanned.seconds))))
        write_json(part / "scan.json", scanned.facts())
        _annotate(scanned, part)
        try:
            from serve.timeline import draw
        except ModuleNotFoundError as error:
            raise InputError(f"drawing the timeline needs {error.name}, which requirements.txt brings") from None
        draw(part / "timeline.png", scanned)
        # An earlier scan's may be there, and this one may have none.
        (folder / f"{_record(scanned)}.{ANNOTATOR}").unlink(missing_ok=True)
        written = []
        for path in sorted(part.iterdir()):
            path.replace(folder / path.name)
            written.append(folder / path.name)
    return written


def table_of_alarms(scanned: Scan) -> bytes:
    """The alarms as CSV."""
    header, rows = scanned.table(scanned.alarms)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *([rounded(value) for value in row] for row in rows)])
    return text.getvalue().encode()


def clock(seconds: float) -> str:
    """A time from the start, as H:MM:SS.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def _record(scanned: Scan) -> str:
    """What WFDB can call the recording."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", scanned.name) or "recording"


def _annotate(scanned: Scan, folder: Path) -> None:
    """Write the alarms as WFDB comments; without any alarm, there is nothing that the format could hold."""
    import wfdb

    places = scanned.alarms
    if not len(places):
        return
    notes = [f"alarm, p {p:.3g}" if np.isfinite(p) else "alarm" for p in scanned.p_value[places].tolist()]
    wfdb.wrann(
        _record(scanned),
        ANNOTATOR,
        np.round(scanned.seconds[places] * scanned.rate).astype(int),
        symbol=['"'] * len(places),
        aux_note=notes,
        fs=scanned.rate,
        write_dir=os.fspath(folder),
    )


def _without_samples(block: Cut) -> Cut:
    return Cut(block.samples[:, :0], block.seconds, block.rr_before, block.rr_after, block.quality)


def _medians(values: np.ndarray, of: np.ndarray, count: int) -> np.ndarray:
    """The median of the values of each of `count` groups; NaN for an empty one."""
    order = np.argsort(of, kind="stable")
    ends = np.searchsorted(of[order], np.arange(count + 1))
    groups = (values[order[a:b]] for a, b in pairwise(ends))
    return np.array([np.median(group) if len(group) else np.nan for group in groups])


def _strips(signal: Signal, beats: Cut, height: np.ndarray, anomalous: np.ndarray) -> list[Strip]:
    """The alarms of the largest heights, in the order of their times."""
    alarms = np.flatnonzero(anomalous)
    chosen = np.sort(alarms[np.argsort(-height[alarms], kind="stable")[:STRIPS]])
    strips = []
    for i in chosen.tolist():
        before, after = np.nan_to_num((beats.rr_before[i], beats.rr_after[i]), nan=1.0)
        start = max(int((beats.seconds[i] - (1 + BESIDE) * before) * RATE), 0)
        stop = min(int((beats.seconds[i] + (1 + BESIDE) * after) * RATE), len(signal.samples))
        strips.append(Strip(i, np.arange(start, stop) / RATE, np.array(signal.samples[start:stop], float)))
    return strips


def _warnings(detector: Detector, dataset: Dataset, found: Lead, signal: Signal, anomalous: np.ndarray) -> list[str]:
    told = []
    trained_on = detector.model.facts.get("dataset", "another recording")
    if dataset.recording is None or dataset.recording != found.name:
        told.append(
            f"The model has seen another patient ({trained_on}), not this one: an alarm may say no more than that this "
            "is another heart. Train on the recording itself (README.md, Your own ECG)."
        )
    else:
        told.append(
            f"The model was trained on the first {dataset.minutes:g} minutes of a recording of this name. If this is "
            "that one, there are fewer alarms in them than there should be."
        )
    if anomalous.mean() > MANY:
        told.append(f"{anomalous.mean():.0%} of the beats raise an alarm: the model does not fit this recording.")
    if signal.inverted:
        told.append("Most beats of this lead reach further down than up; it was turned over before the scan.")
    lost = sum(signal.lost().values())
    if lost > LOST * found.seconds:
        told.append(f"{lost / found.seconds:.0%} of the recording is no ECG and was not scanned.")
    return told
