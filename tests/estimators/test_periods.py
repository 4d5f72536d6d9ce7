"""Periods of series of beats that repeat, and of those that do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecg.estimators.periods import LONGEST, NEARLY, SHORTEST, WITHOUT, period_of

REPEATS, NOISE = 12, 0.1
SEEDS = st.integers(0, 2**32 - 1)


def repeated(beat: np.ndarray, seed: int) -> np.ndarray:
    """A beat that comes again and again, in noise."""
    beat = (beat - beat.mean()) / beat.std()
    return np.tile(beat, REPEATS) + np.random.default_rng(seed).normal(0, NOISE, REPEATS * len(beat))


def resemblance(beat: np.ndarray, lag: int) -> float:
    """The correlation of a beat that repeats itself with what stands some samples later."""
    return float(np.corrcoef(beat, np.roll(beat, lag))[0, 1])


@given(st.integers(20, 400), SEEDS)
def test_the_period_of_one_wave_that_repeats_is_found(period: int, seed: int) -> None:
    wave = np.exp(-0.5 * ((np.arange(period) - period / 2) / (period / 20)) ** 2)
    assert abs(period_of(repeated(wave, seed)) - period) <= 1


@given(st.integers(20, 400), SEEDS)
def test_of_any_beat_the_period_or_a_shorter_lag_at_which_it_resembles_itself_is_found(period: int, seed: int) -> None:
    beat = np.random.default_rng(seed).normal(size=period)
    found = period_of(repeated(beat, seed))
    assert SHORTEST <= found <= period
    assert resemblance(beat, found) > NEARLY - 0.1


@given(st.integers(20, 100), st.integers(2, 4), SEEDS)
def test_of_beats_in_groups_that_repeat_the_single_beat_is_found(period: int, group: int, seed: int) -> None:
    wave = np.exp(-0.5 * ((np.arange(period) - period / 2) / (period / 20)) ** 2)
    larger = np.linspace(1, 1.05, group)
    assert abs(period_of(repeated(np.concatenate([each * wave for each in larger]), seed)) - period) <= 1


@given(st.integers(2, 3000), SEEDS)
def test_noise_has_a_period_within_bounds(length: int, seed: int) -> None:
    found = period_of(np.random.default_rng(seed).normal(size=length))
    assert found == WITHOUT or SHORTEST <= found < length / 3


@given(arrays(float, st.integers(2, 200), elements=st.floats(-1e6, 1e6)))
def test_any_series_also_a_constant_has_a_period_within_bounds(series: np.ndarray) -> None:
    found = period_of(series)
    assert found == WITHOUT or SHORTEST <= found < min(LONGEST, len(series) / 3)


@pytest.mark.parametrize("series", [np.ones(1000), np.arange(1000.0), np.exp(-np.arange(1000.0))])
def test_what_does_not_repeat_has_none(series: np.ndarray) -> None:
    assert period_of(series) == WITHOUT


def test_a_period_longer_than_a_third_of_the_series_is_not_found() -> None:
    wave = np.exp(-0.5 * ((np.arange(400) - 200) / 20) ** 2)
    assert period_of(np.tile(wave, 3)[:1000]) == WITHOUT
    assert period_of(np.tile(wave, 4)) == 400


def test_beats_in_larger_fast_noise_are_found_by_their_activity() -> None:
    """As where the mains hum is larger than a P wave: the period is the beat's, not that of the noise."""
    wave = np.exp(-0.5 * ((np.arange(250) - 125) / 4) ** 2)
    hum = np.sin(np.arange(20 * 250) * 2 * np.pi / 12)
    assert period_of(np.tile(wave, 20) + 0.1 * hum) == pytest.approx(250, abs=2)


@given(st.sampled_from([1e-6, 1e-3, 1e3, 1e6]), st.floats(-100, 100))
def test_a_period_does_not_depend_on_the_unit_and_the_baseline(unit: float, baseline: float) -> None:
    beat = np.random.default_rng(0).normal(size=70).cumsum()
    assert period_of((repeated(beat, 0) + baseline) * unit) == period_of(repeated(beat, 0))


def test_the_period_of_a_real_beat_is_found(shape: np.ndarray) -> None:
    beat = np.pad(shape, (0, 70))
    assert period_of(repeated(beat, 0)) == len(beat)
