"""Kinds of alarm: alarms of like shape and timing are one kind, noise is set aside."""

import numpy as np
import pytest

from ecg.hearts import context as contexts
from ecg.hearts.context import Context, Heart, follow
from ecg.hearts.explanation import explain
from ecg.scanning import kinds as kinds_of
from ecg.scanning.kinds import NOISE, OTHER, Kinds, find_kinds
from tests.hearts.conftest import NORMAL_RR, made_of, stretched

N = 600
NUMBER = np.arange(N)
WIDE = NUMBER % 10 == 4
EARLY = NUMBER % 10 == 8


@pytest.fixture(scope="module")
def heart(shape: np.ndarray) -> Heart:
    """A heart of which every tenth beat is twice as wide, and another tenth are early."""
    shapes = np.where(WIDE[:, None], stretched(shape, 2), shape)
    rr = np.full(N, NORMAL_RR)
    rr[EARLY], rr[np.roll(EARLY, 1)] = 0.6 * NORMAL_RR, 1.4 * NORMAL_RR
    return made_of(shapes, rr, noise=0.02)


@pytest.fixture(scope="module")
def context(heart: Heart) -> Context:
    return follow(heart)


def found(heart: Heart, context: Context, alarms: np.ndarray, quality: np.ndarray | None = None) -> Kinds:
    indices = np.flatnonzero(alarms)
    high = np.ones(len(indices)) if quality is None else quality[indices]
    return find_kinds(heart, context, indices, explain(heart, context, None, indices), high, np.full(len(indices), 2.0))


def test_alarms_of_a_shape_and_a_timing_are_a_kind_with_its_reason(heart: Heart, context: Context) -> None:
    kinds = found(heart, context, WIDE | EARLY)
    alarms = np.flatnonzero(WIDE | EARLY)
    by_beat = dict(zip(alarms.tolist(), kinds.of_alarm.tolist(), strict=True))
    (wide,), (early,) = ({by_beat[i] for i in np.flatnonzero(where).tolist()} for where in (WIDE, EARLY))
    assert {wide, early} == {"A", "B"}
    table = kinds.table.set_index("kind")
    assert table["alarms"].to_dict() == {wide: WIDE.sum(), early: EARLY.sum()}
    assert "times as wide" in table.loc[wide, "why"]
    assert table.loc[early, "why"].startswith("early by 40%")
    assert table.loc[early, "early"] == pytest.approx(0.4, abs=0.01)
    assert not table["set_aside"].any()
    assert table["share"].sum() == pytest.approx(1)


def test_the_mean_beat_of_a_kind_is_that_of_its_alarms(heart: Heart, context: Context, shape: np.ndarray) -> None:
    kinds = found(heart, context, WIDE)
    drawn = kinds.shapes["A"]
    assert np.corrcoef(drawn.mean, stretched(shape, 2))[0, 1] > 0.98
    assert np.corrcoef(drawn.normal, shape)[0, 1] > 0.98
    assert np.corrcoef(drawn.normal, drawn.mean)[0, 1] < 0.9


def test_the_example_of_a_kind_is_one_of_its_alarms(heart: Heart, context: Context) -> None:
    kinds = found(heart, context, WIDE | EARLY)
    for row in kinds.table.itertuples():
        own = heart.seconds[np.flatnonzero(WIDE | EARLY)[kinds.of_alarm == row.kind]]
        assert row.example in own
        assert (row.first, row.last) == (own[0], own[-1])


def test_alarms_unlike_each_other_are_no_kind(heart: Heart, context: Context) -> None:
    alone = np.zeros(N, bool)
    alone[np.flatnonzero(WIDE)[0]] = alone[np.flatnonzero(EARLY)[5]] = True
    kinds = found(heart, context, alone)
    assert kinds.of_alarm.tolist() == [OTHER, OTHER]
    assert kinds.table["why"].tolist() == ["unlike each other"]
    assert kinds.shapes == {}


def test_a_small_group_in_noise_is_set_aside_and_a_large_one_is_not(heart: Heart, context: Context) -> None:
    """Noise does not repeat: a group of many alike alarms is none, however noisy the signal."""
    quality = np.where(WIDE, 0.3, 1.0)
    few = WIDE & (NUMBER < 60)
    small = found(heart, context, few | EARLY, quality)
    assert small.table.set_index("kind").loc[NOISE, ["alarms", "set_aside"]].tolist() == [few.sum(), True]
    assert NOISE not in small.shapes
    large = found(heart, context, WIDE | EARLY, quality)
    assert set(large.of_alarm) == {"A", "B"}


def test_single_alarms_in_noise_are_set_aside(heart: Heart, context: Context) -> None:
    alone = np.zeros(N, bool)
    alone[np.flatnonzero(WIDE)[0]] = True
    assert found(heart, context, alone, np.full(N, 0.5)).of_alarm.tolist() == [NOISE]


def test_without_alarms_there_are_no_kinds(heart: Heart, context: Context) -> None:
    kinds = found(heart, context, np.zeros(N, bool))
    assert len(kinds.of_alarm) == len(kinds.table) == 0
    assert tuple(kinds.table) == tuple(kinds_of.COLUMNS)


def test_alarms_that_were_not_clustered_join_the_nearest_kind(
    heart: Heart, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = found(heart, context, WIDE | EARLY)
    monkeypatch.setattr(kinds_of, "MOST_CLUSTERED", 30)
    monkeypatch.setattr(kinds_of, "CHUNK", 7)
    some = found(heart, context, WIDE | EARLY)
    np.testing.assert_array_equal(some.of_alarm, every.of_alarm)


def test_reasons_are_the_same_in_chunks(heart: Heart, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    indices = np.flatnonzero(WIDE | EARLY)
    at_once = explain(heart, context, None, indices).sentences()
    monkeypatch.setattr("ecg.hearts.explanation.CHUNK_BEATS", 11)
    assert explain(heart, context, None, indices).sentences() == at_once
    assert len(indices) < contexts.CHUNK_BEATS
