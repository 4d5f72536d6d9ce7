"""Data augmentation: time warping, as if the heart beat at another rate, and baseline wander, an electrode artefact.

Each beat is changed at random again in every epoch, so that members learn what varies among normal beats and what does
not.

References
----------
Um et al. 2017, "Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional neural
networks" (time warping).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

WARPS = 3  # slow sine waves that shift samples in time; the ends of the beat stay
WANDERS = 4  # slow cosine waves that are added to a beat


def augment(beats: Tensor, warp: float, wander: float) -> Tensor:
    """Change each beat at random, with the random numbers of torch.

    Parameters
    ----------
    beats : float32 of shape (K, B, L)
    warp : standard deviation of each wave that shifts the samples, as a share of the beat's length
    wander : standard deviation of each wave that is added, in the beats' unit

    Returns
    -------
    float32 of shape (K, B, L); the beats as they are where both are 0
    """
    members, n, length = beats.shape
    if warp:
        shift = torch.randn(members, n, WARPS) @ (warp * length * _waves(torch.sin, WARPS, length))
        position = (torch.arange(length) + shift).clamp(0, length - 1)  # that each sample is taken from
        left = position.floor().clamp(max=length - 2)
        index = left.long()
        beats = torch.lerp(beats.gather(2, index), beats.gather(2, index + 1), position - left)
    if wander:
        beats = beats + torch.randn(members, n, WANDERS) @ (wander * _waves(torch.cos, WANDERS, length))
    return beats


def _waves(wave: Callable[[Tensor], Tensor], count: int, length: int) -> Tensor:
    """The first `count` half-periods of a wave over a beat: (count, L)."""
    return wave(math.pi * torch.arange(1, count + 1).unsqueeze(1) * torch.linspace(0, 1, length))
