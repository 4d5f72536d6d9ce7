"""Fit the network of normal hearts to the normal beats of many patients.

Patients are split at random into folds; member k is fitted to all patients but those of fold k modulo the number of
folds. So every patient can be judged by members that have never seen him, which is what calibration needs, and what
anyone needs who measures on the patients that the model was trained on.

Beats, and the anomalies simulated from them, stand in files and are worked on part by part: one beat more takes some
tens of bytes of memory. The foreign shapes of simulated anomalies come from patients of the same part.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

import ecg.training  # noqa: F401 - makes torch compute alike on every machine
from ecg.exceptions import InputError
from ecg.hearts.beats import NormalBeats, StoredBeats
from ecg.hearts.context import LENGTH, STEP, BeatsInContext
from ecg.hearts.model import score_of
from ecg.hearts.network import Network, parts_of
from ecg.hearts.params import Train
from ecg.hearts.simulation import simulate
from ecg.hearts.stored import REMEDY, Rows
from ecg.recordings.cutting import thinned
from ecg.training.devices import device_named, one_thread, seeded

CPU = torch.device("cpu")
PARTITION = 2**16  # beats that anomalies are simulated from at a time
SCORED = 2**13  # beats that are scored at a time: all members' features of them are in memory
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


@one_thread()
def fit(beats: NormalBeats | StoredBeats, settings: Train, on_step: OnStep = lambda: None) -> Fit:
    """Fit the members to the normal beats of patients 0, 1, ...

    Parameters
    ----------
    on_step : called after each step

    Raises
    ------
    InputError
        if there are fewer than two patients a fold, if the device is not there, if there is no room for the simulated
        anomalies, or if the loss becomes infinite or NaN.
    """
    patients, folds = int(beats.patient.max()) + 1, settings.folds
    if patients < 2 * folds:
        raise InputError(
            f"hearts/params.yaml: hearts.train.folds is {folds}: {patients} patients allow {patients // 2}"
        )
    device = device_named(settings.device, "hearts/params.yaml: hearts.train.device")
    random = np.random.default_rng(settings.seed)
    fold = random.permutation(patients) % folds
    seen = [np.flatnonzero(fold[beats.patient] != k).astype(np.uint32) for k in range(folds)] * settings.repeats
    with tempfile.TemporaryDirectory(prefix="ecg-") as temporary:
        folder = Path(temporary)
        normal = Rows.written(
            folder / "normal", (beats.where(part).in_context().columns for part in _parts(len(beats)))
        )
        _check_room(folder, normal.width * settings.simulations * sum(map(len, seen)))
        # Foreign shapes must come from patients that the member may see.
        simulated = [
            Rows.written(folder / f"simulated_{k}", _simulations(beats, own, settings.simulations, random))
            for k, own in enumerate(seen)
        ]
        with seeded(device, settings.seed):
            network = Network(len(seen), LENGTH // STEP, settings.network)
            for k, own in enumerate(seen):
                network.scale_by(k, *_tensors(normal[thinned(own, PARTITION)]))
            _train(network.to(device), normal, seen, simulated, settings, random, on_step)
        held_out = _held_out(network.eval(), normal, fold[beats.patient], folds)
    return Fit(network.cpu(), fold, held_out)


def tensor(beats: BeatsInContext) -> Tensor:
    """The network's input."""
    return torch.from_numpy(beats.columns)


def _parts(n: int) -> list[slice]:
    """Parts of n beats, equally large, of PARTITION at most."""
    bounds = np.linspace(0, n, -(-n // PARTITION) + 1).astype(int).tolist()
    return [slice(*part) for part in itertools.pairwise(bounds)]


def _check_room(folder: Path, numbers: int) -> None:
    """InputError if a folder has no room for so many float32."""
    needed, free = 4 * numbers / 1e9, shutil.disk_usage(folder).free / 1e9
    if needed > free:
        raise InputError(
            f"{folder} has {free:.1f} GB free, and the simulated anomalies take {needed:.1f}; {REMEDY}, and a smaller "
            "hearts.train.simulations takes less (hearts/params.yaml)"
        )


def _simulations(
    beats: NormalBeats | StoredBeats, own: np.ndarray, count: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Anomalies of a member's own beats, `count` of each, as the network takes them."""
    for part in _parts(len(own)):
        normal = beats.where(own[part])
        for _ in range(count):
            yield simulate(normal, random).columns


def _tensors(rows: np.ndarray, device: torch.device = CPU) -> tuple[Tensor, ...]:
    """Rows (..., 2 L + 10) as the beat, the normal beat, the rhythm and the surroundings."""
    return tuple(part.contiguous() for part in parts_of(torch.from_numpy(rows).to(device)))


def _train(
    network: Network,
    normal: Rows,
    seen: list[np.ndarray],
    simulated: list[Rows],
    settings: Train,
    random: np.random.Generator,
    on_step: OnStep,
) -> None:
    device = network.mean.device
    optimizer = AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = OneCycleLR(optimizer, settings.learning_rate, total_steps=settings.steps)
    size = settings.batch_size // 2
    target = torch.cat([torch.zeros(size), torch.ones(size)]).expand(len(seen), -1).to(device)
    network.train()
    for _ in range(settings.steps):
        chosen = np.stack([random.choice(own, size) for own in seen])
        drawn = [random.integers(len(pool), size=size) for pool in simulated]
        beats = _tensors(normal[chosen], device)  # (K, B / 2, ...)
        others = _tensors(np.stack([pool[rows] for pool, rows in zip(simulated, drawn, strict=True)]), device)
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


@torch.no_grad()
def _held_out(network: Network, normal: Rows, fold: np.ndarray, folds: int) -> np.ndarray:
    """The score of each beat, whose fold is known, by the members that have not seen the patient: float32 (n,)."""
    held_out = np.empty(len(normal), np.float32)
    for start in range(0, len(normal), SCORED):
        part = slice(start, start + SCORED)
        sums = network(torch.from_numpy(normal[part]).to(network.mean.device))[-1].numpy(force=True)
        if not np.isfinite(sums).all():
            raise InputError(
                "the loss is not a finite number; a smaller train.learning_rate may do (hearts/params.yaml)"
            )
        for k in range(folds):
            own = fold[part] == k
            held_out[part][own] = score_of(sums[own, k::folds])
    return held_out
