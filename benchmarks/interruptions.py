"""Interrupt what writes files at random moments, and run it again: `python -m benchmarks.interruptions`.

repro: each trial starts in a temporary clone without data, models or cache. A first `dvc repro --force` gets one of
three signals at a random moment: Ctrl-C (SIGINT to all its processes), SIGKILL to all, or SIGKILL to DVC alone, whose
stage then continues as an orphan. A second `dvc repro` must end with the committed dvc.lock, and no file may be
outdated, incomplete or left over.

score, scan: `ecg score TABLE -o FILE`, in each format, and `ecg scan RECORD --report FOLDER` get SIGINT, SIGTERM or
SIGKILL. Each output must then be absent, or as before, or complete, to the byte; in half of the trials, an earlier
one is there. Hidden files that SIGKILL leaves are named; the same command must then end well beside them.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from benchmarks.clones import environment, make_clone, output_hashes
from benchmarks.deployment import strangers
from ecg.data import beats
from ecg.files import md5, sha256

FOLDERS = ("data", "models", "metrics", "plots")
REPRO = ["dvc", "repro", "--quiet"]
AGAIN = ["python", "-m", "stages", "--quiet"]  # which waits for a stage that goes on without its DVC
FORMATS = ("csv", "jsonl", "parquet")
BEATS = 200_000  # in the table; scoring them takes seconds

# By the number of a process that leads a group: the group has the same number.
SIGNALS: dict[str, Callable[[int], None]] = {
    "SIGINT to all": lambda pid: os.killpg(pid, signal.SIGINT),
    "SIGKILL to all": lambda pid: os.killpg(pid, signal.SIGKILL),
    "SIGKILL to DVC": lambda pid: os.kill(pid, signal.SIGKILL),
}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def main(
    trials: Annotated[int, typer.Option(min=1, help="Number of interruptions, of each command.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the random moments and signals.")] = 0,
    what: Annotated[
        Literal["repro", "score", "scan"] | None, typer.Option(help="What to interrupt.", show_default="all")
    ] = None,
) -> None:
    """Interrupt commands at random moments; status 1 if anything incomplete stays, or a second run does not repair."""
    ways = {"repro": interrupt_repro, "score": interrupt_score, "scan": interrupt_scan}
    failures = 0
    for name in [what] if what else list(ways):
        failed = 0
        for trial, (line, problem) in enumerate(ways[name](trials, random.Random(seed)), start=1):  # noqa: S311
            failed += bool(problem)
            print(f"{name} {trial:3}  {line}: {problem or 'whole'}", flush=True)
        print(f"{name}: {trials - failed} of {trials} leave nothing incomplete")
        failures += failed
    sys.exit(failures > 0)


def interrupt_repro(trials: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """Interrupt `dvc repro`; yields what was done, and what is wrong after a second run."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "clone")
        make_clone(clone)
        start = time.perf_counter()
        subprocess.run([*REPRO, "--force"], cwd=clone, env=environment(), check=True)
        duration = time.perf_counter() - start
        for _ in range(trials):
            name = generator.choice(list(SIGNALS))
            moment = generator.uniform(0, duration)
            problem = interrupt(clone, SIGNALS[name], moment)
            yield f"{name:<18} after {moment:5.2f} of {duration:.2f} s", problem


def interrupt(clone: Path, send_signal: Callable[[int], None], moment: float) -> str:
    """Interrupt a run after some seconds and run again: what is wrong then, or an empty text."""
    for path in ("data/raw", "data/processed", "models", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(clone / path, ignore_errors=True)
    repro = subprocess.Popen(
        [*REPRO, "--force"],
        cwd=clone,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment)
    send_signal(repro.pid)
    repro.wait()
    again = subprocess.run(
        AGAIN, cwd=clone, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if again.returncode:
        return f"dvc repro failed:\n{again.stdout}"
    return "; ".join(differences(clone))


def differences(clone: Path) -> list[str]:
    """How a clone differs from the last commit: in git, from the hashes in dvc.lock, by files that are left over."""
    problems = [f"git says {line}" for line in _git(clone, "status", "--porcelain")]
    hashes = output_hashes(clone)
    for path, expected in sorted(hashes.items()):
        if not (clone / path).exists():
            problems.append(f"{path} is missing")
        elif (clone / path).is_file() and md5(clone / path) != expected:
            problems.append(f"{path} does not have the hash in dvc.lock")
    expected_files = hashes.keys() | set(_git(clone, "ls-files", *FOLDERS))
    files = {
        path.relative_to(clone).as_posix() for top in FOLDERS for path in (clone / top).rglob("*") if path.is_file()
    }
    return problems + [f"{path} is left over" for path in sorted(files - expected_files)]


@dataclass(frozen=True)
class Command:
    """A command that writes files.

    arguments : of `python -m ecg`
    folder : where it runs
    output : the file or the folder that it writes there
    """

    arguments: Sequence[str]
    folder: Path
    output: str

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it."""
        command = [sys.executable, "-m", "ecg", *self.arguments]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self) -> dict[str, str]:
        """Run it to its end; the hashes of what it wrote."""
        if status := self.start().wait():
            sys.exit(f"ecg {' '.join(self.arguments)}: status {status}")
        return self.written()

    def written(self) -> dict[str, str]:
        """The hashes of the files that it wrote, by name."""
        path = self.folder / self.output
        files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
        return {file.name: sha256(file.read_bytes()) for file in files if file.is_file() and file.name[0] != "."}

    def remnants(self) -> list[Path]:
        """Hidden files and folders that it left beside or in its output."""
        places = {self.folder, (self.folder / self.output).parent, self.folder / self.output}
        return sorted(path for place in places if place.is_dir() for path in place.glob(".*"))

    def clear(self) -> None:
        """Remove what it wrote, and what it left."""
        for path in [*self.remnants(), self.folder / self.output]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def interrupt_score(trials: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """Interrupt `ecg score TABLE -o FILE`; yields what was done, and what is wrong then."""
    with _workspace() as folder:
        samples = beats.load("data/processed/test.npz").samples.astype(np.float32)
        np.save(folder / "beats.npy", np.resize(samples, (BEATS, samples.shape[1])))
        np.save(folder / "others.npy", samples)
        commands = []
        for ending in FORMATS:
            arguments = ["score", "beats.npy", "--output", f"out/verdicts.{ending}", "--quiet"]
            command = Command(arguments, folder, f"out/verdicts.{ending}")
            commands.append((command, Command([arguments[0], "others.npy", *arguments[2:]], folder, command.output)))
        yield from _interrupted(commands, trials, generator)


def interrupt_scan(trials: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """Interrupt `ecg scan RECORD --report FOLDER`; yields what was done, and what is wrong then."""
    with _workspace() as folder:
        strangers(folder)
        arguments = ["scan", "208", "--report", "report", "--quiet"]
        before = Command([*arguments, "--alpha", "0.01"], folder, "report")
        yield from _interrupted([(Command(arguments, folder, "report"), before)], trials, generator)


@contextmanager
def _workspace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree("models", Path(temporary, "models"))
        yield Path(temporary)


def _interrupted(
    commands: Sequence[tuple[Command, Command]], trials: int, generator: random.Random
) -> Iterator[tuple[str, str]]:
    """Interrupt commands in turn; the second of each pair makes an earlier output."""
    known = []
    for command, earlier in commands:
        before = earlier.run()
        command.clear()
        start = time.perf_counter()
        known.append((before, command.run(), time.perf_counter() - start))
    for trial in range(trials):
        command, earlier = commands[trial % len(commands)]
        before, after, duration = known[trial % len(commands)]
        end, moment, is_there = generator.choice(ENDS), generator.uniform(0, duration), generator.random() < 0.5
        command.clear()
        if is_there:
            earlier.run()
        process = command.start()
        time.sleep(moment)
        process.send_signal(end)
        process.wait()
        found, remnants = command.written(), command.remnants()
        problems = incomplete(found, before if is_there else {}, after)
        if remnants and end != signal.SIGKILL:
            problems.append(f"{remnants[0].name} is left over")
        if command.run() != after:
            problems.append("the next run writes something else")
        left = f", leaving {', '.join(path.name for path in remnants)}" if remnants else ""
        line = f"{end.name:<7} after {moment:5.2f} of {duration:.2f} s, {command.output}{left}"
        yield line, "; ".join(problems)


def incomplete(found: dict[str, str], before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The files, by their hashes, that are neither those of before nor those of after; and a mixture of both."""
    problems = [f"{name} is incomplete" for name in found if found[name] not in (before.get(name), after.get(name))]
    if not problems and found not in (before, after, {}):
        problems.append(f"of {', '.join(sorted(before | after))}, some are new, and others old or missing")
    return problems


def _git(folder: Path, *words: str) -> list[str]:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    typer.run(main)
