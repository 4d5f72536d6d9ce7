"""Sequence-to-sequence LSTM autoencoder. The decoder gets the code as its input at every step, never the beat.

Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs" (the unconditioned decoder, which
reconstructs backwards); Malhotra et al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ecg.exceptions import InputError
from ecg.models.layers import Affine
from ecg.params import Lstm as Params


class Lstm(nn.Module):
    """K LSTM layers side by side (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

    def __init__(self, members: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input, self.recurrent = Affine(members, inputs, 4 * hidden), Affine(members, hidden, 4 * hidden)

    def forward(self, steps: Sequence[Tensor]) -> list[Tensor]:
        """The input at each step, (K, B, inputs) each -> the hidden state after each step, (K, B, H) each."""
        bias = self.input.bias + self.recurrent.bias
        weights = torch.cat([self.input.weight, bias, self.recurrent.weight], 1)  # (K, inputs + 1 + H, 4H)
        gates = weights.chunk(4, -1)  # a product for each: ONNX Runtime needs longer to split the result of one product
        one = torch.ones_like(steps[0][..., :1])  # what the bias is multiplied by
        h = c = torch.zeros_like(one).expand(-1, -1, self.recurrent.weight.shape[1])  # (K, B, H)
        states = []
        for x in steps:
            joined = torch.cat([x, one, h], -1)
            i, f, o, g = (joined @ gate for gate in gates)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return states


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        self.members, self.length, self.patch = members, length, params.patch
        self.steps = -(-length // params.patch)
        if self.steps < 2:
            raise InputError(
                f"params.yaml: models.lstm.patch is {params.patch}: it should be less than the "
                f"{length} samples of a beat, so that there is a sequence"
            )
        self.encoder = Lstm(members, params.patch, params.hidden)
        self.encode = Affine(members, params.hidden, params.latent)
        self.decoder = Lstm(members, params.latent, params.hidden)
        self.decode = Affine(members, params.hidden, params.patch)

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        x = nn.functional.pad(beats.expand(self.members, -1, -1), (0, self.steps * self.patch - self.length))
        code = self.encode(self.encoder(x.split(self.patch, -1))[-1])  # (K, B, latent)
        states = self.decoder([code] * self.steps)
        patches = [self.decode(h) for h in reversed(states)]  # (K, B, patch) each
        return torch.cat(patches, -1)[..., : self.length]
