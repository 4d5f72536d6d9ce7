"""Fit the network of normal hearts to the normal beats of many patients.

Patients are split at random into folds; member k is fitted to all patients but those of fold k modulo the number of
folds. So every patient can be judged by members that have never seen him, which is what calibration needs, and what
anyone needs who measures on the patients that the model was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

import ecg.training  # noqa: F401 - makes torch compute alike on every machine
from ecg.exceptions import InputError
from ecg.hearts.beats import NormalBeats
from ecg.hearts.context import BeatsInContext
from ecg.hearts.model import score_of
from ecg.hearts.network import Network, parts_of
from ecg.hearts.params import Train
from ecg.hearts.simulation import simulate

torch.set_num_threads(1)  # how many threads share a sum changes its last bit

OnStep = Callable[[], object]


@dataclass(frozen=True)
class Fit:
    """A fitted network.

    network : in evaluation mode
    fold : int ndarray of shape (patients,)
    held_out : float32 ndarray of shape (n,), the score of each beat by the members that have not seen the patient
    """

    network: Network
    fold: np.ndarray
    held_out: np.ndarray


def fit(beats: NormalBeats, settings: Train, on_step: OnStep = lambda: None) -> Fit:
    """Fit the members to the normal beats of patients 0, 1, ...

    Parameters
    ----------
    on_step : called after each step

    Raises
    ------
    InputError
        if there are fewer than two patients a fold, or if the loss becomes infinite or NaN.
    """
    patients, folds = int(beats.patient.max()) + 1, settings.folds
    if patients < 2 * folds:
        raise InputError(
            f"hearts/params.yaml: hearts.train.folds is {folds}: {patients} patients allow {patients // 2}"
        )
    random, members = np.random.default_rng(settings.seed), folds * settings.repeats
    fold = random.permutation(patients) % folds
    seen = [np.flatnonzero(fold[beats.patient] != k % folds) for k in range(members)]
    columns = tensor(beats.in_context())
    normal = parts_of(columns)
    # Foreign shapes must come from patients that the member may see.
    simulated = [[tensor(simulate(beats.where(own), random)) for _ in range(settings.simulations)] for own in seen]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = Network(members, normal[0].shape[1], settings.network)
        for k, own in enumerate(seen):
            network.scale_by(k, *(x[own] for x in normal))
        _train(network, normal, seen, simulated, settings, random, on_step)
    network.eval()
    with torch.no_grad():
        sums = network(columns)[-1].numpy()
    if not np.isfinite(sums).all():
        raise InputError("the loss is not a finite number; a smaller train.learning_rate may do (hearts/params.yaml)")
    held_out = np.empty(len(beats), np.float32)
    for k in range(folds):
        own = fold[beats.patient] == k
        held_out[own] = score_of(sums[own, k::folds])
    return Fit(network, fold, held_out)


def tensor(beats: BeatsInContext) -> Tensor:
    """The network's input."""
    return torch.from_numpy(beats.columns)


def _train(
    network: Network,
    normal: tuple[Tensor, ...],
    seen: list[np.ndarray],
    simulated: list[list[Tensor]],
    settings: Train,
    random: np.random.Generator,
    on_step: OnStep,
) -> None:
    optimizer = AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = OneCycleLR(optimizer, settings.learning_rate, total_steps=settings.steps)
    size = settings.batch_size // 2
    target = torch.cat([torch.zeros(size), torch.ones(size)]).expand(len(seen), -1)
    pools = [torch.cat(draws) for draws in simulated]
    network.train()
    for _ in range(settings.steps):
        chosen = [torch.from_numpy(random.choice(own, size)) for own in seen]
        drawn = [torch.from_numpy(random.integers(len(pool), size=size)) for pool in pools]
        beats = [torch.stack([x[own] for own in chosen]) for x in normal]  # (K, B / 2, ...)
        others = parts_of(torch.stack([pool[own] for pool, own in zip(pools, drawn, strict=True)]))
        left, _, features = network.features(*beats)
        _, step_error = network.autoencode(left, features)
        _, _, other_features = network.features(*others)
        logit = network.discriminator(torch.cat([features, other_features], 1)).squeeze(-1)
        loss = step_error.mean() + functional.binary_cross_entropy_with_logits(logit, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_step()
