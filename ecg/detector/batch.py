"""Score a table of any length: verdicts out as beats come in, in memory that does not grow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from arro3.core import Array, DataType, RecordBatch

from ecg.detector import tables
from ecg.detector.detector import Detector
from ecg.detector.verdicts import Verdicts
from ecg.exceptions import BeatError, InputError

COLUMNS = ("beat", "score", "p_value", "anomalous")  # of verdicts; a label stands behind the beat
Follow = Callable[[int, float | None], None]  # beats scored so far, and the share of the table that they are, if known


@dataclass
class Tally:
    """How many beats were scored, and how many of them raised an alarm."""

    beats: int = 0
    alarms: int = 0


@dataclass(frozen=True)
class Source:
    """A table of beats to read once.

    file : open for reading bytes
    kind : of table, one of those in `ecg.detector.tables.INPUTS`
    name : what to call it in an error
    """

    file: BinaryIO
    kind: str
    name: str

    @classmethod
    def at(cls, path: Path, kind: str | None = None) -> "Source":
        """A file, of the kind that its name tells if none is given; InputError if that is unknown or there is none."""
        kind = kind or tables.kind_of(path, tables.INPUTS)
        return cls(tables.open_input(path), kind, str(path))


def score_table(
    detector: Detector,
    source: Source,
    file: BinaryIO,
    kind: str,
    alpha: float | None = None,
    follow: Follow = lambda _beats, _share: None,
) -> Tally:
    """Score every beat of a table; write a row for each: its place from 0, label, score, p-value and verdict.

    Parameters
    ----------
    file, kind : where to write, and what: one of those in `ecg.detector.tables.OUTPUTS`
    alpha : the accepted false-alarm rate; as calibrated if not given
    follow : is told how far it is

    Raises
    ------
    InputError
        if the table is damaged or is not of the model's beats, or if there is no verdict at this alpha.
    """
    tally = Tally()
    tables.write(file, kind, _rows(detector, source, alpha, tally, follow))
    return tally


def _rows(
    detector: Detector, source: Source, alpha: float | None, tally: Tally, follow: Follow
) -> Iterator[RecordBatch]:
    for block in tables.blocks(source.file, source.kind, detector.length, source.name):
        try:
            verdicts = detector.score(block.samples, alpha)
        except BeatError as error:
            raise InputError(f"{source.name}: {error.after(tally.beats)}") from None
        yield _batch(verdicts, tally.beats, block.labels, block.title)
        tally.beats += len(verdicts.score)
        tally.alarms += int(verdicts.anomalous.sum())
        follow(tally.beats, block.share)
    if not tally.beats:
        yield _batch(detector.score(np.empty((0, detector.length)), alpha), 0, None, "")


def _batch(verdicts: Verdicts, first: int, labels: list[str] | None, title: str) -> RecordBatch:
    n = len(verdicts.score)
    columns: dict[str, Any] = {"beat": Array.from_numpy(np.arange(first, first + n))}
    if labels is not None:
        name = f"label_{title}" if title in COLUMNS else title
        columns[name] = Array(labels, DataType.string())
    columns["score"] = Array.from_numpy(verdicts.score)
    if verdicts.p_value is not None:
        columns["p_value"] = Array.from_numpy(verdicts.p_value)
    columns["anomalous"] = Array.from_numpy(verdicts.anomalous)
    return RecordBatch.from_pydict(columns)
