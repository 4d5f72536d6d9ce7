"""One-dimensional convolutional autoencoder: each layer halves the beat's length, the decoder doubles it again.

Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction". The decoder repeats
samples and convolves instead of convolving transposed, which would leave a comb (Odena et al. 2016, "Deconvolution and
checkerboard artifacts").
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ecg.models import layers
from ecg.models.layers import Affine, Convolution
from ecg.params import Conv1d as Params


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        channels, lengths = [1, *params.channels], [length]
        for _ in params.channels:
            lengths.append(-(-lengths[-1] // 2))
        shapes = list(zip(channels, lengths, strict=True))  # of a beat on its way in: (C, L)
        self.members, self.lengths = members, lengths
        self.inwards = nn.ModuleList(
            Convolution(members, a, b, params.kernel, 2, n) for (a, n), (b, _) in pairwise(shapes)
        )
        self.outwards = nn.ModuleList(
            Convolution(members, a, b, params.kernel, 1, n) for (a, _), (b, n) in pairwise(reversed(shapes))
        )
        self.innermost = channels[-1], lengths[-1]
        self.encode = Affine(members, channels[-1] * lengths[-1], params.latent)
        self.decode = Affine(members, params.latent, channels[-1] * lengths[-1])

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        channels, length = self.innermost
        x = beats.expand(self.members, -1, -1).unsqueeze(3)  # (K, B, L, 1)
        for layer in self.inwards:
            x = torch.relu(layer(x))  # (K, B, L', C)
        code = self.encode(x.reshape(self.members, -1, length * channels))  # (K, B, latent)
        x = self.decode(code).reshape(self.members, -1, length, channels)
        for layer, length in zip(self.outwards, self.lengths[-2::-1], strict=True):
            x = layer(layers.stretch(torch.relu(x), length))
        return x.squeeze(3)
