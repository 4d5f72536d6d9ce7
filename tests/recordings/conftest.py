"""Two leads that tests write into recordings."""

import numpy as np
import pytest

from tests.recordings.files import N


@pytest.fixture(scope="session")
def two(toy: np.ndarray) -> np.ndarray:
    """Twenty seconds of two leads, (n, 2): the toy's, and later ones of it, halved and inverted."""
    return np.column_stack([toy[:N], -toy[N : 2 * N] / 2])
