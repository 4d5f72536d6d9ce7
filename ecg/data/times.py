"""When each beat of a dataset was, in a table beside its canonical text."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from ecg.data.aami import NAMES
from ecg.data.beats import Beats
from ecg.exceptions import InputError
from ecg.files import read_bytes, write_csv

COLUMNS = ("part", "row", "class", "seconds", "rr_before", "rr_after", "quality")


@dataclass(frozen=True)
class Times:
    """When n beats of a recording were, and how well they can be seen.

    seconds : float ndarray of shape (n,), when the R peak is, from the start of the recording
    rr_before, rr_after : float ndarrays of shape (n,), seconds to the R peaks before and after; NaN where there is none
    quality : float ndarray of shape (n,), 0 to 1 (`ecg.recordings.signals.Signal`)
    """

    seconds: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray
    quality: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of them as one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def save(path: Path, train: Beats, test: Beats, times: Times) -> None:
    """Write a row for each beat, those of training first: its row in the text from 1, time, RR intervals, quality."""
    columns = (times.seconds, times.rr_before, times.rr_after, times.quality)
    places = [
        (part, row, NAMES[label])
        for part, of in (("TRAIN", train), ("TEST", test))
        for row, label in enumerate(of.classes.tolist(), start=1)
    ]
    shown = [["" if np.isnan(value) else value for value in row] for row in zip(*columns, strict=True)]
    write_csv(path, COLUMNS, [(*place, *row) for place, row in zip(places, shown, strict=True)])


def save_none(path: Path) -> None:
    """Write the header alone: of the beats of an archive, nobody has kept the times."""
    write_csv(path, COLUMNS, [])


def hours_of_test(path: Path) -> float | None:
    """How long the test part lasts; None if there are no times, InputError if the table is damaged."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode())))
        seconds = [float(row["seconds"]) for row in rows if row["part"] == "TEST"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not hold the times of beats ({error!r}); `dvc repro` makes it anew") from None
    return (max(seconds) - min(seconds)) / 3600 if len(seconds) > 1 else None
