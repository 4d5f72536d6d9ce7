"""The reconstruction errors of normal training beats, which train writes and calibrate reads."""

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

    Parameters
    ----------
    fold : int ndarray of shape (n_beats,), the ensemble member that was not fitted to the beat
    fitted : float32 ndarray of shape (n_beats,), mean error under the members that were fitted to the beat
    held_out : the same under the member that was not; None if there is no such member (train.folds: 1)
    """

    fold: np.ndarray
    fitted: np.ndarray
    held_out: np.ndarray | None

    @property
    def calibrating(self) -> np.ndarray:
        """The errors to calibrate on: the held-out errors, or the fitted ones if there are none."""
        return self.fitted if self.held_out is None else self.held_out

    def save(self, path: Path) -> None:
        """Write as CSV, one row a beat, in full float32 precision."""
        import pandas as pd  # here: the detector imports this module, and must not need pandas

        columns = {"fold": self.fold, "fitted": self.fitted, "held_out": self.held_out}
        table = pd.DataFrame({name: values for name, values in columns.items() if values is not None})
        write_csv(path, table, FLOAT32_DIGITS)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; InputError if it is missing, or not of finite errors in folds numbered from 0."""
        import pandas as pd

        types = {"fold": int, "fitted": np.float32, "held_out": np.float32}
        try:
            content = io.BytesIO(read_bytes(path))
            table = pd.read_csv(content, dtype=types, encoding="ascii", index_col=False, float_precision="round_trip")
            if table.empty:
                raise ValueError("no rows")
            held_out = table["held_out"].to_numpy() if "held_out" in table else None
            loaded = cls(table["fold"].to_numpy(), table["fitted"].to_numpy(), held_out)
        except (ValueError, KeyError, OverflowError) as error:
            raise InputError(f"{path} does not hold errors ({error!r}); `dvc repro` makes it anew") from None
        bad = np.flatnonzero(~(np.isfinite(loaded.calibrating) & np.isfinite(loaded.fitted)))
        if len(bad):
            raise InputError(f"{path}, row {bad[0] + 2}: an error is not a finite number; `dvc repro` makes it anew")
        folds = np.unique(loaded.fold)
        if not np.array_equal(folds, np.arange(len(folds))):
            raise InputError(f"{path}: the folds are not numbered from 0 without gaps; `dvc repro` makes it anew")
        return loaded
