"""R peaks: what does not change them, where there are none, and ventricular beats."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg.data.aami import NAMES
from ecg.params import Recording
from ecg.recordings import signals
from ecg.recordings.classes import annotated_beats, match_beats
from ecg.recordings.r_peaks import detect_r_peaks
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import SAMPLING_RATE, process_lead
from tests.recordings.test_cutting import processed

QRS = 15  # samples on both sides of an R peak
EDGE = 50  # samples of a flat part at both of its ends, where the filter still shows the beats beside it
SETTLED = 5 * SAMPLING_RATE  # samples after which it does not matter where the signal began


@pytest.fixture(scope="session")
def filtered(toy: np.ndarray) -> np.ndarray:
    with processed(toy) as signal:
        return np.array(signal.samples, float)


@pytest.fixture(scope="session")
def r_peaks(filtered: np.ndarray) -> np.ndarray:
    detected = detect_r_peaks(filtered, SAMPLING_RATE)
    assert len(detected) == 500
    return detected


@settings(max_examples=30)
@given(exponent=st.floats(-9, 9), share=st.floats(-100, 100))
def test_neither_scale_nor_offset_changes_an_r_peak(
    exponent: float, share: float, filtered: np.ndarray, r_peaks: np.ndarray
) -> None:
    scale = 10**exponent
    np.testing.assert_array_equal(detect_r_peaks(scale * (filtered + share), SAMPLING_RATE), r_peaks)


@settings(max_examples=30)
@given(removed=st.integers(1, 20_000))
def test_where_the_signal_begins_changes_no_later_r_peak(
    removed: int, filtered: np.ndarray, r_peaks: np.ndarray
) -> None:
    later = detect_r_peaks(filtered[removed:], SAMPLING_RATE) + removed
    since = removed + SETTLED
    np.testing.assert_array_equal(later[later > since], r_peaks[r_peaks > since])


@settings(max_examples=30)
@given(start=st.integers(0, 70_000), length=st.integers(2 * EDGE + 1, 40_000), value=st.sampled_from([0.0, 0.5, None]))
def test_a_flat_part_has_no_r_peaks_and_costs_none_elsewhere(
    start: int, length: int, value: float | None, filtered: np.ndarray, r_peaks: np.ndarray
) -> None:
    lost = filtered.copy()
    lost[start : start + length] = filtered[start] if value is None else value
    detected = detect_r_peaks(lost, SAMPLING_RATE)
    assert not ((detected >= start + EDGE) & (detected < start + length - EDGE)).any()
    before, after = start - SAMPLING_RATE, start + length + SAMPLING_RATE
    kept, still = (x[(x < before) | (x > after)] for x in (r_peaks, detected))
    assert len(np.setxor1d(kept, still)) <= 2


@pytest.mark.parametrize("share", [0.001, 0.01, 0.02])
def test_faint_noise_of_a_lost_electrode_has_no_r_peaks(share: float, filtered: np.ndarray) -> None:
    lost = filtered.copy()
    lost[20_000:40_000] = np.random.default_rng(0).normal(0, share * filtered.std(), 20_000)
    detected = detect_r_peaks(lost, SAMPLING_RATE)
    assert not ((detected >= 20_000 + EDGE) & (detected < 40_000 - EDGE)).any()


@settings(max_examples=30)
@given(
    intervals=st.lists(st.floats(0.85, 1.25), min_size=20, max_size=60),
    usual=st.floats(0.45, 1.2),
    size=st.floats(0.6, 1.6),
)
def test_beats_are_found_where_they_were_put(
    intervals: list[float], usual: float, size: float, filtered: np.ndarray, r_peaks: np.ndarray
) -> None:
    """A real QRS complex at irregular times, every third one larger or smaller than the others."""
    where = np.cumsum(np.array(intervals) * usual * SAMPLING_RATE).astype(int) + SAMPLING_RATE
    complexes = filtered[r_peaks[1:-1, None] + np.arange(-QRS, QRS + 1)]
    beat = np.median(complexes, axis=0) * np.hanning(2 * QRS + 1)
    lead = np.zeros(where[-1] + SAMPLING_RATE)
    for i, at in enumerate(where.tolist()):
        lead[at - QRS : at + QRS + 1] += beat * (size if i % 3 == 0 else 1)
    detected = detect_r_peaks(lead, SAMPLING_RATE)
    assert len(detected) == len(where)
    np.testing.assert_allclose(detected, where, atol=2)


@settings(max_examples=100)
@given(
    pieces=st.lists(
        hnp.arrays(float, st.integers(0, 300), elements=st.floats(-9, 9) | st.sampled_from([0.0, 5.0])),
        min_size=1,
        max_size=4,
    ),
    times=st.integers(1, 20),
)
def test_of_any_samples_r_peaks_are_some_in_ascending_order(pieces: list[np.ndarray], times: int) -> None:
    samples = np.tile(np.concatenate(pieces), times)
    detected = detect_r_peaks(samples, SAMPLING_RATE)
    assert detected.dtype.kind == "i"
    assert (np.diff(detected) > 0).all()
    assert ((detected >= 0) & (detected < len(samples))).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), noise=st.floats(0, 3), seconds=st.integers(11, 60))
def test_r_peaks_of_a_noisy_lead_in_chunks_are_apart(seed: int, noise: float, seconds: int, toy: np.ndarray) -> None:
    part = toy[: len(toy) // 3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "CHUNK_SECONDS", seconds)
        with processed(part + np.random.default_rng(seed).normal(0, noise, len(part))) as signal:
            assert (np.diff(signal.r_peak_seconds) > 0.2).all()
            assert len(signal.quality) == len(signal.r_peaks)


@pytest.mark.parametrize("name", ["106", "119", "200", "213", "233"])
def test_ventricular_beats_are_found(name: str, mitdb: Path, recording: Recording) -> None:
    with open_lead(str(mitdb / name)) as lead, process_lead(lead, recording.beats) as signal:
        assert lead.annotations is not None
        annotated, classes = annotated_beats(lead.annotations)
        found = match_beats(annotated, signal.r_peak_seconds) >= 0
    ventricular = np.array([NAMES[label] == "V" for label in classes.tolist()])
    assert ventricular.sum() > 100
    assert found[ventricular].mean() >= 0.99
