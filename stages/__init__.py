"""The pipeline's steps, one script each, as dvc.yaml calls them: `python -m stages.<name>`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ecg.exceptions import InputError, reported
from ecg.files import PARTIAL

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
DVC = Path(".dvc")
LOCK = DVC / "tmp" / "stages.lock"


def raw(dataset: str) -> tuple[Path, Path]:
    """The files of a dataset's training and test beats."""
    return RAW / f"{dataset}_TRAIN.tsv", RAW / f"{dataset}_TEST.tsv"


def timetable(dataset: str) -> Path:
    """The file of when each of its beats was, if that is known."""
    return RAW / f"{dataset}_BEATS.csv"


def run(main: Callable[[], None]) -> None:
    """Run a stage; what the user can mend becomes a message and exit status 1, not a traceback."""
    with reported():
        if not DVC.is_dir():
            raise InputError(f"{Path.cwd()} is not the root of the repository: run the stages from there")
        with _alone():
            for folder in (RAW, PROCESSED, MODELS, METRICS, PLOTS):
                for partial in folder.glob(f".*{PARTIAL}"):  # of a stage that was killed while it wrote
                    partial.unlink()
            main()


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other stage run here: one outlives DVC if that is killed, and would write into the next one's files."""
    LOCK.parent.mkdir(exist_ok=True)
    lock = FileLock(LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print("waiting for another stage that is still at work here", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
