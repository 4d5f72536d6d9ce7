"""The autoencoders, one file per architecture, chosen by the file's name.

A file `ecg/models/<name>.py` defines two classes:

Params       the architecture's section of params.yaml (`models.<name>`), an `ecg.schema.Strict`
Autoencoder  `Autoencoder(members, length, params)`, an nn.Module that holds all members of an ensemble and runs them as
             one batched computation: beats of shape (K, B, L) in, or (1, B, L) if all members shall see the same ones;
             reconstructions of shape (K, B, L) out. The first dimension of every parameter is the member.

If a beat shall pay for more than its reconstruction, the second of two outputs says how much: a penalty of shape
(K, B, 1), which is added to the squared error at each of the beat's steps, in the loss and in the score.

`ecg.layers` has layers to build from. Importing this package does not import torch; building a model does.
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
    """The architectures that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def check_name(name: str, sections: Mapping[str, Any]) -> None:
    """InputError if there is no architecture of this name, or no section for it.

    `name` is params.yaml's `train.model`, `sections` its `models`.
    """
    if name not in names():
        raise InputError(f"params.yaml: train.model is {name!r}: it should be one of {', '.join(names())}")
    if name not in sections:
        raise InputError(f"params.yaml: models.{name} is missing; train.model asks for it")


def check_section(name: str, sections: Mapping[str, Any]) -> Strict:
    """The section of the architecture `name`, checked; InputError tells what is wrong in it."""
    check_name(name, sections)
    params: Strict = check(_architecture(name).Params, sections[name], f"params.yaml: models.{name}")
    return params


def build(name: str, sections: Mapping[str, Any], members: int, length: int) -> "nn.Module":
    """A new, untrained autoencoder of `members` members for beats of `length` samples.

    InputError if there is no such architecture, or if its section is missing or wrong.
    """
    params = check_section(name, sections)
    autoencoder: nn.Module = _architecture(name).Autoencoder(members, length, params)
    return autoencoder


def _architecture(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
