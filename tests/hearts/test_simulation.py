"""Anomalies that are simulated from normal beats alone."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg.exceptions import InputError
from ecg.hearts import simulation
from ecg.hearts.beats import NormalBeats
from ecg.hearts.context import BEFORE, LENGTH, RHYTHM, SHIFT, STEP, BeatsInContext
from ecg.hearts.simulation import EARLIEST, LATEST, P_WAVE_END, P_WAVE_FADE, simulate
from tests.hearts.conftest import DATABASE, RATE

KINDS = ("early", "early, foreign", "foreign", "early, other P")
RR_BEFORE = RHYTHM.index("before")


def simulated(beats: NormalBeats, seed: int = 0) -> BeatsInContext:
    return simulate(beats, np.random.default_rng(seed))


def only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all simulated anomalies be of one kind."""
    monkeypatch.setattr(simulation, "KIND_SHARES", [float(name == kind) for name in KINDS])


def unlikeness(a: BeatsInContext, b: BeatsInContext) -> np.ndarray:
    return np.sqrt(np.square(a.beat - b.beat).mean(axis=1))


def test_they_are_finite_and_one_is_made_of_each_beat(beats: NormalBeats) -> None:
    expected = beats.in_context()
    for name, values in vars(simulated(beats)).items():
        assert np.isfinite(values).all()
        assert values.dtype == np.float32
        assert values.shape == getattr(expected, name).shape


def test_the_generator_decides_them(beats: NormalBeats) -> None:
    one, same, other = simulated(beats), simulated(beats), simulated(beats, 1)
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert unlikeness(one, other).max() > 0.1


def test_none_is_the_beat_that_it_is_made_of(beats: NormalBeats) -> None:
    anomalies, own = simulated(beats), beats.in_context()
    changed = np.abs(anomalies.rhythm - own.rhythm).max(axis=1)
    assert (np.maximum(changed, unlikeness(anomalies, own)) > 1e-3).all()
    np.testing.assert_array_equal(anomalies.normal, own.normal)


@pytest.mark.parametrize("kind", ["early", "early, foreign", "early, other P"])
def test_early_ones_have_a_shorter_rr_interval_before_them(
    kind: str, beats: NormalBeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(kind, monkeypatch)
    shorter = np.exp(simulated(beats).rhythm - beats.in_context().rhythm)[:, RR_BEFORE]
    assert shorter.min() >= EARLIEST * 0.999
    assert shorter.max() <= LATEST * 1.001
    assert np.ptp(shorter) > 0.4


def test_an_early_beat_of_normal_shape_keeps_its_shape(beats: NormalBeats, monkeypatch: pytest.MonkeyPatch) -> None:
    only("early", monkeypatch)
    np.testing.assert_array_equal(simulated(beats).beat, beats.in_context().beat)


def test_a_foreign_beat_has_another_shape(beats: NormalBeats, monkeypatch: pytest.MonkeyPatch) -> None:
    only("foreign", monkeypatch)
    unlike = unlikeness(simulated(beats), beats.in_context())
    assert np.median(unlike) > 0.5
    assert (unlike > 0.05).mean() > 0.95


def test_a_beat_of_another_p_wave_keeps_its_qrs_complex(beats: NormalBeats, monkeypatch: pytest.MonkeyPatch) -> None:
    only("early, other P", monkeypatch)
    other, own = simulated(beats).beat, beats.in_context().beat
    before = (P_WAVE_END + P_WAVE_FADE) // STEP + 1  # samples, of what comes before the QRS complex
    assert before < BEFORE // STEP - 3
    p_wave, rest = (np.ptp((other - own)[:, part], axis=1) for part in (slice(before), slice(before, None)))
    still = rest < 1e-4  # a few are shifted
    assert still.mean() > 0.8
    assert np.median(p_wave[still]) > 0.1


def test_a_beat_that_is_alone_is_followed_by_a_pause_of_its_own_length_at_most(
    beats: NormalBeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("early", monkeypatch)
    monkeypatch.setattr(simulation, "PATTERN_SHARES", (1, 0, 0, 0, 0))
    anomalies, own = simulated(beats), beats.in_context()
    change = anomalies.rhythm - own.rhythm
    assert (change[:, RHYTHM.index("after")] > -0.01).all()
    others = [RHYTHM.index(name) for name in ("two_before", "one_before", "one_after", "two_after")]
    np.testing.assert_allclose(change[:, others], 0, atol=1e-6)


# The beats that they are made of.


def labels(path: Path) -> np.ndarray:
    return np.array(wfdb.rdann(str(path), "atr").symbol)


def test_no_beat_enters_that_is_not_annotated_as_normal(records: Path, tmp_path: Path) -> None:
    path = records / DATABASE / "0"
    beats = NormalBeats.of_recording(str(path), 0, 10_000)
    assert len(beats) == (labels(path) == "N").sum()
    assert (labels(path) == "V").sum() > 20
    for file in path.parent.glob("0.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    notes = wfdb.rdann(str(path), "atr")
    normal = np.flatnonzero(labels(path) == "N")
    symbols = labels(path)
    symbols[normal[7]] = "V"
    wfdb.wrann("0", "atr", notes.sample, symbols.tolist(), fs=RATE, write_dir=str(tmp_path))
    fewer = NormalBeats.of_recording(str(tmp_path / "0"), 0, 10_000)
    np.testing.assert_array_equal(fewer.window, np.delete(beats.window, 7, axis=0))


def test_beats_are_taken_at_regular_distances(records: Path) -> None:
    path = str(records / DATABASE / "1")
    every, some = NormalBeats.of_recording(path, 0, 10_000), NormalBeats.of_recording(path, 0, 30)
    chosen = np.linspace(0, len(every) - 1, 30).astype(int)
    np.testing.assert_array_equal(some.window, every.window[chosen])
    assert some.window.shape == (30, LENGTH + 2 * SHIFT)
    np.testing.assert_allclose(np.sqrt(np.square(some.normal).mean(axis=1)), 1, rtol=1e-4)


def test_a_recording_without_normal_beats_is_refused(records: Path, tmp_path: Path) -> None:
    for file in (records / DATABASE).glob("0.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    notes = wfdb.rdann(str(tmp_path / "0"), "atr")
    wfdb.wrann("0", "atr", notes.sample, ["V"] * len(notes.sample), fs=RATE, write_dir=str(tmp_path))
    with pytest.raises(InputError, match="has no annotated normal beats"):
        NormalBeats.of_recording(str(tmp_path / "0"), 0, 100)


def test_patients_are_numbered_in_the_order_of_their_recordings(beats: NormalBeats) -> None:
    assert beats.patient.tolist() == sorted(beats.patient.tolist())
    assert set(np.bincount(beats.patient)) == {60}
    second = beats.where(beats.patient == 1)
    np.testing.assert_array_equal(second.window, beats.window[60:120])
