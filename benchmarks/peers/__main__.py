"""The detector beside PyOD's, on the same beats: `python -m benchmarks.peers`, after `dvc repro`.

Printed are, for each, test AUC, seconds to fit, beats scored in a second, and ours over theirs; then the machine's peak
in single precision and the share of it that our scoring reaches. All are fitted to the normal training beats and tested
on the test beats, on the CPU, and measured in turn in one run. PyOD's networks get 100 epochs and seed 0, else their
defaults; two also score in larger batches than their default of 32, which is faster. Run it on an idle machine: other
load slows PyOD's small batches most, and makes the ratios too good. PyOD is not among the pipeline's requirements:

    make peers && .venv-peers/bin/python -m benchmarks.peers
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import onnx
import pyod
import typer
from pyod.models.auto_encoder import AutoEncoder
from pyod.models.deep_svdd import DeepSVDD
from pyod.models.knn import KNN
from pyod.models.lunar import LUNAR
from pyod.models.vae import VAE
from sklearn.metrics import roc_auc_score

from ecg import models, params
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.detector.model import MODEL
from ecg.training import fitting
from ecg.training.scaling import Scaling

EPOCHS = 100
LARGE_BATCH = 1024
FITS = 3
TILES = 10  # repetitions of the test beats, to measure scoring
MATRIX = 2048  # rows and columns of the product that measures the peak
SETTINGS = params.load()
MODELS = Path("models")


@dataclass
class Timed:
    """A fitted detector, one way to score beats with it, and its times."""

    name: str
    auc: float
    fit: float  # seconds
    score: Callable[[np.ndarray], object]
    rate: float = math.nan  # beats a second


def auc(scores: np.ndarray, test: Beats) -> float:
    return roc_auc_score(test.classes != SETTINGS.preprocess.normal_class, scores)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peers(length: int) -> dict[str, Callable[[], Any]]:
    seeded = {"random_state": 0, "verbose": 0}
    return {
        "AutoEncoder": partial(AutoEncoder, epoch_num=EPOCHS, **seeded),
        "VAE": partial(VAE, epoch_num=EPOCHS, **seeded),
        "DeepSVDD": partial(DeepSVDD, length, epochs=EPOCHS, **seeded),
        "LUNAR": partial(LUNAR, n_epochs=EPOCHS, **seeded),
        "KNN, k=1": partial(KNN, n_neighbors=1, method="largest"),
    }


def fit_peer(make: Callable[[], Any], normal: np.ndarray, test: Beats) -> tuple[Any, float, float]:
    """Make and fit a peer: the peer, its AUC, and the seconds of the fit."""
    peer = make()  # seeds torch's global generator, from which VAE draws also when it scores: nothing may come between
    took = seconds(lambda: peer.fit(normal))
    return peer, auc(peer.decision_function(test.samples), test), took


def fit_ours(normal: np.ndarray) -> float:
    build = partial(models.build, SETTINGS.train.model, SETTINGS.models)
    scaling = Scaling.load(Path("data/processed/scaling.npz"))
    return seconds(lambda: fitting.fit(normal, scaling, build, SETTINGS.train))


def fit_all(normal: np.ndarray, test: Beats) -> tuple[list[Timed], list[Timed]]:
    """Ours and theirs, fitted in turn; of each, the median time."""
    makers = peers(test.length)
    rounds = [(fit_ours(normal), [fit_peer(make, normal, test) for make in makers.values()]) for _ in range(FITS)]
    detector = Detector.load(MODELS)
    ours_auc, ours_fit = auc(detector.score(test.samples).score, test), median(took for took, _ in rounds)
    ours = [
        Timed("ours", ours_auc, ours_fit, detector.score),
        Timed("ours, details", ours_auc, ours_fit, partial(detector.score, details=True)),
    ]
    theirs = []
    for name, fits in zip(makers, zip(*(fits for _, fits in rounds), strict=True), strict=True):
        peer, peer_auc, _ = fits[-1]
        fit = median(took for _, _, took in fits)
        theirs.append(Timed(name, peer_auc, fit, peer.decision_function))
        if isinstance(peer, AutoEncoder | VAE):
            score = partial(peer.decision_function, batch_size=LARGE_BATCH)
            theirs.append(Timed(f"{name}, batches of {LARGE_BATCH:,}", peer_auc, fit, score))
    return ours, sorted(theirs, key=lambda peer: -peer.auc)


def measure_rates(everyone: list[Timed], tile: np.ndarray, rounds: int) -> float:
    """Set the rate of each, a median over rounds; return the machine's peak, the best of the same rounds, in FLOP/s."""
    matrix = np.random.default_rng(0).random((MATRIX, MATRIX), dtype=np.float32)
    for _ in range(2):  # the first runs get memory from the system, and take several times as long
        for one in everyone:
            one.score(tile)
    times, products = [], []
    for _ in range(rounds):
        times.append([seconds(partial(one.score, tile)) for one in everyone])
        products += [seconds(lambda: matrix @ matrix) for _ in range(3)]
    for one, taken in zip(everyone, zip(*times, strict=True), strict=True):
        one.rate = len(tile) / median(taken)
    return 2 * MATRIX**3 / min(products)


def flops_per_beat(path: Path) -> int:
    """Floating-point operations: two for each multiply-add with a weight, all of them in MatMul nodes."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1  # with one beat, all shapes are known
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.value_info}
    weights = {weight.name: weight.dims for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert all(all(shapes[node.output[0]]) for node in products)
    return sum(2 * math.prod(shapes[node.output[0]]) * weights[node.input[1]][-2] for node in products)


def main(rounds: Annotated[int, typer.Option(min=1, help="How often scoring is measured.")] = 7) -> None:
    """Fit and time this project's detector and PyOD's."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # PyOD takes a GPU where it sees one
    normal, test = beats.load("data/processed/fit.npz").samples, beats.load("data/processed/test.npz")
    tile = np.tile(test.samples, (TILES, 1))
    ours, theirs = fit_all(normal, test)
    peak = measure_rates(ours + theirs, tile, rounds)

    like_theirs, members = ours[0], SETTINGS.train.folds  # theirs return scores and nothing else
    print(
        f"PyOD {pyod.__version__}. {len(normal)} beats to fit, {len(tile):,} to score; medians of {FITS} and {rounds}"
    )
    print(f"{'':<57} {like_theirs.name} / theirs")
    print(f"{'':<30} {'AUC':>6} {'fit s':>7} {'beats/s':>11} {'fit':>8} {'beats/s':>8}  x {members} members")
    for one in ours + theirs:
        row = f"{one.name:<30} {one.auc:6.4f} {one.fit:7.3f} {one.rate:11,.0f}"
        speedup = like_theirs.rate / one.rate
        print(
            row if one in ours else f"{row} {like_theirs.fit / one.fit:8.2f} {speedup:8.2f} {members * speedup:12.2f}"
        )
    print(f"\npeak: {peak / 1e9:.0f} GFLOP/s, product of float32 matrices {MATRIX} x {MATRIX}")
    work = flops_per_beat(MODELS / MODEL)
    for one in ours:
        reached = work * one.rate
        print(f"{one.name}: {one.rate:,.0f} beats/s, x {members} members {members * one.rate:,.0f}")
        print(f"  {work:,} FLOP a beat, {reached / 1e9:.1f} GFLOP/s, {reached / peak:.0%} of the peak")


if __name__ == "__main__":
    typer.run(main)
