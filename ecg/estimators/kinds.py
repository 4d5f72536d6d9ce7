"""The default parameters of an estimator, by the kind of beats that it is for."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ecg.detector.calibration import Calibration, attainable_count
from ecg.exceptions import InputError
from ecg.files import parse_json
from ecg.params import ARCHITECTURES, Calibrate, Preprocess, Train
from ecg.schema import check

WHERE = "AutoencoderDetector"  # in error messages

# The sections of params.yaml, as `dvc repro` has them for ECG5000.
ECG5000: dict[str, Any] = {
    "preprocess": {"scaling": "filter", "smoothing": 4.0, "detrend": 2},
    "train": {
        "model": "dense",
        "folds": 5,
        "epochs": 100,
        "batch_size": 32,
        "learning_rate": 0.002,
        "schedule": "constant",
        "device": "cpu",
        "warp": 0.02,
        "wander": 0.1,
    },
    "models": {
        "conv1d": {"channels": [8, 16], "kernel": 7, "latent": 2},
        "dense": {"hidden": [64], "latent": 2, "noise": 0.0},
        "lstm": {"hidden": 64, "patch": 10, "latent": 3},
        "rocket": {"features": 1000, "variance": 0.98},
        "vae": {"hidden": [64], "latent": 2, "beta": 0.001, "score": "error"},
    },
    "calibrate": {"method": "conformal", "alpha": 0.05, "percentile": 95.0, "delta": 0.1, "tail": 0.1, "fdr": 0.1},
}

# Time series of any length and unit; chosen on the development half of the data sets of benchmarks/one_class.
GENERIC = ECG5000 | {
    "preprocess": ECG5000["preprocess"] | {"scaling": "unit"},
    "train": ECG5000["train"] | {"model": "rocket", "warp": 0.0, "wander": 0.0},
}

KINDS: Mapping[str, dict[str, Any]] = {"ecg5000": ECG5000, "generic": GENERIC}
RENAMED = {"vae_score": "score"}  # an estimator's parameter -> that of the architecture: `score` would hide a method


@dataclass(frozen=True)
class Settings:
    """The sections of params.yaml that decide a detector."""

    preprocess: Preprocess
    train: Train
    models: dict[str, dict[str, Any]]
    calibrate: Calibrate


def settings(kind: str, given: Mapping[str, Any], seed: int) -> Settings:
    """The parameters of a kind, with those that are given and not None in their place.

    Parameters
    ----------
    given : values by their names in params.yaml, without the sections

    Raises
    ------
    InputError
        if there is no such kind, if a value is not accepted, or if the architecture has no such parameter.
    """
    if kind not in tuple(KINDS):
        raise InputError(f"{WHERE}: kind is {kind!r}: it should be one of {', '.join(KINDS)}")
    sections = {name: dict(values) for name, values in KINDS[kind].items()}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    model = str(changes.get("model", sections["train"]["model"]))
    if model not in ARCHITECTURES:
        raise InputError(f"{WHERE}: model is {model!r}: it should be one of {', '.join(ARCHITECTURES)}")
    of_model = dict(sections["models"][model])
    for name, value in changes.items():
        own = RENAMED.get(name, name)
        section = next((each for each in (of_model, *_without_models(sections)) if own in each), None)
        if section is None:
            raise InputError(f"{WHERE}: {name} is not a parameter of model {model!r}, which has {', '.join(of_model)}")
        section[own] = plain(section[own], value)
    check(ARCHITECTURES[model], of_model, WHERE)
    return Settings(
        # The class of normal beats is the fetched file's; an estimator gets normal beats alone.
        preprocess=check(Preprocess, sections["preprocess"] | {"normal_class": 1}, WHERE),
        train=check(Train, sections["train"] | {"seed": seed}, WHERE),
        models={model: of_model},
        calibrate=check(Calibrate, sections["calibrate"], WHERE),
    )


def with_folds(settings: Settings, folds: int) -> Settings:
    """The settings with another number of folds."""
    return replace(settings, train=settings.train.model_copy(update={"folds": folds}))


def checked_fold(fold: Any, beats: int, folds: int) -> np.ndarray:
    """The fold of each beat, as int64 of shape (beats,).

    Raises
    ------
    InputError
        if there is not one fold for each beat, or if a member would be fitted to no beat.
    """
    given = np.asarray(fold)
    if given.shape != (beats,) or given.dtype.kind not in "iu":
        raise InputError(
            f"{WHERE}: fold is {given.dtype} of shape {given.shape}: it should be an integer for each of {beats} beats"
        )
    if given.min() < 0 or given.max() >= folds:
        raise InputError(f"{WHERE}: fold is {given.min()} to {given.max()}: it should be from 0 to {folds - 1}")
    if folds > 1 and (given == given[0]).all():
        raise InputError(f"{WHERE}: fold is {given[0]} for all beats: its member would be fitted to none")
    return given.astype(np.int64)


def attainable(settings: Calibrate, beats: int) -> Calibrate:
    """The settings of the calibration, with the smallest alpha that so few beats allow, and a warning of that."""
    if settings.method != "conformal" or attainable_count(beats, settings.alpha):
        return settings
    alpha = 1 / (beats + 1)
    warnings.warn(
        f"{beats} beats cannot promise a false-alarm rate of {settings.alpha}: alpha is {alpha:.3g}, the smallest that "
        "they allow",
        stacklevel=3,
    )
    return settings.model_copy(update={"alpha": alpha})


def parameters_of(metadata: Mapping[str, str], calibration: Calibration) -> dict[str, Any]:
    """An estimator's parameters, from the metadata of a model and from its calibration; InputError if damaged.

    How beats are scaled stands in the model itself alone: where it is fitted again, it is by the kind's default.
    """
    try:
        decided_by = parse_json(metadata["params"])
        model = decided_by["train"]["model"]
        named = {value: name for name, value in RENAMED.items()}
        of_model = {named.get(name, name): value for name, value in decided_by["models"][model].items()}
        train = {name: value for name, value in decided_by["train"].items() if name != "seed"}
        parameters = {
            "kind": "generic" if model == GENERIC["train"]["model"] else "ecg5000",
            "random_state": decided_by["train"]["seed"],
            **train,
            **of_model,
            "method": calibration.method,
            "alpha": calibration.alpha,
            "fdr": calibration.fdr,
        }
        given = {name: value for name, value in parameters.items() if name not in ("kind", "random_state")}
        settings(parameters["kind"], given, parameters["random_state"])  # an estimator accepts them
        return parameters
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the model's metadata do not say how it was trained ({error!r})") from None


def plain(default: Any, value: Any) -> Any:
    """The value in the type of its default, where nothing is lost: NumPy's numbers and arrays, integers, tuples."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, list) and isinstance(value, Sequence) and not isinstance(value, str):
        return [each.item() if isinstance(each, np.generic) else each for each in value]
    return value


def _without_models(sections: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [values for name, values in sections.items() if name != "models"]
