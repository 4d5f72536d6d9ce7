"""Dense autoencoder: symmetric, ReLU between layers, linear bottleneck and output.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", with the layer-wise pretraining
left out, as is usual since.
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ecg.schema import Strict

Size = Annotated[int, Field(ge=1)]


class Params(Strict):
    hidden: list[Size]  # sizes from the beat inwards; the decoder mirrors them
    latent: Size


class Affine(nn.Module):
    """K affine maps side by side: (K, B, inputs) -> (K, B, outputs), initialised as torch.nn.Linear is."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        inwards = [length, *params.hidden, params.latent]
        self.encoder = nn.ModuleList(Affine(members, a, b) for a, b in pairwise(inwards))
        self.decoder = nn.ModuleList(Affine(members, a, b) for a, b in pairwise(reversed(inwards)))

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        return _chain(self.decoder, _chain(self.encoder, beats))


def _chain(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers[:-1]:
        x = torch.relu(layer(x))
    return layers[-1](x)
