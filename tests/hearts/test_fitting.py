"""Fitting the network of normal hearts: patients are judged by members that do not know them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ecg.detector.model import Model
from ecg.exceptions import InputError
from ecg.files import sha256
from ecg.hearts import fitting
from ecg.hearts.beats import NormalBeats
from ecg.hearts.fitting import Fit, fit, tensor
from ecg.hearts.model import Calibration, HeartModel, score_of
from ecg.hearts.params import Train
from ecg.training.export import OUTPUTS, to_onnx
from tests.hearts.conftest import PATIENTS


@pytest.fixture(scope="module")
def fitted(beats: NormalBeats, quick: Train) -> Fit:
    return fit(beats, quick)


@pytest.fixture(scope="module")
def content(fitted: Fit, beats: NormalBeats) -> bytes:
    return to_onnx(fitted.network, beats.in_context().columns, {"for": "tests"})


@pytest.fixture(scope="module")
def model(content: bytes, fitted: Fit, beats: NormalBeats, quick: Train) -> HeartModel:
    names = [f"toydb/{i}" for i in range(PATIENTS)]
    scores = (fitted.held_out, beats.patient, names, fitted.fold, quick.folds)
    return HeartModel(Model(content), Calibration.of(*scores, sha256(content), 0.05))


def test_another_seed_gives_other_weights(fitted: Fit, beats: NormalBeats, quick: Train) -> None:
    other = fit(beats, quick.model_copy(update={"seed": 1})).network.state_dict()
    assert not any(torch.equal(x, other[name]) for name, x in fitted.network.state_dict().items() if "weight" in name)


def test_every_fold_has_as_many_patients(fitted: Fit, quick: Train) -> None:
    assert np.bincount(fitted.fold).tolist() == [PATIENTS // quick.folds] * quick.folds


def test_the_members_of_a_patients_fold_have_not_seen_him(fitted: Fit, beats: NormalBeats, quick: Train) -> None:
    """Another signal of one patient changes all members but those of his fold."""
    patient = 2
    window = beats.window.copy()
    window[beats.patient == patient] *= np.linspace(-3, 3, window.shape[1], dtype=np.float32)
    other = fit(replace(beats, window=window), quick)
    np.testing.assert_array_equal(other.fold, fitted.fold)
    members = np.arange(quick.folds * quick.repeats)
    unseen = members % quick.folds == fitted.fold[patient]
    for name, weights in fitted.network.state_dict().items():
        same = [torch.equal(a, b) for a, b in zip(weights, other.network.state_dict()[name], strict=True)]
        assert same == unseen.tolist(), name


def test_held_out_scores_are_by_the_members_that_have_not_seen_the_patient(
    fitted: Fit, beats: NormalBeats, quick: Train
) -> None:
    with torch.no_grad():
        sums = fitted.network(tensor(beats.in_context()))[OUTPUTS.index("member_score")].numpy()
    for patient, fold in enumerate(fitted.fold.tolist()):
        own = beats.patient == patient
        np.testing.assert_allclose(fitted.held_out[own], score_of(sums[own][:, fold :: quick.folds]), rtol=1e-5)


def test_scores_are_positive_and_finite(fitted: Fit, beats: NormalBeats) -> None:
    assert fitted.held_out.shape == (len(beats),)
    assert (fitted.held_out > 0).all()
    assert np.isfinite(fitted.held_out).all()


def test_each_step_is_counted(beats: NormalBeats, quick: Train) -> None:
    steps: list[int] = []
    fit(beats, quick.model_copy(update={"steps": 3}), lambda: steps.append(1))
    assert len(steps) == 3


def test_the_scores_tell_simulated_anomalies_after_some_steps(beats: NormalBeats, quick: Train) -> None:
    trained = fit(beats, quick.model_copy(update={"steps": 60, "repeats": 1, "learning_rate": 0.01}))
    anomalies = fitting.simulate(beats, np.random.default_rng(1))
    with torch.no_grad():
        normal, anomalous = (
            trained.network(tensor(x))[OUTPUTS.index("score")] for x in (beats.in_context(), anomalies)
        )
    assert (anomalous[:, None] > normal).float().mean() > 0.9


def test_too_few_patients_are_refused(beats: NormalBeats, quick: Train) -> None:
    with pytest.raises(InputError, match=r"train\.folds is 2: 3 patients allow 1"):
        fit(beats.where(beats.patient < 3), quick)


def test_a_learning_rate_that_is_too_large_is_named(beats: NormalBeats, quick: Train) -> None:
    with pytest.raises(InputError, match=r"smaller train\.learning_rate"):
        fit(beats, quick.model_copy(update={"learning_rate": 1e30}))


# The file that ships.


def test_the_model_gives_what_pytorch_gives(model: HeartModel, fitted: Fit, beats: NormalBeats) -> None:
    inputs = beats.in_context()
    with torch.no_grad():
        expected = dict(zip(OUTPUTS, fitted.network(tensor(inputs)), strict=True))
    for name, values in zip(OUTPUTS, model.model.run(OUTPUTS, inputs.columns), strict=True):
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(model.score(inputs), expected["score"], rtol=1e-4)
    np.testing.assert_array_equal(model.step_errors(inputs), model.model.run(("step_error",), inputs.columns)[0])


def test_a_patient_of_the_training_is_judged_as_held_out(model: HeartModel, fitted: Fit, beats: NormalBeats) -> None:
    inputs = beats.in_context()
    for patient in range(PATIENTS):
        own = beats.patient == patient
        score = model.score(inputs, f"toydb/{patient}")
        np.testing.assert_allclose(score[own], fitted.held_out[own], rtol=1e-4)
    assert np.abs(model.score(inputs) - model.score(inputs, "toydb/0")).max() > 1e-3
    np.testing.assert_array_equal(model.score(inputs, "toydb/9"), model.score(inputs))


def test_no_beats_have_no_scores(model: HeartModel, beats: NormalBeats) -> None:
    none = beats.where(slice(0)).in_context()
    assert model.score(none).shape == (0,)
    assert model.step_errors(none).shape == (0, beats.in_context().beat.shape[1])


def test_the_file_says_what_it_was_given(model: HeartModel) -> None:
    assert model.model.metadata == {"for": "tests"}
