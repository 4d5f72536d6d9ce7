"""Recordings to what is learnt of each patient: a folder for each, which scans of the same names can be given."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ecg.archive import manifest, places
from ecg.archive.archive import Job, Workers
from ecg.archive.inputs import Input, recordings
from ecg.archive.manifest import Done, Settings
from ecg.archive.models import Hearts
from ecg.exceptions import InputError
from ecg.hearts.context import START_SECONDS
from ecg.hearts.learnt import BEATS, PATIENT
from ecg.hearts.model import HeartModel
from ecg.scanning.learning import learn

NAME = "learn"


@dataclass(frozen=True)
class LearnPatients(Job):
    """Learn the normal beats of a patient from each recording.

    hearts : the files of the model of normal hearts
    lead, rate, start, stop, annotations : as `ecg.learn` takes them
    """

    hearts: Hearts
    lead: int | str | None = None
    rate: float | None = None
    start: float = 0.0
    stop: float = START_SECONDS
    annotations: str | None = None

    unit: ClassVar[str] = "recordings"

    @cached_property
    def _model(self) -> HeartModel:
        return self.hearts.load()

    def load(self) -> None:
        """Load the model of normal hearts."""
        self._model  # noqa: B018 - which keeps it

    def settings(self) -> Settings:
        """The model, and the part of each recording that is learnt from."""
        options = ("lead", "rate", "start", "stop", "annotations")
        return {"job": NAME, "hearts": self.hearts.sha256} | {name: getattr(self, name) for name in options}

    def results(self, name: str) -> list[str]:
        """The two files of a patient, the one that makes the folder a model last."""
        return [places.within(self.folder, name, file) for file in (BEATS, PATIENT)]

    def do(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> dict[str, Any]:
        """Learn from a recording."""
        del stretches
        own = learn(
            place,
            self.lead,
            self.rate,
            start=self.start,
            stop=self.stop,
            annotations=self.annotations,
            model=self._model,
        )
        with tempfile.TemporaryDirectory(prefix="ecg-") as temporary:
            folder = Path(temporary, "patient")
            own.save(folder)
            for result in self.results(one.name):
                places.write(result, Path(folder, result.rpartition("/")[2]).read_bytes())
        return {"beats": own.source.beats}

    def finish(self, inputs: Mapping[str, Input], done: Sequence[Done], workers: Workers) -> dict[str, Any]:
        """How many patients there are, and beats that were learnt."""
        del inputs, workers
        beats = [one.figures["beats"] for one in done if one.reason is None]
        return {"recordings": len(beats), "failed": len(done) - len(beats), "beats": sum(beats)}


def learnt(folder: str) -> dict[str, Done] | None:
    """What was learnt of an archive, by the names of the recordings; None if the folder holds something else."""
    settings = manifest.finished(folder)
    return manifest.load(folder) if settings is not None and settings.get("job") == NAME else None


def with_learnt(inputs: Sequence[Input], folder: str, learnt_of: Mapping[str, Done]) -> list[Input]:
    """Recordings, each with what was learnt of the one of the same name.

    Raises
    ------
    InputError
        if nothing was learnt of one of them.
    """
    if missing := [one for one in inputs if one.name not in learnt_of or learnt_of[one.name].reason is not None]:
        raise InputError(
            f"{folder} has nothing learnt of {len(missing):,} recordings, such as {missing[0].name!r}: learn from "
            "recordings of the same names, or leave these out"
        )
    return [
        replace(
            one,
            model=places.within(folder, one.name),
            stamp=f"{one.stamp}; learnt {learnt_of[one.name].sha256} {learnt_of[one.name].settings}",
        )
        for one in inputs
    ]


def archive(inputs: Sequence[str], output: str, **options: Any) -> tuple[LearnPatients, list[Input]]:
    """What learns from the recordings that inputs name, and those recordings.

    Parameters
    ----------
    inputs : files, records, folders, patterns and addresses
    output : a folder, or its address
    options : of LearnPatients

    Raises
    ------
    InputError
        if an input names nothing.
    """
    job = LearnPatients(places.absolute(output), Hearts.shipped(), **options)
    return job, recordings(inputs, job.annotations, job.folder)
