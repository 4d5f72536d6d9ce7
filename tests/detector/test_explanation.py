import tracemalloc
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset, dataset_named
from ecg.detector.detector import Detector
from ecg.detector.explanation import Explanation, deletion_test, error_shares, explain, largest_errors, true_intervals
from ecg.exceptions import InputError

step_errors = st.lists(st.lists(st.floats(0, 100, width=32), min_size=6, max_size=6), min_size=1, max_size=5).map(
    lambda rows: np.array(rows, np.float32)
)


@pytest.fixture(scope="module")
def explained(detector: Detector, test: Beats, normal: np.ndarray) -> list[Explanation]:
    return detector.explain(test.samples[::15], normal)


def test_what_the_steps_contribute_adds_up_to_the_score_exactly(explained: list[Explanation]) -> None:
    for explanation in explained:
        assert np.float32(explanation.contribution.sum()) == np.float32(explanation.score)
        assert (explanation.contribution >= 0).all()


@given(step_errors)
def test_shares_add_up_to_one(step_error: np.ndarray) -> None:
    np.testing.assert_allclose(error_shares(step_error).sum(axis=1), 1)


@given(step_errors, st.floats(0.05, 0.95))
def test_named_steps_are_the_fewest_that_carry_the_share(step_error: np.ndarray, share: float) -> None:
    named = largest_errors(step_error, share)
    for shares, chosen in zip(error_shares(step_error), named, strict=True):
        assert shares[chosen].sum() >= share - 1e-9
        assert shares[chosen].sum() - shares[chosen].min() < share + 1e-9
        assert shares[chosen].min() >= shares[~chosen].max(initial=0) - 1e-12


@given(step_errors, st.floats(0.05, 0.95))
def test_shares_are_each_error_by_its_beats_sum_and_the_errors_stay_as_they_were(
    step_error: np.ndarray, share: float
) -> None:
    for given_error in (step_error, step_error.astype(float)):
        before, error = given_error.copy(), given_error.astype(float)
        total = error.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            expected = np.where(total > 0, error / total, 1 / 6)
        np.testing.assert_array_equal(error_shares(given_error), expected)
        largest_errors(given_error, share)
        np.testing.assert_array_equal(given_error, before)


@given(step_errors, st.integers(1, 4))
def test_steps_are_named_alike_however_many_beats_there_are_at_a_time(step_error: np.ndarray, block: int) -> None:
    whole = largest_errors(step_error)
    with patch("ecg.detector.explanation.BEATS_AT_A_TIME", block):
        np.testing.assert_array_equal(largest_errors(step_error), whole)


def test_naming_steps_takes_little_memory_beside_the_beats() -> None:
    step_error = np.random.default_rng(0).random((50_000, 140), np.float32)  # 28 MB
    tracemalloc.start()
    try:
        largest_errors(step_error)
        assert tracemalloc.get_traced_memory()[1] < 3e7  # bytes
    finally:
        tracemalloc.stop()


@given(st.lists(st.booleans(), max_size=30).map(lambda x: np.array(x, bool)))
def test_stretches_are_where_steps_are_named(named: np.ndarray) -> None:
    back = np.zeros(len(named), bool)
    found = true_intervals(named)
    for start, stop in found:
        assert start < stop
        back[start:stop] = True
    np.testing.assert_array_equal(back, named)
    assert all(first[1] < second[0] for first, second in pairwise(found))


def test_regions_are_ordered_by_what_they_carry_and_name_their_segments(explained: list[Explanation]) -> None:
    for explanation in explained:
        shares = [region.share for region in explanation.regions]
        assert shares == sorted(shares, reverse=True)
        assert 0.5 - 1e-9 <= sum(shares) < 1
        for region in explanation.regions:
            inside = explanation.contribution[region.start : region.stop].sum()
            assert inside == pytest.approx(region.share * explanation.score)
            assert region.segments
    output = str(explained[0].regions[0])
    assert output.startswith(f"samples {explained[0].regions[0].start} to {explained[0].regions[0].stop - 1} (")
    assert output.endswith("% of the score")


def test_segments_of_ecg5000_cover_a_beat_without_a_gap_and_lie_where_its_waves_do(normal: np.ndarray) -> None:
    segments = dataset_named("ECG5000").segments
    assert [start for _, start, _ in segments] == [0, *(stop for _, _, stop in segments[:-1])]
    assert segments[-1][2] == normal.shape[1]
    typical = np.median(normal, axis=0)
    at = {name: (start, stop) for name, start, stop in reversed(segments)}
    assert at["QRS"][0] <= np.argmin(typical) < at["QRS"][1]
    assert at["P"][0] <= 60 + np.argmax(typical[60:120]) < at["P"][1]
    assert at["T"][0] <= 20 + np.argmin(typical[20:60]) < at["T"][1]


def test_samples_are_named_by_the_segments_that_they_touch() -> None:
    dataset = Dataset(segments=(("QRS", 0, 4), ("T", 4, 9), ("QRS", 9, 12)))
    assert dataset.segments_in(3, 4) == ("QRS",)
    assert dataset.segments_in(3, 5) == ("QRS", "T")
    assert dataset.segments_in(0, 12) == ("QRS", "T")
    assert Dataset().segments_in(0, 12) == ()


def test_the_neighbour_is_the_nearest_normal_training_beat(
    explained: list[Explanation], normal: np.ndarray, test: Beats
) -> None:
    for explanation, beat in zip(explained, test.samples[::15], strict=True):
        distances = np.sqrt(np.square(normal - beat).sum(axis=1))
        assert explanation.neighbour is not None
        assert explanation.neighbour.index == np.argmin(distances)
        assert explanation.neighbour.distance == pytest.approx(distances.min(), rel=1e-5)
        np.testing.assert_array_equal(explanation.neighbour.beat, normal[explanation.neighbour.index])


def test_an_explanation_says_what_the_detector_says(
    explained: list[Explanation], detector: Detector, test: Beats
) -> None:
    verdicts = detector.score(test.samples[::15], details=True)
    np.testing.assert_array_equal([e.anomalous for e in explained], verdicts.anomalous)
    np.testing.assert_array_equal([e.p_value for e in explained], verdicts.p_value)
    np.testing.assert_array_equal(explained[7].reconstruction, verdicts.reconstruction[7])
    np.testing.assert_array_equal(explained[7].beat, test.samples[105])


def test_deleting_the_named_steps_lowers_the_score_more_than_deleting_as_many_random_ones(
    detector: Detector, test: Beats
) -> None:
    verdicts = detector.score(test.samples, details=True)
    for label in (2, 3, 4, 5):
        alarms = verdicts.anomalous & (test.classes == label)
        for seed in range(3):
            named, random = deletion_test(detector.model.scores, test.samples[alarms], verdicts.where(alarms), seed)
            assert named < 0.75 * random


def test_without_normal_beats_there_is_no_neighbour_and_all_else_is_the_same(
    explained: list[Explanation], detector: Detector, test: Beats
) -> None:
    for with_one, without in zip(explained, detector.explain(test.samples[::15]), strict=True):
        assert without.neighbour is None
        assert str(without) == str(with_one)


def test_an_explanation_reads_as_a_verdict_and_the_samples_behind_it(explained: list[Explanation]) -> None:
    verdict, *regions = str(explained[-1]).split("\n")
    assert verdict == f"anomalous: score {explained[-1].score:.3g}, p-value {explained[-1].p_value:.3g}"
    assert regions == [str(region) for region in explained[-1].regions]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_none_is_refused(detector: Detector, normal: np.ndarray, share: float) -> None:
    with pytest.raises(InputError, match=f"share is {share}"):
        explain(normal, detector.score(normal, details=True), share=share)


@pytest.mark.parametrize("shape", [(0, 140), (5, 139), (140,)])
def test_normal_beats_that_do_not_fit_the_model_are_refused(detector: Detector, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="normal beats have shape"):
        explain(np.zeros((1, 140)), detector.score(np.zeros((1, 140)), details=True), normal=np.zeros(shape))
