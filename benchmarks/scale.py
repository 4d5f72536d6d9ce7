"""What archives cost as they grow: `python -m benchmarks.scale`, after `dvc repro`.

beats        `ecg score FOLDER` of 10^5 to 10^8 beats: the test beats repeated with a little noise, in NPY files of
             100,000; from the eleventh on these are hard links to the first ten, so that no disk is measured
recordings   `ecg scan FOLDER` of 1 to 1,000 recordings of five minutes, without reports: cut from the records in
             `--records FOLDER` of patients to develop on, or from one real recording of five minutes
1 against 2  workers, and the command's own process, in turn, several times
a day        a recording of 24 hours with two leads, in one pass and in stretches

The start is that of a run of a few small inputs, and printed apart: what each costs is without it. The memory is the
largest that a process has had: the command's own, which has the scheduler, and that of the largest worker.
"""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks.workload import DEADLINE, day, start_ecg, write_beats, write_recordings
from ecg.recordings.reading.lead import duration_text

PART = 100_000  # beats of a part
LEAST = 5  # power of ten of the fewest beats
COUNTS = (1, 10, 100, 1000)  # recordings
FLAT_BEATS, FLAT_RECORDINGS = 10**6, 100  # from which on the cost of each should stay the same
SECONDS = 300.0  # of a recording
LEAST_SECONDS = 1.0  # beyond the start, below which a cost of each would be that of the start's own spread
STARTS = 3  # runs that the start is the median of
SMALL = 4  # inputs of such a run
SMALL_PART, SMALL_SECONDS = 100, 20.0  # of each of them
COMPARED_BEATS, COMPARED_RECORDINGS = 10**7, 200
FLATNESS, SPEED_UP = 0.2, 1.7  # aims
BILLION, DAYS = 10**9, 100_000  # that are extrapolated to
MANY = 100  # workers that are extrapolated to
TWO = ("--workers", "2")
WAYS: dict[str, tuple[str, ...]] = {"1 worker": ("--workers", "1"), "2 workers": TWO, "no workers": ()}


@dataclass(frozen=True)
class Kind:
    """A kind of archive.

    unit : what is counted
    arguments : of `ecg`
    write : a new folder of so many
    write_small : a new folder of a few small inputs
    """

    unit: str
    arguments: tuple[str, ...]
    write: Callable[[Path, int], None]
    write_small: Callable[[Path], None]


def main(
    most: Annotated[int, typer.Option(min=LEAST, help="Power of ten of the most beats.")] = 8,
    recordings: Annotated[int, typer.Option(min=1, help="The most recordings.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Of 1 worker against 2.")] = 3,
    records: Annotated[
        Path | None, typer.Option(help="Folder of annotated WFDB records of MIT-BIH.", show_default=False)
    ] = None,
) -> None:
    """Print the time, the rate and the memory of archives of growing size."""
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB of memory")
    beats = Kind(
        "beats",
        ("score",),
        lambda folder, number: write_beats(folder, number // PART, PART),
        lambda folder: write_beats(folder, SMALL, SMALL_PART),
    )
    scans = Kind(
        "recordings",
        ("scan", "--reports", "0"),
        lambda folder, number: write_recordings(folder, number, SECONDS, records),
        lambda folder: write_recordings(folder, SMALL, SMALL_SECONDS),
    )
    numbers = [10**power for power in range(LEAST, most + 1)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        per_beat = grow(beats, folder, numbers, FLAT_BEATS)
        grow(scans, folder, [count for count in COUNTS if count <= recordings], FLAT_RECORDINGS)
        compare(beats, folder, min(numbers[-1], COMPARED_BEATS), rounds)
        compare(scans, folder, min(recordings, COMPARED_RECORDINGS), rounds)
        per_day = measure_days(scans, folder)
    extrapolate(per_beat, per_day)


@dataclass(frozen=True)
class Cost:
    """Seconds, and the largest memory in MB that the command had, and any one of its workers; 0 without workers."""

    seconds: float
    command: float
    worker: float


def cost(arguments: tuple[str, ...], inputs: Path, *options: str) -> Cost:
    """Run `ecg` on a folder; the benchmark ends if it fails."""
    output = inputs.with_name("results")
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = start_ecg(*arguments, inputs, "--output", output, "--quiet", *options, errors=errors)
        client, workers = psutil.Process(process.pid), dict[int, float]()
        largest = 0.0
        while time.perf_counter() - start < DEADLINE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
                break
            largest = max(largest, _peak(client))
            for child in _children(client):
                workers[child.pid] = max(workers.get(child.pid, 0), _peak(child))
        seconds = time.perf_counter() - start
        if process.poll() != 0:
            process.kill()
            errors.seek(0)
            sys.exit(f"ecg {' '.join(arguments)}: status {process.returncode}\n{errors.read()}")
    shutil.rmtree(output)
    return Cost(seconds, largest, max(workers.values(), default=0))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:  # it has ended
        return []


def _peak(process: psutil.Process) -> float:
    """The largest resident memory of a process so far, in MB; psutil does not have it on Linux."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) * 1024 / 1e6 if found else 0
    return 0


def made(folder: Path, write: Callable[[Path], None]) -> Path:
    """A folder of inputs, written anew."""
    inputs = folder / "inputs"
    shutil.rmtree(inputs, ignore_errors=True)
    write(inputs)
    return inputs


def start_of(kind: Kind, folder: Path, *options: str) -> float:
    """The median seconds of a run of small inputs."""
    inputs = made(folder, kind.write_small)
    return statistics.median(cost(kind.arguments, inputs, *options).seconds for _ in range(STARTS))


def grow(kind: Kind, folder: Path, numbers: list[int], flat: int) -> float:
    """Print what archives of growing size cost with two workers; seconds for each input of the largest."""
    start = start_of(kind, folder, *TWO)
    per = "a million" if kind.unit == "beats" else "each"
    print(
        f"\n{kind.unit + ', 2 workers':>21}{'seconds':>9}{'start':>7}{'per second':>12}{per + ', s':>14}"
        f"{'command, MB':>13}{'a worker, MB':>14}"
    )
    each = dict[int, float]()
    for number in numbers:
        measured = cost(kind.arguments, made(folder, partial(_write, kind, number)), *TWO)
        each[number] = (measured.seconds - start) / number
        known = measured.seconds - start > LEAST_SECONDS
        rate, one = (1 / each[number], each[number] * (10**6 if kind.unit == "beats" else 1)) if known else ("-", "-")
        print(
            f"{number:>21,}{measured.seconds:>9.1f}{start:>7.1f}{_digits(rate):>12}{_digits(one):>14}"
            f"{measured.command:>13,.0f}{measured.worker:>14,.0f}",
            flush=True,
        )
    ratios = [f"{each[number] / each[flat]:.2f} at {number:,}" for number in numbers if number > flat]
    if ratios:
        print(f"the cost of each, against that at {flat:,}: {', '.join(ratios)} (aim: within {FLATNESS:.0%})")
    return each[numbers[-1]]


def _digits(figure: float | str) -> str:
    return figure if isinstance(figure, str) else f"{figure:,.3g}" if figure < 100 else f"{figure:,.0f}"


def _write(kind: Kind, number: int, folder: Path) -> None:
    kind.write(folder, number)


def compare(kind: Kind, folder: Path, number: int, rounds: int) -> None:
    """Print the seconds of one worker, of two, and of the command's own process, without their starts."""
    starts = {name: start_of(kind, folder, *options) for name, options in WAYS.items()}
    inputs, seconds = made(folder, partial(_write, kind, number)), {name: list[float]() for name in WAYS}
    for _ in range(rounds):
        for name, options in WAYS.items():
            seconds[name].append(cost(kind.arguments, inputs, *options).seconds - starts[name])
    print(f"\n{number:,} {kind.unit}, {rounds} rounds")
    for name, measured in seconds.items():
        spread = f"{min(measured):.1f} to {max(measured):.1f}"
        print(f"  {name:<11}{statistics.median(measured):7.1f} s ({spread}), and {starts[name]:.1f} s of start")
    ratios = [one / two for one, two in zip(seconds["1 worker"], seconds["2 workers"], strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  2 workers are {statistics.median(ratios):.2f} times as fast as 1 ({spread}; aim: {SPEED_UP})", flush=True)


def measure_days(kind: Kind, folder: Path) -> float:
    """Print what recordings of a day cost; seconds for each where two workers have two."""
    start = start_of(kind, folder, *TWO)
    inputs = folder / "inputs"
    shutil.rmtree(inputs)
    inputs.mkdir()
    leads = day()
    leads.write(inputs, "day")
    size = (inputs / "day.dat").stat().st_size / 1e6
    print(f"\nrecordings of 24 hours, 2 leads, {leads.rate:g} Hz, {size:,.0f} MB; seconds with the start")
    one, two = cost(kind.arguments, inputs), cost(kind.arguments, inputs, *TWO)
    leads.write(inputs, "night")
    both = cost(kind.arguments, inputs, *TWO)
    for name, measured in {
        "one, in one pass": one,
        "one, in stretches, 2 workers": two,
        "two, in stretches, 2 workers": both,
    }.items():
        largest = max(measured.command, measured.worker)
        print(f"  {name:<30}{measured.seconds:7.1f} s, at most {largest:,.0f} MB", flush=True)
    return (both.seconds - start) / 2


def extrapolate(per_beat: float, per_day: float) -> None:
    """Print what archives would take that are too large to be measured here."""
    print(f"\nextrapolated in a straight line from the largest above; {MANY} workers: of the speed of these, in step")
    for what, seconds in ((f"{BILLION:,} beats", BILLION * per_beat), (f"{DAYS:,} recorded days", DAYS * per_day)):
        print(f"  {what:<24}2 workers: {duration_text(seconds)}; {MANY}: {duration_text(seconds * 2 / MANY)}")
    print("  assumed: recordings as these (one lead of two is read and judged), on disks or networks that give each")
    print(
        "  worker its files as fast as this machine's cache; no time for reports, for copies, or for machines that fail"
    )


if __name__ == "__main__":
    typer.run(main)
