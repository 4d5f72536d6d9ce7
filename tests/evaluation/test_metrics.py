from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from ecg.evaluation import metrics

# Few distinct values, so that ties are the rule.
scores = st.lists(st.integers(0, 12).map(lambda k: k / 4), min_size=1, max_size=40).map(np.array)


def both(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[np.zeros(len(normal)), np.ones(len(anomalous))], np.concatenate([normal, anomalous])


def resampled(anomalous: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(metrics.stratified_resamples(anomalous, samples, seed)))


@given(scores, scores)
def test_auc_and_average_precision_are_scikit_learns(normal: np.ndarray, anomalous: np.ndarray) -> None:
    truth, all_scores = both(normal, anomalous)
    auc, low, high = metrics.auc_with_interval(normal, anomalous)
    assert auc == pytest.approx(reference.roc_auc_score(truth, all_scores))
    assert 0 <= low <= auc <= high <= 1
    expected = reference.average_precision_score(truth, all_scores)
    assert metrics.average_precision(normal, anomalous) == pytest.approx(expected)


@given(scores, scores)
def test_roc_curve_is_scikit_learns(normal: np.ndarray, anomalous: np.ndarray) -> None:
    false_positive_rates, true_positive_rates = metrics.roc_curve(normal, anomalous)
    expected_x, expected_y, _ = reference.roc_curve(*both(normal, anomalous), drop_intermediate=False)
    assert np.trapezoid(true_positive_rates, false_positive_rates) == pytest.approx(
        np.trapezoid(expected_y, expected_x)
    )
    ours = set(zip(false_positive_rates.round(9), true_positive_rates.round(9), strict=True))
    assert ours <= set(zip(expected_x.round(9), expected_y.round(9), strict=True))
    assert {(0.0, 0.0), (1.0, 1.0)} <= ours


@given(scores, scores)
def test_precision_recall_curve_is_scikit_learns(normal: np.ndarray, anomalous: np.ndarray) -> None:
    precisions, recalls = metrics.precision_recall_curve(normal, anomalous)
    expected_precisions, expected_recalls, _ = reference.precision_recall_curve(*both(normal, anomalous))
    expected = set(zip(expected_precisions.round(9), expected_recalls.round(9), strict=True))
    assert set(zip(precisions.round(9), recalls.round(9), strict=True)) <= expected
    assert recalls[-1] == 1
    assert (np.diff(recalls) > 0).all()


@given(scores.filter(lambda x: len(x) > 1), scores.filter(lambda x: len(x) > 1))
def test_interval_is_delongs_by_its_definition(normal: np.ndarray, anomalous: np.ndarray) -> None:
    wins = (anomalous[:, None] > normal) + 0.5 * (anomalous[:, None] == normal)  # (anomalous, normal)
    variance = wins.mean(1).var(ddof=1) / len(anomalous) + wins.mean(0).var(ddof=1) / len(normal)
    auc, low, high = metrics.auc_with_interval(normal, anomalous)
    half = 1.959964 * np.sqrt(variance)
    assert (low, high) == pytest.approx((max(auc - half, 0), min(auc + half, 1)), abs=1e-6)


def test_interval_covers_the_true_area_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    true = 0.8413447  # P(N(sqrt(2), 1) > N(0, 1))
    intervals = [
        metrics.auc_with_interval(rng.normal(0, 1, 150), rng.normal(np.sqrt(2), 1, 100))[1:] for _ in range(600)
    ]
    covered = np.mean([low <= true <= high for low, high in intervals])
    assert 0.92 <= covered <= 0.98  # 0.95 and three standard errors


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_rates_are_scikit_learns(pairs: list[tuple[bool, bool]]) -> None:
    alarms, truth = np.array(pairs).T
    counts = metrics.Counts.of(alarms, truth)
    matrix = [[counts.true_negatives, counts.false_positives], [counts.false_negatives, counts.true_positives]]
    assert matrix == reference.confusion_matrix(truth, alarms, labels=[False, True]).tolist()
    assert counts.precision == pytest.approx(reference.precision_score(truth, alarms, zero_division=0))
    assert counts.recall == pytest.approx(reference.recall_score(truth, alarms, zero_division=0))
    assert counts.f1 == pytest.approx(reference.f1_score(truth, alarms, zero_division=0))
    assert counts.accuracy == pytest.approx(reference.accuracy_score(truth, alarms))


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12))
def test_placements_of_two_detectors_give_the_difference_of_their_areas(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, (2, n + m)).astype(float)
    wins = np.array([(x[n:, None] > x[:n]) + 0.5 * (x[n:, None] == x[:n]) for x in (first, second)])  # (2, m, n)
    gap = wins[0] - wins[1]
    half = 1.959964 * np.sqrt(gap.mean(1).var(ddof=1) / m + gap.mean(0).var(ddof=1) / n)
    ours, theirs = (metrics.Placements.of(x[:n], x[n:]) for x in (first, second))
    difference = metrics.Placements(ours.normal - theirs.normal, ours.anomalous - theirs.anomalous)
    assert difference.interval() == pytest.approx((gap.mean(), gap.mean() - half, gap.mean() + half), abs=1e-6)


@given(scores, scores, st.integers(0, 2**32 - 1))
def test_average_precision_of_counted_beats_is_that_of_the_beats_repeated(
    normal: np.ndarray, anomalous: np.ndarray, seed: int
) -> None:
    truth, all_scores = both(normal, anomalous)
    counts = np.random.default_rng(seed).integers(0, 4, (3, len(truth)))
    counts[:, -1] += 1  # an anomalous beat at least
    for drawn, ours in zip(counts, metrics.resampled_average_precision(all_scores, truth == 1, counts), strict=True):
        repeated = np.repeat(all_scores, drawn), np.repeat(truth, drawn)
        expected = reference.average_precision_score(repeated[1], repeated[0])
        assert ours == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50), st.integers(0, 2**32 - 1))
def test_f1_of_counted_beats_is_that_of_the_beats_repeated(pairs: list[tuple[bool, bool]], seed: int) -> None:
    alarms, truth = np.array([*pairs, (True, True)]).T
    counts = np.random.default_rng(seed).integers(0, 4, (3, len(truth)))
    counts[:, -1] += 1
    for drawn, ours in zip(counts, metrics.resampled_f1(alarms, truth, counts), strict=True):
        assert ours == pytest.approx(reference.f1_score(np.repeat(truth, drawn), np.repeat(alarms, drawn)))


def test_resamples_keep_the_number_of_each_kind_and_come_back_with_the_seed() -> None:
    anomalous = np.arange(30) % 3 == 0
    counts = resampled(anomalous, 400, seed=3)
    assert counts.shape == (400, 30)
    assert (counts[:, anomalous].sum(1) == 10).all()
    assert (counts[:, ~anomalous].sum(1) == 20).all()
    assert counts.mean(0) == pytest.approx(1, abs=0.25)
    np.testing.assert_array_equal(counts, resampled(anomalous, 400, seed=3))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_resamples_in_blocks_are_those_of_one_sequence_of_random_numbers(
    normal: int, anomalies: int, samples: int, at_a_time: int, seed: int
) -> None:
    anomalous = np.random.default_rng(seed).permutation(np.arange(normal + anomalies) < anomalies)
    random, whole = np.random.default_rng(seed), np.empty((samples, len(anomalous)), np.int64)
    for kind, size in ((anomalous, anomalies), (~anomalous, normal)):  # all of the one kind, then all of the other
        for row in whole:
            row[kind] = np.bincount(random.integers(size, size=size), minlength=size)
    with patch.object(metrics, "NUMBERS_AT_A_TIME", at_a_time):
        blocks = list(metrics.stratified_resamples(anomalous, samples, seed))
    assert all(block.size <= max(at_a_time, len(anomalous)) for block in blocks)
    counts = np.concatenate(blocks)
    assert counts.dtype == whole.dtype
    np.testing.assert_array_equal(counts, whole)


def test_blocks_of_resamples_do_not_grow_with_their_number() -> None:
    anomalous = np.arange(metrics.NUMBERS_AT_A_TIME // 3) % 2 == 0
    blocks = metrics.stratified_resamples(anomalous, 5)
    assert [len(block) for block in blocks] == [3, 2]


def test_the_bootstraps_interval_covers_the_true_f1_as_often_as_it_says() -> None:
    rng, anomalous, covered = np.random.default_rng(0), np.arange(300) < 100, []
    true = 2 * 90 / (2 * 90 + 10 + 20)  # of 100 anomalies 90 are found in the long run, of 200 normal beats 20 are not
    for _ in range(300):
        alarms = rng.random(300) < np.where(anomalous, 0.9, 0.1)
        low, high = metrics.percentile_interval(metrics.resampled_f1(alarms, anomalous, resampled(anomalous, 200)))
        covered.append(low <= true <= high)
    assert 0.91 <= np.mean(covered) <= 0.99


@given(st.integers(0, 300), st.integers(0, 300))
def test_rates_have_wilsons_interval(hits: int, more: int) -> None:
    trials = hits + more
    low, high = metrics.wilson_interval(hits, trials)
    if trials == 0:
        assert (low, high) == (0, 1)
        return
    expected = stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 300), st.integers(1, 400), st.data())
def test_the_band_of_chance_is_the_beta_binomials(n: int, trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, n))
    distribution = stats.betabinom(trials, count, n + 1 - count)
    low, high = (round(rate * trials) for rate in metrics.chance_band(n, trials, count))
    # the first number of alarms at which the distribution function is there, but for rounding
    assert distribution.cdf(low) >= 0.025 - 1e-9 >= distribution.cdf(low - 1) - 2e-9
    assert distribution.cdf(high) >= 0.975 - 1e-9 >= distribution.cdf(high - 1) - 2e-9
