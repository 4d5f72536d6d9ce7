"""Dask's workers as what works on an archive: tasks, what comes of them, and what is reported of workers."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from itertools import islice
from typing import Any

from distributed import Client, as_completed, get_worker
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from ecg.archive import places
from ecg.archive.archive import Job, Task, given_up, work
from ecg.archive.manifest import DONE, Done
from ecg.exceptions import InputError

AHEAD = 2000  # tasks that the scheduler knows of at a time, so that its memory does not grow with the archive
# Which decide a result.
PACKAGES = ("ecg-anomaly-detector", "numpy", "onnxruntime", "pandas", "pyarrow", "scipy", "wfdb", "edfio")

OnVersions = Callable[[str], object]  # called with a sentence about a worker whose packages are others than here


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask cluster.

    client : of the cluster
    on_versions : called once for each worker whose packages are others than here
    reported : what it was called with
    """

    client: Client
    on_versions: OnVersions = lambda _sentence: None
    reported: set[str] = field(default_factory=set)

    @property
    def threads(self) -> int:
        """How many inputs are worked on at a time, now."""
        return sum(self.client.nthreads().values())

    def results(self, job: Job, tasks: Sequence[Task]) -> Iterator[Done]:
        """What comes of each input, in the order in which they are done.

        Raises
        ------
        InputError
            if the scheduler is lost, if a worker lacks this package or does not see the folder of the results, or if
            results cannot be written.
        """
        versions, seen = _versions(), False
        waiting, tasks_of = iter(tasks), dict[str, Task]()

        def submit(shared: Any, task: Task) -> Any:
            future = self._submit(job, shared, task)
            tasks_of[future.key] = task
            return future

        try:
            self._check_packages(job)
            shared = self.client.submit(_itself, job, pure=False)  # made anew by the scheduler if its worker dies
            running = as_completed([submit(shared, task) for task in islice(waiting, AHEAD)])
            for future in running:
                task = tasks_of.pop(future.key)
                done, worker, theirs = self._result(job, task, future)
                for sentence in _differences(worker, theirs, versions):
                    if sentence not in self.reported:
                        self.reported.add(sentence)
                        self.on_versions(sentence)
                if not seen and theirs is not None:
                    _check_seen(job.folder, done, worker)
                    seen = True
                yield done
                running.update(submit(shared, task) for task in islice(waiting, 1))
        except FutureCancelledError:
            raise self._lost() from None
        except OSError as error:
            if self.client.status != "running" or isinstance(error, CommClosedError):
                raise self._lost() from None
            raise error

    def _check_packages(self, job: Job) -> None:
        """InputError if the scheduler or a worker lacks a package: a worker would end, and nobody would say why."""
        self.client.wait_for_workers(1)
        answers = self.client.run(_take, type(job), on_error="return")
        try:
            self.client.run_on_scheduler(_take, type(job))
        except Exception as error:  # of the type that Dask has for one that it cannot send
            answers = {self._where(): error} | answers
        for where, answer in answers.items():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # rather than a lost connection
                raise InputError(
                    f"{where} cannot read the work ({answer}): install ecg-anomaly-detector[archive] of this version "
                    "on the scheduler and on all workers"
                )

    def _submit(self, job: Job, shared: Any, task: Task) -> Any:
        parts = job.stretches(task.one)
        if parts == 1:
            return self.client.submit(_work, shared, task, pure=False)
        stretches = [self.client.submit(_stretch, shared, task.one, part, parts, pure=False) for part in range(parts)]
        return self.client.submit(_join, shared, task, stretches, pure=False)

    def _result(self, job: Job, task: Task, future: Any) -> tuple[Done, str, dict[str, str | None] | None]:
        """What came of a task, on which worker, and that worker's packages."""
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            reason = f"{error.last_worker.address} ended at work on it, as others did before: has it enough memory?"
            return given_up(job, task, reason), "", None
        if isinstance(error, ModuleNotFoundError):
            raise InputError(
                f"a worker has no {error.name}: install ecg-anomaly-detector[archive] of this version on all workers"
            )
        if isinstance(error, (InputError, OSError)):
            raise error
        if error is None:
            raise self._lost()
        raise InputError(f"Dask could not run {task.one.source}: {type(error).__name__}: {error}")

    def _where(self) -> str:
        scheduler: Any = self.client.scheduler
        return f"the scheduler at {scheduler.address}" if scheduler is not None else "the scheduler"

    def _lost(self) -> InputError:
        return InputError(f"{self._where()} is gone: what is done stays; run the same command again")


def _take(job: type[Job]) -> None:
    del job


def _itself(job: Job) -> Job:
    return job


def _stretch(job: Job, one: Any, part: int, parts: int) -> Any:
    _share_threads()
    try:
        return job.stretch(one, part, parts)
    except Exception:  # it is reported when the whole is done
        return None


# Not _work: of tasks of one name with few dependencies, Dask gives a worker only as many as it has threads, so that a
# worker that ends takes no others along.
def _join(job: Job, task: Task, stretches: list[Any]) -> tuple[Done, str, dict[str, str | None]]:
    return _work(job, task, () if any(part is None for part in stretches) else stretches)


def _work(job: Job, task: Task, stretches: Sequence[Any] = ()) -> tuple[Done, str, dict[str, str | None]]:
    from ecg.archive import counters

    _share_threads()
    done = work(job, task, stretches)
    counters.count(job.unit, done)
    return done, get_worker().address, _versions()


@cache
def _share_threads() -> None:
    """Let ONNX Runtime's batches have as many threads as the worker has tasks at a time, not one for each core."""
    os.environ["LOKY_MAX_CPU_COUNT"] = str(get_worker().state.nthreads)


@cache
def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _differences(worker: str, theirs: dict[str, str | None] | None, here: dict[str, str | None]) -> Iterator[str]:
    others = [
        f"{name} {theirs[name] or 'not at all'} (here {here[name] or 'not at all'})"
        for name in here
        if theirs is not None and theirs.get(name) != here[name]
    ]
    if others:
        yield f"the worker {worker} has other packages, which may change last digits: {', '.join(others)}"


def _check_seen(folder: str, done: Done, worker: str) -> None:
    if places.content(places.within(folder, DONE, f"{done.name}.json")) is None:
        raise InputError(
            f"the worker {worker} writes to {folder} on its own machine: name a folder that all machines share, or an "
            "address of a store"
        )
