"""Cells of the benchmark, computed by a Dask cluster of two processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.protocol import tasks
from benchmarks.protocol.tasks import Result, Task
from ecg.exceptions import InputError
from stages import cluster
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
TASKS = [{"n": n} for n in range(1, 5)]

Start = Callable[..., str]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a scheduler and workers with so many threads each; the scheduler's address."""
    processes = []

    def dask(*arguments: str | Path) -> None:
        command = [sys.executable, "-m", "dask", *map(str, arguments)]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def start(workers: int, threads: int = 1) -> str:
        folder = tmp_path_factory.mktemp("scheduler")
        file, of_each = folder / "scheduler.json", ("--nthreads", str(threads), "--local-directory", folder)
        dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file)
        for _ in range(workers):
            dask("worker", "--scheduler-file", file, *of_each, "--no-nanny", "--no-dashboard")
        from distributed import Client

        while not file.is_file():
            time.sleep(0.05)
        with Client(scheduler_file=str(file)) as client:
            if workers:
                client.wait_for_workers(workers)
            return client.scheduler.address

    yield start
    for process in processes:
        process.kill()  # a worker that is asked to end waits for its scheduler
        process.wait()


@pytest.fixture(scope="module")
def scheduler(start: Start) -> str:
    return start(workers=2)


@pytest.fixture
def on_cluster(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster.SCHEDULER, scheduler)


def computed(workers: int) -> list[Result]:
    own = os.getpid()

    def work(task: Task) -> Result:  # of no module that a worker could import
        values = np.random.default_rng(task["n"]).normal(size=task["n"])
        return {"values": values, "elsewhere": np.array(os.getpid() != own)}

    return tasks.compute("work", TASKS, work, workers, dependencies=[])


@pytest.mark.usefixtures("on_cluster")
def test_cells_are_computed_by_the_cluster_and_are_those_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "cluster")
    there = computed(workers=2)
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "here")
    here = computed(workers=1)  # one after the other, as where time is measured: that stays on this machine
    assert [bool(result["elsewhere"]) for result in (*there, *here)] == [True] * 4 + [False] * 4
    for one, other in zip(there, here, strict=True):
        np.testing.assert_array_equal(one["values"], other["values"])


@pytest.mark.parametrize(("workers", "threads", "found"), [(0, 1, "there are no workers"), (1, 2, "has 2 threads")])
def test_a_cluster_whose_workers_would_mix_their_random_numbers_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch, workers: int, threads: int, found: str
) -> None:
    monkeypatch.setenv(cluster.SCHEDULER, start(workers, threads))
    with pytest.raises(InputError, match=rf"{found}; start them by .*--nthreads 1"), cluster.joined():
        pass


def test_an_address_where_nothing_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster.SCHEDULER, "tcp://127.0.0.1:9")
    monkeypatch.setattr("ecg.cluster.CONNECT_SECONDS", 0.2)
    message = r"^no Dask scheduler answers at tcp://127\.0\.0\.1:9"
    with pytest.raises(InputError, match=message), cluster.joined():
        pass


@pytest.mark.parametrize("address", ["", None])
def test_without_an_address_nothing_changes(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv(cluster.SCHEDULER, raising=False)
    else:
        monkeypatch.setenv(cluster.SCHEDULER, address)
    from joblib.parallel import get_active_backend

    before = type(get_active_backend()[0])
    with cluster.joined():
        assert type(get_active_backend()[0]) is before
