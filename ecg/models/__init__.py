"""The autoencoders, one file per architecture, chosen by the file's name.

A file `ecg/models/<name>.py` defines two classes:

Params       the architecture's section of params.yaml (`models.<name>`), an `ecg.schema.Strict`. Those of the
             architectures that come with the project are in `ecg.params`, where they are checked without torch
Autoencoder  `Autoencoder(members, length, params)`, an nn.Module that holds all K members of an ensemble and runs them
             as one batched computation. Input: beats of shape (K, B, L), or (1, B, L) if all members get the same
             ones. Output: reconstructions of shape (K, B, L). The first dimension of every parameter is the member.

A second output is optional: a penalty of shape (K, B, 1), which is added to the squared error at each step of the beat,
in the loss and in the score. Where the class has `own_errors = True`, it takes the place of the squared error instead:
the error at each step, of shape (K, B, L).

An architecture that is fitted in closed form has a method `solve(beats, saw)`: beats of shape (n, L), as the model sees
them, and bool (K, n), which member is fitted to which beat. It takes the place of the epochs of an optimiser.

`ecg.models.layers` has layers to build from. Importing this package does not import torch; building a model does.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ecg.exceptions import InputError
from ecg.schema import Strict, check

if TYPE_CHECKING:
    from torch import nn


def names() -> list[str]:
    """The names of all architectures."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "layers")


def build(name: str, sections: Mapping[str, Any], members: int, length: int) -> "nn.Module":
    """A new, untrained autoencoder.

    Parameters
    ----------
    name : of the architecture (params.yaml, train.model)
    sections : the section of each architecture (params.yaml, models)
    members : number of autoencoders in the ensemble
    length : samples in a beat

    Raises
    ------
    InputError
        if there is no such architecture, or if its section is missing or wrong.
    """
    if name not in names():
        raise InputError(f"params.yaml: train.model is {name!r}: it should be one of {', '.join(names())}")
    if name not in sections:
        raise InputError(f"params.yaml: models.{name} is missing; train.model asks for it")
    architecture: Any = importlib.import_module(f"{__name__}.{name}")
    params: Strict = check(architecture.Params, sections[name], f"params.yaml: models.{name}")
    autoencoder: nn.Module = architecture.Autoencoder(members, length, params)
    return autoencoder
