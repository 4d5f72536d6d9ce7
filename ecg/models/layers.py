"""Layers of which the architectures are built: K members' side by side, each parameter's first dimension the member."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Affine(nn.Module):
    """K affine maps side by side: (K, B, inputs) -> (K, B, outputs), initialised as torch.nn.Linear is."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(K or 1, B, inputs) -> (K, B, outputs)."""
        return x @ self.weight + self.bias


class Stack(nn.ModuleList):
    """Affine maps with `activation` between them: the first of `sizes` in, the last one out, linear at the end."""

    def __init__(self, members: int, sizes: Sequence[int], activation: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__(Affine(members, inputs, outputs) for inputs, outputs in pairwise(sizes))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(K or 1, B, first size) -> (K, B, last size)."""
        first, *rest = self
        x = first(x)
        for layer in rest:
            x = layer(self.activation(x))
        return x


class Convolution(nn.Module):
    """K one-dimensional convolutions side by side, centred; weights initialised as those of torch.nn.Conv1d are.

    A beat is an image of one row here, as ONNX Runtime's fast convolutions take images only.
    """

    def __init__(self, members: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.affine = Affine(members, inputs * kernel, outputs)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, K * inputs, 1, L) -> (B, K * outputs, 1, ceil(L / stride)); (B, inputs, 1, L) if all members share it."""
        bias = self.affine.bias.flatten()  # (K * outputs,)
        weight = self.affine.weight.mT.reshape(len(bias), -1, 1, self.kernel)  # (K * outputs, inputs, 1, kernel)
        groups = x.shape[1] // weight.shape[1]  # K, or 1 for a shared input
        return nn.functional.conv2d(x, weight, bias, (1, self.stride), (0, self.kernel // 2), groups=groups)
