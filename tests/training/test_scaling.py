from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.signal import detrend
from sklearn.preprocessing import StandardScaler

from ecg.params import Params, Preprocess
from ecg.training.scaling import Scaling
from tests.conftest import scaling


def filtering(smoothing: float, degree: int) -> Preprocess:
    return Preprocess(normal_class=1, scaling="filter", smoothing=smoothing, detrend=degree)


def test_standard_is_what_scikit_learn_calls_standard(normal: np.ndarray) -> None:
    fitted, reference = scaling(normal, "standard"), StandardScaler().fit(normal)
    np.testing.assert_allclose(fitted.mean, reference.mean_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.deviation, reference.scale_, rtol=1e-5)
    np.testing.assert_allclose(fitted(normal), reference.transform(normal), atol=1e-4)


def test_a_step_that_never_varies_is_not_divided(normal: np.ndarray) -> None:
    flat = normal.copy()
    flat[:, 7] = 1.25
    fitted = scaling(flat, "standard")
    assert fitted.deviation[7] == 1
    assert fitted.mean[7] == 1.25


def test_none_is_the_identity(normal: np.ndarray) -> None:
    assert scaling(normal, "none")(normal) is normal
    assert [scaling(normal, kind).filters for kind in ("none", "standard", "filter")] == [False, False, True]
    assert [scaling(normal, kind).standardises for kind in ("none", "standard", "filter")] == [False, True, False]


def test_filter_detrends_as_scipy_does(normal: np.ndarray) -> None:
    filtered = Scaling.fit(normal, filtering(0, 1))(normal)
    np.testing.assert_allclose(filtered, detrend(normal.astype(float), axis=1), atol=1e-5)


def test_filter_smooths_as_scipy_does_away_from_the_ends(normal: np.ndarray) -> None:
    smoothed = scaling_without_trend(normal, 3.0)
    reference = gaussian_filter1d(normal.astype(float), 3.0, axis=1, truncate=9)
    difference = smoothed - reference
    middle = difference[:, 30:-30] - difference[:, 30:-30].mean(axis=1, keepdims=True)  # the mean is taken out of one
    np.testing.assert_allclose(middle, 0, atol=1e-4)


def scaling_without_trend(samples: np.ndarray, smoothing: float) -> np.ndarray:
    return Scaling.fit(samples, filtering(smoothing, 0))(samples)


@given(
    degree=st.integers(0, 10),
    smoothing=st.sampled_from([0.0, 0.5, 3.0, 100.0]),
    coefficients=st.lists(st.floats(-2, 2), min_size=11, max_size=11),
)
def test_filter_takes_out_every_polynomial_of_its_degree(
    normal: np.ndarray, degree: int, smoothing: float, coefficients: list[float]
) -> None:
    # Detrending comes last: no polynomial is in what smoothing leaves.
    polynomial = np.polynomial.polynomial.polyval(np.linspace(-1, 1, 140), coefficients[: degree + 1])
    filtered = Scaling.fit(normal, filtering(smoothing, degree))(normal[:3] + polynomial.astype(np.float32))
    basis = np.linspace(-1, 1, 140)[:, None] ** np.arange(degree + 1)
    np.testing.assert_allclose(filtered @ basis, 0, atol=2e-3)


@pytest.mark.parametrize("kind", ["none", "standard", "filter"])
def test_scaling_survives_saving(tmp_path: Path, normal: np.ndarray, kind: str, committed: Params) -> None:
    fitted = Scaling.fit(normal, committed.preprocess.model_copy(update={"scaling": kind}))
    fitted.save(tmp_path / "scaling.npz")
    np.testing.assert_array_equal(Scaling.load(tmp_path / "scaling.npz")(normal), fitted(normal))
