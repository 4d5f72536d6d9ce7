"""One-dimensional convolutional autoencoder: each layer halves the beat's length, the decoder doubles it again.

Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction". The decoder repeats
samples and convolves; a transposed convolution would cause checkerboard artefacts (Odena et al. 2016, "Deconvolution
and checkerboard artifacts").
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ecg.models.layers import Affine, Convolution
from ecg.params import Conv1d as Params


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        channels, lengths = [1, *params.channels], [length]
        for _ in params.channels:
            lengths.append(-(-lengths[-1] // 2))
        self.members, self.lengths = members, lengths
        self.innermost = members * channels[-1], 1, lengths[-1]  # (K * C, 1, L') of each beat
        layers = list(pairwise(channels))
        self.encoder = nn.ModuleList(Convolution(members, a, b, params.kernel, stride=2) for a, b in layers)
        self.decoder = nn.ModuleList(Convolution(members, b, a, params.kernel) for a, b in reversed(layers))
        self.features = channels[-1] * lengths[-1]
        self.encode = Affine(members, self.features, params.latent)
        self.decode = Affine(members, params.latent, self.features)
        # Their initial weights are drawn sample by sample; convolutions have features in the order of the channels.
        order = torch.arange(self.features).reshape(lengths[-1], channels[-1]).T.flatten()
        with torch.no_grad():
            self.encode.weight.copy_(self.encode.weight[:, order])
            self.decode.weight.copy_(self.decode.weight[..., order])
            self.decode.bias.copy_(self.decode.bias[..., order])

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        x = beats.transpose(0, 1).unsqueeze(2)  # (B, K or 1, 1, L)
        for layer in self.encoder:
            x = torch.relu(layer(x))  # (B, K * C, 1, L')
        code = self.encode(x.reshape(-1, self.members, self.features).transpose(0, 1))  # (K, B, latent)
        x = self.decode(code).transpose(0, 1).reshape(-1, *self.innermost)
        for layer, length in zip(self.decoder, self.lengths[-2::-1], strict=True):
            x = nn.functional.interpolate(torch.relu(x), scale_factor=(1.0, 2.0))  # each sample twice
            x = layer(x[..., :length])
        return x.squeeze(2).transpose(0, 1)
