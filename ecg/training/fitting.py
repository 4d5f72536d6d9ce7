"""Cross-fitted training of an ensemble of autoencoders.

With K folds the normal beats are split at random into K parts, and member k is fitted to all parts but the k-th. So
every beat has one error from a member that was not fitted to it: the held-out error, which estimates the error that a
new normal beat will have. All members are trained together in one batched computation, which costs little more than one
of them.

References
----------
Vovk 2015, "Cross-conformal predictors". Barber, Candès, Ramdas, Tibshirani 2021, "Predictive inference with the
jackknife+". Kingma & Ba 2015, "Adam: a method for stochastic optimization".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR
from tqdm import trange

from ecg.exceptions import InputError
from ecg.params import Train
from ecg.training.augmentation import augment
from ecg.training.devices import device_named, one_thread, seeded
from ecg.training.ensemble import Ensemble
from ecg.training.scaling import Scaling

AT_A_TIME = 4096  # beats whose errors are computed at a time: what the layers make of them is in memory

Losses = dict[str, float]
OnEpoch = Callable[[int, Losses], None]

# How the learning rate goes over the steps of a training. One cycle: Smith & Topin 2019, "Super-convergence"; Adam's
# momentum stays as it is.
SCHEDULES: dict[str, Callable[[Optimizer, int], LRScheduler]] = {
    "constant": lambda optimizer, _steps: ConstantLR(optimizer, factor=1.0),
    "one_cycle": lambda optimizer, steps: OneCycleLR(
        optimizer, optimizer.param_groups[0]["lr"], total_steps=steps, cycle_momentum=False
    ),
}


@dataclass(frozen=True)
class Fit:
    """A trained ensemble and what is known of its training beats.

    fold : int ndarray of shape (n_beats,), the member that was not fitted to the beat; all 0 with one fold
    fitted_error : float32 ndarray of shape (n_beats,), mean error under the members that were fitted to the beat
    held_out_error : the same under the member that was not; None with one fold
    losses : of each epoch, means over beats and members: "fitted", of the augmented beats as the epoch went by, and
        "held_out", at its end, which one fold does not have; one epoch of an architecture that is fitted in closed form
    """

    ensemble: Ensemble
    fold: np.ndarray
    fitted_error: np.ndarray
    held_out_error: np.ndarray | None
    losses: list[Losses]


@one_thread()
def fit(
    samples: np.ndarray,
    scaling: Scaling,
    build: Callable[[int, int], nn.Module],
    settings: Train,
    on_epoch: OnEpoch = lambda _epoch, _losses: None,
    fold: np.ndarray | None = None,
) -> Fit:
    """Fit an ensemble to normal beats by Adam on their mean error; each member keeps its epoch of lowest loss.

    An architecture that has a closed form (`ecg.models`) is fitted by that.

    Parameters
    ----------
    samples : float32 ndarray of shape (n_beats, n_samples), raw normal beats
    build : makes the untrained autoencoder from the number of members and the beat's length
    settings : the train section of params.yaml; its seed decides folds, initial weights and the order of beats
    on_epoch : called after each epoch with its number, from 1, and its losses (see `Fit`)
    fold : int ndarray of shape (n_beats,), the member that is not fitted to the beat; drawn at random by default

    Raises
    ------
    InputError
        if there are fewer than two beats a fold, if the device is not there, or if the loss becomes infinite or NaN.
    """
    n, folds = len(samples), settings.folds
    if n < 2 * folds:
        raise InputError(f"params.yaml: train.folds is {folds}: {n} normal beats allow at most {n // 2}")
    device = device_named(settings.device, "params.yaml: train.device")
    with seeded(device, settings.seed):
        folded = torch.randperm(n) % folds if fold is None else torch.from_numpy(fold)
        saw = _saw(folded, folds)
        ensemble = Ensemble(build(folds, samples.shape[1]), scaling).eval()
        beats = torch.from_numpy(samples)
        solver: Any = ensemble.members if hasattr(ensemble.members, "solve") else None
        if solver is None:
            losses = _train(ensemble, beats, saw, settings, device, on_epoch)
        else:
            with torch.no_grad():
                solver.solve(ensemble.scaled(beats), saw)
    fitted_error = _fitted_error(ensemble, beats, saw)
    held_out_error = _held_out_error(ensemble, beats, saw) if folds > 1 else None
    _require_finite(fitted_error if held_out_error is None else fitted_error + held_out_error, settings)
    if solver is not None:  # at once, which counts as one epoch
        errors = {"fitted": fitted_error, "held_out": held_out_error}
        losses = [{name: float(error.mean()) for name, error in errors.items() if error is not None}]
        on_epoch(1, losses[0])
    return Fit(
        ensemble,
        fold=folded.numpy(),
        fitted_error=fitted_error.numpy(),
        held_out_error=None if held_out_error is None else held_out_error.numpy(),
        losses=losses,
    )


def _saw(fold: Tensor, folds: int) -> Tensor:
    """Which member is fitted to which beat, from the beats' folds (n,): bool (K, n). One member alone sees them all."""
    return fold != torch.arange(folds).unsqueeze(1) if folds > 1 else torch.ones(1, len(fold), dtype=torch.bool)


@torch.no_grad()
def _fitted_error(ensemble: Ensemble, beats: Tensor, saw: Tensor) -> Tensor:
    """The mean error of each beat (n, L) under the members that saw it: (n,)."""
    parts = [ensemble.member_errors(part.unsqueeze(0)) for part in beats.split(AT_A_TIME)]  # (K, m) each
    return (torch.cat(parts, 1) * saw).sum(0) / saw.sum(0)


@torch.no_grad()
def _held_out_error(ensemble: Ensemble, beats: Tensor, saw: Tensor) -> Tensor:
    """The error of each beat (n, L) under the one member that did not see it: (n,)."""
    unseen = [torch.nonzero(~row).squeeze(1) for row in saw]
    padded = pad_sequence(unseen, batch_first=True, padding_value=-1)  # (K, m): folds differ by a beat at most
    device = ensemble.mean.device
    parts = [ensemble.member_errors(beats[part].to(device)).cpu() for part in padded.split(AT_A_TIME, 1)]
    errors = torch.cat(parts, 1)  # (K, m)
    result = torch.empty(len(beats))
    result[padded[padded >= 0]] = errors[padded >= 0]
    return result


def _train(
    ensemble: Ensemble, beats: Tensor, saw: Tensor, settings: Train, device: torch.device, on_epoch: OnEpoch
) -> list[Losses]:
    """Train the members in place; the losses of each epoch. Beats are augmented on the processor, wherever they go."""
    x = ensemble.scaled(beats)
    ensemble.to(device)
    seen = [torch.nonzero(row).squeeze(1) for row in saw]  # a member's own beats, one tensor a member
    size = min(map(len, seen))  # of folds that differ by a beat, the larger leaves one out, another every epoch
    parameters = list(ensemble.parameters())
    optimizer = Adam(parameters, settings.learning_rate, fused=True)
    schedule = SCHEDULES[settings.schedule](optimizer, settings.epochs * math.ceil(size / settings.batch_size))
    best = [p.detach().clone() for p in parameters]
    lowest = torch.full((len(seen),), math.inf, device=device)
    losses: list[Losses] = []
    with trange(settings.epochs, desc="train", unit="epoch", disable=None) as progress:
        for epoch in progress:
            order = torch.stack([own[torch.randperm(len(own))[:size]] for own in seen])  # (K, size)
            augmented = augment(x[order], settings.warp, settings.wander)  # (K, size, L)
            fitted = _train_epoch(ensemble, augmented.to(device).split(settings.batch_size, dim=1), optimizer, schedule)
            _require_finite(fitted, settings)
            better = fitted < lowest
            lowest = torch.where(better, fitted, lowest)
            for kept, parameter in zip(best, parameters, strict=True):
                kept[better] = parameter.detach()[better]
            losses.append({"fitted": float(fitted.mean())})
            if settings.folds > 1:
                losses[-1]["held_out"] = float(_held_out_error(ensemble, beats, saw).mean())
            on_epoch(epoch + 1, losses[-1])
            progress.set_postfix(losses[-1], refresh=False)
    with torch.no_grad():
        for kept, parameter in zip(best, parameters, strict=True):
            parameter.copy_(kept)
    ensemble.cpu()
    return losses


def _train_epoch(ensemble: Ensemble, batches: Sequence[Tensor], optimizer: Optimizer, schedule: LRScheduler) -> Tensor:
    """Take a step for each batch of scaled beats, (K, B, L); the mean loss of each member, (K,)."""
    size = sum(batch.shape[1] for batch in batches)
    mean = torch.zeros(len(batches[0]), device=batches[0].device)
    ensemble.train()
    for batch in batches:
        _, step_error = ensemble.errors(batch)
        loss = step_error.mean((1, 2))  # (K,), each member's own
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        schedule.step()
        mean += loss.detach() * (batch.shape[1] / size)
    ensemble.eval()
    return mean


def _require_finite(loss: Tensor, settings: Train) -> None:
    if not loss.isfinite().all():
        raise InputError(
            f"params.yaml: train.learning_rate is {settings.learning_rate}: the loss is no longer a finite number; "
            "a lower rate may help"
        )
