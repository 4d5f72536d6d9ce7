"""Rows of numbers in a file, for more of them than memory holds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from ecg.exceptions import InputError

REMEDY = "the environment variable TMPDIR names another folder"


class Rows:
    """Rows of float32 in a file, of which those that are asked for are copied into memory.

    They are read, not mapped into memory: with each row that is touched, the operating system may map 2 MB around it,
    and in the end all of the file.

    Parameters
    ----------
    path : of a file with `length` rows of `width` numbers, one after the other
    """

    def __init__(self, path: Path, length: int, width: int) -> None:
        self._path, self._length, self.width = path, length, width

    @classmethod
    def written(cls, path: Path, parts: Iterable[np.ndarray]) -> Self:
        """Write rows part by part, at least one; InputError if the disk is full.

        parts : float32 ndarrays of shape (any number, width)
        """
        length = width = 0
        with path.open("xb") as file:
            for part in parts:
                length, width = length + len(part), part.shape[1]
                try:
                    file.write(np.ascontiguousarray(part, np.float32).data)
                    file.flush()
                except OSError as error:
                    raise InputError(f"{path.parent} cannot take all beats ({error.strerror}); {REMEDY}") from None
        return cls(path, length, width)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, chosen: np.ndarray | slice) -> np.ndarray:
        """Copy a range of rows, or those at an array of indices of any shape: float32 of shape (..., width)."""
        if isinstance(chosen, slice):
            start, stop, _ = chosen.indices(self._length)
            rows = np.fromfile(self._path, np.float32, (stop - start) * self.width, offset=4 * start * self.width)
            return rows.reshape(-1, self.width)
        rows = np.empty((chosen.size, self.width), np.float32)
        with self._path.open("rb", buffering=0) as file:
            for row, index in zip(rows, chosen.ravel().tolist(), strict=True):
                file.seek(4 * self.width * index)
                file.readinto(row)
        return rows.reshape(*chosen.shape, self.width)
