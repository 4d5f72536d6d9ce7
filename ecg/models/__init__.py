"""The autoencoders, one file per architecture, chosen by the file's name.

A file `ecg/models/<name>.py` defines two classes:

Params       the architecture's section of params.yaml (`models.<name>`), an `ecg.schema.Strict`
Autoencoder  `Autoencoder(members, length, params)`, an nn.Module that holds all members of an ensemble and runs them as
             one batched computation: beats of shape (K, B, L) in, or (1, B, L) if all members shall see the same ones;
             reconstructions of shape (K, B, L) out. The first dimension of every parameter is the member.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from torch import nn

from ecg.exceptions import InputError
from ecg.schema import check


def names() -> list[str]:
    """The architectures that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(name: str, sections: Mapping[str, Any], members: int, length: int) -> nn.Module:
    """A new, untrained autoencoder of `members` members for beats of `length` samples.

    `name` is params.yaml's `train.model`, `sections` its `models`. InputError if there is no such architecture, or if
    its section is missing or wrong.
    """
    if name not in names():
        raise InputError(f"params.yaml: train.model is {name!r}: it should be one of {', '.join(names())}")
    if name not in sections:
        raise InputError(f"params.yaml: models.{name} is missing; train.model asks for it")
    architecture = importlib.import_module(f"{__name__}.{name}")
    params = check(architecture.Params, sections[name], f"params.yaml: models.{name}")
    autoencoder: nn.Module = architecture.Autoencoder(members, length, params)
    return autoencoder
