"""Train a detector of anomalous beats: from normal beats to the model that ships and the errors that calibrate it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ecg import models
from ecg.data.training_errors import TrainingErrors
from ecg.params import Train
from ecg.training import fitting
from ecg.training.export import to_onnx, weights
from ecg.training.scaling import Scaling


@dataclass(frozen=True)
class Trained:
    """A trained detector, not calibrated yet.

    fit : the ensemble and what is known of its training beats
    model : content of the ONNX file that ships
    """

    fit: fitting.Fit
    model: bytes

    @property
    def errors(self) -> TrainingErrors:
        """The errors of the training beats, to calibrate on."""
        return TrainingErrors(self.fit.fold, self.fit.fitted_error, self.fit.held_out_error)

    @property
    def weights(self) -> bytes:
        """The parameters of the ensemble and its scaling, as safetensors."""
        return weights(self.fit.ensemble)


def train(
    normal: np.ndarray,
    scaling: Scaling,
    settings: Train,
    sections: Mapping[str, Any],
    metadata: Mapping[str, str] = MappingProxyType({}),
    on_epoch: fitting.OnEpoch = lambda _epoch, _losses: None,
    fold: np.ndarray | None = None,
) -> Trained:
    """Train an ensemble on normal beats, and export it.

    Parameters
    ----------
    normal : float32 ndarray of shape (n_beats, n_samples), raw
    settings, sections : the sections `train` and `models` of params.yaml
    metadata : what the ONNX file says of the model, beside its parameters and its intended use
    on_epoch, fold : as `ecg.training.fitting.fit` takes them

    Raises
    ------
    InputError
        if a parameter is wrong, if there are too few beats, or if the model cannot be trained or exported.
    """
    build = partial(models.build, settings.model, sections)
    fit = fitting.fit(normal, scaling, build, settings, on_epoch, fold)
    # The device is left out: it says where the model was computed, not what.
    decided_by = {
        "models": {settings.model: sections[settings.model]},
        "train": settings.model_dump(exclude={"device"}),
    }
    own = {
        "intended_use": "Research and teaching. Not a medical device.",
        "params": json.dumps(decided_by, sort_keys=True),
    }
    return Trained(fit, to_onnx(fit.ensemble, normal, own | dict(metadata)))
