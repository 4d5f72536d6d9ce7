from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ecg.calibration import METHODS, conformal, percentile
from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.params import Calibrate

alphas = st.floats(0.001, 0.999)
held_out_errors = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60)


def settings(alpha: float = 0.05, percent: float = 95.0, method: str = "conformal") -> Calibrate:
    return Calibrate(method=method, alpha=alpha, percentile=percent)


def held_out(values: list[float]) -> Errors:
    array = np.array(values, np.float32)
    return Errors(np.zeros(len(array), int), array / 2, array)


def p_value(score: np.float32, errors: Errors) -> float:
    return (1 + int((errors.held_out >= score).sum())) / (len(errors.held_out) + 1)


def can_alarm(alpha: float, n: int) -> bool:
    return alpha * (n + 1) >= 1


@given(held_out_errors, alphas)
def test_threshold_is_the_smallest_whose_p_value_is_at_most_alpha(values: list[float], alpha: float) -> None:
    assume(can_alarm(alpha, len(values)))
    errors = held_out(values)
    threshold = np.float32(conformal(errors, settings(alpha)))
    assert p_value(threshold, errors) <= alpha
    assert p_value(np.nextafter(threshold, np.float32(-np.inf)), errors) > alpha


@given(st.lists(st.floats(0, 100, width=32), min_size=2, max_size=40), alphas)
@example([1.0, 2.0, 3.0, 4.0], 0.25)
def test_exchangeable_beats_keep_false_alarms_at_alpha(values: list[float], alpha: float) -> None:
    # Of n + 1 exchangeable beats each is equally likely to be the new one: counting all cases gives the exact rate.
    assume(can_alarm(alpha, len(values) - 1))
    alarms = [
        np.float32(new) >= np.float32(conformal(held_out(values[:i] + values[i + 1 :]), settings(alpha)))
        for i, new in enumerate(values)
    ]
    assert np.mean(alarms) <= alpha + 1e-12


def test_distinct_beats_use_all_of_the_alpha_that_is_attainable() -> None:
    values = [float(x) for x in np.random.default_rng(0).permutation(100)]
    alarms = [x >= conformal(held_out(values[:i] + values[i + 1 :]), settings(0.07)) for i, x in enumerate(values)]
    assert np.mean(alarms) == 0.07


def test_a_threshold_on_real_held_out_beats_alarms_on_at_most_alpha_of_them(errors: Errors) -> None:
    for alpha in (0.01, 0.05, 0.1):
        rate = np.mean(errors.held_out >= conformal(errors, settings(alpha)))
        assert alpha - 2 / (len(errors.held_out) + 1) <= rate <= alpha


def test_conformal_needs_held_out_errors_and_says_so(errors: Errors) -> None:
    with pytest.raises(InputError, match=r"set train\.folds to 2 or more"):
        conformal(Errors(errors.fold, errors.fitted, None), settings())


@pytest.mark.parametrize(("n", "alpha", "enough"), [(10, 0.05, 19), (292, 0.001, 999), (2, 0.3, 3)])
def test_an_alpha_that_n_beats_cannot_reach_is_told_with_the_n_that_can(n: int, alpha: float, enough: int) -> None:
    with pytest.raises(InputError, match=f"calibrate.alpha is {alpha}.*; {enough} beats would do"):
        conformal(held_out([1.0] * n), settings(alpha))
    conformal(held_out([1.0] * enough), settings(alpha))
    with pytest.raises(InputError):
        conformal(held_out([1.0] * (enough - 1)), settings(alpha))


def test_percentile_takes_held_out_errors_and_falls_back_on_fitted_ones(errors: Errors) -> None:
    assert percentile(errors, settings(percent=95)) == pytest.approx(np.percentile(errors.held_out, 95))
    one_fold = Errors(errors.fold, errors.fitted, None)
    assert percentile(one_fold, settings(percent=95)) == pytest.approx(np.percentile(errors.fitted, 95))


def test_every_method_that_params_accept_exists() -> None:
    assert set(get_args(Calibrate.model_fields["method"].annotation)) == set(METHODS)


def test_errors_survive_saving_exactly(tmp_path: Path, errors: Errors) -> None:
    for written in (errors, Errors(errors.fold, errors.fitted, None)):
        written.save(tmp_path / "errors.csv")
        back = Errors.load(tmp_path / "errors.csv")
        np.testing.assert_array_equal(back.fold, written.fold)
        np.testing.assert_array_equal(back.fitted, written.fitted)
        assert (back.held_out is None) == (written.held_out is None)
        if written.held_out is not None:
            np.testing.assert_array_equal(back.held_out, written.held_out)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "fold,fitted\n",
        "fold,fitted,held_out\n0,1.0\n",
        "fold,fitted\n0,x\n",
        "a,b\n1,2\n",
        "fold,fitted\n0,nan\n",
        "\xff",
    ],
)
def test_damaged_errors_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "errors.csv"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"errors\.csv"):
        Errors.load(path)
