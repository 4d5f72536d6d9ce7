"""Beta variational autoencoder with dense layers: a Gaussian code, a Gaussian beat of fixed variance.

Kingma & Welling 2014, "Auto-encoding variational Bayes"; Higgins et al. 2017, "beta-VAE". With the beat's variance at
1/2 the negative ELBO is the squared error plus beta times the divergence; over the beat's L samples, the mean squared
error plus beta / L times the divergence.
"""

import torch
from torch import Tensor, nn

from ecg.models.layers import Stack
from ecg.params import Vae as Params


class Autoencoder(nn.Module):
    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        inwards = [length, *params.hidden]
        self.encoder = Stack(members, [*inwards, 2 * params.latent])
        self.decoder = Stack(members, [params.latent, *inwards[::-1]])
        self.weight = params.beta / length
        self.scores_elbo = params.score == "elbo"

    def forward(self, beats: Tensor) -> Tensor | tuple[Tensor, Tensor]:  # (K or 1, B, L) -> (K, B, L), (K, B, 1)
        mean, log_variance = self.encoder(beats).chunk(2, -1)  # (K, B, latent) each
        code = mean
        if self.training:
            code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        reconstruction: Tensor = self.decoder(code)
        if not (self.training or self.scores_elbo):
            return reconstruction
        divergence = (mean.square() + torch.exp(log_variance) - log_variance - 1).sum(-1, keepdim=True) / 2
        return reconstruction, self.weight * divergence
