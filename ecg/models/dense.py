"""Dense autoencoder: symmetric, ReLU between layers, linear code and output; optionally denoising.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", without the
layer-wise pretraining. Vincent et al. 2008, "Extracting and composing robust features with denoising
autoencoders".
"""

import torch
from torch import Tensor, nn

from ecg.models.layers import Stack
from ecg.params import Dense as Params


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        inwards = [length, *params.hidden, params.latent]
        self.encoder, self.decoder = Stack(members, inwards), Stack(members, inwards[::-1])
        self.noise = params.noise

    def forward(self, beats: Tensor) -> Tensor:  # (K or 1, B, L) -> (K, B, L)
        if self.training and self.noise:
            beats = beats + self.noise * torch.randn_like(beats)
        reconstruction: Tensor = self.decoder(self.encoder(beats))
        return reconstruction
