"""The period of a series: how many samples it takes to repeat itself."""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import correlate, find_peaks

FIRST = 20_000  # samples that it is found from
SHORTEST, LONGEST = 10, 3_000  # samples
NEARLY = 0.85  # share of the highest correlation that the first of several lags needs: not twice the period
CLEARLY = 0.05  # by how much the correlation of the activity has to be higher
PROMINENCE = 0.05  # of a peak of the correlation
SMOOTH = 15  # samples over which the activity is averaged
LARGEST = 0.99  # quantile of the activity that larger values count as
WITHOUT = 125  # samples, where a series does not repeat itself


def period_of(series: np.ndarray) -> int:
    """The first lag whose autocorrelation is nearly the highest, in samples; WITHOUT if there is none.

    It is that of the series or, where this is more periodic, of its activity, the smoothed size of its changes: the
    activity of a heart is at its beats, while noise, T waves and drift of the series have periods of their own.

    Parameters
    ----------
    series : float ndarray of shape (n,)

    Examples
    --------
    >>> period_of(np.sin(np.arange(1000) * 2 * np.pi / 80))
    80
    """
    change = np.abs(np.diff(series[:FIRST], prepend=series[0]))
    activity = uniform_filter1d(np.minimum(change, np.quantile(change, LARGEST)), SMOOTH)
    (own, lag), (of_activity, lag_of_activity) = _first_peak(series[:FIRST]), _first_peak(activity)
    if of_activity > own + CLEARLY:
        return lag_of_activity
    return lag if own > 0 else WITHOUT


def _first_peak(values: np.ndarray) -> tuple[float, int]:
    """The correlation and the lag of the first peak that is nearly the highest of the autocorrelation; 0, 0 if none."""
    centred = values - values.mean()
    n, longest = len(centred), min(LONGEST, len(centred) // 3)
    pairs = np.arange(n, n - longest - 1, -1)  # a longer lag has fewer
    correlation = correlate(centred, centred, method="fft")[n - 1 : n + longest] / pairs
    if not correlation[0] > 0:
        return 0.0, 0
    correlation = correlation / correlation[0]
    peaks = find_peaks(correlation, prominence=PROMINENCE)[0]
    peaks = peaks[(peaks >= SHORTEST) & (correlation[peaks] > 0)]
    if not len(peaks):
        return 0.0, 0
    first = int(peaks[correlation[peaks] >= NEARLY * correlation[peaks].max()][0])
    return float(correlation[first]), first
