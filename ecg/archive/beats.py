"""Tables of beats to Parquet parts of the same names, with the verdict on each beat."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecg.archive import places
from ecg.archive.archive import Job, Workers
from ecg.archive.inputs import Input, tables
from ecg.archive.manifest import Done, Settings
from ecg.archive.models import Files
from ecg.detector.batch import score_batches, score_table
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL, Device
from ecg.detector.tables import BeatTable
from ecg.detector.zarr_array import ZarrArray
from ecg.exceptions import InputError

PART = 2**18  # beats of a part of a Zarr array, at least; a file is one part


@dataclass(frozen=True)
class ScoreBeats(Job):
    """Score tables of beats.

    model : the files of the model
    alpha : the accepted false-alarm rate; None as calibrated
    device : that computes
    """

    model: Files
    alpha: float | None = None
    device: Device = "cpu"

    unit: ClassVar[str] = "parts"

    @cached_property
    def detector(self) -> Detector:
        """The detector, loaded once in a process."""
        with self.model.folder() as folder:
            return Detector.load(folder, self.device)

    def load(self) -> None:
        """Load the detector."""
        self.detector  # noqa: B018 - which keeps it

    def settings(self) -> Settings:
        """The model, the false-alarm rate and the device, which changes last digits."""
        return {"job": "score", "model": self.model.sha256, "alpha": self.alpha, "device": self.device}

    def results(self, name: str) -> list[str]:
        """The Parquet file of the verdicts."""
        return [places.within(self.folder, f"{name}.parquet")]

    def do(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> dict[str, Any]:
        """Score a table."""
        del stretches
        (result,) = self.results(one.name)
        if one.rows is None:
            table = BeatTable.open(Path(place))
            with table.file, places.writing(result) as file:
                tally = score_table(self.detector, table, file, "parquet", self.alpha)
        else:
            batches = ZarrArray.open(place, self.detector.length).batches(*one.rows)
            with places.writing(result) as file:
                tally = score_batches(self.detector, batches, place, file, "parquet", self.alpha, first=one.rows[0])
        return {"beats": tally.beats, "alarms": tally.alarms}

    def finish(self, inputs: Mapping[str, Input], done: Sequence[Done], workers: Workers) -> dict[str, Any]:
        """How many parts, beats and alarms there are."""
        del inputs, workers
        figures = [one.figures for one in done if one.reason is None]
        return {
            "parts": len(figures),
            "beats": sum(part["beats"] for part in figures),
            "alarms": sum(part["alarms"] for part in figures),
        }


def archive(
    inputs: Sequence[str], output: str, models: Path, alpha: float | None = None, device: Device = "cpu"
) -> tuple[ScoreBeats, list[Input]]:
    """What scores the tables that inputs name, and those tables.

    Parameters
    ----------
    inputs : files, folders, patterns and addresses
    output : a folder, or its address
    models : the folder of the model
    alpha, device : as those of ScoreBeats

    Raises
    ------
    InputError
        if the model cannot be used, or no verdict at this alpha is possible; if an input names nothing.
    """
    job = ScoreBeats(places.absolute(output), Files.of(models, MODEL, CALIBRATION), alpha, device)
    detector = Detector.load(models)  # the device may be one that only workers have
    detector.score(np.empty((0, detector.length)), alpha)  # it tells what is wrong with them, before all else
    return job, tables(inputs, lambda array: _parts(array, detector.length), job.folder)


def _parts(array: Input, length: int) -> Iterator[Input]:
    """The parts of a Zarr array, of whole chunks; one that cannot be read is left as it is, and read in its turn."""
    try:
        opened = ZarrArray.open(array.source, length)
    except InputError:
        yield array
        return
    rows = ceil(PART / opened.rows) * opened.rows
    for start in range(0, max(opened.beats, 1), rows):
        stop = min(start + rows, opened.beats)
        size = round(array.size * (stop - start) / max(opened.beats, 1))
        yield replace(array, name=f"{array.name}/{start:012d}", size=size, rows=(start, stop))
