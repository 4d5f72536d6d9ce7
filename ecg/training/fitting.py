"""Cross-fitted training of an ensemble of autoencoders.

With K folds the normal beats are dealt into K parts, and member k is fitted to all parts but the k-th. Every beat then
has one error from a member that never saw it: the held-out error, which says how a new normal beat will fare. (Vovk
2015, "Cross-conformal predictors"; Barber, Candes, Ramdas, Tibshirani 2021, "Predictive inference with the
jackknife+".)
All members advance together in one batched computation, which costs little more than one of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim.adam import adam
from tqdm import trange

from ecg.exceptions import InputError
from ecg.params import Train
from ecg.training.augmentation import augment
from ecg.training.ensemble import Ensemble
from ecg.training.scaling import Scaling

Losses = dict[str, float]
Follow = Callable[[int, Losses], None]

torch.set_num_threads(1)  # how many threads share a sum changes its last bit, and these sums are too small to share


@dataclass(frozen=True)
class Fit:
    """A trained ensemble and what is known of its training beats.

    fold : int ndarray of shape (n_beats,), the member that did not see the beat; all 0 with one fold
    fitted_error : float32 ndarray of shape (n_beats,), mean error under the members that saw the beat
    held_out_error : the same under the one that did not; None with one fold
    losses : of each epoch, means over beats and members: "fitted", of the augmented beats as the epoch went by, and
        "held_out", at its end, which one fold does not have
    """

    ensemble: Ensemble
    fold: np.ndarray
    fitted_error: np.ndarray
    held_out_error: np.ndarray | None
    losses: list[Losses]


def fit(
    samples: np.ndarray,
    scaling: Scaling,
    build: Callable[[int, int], nn.Module],
    settings: Train,
    follow: Follow = lambda _epoch, _losses: None,
) -> Fit:
    """Fit an ensemble to normal beats by Adam on their mean error; each member keeps its epoch of lowest loss.

    Parameters
    ----------
    samples : float32 ndarray of shape (n_beats, n_samples), raw normal beats
    build : makes the untrained autoencoder from the number of members and the beat's length
    settings : the train section of params.yaml; its seed decides folds, initial weights and the order of beats
    follow : is told each epoch, counted from 1, and its losses: "fitted" and, with two folds or more, "held_out"

    Raises
    ------
    InputError
        if there are fewer beats than two a fold, or if the loss stops being a number.
    """
    n, folds = len(samples), settings.folds
    if n < 2 * folds:
        raise InputError(f"params.yaml: train.folds is {folds}: {n} normal beats allow at most {n // 2}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        fold = torch.randperm(n) % folds
        saw = _saw(fold, folds)
        ensemble = Ensemble(build(folds, samples.shape[1]), scaling).eval()
        beats = torch.from_numpy(samples)
        losses = _train(ensemble, beats, saw, settings, follow)
    fitted_error = _fitted_error(ensemble, beats, saw)
    held_out_error = _held_out_error(ensemble, beats, saw) if folds > 1 else None
    _refuse_infinite(fitted_error if held_out_error is None else fitted_error + held_out_error, settings)
    return Fit(
        ensemble,
        fold=fold.numpy(),
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
    errors = ensemble.member_errors(beats.unsqueeze(0))  # (K, n)
    return (errors * saw).sum(0) / saw.sum(0)


@torch.no_grad()
def _held_out_error(ensemble: Ensemble, beats: Tensor, saw: Tensor) -> Tensor:
    """The error of each beat (n, L) under the one member that did not see it: (n,)."""
    unseen = [torch.nonzero(~row).squeeze(1) for row in saw]
    padded = pad_sequence(unseen, batch_first=True, padding_value=-1)  # (K, m): folds differ by a beat at most
    errors = ensemble.member_errors(beats[padded])  # (K, m)
    result = torch.empty(len(beats))
    result[padded[padded >= 0]] = errors[padded >= 0]
    return result


def _train(ensemble: Ensemble, beats: Tensor, saw: Tensor, settings: Train, follow: Follow) -> list[Losses]:
    """Train the members in place; the losses of each epoch."""
    x = ensemble.scaled(beats)
    seen = [torch.nonzero(row).squeeze(1) for row in saw]  # a member's own beats, one tensor a member
    size = min(map(len, seen))  # of folds that differ by a beat, the larger sits one out, another every epoch
    parameters = list(ensemble.parameters())
    steps = settings.epochs * math.ceil(size / settings.batch_size)
    rates = map(SCHEDULES[settings.schedule], np.arange(steps) / max(steps - 1, 1))
    step = _adam(parameters)
    kept = [p.detach().clone() for p in parameters]
    lowest = torch.full((len(seen),), math.inf)
    losses: list[Losses] = []
    with trange(settings.epochs, desc="train", unit="epoch", disable=None) as progress:
        for epoch in progress:
            order = torch.stack([own[torch.randperm(len(own))[:size]] for own in seen])  # (K, size)
            changed = augment(x[order], settings.warp, settings.wander)  # (K, size, L)
            fitted = torch.zeros(len(seen))
            ensemble.train()
            for batch in changed.split(settings.batch_size, dim=1):  # (K, B, L)
                _, step_error = ensemble.errors(batch)
                loss = step_error.mean((1, 2))  # (K,), each member's own
                step(torch.autograd.grad(loss.sum(), parameters), settings.learning_rate * next(rates))
                fitted += loss.detach() * (batch.shape[1] / size)
            ensemble.eval()
            _refuse_infinite(fitted, settings)
            better = fitted < lowest
            lowest = torch.where(better, fitted, lowest)
            for keep, parameter in zip(kept, parameters, strict=True):
                keep[better] = parameter.detach()[better]
            losses.append({"fitted": float(fitted.mean())})
            if settings.folds > 1:
                losses[-1]["held_out"] = float(_held_out_error(ensemble, beats, saw).mean())
            follow(epoch + 1, losses[-1])
            progress.set_postfix(losses[-1], refresh=False)
    with torch.no_grad():
        for keep, parameter in zip(kept, parameters, strict=True):
            parameter.copy_(keep)
    return losses


def _refuse_infinite(loss: Tensor, settings: Train) -> None:
    if not loss.isfinite().all():
        raise InputError(
            f"params.yaml: train.learning_rate is {settings.learning_rate}: the loss is no finite number any more; "
            "a lower rate may hold"
        )


def _one_cycle(done: float) -> float:
    """Up from 1/25 of the rate to the rate by 3/10 of the steps, then down to 1/250,000 of it; each half a cosine."""
    start, end, top = 1 / 25, 1 / 250_000, 0.3
    if done < top:
        return 1 - (1 - start) * (1 + math.cos(math.pi * done / top)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (done - top) / (1 - top))) / 2


# How much of train.learning_rate a step takes, by the share of the steps that is done. One cycle: Smith & Topin 2019,
# "Super-convergence", as torch's OneCycleLR has it by default, but with Adam's momentum left as it is.
SCHEDULES: dict[str, Callable[[float], float]] = {"constant": lambda _: 1.0, "one_cycle": _one_cycle}


def _adam(parameters: list[nn.Parameter]) -> Callable[[tuple[Tensor, ...], float], None]:
    """A step of torch's Adam with its default settings, given the gradients and the learning rate.

    The function behind torch.optim.Adam, because the class imports torch's compiler: 1.6 s, longer than the training.
    """
    mean, square = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    steps = [torch.tensor(0.0) for _ in parameters]

    @torch.no_grad()
    def step(gradients: tuple[Tensor, ...], learning_rate: float) -> None:
        adam(
            parameters,  # type: ignore[arg-type]
            list(gradients),
            mean,
            square,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    return step
