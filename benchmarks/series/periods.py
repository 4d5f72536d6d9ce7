"""The period of a series, as TSB-AD finds it.

Liu Q, Paparrizos J. The elephant in the room: towards a reliable time-series anomaly detection benchmark. NeurIPS 2024.
"""

import numpy as np
from scipy.signal import argrelmax, correlate

FIRST = 20_000  # samples that it is found from
LAGS = range(3, 401)  # that are looked at
LONGEST = 300  # a longer period counts as none
WITHOUT = 125  # the window where no period is found


def period_of(values: np.ndarray) -> int:
    """The lag of the highest local maximum of the autocorrelation, in samples; WITHOUT if there is none.

    values : float ndarray of shape (n,)
    """
    centred = values[:FIRST] - values[:FIRST].mean()
    power = centred @ centred
    if not power > 0:
        return WITHOUT
    correlation = correlate(centred, centred, method="fft")[len(centred) - 1 :][LAGS.start : LAGS.stop] / power
    peaks = argrelmax(correlation)[0]
    if not len(peaks):
        return WITHOUT
    highest = int(peaks[correlation[peaks].argmax()])
    return highest + LAGS.start if LAGS.start <= highest <= LONGEST else WITHOUT
