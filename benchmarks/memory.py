"""The memory that a day's recording takes in the pipeline: `python -m benchmarks.memory`, after `dvc repro`.

150,000 test beats, those of the dataset again and again with a little noise and with a time each, go through
preprocess, calibrate and evaluate in a temporary clone of the last commit. Prints the most memory that each stage had
resident; status 1 if evaluate had more than its limit.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.clones import ROOT, environment, make_clone
from benchmarks.million import MEASURE
from ecg import params
from ecg.data import beats, times
from ecg.data.beats import Beats
from ecg.data.times import Times
from ecg.files import read_bytes
from stages import MODELS, raw, timetable

STAGES = ("preprocess", "calibrate", "evaluate")
LIMITS = {"evaluate": 1000}  # MB
NOISE = 0.01  # the deviation of what is added to each sample, of beats whose own is 1
INTERVAL = 0.6  # seconds from beat to beat: 150,000 are 25 hours
BEATS_AT_A_TIME = 5000  # whose text is written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beats", type=int, default=150_000, help="in the test part (default 150000)")
    number = parser.parse_args().beats
    name, above = params.load(ROOT / "params.yaml").fetch.dataset, False
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "clone")
        make_clone(clone)
        shutil.copytree(ROOT / MODELS, clone / MODELS, dirs_exist_ok=True)
        lengthen(name, clone, number)
        print(f"{number:,} test beats\n{'stage':<12}{'seconds':>8}{'peak MB':>9}{'at most':>9}")
        for stage in STAGES:
            seconds, peak = measure(stage, clone)
            limit = LIMITS.get(stage)
            above |= limit is not None and peak > limit
            print(f"{stage:<12}{seconds:>8.1f}{peak:>9,.0f}{limit or '':>9}", flush=True)
    if above:
        sys.exit("a stage had more memory than it may have")


def lengthen(name: str, clone: Path, number: int) -> None:
    """Write the dataset's raw files into a clone, with as many test beats, and the times of all beats beside them."""
    train, test = (beats.parse(read_bytes(ROOT / path), path.name) for path in raw(name))
    training, testing = (clone / path for path in raw(name))
    training.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / raw(name)[0], training)
    random, classes = np.random.default_rng(0), np.resize(test.classes, number)
    with testing.open("wb") as file:
        for start in range(0, number, BEATS_AT_A_TIME):
            here = np.arange(start, min(start + BEATS_AT_A_TIME, number))
            noisy = test.samples[here % len(test)] + random.normal(0, NOISE, (len(here), test.length))
            file.write(beats.canonical(Beats(noisy.round(6), classes[here])))  # a recording's have as many digits
    count = len(train) + number
    seconds, apart = INTERVAL * np.arange(count), np.full(count, INTERVAL)
    only_classes = Beats(np.empty((number, 0)), classes)
    times.save(clone / timetable(name), train, only_classes, Times(seconds, apart, apart, np.ones(count)))


def measure(stage: str, folder: Path) -> tuple[float, float]:
    """Run a stage: seconds, and the most memory in MB that the process had resident."""
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", f"stages.{stage}"]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - start, int(done.stdout.splitlines()[-1]) * 1024 / 1e6  # from KiB


if __name__ == "__main__":
    main()
