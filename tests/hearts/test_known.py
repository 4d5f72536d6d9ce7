"""Beats that are known to be normal, on hearts whose normal beats have two shapes, and verdicts with them."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.hearts import known as known_beats
from ecg.hearts.context import FEWEST, Context, Heart, beats_in_context, follow
from ecg.hearts.judge import judge
from ecg.hearts.known import KnownBeats
from ecg.hearts.model import HeartModel
from tests.hearts.conftest import in_time, made_of, stretched

N = 300
NUMBER = np.arange(N)
WIDE = NUMBER % 9 == 4
NO_T = (NUMBER % 15 == 7) & ~WIDE
KNOWN = NUMBER < 150


def all_excesses(heart: Heart, context: Context, known: np.ndarray) -> np.ndarray:
    indices = np.arange(len(heart))
    return KnownBeats.of_recording(heart, context, known).excess(beats_in_context(heart, context, indices), indices)


@pytest.fixture(scope="module")
def heart(shape: np.ndarray) -> Heart:
    """A heart of which every ninth beat is twice as wide, which is normal for it; others lack a T wave."""
    no_t = np.where(np.arange(len(shape)) > 90, 0, shape)
    shapes = np.where(WIDE[:, None], stretched(shape, 2), np.where(NO_T[:, None], no_t, shape))
    return made_of(shapes, in_time(N), noise=0.02)


def test_a_beat_that_resembles_any_of_the_known_ones_differs_as_little_as_they_do(heart: Heart) -> None:
    known, context = KNOWN & ~NO_T, follow(heart)
    excess = all_excesses(heart, context, known)
    assert np.median(excess[WIDE & ~KNOWN]) < 0.5
    assert excess[NO_T].min() > 1
    others = all_excesses(heart, context, known & ~WIDE)
    assert others[WIDE].min() > 1


def test_a_known_beat_is_not_compared_with_itself(heart: Heart) -> None:
    only_one = KNOWN & ~NO_T
    only_one[np.flatnonzero(NO_T)[0]] = True
    excess = all_excesses(heart, follow(heart), only_one)
    first, *others = excess[NO_T]
    assert first > 1
    assert max(others) < 1


def test_the_nearest_is_found_by_shape_and_rhythm(heart: Heart) -> None:
    """As computed one by one."""
    context, known = follow(heart), KNOWN & ~NO_T
    beats = beats_in_context(heart, context, slice(None))
    points = np.hstack([beats.beat / np.sqrt(beats.beat.shape[1]), 2 * beats.rhythm[:, 2:4]]).astype(float)
    distances = np.array([np.square(points[known] - point).sum(1) for point in points])
    distances[np.flatnonzero(known), np.arange(known.sum())] = np.inf
    logs = np.log(distances.min(axis=1) + 1e-5)
    expected = np.clip(logs - np.median(logs[known]), 0, 6)
    np.testing.assert_allclose(all_excesses(heart, context, known), expected, atol=1e-6)


def test_of_many_known_beats_some_at_regular_distances_are_taken(heart: Heart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_beats, "MOST_KNOWN", 75)
    context = follow(heart)
    excess = all_excesses(heart, context, KNOWN & ~NO_T)
    assert np.median(excess[WIDE & ~KNOWN]) < 0.5
    assert excess[NO_T].min() > 1


def test_too_few_known_beats_are_nothing_to_compare_with(heart: Heart) -> None:
    context = follow(heart)
    assert not all_excesses(heart, context, NUMBER < FEWEST - 1).any()
    assert all_excesses(heart, context, NUMBER < FEWEST).any()


def test_beats_unlike_all_known_ones_score_higher_and_no_beat_scores_lower(heart: Heart) -> None:
    model, context = HeartModel.load(), follow(heart)
    known = KNOWN & ~NO_T
    without, with_known = judge(heart, context, model), judge(heart, context, model, known=known)
    rise = with_known.score - without.score
    assert rise.min() >= 0
    assert np.median(rise[NO_T]) > 10 * np.median(rise[known])


def test_a_heart_whose_normal_beats_score_high_has_no_more_alarms_than_are_promised(heart: Heart) -> None:
    """The p-value of a beat is at least that by the known ones, whatever those of other patients are."""
    model = HeartModel.load()
    low = model.calibration.model_copy(update={"scores": [s * 1e-6 for s in model.calibration.scores]})
    strict = HeartModel(model.model, low)
    context, known = follow(heart), KNOWN & ~NO_T
    alone = judge(heart, context, strict).p_value
    p_value = judge(heart, context, strict, known=known).p_value
    assert (alone <= 0.05).mean() > 0.9
    assert (p_value[known] <= 0.05).mean() <= 0.05
    assert p_value[~NO_T & ~KNOWN & ~WIDE].mean() == pytest.approx(0.5, abs=0.2)


def test_none_known_is_as_if_nothing_were_said_of_them(heart: Heart) -> None:
    model, context = HeartModel.load(), follow(heart)
    expected, none = judge(heart, context, model), judge(heart, context, model, known=np.zeros(N, bool))
    np.testing.assert_array_equal(none.score, expected.score)
    np.testing.assert_array_equal(none.p_value, expected.p_value)


def test_unknown_rr_intervals_are_no_reason(heart: Heart) -> None:
    unknown = replace(heart, rr_before=np.full(N, np.nan), rr_after=np.full(N, np.nan))
    assert np.median(all_excesses(unknown, follow(unknown), KNOWN & ~NO_T)[~KNOWN & ~NO_T]) < 0.5
