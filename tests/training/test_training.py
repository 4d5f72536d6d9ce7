import io
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecg import models
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.training import fitting
from tests.conftest import ROOT, scaling


def trained(samples: np.ndarray, committed: Params, model: str = "dense", **changes: object) -> fitting.Fit:
    settings = committed.train.model_copy(update={"epochs": 2, "warp": 0.0, "wander": 0.0} | changes)
    build = partial(models.build, model, committed.models)
    return fitting.fit(samples, scaling(samples, "none"), build, settings)


def weights(fit: fitting.Fit) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in fit.ensemble.members.state_dict().items()}


def test_loss_falls_on_fitted_and_on_held_out_beats(fit: fitting.Fit) -> None:
    for kind in ("fitted", "held_out"):
        assert fit.losses[-1][kind] < fit.losses[0][kind] / 2


def test_folds_part_the_beats_evenly(fit: fitting.Fit, normal: np.ndarray) -> None:
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


def test_held_out_error_is_that_of_the_blind_member(fit: fitting.Fit, normal: np.ndarray) -> None:
    with torch.no_grad():
        errors = fit.ensemble.member_errors(torch.from_numpy(normal).unsqueeze(0)).numpy()  # (K, n)
    beats = np.arange(len(normal))
    np.testing.assert_allclose(fit.held_out_error, errors[fit.fold, beats], rtol=1e-5)
    seeing = (errors.sum(0) - errors[fit.fold, beats]) / 4
    np.testing.assert_allclose(fit.fitted_error, seeing, rtol=1e-5)


def test_one_fold_trains_one_member_on_all_beats(normal: np.ndarray, committed: Params) -> None:
    fit = trained(normal, committed, folds=1)
    assert fit.held_out_error is None
    assert all(losses.keys() == {"fitted"} for losses in fit.losses)
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
            nn.Linear(140, 64), nn.ReLU(), nn.Linear(64, 2), nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 140)
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
    best = int(np.argmin([losses["fitted"] for losses in full.losses]))
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
        with pytest.raises(InputError, match=r"train\.learning_rate is 1e\+30: the loss is no longer a finite number"):
            trained(normal, committed, epochs=epochs, batch_size=batch_size, learning_rate=1e30)


def test_more_folds_than_beats_allow_are_refused(normal: np.ndarray, committed: Params) -> None:
    with pytest.raises(InputError, match=r"train\.folds is 147: 292 normal beats allow at most 146"):
        trained(normal, committed, folds=147)
    trained(normal, committed, folds=146, epochs=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_with_the_parameter(normal: np.ndarray, committed: Params) -> None:
    with pytest.raises(InputError, match=r"^params\.yaml: train\.device is cuda, and PyTorch .* finds no GPU"):
        trained(normal, committed, device="cuda")


@pytest.mark.parametrize("model", ["conv1d", "dense", "lstm", "vae"])
def test_every_architecture_learns_and_its_members_do_not_mix(
    normal: np.ndarray, committed: Params, model: str
) -> None:
    before = trained(normal, committed, model, folds=3, epochs=4, batch_size=32, warp=0.01, wander=0.1)
    assert before.losses[-1]["held_out"] < before.losses[0]["held_out"]
    changed = normal.copy()
    changed[before.fold == 2] += 3.0
    after = trained(changed, committed, model, folds=3, epochs=4, batch_size=32, warp=0.01, wander=0.1)
    assert weights(before).keys()
    for name, old in weights(before).items():
        assert len(old) == 3
        np.testing.assert_array_equal(weights(after)[name][2], old[2])
        assert (weights(after)[name][0] != old[0]).any()


def test_one_cycle_raises_the_rate_and_lowers_it_again() -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 0.003)
    schedule = fitting.SCHEDULES["one_cycle"](optimizer, 200)
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.003 / 25)
    assert max(rates) == rates[59] == pytest.approx(0.003)
    assert rates[-1] == pytest.approx(0.003 / 250_000)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_a_single_step_can_be_taken(normal: np.ndarray, committed: Params, schedule: str) -> None:
    fit = trained(normal, committed, epochs=1, batch_size=292, schedule=schedule)
    assert np.isfinite(fit.fitted_error).all()


def test_a_schedule_changes_the_steps(normal: np.ndarray, committed: Params) -> None:
    constant, cycle = (trained(normal, committed, schedule=schedule) for schedule in ("constant", "one_cycle"))
    assert (weights(constant)["encoder.0.weight"] != weights(cycle)["encoder.0.weight"]).any()


BYTES = """
import hashlib
from functools import partial
import numpy as np
from safetensors.torch import save
from ecg import models, params
from ecg.training import fitting
from ecg.detector.model import Model
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
normal, settings = np.load("normal.npy"), params.load()
sections = settings.models | {"lstm": {"hidden": 8, "patch": 70, "latent": 2}}  # whose export is quick
for name in models.names():
    train = settings.train.model_copy(update={"model": name, "epochs": 2})
    scaling, build = Scaling.fit(normal, settings.preprocess), partial(models.build, name, sections)
    ensemble = fitting.fit(normal, scaling, build, train).ensemble
    model = to_onnx(ensemble, normal)
    for content in (save(ensemble.state_dict()), model, Model(model).scores(normal).tobytes()):
        print(name, hashlib.sha256(content).hexdigest())
"""


def test_every_architecture_gives_the_same_bytes_in_any_folder_and_environment(
    normal: np.ndarray, environment: dict[str, str], tmp_path: Path
) -> None:
    harsh = {"OMP_NUM_THREADS": "4", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ATEN_CPU_CAPABILITY": "default"}
    harsh |= {"ONEDNN_MAX_CPU_ISA": "SSE41", "LC_ALL": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "7"}
    printed = []
    for name, changes in (("one", {"PYTHONHASHSEED": "1"}), ("another folder", harsh)):
        folder = tmp_path / name
        shutil.copytree(ROOT / "ecg", folder / "ecg", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "params.yaml", folder)
        np.save(folder / "normal.npy", normal)
        command, variables = [sys.executable, "-c", BYTES], {"PYTHONPATH": str(folder)} | changes
        done = subprocess.run(
            command, cwd=folder, env=environment | variables, capture_output=True, text=True, check=False
        )
        printed.append(done.stdout)
        assert done.returncode == 0, done.stderr
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 3 * len(models.names())
