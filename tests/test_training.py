import io
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from ecg import models, training
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.scaling import Scaling


def trained(samples: np.ndarray, committed: Params, **changes: float) -> training.Fit:
    settings = committed.train.model_copy(update={"epochs": 2} | changes)
    build = partial(models.build, "dense", committed.models)
    return training.fit(samples, Scaling.fit(samples, "none"), build, settings)


def weights(fit: training.Fit) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in fit.ensemble.members.state_dict().items()}


def test_loss_falls_on_fitted_and_on_held_out_beats(fit: training.Fit) -> None:
    assert fit.held_out_loss is not None
    for loss in (fit.fitted_loss, fit.held_out_loss):
        assert loss[-1] < loss[0] / 2


def test_folds_part_the_beats_evenly(fit: training.Fit, normal: np.ndarray) -> None:
    assert len(fit.fold) == len(normal)
    assert sorted(np.bincount(fit.fold)) == [58, 58, 58, 59, 59]


def test_a_beat_never_reaches_the_member_that_is_blind_to_it(normal: np.ndarray, committed: Params) -> None:
    before = trained(normal, committed)
    changed = normal.copy()
    changed[before.fold == 2] = 100.0
    after = trained(changed, committed)
    np.testing.assert_array_equal(before.fold, after.fold)
    for name, old in weights(before).items():
        new = weights(after)[name]
        np.testing.assert_array_equal(new[2], old[2])
        for member in (0, 1, 3, 4):
            assert (new[member] != old[member]).any()


def test_every_other_beat_reaches_the_member(normal: np.ndarray, committed: Params) -> None:
    before = trained(normal, committed, batch_size=300)
    changed = normal.copy()
    changed[np.flatnonzero(before.fold != 2)[17]] += 1.0
    assert (
        weights(trained(changed, committed, batch_size=300))["encoder.0.weight"][2]
        != weights(before)["encoder.0.weight"][2]
    ).any()


def test_held_out_error_is_that_of_the_blind_member(fit: training.Fit, normal: np.ndarray) -> None:
    with torch.no_grad():
        errors = fit.ensemble.member_errors(torch.from_numpy(normal).unsqueeze(0)).numpy()  # (K, n)
    beats = np.arange(len(normal))
    np.testing.assert_allclose(fit.held_out_error, errors[fit.fold, beats], rtol=1e-5)
    seeing = (errors.sum(0) - errors[fit.fold, beats]) / 4
    np.testing.assert_allclose(fit.fitted_error, seeing, rtol=1e-5)


def test_one_fold_trains_one_member_on_all_beats(normal: np.ndarray, committed: Params) -> None:
    fit = trained(normal, committed, folds=1)
    assert fit.held_out_error is None
    assert fit.held_out_loss is None
    assert {array.shape[0] for array in weights(fit).values()} == {1}
    assert fit.fitted_error.shape == (len(normal),)


def test_members_of_a_batch_are_what_torch_trains_one_by_one(normal: np.ndarray, committed: Params) -> None:
    # torch.nn and torch.optim in their plainest use, from the same weights, on the same beats in one batch.
    steps, rate = 20, 0.002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(committed.train.seed)
        fold = torch.randperm(len(normal)) % 2
        start = models.build("dense", committed.models, 2, 140).state_dict()
    fit = trained(normal, committed, folds=2, epochs=steps, batch_size=len(normal), learning_rate=rate)
    np.testing.assert_array_equal(fit.fold, fold)
    for member in range(2):
        plain = nn.Sequential(
            nn.Linear(140, 64), nn.ReLU(), nn.Linear(64, 8), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 140)
        )
        layers = [layer for layer in plain if isinstance(layer, nn.Linear)]
        names = ["encoder.0", "encoder.1", "decoder.0", "decoder.1"]
        with torch.no_grad():
            for layer, name in zip(layers, names, strict=True):
                layer.weight.copy_(start[f"{name}.weight"][member].T)
                layer.bias.copy_(start[f"{name}.bias"][member, 0])
        optimizer = torch.optim.Adam(plain.parameters(), lr=rate)
        seen = torch.from_numpy(normal)[fold != member]
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(plain(seen), seen).backward()
            optimizer.step()
        for layer, name in zip(layers, names, strict=True):
            np.testing.assert_allclose(
                weights(fit)[f"{name}.weight"][member].T, layer.weight.detach().numpy(), atol=2e-4
            )


def test_the_epoch_of_lowest_loss_is_kept(normal: np.ndarray, committed: Params) -> None:
    settings = {"folds": 1, "batch_size": 292, "learning_rate": 0.3}  # so high that the loss jumps about
    full = trained(normal, committed, epochs=12, **settings)
    best = int(full.fitted_loss.argmin())
    assert best < 11
    shorter = trained(normal, committed, epochs=best + 1, **settings)
    for name, array in weights(shorter).items():
        np.testing.assert_array_equal(weights(full)[name], array)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(normal: np.ndarray, committed: Params) -> None:
    first, again = trained(normal, committed, seed=7), trained(normal, committed, seed=7)
    other = trained(normal, committed, seed=8)
    for name, array in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], array)
        assert (weights(other)[name] != array).any()


def test_training_leaves_the_callers_random_numbers_alone(normal: np.ndarray, committed: Params) -> None:
    state = torch.get_rng_state()
    trained(normal, committed)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_on_a_terminal_and_nowhere_else(
    normal: np.ndarray, committed: Params, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    trained(normal, committed)
    assert ("train: 100%" in stream.getvalue()) == terminal
    assert bool(stream.getvalue()) == terminal


def test_a_loss_that_is_no_number_stops_training(normal: np.ndarray, committed: Params) -> None:
    for epochs, batch_size in ((5, 16), (1, 292)):  # while it trains, and by the very last step
        with pytest.raises(InputError, match=r"train\.learning_rate is 1e\+30: the loss is no finite number any more"):
            trained(normal, committed, epochs=epochs, batch_size=batch_size, learning_rate=1e30)


def test_more_folds_than_beats_allow_are_refused(normal: np.ndarray, committed: Params) -> None:
    with pytest.raises(InputError, match=r"train\.folds is 147: 292 normal beats allow at most 146"):
        trained(normal, committed, folds=147)
    trained(normal, committed, folds=146, epochs=1)
