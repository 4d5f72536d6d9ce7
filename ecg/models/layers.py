"""Layers of which the architectures are built: K members' side by side, each parameter's first dimension the member."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, fx, nn


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
    """Affine maps with ReLU between them: the first of `sizes` in, the last one out, linear at the end."""

    def __init__(self, members: int, sizes: Sequence[int]) -> None:
        super().__init__(Affine(members, inputs, outputs) for inputs, outputs in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(K or 1, B, first size) -> (K, B, last size)."""
        first, *rest = self
        x = first(x)
        for layer in rest:
            x = layer(torch.relu(x))
        return x


class Convolution(nn.Module):
    """K one-dimensional convolutions side by side, centred: (K, B, L, inputs) -> (K, B, ceil(L / stride), outputs).

    Written as a product with the windows under the kernel: a matrix product is what the training holds fixed to the
    bit, and for so few channels it is faster than torch's grouped convolution.
    """

    def __init__(self, members: int, inputs: int, outputs: int, kernel: int, stride: int, length: int) -> None:
        super().__init__()
        self.members, self.kernel, self.stride, self.length = members, kernel, stride, length
        self.inputs, self.outputs = inputs, outputs
        self.map = Affine(members, inputs * kernel, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, L, inputs) -> (K, B, ceil(L / stride), outputs)."""
        seen = windows(x, self.kernel, self.stride, self.length)  # (K, B, L', C, kernel)
        y: Tensor = self.map(seen.reshape(self.members, -1, self.inputs * self.kernel))  # (K, B * L', outputs)
        return y.reshape(self.members, -1, -(-self.length // self.stride), self.outputs)


# The export to ONNX writes these two as a whole: it does not look inside a function that fx wraps.
@fx.wrap
def windows(x: Tensor, kernel: int, stride: int, length: int) -> Tensor:  # noqa: ARG001, length is for the export
    """What a centred kernel sees at every stride-th step: (K, B, L, C) -> (K, B, ceil(L / stride), C, kernel)."""
    half = kernel // 2
    return nn.functional.pad(x, (0, 0, half, half)).unfold(2, kernel, stride)


@fx.wrap
def stretch(x: Tensor, length: int) -> Tensor:
    """Every step twice, cut to `length` steps: (K, B, ceil(L / 2), C) -> (K, B, L, C)."""
    return x.repeat_interleave(2, 2)[:, :, :length]
