"""Normal beats as they might have been: the same heart at another pace, the same electrode a little adrift.

Members that see each beat changed anew every epoch learn what varies among normal beats and what does not. (Um et al.
2017, "Data augmentation of wearable sensor data ... using convolutional neural networks", has warping; baseline wander
is ECG's best-known artefact.)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

WARPS = 3  # slow sine waves that shift samples along the beat, its ends held
WANDERS = 4  # slow cosine waves that are added to a beat


def augment(beats: Tensor, warp: float, wander: float) -> Tensor:
    """Change each beat at random, by torch's own random numbers.

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
        place = (torch.arange(length) + shift).clamp(0, length - 1)  # where each sample is taken from
        left = place.floor().clamp(max=length - 2)
        index = left.long()
        beats = torch.lerp(beats.gather(2, index), beats.gather(2, index + 1), place - left)
    if wander:
        beats = beats + torch.randn(members, n, WANDERS) @ (wander * _waves(torch.cos, WANDERS, length))
    return beats


def _waves(wave: Callable[[Tensor], Tensor], count: int, length: int) -> Tensor:
    """The first `count` half-periods of a wave over a beat: (count, L)."""
    return wave(math.pi * torch.arange(1, count + 1).unsqueeze(1) * torch.linspace(0, 1, length))
