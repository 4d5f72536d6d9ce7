from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ecg import models
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.training import export, fitting
from ecg.training.ensemble import Ensemble
from ecg.training.scaling import Scaling
from tests.conftest import FACTS, ROOT, scaling


def run(model: bytes, beats: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(export.OUTPUTS, {"beats": beats})


@pytest.mark.parametrize(("folds", "kind"), [(1, "none"), (3, "standard"), (2, "filter")])
@pytest.mark.parametrize("length", [140, 33])  # neither a power of 2 nor a multiple of the patch
@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("dense", {"hidden": [], "latent": 3, "noise": 0.0}),
        ("dense", {"hidden": [16, 8], "latent": 3, "noise": 0.5}),
        ("conv1d", {"channels": [3], "kernel": 1, "latent": 2}),
        ("conv1d", {"channels": [2, 4, 3], "kernel": 5, "latent": 2}),
        ("lstm", {"hidden": 6, "patch": 10, "latent": 2}),
        ("lstm", {"hidden": 6, "patch": 20, "latent": 1}),
        ("vae", {"hidden": [16], "latent": 3, "beta": 0.1, "score": "error"}),
        ("vae", {"hidden": [16, 8], "latent": 1, "beta": 0.1, "score": "elbo"}),
    ],
)
def test_onnx_gives_what_torch_gives(
    normal: np.ndarray, committed: Params, folds: int, kind: str, length: int, name: str, section: dict
) -> None:
    settings = committed.train.model_copy(update={"folds": folds, "epochs": 1, "batch_size": 64})
    samples = np.ascontiguousarray(normal[:, :length])
    build = partial(models.build, name, {name: section})
    fit = fitting.fit(samples, scaling(samples, kind), build, settings)
    beats = np.random.default_rng(0).normal(size=(11, length)).astype(np.float32)
    with torch.no_grad():
        expected = fit.ensemble(torch.from_numpy(beats))
    for theirs, ours in zip(run(export.to_onnx(fit.ensemble, samples), beats), expected, strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-4, atol=1e-5)


@given(st.integers(1, 70))
def test_any_number_of_beats_is_scored_as_each_alone(onnx_model: bytes, normal: np.ndarray, n: int) -> None:
    together = run(onnx_model, normal[:n])[2]
    assert together.shape == (n,)
    np.testing.assert_allclose(together[-1], run(onnx_model, normal[n - 1 : n])[2][0], rtol=1e-5)


def test_step_errors_add_up_to_the_score(onnx_model: bytes, normal: np.ndarray) -> None:
    _, step_error, score, _ = run(onnx_model, normal)
    np.testing.assert_allclose(step_error.mean(1), score, rtol=1e-6)


def test_score_is_the_mean_error_of_the_members_where_they_work(
    onnx_model: bytes, fit: fitting.Fit, normal: np.ndarray
) -> None:
    with torch.no_grad():
        members = fit.ensemble.member_errors(torch.from_numpy(normal).unsqueeze(0)).numpy()  # (K, n)
    _, _, score, member_score = run(onnx_model, normal)
    np.testing.assert_allclose(score, members.mean(0), rtol=1e-5)
    np.testing.assert_allclose(member_score, members.T, rtol=1e-5)


def test_reconstruction_is_in_the_beats_own_units(onnx_model: bytes, normal: np.ndarray) -> None:
    reconstruction = run(onnx_model, normal)[0]
    assert np.square(normal - reconstruction).mean() < 0.3 * normal.var()  # the fit is standardised; beats are not


def test_exporting_twice_gives_the_same_bytes_without_a_trace_of_the_machine(
    onnx_model: bytes, fit: fitting.Fit, normal: np.ndarray
) -> None:
    assert export.to_onnx(fit.ensemble, normal, FACTS) == onnx_model
    assert str(ROOT).encode() not in onnx_model
    assert b".py" not in onnx_model
    model = onnx.load_from_string(onnx_model)
    assert {fact.key: fact.value for fact in model.metadata_props} == FACTS
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


class Stub(nn.Module):
    """Members that do something else with the beats."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.does = forward

    def forward(self, beats: Tensor) -> Tensor:
        return self.does(beats)


def ensemble_that(forward) -> Ensemble:
    return Ensemble(
        Stub(forward), Scaling(np.eye(140, dtype=np.float32), np.zeros(140, np.float32), np.ones(140, np.float32))
    )


def test_an_operation_without_translation_is_named(normal: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the model uses .*cosh.*, which ecg/training/export\.py cannot write"):
        export.to_onnx(ensemble_that(torch.cosh), normal)


def test_a_model_that_computes_something_else_is_not_exported(
    normal: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {torch.relu: lambda graph, name, x: graph.add(name, "Neg", x)}
    monkeypatch.setattr(export, "_OPERATIONS", export._OPERATIONS | wrong)
    with pytest.raises(InputError, match="the exported model's reconstruction is off torch's by"):
        export.to_onnx(ensemble_that(torch.relu), normal)


def test_a_perfect_autoencoder_can_be_exported(normal: np.ndarray) -> None:
    assert (run(export.to_onnx(ensemble_that(lambda beats: beats * 1.0), normal), normal)[2] == 0).all()


def test_numbers_in_a_model_become_constants(normal: np.ndarray) -> None:
    model = export.to_onnx(ensemble_that(lambda beats: beats * 0.5 + 1.0), normal)
    np.testing.assert_allclose(run(model, normal)[0], normal * 0.5 + 1.0, rtol=1e-6, atol=1e-6)
