"""Interrupt `dvc repro` at random moments and run it again: `python -m benchmarks.interruptions`.

Each trial starts in a temporary clone without data, models or cache. A first `dvc repro --force` gets one of three
signals at a random moment: Ctrl-C (SIGINT to all its processes), SIGKILL to all, or SIGKILL to DVC alone, whose stage
then continues as an orphan. A second `dvc repro` must end with the committed dvc.lock, and no file may be outdated,
incomplete or left over.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.clones import environment, make_clone, output_hashes
from ecg.files import md5

FOLDERS = ("data", "models", "metrics", "plots")
REPRO = ["dvc", "repro", "--quiet"]

# By the number of a process that leads a group: the group has the same number.
SIGNALS: dict[str, Callable[[int], None]] = {
    "SIGINT to all": lambda pid: os.killpg(pid, signal.SIGINT),
    "SIGKILL to all": lambda pid: os.killpg(pid, signal.SIGKILL),
    "SIGKILL to DVC": lambda pid: os.kill(pid, signal.SIGKILL),
}


def main(
    trials: Annotated[int, typer.Option(min=1, help="Number of interruptions.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the random moments and signals.")] = 0,
) -> None:
    """Interrupt `dvc repro` at random moments; status 1 if a second run does not repair all."""
    generator, failures = random.Random(seed), 0  # noqa: S311
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "clone")
        make_clone(clone)
        start = time.perf_counter()
        subprocess.run([*REPRO, "--force"], cwd=clone, env=environment(), check=True)
        duration = time.perf_counter() - start
        for trial in range(1, trials + 1):
            name = generator.choice(list(SIGNALS))
            moment = generator.uniform(0, duration)
            problem = interrupt(clone, SIGNALS[name], moment)
            failures += bool(problem)
            print(f"{trial:3}  {name:<18} after {moment:5.2f} of {duration:.2f} s: {problem or 'repaired'}", flush=True)
    print(f"{trials - failures} of {trials} repaired")
    sys.exit(failures > 0)


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
        REPRO, cwd=clone, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
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


def _git(folder: Path, *words: str) -> list[str]:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    typer.run(main)
