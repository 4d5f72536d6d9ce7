"""One-dimensional convolutional autoencoder: each layer halves the beat's length, the decoder doubles it again.

Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction". The decoder repeats
samples and convolves; a transposed convolution would cause checkerboard artefacts (Odena et al. 2016, "Deconvolution
and checkerboard artifacts").
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ecg.models.layers import Affine, Convolution
from ecg.params import Conv1d as Params


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        channels = [1, *params.channels]
        self.lengths = [-(-length // 2**layer) for layer in range(len(channels))]
        layers = list(pairwise(channels))
        self.encoder = nn.ModuleList(Convolution(members, a, b, params.kernel, stride=2) for a, b in layers)
        self.decoder = nn.ModuleList(Convolution(members, b, a, params.kernel) for a, b in reversed(layers))
        innermost = channels[-1], self.lengths[-1]
        self.encode = Affine(members, math.prod(innermost), params.latent)
        self.decode = Affine(members, params.latent, math.prod(innermost))
        # Their initial weights are drawn sample by sample; convolutions have features in the order of the channels.
        order = torch.arange(math.prod(innermost)).reshape(innermost[::-1]).T.flatten()
        with torch.no_grad():
            self.encode.weight.copy_(self.encode.weight[:, order])
            self.decode.weight.copy_(self.decode.weight[..., order])
            self.decode.bias.copy_(self.decode.bias[..., order])

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        x = beats.transpose(0, 1).unsqueeze(2)  # (B, K or 1, 1, L)
        for layer in self.encoder:
            x = torch.relu(layer(x))  # (B, K * C, 1, L')
        members, features, _ = self.encode.weight.shape
        code = self.encode(x.reshape(-1, members, features).transpose(0, 1))  # (K, B, latent)
        x = self.decode(code).transpose(0, 1).reshape(-1, *x.shape[1:])
        for layer, length in zip(self.decoder, self.lengths[-2::-1], strict=True):
            x = nn.functional.interpolate(torch.relu(x), scale_factor=(1.0, 2.0))  # each sample twice
            x = layer(x[..., :length])
        return x.squeeze(2).transpose(0, 1)
