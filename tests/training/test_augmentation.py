import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ecg.training.augmentation import augment


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def batch(normal: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(normal[:60]).reshape(3, 20, 140)


def test_nothing_is_changed_where_nothing_is_asked(normal: np.ndarray) -> None:
    beats = batch(normal)
    assert augment(beats, 0.0, 0.0) is beats


def test_every_beat_of_every_member_is_changed_in_its_own_way(normal: np.ndarray) -> None:
    same = torch.from_numpy(normal[:1]).expand(3, 20, 140)
    for warp, wander in ((0.01, 0.0), (0.0, 0.1)):
        changed = augment(same, warp, wander).reshape(60, 140)
        assert len(torch.unique(changed, dim=0)) == 60


def test_a_warped_beat_keeps_its_ends_and_its_range(normal: np.ndarray) -> None:
    beats = batch(normal)
    warped = augment(beats, 0.02, 0.0)
    assert torch.equal(warped[..., 0], beats[..., 0])
    torch.testing.assert_close(warped[..., -1], beats[..., -1], atol=1e-4, rtol=0)
    assert (warped.amax(-1) <= beats.amax(-1) + 1e-6).all()
    assert (warped.amin(-1) >= beats.amin(-1) - 1e-6).all()


def test_warping_moves_samples_in_time_by_the_given_deviation() -> None:
    ramp = torch.arange(140.0).expand(1, 4000, 140)  # on which a shift in time is a difference in height
    shift = augment(ramp, 0.01, 0.0) - ramp
    assert shift[..., 70].std() == pytest.approx(0.01 * 140 * 2**0.5, rel=0.1)  # two of the three waves are 1 there


def test_wandering_adds_slow_waves_of_the_given_deviation() -> None:
    waves = augment(torch.zeros(1, 4000, 140), 0.0, 0.3)[0]
    assert waves[:, 0].std() == pytest.approx(0.3 * 2, rel=0.1)  # all four waves are 1 there
    spectrum = torch.fft.rfft(waves - waves.mean(-1, keepdim=True)).abs().square().sum(0)
    assert spectrum[:4].sum() > 0.9 * spectrum.sum()


@given(st.integers(2, 50), st.floats(0, 0.9), st.floats(0, 10))
def test_beats_of_any_length_stay_finite(length: int, warp: float, wander: float) -> None:
    changed = augment(torch.randn(2, 3, length), warp, wander)
    assert changed.shape == (2, 3, length)
    assert changed.isfinite().all()
