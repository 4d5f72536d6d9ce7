"""Linear autoencoder of a beat and of its random convolutional features, in closed form.

What makes a time series normal may be a shape that stands anywhere in it. Convolutions with many fixed kernels, each
summarised by the share of the samples at which it exceeds a threshold, describe such shapes well (Dempster et al. 2020,
"ROCKET"; 2021, "MiniRocket", whose 84 kernels these are). An autoencoder learns which of these features go together in
normal beats. A linear one with squared error projects onto the first principal components (Baldi & Hornik 1989,
"Neural networks and principal component analysis"), so it is computed at once instead of by steps of an optimiser.

The score is the error of the features. It is divided over the samples of the beat in proportion to the squared error of
the beat itself, which a second linear autoencoder reconstructs. A little of that error is added: a spike in one sample
hardly changes a share, however large it is.
"""

from itertools import combinations

import torch
from torch import Tensor, nn

from ecg.params import Rocket as Params

TAPS = 9  # samples that a kernel weighs; three of them by 2, the others by -1
KERNELS = tuple(combinations(range(TAPS), 3))
SAMPLE = 50  # beats whose convolutions the thresholds are quantiles of
BEATS_AT_A_TIME = 256  # whose convolutions are in memory
RAMP = 0.5  # width in which a threshold is passed, in standard deviations of the convolution; MiniRocket has a step
LEAST_SPREAD = 0.1  # is added to a feature's standard deviation, so that one that hardly varies is not blown up
OF_BEAT = 0.001  # weight of the beat's own squared error in the score
SMALLEST = 1e-3  # squared error of a sample that does not matter: where all are smaller, all have the same share


class Features(nn.Module):
    """Shares of the samples at which convolutions with fixed, dilated kernels exceed thresholds: (N, L) -> (N, F)."""

    def __init__(self, length: int, features: int) -> None:
        super().__init__()
        longest = max(1, (length - 1) // (TAPS - 1))
        self.dilations = [2**i for i in range(longest.bit_length())]  # as long as a kernel fits into the beat
        self.levels = max(1, round(features / (len(KERNELS) * len(self.dilations))))
        weight = torch.full((len(KERNELS), TAPS), -1.0)
        for row, taps in enumerate(KERNELS):
            weight[row, list(taps)] = 2.0
        # For each dilation, each kernel once for each of its thresholds, in units of the ramp; `choose` scales it.
        self.weight = nn.Buffer(weight.repeat(len(self.dilations), self.levels, 1)[:, :, None, None])  # (D, C, 1, 1, 9)
        self.bias = nn.Buffer(torch.zeros(self.weight.shape[:2]))  # (D, C)

    @property
    def number(self) -> int:
        """The number of features, F."""
        return self.bias.numel()

    def choose(self, beats: Tensor) -> None:
        """Choose the thresholds: of each kernel and dilation, quantiles of its convolutions of normal beats (n, L)."""
        sample = beats[:: -(-len(beats) // SAMPLE)]
        self.bias.zero_()
        # Other quantiles for other kernels, evenly spread over all: multiples of the golden ratio.
        place = torch.arange(1, self.bias.numel() + 1, dtype=torch.float64)
        quantile = (place * (5**0.5 - 1) / 2 % 1.0).reshape(self.bias.shape)
        for index in range(len(self.dilations)):
            convolved = self._convolved(sample, index)[:, : len(KERNELS)]  # each kernel once
            values = convolved.transpose(0, 1).flatten(1).sort().values.repeat(self.levels, 1)  # (C, n L)
            rank = (quantile[index] * values.shape[1]).long().unsqueeze(1)
            ramp = RAMP * values.std(1).clamp(min=torch.finfo(torch.float32).eps)
            self.weight[index] /= ramp[:, None, None, None]
            self.bias[index] = -values.gather(1, rank).squeeze(1) / ramp

    def forward(self, beats: Tensor) -> Tensor:
        above = (self._convolved(beats, index).clamp(-0.5, 0.5) for index in range(len(self.dilations)))
        return torch.cat([each.mean(-1) for each in above], 1)

    def _convolved(self, beats: Tensor, index: int) -> Tensor:
        """With the dilation of this index, with zeros before and after the beat: (N, L) -> (N, C, L)."""
        dilation = self.dilations[index]
        image = beats[:, None, None]  # one row: ONNX Runtime's fast convolutions take images only
        reach = (0, (TAPS // 2) * dilation)
        return nn.functional.conv2d(image, self.weight[index], self.bias[index], 1, reach, (1, dilation)).squeeze(2)


class Projection(nn.Module):
    """K linear autoencoders side by side, in closed form: (K or 1, N, D) -> their residuals, (K, N, D)."""

    def __init__(self, members: int, size: int, *, standardised: bool) -> None:
        super().__init__()
        self.standardised = standardised
        self.mean = _fixed(torch.zeros(members, 1, size))
        self.deviation = _fixed(torch.ones(members, 1, size))
        self.basis = _fixed(torch.zeros(members, size, 1))

    def solve(self, values: Tensor, saw: Tensor, variance: float) -> None:
        """Fit each member to the rows of `values`, (n, D), that it sees: bool (K, n)."""
        bases = []
        for member, own in enumerate(saw):
            rows = values[own].double()
            self.mean[member] = rows.mean(0)
            if self.standardised:
                self.deviation[member] = rows.std(0, correction=0) + LEAST_SPREAD
            bases.append(_components((rows - rows.mean(0)) / self.deviation[member].double(), variance))
        most = max(basis.shape[1] for basis in bases)  # the code of each member has a size of its own
        self.basis = _fixed(torch.stack([nn.functional.pad(basis, (0, most - basis.shape[1])) for basis in bases]))

    def forward(self, values: Tensor) -> Tensor:
        centred = (values - self.mean) / self.deviation if self.standardised else values - self.mean
        return centred - (centred @ self.basis) @ self.basis.mT


def _fixed(values: Tensor) -> nn.Parameter:
    """A parameter that no optimiser changes."""
    return nn.Parameter(values, requires_grad=False)


def _components(rows: Tensor, variance: float) -> Tensor:
    """The first principal components of centred rows (n, D) that explain a share of their variance: float32 (D, r)."""
    wide = rows.shape[0] < rows.shape[1]
    eigenvalues, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    eigenvalues, vectors = eigenvalues.flip(0).clamp(min=0), vectors.flip(1)
    explained = eigenvalues.cumsum(0) / eigenvalues.sum().clamp(min=torch.finfo(torch.float64).tiny)
    rank = int((eigenvalues > len(eigenvalues) * torch.finfo(torch.float64).eps * eigenvalues[0]).sum())
    number = min(int((explained < variance).sum()) + 1, rank)
    basis = rows.T @ vectors[:, :number] / eigenvalues[:number].sqrt() if wide else vectors[:, :number]
    return basis.float()


class Autoencoder(nn.Module):
    own_errors = True

    def __init__(self, members: int, length: int, params: Params) -> None:
        super().__init__()
        self.variance = params.variance
        self.features = Features(length, params.features)
        self.of_features = Projection(members, self.features.number, standardised=True)
        self.of_beat = Projection(members, length, standardised=False)

    def solve(self, beats: Tensor, saw: Tensor) -> None:
        """Fit all members to normal beats, (n, L); `saw`, bool (K, n), tells which member is fitted to which beat."""
        self.features.choose(beats)
        features = torch.cat([self.features(part) for part in beats.split(BEATS_AT_A_TIME)])
        self.of_features.solve(features, saw, self.variance)
        self.of_beat.solve(beats, saw, self.variance)

    def forward(self, beats: Tensor) -> tuple[Tensor, Tensor]:  # (K or 1, B, L) -> (K, B, L) both
        residual = self.of_beat(beats)
        features = self.features(beats.flatten(0, 1)).unflatten(0, beats.shape[:2])  # (K or 1, B, F)
        error = self.of_features(features).square().mean(-1, keepdim=True)  # (K, B, 1)
        squared = residual.square()
        share = (squared + SMALLEST) / (squared + SMALLEST).mean(-1, keepdim=True)  # of mean 1
        return beats - residual, error * share + OF_BEAT * squared
