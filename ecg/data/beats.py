"""Beats: what they are, how they are read, and what is refused.

The canonical form of a set of beats is the text of the 2018 UCR archive: one beat a line, the integer class, then the
samples, separated by tabs, every number in the shortest decimal that reads back to the same float64, LF line ends.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg.exceptions import InputError
from ecg.files import read_arrays, write_arrays

_LARGEST = float(np.finfo(np.float32).max)  # what models compute in


@dataclass(frozen=True)
class Beats:
    """Heartbeats with the classes that the dataset gives them.

    samples : float ndarray of shape (n_beats, n_samples), in the dataset's units (ECG5000's are z-normalised)
    classes : integer ndarray of shape (n_beats,)
    """

    samples: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return int(self.samples.shape[1])

    def counts(self, name: Callable[[int], str] = str) -> dict[str, int]:
        """How many beats there are of each class, by its name."""
        labels, counts = np.unique(self.classes, return_counts=True)
        return {name(label): count for label, count in zip(labels.tolist(), counts.tolist(), strict=True)}

    def where(self, chosen: np.ndarray) -> "Beats":
        """The beats that the boolean array `chosen` of shape (n_beats,) marks, in their order."""
        return Beats(self.samples[chosen], self.classes[chosen])


def parse(text: bytes, name: str) -> Beats:
    """Read beats from UCR text: the 2018 archive's TSV or the older fixed-width TXT.

    Parameters
    ----------
    text : the file's content
    name : what to call the file in an error

    Raises
    ------
    InputError
        if the text is empty or not a table of finite numbers with an integer class in front; the message names the row
        and the column, counted from 1.
    """
    if not text.isascii():
        place = next(place for place, byte in enumerate(text, start=1) if byte > 127)
        raise InputError(f"{name}: byte {place} is not ASCII text; expected UCR TSV or TXT")
    rows, blank = [], None
    for number, line in enumerate(io.BytesIO(text), start=1):  # a file of many beats is not held twice
        if not line.strip():
            blank = blank or number
        elif blank is not None:
            raise InputError(f"{name}, row {blank} is blank")
        else:
            rows.append(np.array(_row(line.decode("ascii"), f"{name}, row {number}")))
    if not rows:
        raise InputError(f"{name} is empty; expected one beat a line")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{name}, row {number}: {len(row) - 1} samples, but row 1 has {len(rows[0]) - 1}; "
                "all beats must have the same length"
            )
    if len(rows[0]) < 3:
        raise InputError(f"{name}: a beat needs a class and at least 2 samples, but row 1 has {len(rows[0])} numbers")
    table = np.stack(rows)
    labels = table[:, 0]
    odd = np.flatnonzero((labels != np.round(labels)) | (np.abs(labels) > np.iinfo(np.int32).max))
    if len(odd):
        raise InputError(f"{name}, row {odd[0] + 1}, column 1: the class must be an integer, not {labels[odd[0]]}")
    return Beats(table[:, 1:], labels.astype(np.int32))


def canonical(beats: Beats) -> bytes:
    """The canonical text of float64 `beats`: the same bytes whatever form they were read from."""
    rows = zip(beats.classes.tolist(), beats.samples.tolist(), strict=True)
    return "".join("\t".join([str(label), *map(repr, samples)]) + "\n" for label, samples in rows).encode("ascii")


def save(path: Path, beats: Beats) -> None:
    """Write beats as .npz: `samples` float32 of shape (n, L) and `classes` int32 of shape (n,)."""
    write_arrays(path, samples=beats.samples.astype(np.float32), classes=beats.classes.astype(np.int32))


def load(path: str | Path) -> Beats:
    """Read what `save` wrote; InputError if the file is missing or is something else."""
    return Beats(*read_arrays(Path(path), "samples", "classes"))


def _row(line: str, where: str) -> list[float]:
    row = []
    for column, field in enumerate(line.split(), start=1):
        try:
            number = float(field)
        except ValueError:
            number = float("nan")
        if not abs(number) <= _LARGEST or "_" in field:  # Python reads 1_000 as a number; UCR does not
            raise InputError(f"{where}, column {column}: {field[:20]!r} is not a finite single-precision number")
        row.append(number)
    return row
