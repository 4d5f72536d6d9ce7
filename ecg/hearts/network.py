"""The network of normal hearts: an autoencoder of a beat in its context, and a discriminator of simulated anomalies.

What both see of a beat is its residual: what is left of it after the patient's own normal beat, at the best gain. Their
context is that normal beat, the rhythm around, and how usual such a residual is for this patient.

autoencoder     codes the residual and reconstructs it, with its spread at each sample; fitted to normal beats, so that
                it learns how normal beats differ from their own normal, and how much
discriminator   tells normal beats from simulated anomalies (`ecg.hearts.simulation`); no annotated one is used
excess          how much larger the residual is than is usual for this patient
earliness       how early a beat comes: compared with the normal RR interval, with the one before and with the one after

A score is the weighted sum of the four. All K members of the ensemble run as one batched computation.

References
----------
Likelihood with a heavy tail: Takahashi et al. 2018, "Student-t variational autoencoder for robust density estimation".
A discriminator of simulated anomalies beside a reconstruction: Zavrtanik, Kristan, Skočaj 2021, "DRAEM: a
discriminatively trained reconstruction embedding for surface anomaly detection".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecg.hearts.context import EXCESSES, GAINS, IRREGULARITY_OFFSET, RHYTHM, SURROUNDINGS
from ecg.hearts.params import Network as Params
from ecg.models.layers import Stack

LARGEST_RESIDUAL = 20.0  # times the normal beat: what is beyond counts as this
LOG_SPREADS = (-5.0, 3.0)
FREEDOM = 3.0  # degrees of freedom of Student's t distribution
SQUASH = 2.0  # large residuals are compressed to their logarithm for the discriminator
RHYTHM_SCALE = 3.0
USUAL_EXCESS = 1.5  # log units, up to which the excess of a normal beat is usual
TINY = 1e-6
BEFORE, AFTER, ONE_BEFORE = (RHYTHM.index(name) for name in ("before", "after", "one_before"))
IRREGULARITY, USUAL = (SURROUNDINGS.index(name) for name in ("irregularity", "usual"))


class Network(nn.Module):
    """K members side by side.

    Parameters
    ----------
    members, length : K, and the samples of a beat, L
    params : the section `network` of hearts/params.yaml
    """

    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        context = length + len(RHYTHM) + len(SURROUNDINGS) - 1
        features = length + context + 1
        hidden, latent = params.hidden, params.latent
        self.encoder = Stack(members, [length + context, hidden, latent], functional.silu)
        self.decoder = Stack(members, [latent + context, hidden, 2 * length], functional.silu)
        self.discriminator = Stack(members, [features, hidden, hidden, 1], functional.silu)
        self.mean = nn.Buffer(torch.zeros(members, 1, features))
        self.deviation = nn.Buffer(torch.ones(members, 1, features))
        self.noise = params.noise
        self.weights = params

    @torch.no_grad()
    def scale_by(self, member: int, *beats: Tensor) -> None:
        """Take the means and standard deviations of a member's features from the normal beats that it is fitted to."""
        beat, normal, rhythm, surroundings = beats
        features = self._features(residual(beat, normal)[0], normal, rhythm, surroundings)
        self.mean[member] = features.mean(0)
        self.deviation[member] = features.std(0) + 0.05

    def autoencode(self, left: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Residuals (K or 1, B, L) and features (K, B, F) -> reconstructions and errors at each sample, both (K, B, L).

        The error is the negative logarithm of the likelihood by Student's t distribution.
        """
        length = left.shape[-1]
        context = features[..., length:-1]
        spread = left.std((-2, -1), keepdim=True)  # each member's own: it may not know of other patients' beats
        noisy = left + self.noise * spread * torch.randn_like(left) if self.training else left
        code = self.encoder(torch.cat([noisy.expand(*context.shape[:-1], -1), context], -1))
        mean, log_spread = self.decoder(torch.cat([code, context], -1)).split(length, -1)
        log_spread = log_spread.clamp(*LOG_SPREADS)
        standard = (left - mean) / log_spread.exp()
        return mean, (FREEDOM + 1) / 2 * torch.log1p(standard.square() / FREEDOM) + log_spread

    def features(self, beat: Tensor, normal: Tensor, rhythm: Tensor, surroundings: Tensor) -> tuple[Tensor, ...]:
        """The residual, the gain, and the standardised features (K, B, F), of beats (B, ...) or (K, B, ...)."""
        left, gain = residual(beat, normal)
        features = self._features(left, normal, rhythm, surroundings)
        return left, gain, (features - self.mean) / self.deviation

    def _features(self, left: Tensor, normal: Tensor, rhythm: Tensor, surroundings: Tensor) -> Tensor:
        squashed = left.sign() * torch.log1p(SQUASH * left.abs())
        excess = excess_of(left, surroundings).unsqueeze(-1)
        return torch.cat([squashed, normal, RHYTHM_SCALE * rhythm, surroundings[..., :USUAL], excess], -1)

    def forward(self, beats: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Beats in context, (B, columns) as `BeatsInContext.columns` gives them -> what the ONNX file gives.

        Returns
        -------
        reconstruction (B, L), error at each sample (B, L), score (B,), and each member's sum (B, K); the score is the
        softplus of their mean, which makes it positive
        """
        beat, normal, rhythm, surroundings = parts_of(beats)
        left, gain, features = self.features(beat, normal, rhythm, surroundings)
        mean, step_error = self.autoencode(left, features)  # (K, B, L)
        logit = self.discriminator(features).squeeze(-1)  # (K, B)
        early, excess = earliness(rhythm, surroundings), functional.relu(excess_of(left, surroundings) - USUAL_EXCESS)
        weights = self.weights
        total = weights.excess_weight * excess + weights.timing_weight * early
        total = total + weights.shape_weight * step_error.mean(-1) + weights.discriminator_weight * logit  # (K, B)
        score = functional.softplus(total.mean(0))
        return gain * normal + mean.mean(0), step_error.mean(0), score, total.transpose(0, 1)


def parts_of(beats: Tensor) -> tuple[Tensor, ...]:
    """Columns (..., 2 L + 10) -> beat (..., L), normal (..., L), rhythm (..., 6), surroundings (..., 4)."""
    rest = len(RHYTHM) + len(SURROUNDINGS)
    length = (beats.shape[-1] - rest) // 2
    return beats.split([length, length, len(RHYTHM), len(SURROUNDINGS)], -1)


def residual(beat: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of beats after the normal beat at its best gain, and that gain: (..., L) and (..., 1)."""
    size = normal.square().sum(-1, keepdim=True) + TINY
    gain = ((beat * normal).sum(-1, keepdim=True) / size).clamp(*GAINS)
    return (beat - gain * normal).clamp(-LARGEST_RESIDUAL, LARGEST_RESIDUAL), gain


def excess_of(left: Tensor, surroundings: Tensor) -> Tensor:
    """How much larger residuals are than is usual, in log units: (..., L) and (..., 4) -> (...)."""
    return ((left.square().mean(-1) + TINY).log() - surroundings[..., USUAL]).clamp(*EXCESSES)


def earliness(rhythm: Tensor, surroundings: Tensor) -> Tensor:
    """How early beats come, beyond what is usual for the rhythm: (..., 6) and (..., 4) -> (...)."""
    irregularity = surroundings[..., IRREGULARITY].exp() - IRREGULARITY_OFFSET
    before, after, one_before = rhythm[..., BEFORE], rhythm[..., AFTER], rhythm[..., ONE_BEFORE]
    own = functional.relu(-before - 0.02 - irregularity)
    than_last = (one_before - before - 0.03).clamp(0.0, 0.5)
    than_next = (after - before - 0.1).clamp(0.0, 0.8)
    return own + 0.4 * than_last + 0.2 * than_next
