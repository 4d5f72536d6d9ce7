from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from ecg.scaling import Scaling


def test_standard_is_what_scikit_learn_calls_standard(normal: np.ndarray) -> None:
    fitted, reference = Scaling.fit(normal, "standard"), StandardScaler().fit(normal)
    np.testing.assert_allclose(fitted.mean, reference.mean_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.deviation, reference.scale_, rtol=1e-5)


def test_a_step_that_never_varies_is_not_divided(normal: np.ndarray) -> None:
    flat = normal.copy()
    flat[:, 7] = 1.25
    fitted = Scaling.fit(flat, "standard")
    assert fitted.deviation[7] == 1
    assert fitted.mean[7] == 1.25


def test_none_is_the_identity(normal: np.ndarray) -> None:
    assert Scaling.fit(normal, "none").is_identity
    assert not Scaling.fit(normal, "standard").is_identity


def test_scaling_survives_saving(tmp_path: Path, normal: np.ndarray) -> None:
    fitted = Scaling.fit(normal, "standard")
    fitted.save(tmp_path / "scaling.npz")
    back = Scaling.load(tmp_path / "scaling.npz")
    np.testing.assert_array_equal(back.mean, fitted.mean)
    np.testing.assert_array_equal(back.deviation, fitted.deviation)
