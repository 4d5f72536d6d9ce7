import tracemalloc
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import Calibration
from ecg.exceptions import InputError
from ecg.params import Calibrate
from tests.conftest import calibrating

alphas = st.floats(0.001, 0.999)
held_out_errors = st.lists(st.floats(0, 100, width=32), min_size=2, max_size=60).filter(lambda x: len(set(x)) > 1)


def held_out(values: list[float], folds: int = 1) -> TrainingErrors:
    array = np.array(values, np.float32)
    return TrainingErrors(np.arange(len(array)) % folds, array / 2, array)


def calibrated(errors: TrainingErrors, anomalous: np.ndarray | None = None, **changes: object) -> Calibration:
    return thresholds.calibrate(errors, calibrating(**changes), "0" * 64, anomalous)


def alarms(calibration: Calibration, scores: list[float]) -> np.ndarray:
    """The verdicts on beats to which all members give the same score."""
    score = np.array(scores, np.float32)
    member_score = np.tile(score[:, None], len(calibration.held_out))
    return calibration.anomalous(score, calibration.p(score, member_score))


@pytest.fixture(scope="module")
def heavy() -> TrainingErrors:
    """292 errors with a tail like that of real ones."""
    return held_out(stats.genpareto(0.3).rvs(292, random_state=0).tolist())


@given(held_out_errors, alphas)
def test_a_conformal_threshold_is_the_smallest_score_whose_p_value_is_at_most_alpha(
    values: list[float], alpha: float
) -> None:
    assume(alpha * (len(values) + 1) >= 1)
    calibration = calibrated(held_out(values), method="conformal", alpha=alpha)
    below = float(np.nextafter(np.float32(calibration.threshold), np.float32(-np.inf)))
    assert alarms(calibration, [calibration.threshold, below]).tolist() == [True, False]


@given(held_out_errors.filter(lambda x: len(x) > 3), alphas)
@example([1.0, 2.0, 3.0, 4.0], 0.25)
def test_exchangeable_beats_keep_false_alarms_at_alpha(values: list[float], alpha: float) -> None:
    # Of n + 1 exchangeable beats each is equally likely to be the new one: counting all cases gives the exact rate.
    assume(alpha * len(values) >= 1)
    others = [values[:i] + values[i + 1 :] for i in range(len(values))]
    assume(all(len(set(rest)) > 1 for rest in others))
    called = [
        alarms(calibrated(held_out(rest), method="conformal", alpha=alpha), [new])[0]
        for rest, new in zip(others, values, strict=True)
    ]
    assert np.mean(called) <= alpha + 1e-12


def test_distinct_beats_use_all_of_the_alpha_that_is_attainable() -> None:
    values = [float(x) for x in np.random.default_rng(0).permutation(100)]
    called = [
        alarms(calibrated(held_out(values[:i] + values[i + 1 :]), method="conformal", alpha=0.07), [x])[0]
        for i, x in enumerate(values)
    ]
    assert np.mean(called) == 0.07


def test_a_conformal_threshold_on_real_held_out_beats_alarms_on_at_most_alpha_of_them(errors: TrainingErrors) -> None:
    for alpha in (0.01, 0.05, 0.1):
        rate = np.mean(errors.held_out >= calibrated(errors, method="conformal", alpha=alpha).threshold)
        assert alpha - 2 / (len(errors.held_out) + 1) <= rate <= alpha


@pytest.mark.parametrize("method", ["conformal_conditional", "pot", "percentile"])
def test_a_threshold_on_real_held_out_beats_alarms_on_about_alpha_of_them(errors: TrainingErrors, method: str) -> None:
    for alpha in (0.05, 0.1):
        threshold = calibrated(errors, method=method, alpha=alpha, percentile=100 * (1 - alpha)).threshold
        rate = np.mean(errors.held_out >= threshold)
        assert 0.5 * alpha <= rate <= alpha + 2 / len(errors.held_out)


def test_an_adjusted_p_value_is_where_the_beta_distribution_leaves_delta() -> None:
    n, delta = 40, 0.2
    calibration = calibrated(held_out(list(range(n))), method="conformal_conditional", delta=delta, alpha=0.5)
    expected = [stats.beta(k, n + 1 - k).ppf(1 - delta) for k in range(1, n + 1)]
    assert calibration.p_values == pytest.approx([*expected, 1.0])


def test_the_conditional_promise_holds_for_all_but_delta_of_calibration_draws() -> None:
    rng, alpha, delta = np.random.default_rng(0), 0.1, 0.1
    rates = []  # of false alarms, exactly: new errors are uniform, too
    for _ in range(800):
        errors = held_out(rng.random(100).tolist())
        rates.append(1 - calibrated(errors, method="conformal_conditional", alpha=alpha, delta=delta).threshold)
    assert 0.05 <= np.mean(np.array(rates) > alpha) <= delta + 0.03


def test_a_conditional_threshold_is_never_below_the_conformal_one(errors: TrainingErrors) -> None:
    for alpha in (0.02, 0.05, 0.2):
        by_method = [calibrated(errors, method=m, alpha=alpha) for m in ("conformal_conditional", "conformal")]
        assert by_method[0].threshold > by_method[1].threshold


def test_the_tails_p_values_fall_from_its_share_towards_nothing(heavy: TrainingErrors) -> None:
    calibration = calibrated(heavy, method="pot", alpha=0.001, tail=0.1)
    level, largest = calibration.tail.level, float(heavy.held_out.max())
    assert (heavy.held_out > level).sum() == 29
    score = np.array([0.0, level, level * 1.0001, largest, 10 * largest, 1e9 * largest], np.float32)
    p = calibration.p(score, score[:, None])
    assert p[0] == 1
    assert p[1:3] == pytest.approx([31 / 293, 30 / 293], rel=0.001)
    assert (np.diff(p) < 0).all()
    assert 0 < p[-1] < 1e-4


def test_a_tail_is_scipys_generalised_pareto_averaged_over_what_the_peaks_leave_possible(heavy: TrainingErrors) -> None:
    peaks = np.sort(heavy.held_out.astype(float))[-29:] - np.sort(heavy.held_out)[-30]
    shapes, scales = np.meshgrid((np.arange(100) + 0.5) / 100, peaks.mean() * np.exp(np.linspace(-3, 3, 201)))
    likelihood = np.exp(stats.genpareto.logpdf(peaks[:, None, None], shapes, 0, scales).sum(0))
    calibration = calibrated(heavy, method="pot", alpha=0.001, tail=0.1)
    for excess in (0.3, 1.0, 5.0, 30.0):
        expected = 30 / 293 * np.average(stats.genpareto.sf(excess, shapes, 0, scales), weights=likelihood)
        score = np.array([calibration.tail.level + excess])
        assert calibration.tail.p_values(score) == pytest.approx(expected, rel=0.02)


def test_a_tails_threshold_is_where_p_is_alpha(heavy: TrainingErrors) -> None:
    for alpha in (0.0001, 0.003, 0.08, 0.3):
        threshold = calibrated(heavy, method="pot", alpha=alpha, tail=0.1).threshold
        calibration = calibrated(heavy, method="pot", alpha=alpha, tail=0.1)
        assert alarms(calibration, [threshold * 1.001, threshold * 0.999]).tolist() == [True, False]


def test_a_tail_keeps_a_rare_promise_within_a_factor_of_two_where_counting_cannot() -> None:
    distribution, rng, rates = stats.genpareto(0.3), np.random.default_rng(0), []
    for _ in range(100):
        errors = held_out(distribution.rvs(292, random_state=rng).tolist())
        rates.append(distribution.sf(calibrated(errors, method="pot", alpha=0.001, tail=0.1).threshold))
        with pytest.raises(InputError):
            calibrated(errors, method="conformal", alpha=0.001)
    assert 0.0005 <= np.mean(rates) <= 0.002


@given(
    st.lists(st.floats(0, 10, width=32), min_size=2, max_size=20).filter(lambda x: len(set(x)) > 1),
    st.lists(st.floats(0, 10, width=32), min_size=1, max_size=20),
)
def test_no_threshold_has_a_better_f1_than_the_method_of_that_name(normal: list[float], anomalous: list[float]) -> None:
    threshold = calibrated(held_out(normal), np.array(anomalous, np.float32), method="f1").threshold
    truth, scores = np.r_[np.zeros(len(normal)), np.ones(len(anomalous))], np.array([*normal, *anomalous], np.float32)
    best = max(f1_score(truth, scores >= candidate) for candidate in scores)
    assert f1_score(truth, scores >= np.float32(threshold)) == pytest.approx(best)


scores_with_ties = st.lists(
    st.integers(0, 12).map(lambda k: k / 4) | st.floats(0, 3, width=32), min_size=2, max_size=30
)


@given(scores_with_ties.filter(lambda x: len(set(x)) > 1), scores_with_ties, st.sampled_from([np.float32, np.float64]))
def test_the_threshold_of_the_best_f1_is_the_lowest_that_comparing_each_with_every_score_finds(
    normal: list[float], anomalous: list[float], kind: type
) -> None:
    errors, development = held_out(normal), np.array(anomalous, kind)
    candidates = np.unique(np.concatenate([errors.held_out, development]).astype(np.float32))
    hits, false = ((values >= candidates[:, None]).sum(axis=1) for values in (development, errors.held_out))
    best = candidates[np.argmax(2 * hits / (len(development) + hits + false))]
    assert thresholds.f1(errors, development).threshold == best


def test_the_best_f1_takes_no_table_of_each_score_with_every_other() -> None:
    normal, anomalous = np.random.default_rng(0).random((2, 10_000)).astype(np.float32)
    tracemalloc.start()
    try:
        thresholds.f1(TrainingErrors(np.zeros(10_000, int), normal, normal), anomalous)
        assert tracemalloc.get_traced_memory()[1] < 2e7  # bytes; the table would have ten times as many
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("anomalous", [None, np.empty(0)])
def test_the_best_f1_needs_anomalous_beats_and_says_so(errors: TrainingErrors, anomalous: np.ndarray | None) -> None:
    with pytest.raises(InputError, match="'f1', which needs anomalous training beats"):
        calibrated(errors, anomalous, method="f1")


@pytest.mark.parametrize("method", ["conformal", "conformal_conditional", "pot"])
def test_what_needs_held_out_errors_says_so(errors: TrainingErrors, method: str) -> None:
    with pytest.raises(InputError, match=rf"'{method}', which needs .* set train\.folds to 2 or more"):
        calibrated(TrainingErrors(errors.fold, errors.fitted, None), method=method)


@pytest.mark.parametrize(("n", "alpha", "enough"), [(10, 0.05, 19), (292, 0.001, 999), (2, 0.3, 3)])
def test_an_alpha_that_n_beats_cannot_reach_is_reported_with_the_n_and_the_method_that_can(
    n: int, alpha: float, enough: int
) -> None:
    with pytest.raises(InputError, match=rf"calibrate\.alpha is {alpha}.*; {enough} beats would do.*method 'pot'"):
        calibrated(held_out(list(range(n))), method="conformal", alpha=alpha)
    calibrated(held_out(list(range(enough))), method="conformal", alpha=alpha)
    with pytest.raises(InputError):
        calibrated(held_out(list(range(enough - 1))), method="conformal", alpha=alpha)


@pytest.mark.parametrize(("n", "alpha", "delta", "enough"), [(100, 0.01, 0.1, 230), (10, 0.05, 0.05, 59)])
def test_so_is_one_that_they_cannot_reach_with_delta(n: int, alpha: float, delta: float, enough: int) -> None:
    settings = {"method": "conformal_conditional", "alpha": alpha, "delta": delta}
    with pytest.raises(InputError, match=f"alpha is {alpha} and calibrate.delta {delta}.*; {enough} beats would do"):
        calibrated(held_out(list(range(n))), **settings)
    calibrated(held_out(list(range(enough))), **settings)
    with pytest.raises(InputError):
        calibrated(held_out(list(range(enough - 1))), **settings)


def test_a_tail_of_too_few_peaks_is_reported_with_the_number_of_beats_that_would_do() -> None:
    with pytest.raises(InputError, match=r"calibrate\.tail is 0\.1: that is 5 of 50.*; 100 beats would do"):
        calibrated(held_out(list(range(50))), method="pot", tail=0.1)
    calibrated(held_out(list(range(100))), method="pot", tail=0.1)


def test_a_tail_of_equal_errors_is_refused() -> None:
    with pytest.raises(InputError, match="the largest 21 held-out errors are all 1: no tail can be fitted"):
        calibrated(held_out([0.5] * 170 + [1.0] * 30), method="pot", tail=0.1)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.0 + 2**-20, 7.0, 1e6]), min_size=40, max_size=60),
    st.floats(0.2, 0.999),
    st.floats(1e-6, 0.999),
)
def test_any_errors_have_a_tail_or_are_refused(values: list[float], tail: float, alpha: float) -> None:
    try:
        calibration = calibrated(held_out(values), method="pot", tail=tail, alpha=alpha)
    except InputError:
        return
    score = np.array([0.0, *values, 2e6, 1e12], np.float32)
    p = calibration.p(score, score[:, None])
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p[np.argsort(score)]) <= 1e-12).all()


@pytest.mark.parametrize("method", [*thresholds.METHODS, *thresholds.LABELLED])
def test_errors_that_are_no_numbers_or_all_equal_are_refused_by_every_method(method: str) -> None:
    anomalous = np.ones(3)
    with pytest.raises(InputError, match="error of training beat 1 is not a finite number"):
        calibrated(held_out([1.0, float("nan"), 2.0]), anomalous, method=method)
    with pytest.raises(InputError, match="errors of all 300 normal training beats are equal"):
        calibrated(held_out([0.25] * 300), anomalous, method=method)


def test_percentile_takes_held_out_errors_and_falls_back_on_fitted_ones(errors: TrainingErrors) -> None:
    own = calibrated(errors, method="percentile", percentile=95)
    assert own.threshold == pytest.approx(np.percentile(errors.held_out, 95))
    one_fold = calibrated(TrainingErrors(errors.fold, errors.fitted, None), method="percentile", percentile=95)
    assert one_fold.threshold == pytest.approx(np.percentile(errors.fitted, 95))
    assert one_fold.p(np.zeros(2), np.zeros((2, 1))) is None


def test_each_members_held_out_errors_ship_in_order(errors: TrainingErrors) -> None:
    shipped = calibrated(errors).held_out
    for k, own in enumerate(shipped):
        assert own == sorted(errors.held_out[errors.fold == k].tolist())
    assert len(shipped) == errors.fold.max() + 1


def test_every_method_that_params_accept_exists() -> None:
    assert set(get_args(Calibrate.model_fields["method"].annotation)) == {*thresholds.METHODS, *thresholds.LABELLED}
