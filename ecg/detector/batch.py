"""Score a table of any length: verdicts are written as beats are read, so that memory does not grow."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ecg.detector import tables
from ecg.detector.detector import Detector
from ecg.detector.tables import BeatBatch, BeatTable
from ecg.exceptions import BeatError, InputError

COLUMNS = ("beat", "score", "p_value", "anomalous")  # of the output; the label comes after the beat
OnProgress = Callable[[int, float | None], None]  # beats scored so far, and their share of the table if it is known


@dataclass
class Tally:
    """How many beats were scored, and how many of them raised an alarm."""

    beats: int = 0
    alarms: int = 0


def score_table(
    detector: Detector,
    table: BeatTable,
    file: BinaryIO,
    file_format: str,
    alpha: float | None = None,
    on_progress: OnProgress = lambda _beats, _share: None,
) -> Tally:
    """Score every beat of a table and write a row for each: its index from 0, label, score, p-value and verdict.

    Parameters
    ----------
    file : to write to
    file_format : of the output, one of those in `ecg.detector.tables.OUTPUTS`
    alpha : the accepted false-alarm rate; by default that of the calibration
    on_progress : called after every batch

    Raises
    ------
    InputError
        if the table is damaged, if its beats do not fit the model, or if no verdict at this alpha is possible.
    """
    batches = table.batches(detector.length)
    return score_batches(detector, batches, table.name, file, file_format, alpha, on_progress=on_progress)


def score_batches(
    detector: Detector,
    batches: Iterable[BeatBatch],
    name: str,
    file: BinaryIO,
    file_format: str,
    alpha: float | None = None,
    *,
    first: int = 0,
    on_progress: OnProgress = lambda _beats, _share: None,
) -> Tally:
    """Score batches of beats as `score_table` does; `first` is the index of the first beat, `name` of their table."""
    tally = Tally()
    tables.write(file, file_format, _scored(detector, batches, alpha, name, first, tally, on_progress))
    return tally


def _scored(
    detector: Detector,
    batches: Iterable[BeatBatch],
    alpha: float | None,
    name: str,
    first: int,
    tally: Tally,
    on_progress: OnProgress,
) -> Iterator[Any]:
    for batch in batches:
        yield _verdicts(detector, batch, alpha, name, first, tally)
        on_progress(tally.beats, batch.share_read)
    if not tally.beats:
        yield _verdicts(detector, BeatBatch(np.empty((0, detector.length))), alpha, name, first, tally)


def _verdicts(detector: Detector, batch: BeatBatch, alpha: float | None, name: str, first: int, tally: Tally) -> Any:
    """The verdicts on a batch as a pyarrow RecordBatch; counts them in the tally."""
    import pyarrow as pa

    start = first + tally.beats
    try:
        verdicts = detector.score(batch.samples, alpha)
    except BeatError as error:
        raise InputError(f"{name}: {error.after(start)}") from None
    columns: dict[str, Any] = {"beat": np.arange(start, start + len(verdicts.score))}
    if batch.labels is not None:
        label_name = f"label_{batch.label_name}" if batch.label_name in COLUMNS else batch.label_name
        columns[label_name] = pa.array(batch.labels, pa.string())
    columns["score"] = verdicts.score
    if verdicts.p_value is not None:
        columns["p_value"] = verdicts.p_value
    columns["anomalous"] = verdicts.anomalous
    tally.beats += len(verdicts.score)
    tally.alarms += int(verdicts.anomalous.sum())
    return pa.RecordBatch.from_pydict(columns)
