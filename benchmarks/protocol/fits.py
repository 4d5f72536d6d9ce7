"""A fit as a cell: what decides it, as plain values, and how it is made."""

import numpy as np

from benchmarks.protocol.cells import Cell, Result
from benchmarks.protocol.configuration import PATH, Classical, Configuration
from benchmarks.protocol.detectors import Fitted, fit_architecture, fit_classical
from ecg.evaluation import metrics
from ecg.exceptions import InputError
from ecg.params import Params, Preprocess, Train


def architecture_cell(settings: Params) -> Cell:
    """What decides the fit of `train.model`, the seed aside."""
    model = settings.train.model
    train, preprocess = settings.train.model_dump(exclude={"seed"}), settings.preprocess.model_dump()
    return {"train": train, "preprocess": preprocess, "models": {model: settings.models[model]}}


def classical_cell(own: Classical, settings: Params) -> Cell:
    """What decides the fit of a classical detector, the seed aside."""
    folds, preprocess = settings.train.folds, settings.preprocess.model_dump()
    return {"classical": own.model_dump(), "preprocess": preprocess, "folds": folds}


def detector_cell(name: str, settings: Params, configuration: Configuration) -> Cell:
    """What decides the fit of an architecture or of a classical detector, by its name, the seed aside."""
    if name in configuration.benchmark.classical:
        return classical_cell(configuration.benchmark.classical[name], settings)
    if name not in settings.models:
        raise InputError(f"{PATH}: {name} is neither an architecture in params.yaml nor a classical detector here")
    train = settings.train.model_copy(update={"model": name})
    return architecture_cell(settings.model_copy(update={"train": train}))


def fit(cell: Cell, normal: np.ndarray) -> Fitted:
    """The fit that a cell describes."""
    preprocess = Preprocess(**cell["preprocess"])
    if "classical" in cell:
        return fit_classical(Classical(**cell["classical"]), preprocess, cell["folds"], cell["seed"], normal)
    return fit_architecture(Train(**cell["train"], seed=cell["seed"]), preprocess, cell["models"], normal)


def development_figures(fitted: Fitted, anomalous: np.ndarray) -> Result:
    """What settings are chosen by: AUC and average precision of anomalous training beats against held-out normal ones.

    anomalous : float ndarray of shape (n, L), the anomalous training beats
    """
    pair = fitted.errors.calibrating, fitted.member_scores(anomalous).mean(axis=1)
    return {
        "auc": np.array(metrics.auc_with_interval(*pair)[0]),
        "average_precision": np.array(metrics.average_precision(*pair)),
    }
