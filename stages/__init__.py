"""The stages of the pipeline, one script each, as dvc.yaml runs them: `python -m stages.<name>`."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from ecg.exceptions import InputError, exit_on_error
from ecg.files import PARTIAL

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
DVC = Path(".dvc")
LOCK = DVC / "tmp" / "stages.lock"
RESTORE = "make restore"  # goes back to the last commit


def raw(dataset: str) -> tuple[Path, Path]:
    """The files with the training and the test beats of a dataset."""
    return RAW / f"{dataset}_TRAIN.tsv", RAW / f"{dataset}_TEST.tsv"


def times_file(dataset: str) -> Path:
    """The file with the times of the beats of a dataset."""
    return RAW / f"{dataset}_BEATS.csv"


def _say_what_links_need() -> None:
    """Print what DVC needs to accept folders that are links out of the repository: its own message does not say it."""
    local = DVC / "config.local"
    if local.is_file() and "no_scm = true" in local.read_text(encoding="utf-8"):
        return
    for folder in (RAW, PROCESSED, MODELS, METRICS, PLOTS):
        if not folder.resolve().is_relative_to(Path.cwd().resolve()):
            remedy = "for DVC to accept that, run `dvc config --local core.no_scm true`"
            print(f"{folder} is a link out of the repository, to {folder.resolve()}: {remedy}", file=sys.stderr)
            return


def params_changed() -> bool:
    """Whether params.yaml differs from the last commit here; not in a copy that DVC made, for --temp or the queue."""
    if Path(os.environ.get("DVC_ROOT", ".")).resolve() != Path.cwd().resolve():
        return False
    compare = ["git", "diff", "--quiet", "HEAD", "--", "params.yaml"]
    try:
        return subprocess.run(compare, stderr=subprocess.DEVNULL, check=False).returncode == 1
    except OSError:  # there is no git
        return False


def say_how_to_go_back() -> None:
    """Print how to undo an experiment, if one is at work in the repository's own folder."""
    if "DVC_EXP_BASELINE_REV" in os.environ and params_changed():
        print("This experiment changed params.yaml, metrics, plots and models in this folder, for the next ones, too.")
        print(f"Back to the last commit: {RESTORE}", flush=True)


def run(main: Callable[[], None]) -> None:
    """Run a stage, alone; an error that the user can correct gives a message and exit status 1, not a traceback."""
    with exit_on_error():
        if not DVC.is_dir():
            raise InputError(f"{Path.cwd()} is not the root of the repository: run the stages from there")
        _say_what_links_need()
        LOCK.parent.mkdir(exist_ok=True)
        lock = FileLock(LOCK)  # if DVC is killed, its stage goes on, and would write into the next one's files
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print("waiting for another stage that is still at work here", file=sys.stderr)
            lock.acquire()
        try:
            for folder in (RAW, PROCESSED, MODELS, METRICS, PLOTS):
                for partial in folder.glob(f".*{PARTIAL}"):  # left by a stage that was killed while writing
                    partial.unlink()
            gc.disable()  # a stage is short: to search all that PyTorch imports for garbage costs more than it frees
            try:
                main()
            except InputError as error:
                if not params_changed():
                    raise
                raise InputError(
                    f"{error}\nparams.yaml still differs from the last commit; to undo it: {RESTORE}"
                ) from None
            gc.freeze()  # nor at the exit
        finally:
            lock.release()
