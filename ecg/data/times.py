"""When each beat of a dataset was recorded: a table beside the text file of the beats."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from ecg.data.aami import NAMES
from ecg.data.beats import Beats
from ecg.exceptions import InputError
from ecg.files import read_bytes, write_bytes, write_csv

COLUMNS = ("part", "row", "class", "seconds", "rr_before", "rr_after", "quality")


@dataclass(frozen=True)
class Times:
    """The times and the signal quality of n beats of a recording.

    seconds : float ndarray of shape (n,), the time of the R peak, from the start of the recording
    rr_before, rr_after : float ndarrays of shape (n,), seconds to the R peaks before and after; NaN where there is none
    quality : float ndarray of shape (n,), 0 to 1 (`ecg.recordings.signals.ProcessedLead`)
    """

    seconds: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray
    quality: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The parts, one after another."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def save(path: Path, train: Beats, test: Beats, times: Times) -> None:
    """Write a row for each beat, training beats first: its row in the text file from 1, class, times and quality."""
    import pandas as pd

    parts = {"TRAIN": train, "TEST": test}
    sizes = [len(part) for part in parts.values()]
    table = {
        "part": np.repeat(list(parts), sizes),
        "row": np.concatenate([np.arange(1, size + 1) for size in sizes]),
        "class": [NAMES[label] for part in parts.values() for label in part.classes.tolist()],
    }
    write_csv(path, pd.DataFrame(table | vars(times), columns=COLUMNS))


def save_none(path: Path) -> None:
    """Write the header alone: an archive does not say when its beats were recorded."""
    write_bytes(path, f"{','.join(COLUMNS)}\n".encode())


def hours_of_test(path: Path) -> float | None:
    """How long the test part lasts; None if there are no times, InputError if the table is damaged."""
    import pandas as pd

    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), usecols=["part", "seconds"], dtype={"seconds": float})
        seconds = table["seconds"][table["part"] == "TEST"]
        if not np.isfinite(seconds).all():
            raise ValueError("a time is not a finite number")
    except ValueError as error:
        raise InputError(f"{path} does not hold the times of beats ({error}); `dvc repro` makes it anew") from None
    return float(seconds.max() - seconds.min()) / 3600 if len(seconds) > 1 else None
