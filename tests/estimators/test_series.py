"""Long series: a real heartbeat that repeats, with one beat changed; what is refused; windows and their means."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from ecg import SeriesDetector
from ecg.estimators import series
from ecg.estimators.series import POINTS, _averaged, _cut
from tests.hearts.conftest import in_time, made_of, stretched

BEATS, CHANGED, FITTED = 40, 30, 20  # in a series; the one that is changed; those of the normal part
PERIOD, WINDOW = 200, 300  # samples of a beat, and of a window of 1.5 periods


def detector(**parameters: object) -> SeriesDetector:
    """One that is fitted quickly."""
    return SeriesDetector(**{"windows": (1.5,), "features": 84, "n_jobs": 1} | parameters)


def heart(shapes: np.ndarray, rr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A series of beats of these shapes at these intervals, from the first R peak to the last; where the peaks are."""
    made = made_of(shapes, rr)
    first, last = made.r_peaks[[0, -1]]
    return made.samples[first:last].astype(float), made.r_peaks - first


@pytest.fixture(scope="module")
def normal_part(shape: np.ndarray) -> np.ndarray:
    values, peaks = heart(np.tile(shape, (BEATS, 1)), in_time(BEATS))
    return values[: peaks[FITTED]]


@pytest.fixture(scope="module")
def longer(shape: np.ndarray) -> np.ndarray:
    """The normal part and what comes after it, as normal."""
    return heart(np.tile(shape, (3 * BEATS, 1)), in_time(3 * BEATS))[0]


@pytest.fixture(scope="module")
def one_wide(shape: np.ndarray) -> tuple[np.ndarray, int]:
    """A series with one wide beat, and where that is."""
    shapes = np.tile(shape, (BEATS, 1))
    shapes[CHANGED] = stretched(shape, 1.6)
    values, peaks = heart(shapes, in_time(BEATS))
    return values, peaks[CHANGED]


@pytest.fixture(scope="module")
def one_early(shape: np.ndarray) -> tuple[np.ndarray, int]:
    """A series with one premature beat and the pause after it, and where that is."""
    rr = in_time(BEATS)
    rr[CHANGED : CHANGED + 2] *= [0.6, 1.4]
    values, peaks = heart(np.tile(shape, (BEATS, 1)), rr)
    return values, peaks[CHANGED]


@pytest.fixture(scope="module")
def fitted(normal_part: np.ndarray) -> SeriesDetector:
    return detector().fit(normal_part)


# Scores.


@pytest.mark.parametrize("changed", ["one_wide", "one_early"])
def test_the_lowest_score_lies_within_the_beat_that_is_changed(
    changed: str, fitted: SeriesDetector, request: pytest.FixtureRequest
) -> None:
    values, peak = request.getfixturevalue(changed)
    score = fitted.score_samples(values)
    assert abs(score.argmin() - peak) < PERIOD / 2
    assert fitted.predict(values)[peak] == -1


def test_far_from_the_changed_beat_scores_are_those_of_the_normal_part(
    fitted: SeriesDetector, one_wide: tuple[np.ndarray, int]
) -> None:
    values, peak = one_wide
    far = np.abs(np.arange(len(values)) - peak) > WINDOW + PERIOD
    assert (fitted.predict(values)[far] == -1).mean() < 4 * fitted.alpha
    assert (fitted.predict(values)[~far] == -1).mean() > 0.5


def test_each_sample_has_a_score(fitted: SeriesDetector, normal_part: np.ndarray) -> None:
    for length in (WINDOW + 10, WINDOW + 11, 777, len(normal_part)):
        score = fitted.score_samples(normal_part[:length])
        assert score.shape == (length,)
        assert score.dtype == np.float64
        assert np.isfinite(score).all()


def test_a_series_as_long_as_a_window_has_one_score(fitted: SeriesDetector, normal_part: np.ndarray) -> None:
    (window,) = fitted.windows_
    assert len(np.unique(fitted.score_samples(normal_part[: window.length]))) == 1
    with pytest.raises(ValueError, match=rf"the series has {window.length - 1} samples; a window has {window.length}"):
        fitted.score_samples(normal_part[: window.length - 1])


def test_scores_do_not_depend_on_how_many_windows_are_scored_at_once(
    fitted: SeriesDetector, one_early: tuple[np.ndarray, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = fitted.score_samples(one_early[0])
    monkeypatch.setattr(series, "AT_A_TIME", 50)
    np.testing.assert_allclose(fitted.score_samples(one_early[0]), at_once, atol=1e-3)


def test_a_unit_and_a_baseline_change_no_score(
    fitted: SeriesDetector, normal_part: np.ndarray, one_early: tuple[np.ndarray, int]
) -> None:
    other = clone(fitted)
    predicted = other.fit_predict(normal_part * 1000 + 500)
    assert set(predicted) <= {-1, 1}
    assert (predicted == fitted.predict(normal_part)).mean() > 0.99
    assert other.period_ == fitted.period_
    np.testing.assert_allclose(other.decision_scores_, fitted.decision_scores_, atol=1e-3)
    np.testing.assert_allclose(
        other.score_samples(one_early[0] * 1000 + 500), fitted.score_samples(one_early[0]), atol=1e-3
    )
    # The baseline of the scored series alone: windows have the mean 0.
    np.testing.assert_allclose(fitted.score_samples(one_early[0] + 5), fitted.score_samples(one_early[0]), atol=1e-3)


def test_slow_drift_raises_few_alarms_if_scores_are_compared_with_those_around(
    fitted: SeriesDetector, normal_part: np.ndarray, longer: np.ndarray
) -> None:
    growing = longer * np.interp(np.arange(len(longer)), [len(normal_part), len(longer)], [1, 1.5])
    near, alone = (clone(fitted).set_params(drift=drift).fit(normal_part) for drift in (30.0, None))
    alarms, alarms_alone = ((each.predict(growing) == -1).mean() for each in (near, alone))
    assert alarms < alarms_alone / 3


# What scikit-learn's and PyOD's users expect.


def test_about_alpha_of_the_normal_part_is_anomalous(fitted: SeriesDetector, normal_part: np.ndarray) -> None:
    scores = fitted.decision_scores_
    assert scores.shape == fitted.labels_.shape == normal_part.shape
    assert fitted.labels_.mean() == pytest.approx(fitted.alpha, abs=2 / len(scores))
    np.testing.assert_array_equal(fitted.labels_, scores > fitted.threshold_)


def test_scores_of_the_normal_part_are_held_out_and_averaged_like_those_of_a_new_one(
    fitted: SeriesDetector, normal_part: np.ndarray, longer: np.ndarray
) -> None:
    new = -fitted.score_samples(longer[len(normal_part) :])
    assert 0.1 < (new > np.quantile(fitted.decision_scores_, 0.8)).mean() < 0.4
    assert (-fitted.score_samples(normal_part)).mean() < fitted.decision_scores_.mean()


def test_samples_below_the_offset_are_anomalous(fitted: SeriesDetector, one_wide: tuple[np.ndarray, int]) -> None:
    values, _ = one_wide
    decision = fitted.decision_function(values)
    np.testing.assert_array_equal(decision, fitted.score_samples(values) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(values), np.where(decision < 0, -1, 1))
    assert fitted.offset_ == -fitted.threshold_


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted: SeriesDetector) -> None:
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "windows_")


def test_parameters_are_set_by_name() -> None:
    changed = SeriesDetector().set_params(period=80, drift=None)
    assert changed.get_params() == SeriesDetector(80, drift=None).get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'beats'"):
        changed.set_params(beats=3)


def test_the_period_is_found_or_the_one_that_is_given(
    fitted: SeriesDetector, normal_part: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fitted.period_ == pytest.approx(PERIOD, abs=2)
    assert [each.length for each in fitted.windows_] == [round(1.5 * fitted.period_)]

    def lengths(_: SeriesDetector, __: np.ndarray, length: int) -> None:
        raise LookupError(length)

    monkeypatch.setattr(SeriesDetector, "_fitted", lengths)
    for period, length in ((80, 120), (np.int64(80), 120), (81.0, 122), (2, 8)):
        with pytest.raises(LookupError, match=str(length)):
            detector(period=period).fit(normal_part)


def test_it_scores_nothing_before_it_is_fitted() -> None:
    with pytest.raises(ValueError, match="not fitted yet"):
        SeriesDetector().score_samples(np.arange(1000.0))


# What is refused.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((1000, 2)), r"1d array, got an array of shape \(1000, 2\)"),
        (np.append(np.arange(999.0), np.nan), "contains NaN"),
        (np.append(np.arange(999.0), np.inf), "contains infinity"),
        (np.full(1000, 0.1), "all 1000 samples of the series are equal"),
        (np.arange(1000) * 1j, "Complex data not supported"),
        (["a", "b"] * 500, "could not convert string to float"),
        ([], "0 sample"),
        ([1.0], "1 sample"),
    ],
    ids=["two channels", "NaN", "infinity", "constant", "complex", "text", "empty", "one sample"],
)
def test_what_is_no_series_is_refused(given: object, message: str, fitted: SeriesDetector) -> None:
    with pytest.raises(ValueError, match=message):
        detector().fit(given)
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(given)


def test_too_short_a_normal_part_is_refused_with_what_it_needs(normal_part: np.ndarray) -> None:
    message = f"the normal part has {WINDOW + 9} samples: {WINDOW + 10} are needed for windows of {WINDOW}"
    with pytest.raises(ValueError, match=message):
        detector(period=PERIOD).fit(normal_part[: WINDOW + 9])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("period", value) for value in (0, 1, -80, float("nan"), float("inf"), "80", True)),
        *(("windows", value) for value in ((), (0.0,), (1.5, -1), (float("nan"),), (float("inf"),), 2.0, None, "ab")),
        *(("drift", value) for value in (0, -1, float("nan"), float("inf"), "30")),
        *(("alpha", value) for value in (0, 1, -0.1, float("nan"), None, "0.05")),
        *(("features", value) for value in (0, 10_001, 2.5, "400")),
        *(("variance", value) for value in (0, 1.0, "0.9")),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(name: str, value: object, normal_part: np.ndarray) -> None:
    with pytest.raises(ValueError, match=rf"Detector: {name}(\.\d)? is "):
        detector(**{name: value}).fit(normal_part)


# Windows.


@st.composite
def starts_of_windows(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    """Starts of windows that hold every sample, as a series is scored; their length; samples of the series."""
    length = draw(st.integers(1, 250))
    samples = length + draw(st.integers(0, 300))
    step = draw(st.integers(1, length))
    return np.append(np.arange(0, samples - length, step), samples - length), length, samples


@given(starts_of_windows(), st.data())
def test_a_sample_has_the_mean_score_of_the_windows_that_contain_it(
    windows: tuple[np.ndarray, int, int], data: st.DataObject
) -> None:
    starts, length, samples = windows
    scores = data.draw(arrays(float, len(starts), elements=st.floats(-100, 100)))
    naive = [scores[(starts <= sample) & (sample < starts + length)].mean() for sample in range(samples)]
    np.testing.assert_allclose(_averaged(scores, starts, length, samples), naive, atol=1e-9)


@given(starts_of_windows(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e6]))
def test_windows_are_cut_without_their_mean_and_longer_ones_averaged(
    windows: tuple[np.ndarray, int, int], seed: int, baseline: float
) -> None:
    starts, length, samples = windows
    values = np.random.default_rng(seed).normal(baseline, 1, samples)
    edges = np.linspace(0, length, min(length, POINTS) + 1).round().astype(int)
    naive = []
    for start in starts:
        points = [values[start + first : start + stop].mean() for first, stop in pairwise(edges)]
        naive.append(points - np.mean(points))
    cut = np.concatenate(list(_cut(values, starts, length)))
    assert cut.shape == (len(starts), min(length, POINTS))
    np.testing.assert_allclose(cut, naive, atol=1e-6)


def test_windows_are_cut_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    values, starts = np.random.default_rng(0).normal(size=500), np.arange(0, 400, 7)
    (whole,) = _cut(values, starts, 100)
    monkeypatch.setattr(series, "AT_A_TIME", 10)
    parts = list(_cut(values, starts, 100))
    assert [len(part) for part in parts] == [10, 10, 10, 10, 10, 8]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
