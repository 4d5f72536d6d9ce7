"""Random convolutional features and their linear autoencoder, on real normal beats."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import Tensor

from ecg import models
from ecg.models.rocket import KERNELS, LEAST_SPREAD, OF_BEAT, Autoencoder, Features, Projection
from ecg.params import Params, Rocket
from ecg.training import fitting
from ecg.training.ensemble import Ensemble
from tests.conftest import scaling

MEMBERS, ASKED = 3, 168


@pytest.fixture(scope="module")
def beats(normal: np.ndarray) -> Tensor:
    return torch.from_numpy(normal)


@pytest.fixture(scope="module")
def features(beats: Tensor) -> Features:
    """Features whose thresholds are those of real beats."""
    made = Features(140, ASKED)
    made.choose(beats)
    return made


@pytest.fixture(scope="module")
def saw(beats: Tensor) -> Tensor:
    return torch.arange(len(beats)) % MEMBERS != torch.arange(MEMBERS)[:, None]


@pytest.fixture(scope="module")
def solved(beats: Tensor, saw: Tensor) -> Autoencoder:
    made = Autoencoder(MEMBERS, 140, Rocket(features=ASKED, variance=0.98)).eval()
    made.solve(beats, saw)
    return made


def projection(rows: Tensor, saw: Tensor, *, standardised: bool = False) -> Projection:
    made = Projection(len(saw), rows.shape[1], standardised=standardised)
    made.solve(rows, saw, 0.98)
    return made


def features_error(made: Autoencoder, beats: Tensor) -> Tensor:
    """The mean squared error of the features under each member: (K, n)."""
    return made.of_features(made.features(beats)[None]).square().mean(-1)


# Features.


def test_kernels_are_all_choices_of_three_taps_and_add_up_to_zero() -> None:
    kernels = Features(140, ASKED).weight.flatten(0, 1).flatten(1)
    assert len({tuple(kernel) for kernel in kernels.tolist()}) == len(KERNELS) == 84
    assert (kernels.sum(1) == 0).all()
    assert ((kernels == 2).sum(1) == 3).all()
    assert ((kernels == -1).sum(1) == 6).all()


@given(st.integers(2, 1000), st.integers(1, 10_000))
def test_there_are_about_as_many_features_as_asked_for_at_any_length(length: int, asked: int) -> None:
    made = Features(length, asked)
    of_one_level = 84 * len(made.dilations)
    assert made.number % of_one_level == 0
    assert made.number == of_one_level or abs(made.number - asked) <= of_one_level / 2


@given(st.integers(2, 1000))
def test_kernels_are_dilated_as_long_as_they_fit_into_the_beat(length: int) -> None:
    spans = [8 * dilation + 1 for dilation in Features(length, ASKED).dilations]
    assert spans[0] == 9  # is there even if the beat is shorter
    assert max(spans) <= max(length, 9) < 2 * max(spans)


@pytest.mark.parametrize("length", [2, 9, 17, 140])
def test_features_are_shares_within_their_ramp(length: int, beats: Tensor) -> None:
    made = Features(length, ASKED)
    made.choose(beats[:, :length])
    shares = made(beats[:, :length])
    assert shares.shape == (len(beats), made.number)
    assert shares.min() >= -0.5
    assert shares.max() <= 0.5


def test_features_tell_beats_apart(features: Features, beats: Tensor) -> None:
    assert (features(beats).std(0) > 0).all()


def test_features_do_not_depend_on_how_many_beats_are_computed_at_once(features: Features, beats: Tensor) -> None:
    one_by_one = torch.cat([features(beat[None]) for beat in beats[:20]])
    torch.testing.assert_close(features(beats)[:20], one_by_one, atol=1e-6, rtol=0)


def test_features_of_a_larger_beat_are_the_same_where_all_beats_are_larger(features: Features, beats: Tensor) -> None:
    larger = Features(140, ASKED)
    larger.choose(beats * 8)  # a power of two: no rounding
    torch.testing.assert_close(larger(beats * 8), features(beats))


# The linear autoencoder.


@pytest.mark.parametrize("number", [40, 292], ids=["fewer beats than samples", "more beats than samples"])
def test_a_residual_is_what_scikit_learns_pca_leaves(number: int, beats: Tensor) -> None:
    rows = beats[:number]
    pca = PCA(n_components=0.98).fit(rows.double().numpy())
    made = projection(rows, torch.ones(1, number, dtype=torch.bool))
    assert made.basis.shape == (1, 140, pca.n_components_)
    left = rows.double().numpy() - pca.inverse_transform(pca.transform(rows.double().numpy()))
    np.testing.assert_allclose(made(rows[None])[0].numpy(), left, atol=1e-4)


def test_features_are_standardised_before(features: Features, beats: Tensor) -> None:
    rows = features(beats)
    made = projection(rows, torch.ones(1, len(rows), dtype=torch.bool), standardised=True)
    standard = ((rows - rows.mean(0)) / (rows.std(0, correction=0) + LEAST_SPREAD)).double().numpy()
    pca = PCA(n_components=0.98).fit(standard)
    left = standard - pca.inverse_transform(pca.transform(standard))
    np.testing.assert_allclose(made(rows[None])[0].numpy(), left, atol=1e-4)


@pytest.mark.parametrize("standardised", [False, True])
def test_a_projection_depends_on_the_beats_that_its_member_sees_alone(
    standardised: bool, features: Features, beats: Tensor, saw: Tensor
) -> None:
    rows = features(beats)
    before = projection(rows, saw, standardised=standardised)
    changed = rows.clone()
    changed[~saw[1]] = torch.rand(int((~saw[1]).sum()), rows.shape[1])
    after = projection(changed, saw, standardised=standardised)
    residuals = before(rows[None]), after(rows[None])
    assert torch.equal(before.mean[1], after.mean[1])
    assert torch.equal(before.deviation[1], after.deviation[1])
    # Codes are as long as the longest of all members: the basis of a shorter one ends with zeros.
    shorter = min(before.basis.shape[2], after.basis.shape[2])
    assert torch.equal(before.basis[1, :, :shorter], after.basis[1, :, :shorter])
    torch.testing.assert_close(residuals[0][1], residuals[1][1], atol=1e-5, rtol=1e-5)
    for member in (0, 2):
        assert not torch.allclose(residuals[0][member], residuals[1][member], atol=0.01)


def test_beats_of_the_members_own_and_beats_shared_give_the_same(solved: Autoencoder, beats: Tensor) -> None:
    for own, shared in zip(solved(beats[:9].expand(MEMBERS, -1, -1)), solved(beats[None, :9]), strict=True):
        torch.testing.assert_close(own, shared)


def test_the_score_of_a_beat_is_the_error_of_its_features_and_a_little_of_its_own(
    solved: Autoencoder, beats: Tensor, normal: np.ndarray
) -> None:
    of_members = Ensemble(solved, scaling(normal, "none")).member_errors(beats[None])
    own = solved.of_beat(beats[None]).square().mean(-1)
    torch.testing.assert_close(of_members, features_error(solved, beats) + OF_BEAT * own)


@pytest.mark.parametrize("times", [200, 1e4, 1e15])
@pytest.mark.parametrize("samples", [slice(None), slice(70, 71)], ids=["beat", "spike"])
def test_a_beat_or_a_spike_that_is_far_too_large_has_a_score_beyond_all_others(
    times: float, samples: slice, solved: Autoencoder, beats: Tensor, normal: np.ndarray
) -> None:
    large, ensemble = beats[:20].clone(), Ensemble(solved, scaling(normal, "none"))
    large[:, samples] = times * large[:, samples].abs().max()
    _, step_error = ensemble.errors(large[None])
    assert (step_error >= 0).all()
    assert step_error.mean(-1).min() > ensemble.member_errors(beats[None]).max()


def test_the_reconstruction_is_that_of_the_beat(solved: Autoencoder, beats: Tensor) -> None:
    torch.testing.assert_close(beats - solved(beats[None])[0], solved.of_beat(beats[None]), atol=1e-5, rtol=1e-5)


# Beats of little or no variety.


@pytest.mark.parametrize(
    "unvaried",
    [torch.zeros(6, 30), torch.ones(6, 30), torch.ones(2, 2), torch.arange(30.0).expand(2, 30)],
    ids=["zeros", "ones", "two of two samples", "two alike"],
)
def test_beats_that_are_all_alike_have_no_error_and_others_have_a_finite_one(unvaried: Tensor) -> None:
    made = Autoencoder(2, unvaried.shape[1], Rocket(features=84, variance=0.98))
    made.solve(unvaried, torch.ones(2, len(unvaried), dtype=torch.bool))
    reconstruction, penalty = made(unvaried[None])
    torch.testing.assert_close(reconstruction, unvaried.expand(2, -1, -1))
    torch.testing.assert_close(penalty, torch.zeros_like(penalty))
    other = torch.linspace(-1, 3, unvaried.shape[1])[None, None]
    reconstruction, penalty = made(other)
    assert reconstruction.isfinite().all()
    assert ((other - reconstruction).square() + penalty).mean() > 0


def test_copies_of_beats_and_constant_samples_leave_all_finite(beats: Tensor) -> None:
    rows = beats[:10].repeat(5, 1)
    rows[:, :20] = 0
    made = Autoencoder(2, 140, Rocket(features=ASKED, variance=0.98))
    made.solve(rows, torch.arange(50) % 2 != torch.arange(2)[:, None])
    assert all(output.isfinite().all() for output in made(beats[None]))
    assert made.of_beat.basis.shape[2] < 10  # ten beats around their mean are nine dimensions


# By the same way as all others.


def fitted(normal: np.ndarray, committed: Params, **arguments: object) -> fitting.Fit:
    settings = committed.train.model_copy(update={"model": "rocket", "folds": MEMBERS})
    build = partial(models.build, "rocket", {"rocket": {"features": ASKED, "variance": 0.98}})
    return fitting.fit(normal, scaling(normal, "unit"), build, settings, **arguments)


@pytest.fixture(scope="module")
def reported() -> list[tuple[int, fitting.Losses]]:
    """What was said of each epoch."""
    return []


@pytest.fixture(scope="module")
def fit(normal: np.ndarray, committed: Params, reported: list[tuple[int, fitting.Losses]]) -> fitting.Fit:
    return fitted(normal, committed, on_epoch=lambda epoch, losses: reported.append((epoch, losses)))


def test_a_closed_form_has_one_epoch_of_losses(fit: fitting.Fit, reported: list[tuple[int, fitting.Losses]]) -> None:
    assert reported == [(1, fit.losses[0])]
    assert len(fit.losses) == 1
    assert fit.losses[0]["fitted"] == pytest.approx(fit.fitted_error.mean())
    assert fit.losses[0]["held_out"] == pytest.approx(fit.held_out_error.mean())
    assert fit.losses[0]["fitted"] < fit.losses[0]["held_out"]


def test_folds_that_are_given_are_used(normal: np.ndarray, committed: Params) -> None:
    fold = np.arange(len(normal)) * MEMBERS // len(normal)
    given = fitted(normal, committed, fold=fold)
    np.testing.assert_array_equal(given.fold, fold)
    with torch.no_grad():
        errors = given.ensemble.member_errors(torch.from_numpy(normal)[None]).numpy()  # (K, n)
    np.testing.assert_allclose(given.held_out_error, errors[fold, np.arange(len(normal))], rtol=1e-3)


def test_the_same_beats_give_the_same_bits(normal: np.ndarray, committed: Params, fit: fitting.Fit) -> None:
    first, again = fit.ensemble.state_dict(), fitted(normal, committed).ensemble.state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
