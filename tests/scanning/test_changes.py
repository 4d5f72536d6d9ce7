"""Changes for good: of two records joined, and of hearts whose beat or rhythm changes."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg.hearts.context import Heart
from ecg.scanning.changes import BIN_SECONDS, find_changes
from ecg.scanning.records import Change
from ecg.scanning.scan import scan
from tests.hearts.conftest import NORMAL_RR, made_of, stretched

RATE = 360
N = 1500  # beats: 20 minutes
NUMBER = np.arange(N)


def changes_of(heart: Heart) -> list[Change]:
    """Those that are found though no beat is unlike the start."""
    return find_changes(heart, np.zeros(len(heart), bool), heart.seconds[-1] + 1)


def irregular(rr: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, rr * np.random.default_rng(0).uniform(0.7, 1.3, len(rr)), rr)


def test_a_usual_beat_that_changes_for_good_is_named_from_there_on(shape: np.ndarray) -> None:
    later = NUMBER >= N // 2
    heart = made_of(np.where(later[:, None], stretched(shape, 1.6), shape), np.full(N, NORMAL_RR))
    (change,) = changes_of(heart)
    assert change.lasts
    assert change.start == pytest.approx(heart.seconds[N // 2], abs=BIN_SECONDS)
    assert change.beats == pytest.approx(N / 2, abs=BIN_SECONDS / NORMAL_RR)


def test_a_rhythm_that_changes_for_good_is_named_from_there_on(shape: np.ndarray) -> None:
    later = NUMBER >= 900
    heart = made_of(np.tile(shape, (N, 1)), irregular(np.full(N, NORMAL_RR), later))
    (change,) = changes_of(heart)
    assert change.start == pytest.approx(heart.seconds[900], abs=2 * BIN_SECONDS)


@pytest.mark.parametrize("what", ["nothing", "slow", "for a while", "ectopic", "too late"])
def test_what_does_not_change_for_good_is_not_named(what: str, shape: np.ndarray) -> None:
    rr = np.full(N, NORMAL_RR)
    width = {
        "nothing": np.ones(N),
        "slow": np.linspace(1, 1.25, N),
        "for a while": np.where((NUMBER > 400) & (NUMBER < 900), 1.6, 1),
        "ectopic": np.where(NUMBER % 3 == 0, 2.0, 1),
        "too late": np.where(NUMBER > N - 60, 1.6, 1),
    }[what]
    shapes = np.array([stretched(shape, each) for each in np.unique(width)])
    heart = made_of(shapes[np.searchsorted(np.unique(width), width)], rr)
    assert changes_of(heart) == []


def test_a_recording_too_short_for_a_change_has_none(shape: np.ndarray) -> None:
    assert changes_of(made_of(np.tile(shape, (40, 1)), np.full(40, NORMAL_RR))) == []


@pytest.mark.parametrize(("one", "other"), [("100", "233"), ("233", "100"), ("213", "106"), ("119", "233")])
def test_two_records_joined_change_for_good_at_the_join(one: str, other: str, mitdb: Path) -> None:
    parts = [wfdb.rdrecord(str(mitdb / name), channels=[0], sampto=600 * RATE).p_signal[:, 0] for name in (one, other)]
    found = scan(np.concatenate(parts), rate=RATE)
    (change,) = [change for change in found.changes if change.lasts]
    assert change.start == pytest.approx(600, abs=60)
    assert (found.episodes["type"] == "sustained change").any()
