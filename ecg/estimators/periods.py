"""The period of a series: how many samples it takes to repeat itself."""

import numpy as np
from scipy.signal import correlate, find_peaks

FIRST = 20_000  # samples that it is found from
SHORTEST, LONGEST = 10, 3_000  # samples
NEARLY = 0.85  # share of the highest correlation that the first of several lags needs: not twice the period
WITHOUT = 125  # samples, where a series does not repeat itself


def period_of(series: np.ndarray) -> int:
    """The first lag whose autocorrelation is nearly the highest, in samples; WITHOUT if there is none.

    Parameters
    ----------
    series : float ndarray of shape (n,)

    Examples
    --------
    >>> period_of(np.sin(np.arange(1000) * 2 * np.pi / 80))
    80
    """
    values = series[:FIRST] - series[:FIRST].mean()
    n, longest = len(values), min(LONGEST, len(values) // 3)
    correlation = correlate(values, values, method="fft")[n - 1 : n + longest]
    correlation = correlation / np.arange(n, n - longest - 1, -1)  # a longer lag has fewer pairs
    peaks = find_peaks(correlation)[0]
    peaks = peaks[(peaks >= SHORTEST) & (correlation[peaks] > 0)]
    if not len(peaks):
        return WITHOUT
    return int(peaks[correlation[peaks] >= NEARLY * correlation[peaks].max()][0])
