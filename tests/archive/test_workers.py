"""Dask's workers: the same results as in one process, and what is said of workers that end, differ or are not there."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from ecg import cluster
from ecg.archive import recordings as scanning
from ecg.archive import workers
from ecg.archive.archive import plan, run
from ecg.archive.inputs import Input
from ecg.archive.recordings import ScanRecordings
from ecg.archive.workers import Cluster
from ecg.exceptions import InputError
from tests.archive.conftest import DAMAGED, SCANNED, held, scan_all


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of two workers, which give an input up when a second one ends with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "FAILURES", 1)
        with cluster.started(2) as client:
            yield client


def test_several_workers_give_the_bytes_of_one_process_long_recordings_in_stretches(
    recordings: Path, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = scan_all([str(recordings)], tmp_path / "here", reports=1)
    monkeypatch.setattr(scanning, "STRETCH", 20_000)
    stretches = {one.name: _job(tmp_path).stretches(one) for one in scanning.recordings([str(recordings)])}
    assert stretches == {"first": 4, "later/second": 4, "later/broken": 1, "third": 1}  # a table is read whole
    there = scan_all([str(recordings)], tmp_path / "there", Cluster(client), reports=1)
    assert held(tmp_path / "there") == held(tmp_path / "here")
    assert there == here


def _job(folder: Path) -> ScanRecordings:
    job, _ = scanning.archive(["physionet:mitdb/100"], str(folder))
    return job


@dataclass(frozen=True)
class Deadly(ScanRecordings):
    """A job that ends the process that works on one of its inputs."""

    def do(self, one: Input, place: str, stretches: Any = ()) -> dict[str, Any]:
        if one.name == "first":
            os._exit(1)
        return super().do(one, place, stretches)


def test_an_input_that_ends_its_workers_is_given_up_and_the_others_are_done(
    recordings: Path, client: Client, tmp_path: Path
) -> None:
    job, inputs = scanning.archive([str(recordings)], str(tmp_path / "results"), reports=0)
    deadly = Deadly(**{field.name: getattr(job, field.name) for field in fields(job)})
    outcome = run(deadly, plan(deadly, inputs), Cluster(client))
    reasons = {done.name: done.reason for done in outcome.done}
    assert "ended at work on it" in reasons["first"]
    assert len(outcome.failures) < len(SCANNED)  # a neighbour may be given up with it
    again = run(job, plan(job, inputs), Cluster(client))
    assert [done.name for done in again.failures] == [DAMAGED]  # what was given up is tried again
    assert again.before >= 2


def test_workers_count_for_prometheus(recordings: Path, client: Client, tmp_path: Path) -> None:
    def count() -> str:
        import prometheus_client

        return prometheus_client.generate_latest().decode()

    scan_all([str(recordings / "first")], tmp_path, Cluster(client))
    counted = "".join(client.run(count).values())
    assert 'ecg_inputs_total{unit="recordings"}' in counted
    assert 'ecg_beats_total{unit="recordings"}' in counted


def test_workers_with_other_packages_are_told_once(
    recordings: Path, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = []
    here = workers._versions() | {"scipy": "1.0", "edfio": None}
    monkeypatch.setattr(workers, "_versions", lambda: here)
    scan_all([str(recordings / "first"), str(recordings / "third.csv")], tmp_path, Cluster(client, messages.append))
    assert 1 <= len(messages) <= 2  # of each worker
    assert "has other packages, which may change last digits: scipy" in messages[0]
    assert "(here 1.0), edfio" in messages[0]
    assert "(here not at all)" in messages[0]


def test_a_worker_without_this_package_is_told(client: Client, tmp_path: Path, recordings: Path) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'ecg'", name="ecg")

    job, inputs = scanning.archive([str(recordings / "first")], str(tmp_path), reports=0)
    team = Cluster(client)
    object.__setattr__(team, "_submit", lambda *_: client.submit(missing, pure=False))
    with pytest.raises(InputError, match=r"a worker has no ecg: install ecg-anomaly-detector\[archive\]"):
        run(job, plan(job, inputs), team)


def test_a_worker_that_writes_elsewhere_is_told(client: Client, tmp_path: Path, recordings: Path) -> None:
    job, inputs = scanning.archive([str(recordings / "first")], str(tmp_path / "here"), reports=0)
    planned = plan(job, inputs)
    (tmp_path / "here").symlink_to(tmp_path / "there")
    (tmp_path / "there").mkdir()

    class Elsewhere(Cluster):
        def _result(self, *arguments: Any) -> Any:
            result = super()._result(*arguments)
            (tmp_path / "here").unlink(missing_ok=True)  # as another machine's folder of this name is not seen here
            return result

    with pytest.raises(InputError, match="on its own machine: name a folder that all machines share"):
        run(job, planned, Elsewhere(client))


@pytest.mark.parametrize("listens", [True, False])
def test_a_scheduler_that_is_not_there_or_says_nothing_is_told_within_ten_seconds(
    listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(InputError, match=f"no Dask scheduler answers at {address}"), cluster.connected(address):
            pass
    assert time.monotonic() - start < 10


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="no Dask scheduler answers at nowhere"), cluster.connected("nowhere"):
        pass
