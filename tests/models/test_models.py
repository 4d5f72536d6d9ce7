import numpy as np
import pytest
import torch
from torch import nn

from ecg import models
from ecg.exceptions import InputError
from ecg.models import layers
from ecg.params import Params
from ecg.training.ensemble import Ensemble
from tests.conftest import scaling


@pytest.mark.parametrize("model", ["conv1d", "dense", "lstm", "vae"])
def test_members_that_share_their_beats_are_the_same_as_with_beats_of_their_own(committed: Params, model: str) -> None:
    members = models.build(model, committed.models, 3, 140).eval()
    beats = torch.randn(1, 7, 140)
    with torch.no_grad():
        torch.testing.assert_close(members(beats), members(beats.expand(3, -1, -1)))


def test_lstm_is_what_torch_calls_lstm() -> None:
    ours = models.build("lstm", {"lstm": {"hidden": 5, "patch": 7, "latent": 2}}, 2, 140).eval().encoder
    beats = torch.randn(2, 6, 140)
    # Ours has the gates in the order i, f, o, g; torch's is i, f, g, o.
    order = torch.cat([torch.arange(5), 5 + torch.arange(5), 15 + torch.arange(5), 10 + torch.arange(5)])
    with torch.no_grad():
        states = ours(beats.split(7, -1))
        for member in range(2):
            reference = nn.LSTM(7, 5, batch_first=True)
            reference.weight_ih_l0.copy_(ours.input.weight[member].T[order])
            reference.weight_hh_l0.copy_(ours.recurrent.weight[member].T[order])
            reference.bias_ih_l0.copy_(ours.input.bias[member, 0][order])
            reference.bias_hh_l0.copy_(ours.recurrent.bias[member, 0][order])
            expected, _ = reference(beats[member].reshape(6, 20, 7))
            torch.testing.assert_close(torch.stack(states, 2)[member], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_what_torch_calls_convolution(stride: int, shared: bool) -> None:
    ours = layers.Convolution(3, 4, 5, kernel=7, stride=stride)
    x = torch.randn(6, 1 if shared else 3, 4, 33)
    actual = ours(x.flatten(1, 2).unsqueeze(2)).reshape(6, 3, 5, -1)
    for member in range(3):
        weight = ours.affine.weight[member].T.reshape(5, 4, 7)
        own = x[:, 0 if shared else member]
        expected = nn.functional.conv1d(own, weight, ours.affine.bias[member, 0], stride, padding=3)
        torch.testing.assert_close(actual[:, member], expected, atol=1e-5, rtol=1e-4)


def test_the_lstm_decoder_does_not_see_the_beat(committed: Params) -> None:
    lstm = models.build("lstm", committed.models, 2, 140).eval()
    beats = torch.randn(2, 6, 140)
    lstm.encode.weight.data.zero_()  # then every beat has the same code
    with torch.no_grad():
        reconstruction = lstm(beats)
    torch.testing.assert_close(reconstruction, reconstruction[:, :1].expand(-1, 6, -1))


def test_a_patch_that_takes_the_whole_beat_leaves_no_sequence() -> None:
    with pytest.raises(InputError, match=r"models\.lstm\.patch is 140: .* less than the 140"):
        models.build("lstm", {"lstm": {"hidden": 5, "patch": 140, "latent": 2}}, 2, 140)


def test_noise_is_added_to_what_goes_in_and_only_while_training() -> None:
    dense = models.build("dense", {"dense": {"hidden": [8], "latent": 2, "noise": 0.5}}, 2, 140)
    beats = torch.randn(2, 6, 140)
    assert not torch.equal(dense.train()(beats), dense(beats))
    assert torch.equal(dense.eval()(beats), dense(beats))


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_the_elbo_is_the_error_and_the_divergence_of_the_code(normal: np.ndarray, beta: float) -> None:
    section = {"hidden": [8], "latent": 3, "beta": beta}
    elbo, error = (
        models.build("vae", {"vae": section | {"score": score}}, 2, 140).eval() for score in ("elbo", "error")
    )
    elbo.load_state_dict(error.state_dict())
    none = scaling(normal, "none")
    beats = torch.from_numpy(normal[:9]).unsqueeze(0)
    with torch.no_grad():
        mean, log_variance = error.encoder(beats).chunk(2, -1)
        code = torch.distributions.Normal(mean, (log_variance / 2).exp())
        standard = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
        divergence = torch.distributions.kl_divergence(code, standard).sum(-1)  # (2, 9)
        scores = [Ensemble(model, none).member_errors(beats) for model in (elbo, error)]
    torch.testing.assert_close(scores[0], scores[1] + beta / 140 * divergence)


def test_a_vae_draws_its_code_while_training_alone(committed: Params) -> None:
    vae = models.build("vae", committed.models, 2, 140)
    beats = torch.randn(2, 6, 140)
    assert not torch.equal(vae.train()(beats)[0], vae(beats)[0])
    assert torch.equal(vae.eval()(beats), vae(beats))
