"""A fit as a task: what decides it, as plain values, and how it is made."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.protocol.configuration import PATH, Classical, Configuration
from benchmarks.protocol.detectors import Fitted, fit_architecture, fit_classical
from benchmarks.protocol.tasks import Result, Task
from ecg.exceptions import InputError
from ecg.params import Params, Preprocess, Train


def architecture_task(settings: Params) -> Task:
    """What decides the fit of `train.model`, the seed aside."""
    model = settings.train.model
    train, preprocess = settings.train.model_dump(exclude={"seed"}), settings.preprocess.model_dump()
    return {"train": train, "preprocess": preprocess, "models": {model: settings.models[model]}}


def classical_task(own: Classical, settings: Params) -> Task:
    """What decides the fit of a classical detector, the seed aside."""
    folds, preprocess = settings.train.folds, settings.preprocess.model_dump()
    return {"classical": own.model_dump(), "preprocess": preprocess, "folds": folds}


def detector_task(name: str, settings: Params, configuration: Configuration) -> Task:
    """What decides the fit of an architecture or of a classical detector, by its name, the seed aside."""
    if name in configuration.benchmark.classical:
        return classical_task(configuration.benchmark.classical[name], settings)
    if name not in settings.models:
        raise InputError(f"{PATH}: {name} is neither an architecture in params.yaml nor a classical detector here")
    train = settings.train.model_copy(update={"model": name})
    return architecture_task(settings.model_copy(update={"train": train}))


def fit(task: Task, normal: np.ndarray) -> Fitted:
    """Fit the detector that a task describes."""
    preprocess = Preprocess(**task["preprocess"])
    if "classical" in task:
        return fit_classical(Classical(**task["classical"]), preprocess, task["folds"], task["seed"], normal)
    return fit_architecture(Train(**task["train"], seed=task["seed"]), preprocess, task["models"], normal)


def auc_and_precision(normal: np.ndarray, anomalous: np.ndarray) -> tuple[float, float]:
    """AUC and average precision, from the scores of normal and of anomalous beats."""
    labels = np.repeat([False, True], [len(normal), len(anomalous)])
    scores = np.concatenate([normal, anomalous])
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def development_figures(fitted: Fitted, anomalous: np.ndarray) -> Result:
    """The figures that settings are chosen by: AUC and average precision on training beats.

    anomalous : float ndarray of shape (n, L), the anomalous training beats; their scores, each the mean over the fits
        without a fold, are set against the held-out scores of the normal training beats
    """
    figures = auc_and_precision(fitted.errors.calibrating, fitted.member_scores(anomalous).mean(axis=1))
    return dict(zip(("auc", "average_precision"), map(np.array, figures), strict=True))
