"""What the estimators cost, after `dvc repro`: `python -m benchmarks.estimators`.

Printed are the seconds of a fit to the normal training beats, the export to ONNX included, and how fast beats are
scored beside `Detector` with the same model, in one run; medians. The first fit of a process takes longer, by imports.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer
from joblib import cpu_count

from ecg import AutoencoderDetector
from ecg.data import beats
from ecg.exceptions import exit_on_error

# What decides the scores of AutoencoderDetector, and of SeriesDetector: files and folders.
BEATS = [
    *(Path("ecg", room) for room in ("data", "detector", "models", "training")),
    *(Path("ecg", f"{module}.py") for module in ("files", "params", "schema")),
    *(Path("ecg/estimators", f"{module}.py") for module in ("autoencoder", "kinds")),
    Path("requirements.txt"),
]
SERIES = [*BEATS, Path("ecg/estimators/periods.py"), Path("ecg/estimators/series.py")]
TILES = 10  # repetitions of the test beats
AIM = 2.5  # seconds, of a fit on 2 cores


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median time of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def row(kind: str, normal: np.ndarray, test: np.ndarray, rounds: int) -> str:
    """The figures of a kind."""
    estimator = AutoencoderDetector(kind=kind)
    first, fit = (seconds(partial(estimator.fit, normal), times) for times in (1, rounds))
    ways: list[Callable[[], object]] = [
        partial(estimator.score_samples, test),
        partial(estimator.detector_.score, test),
    ]
    taken = [[seconds(way, 1) for way in ways] for _ in range(rounds)]  # in turn
    own, detectors = (len(test) / median(each) for each in zip(*taken, strict=True))
    return f"{kind:<10}{first:>12.2f}{fit:>8.2f}{own:>12,.0f}{detectors:>12,.0f}{own / detectors:>7.2f}"


def main(rounds: Annotated[int, typer.Option(min=1, help="How often each figure is measured.")] = 5) -> None:
    """Print the time of a fit and the rate of scoring, of each kind."""
    with exit_on_error():
        normal = beats.load("data/processed/fit.npz").samples
        test = np.tile(beats.load("data/processed/test.npz").samples, (TILES, 1))
        given = f"{len(normal)} x {normal.shape[1]} to fit, {len(test):,} to score"
        print(f"{cpu_count()} cores; {given}; medians of {rounds}")
        print(f"{'kind':<10}{'first fit s':>12}{'fit s':>8}{'beats/s':>12}{'Detector':>12}{'ratio':>7}")
        for kind in ("ecg5000", "generic"):
            print(row(kind, normal, test, rounds), flush=True)
        print(f"aim: a fit below {AIM} s on 2 cores, and a ratio of 1")


if __name__ == "__main__":
    typer.run(main)
