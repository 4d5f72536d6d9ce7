"""When each beat of a dataset was, in a table beside its canonical text."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg.beats import Beats
from ecg.exceptions import InputError
from ecg.files import read_bytes, write_csv
from ecg.recordings.classes import NAMES

if TYPE_CHECKING:  # which needs what reading recordings does
    from ecg.recordings.cutting import Cut

COLUMNS = ("part", "row", "class", "seconds", "rr_before", "rr_after", "quality")


def save(path: Path, train: Beats, test: Beats, cut: "Cut") -> None:
    """Write a row for each beat, those of training first: its row in the text from 1, time, RR intervals, quality."""
    columns = (cut.seconds, cut.rr_before, cut.rr_after, cut.quality)
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
