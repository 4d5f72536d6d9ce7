"""What the pipeline costs, as ratios between things measured in turn in one run: `make benchmark`.

Works in a temporary clone of the last commit. The yardsticks are the starting recipe as two plain Python processes, one
member's training, and a DVC pipeline without stages.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.clones import environment, make_clone

AFTER_FETCH = ["preprocess", "train", "calibrate", "evaluate"]
RECIPE = Path(__file__).parent / "starting_recipe"


def seconds(*work: Callable[[], object]) -> float:
    start = time.perf_counter()
    for step in work:
        step()
    return time.perf_counter() - start


def command(folder: Path, *words: str | Path) -> Callable[[], object]:
    return partial(subprocess.run, words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)


def compare(name: str, ours: Callable[[], float], theirs: Callable[[], float], limit: float, rounds: int) -> None:
    """Time both in turn and print the ratio of the medians, beside the one that is aimed at."""
    ours(), theirs()  # the first time, files are not in the system's cache yet
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name:<66} {a:7.2f} s {b:7.2f} s {a / b:6.2f}   at most {limit}", flush=True)


def peak_memory(folder: Path, stage: str) -> float:
    """The most memory, in MB, that a stage's process had resident."""
    process = subprocess.Popen([sys.executable, "-m", f"stages.{stage}"], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"stage {stage} failed")
    return usage.ru_maxrss / 1000


def training_time(folds: int) -> float:
    from ecg import models, params  # a process takes over the peak of the one that started it: this one stays small
    from ecg.data import beats
    from ecg.training import fitting
    from ecg.training.scaling import Scaling

    settings = params.load()
    build = partial(models.build, settings.train.model, settings.models)
    normal = beats.load("data/processed/fit.npz").samples
    scaling = Scaling.load(Path("data/processed/scaling.npz"))
    return seconds(lambda: fitting.fit(normal, scaling, build, settings.train.model_copy(update={"folds": folds})))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair is measured (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        clone, empty, scratch = (Path(temporary, name) for name in ("clone", "empty", "scratch"))
        make_clone(clone)
        command(clone, "dvc", "repro", "--quiet")()
        print("peak resident memory of a stage, at most 1000 MB")
        for stage in ["fetch", *AFTER_FETCH]:
            print(f"  {stage:<12} {peak_memory(clone, stage):5.0f} MB", flush=True)

        for folder in (empty, scratch):
            folder.mkdir()
        command(empty, "git", "init", "--quiet")()
        command(empty, "dvc", "init", "--quiet")()
        (empty / "dvc.yaml").write_text("stages: {}\n")

        raw = [clone / "data" / "raw" / f"ECG5000_{part}.tsv" for part in ("TRAIN", "TEST")]
        preprocess = command(scratch, sys.executable, RECIPE / "preprocess.py", *raw, "beats.npz")
        train = command(scratch, sys.executable, RECIPE / "train.py", "beats.npz", "model.npz")
        repro = command(clone, "dvc", "repro", "--quiet", "--force", "--single-item", *AFTER_FETCH)
        idle, idle_empty = (command(folder, "dvc", "repro", "--quiet") for folder in (clone, empty))

        print(f"\n{'ours against the yardstick, medians of ' + str(rounds):<66} {'ours':>9} {'yardstick':>9}  ratio")
        name = "dvc repro of all after fetch | starting recipe as two processes"
        compare(name, partial(seconds, repro), partial(seconds, preprocess, train), 1.5, rounds)
        name = "dvc repro with nothing to do | a pipeline without stages"
        compare(name, partial(seconds, idle), partial(seconds, idle_empty), 1.5, rounds)
        os.chdir(clone)
        name = "training 5 cross-fitted members | training one"
        compare(name, partial(training_time, 5), partial(training_time, 1), 2, rounds)


if __name__ == "__main__":
    main()
