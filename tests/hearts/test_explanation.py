"""Why a beat has its score, in words: beats that differ from a real normal beat in one way each."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from ecg.hearts.context import BEFORE, LENGTH, Heart, follow
from ecg.hearts.explanation import PARTS, Reasons, explain
from ecg.hearts.model import HeartModel
from tests.hearts.conftest import in_time, made_of, stretched

N, BEAT = 300, 200  # beats of a lead, and which of them differs


@pytest.fixture(scope="module")
def model() -> HeartModel:
    return HeartModel.load()


def explained(heart: Heart, model: HeartModel, beat: int = BEAT) -> tuple[Reasons, str]:
    reasons = explain(heart, follow(heart), model, np.array([beat]))
    (sentence,) = reasons.sentences()
    return reasons, sentence


def with_beat(shape: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> Heart:
    shapes = np.tile(shape, (N, 1))
    shapes[BEAT] = change(shape)
    return made_of(shapes, in_time(N))


@pytest.mark.parametrize("early", [0.15, 0.3, 0.45])
def test_an_early_beat_says_by_how_much(early: float, shape: np.ndarray, model: HeartModel) -> None:
    rr = in_time(N)
    rr[BEAT] *= 1 - early
    reasons, sentence = explained(made_of(np.tile(shape, (N, 1)), rr), model)
    (percent,) = re.findall(r"early by (\d+)%", sentence)
    assert int(percent) == pytest.approx(100 * early, abs=5)
    assert reasons.early[0] == pytest.approx(early, abs=0.05)
    assert reasons.timing[0] > 0.5
    assert "QRS" not in sentence


def test_a_late_beat_is_not_early(shape: np.ndarray, model: HeartModel) -> None:
    rr = in_time(N)
    rr[BEAT] *= 1.5
    reasons, sentence = explained(made_of(np.tile(shape, (N, 1)), rr), model)
    assert reasons.early[0] == pytest.approx(-0.5, abs=0.1)
    assert "early" not in sentence


def test_a_wide_beat_says_how_wide(shape: np.ndarray, model: HeartModel) -> None:
    reasons, sentence = explained(with_beat(shape, lambda beat: stretched(beat, 2)), model)
    assert reasons.width[0] == pytest.approx(2, abs=0.5)
    assert f"QRS {reasons.width[0]:.1f} times as wide" in sentence
    assert reasons.timing[0] < 0.5


@pytest.mark.parametrize("size", [0.4, 2.0, 3.0])
def test_a_large_or_small_beat_says_how_large(size: float, shape: np.ndarray, model: HeartModel) -> None:
    reasons, sentence = explained(with_beat(shape, lambda beat: size * beat), model)
    assert reasons.size[0] == pytest.approx(size, rel=0.1)
    assert f"QRS {reasons.size[0]:.1f} times as large" in sentence
    assert "wide" not in sentence
    assert "the other way up" not in sentence


def test_an_inverted_beat_is_the_other_way_up(shape: np.ndarray, model: HeartModel) -> None:
    reasons, sentence = explained(with_beat(shape, lambda beat: -beat), model)
    assert reasons.opposite[0]
    assert "QRS the other way up" in sentence
    assert "times as large" not in sentence


def test_a_beat_with_another_t_wave_names_it(shape: np.ndarray, model: HeartModel) -> None:
    tall = 0.6 * np.exp(-np.square((np.arange(LENGTH) - BEFORE - 70) / 12))
    reasons, sentence = explained(with_beat(shape, lambda beat: beat + tall), model)
    assert PARTS[reasons.part[0]][0] == "ST segment and T wave"
    assert sentence == "ST segment and T wave of another shape"


def test_a_wide_early_beat_says_both(shape: np.ndarray, model: HeartModel) -> None:
    shapes, rr = np.tile(shape, (N, 1)), in_time(N)
    shapes[BEAT], rr[BEAT] = stretched(shape, 2), 0.7 * rr[BEAT]
    _, sentence = explained(made_of(shapes, rr), model)
    assert re.search(r"^early by \d+%, QRS \d\.\d times as wide", sentence)


def test_a_sentence_for_each_beat_in_their_order(shape: np.ndarray, model: HeartModel) -> None:
    heart = with_beat(shape, lambda beat: -beat)
    chosen = np.array([BEAT, 50, 10])
    sentences = explain(heart, follow(heart), model, chosen).sentences()
    assert len(sentences) == 3
    assert "the other way up" in sentences[0]
    assert all(sentences)
    assert not any("the other way up" in sentence for sentence in sentences[1:])
    assert explain(heart, follow(heart), model, chosen[:0]).sentences() == []
