"""Beats with their classes, and the text and array files that they are read from and written to.

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

    Parameters
    ----------
    samples : float ndarray of shape (n_beats, n_samples), in the dataset's units (ECG5000's are z-normalised)
    classes : integer ndarray of shape (n_beats,)
    """

    samples: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def length(self) -> int:
        """The number of samples in a beat."""
        return int(self.samples.shape[1])

    def counts(self, name: Callable[[int], str] = str) -> dict[str, int]:
        """The number of beats of each class, by the class's name."""
        labels, counts = np.unique(self.classes, return_counts=True)
        return {name(label): count for label, count in zip(labels.tolist(), counts.tolist(), strict=True)}

    def where(self, mask: np.ndarray) -> "Beats":
        """The beats for which `mask`, bool of shape (n_beats,), is true, in their order."""
        return Beats(self.samples[mask], self.classes[mask])


def parse(text: bytes, name: str) -> Beats:
    r"""Read beats from UCR text: the 2018 archive's TSV or the older fixed-width TXT.

    Own code: numpy.loadtxt skips blank lines, accepts "inf", and counts the row of an error from 0 or from 1.

    Parameters
    ----------
    text : the content of the file
    name : the file's name in error messages

    Raises
    ------
    InputError
        if the text is not a table of finite numbers with an integer class in the first column; the message names row
        and column, counted from 1.

    Examples
    --------
    >>> beats = parse(b"1 0.5 0.25\n2 0.5 -0.25\n", "mine.txt")
    >>> beats.classes, beats.samples.shape
    (array([1, 2], dtype=int32), (2, 2))
    >>> parse(b"1 0.5 0.25\n2 0.5 high\n", "mine.txt")
    Traceback (most recent call last):
    ecg.exceptions.InputError: mine.txt, row 2, column 3: 'high' is not a finite single-precision number
    """
    if not text.isascii():
        position = next(position for position, byte in enumerate(text, start=1) if byte > 127)
        raise InputError(f"{name}: byte {position} is not ASCII text; expected UCR TSV or TXT")
    rows: list[np.ndarray] = []
    blank = None
    for number, line in enumerate(io.BytesIO(text), start=1):  # line by line: a large file is not in memory twice
        fields = line.decode("ascii").split()
        if not fields:
            blank = blank or number
            continue
        if blank is not None:
            raise InputError(f"{name}, row {blank} is blank")
        row = _parse_row(fields, f"{name}, row {number}")
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"{name}, row {number}: {len(row) - 1} samples, but row 1 has {len(rows[0]) - 1}; "
                "all beats must have the same length"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{name} is empty; expected one beat a line")
    if len(rows[0]) < 3:
        raise InputError(f"{name}: a beat needs a class and at least 2 samples, but row 1 has {len(rows[0])} numbers")
    table = np.stack(rows)
    labels = table[:, 0]
    wrong = np.flatnonzero((labels != np.round(labels)) | (np.abs(labels) > np.iinfo(np.int32).max))
    if len(wrong):
        raise InputError(f"{name}, row {wrong[0] + 1}, column 1: the class must be an integer, not {labels[wrong[0]]}")
    return Beats(table[:, 1:], labels.astype(np.int32))


def _parse_row(fields: list[str], where: str) -> np.ndarray:
    numbers = []
    for column, field in enumerate(fields, start=1):
        try:
            number = float(field)
        except ValueError:
            number = float("nan")
        if not abs(number) <= _LARGEST or "_" in field:  # Python reads 1_000 as a number; UCR does not
            raise InputError(f"{where}, column {column}: {field[:20]!r} is not a finite single-precision number")
        numbers.append(number)
    return np.array(numbers)


def canonical(beats: Beats) -> bytes:
    """The canonical text of float64 `beats`, the same bytes for TSV and TXT files."""
    rows = zip(beats.classes.tolist(), beats.samples.tolist(), strict=True)
    return "".join("\t".join([str(label), *map(repr, samples)]) + "\n" for label, samples in rows).encode("ascii")


def save(path: Path, beats: Beats) -> None:
    """Write beats as .npz: `samples` float32 of shape (n, L) and `classes` int32 of shape (n,)."""
    write_arrays(path, samples=beats.samples.astype(np.float32), classes=beats.classes.astype(np.int32))


def load(path: str | Path) -> Beats:
    """Read a file of `save`; InputError if it is missing or of another kind."""
    return Beats(*read_arrays(Path(path), "samples", "classes"))
