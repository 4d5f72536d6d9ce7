"""The detectors that are compared: this project's architectures, and the classical ones of scikit-learn."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from benchmarks.protocol.configuration import Classical
from ecg.data.training_errors import TrainingErrors
from ecg.detector.model import Model
from ecg.params import Preprocess, Train
from ecg.training import training
from ecg.training.scaling import Scaling

Score = Callable[[np.ndarray], np.ndarray]  # raw beats (n, L) -> (n,), higher is more anomalous


@dataclass(frozen=True)
class Fitted:
    """A detector fitted to normal beats: to all of them, and K times to all but one fold.

    errors : the held-out scores of these beats, each by the fit without the beat's fold
    member_scores : scores of other beats by each of the K fits: raw beats (n, L) -> (n, K)
    score : scores of other beats by the detector as it is used
    seconds : time of all fits
    """

    errors: TrainingErrors
    member_scores: Score
    score: Score
    seconds: float


def fit_architecture(train: Train, preprocess: Preprocess, sections: dict[str, Any], normal: np.ndarray) -> Fitted:
    """Train one of this project's detectors, and export it as the model that ships.

    `sections` is the section `models` of params.yaml, or the part of it that `train.model` needs.
    """
    start = time.perf_counter()
    trained = training.train(normal, Scaling.fit(normal, preprocess), train, sections)
    seconds = time.perf_counter() - start
    if trained.errors.held_out is None:
        raise ValueError("train.folds must be 2 or more")
    shipped = Model(trained.model)
    return Fitted(trained.errors, shipped.member_scores, shipped.scores, seconds)


def fit_classical(settings: Classical, preprocess: Preprocess, folds: int, seed: int, normal: np.ndarray) -> Fitted:
    """Fit a classical detector to all normal beats, for use, and to all but each fold, for calibration."""
    start = time.perf_counter()
    fold = np.random.default_rng(seed).permutation(len(normal)) % folds
    preprocess = preprocess.model_copy(update={"scaling": settings.scaling})

    def fit(samples: np.ndarray) -> Score:
        scaling = Scaling.fit(samples, preprocess)
        score = KINDS[settings.kind](scaling(samples), settings.size, seed)
        return lambda beats: score(scaling(beats))

    whole, parts = fit(normal), [fit(normal[fold != k]) for k in range(folds)]
    held_out = np.empty(len(normal))
    for k, part in enumerate(parts):
        held_out[fold == k] = part(normal[fold == k])
    seconds = time.perf_counter() - start
    errors = TrainingErrors(fold, held_out.astype(np.float32), held_out.astype(np.float32))
    return Fitted(errors, lambda beats: np.column_stack([part(beats) for part in parts]), whole, seconds)


def _pca(samples: np.ndarray, components: float, seed: int) -> Score:
    pca = PCA(int(components), random_state=seed).fit(samples)
    return lambda beats: np.square(beats - pca.inverse_transform(pca.transform(beats))).mean(axis=1)


def _knn(samples: np.ndarray, neighbours: float, seed: int) -> Score:  # noqa: ARG001
    index = NearestNeighbors(n_neighbors=int(neighbours)).fit(samples)
    return lambda beats: index.kneighbors(beats)[0].mean(axis=1)


def _ocsvm(samples: np.ndarray, nu: float, seed: int) -> Score:  # noqa: ARG001
    machine = OneClassSVM(nu=nu).fit(samples)
    return lambda beats: -machine.score_samples(beats)


def _lof(samples: np.ndarray, neighbours: float, seed: int) -> Score:  # noqa: ARG001
    factor = LocalOutlierFactor(n_neighbors=int(neighbours), novelty=True).fit(samples)
    return lambda beats: -factor.score_samples(beats)


def _iforest(samples: np.ndarray, trees: float, seed: int) -> Score:
    forest = IsolationForest(n_estimators=int(trees), random_state=seed).fit(samples)
    return lambda beats: -forest.score_samples(beats)


# kind -> (scaled normal beats, size, seed) -> score; the size is the number of components, neighbours or trees, or nu
KINDS: dict[str, Callable[[np.ndarray, float, int], Score]] = {
    "pca": _pca,
    "knn": _knn,
    "ocsvm": _ocsvm,
    "lof": _lof,
    "iforest": _iforest,
}
