"""A run over an archive: each input by itself; what is done stays, and one that fails does not end the others."""

import errno
import hashlib
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Any, ClassVar, Protocol

from ecg.archive import manifest, places
from ecg.archive.inputs import Input
from ecg.archive.manifest import Done, Settings
from ecg.archive.places import PlaceError
from ecg.exceptions import InputError
from ecg.files import sha256

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # which the next input would meet, too


@dataclass(frozen=True)
class Job(ABC):
    """What is done with each input of an archive.

    It is sent to each process that works; what it loads there, such as a model, it keeps as a cached property.

    folder : of the results
    """

    folder: str

    unit: ClassVar[str]  # of inputs, in the plural
    # What is in the folder beside the results of inputs; None if there may be anything, results of other inputs, too.
    kept: ClassVar[tuple[str, ...] | None] = ()

    @abstractmethod
    def settings(self) -> Settings:
        """What decides a result beside the content of the input."""

    @abstractmethod
    def load(self) -> None:
        """Load what is needed once in a process; InputError, which ends the run, if that cannot be used there."""

    @abstractmethod
    def do(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> dict[str, Any]:
        """Write the results of an input; what the run tells of it, as plain values.

        Parameters
        ----------
        place : where to open it: a path or an address
        stretches : what `stretch` gave of each of its stretches, if it has several

        Raises
        ------
        InputError
            if the input cannot be used; PlaceError or OSError, if results cannot be written.
        """

    @abstractmethod
    def results(self, name: str) -> list[str]:
        """The places of the results of an input of this name."""

    @abstractmethod
    def finish(self, inputs: Mapping[str, Input], done: Sequence[Done], workers: "Workers") -> dict[str, Any]:
        """Write what is of all inputs, which `inputs` has by their names; what the run tells of all."""

    def stretches(self, one: Input) -> int:
        """In how many stretches a long input may be worked on."""
        del one
        return 1

    def stretch(self, one: Input, part: int, parts: int) -> Any:
        """What can be computed of one stretch without the others."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """The job without what it has loaded."""
        cached = {
            name for kind in type(self).__mro__ for name, at in vars(kind).items() if isinstance(at, cached_property)
        }
        return {name: value for name, value in self.__dict__.items() if name not in cached}


@dataclass(frozen=True)
class Task:
    """An input to do, and the record of what came of it before, if there is one."""

    one: Input
    before: Done | None = None


class Workers(Protocol):
    """What works on inputs: this process, or others."""

    def results(self, job: Job, tasks: Sequence[Task]) -> Iterator[Done]:
        """What comes of each input, in any order."""


class Here:
    """One input after the other, in this process."""

    def results(self, job: Job, tasks: Sequence[Task]) -> Iterator[Done]:
        """What comes of each input, in order."""
        for task in tasks:
            yield work(job, task)


def work(job: Job, task: Task, stretches: Sequence[Any] = ()) -> Done:
    """Do one input: its results, then its record.

    Raises
    ------
    InputError, OSError
        if the job cannot be done here, or results cannot be written, which ends the run. All that is wrong with the
        input itself becomes a reason.
    """
    job.load()
    one, before, settings = task.one, task.before, manifest.hashed(job.settings())
    done = Done(one.name, one.source, one.size, one.stamp, "", settings, {})
    try:
        with places.fetched(one.files) as files:
            done = replace(done, sha256=_digest(one, files))
            if before is not None and (before.sha256, before.settings) == (done.sha256, settings) and before.lasts:
                return before.renewed(one).save(job.folder)
            if before is not None:
                manifest.forget(job.folder, one.name)
            return _do(job, one, done, str(files[0]) if files else one.source, stretches).save(job.folder)
    except (InputError, OSError) as error:
        if done.sha256 or (isinstance(error, OSError) and error.errno in DISK_FULL):
            raise
        return _failed(job, one, replace(done, reason=_said(error), lasts=False)).save(job.folder)


def given_up(job: Job, task: Task, reason: str) -> Done:
    """The record of an input that ends whatever works on it."""
    one = task.one
    done = Done(one.name, one.source, one.size, one.stamp, "", manifest.hashed(job.settings()), {}, reason, lasts=False)
    return _failed(job, one, done).save(job.folder)


def _do(job: Job, one: Input, done: Done, place: str, stretches: Sequence[Any]) -> Done:
    try:
        return replace(done, figures=job.do(one, place, stretches))
    except (PlaceError, OSError):
        raise
    except InputError as error:
        return _failed(job, one, replace(done, reason=str(error).replace(place, one.source)))
    except Exception as error:  # a defect of ours, or too little memory: reported, and tried again in the next run
        return _failed(job, one, replace(done, reason=f"{type(error).__name__}: {error}"[:1000], lasts=False))


def _failed(job: Job, one: Input, done: Done) -> Done:
    _remove(job, one.name)  # what there is of earlier content, or of an earlier model
    return done


def _remove(job: Job, name: str) -> None:
    for place in job.results(name):
        places.remove(place)


def _said(error: Exception) -> str:
    return f"it cannot be read: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)


def _digest(one: Input, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    if not one.files:  # what is read piece by piece; its stamp tells of all
        return sha256(one.stamp.encode())
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    inputs : all of them
    tasks : those to do
    done : the records of the others
    stale : records of what an input consisted of before, such as parts of an array that has become smaller
    """

    inputs: list[Input]
    tasks: list[Task]
    done: list[Done]
    stale: list[Done]

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(task.one.size for task in self.tasks)


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    done : the record of each input, by name
    before : how many of them were done before
    totals : of all inputs
    """

    done: list[Done]
    before: int
    totals: dict[str, Any]

    @property
    def failures(self) -> list[Done]:
        """The inputs without results."""
        return [done for done in self.done if done.reason is not None]


def plan(job: Job, inputs: Sequence[Input]) -> Plan:
    """What there is to do in a folder of results; InputError if it is not one, or one of other inputs."""
    records, sources, names = manifest.load(job.folder), {one.source for one in inputs}, {one.name for one in inputs}
    stale = [done for done in records.values() if done.name not in names and done.source in sources]
    if job.kept is not None:
        known = {*names, *(done.name for done in stale)}
        own = {*job.kept, *(_first(job, name) for name in known)}
        manifest.check_folder(job.folder, own, known, records)
    present = {file.path for file in places.found(job.folder)} if records else set[str]()
    settings, tasks, done = manifest.hashed(job.settings()), list[Task](), list[Done]()
    for one in inputs:
        before = records.get(one.name)
        if before is not None and before.reason is None and not present.issuperset(job.results(one.name)):
            before = None  # somebody has removed them
        if before is not None and before.of(one, settings) and before.lasts:
            done.append(before)
        else:
            tasks.append(Task(one, before))
    return Plan(list(inputs), tasks, done, stale)


def _first(job: Job, name: str) -> str:
    return job.results(name)[0].removeprefix(job.folder).strip("/").partition("/")[0]


def measured(job: Job, planned: Plan) -> tuple[Input, float]:
    """One input that there is to do, of a median size, and the seconds that it takes here; nothing of it is kept."""
    size = median_low(task.one.size for task in planned.tasks)
    one = next(task.one for task in planned.tasks if task.one.size == size)
    with tempfile.TemporaryDirectory(prefix="ecg-") as folder:
        trial = replace(job, folder=folder)
        work(trial, Task(one))  # the first one also loads what the others find loaded
        start = time.perf_counter()
        work(trial, Task(one))
        return one, time.perf_counter() - start


def run(
    job: Job, planned: Plan, workers: Workers | None = None, on_done: Callable[[Done], object] = lambda _done: None
) -> Outcome:
    """Do what a plan says, and write what is of all inputs.

    Parameters
    ----------
    workers : this process by default
    on_done : called with the record of each input

    Raises
    ------
    InputError, OSError
        if results cannot be written, or the workers are lost: what is done stays, and the next run does the rest.
    """
    done, workers = list(planned.done), workers or Here()
    if planned.tasks or planned.stale:
        manifest.begin(job.folder)
        for one in planned.stale:
            manifest.forget(job.folder, one.name)
            _remove(job, one.name)
        for one in workers.results(job, planned.tasks):
            done.append(one)
            on_done(one)
    done.sort(key=lambda one: one.name)
    totals = job.finish({one.name: one for one in planned.inputs}, done, workers)
    manifest.finish(job.folder, job.settings(), totals, [one for one in done if one.reason is not None])
    return Outcome(done, len(planned.done), totals)
