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
from ecg.detector.model import Model
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.training import export, fitting
from ecg.training.ensemble import Ensemble
from ecg.training.scaling import Scaling
from tests.conftest import FACTS, ROOT, scaling


def run(model: bytes, beats: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(export.OUTPUTS, {"beats": beats})


@pytest.mark.parametrize(
    ("folds", "kind", "length", "name", "section"),
    [  # 33 samples are neither a power of 2 nor a multiple of the patch
        (1, "none", 33, "dense", {"hidden": [], "latent": 3, "noise": 0.0}),
        (3, "standard", 140, "dense", {"hidden": [16, 8], "latent": 3, "noise": 0.5}),
        (2, "filter", 33, "dense", {"hidden": [16, 8], "latent": 3, "noise": 0.5}),
        (1, "filter", 140, "conv1d", {"channels": [3], "kernel": 1, "latent": 2}),
        (2, "none", 33, "conv1d", {"channels": [2, 4, 3], "kernel": 5, "latent": 2}),
        (3, "standard", 140, "conv1d", {"channels": [8, 16], "kernel": 7, "latent": 2}),
        (1, "standard", 140, "lstm", {"hidden": 6, "patch": 70, "latent": 1}),
        (3, "filter", 33, "lstm", {"hidden": 6, "patch": 15, "latent": 2}),
        (2, "none", 140, "lstm", {"hidden": 6, "patch": 35, "latent": 1}),
        (1, "filter", 33, "vae", {"hidden": [16], "latent": 3, "beta": 0.1, "score": "error"}),
        (2, "standard", 140, "vae", {"hidden": [16, 8], "latent": 1, "beta": 0.1, "score": "elbo"}),
        (3, "none", 140, "vae", {"hidden": [16], "latent": 3, "beta": 0.1, "score": "error"}),
    ],
)
def test_every_architecture_is_accepted_as_a_model_and_gives_what_torch_gives(
    normal: np.ndarray, committed: Params, folds: int, kind: str, length: int, name: str, section: dict
) -> None:
    settings = committed.train.model_copy(update={"folds": folds, "epochs": 1, "batch_size": 64})
    samples = np.ascontiguousarray(normal[:, :length])
    build = partial(models.build, name, {name: section})
    fit = fitting.fit(samples, scaling(samples, kind), build, settings)
    beats = np.random.default_rng(0).normal(size=(11, length)).astype(np.float32)
    with torch.no_grad():
        expected = fit.ensemble(torch.from_numpy(beats))
    content = export.to_onnx(fit.ensemble, samples)
    assert Model(content).members == folds  # whose graph has been checked
    for theirs, ours in zip(run(content, beats), expected, strict=True):
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
    graph = model.graph
    parts = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    assert not any(part.metadata_props or part.doc_string for part in parts)


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


def test_what_pytorch_cannot_export_is_refused_with_the_reason(normal: np.ndarray) -> None:
    depends_on_data = ensemble_that(lambda beats: beats if beats.sum() > 0 else -beats)
    with pytest.raises(InputError, match=r"PyTorch cannot export the model to ONNX: .*data-dependent"):
        export.to_onnx(depends_on_data, normal)


def test_a_model_that_computes_something_else_is_not_exported(normal: np.ndarray) -> None:
    other = ensemble_that(lambda beats: -beats if torch.compiler.is_exporting() else beats / 2)
    with pytest.raises(InputError, match="the exported model's reconstruction differs from PyTorch's by"):
        export.to_onnx(other, normal)


def test_a_perfect_autoencoder_can_be_exported(normal: np.ndarray) -> None:
    assert (run(export.to_onnx(ensemble_that(lambda beats: beats * 1.0), normal), normal)[2] == 0).all()


def test_numbers_in_a_model_become_constants(normal: np.ndarray) -> None:
    model = export.to_onnx(ensemble_that(lambda beats: beats * 0.5 + 1.0), normal)
    np.testing.assert_allclose(run(model, normal)[0], normal * 0.5 + 1.0, rtol=1e-6, atol=1e-6)
