import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from ecg.evaluation import metrics

# Few distinct values, so that ties are the rule.
scores = st.lists(st.integers(0, 12).map(lambda k: k / 4), min_size=1, max_size=40).map(np.array)
several = scores.filter(lambda x: len(x) > 1)


def both(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[np.zeros(len(normal)), np.ones(len(anomalous))], np.concatenate([normal, anomalous])


@given(scores, scores)
def test_auc_is_scikit_learns(normal: np.ndarray, anomalous: np.ndarray) -> None:
    auc, low, high = metrics.auc_with_interval(normal, anomalous)
    assert auc == pytest.approx(reference.roc_auc_score(*both(normal, anomalous)))
    assert 0 <= low <= auc <= high <= 1


@given(several, several)
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
def test_rates_are_those_of_the_beats(pairs: list[tuple[bool, bool]]) -> None:
    alarms, truth = np.array(pairs).T
    matrix = metrics.ConfusionMatrix.of(alarms, truth)
    cells = [[matrix.true_negatives, matrix.false_positives], [matrix.false_negatives, matrix.true_positives]]
    assert cells == [
        [(~alarms & ~truth).sum(), (alarms & ~truth).sum()],
        [(~alarms & truth).sum(), (alarms & truth).sum()],
    ]
    assert matrix.precision == pytest.approx(reference.precision_score(truth, alarms, zero_division=0))
    assert matrix.recall == pytest.approx(reference.recall_score(truth, alarms, zero_division=0))
    assert matrix.f1 == pytest.approx(reference.f1_score(truth, alarms, zero_division=0))
    assert matrix.accuracy == pytest.approx(reference.accuracy_score(truth, alarms))
    assert matrix.false_positive_rate == pytest.approx(alarms[~truth].mean() if (~truth).any() else 0)
    assert matrix.false_discovery_proportion == pytest.approx((~truth)[alarms].mean() if alarms.any() else 0)


def test_without_alarms_precision_and_false_discoveries_are_0() -> None:
    matrix = metrics.ConfusionMatrix(true_negatives=5, false_positives=0, false_negatives=3, true_positives=0)
    assert (matrix.precision, matrix.recall, matrix.f1, matrix.false_discovery_proportion) == (0, 0, 0, 0)
    assert matrix.intervals()["precision"] == (0, 1)


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


@given(several, several, st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_bootstrapped_metrics_are_scikit_learns_of_the_same_resamples(
    normal: np.ndarray, anomalous: np.ndarray, resamples: int, seed: int
) -> None:
    truth, score = both(normal, anomalous)
    truth, alarms = truth == 1, score >= 1.5

    def expected(of_normal: np.ndarray, of_anomalous: np.ndarray) -> tuple[float, float]:
        index = np.concatenate([of_normal, of_anomalous])
        f1 = reference.f1_score(truth[index], alarms[index], zero_division=0)
        return reference.average_precision_score(truth[index], score[index]), f1

    kinds = np.flatnonzero(~truth), np.flatnonzero(truth)
    result = stats.bootstrap(kinds, expected, n_resamples=resamples, method="percentile", rng=seed)
    precisions = metrics.bootstrap_average_precision(score, truth, resamples, seed)
    np.testing.assert_allclose(precisions, result.bootstrap_distribution[0])
    np.testing.assert_allclose(metrics.bootstrap_f1(alarms, truth, resamples, seed), result.bootstrap_distribution[1])


def test_every_detector_is_measured_on_the_same_resamples() -> None:
    random = np.random.default_rng(0)
    anomalous, score = np.arange(60) < 20, random.random(60)
    first = metrics.bootstrap_average_precision(score, anomalous, 50)
    np.testing.assert_array_equal(first, metrics.bootstrap_average_precision(2 * score + 1, anomalous, 50))
    assert (first != metrics.bootstrap_average_precision(score, anomalous, 50, seed=1)).any()


def test_memory_of_a_bootstrap_does_not_grow_with_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BATCH_NUMBERS", 30_000)
    anomalous, score = np.arange(3_000) % 2 == 0, np.random.default_rng(0).random(3_000)
    peaks = []
    for resamples in (10, 400):
        tracemalloc.start()
        try:
            metrics.bootstrap_average_precision(score, anomalous, resamples)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_bootstraps_interval_covers_the_true_f1_as_often_as_it_says() -> None:
    rng, anomalous, covered = np.random.default_rng(0), np.arange(300) < 100, []
    true = 2 * 90 / (2 * 90 + 10 + 20)  # of 100 anomalies 90 are found in the long run, of 200 normal beats 20 are not
    for seed in range(300):
        alarms = rng.random(300) < np.where(anomalous, 0.9, 0.1)
        low, high = metrics.percentile_interval(metrics.bootstrap_f1(alarms, anomalous, 200, seed))
        covered.append(low <= true <= high)
    assert 0.91 <= np.mean(covered) <= 0.99


@given(st.integers(0, 300), st.integers(0, 300))
def test_rates_have_wilsons_interval(hits: int, more: int) -> None:
    trials = hits + more
    low, high = metrics.wilson_interval(hits, trials)
    if trials == 0:
        assert (low, high) == (0, 1)
        return
    for end in (low, high):  # where the rate is 1.96 standard errors from the end, of the end's own binomial
        assert abs(hits / trials - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / trials), abs=1e-6)
    assert 0 <= low <= hits / trials <= high <= 1


@given(st.integers(1, 300), st.integers(1, 400), st.data())
def test_the_band_of_chance_is_the_beta_binomials(n: int, trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, n))
    distribution = stats.betabinom(trials, count, n + 1 - count)
    low, high = (round(rate * trials) for rate in metrics.chance_band(n, trials, count))
    # the first number of alarms at which the distribution function is there, but for rounding
    assert distribution.cdf(low) >= 0.025 - 1e-9 >= distribution.cdf(low - 1) - 2e-9
    assert distribution.cdf(high) >= 0.975 - 1e-9 >= distribution.cdf(high - 1) - 2e-9
