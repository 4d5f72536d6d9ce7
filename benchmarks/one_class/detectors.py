"""The detectors: each is fitted to normal examples as they come, with its defaults, and then scores others.

aeon's OutlierDetectionAdapter returns verdicts alone, which have no order, so the detector inside it gives the scores.
Around scikit-learn's LocalOutlierFactor it would do the same as PyOD's LOF, which is that with the same defaults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ecg.exceptions import InputError

OURS = "this project"
BATCH = 32  # PyOD's default for its AutoEncoder, which drops a batch that is not full, and so fails on fewer examples

Score = Callable[[np.ndarray], np.ndarray]  # examples (m, L) -> (m,), higher is more anomalous
Fit = Callable[[np.ndarray, int], Score]  # normal examples (n, L) and a seed


@dataclass(frozen=True)
class Detector:
    """A detector.

    packages : whose versions decide its scores
    simple : whether it compares raw values, without features or networks
    random : whether its scores depend on the seed
    """

    fit: Fit
    packages: tuple[str, ...]
    simple: bool
    random: bool

    def versions(self) -> dict[str, str]:
        """The installed version of each package; InputError with the remedy if one is missing."""
        try:
            return {package: version(package) for package in self.packages}
        except PackageNotFoundError as error:
            remedy = "make peers, then .venv-peers/bin/python -m benchmarks.one_class"
            raise InputError(f"{error.name} is not installed: {remedy}") from None


def _ours(normal: np.ndarray, seed: int) -> Score:
    from ecg import AutoencoderDetector

    detector = AutoencoderDetector(kind="generic", random_state=seed).fit(normal)
    return lambda examples: -detector.score_samples(examples)


def _pyod(name: str) -> Fit:
    """A detector of PyOD, by its module and class."""

    def fit(normal: np.ndarray, seed: int) -> Score:  # noqa: ARG001
        return _class(f"pyod.models.{name}")().fit(normal).decision_function

    return fit


def _auto_encoder(normal: np.ndarray, seed: int) -> Score:
    batch = min(BATCH, len(normal))
    return _on_one_thread(
        _class("pyod.models.auto_encoder.AutoEncoder")(batch_size=batch, random_state=seed, verbose=0), normal
    )


def _deep_svdd(normal: np.ndarray, seed: int) -> Score:
    np.random.seed(seed)  # noqa: NPY002 - from which it draws beside its own random_state
    return _on_one_thread(
        _class("pyod.models.deep_svdd.DeepSVDD")(normal.shape[1], random_state=seed, verbose=0), normal
    )


def _on_one_thread(network: Any, normal: np.ndarray) -> Score:
    import torch

    torch.set_num_threads(1)  # the number of threads changes sums
    return network.fit(normal).decision_function


def _rockad(normal: np.ndarray, seed: int) -> Score:
    return _class("aeon.anomaly_detection.collection.ROCKAD")(random_state=seed).fit(normal).predict


def _aeon(name: str) -> Fit:
    """A detector of scikit-learn in aeon's adapter, by its module and class."""

    def fit(normal: np.ndarray, seed: int) -> Score:
        adapter = _class("aeon.anomaly_detection.collection.OutlierDetectionAdapter")
        inner = adapter(_class(f"sklearn.{name}")(), random_state=seed).fit(normal).detector_
        return lambda examples: -inner.score_samples(examples)

    return fit


def _class(name: str) -> Any:
    """A class of a package that only the environment of `make peers` has."""
    module, _, name = name.rpartition(".")
    return getattr(import_module(module), name)


_CLASSICAL = ("pyod", "scikit-learn")
_NETWORK = ("pyod", "torch")
_AEON = ("aeon", "scikit-learn")

DETECTORS = {
    OURS: Detector(_ours, ("torch",), simple=False, random=True),
    "PyOD KNN": Detector(_pyod("knn.KNN"), _CLASSICAL, simple=True, random=False),
    "PyOD LOF": Detector(_pyod("lof.LOF"), _CLASSICAL, simple=True, random=False),
    "PyOD PCA": Detector(_pyod("pca.PCA"), _CLASSICAL, simple=True, random=False),
    "PyOD AutoEncoder": Detector(_auto_encoder, _NETWORK, simple=False, random=True),
    "PyOD DeepSVDD": Detector(_deep_svdd, _NETWORK, simple=False, random=True),
    "aeon ROCKAD": Detector(_rockad, ("aeon", "numba", "scikit-learn"), simple=False, random=True),
    "aeon IsolationForest": Detector(_aeon("ensemble.IsolationForest"), _AEON, simple=True, random=True),
    "aeon OneClassSVM": Detector(_aeon("svm.OneClassSVM"), _AEON, simple=True, random=False),
}
