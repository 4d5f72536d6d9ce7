"""Rows of numbers in a file, for more of them than memory holds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from ecg.exceptions import InputError

REMEDY = "the environment variable TMPDIR names another folder"


class Rows:
    """Rows of float32 in a file, of which those that are asked for come into memory.

    The file is mapped only while rows are copied from it, so that what was read once does not stay in memory.

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
        rows = np.asarray(np.memmap(self._path, np.float32, "r", shape=(self._length, self.width)))[chosen]
        return rows.copy() if isinstance(chosen, slice) else rows  # an array of indices has copied them already
