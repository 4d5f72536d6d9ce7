"""The reconstruction errors of normal training beats: what train records and calibrate reads."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ecg.exceptions import InputError
from ecg.files import FLOAT32_DIGITS, read_bytes, write_csv


@dataclass(frozen=True)
class TrainingErrors:
    """The reconstruction errors of the normal training beats.

    fold : int ndarray of shape (n_beats,), the ensemble's member that did not see the beat
    fitted : float32 ndarray of shape (n_beats,), mean error under the members that were fitted to the beat
    held_out : the same under the member that was not; None if there is no such member (train.folds: 1)
    """

    fold: np.ndarray
    fitted: np.ndarray
    held_out: np.ndarray | None

    @property
    def calibrating(self) -> np.ndarray:
        """The errors that stand for those of new beats: held-out ones, or the fitted ones where there are none."""
        return self.fitted if self.held_out is None else self.held_out

    def save(self, path: Path) -> None:
        """Write as CSV, one row a beat, in full float32 precision."""
        columns = {"fold": self.fold, "fitted": self.fitted}
        if self.held_out is not None:
            columns["held_out"] = self.held_out
        write_csv(path, list(columns), zip(*columns.values(), strict=True), FLOAT32_DIGITS)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; InputError if the file is missing or holds anything but finite errors."""
        try:
            rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode("ascii"))))
            fold = np.array([int(row["fold"]) for row in rows])
            errors = {k: np.array([row[k] for row in rows], np.float32) for k in ("fitted", "held_out") if k in rows[0]}
            loaded = cls(fold, errors["fitted"], errors.get("held_out"))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError(f"{path} does not hold errors ({error!r}); `dvc repro` makes it anew") from None
        bad = np.flatnonzero(~(np.isfinite(loaded.calibrating) & np.isfinite(loaded.fitted)))
        if len(bad):
            raise InputError(f"{path}, row {bad[0] + 2}: an error is not a finite number; `dvc repro` makes it anew")
        return loaded
