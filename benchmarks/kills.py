"""Archives whose workers, scheduler or client are killed: `python -m benchmarks.kills`, after `dvc repro`.

An archive of short recordings and one of tables of beats are worked on by `dask scheduler` and `dask worker` on this
machine, with two workers. Each case must end with a folder of results that equals, to the byte and file for file, that
of a run in one process that nothing disturbs.

workers killed     SIGKILL for a worker that is chosen at random, at random moments of the work; Dask starts another
scheduler killed   the command must end with a message; a second one, on a new scheduler, does the rest
client killed      SIGKILL for the command: nothing may look finished; a second one does the rest
damaged            one recording in ten: the results of the others are equal, and the reasons are listed
1, 2, 4 workers    `--workers`
a day              of a recording of 24 hours in stretches, against one pass

Status 1 if one of them is not equal.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.workload import DEADLINE, Processes, cluster, day, hashes, start_ecg, write_beats, write_recordings
from ecg.archive.manifest import DONE, MANIFEST
from ecg.archive.recordings import ALARMS, STRETCH

SECONDS = 60.0  # of a recording
BEATS = 50_000  # of a table
SOME = (0.2, 0.6)  # of the inputs that are done when the scheduler or the client is killed
SETTLED = 3  # seconds, after which the workers of a client that was killed have ended what they were at
WIDTHS = (32, 80, 6, 9)


def main(
    seed: Annotated[int, typer.Option(help="Of the random moments and workers.")] = 0,
    kills: Annotated[int, typer.Option(min=1, help="Of workers, in each archive.")] = 20,
    number: Annotated[int, typer.Option("--recordings", min=30, help="And half as many tables.")] = 200,
) -> None:
    """Kill what works on archives, and compare the results."""
    generator, bad = random.Random(seed), 0  # noqa: S311
    _print_row("case", "what was done", "equal", "seconds")
    with tempfile.TemporaryDirectory() as temporary:
        for result in cases(Path(temporary), generator, kills, number):
            bad += bool(result.problem)
            _print_row(result.case, result.what, "NO" if result.problem else "yes", f"{result.seconds:.1f}")
            for line in [*result.lines, *([result.problem] if result.problem else [])]:
                print(f"    {line}", flush=True)
    sys.exit(f"{bad} cases are not equal" if bad else 0)


def _print_row(case: str, what: str, equal: str, seconds: str) -> None:
    print(f"{case:<{WIDTHS[0]}}{what:<{WIDTHS[1]}}{equal:>{WIDTHS[2]}}{seconds:>{WIDTHS[3]}}", flush=True)


@dataclass(frozen=True)
class Result:
    """What came of a case.

    problem : what is wrong; empty if nothing is
    lines : printed below
    """

    case: str
    what: str
    problem: str
    seconds: float
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """Inputs, where results of them are written, and what they are in an undisturbed run, by the files' hashes."""

    name: str
    arguments: tuple[str, ...]
    inputs: Path
    output: Path
    count: int
    expected: dict[str, str]

    @classmethod
    def of(cls, name: str, inputs: Path, count: int, *arguments: str) -> "Archive":
        """Do it in one process."""
        archive = cls(name, arguments, inputs, inputs.with_name(f"{inputs.name}-results"), count, {})
        _ended(archive.start())
        return cls(name, arguments, inputs, archive.output, count, hashes(archive.output))

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """Start the command."""
        return start_ecg(*self.arguments, self.inputs, "--output", self.output, *options)

    def clear(self) -> None:
        """Remove the results."""
        shutil.rmtree(self.output, ignore_errors=True)

    @property
    def done(self) -> int:
        """How many inputs are done."""
        return sum(1 for _ in (self.output / DONE).rglob("[!.]*.json"))

    def wait(self, process: "subprocess.Popen[str]", done: int) -> None:
        """Wait until so many inputs are done, or the command has ended."""
        while process.poll() is None and self.done < done:
            time.sleep(0.01)

    def differences(self) -> str:
        """How the results differ from those of the undisturbed run."""
        return differences(hashes(self.output), self.expected)


def differences(found: dict[str, str], expected: dict[str, str]) -> str:
    """The first files that are missing, left over or other than expected, by their hashes; empty if there are none."""
    kinds = {
        "missing": sorted(expected.keys() - found.keys()),
        "left over": sorted(found.keys() - expected.keys()),
        "other": sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name]),
    }
    return "; ".join(f"{len(names)} {kind}, such as {names[0]}" for kind, names in kinds.items() if names)


def cases(folder: Path, generator: random.Random, kills: int, number: int) -> Iterator[Result]:
    """Each case in turn."""
    write_recordings(folder / "recordings", number, SECONDS)
    write_beats(folder / "tables", number // 2, BEATS)
    scan, score = ("scan", "--reports", "3"), ("score",)
    archives = []
    for name, count, command in (("recordings", number, scan), ("tables", number // 2, score)):
        start = time.perf_counter()
        archive = Archive.of(name, folder / name, count, *command)
        yield Result(f"{name}, undisturbed", f"one process, {count} {name}", "", time.perf_counter() - start)
        archives.append(archive)
    recordings = archives[0]
    for archive in archives:
        yield timed(archive, "workers killed", partial(kill_workers, folder / "cluster", generator, kills))
        yield timed(archive, "scheduler killed", partial(kill_scheduler, folder / "cluster", generator))
        yield timed(archive, "client killed", partial(kill_client, folder / "cluster", generator))
    yield damage(recordings, folder / "whole")
    for workers in (1, 2, 4):
        yield timed(recordings, f"{workers} workers", partial(run_workers, workers))
    yield stretches(folder)


def timed(archive: Archive, case: str, disturb: Callable[[Archive], tuple[str, str]]) -> Result:
    """Disturb a run, which tells what it did, and what is wrong."""
    archive.clear()
    start = time.perf_counter()
    what, problem = disturb(archive)
    return Result(f"{archive.name}, {case}", what, problem or archive.differences(), time.perf_counter() - start)


def kill_workers(folder: Path, generator: random.Random, kills: int, archive: Archive) -> tuple[str, str]:
    """Kill a random worker, at random moments between the first result and the last."""
    with cluster(folder) as processes:
        command = archive.start("--scheduler", processes.address, "--quiet")
        killed = kill_some(archive, command, processes, generator, kills, archive.count * 9 // 10)
        _ended(command)
    return f"SIGKILL for {killed} workers", "" if killed == kills else f"only {killed} were killed"


def kill_some(
    archive: Archive,
    command: "subprocess.Popen[str]",
    processes: Processes,
    generator: random.Random,
    kills: int,
    most: int,
) -> int:
    """Kill random workers at random moments before so many inputs are done; how many were killed."""
    killed = 0
    for done in sorted(generator.choices(range(1, most), k=kills)):
        archive.wait(command, done)
        time.sleep(generator.uniform(0, 0.2))
        killed += command.poll() is None and kill_one(processes, generator)
    return killed


def kill_one(processes: Processes, generator: random.Random) -> bool:
    """Kill a random worker, when there is one."""
    for _ in range(1000):
        if workers := processes.workers():
            generator.choice(workers).kill()
            return True
        time.sleep(0.01)
    return False


def kill_scheduler(folder: Path, generator: random.Random, archive: Archive, kills: int = 0) -> tuple[str, str]:
    """Kill the scheduler in the middle, after so many workers, and run again on a new one."""
    with cluster(folder) as processes:
        command, some = archive.start("--scheduler", processes.address, "--quiet"), _some(archive, generator)
        kill_some(archive, command, processes, generator, kills, some)
        archive.wait(command, some)
        processes.scheduler.kill()
        start = time.perf_counter()
        _, said = command.communicate(timeout=DEADLINE)
        seconds = time.perf_counter() - start
    if command.returncode != 1 or not re.fullmatch(r"error: .*run the same command again\n", said):
        return "SIGKILL for the scheduler", f"the command ended with status {command.returncode}: {said[-2000:]}"
    problem = _unfinished(archive)
    with cluster(folder) as processes:
        rest, again = _rest(archive, processes)
    return f"SIGKILL for it, told after {seconds:.1f} s; {rest}", problem or again


def kill_client(folder: Path, generator: random.Random, archive: Archive) -> tuple[str, str]:
    """Kill the command in the middle, and run it again on the same cluster."""
    with cluster(folder) as processes:
        command = archive.start("--scheduler", processes.address, "--quiet")
        archive.wait(command, _some(archive, generator))
        command.kill()
        command.communicate()
        time.sleep(SETTLED)
        problem = _unfinished(archive)
        rest, again = _rest(archive, processes)
    return f"SIGKILL for it; {rest}", problem or again


def _some(archive: Archive, generator: random.Random) -> int:
    return round(archive.count * generator.uniform(*SOME))


def _unfinished(archive: Archive) -> str:
    """What looks finished, or is not whole, of a run that was killed."""
    found = {name: value for name, value in hashes(archive.output).items() if not Path(name).name.startswith(".")}
    if MANIFEST in found:
        return f"{MANIFEST} is there"
    other = [name for name, value in found.items() if archive.expected.get(name) != value]
    return f"{other[0]} is not whole" if other else ""


def _rest(archive: Archive, processes: Processes) -> tuple[str, str]:
    """Run the command again: how many inputs were done before, and what is wrong if none or all were."""
    said = _ended(archive.start("--scheduler", processes.address))
    before = re.search(r"\(([\d,]+) done before\)", said)
    count = int(before[1].replace(",", "")) if before else 0
    problem = "" if 0 < count < archive.count else f"{count} were done before"
    return f"{count} were done before, {archive.count - count} by a second run", problem


def run_workers(workers: int, archive: Archive) -> tuple[str, str]:
    """Let workers of the command's own do it."""
    _ended(archive.start("--workers", str(workers), "--quiet"))
    return f"--workers {workers}", ""


def stretches(folder: Path) -> Result:
    """A recording of a day by two workers in stretches, against one pass."""
    inputs = folder / "day"
    inputs.mkdir()
    day().write(inputs, "day")
    archive = Archive.of("a day", inputs, 1, "scan")
    result = timed(archive, "in stretches", partial(run_workers, 2))
    parts = ceil(sum(path.stat().st_size for path in inputs.iterdir()) / STRETCH)
    totals = json.loads((archive.output / MANIFEST).read_text())["totals"]
    what = f"{parts} stretches by 2 workers: {totals['beats']:,} beats, {totals['alarms']:,} alarms"
    return Result(result.case, what, result.problem, result.seconds)


# What is done to a record, by its header and its signal file.
def _cut(header: Path, _signals: Path) -> None:
    header.write_bytes(header.read_bytes()[:10])


def _text(header: Path, _signals: Path) -> None:
    header.write_text("The lead was off.\n")


def _empty(header: Path, _signals: Path) -> None:
    header.write_bytes(b"")


def _no_rate(header: Path, _signals: Path) -> None:
    header.write_text(header.read_text().replace(" 360 ", " 0 ", 1))


def _no_gain(header: Path, _signals: Path) -> None:
    header.write_text(re.sub(r" 16 \S+/mV", " 16 nan/mV", header.read_text()))


def _elsewhere(header: Path, signals: Path) -> None:
    header.write_text(header.read_text().replace(signals.name, f"../{signals.name}"))


def _missing(_header: Path, signals: Path) -> None:
    signals.unlink()


def _no_samples(_header: Path, signals: Path) -> None:
    signals.write_bytes(b"")


def _only_missing(_header: Path, signals: Path) -> None:
    signals.write_bytes(b"\x00\x80" * (signals.stat().st_size // 2))  # as format 16 writes what is not a number


def _flat(_header: Path, signals: Path) -> None:
    signals.write_bytes(bytes(signals.stat().st_size))


DAMAGES = (_cut, _text, _empty, _no_rate, _no_gain, _elsewhere, _missing, _no_samples, _only_missing, _flat)


def damage(archive: Archive, whole: Path) -> Result:
    """Damage one recording in ten, in a copy in the place of the whole archive."""
    archive.clear()
    archive.inputs.rename(whole)
    shutil.copytree(whole, archive.inputs, copy_function=os.link)
    damaged = sorted(archive.inputs.glob("*.hea"))[::10]
    for number, header in enumerate(damaged):
        signals = header.with_suffix(".dat")
        for path in (header, signals):
            shutil.copy2(path, path.with_suffix(".copy"))
            path.with_suffix(".copy").replace(path)  # the whole one stays as it is
        DAMAGES[number % len(DAMAGES)](header, signals)
    start = time.perf_counter()
    _ended(archive.start("--workers", "2", "--quiet"), status=1)
    seconds = time.perf_counter() - start
    failures = json.loads((archive.output / MANIFEST).read_text())["failures"]
    names = {header.stem for header in damaged}
    found, expected = (_of_others(files, names) for files in (hashes(archive.output), archive.expected))
    problem = differences(found, expected)
    if {Path(source).stem for source in failures} != names:
        problem = f"other reasons are listed than those of {len(names)} damaged recordings: {failures}"
    shutil.rmtree(archive.inputs)
    whole.rename(archive.inputs)
    reasons = [failures.get(str(header), "").replace(f"{header.parent}/", "") for header in damaged[: len(DAMAGES)]]
    what = f"{len(damaged)} of {archive.count}; {len(failures)} reasons listed, among them:"
    return Result(f"{archive.name}, damaged", what, problem, seconds, tuple(reasons))


def _of_others(files: dict[str, str], names: set[str]) -> dict[str, str]:
    """The results of other recordings, by themselves."""
    own = re.compile(rf"{ALARMS}/recording=(\w+)/|episodes/recording=(\w+)/|{DONE}/(\w+)\.json")
    return {
        path: value
        for path, value in files.items()
        if (match := own.match(path)) and match[match.lastindex or 0] not in names
    }


def _ended(process: "subprocess.Popen[str]", status: int = 0) -> str:
    """What a command printed; the benchmark ends if its status is another one."""
    printed, said = process.communicate(timeout=DEADLINE)
    if process.returncode != status:
        sys.exit(f"ecg ended with status {process.returncode}:\n{said}")
    return printed


if __name__ == "__main__":
    typer.run(main)
