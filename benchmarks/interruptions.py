"""Interrupt `dvc repro` at random moments and run it again: `python -m benchmarks.interruptions`.

Each trial starts in a temporary clone without data, models or cache. A first `dvc repro --force` gets one of three
signals at a random moment: Ctrl-C (SIGINT to all its processes), SIGKILL to all, or SIGKILL to DVC alone, whose stage
then goes on as an orphan. A second `dvc repro` must end in the committed dvc.lock, with no file that is stale, half or
left over.
"""

import argparse
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

from benchmarks.clones import environment, make_clone, outputs
from ecg.files import md5

FOLDERS = ("data", "models", "metrics", "plots")
REPRO = ["dvc", "repro", "--quiet"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30, help="how many (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    arguments = parser.parse_args()
    chance, failures = random.Random(arguments.seed), 0  # noqa: S311
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "clone")
        make_clone(folder)
        start = time.perf_counter()
        subprocess.run([*REPRO, "--force"], cwd=folder, env=environment(), check=True)
        whole = time.perf_counter() - start
        for trial in range(1, arguments.trials + 1):
            name = chance.choice(list(SIGNALS))
            moment = chance.uniform(0, whole)
            wrong = interrupt(folder, SIGNALS[name], moment)
            failures += bool(wrong)
            print(f"{trial:3}  {name:<18} after {moment:5.2f} of {whole:.2f} s: {wrong or 'mended'}", flush=True)
    print(f"{arguments.trials - failures} of {arguments.trials} mended")
    sys.exit(failures > 0)


def interrupt(folder: Path, send: Callable[[int], None], moment: float) -> str:
    """What is wrong after an interruption and another run; nothing, if all is well."""
    for gone in ("data/raw", "data/processed", "models", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / gone, ignore_errors=True)
    repro = subprocess.Popen(
        [*REPRO, "--force"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment)
    send(repro.pid)
    repro.wait()
    again = subprocess.run(
        REPRO, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if again.returncode:
        return f"dvc repro failed:\n{again.stdout}"
    return "; ".join(differences(folder))


# Of a process that leads a group, whose number is its own.
SIGNALS: dict[str, Callable[[int], None]] = {
    "SIGINT to all": lambda pid: os.killpg(pid, signal.SIGINT),
    "SIGKILL to all": lambda pid: os.killpg(pid, signal.SIGKILL),
    "SIGKILL to DVC": lambda pid: os.kill(pid, signal.SIGKILL),
}


def differences(folder: Path) -> list[str]:
    """How a clone differs from what is committed: in git, by the hashes in dvc.lock, in files that do not belong."""
    wrong = [f"git says {line}" for line in _git(folder, "status", "--porcelain")]
    outs = outputs(folder)
    for path, expected in sorted(outs.items()):
        if not (folder / path).exists():
            wrong.append(f"{path} is missing")
        elif (folder / path).is_file() and md5(folder / path) != expected:
            wrong.append(f"{path} is not what dvc.lock says")
    known = outs.keys() | set(_git(folder, "ls-files", *FOLDERS))
    files = (path for top in FOLDERS for path in (folder / top).rglob("*") if path.is_file())
    there = {path.relative_to(folder).as_posix() for path in files}
    return wrong + [f"{path} is left over" for path in sorted(there - known)]


def _git(folder: Path, *words: str) -> list[str]:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    main()
