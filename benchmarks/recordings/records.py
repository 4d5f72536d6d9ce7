"""Annotated recordings in a folder or on PhysioNet, one patient each, and who is for development, who for reporting."""

from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
import yaml

from ecg.exceptions import InputError
from ecg.recordings.classes import Annotations, annotated_beats, beat_classes, match_beats
from ecg.recordings.reading import Lead

LISTS = Path("hearts/patients.yaml")


class Patients(StrEnum):
    """Which patients are taken, of those that hearts/patients.yaml names."""

    ALL = "all"
    DEVELOPMENT = "development"
    REPORTING = "reporting"


def listed(name: str) -> set[str]:
    """The records of a list in hearts/patients.yaml, as DATABASE/RECORD."""
    lists = yaml.safe_load(LISTS.read_text(encoding="utf-8"))
    return {f"{database}/{record}" for database, records in lists[name].items() for record in records}


@dataclass(frozen=True)
class Record:
    """A recording.

    name : DATABASE/RECORD, the database being the folder's name
    path : as `ecg.recordings.reading.open_lead` takes it
    """

    name: str
    path: str


def in_folder(folder: Path, patients: Patients) -> list[Record]:
    """The annotated WFDB records in a folder and the folders in it, sorted by name; InputError if there are none."""
    headers = [header for header in sorted(folder.resolve().rglob("*.hea")) if header.with_suffix(".atr").is_file()]
    records = [Record(f"{header.parent.name}/{header.stem}", str(header.with_suffix(""))) for header in headers]
    return _chosen(records, patients, f"{folder} holds no annotated WFDB record (.hea and .atr)")


def on_physionet(database: str, patients: Patients) -> list[Record]:
    """The records of a PhysioNet database."""
    from wfdb.io.record import get_record_list

    with redirect_stdout(None):
        names = get_record_list(database)
    records = [Record(f"{database}/{name}", f"physionet:{database}/{name}") for name in names]
    return _chosen(records, patients, f"PhysioNet has no records of {database}")


def _chosen(records: Iterable[Record], patients: Patients, message: str) -> list[Record]:
    names = None if patients is Patients.ALL else listed(patients)
    chosen = [record for record in records if names is None or record.name in names]
    if not chosen:
        raise InputError(message if names is None else f"{message}, or none for {patients} ({LISTS})")
    return chosen


def outside_flutter(annotations: Annotations | None, seconds: np.ndarray) -> np.ndarray:
    """Which times are outside annotated ventricular flutter, bool of shape (n,).

    ANSI/AAMI EC57 leaves flutter out where beats are compared: its waves are no beats.
    """
    outside = np.full(len(seconds), True)
    if annotations is not None:
        begins, ends = (
            [second for second, symbol in zip(annotations.seconds, annotations.symbols, strict=True) if symbol == mark]
            for mark in "[]"
        )
        for begin in begins:
            outside &= (seconds < begin) | (seconds > min((end for end in ends if end > begin), default=np.inf))
    return outside


@dataclass(frozen=True)
class Annotated:
    """The beats of a recording that are judged, beside the annotated ones.

    labels : int ndarray of shape (n,), the class of each judged beat; 0 without annotation
    detected, judged : bool ndarrays of shape (m,), whether an R peak was detected at each annotated beat, and whether
        it was judged, too
    countable : bool ndarray of shape (m,), whether each annotated beat is outside flutter
    seconds, classes : ndarrays of shape (m,), of the annotated beats
    r_peaks : the number of detected R peaks outside flutter
    """

    labels: np.ndarray
    detected: np.ndarray
    judged: np.ndarray
    countable: np.ndarray
    seconds: np.ndarray
    classes: np.ndarray
    r_peaks: int

    @classmethod
    def of(cls, lead: Lead, r_peak_seconds: np.ndarray, judged: np.ndarray) -> Self:
        """Of the R peaks at some seconds, and the indices of those that are judged; InputError without annotations."""
        if lead.annotations is None:
            raise InputError(f"{lead.recording} has no annotations")
        seconds, classes = annotated_beats(lead.annotations)
        matches = match_beats(seconds, r_peak_seconds)
        labels = beat_classes(lead.annotations, r_peak_seconds)[judged]
        countable = outside_flutter(lead.annotations, seconds)
        r_peaks = int(outside_flutter(lead.annotations, r_peak_seconds).sum())
        return cls(labels, matches >= 0, np.isin(matches, judged), countable, seconds, classes, r_peaks)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many beats are annotated, how many R peaks are detected, and how many match, outside flutter."""
        return int(self.countable.sum()), self.r_peaks, int((self.detected & self.countable).sum())

    def missed(self, label: int, after: float) -> int:
        """How many annotated beats of a class after some seconds were not judged."""
        return int((~self.judged & (self.classes == label) & (self.seconds >= after)).sum())
