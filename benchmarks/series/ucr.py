"""The UCR Anomaly Archive: 250 series with a normal start and one anomaly each.

Wu R, Keogh E. Current time series anomaly detection benchmarks are flawed and are creating the illusion of progress.
IEEE Transactions on Knowledge and Data Engineering 35(3), 2023 (arXiv 2009.13807).

The name of a file has what is known of its series: NUMBER_UCR_Anomaly_NAME_TRAINEND_START_END.txt. All three count from
1, and the anomaly includes its END (slides 4 to 6 of the archive's UCR_AnomalyDataSets.pptx).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from benchmarks.protocol.tasks import Result, Task
from benchmarks.series.detectors import DETECTORS
from ecg.exceptions import InputError
from ecg.files import sha256

TOLERANCE = 100  # samples beside the anomaly that are still right
INDEX = "index.csv"  # may stand beside the files, with a column `ecg`
ORIGINAL = "the archive has the right file: www.cs.ucr.edu/~eamonn/time_series_data_2018"
FILE_NAME = re.compile(
    r"(?P<number>\d+)_UCR_Anomaly_(?P<name>.+)_(?P<train>\d+)_(?P<start>\d+)_(?P<end>\d+)\.(txt|npy)"
)
COPY = re.compile("^(DISTORTED|NOISE)")  # these are other series of the archive, changed

# ECGs by their names. BIDMC is a plethysmogram; of CHARIS the archive does not say which of the recorded signals it is.
ECG = re.compile("ecg|sddb|ltstdb|qtdb|sel840|s20101|staffiii|fantasia", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """A series of the archive.

    name : as in the file's name, such as DISTORTEDsel840mECG2
    train_end : number of samples at the start that are normal
    start, end : the first and the last sample of the anomaly, counted from 1
    ecg : whether it is an ECG
    """

    path: Path
    number: int
    name: str
    train_end: int
    start: int
    end: int
    ecg: bool

    @classmethod
    def of(cls, path: Path, ecg: bool | None = None) -> Self:
        """What the name of a file says; InputError if it is not one of the archive's names.

        ecg : whether it is an ECG; by its name if this is None
        """
        if (match := FILE_NAME.fullmatch(path.name)) is None:
            raise InputError(f"{path}: the name should be NUMBER_UCR_Anomaly_NAME_TRAINEND_START_END.txt or .npy")
        name, (train_end, start, end) = match["name"], (int(match[key]) for key in ("train", "start", "end"))
        if not 0 < train_end < start <= end:
            raise InputError(f"{path}: in the name, {train_end}, {start}, {end} should rise; {ORIGINAL}")
        return cls(
            path, int(match["number"]), name, train_end, start, end, bool(ECG.search(name)) if ecg is None else ecg
        )

    @property
    def underlying(self) -> str:
        """The name without what marks a changed copy: one for a series and its distorted copy."""
        return COPY.sub("", self.name)

    def is_right(self, location: int) -> bool:
        """Whether a location, counted from 1, is at most TOLERANCE samples away from the anomaly."""
        return self.start - TOLERANCE <= location <= self.end + TOLERANCE

    def is_right_by_slides(self, location: int) -> bool:
        """Whether it is right by slide 4 of the archive's own slides.

        For anomalies longer than TOLERANCE, these accept locations up to the anomaly's length away from it.
        """
        length = self.end - self.start + 1
        return self.start - max(length, TOLERANCE) < location < self.end + max(length, TOLERANCE)

    def read(self) -> np.ndarray:
        """The values, float64 of shape (n,).

        Raises
        ------
        InputError
            If they are not finite numbers in one row or column, or end before the anomaly does.
        """
        values = _read_array(self.path) if self.path.suffix == ".npy" else _read_text(self.path)
        if values.size != max(values.shape, default=0):
            raise InputError(f"{self.path}: there should be one series of values, but the shape is {values.shape}")
        values = values.ravel()
        if len(values) < self.end:
            raise InputError(
                f"{self.path}: {len(values)} values; by its name, the anomaly ends at {self.end}; {ORIGINAL}"
            )
        if not (finite := np.isfinite(values)).all():
            raise InputError(f"{self.path}: value {finite.argmin() + 1} is {values[finite.argmin()]}; {ORIGINAL}")
        return values


def in_folder(folder: Path) -> list[Entry]:
    """The series in a folder, by their numbers; InputError if there are none, or one that is none of the archive.

    Files of other kinds are left aside.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one with the archive's files, UCR_Anomaly_FullData")
    paths = sorted(
        path for path in folder.iterdir() if "_UCR_Anomaly_" in path.name and path.suffix in (".txt", ".npy")
    )
    if not paths:
        raise InputError(f"{folder} holds no file NUMBER_UCR_Anomaly_NAME_TRAINEND_START_END.txt or .npy")
    known = _index(folder)
    entries = sorted((Entry.of(path, known.get(path.name)) for path in paths), key=lambda entry: entry.number)
    for one, other in pairwise(entries):
        if one.number == other.number:
            raise InputError(f"{one.path} and {other.path} have the same number: leave one of them")
    return entries


def task(entry: Entry) -> Task:
    """What decides the location that a detector names; InputError if the file is damaged."""
    entry.read()
    return {"file": entry.path.name, "content": sha256(entry.path.read_bytes())}


def locate(folder: Path, task: Task) -> Result:
    """The location that a detector names, counted from 1, and the seconds that it took.

    It is the sample of the highest score after the normal start.
    """
    entry = Entry.of(folder / task["file"])
    scores, seconds = DETECTORS[task["detector"]].timed(entry.read(), entry.train_end)
    after = scores[entry.train_end :]
    return {"location": np.array(entry.train_end + after.argmax() + 1), "seconds": np.array(seconds)}


def _index(folder: Path) -> Mapping[str, bool]:
    """Whether each file is an ECG, by its name, as the folder's index says."""
    if not (path := folder / INDEX).is_file():
        return {}
    try:
        table = pd.read_csv(path)
        return dict(zip(table["file"], table["ecg"].astype(bool), strict=True))
    except (KeyError, ValueError):  # pandas raises ValueErrors
        raise InputError(f"{path}: there should be a column `file` and a column `ecg` of 0 and 1") from None


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False).astype(float)
    except (ValueError, TypeError, EOFError):
        raise InputError(f"{path} is no array of numbers; {ORIGINAL}") from None


def _read_text(path: Path) -> np.ndarray:
    """Numbers, each in a line of its own or all in one, as some of the archive's files have them."""
    try:
        return np.array(path.read_text(encoding="ascii").split(), float)
    except ValueError as error:  # also where it is not ASCII
        raise InputError(f"{path}: {error}; {ORIGINAL}") from None
