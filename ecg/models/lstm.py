"""Sequence-to-sequence LSTM autoencoder. The decoder sees the code at every step and never the beat.

Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs" (the unconditioned decoder, which
reconstructs backwards); Malhotra et al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection".
"""

import torch
from torch import Tensor, nn

from ecg.exceptions import InputError
from ecg.models.layers import Affine
from ecg.params import Lstm as Params


class Cell(nn.Module):
    """K LSTM cells side by side (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

    def __init__(self, members: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input, self.recurrent = Affine(members, inputs, 4 * hidden), Affine(members, hidden, 4 * hidden)
        self.hidden = hidden

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """One step: what `self.input` made of the input, (K, B, 4H), and h and c, (K, B, H); None is a state of 0."""
        gates = x + (self.recurrent.bias if state is None else self.recurrent(state[0]))
        i, f, o = torch.sigmoid(gates.narrow(-1, 0, 3 * self.hidden)).chunk(3, -1)
        c = i * torch.tanh(gates.narrow(-1, 3 * self.hidden, self.hidden))
        if state is not None:
            c = c + f * state[1]
        return o * torch.tanh(c), c


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
        self.encoder = Cell(members, params.patch, params.hidden)
        self.encode = Affine(members, params.hidden, params.latent)
        self.decoder = Cell(members, params.latent, params.hidden)
        self.decode = Affine(members, params.hidden, params.patch)

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        x = beats.expand(self.members, -1, -1)
        if missing := self.steps * self.patch - self.length:
            x = nn.functional.pad(x, (0, missing))
        x = self.encoder.input(x.reshape(self.members, -1, self.patch))  # (K, B * T, 4H)
        x = x.reshape(self.members, -1, self.steps, 4 * self.encoder.hidden)
        state = self.encoder(x.select(2, 0), None)
        for t in range(1, self.steps):
            state = self.encoder(x.select(2, t), state)
        code = self.decoder.input(self.encode(state[0]))  # (K, B, 4H)
        states = [self.decoder(code, None)]
        for _ in range(1, self.steps):
            states.append(self.decoder(code, states[-1]))
        h = torch.stack([h for h, _ in reversed(states)], 2)  # (K, B, T, H)
        y: Tensor = self.decode(h.reshape(self.members, -1, self.decoder.hidden))  # (K, B * T, patch)
        return y.reshape(self.members, -1, self.steps * self.patch).narrow(-1, 0, self.length)
