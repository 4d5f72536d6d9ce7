"""`dvc repro`, once no other is at work here, then its figures: `python -m stages`, with the options of `dvc repro`.

DVC itself refuses the second of two runs, names the process that is at work, and ends with status 255.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ecg.exceptions import InputError, exit_on_error
from stages import DVC, LOCK
from stages.ending import ending

TURN = DVC / "tmp" / "repro.lock"  # whose turn it is, of those that wait
BUSY = DVC / "tmp" / "rwlock"  # where DVC notes which process uses which file
PERIOD = 0.2  # seconds
WHOLE = {"-f", "--force", "-v", "--verbose"}  # options with which `dvc repro` brings all up to date, and says so


def main() -> None:
    """Run `dvc repro` when it is this process's turn; exit with its status."""
    with exit_on_error():
        if not DVC.is_dir():
            raise InputError(f"{Path.cwd()} is not the root of the repository: run it from there")
        TURN.parent.mkdir(exist_ok=True)
        lock = FileLock(TURN)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"waiting for another `python -m stages` that is at work in {Path.cwd()}", file=sys.stderr)
            lock.acquire()
        with lock:
            while True:
                wait_for(others())
                with FileLock(LOCK):  # held by a stage that is still at work, though its DVC was killed
                    pass
                status = subprocess.run(["dvc", "--wait-for-lock", "repro", *sys.argv[1:]], check=False).returncode  # noqa: S607
                if status == 0 and WHOLE.issuperset(sys.argv[1:]):
                    print(ending(), end="")
                if status == 0 or not others():  # an error of its own
                    sys.exit(status)


def others() -> dict[int, str]:
    """The commands of DVC that use files of this repository, by their processes."""
    try:
        busy = json.loads(BUSY.read_bytes())
        entries = [*busy.get("write", {}).values(), *(one for many in busy.get("read", {}).values() for one in many)]
        return {entry["pid"]: entry["cmd"] for entry in entries if _is_dvc(entry["pid"])}
    except (OSError, ValueError):  # there is none, or it is being written
        return {}


def _is_dvc(process: int) -> bool:
    """Whether a process of this number runs, and is DVC's: after a crash, the number may be another's."""
    try:
        return any("dvc" in word for word in psutil.Process(process).cmdline())
    except psutil.Error:
        return False


def wait_for(commands: dict[int, str]) -> None:
    """Wait until processes have ended."""
    for process, command in commands.items():
        print(f"waiting for process {process} that is at work here: {command}", file=sys.stderr)
        while _is_dvc(process):
            time.sleep(PERIOD)


if __name__ == "__main__":
    main()
