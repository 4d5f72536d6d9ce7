"""The memory that the pipeline takes for a recording of a day: `python -m benchmarks.memory`, after `dvc repro`.

150,000 test beats (the dataset's repeated with a little noise, and with a time each) go through preprocess, calibrate
and evaluate in a temporary clone of the last commit. Status 1 if evaluate takes more memory than its limit.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.clones import ROOT, make_clone
from benchmarks.usage import measure
from ecg import params
from ecg.data import beats, times
from ecg.data.beats import Beats
from ecg.data.times import Times
from ecg.files import read_bytes
from stages import MODELS, raw, times_file

STAGES = ("preprocess", "calibrate", "evaluate")
LIMITS = {"evaluate": 1000}  # MB
NOISE = 0.01  # standard deviation of the noise; that of a beat is 1
INTERVAL = 0.6  # seconds from beat to beat: 150,000 are 25 hours
CHUNK_BEATS = 5000  # written as text at a time


def main(number: Annotated[int, typer.Option("--beats", min=1, help="Test beats.")] = 150_000) -> None:
    """Print the time and the peak memory of each stage."""
    name, above = params.load(ROOT / "params.yaml").fetch.dataset, False
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "clone")
        make_clone(clone)
        shutil.copytree(ROOT / MODELS, clone / MODELS, dirs_exist_ok=True)
        lengthen(name, clone, number)
        print(f"{number:,} test beats\n{'stage':<12}{'seconds':>8}{'peak MB':>9}{'at most':>9}")
        for stage in STAGES:
            seconds, peak, _ = measure(sys.executable, "-m", f"stages.{stage}", folder=clone)
            limit = LIMITS.get(stage)
            above |= limit is not None and peak > limit
            print(f"{stage:<12}{seconds:>8.1f}{peak:>9,.0f}{limit or '':>9}", flush=True)
    if above:
        sys.exit("a stage took more memory than its limit")


def lengthen(name: str, clone: Path, number: int) -> None:
    """Write the dataset's raw files into a clone, with this number of test beats, and the times of all beats."""
    train, test = (beats.parse(read_bytes(ROOT / path), path.name) for path in raw(name))
    training_path, test_path = (clone / path for path in raw(name))
    training_path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / raw(name)[0], training_path)
    random, classes = np.random.default_rng(0), np.resize(test.classes, number)
    with test_path.open("wb") as file:
        for start in range(0, number, CHUNK_BEATS):
            rows = np.arange(start, min(start + CHUNK_BEATS, number))
            noisy = test.samples[rows % len(test)] + random.normal(0, NOISE, (len(rows), test.length))
            file.write(beats.canonical(Beats(noisy.round(6), classes[rows])))  # a recording's have as many digits
    count = len(train) + number
    seconds, intervals = INTERVAL * np.arange(count), np.full(count, INTERVAL)
    only_classes = Beats(np.empty((number, 0)), classes)
    times.save(clone / times_file(name), train, only_classes, Times(seconds, intervals, intervals, np.ones(count)))


if __name__ == "__main__":
    typer.run(main)
