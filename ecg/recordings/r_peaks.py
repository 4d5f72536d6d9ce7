"""R peaks of a filtered lead: candidates by the energy of their QRS complexes, and the most plausible sequence of them.

A candidate counts the more, the larger its energy is beside that of the beats around it, and the more it stands out
from the signal between beats. Of all sequences of candidates, that one is taken whose scores, less the costs of
implausible intervals (a T wave soon after a QRS complex, a missing beat), have the largest sum: dynamic programming, as
in a Viterbi decoder. This is repeated, because which beats are around a candidate depends on the result.

Own code: in clean recordings and in muscle noise, the detectors of NeuroKit2, wfdb and sleepecg miss more beats and
find more that are none (`python -m benchmarks.r_peaks`). The constants were chosen on the development patients of
MIT-BIH and on every second record of SVDB, the 13 for reporting among them.

References
----------
Energy in the QRS complexes' band: Pan & Tompkins 1985, "A real-time QRS detection algorithm". A sequence by dynamic
programming: Viterbi 1967, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm".
"""

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, percentile_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

BAND = (6.0, 30.0)  # Hz, of most of a QRS complex's energy and little of P and T waves
BAND_ORDER = 2  # of the Butterworth filter, applied forwards and backwards
QRS_SECONDS = 0.1  # over which energy is averaged, the width of a QRS complex
APART_SECONDS = 0.15  # least distance between candidates
EDGE_SECONDS = 0.08  # at both ends of the signal, where the filter's edges show
LEVEL_SECONDS = 2.0  # in which there is a beat, for the first estimate of the beats' level
FIRST_PERCENTILE = 10  # of the largest energies around, for the first estimate: of small beats among large ones
FIRST_SHARE = 0.5  # of that estimate, of the first beats
BEATS_AROUND = 10  # on each side, whose median energy is a candidate's reference
RR_AROUND = 5  # on each side, whose median is the usual RR interval
FLOOR = 0.1  # lowest reference, as a share of the median one: nothing is a beat where the signal is lost
CONTRAST_SECONDS = 4.0  # over which the median energy is that between beats
PASSES = 3

# Scores are natural logarithms of ratios of amplitudes.
LEAST_SHARE = 0.4  # of the reference, of a candidate that counts nothing
LEAST_CONTRAST = np.e  # to the signal between beats, of a candidate whose contrast counts nothing
CONTRAST_WEIGHT = 1.2
MOST_CONTRAST = 0.3  # that counts
SCORES = (-1.5, 1.5)
WEAKEST = 0.1  # share of the reference, below which nothing is a candidate

REFRACTORY_SECONDS = 0.2  # after an R peak, in which there is no other
T_WAVE_SECONDS = 0.33  # after an R peak, in which another is implausible
T_WAVE_COSTS = (0.4, 1.3)  # at the end of this time, and at its start
EARLY, EARLY_COST = 0.7, 0.2  # in usual RR intervals, below which one costs; for each factor e
LATE, LATE_COST, LATE_MOST = 1.0, 0.3, 3.0  # in usual RR intervals, above which one costs; for each; the most
REACH = 24  # candidates before one, among which the preceding beat is sought

PEAK_SECONDS = 0.06  # on both sides of the largest energy, within which the R peak is
NEGATIVE_SHARE = 2.0  # of the largest positive deflection, above which a negative one is the R peak


def detect_r_peaks(filtered: np.ndarray, rate: float = 250) -> np.ndarray:
    """The indices of the R peaks, int of shape (n,), ascending; none in a constant signal."""
    if len(filtered) < rate or not np.ptp(filtered) > 0:
        return np.empty(0, int)
    energy = _qrs_energy(filtered, rate)
    at, _ = find_peaks(energy, distance=max(int(APART_SECONDS * rate), 1))
    at = at[(energy[at] > 0) & (at > EDGE_SECONDS * rate) & (at < len(filtered) - EDGE_SECONDS * rate)]
    if len(at) < 2:
        return _placed(filtered, at, rate)
    size, seconds = np.log(energy[at]), at / rate
    contrast = size - _log_between_beats(energy, at, rate) - np.log(LEAST_CONTRAST)
    contrast = CONTRAST_WEIGHT * np.minimum(contrast, MOST_CONTRAST)
    reference = _first_reference(energy, at, rate)
    beats = np.flatnonzero(size > reference + np.log(FIRST_SHARE))
    for _ in range(PASSES):
        if len(beats) < 2:
            break
        reference = _around(seconds, seconds[beats], size[beats], BEATS_AROUND)
        reference = np.maximum(reference, np.median(reference) + np.log(FLOOR))
        usual = _around(seconds, seconds[beats[1:]], np.diff(seconds[beats]), RR_AROUND)
        score = np.clip(size - reference - np.log(LEAST_SHARE) + contrast, *SCORES)
        kept = np.flatnonzero(size > reference + np.log(WEAKEST))
        beats = kept[_best_sequence(seconds[kept], score[kept], usual[kept])]
    return _placed(filtered, at[beats], rate)


def _qrs_energy(filtered: np.ndarray, rate: float) -> np.ndarray:
    """The root mean square, over a QRS complex's width, of the signal in the QRS complexes' band."""
    band = sosfiltfilt(butter(BAND_ORDER, BAND, "bandpass", fs=rate, output="sos"), filtered)
    return np.sqrt(np.maximum(uniform_filter1d(np.square(band), int(QRS_SECONDS * rate) | 1), 0))


def _log_between_beats(energy: np.ndarray, at: np.ndarray, rate: float) -> np.ndarray:
    """The logarithm of the energy between the beats around each candidate: the median, as beats are shorter."""
    step = max(int(rate / 50), 1)
    median = median_filter(energy[::step], int(CONTRAST_SECONDS * rate / step) | 1, mode="nearest")
    return np.log(np.maximum(median[at // step], 1e-9 * energy.max()))


def _first_reference(energy: np.ndarray, at: np.ndarray, rate: float) -> np.ndarray:
    """The logarithm of the energy of the beats around each candidate, before any is known."""
    window = int(LEVEL_SECONDS * rate)
    largest = maximum_filter1d(energy, window)[:: window // 4]
    usual = percentile_filter(largest, FIRST_PERCENTILE, 17, mode="nearest")
    return np.log(0.8 * np.interp(at, np.arange(len(largest)) * (window // 4), usual) + 1e-9 * energy.max())


def _around(seconds: np.ndarray, known_seconds: np.ndarray, known: np.ndarray, reach: int) -> np.ndarray:
    """The running median of known values, at other times."""
    return np.interp(seconds, known_seconds, median_filter(known, 2 * reach + 1, mode="nearest"))


def _best_sequence(seconds: np.ndarray, score: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The indices of the candidates whose scores, less the costs of their intervals, have the largest sum."""
    count, columns = len(seconds), np.arange(1, REACH + 1)
    gap = seconds[:, None] - seconds[np.maximum(np.arange(count)[:, None] - columns, 0)]
    costs = _interval_costs(gap, usual[:, None]).tolist()
    best, previous = list[float](), list[int]()
    for i, own in enumerate(score.tolist()):
        largest, link = 0.0, -1  # a sequence may begin anywhere
        for j, cost in zip(range(i - 1, max(i - 1 - REACH, -1), -1), costs[i], strict=False):
            if best[j] - cost > largest:
                largest, link = best[j] - cost, j
        best.append(largest + own)
        previous.append(link)
    sequence, last = list[int](), int(np.argmax(best)) if best else -1
    while last >= 0:
        sequence.append(last)
        last = previous[last]
    return np.array(sequence[::-1], int)


def _interval_costs(gap: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """How implausible RR intervals are, where there is a usual one; both in seconds."""
    share, (least, most) = np.maximum(gap, 1e-3) / usual, T_WAVE_COSTS
    cost = EARLY_COST * np.maximum(np.log(EARLY / share), 0) + LATE_COST * np.clip(share - LATE, 0, LATE_MOST)
    sooner = (T_WAVE_SECONDS - gap) / (T_WAVE_SECONDS - REFRACTORY_SECONDS)
    cost += np.where(sooner > 0, least + (most - least) * sooner, 0)
    return np.where(gap < REFRACTORY_SECONDS, np.inf, cost)


def _placed(filtered: np.ndarray, at: np.ndarray, rate: float) -> np.ndarray:
    """Each R peak at the largest deflection of its QRS complex: a negative one only if it is much larger."""
    reach = int(PEAK_SECONDS * rate)
    complexes = np.pad(filtered, reach, mode="edge")[at[:, None] + np.arange(2 * reach + 1)]
    complexes = complexes - np.median(complexes, axis=1, keepdims=True)
    complexes *= 1 - np.square(np.arange(-reach, reach + 1) / reach)  # the nearer, the likelier
    negative = -complexes.min(1, initial=0) > NEGATIVE_SHARE * complexes.max(1, initial=0)
    place = np.where(negative, complexes.argmin(1), complexes.argmax(1))
    return np.unique(np.clip(at + place - reach, 0, len(filtered) - 1))
