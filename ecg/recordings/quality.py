"""A floor of signal quality for one filtered lead: stretches of noise, and recordings that are no ECG.

Noise is what does not repeat. Each large deflection of the lead, of any beat or wave, is compared with those around it:
heartbeats, a ventricular run or flutter soon find others of their shape, noise does not. What is left after the
comparison, as a share of the deflection's height, estimates the noise-to-signal ratio within the filter's band. R peaks
are not needed: detectors of them err most in ventricular runs and flutter, which are not to be hidden.

Own code: NeuroKit2's ecg_quality methods were measured on DS1 of MIT-BIH. `templatematch`, the best, hides 4.7 to
8.5% of the ventricular beats, since it knows one template; the others separate noise from clean signal worse (AUC 0.52
to 0.94 against 0.97).

All thresholds were chosen on DS1 of MIT-BIH and on 39 records of SVDB, clean and with added noise: the development
patients of hearts/patients.yaml whose records were at hand, and 13 of SVDB that are now among those to report on.

References
----------
Leakage of a filter for ventricular fibrillation: Kuo & Dillman 1978, "Computer detection of ventricular fibrillation".
Kurtosis as a quality index: Li, Mark, Clifford 2008, "Robust heart rate estimation from multiple asynchronous noisy
sources using signal quality indices and a Kalman filter".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, maximum_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

WINDOW = 5  # seconds around each second that its measures are taken over: some beats, and not much more
SMALLEST_SHARE = 1e-7  # of the raw samples' magnitude: a filtered lead that is smaller is rounding error
SMALLEST = 1e-6  # of a chunk's largest filtered sample: smaller signal does not vary

# Deflections, and how they are compared.
SHAPE = (0.2, 0.3)  # seconds before and after a deflection that are compared with others: a QRS complex and its T wave
SPACING = 0.25  # seconds, at least, between two deflections
LEAST_HEIGHT = 0.5  # of the largest deflection within a second: smaller ones are waves or noise between beats
QRS_SECONDS = 0.1  # on both sides of a deflection, within which its height is measured
REACH = 30  # deflections on either side that one is compared with: ectopic beats have others of their shape so near
ALIKE = 3  # the most similar of them, over which the similarity is averaged, so that one chance match is not enough
SHAPE_STEP = 2  # every second sample is compared, which saves half of the time and changes nothing

# When a second is noisy.
AROUND = 4  # seconds on either side over which deflections are judged
MOST_RESIDUE = 0.07  # of a deflection's height: with a larger one, it is unlike the others
PEAKED = 8.0  # kurtosis, from which QRS complexes stand out all the same
HISS_FREQUENCY = 20.0  # Hz, above which little of the signal between beats lies, and much of hum and hiss
BETWEEN_BEATS = 0.4  # quantile of the energy over time that lies between beats
MOST_HISS = 0.06  # of the beats' height, between beats
SHORTEST_NOISE = 5  # seconds of the shortest stretch of noise
LONGEST_GAP = 4  # seconds between stretches of noise that count as noise, too

# Flutter and fibrillation are nearly sines: they are not noise.
MOST_LEAKAGE = 0.625  # of the filter
FLUTTER_PERIODS = (0.1, 0.5)  # seconds

# When a whole recording is no ECG.
GAUSSIAN = 3.4  # kurtosis, below which a signal may be as noise is, or flatter
FLAT_TOPPED = 2.4  # median kurtosis, below which nothing stands out: that of a sine is 1.5
LONGEST_PERIOD = 0.5  # seconds, in the median: QRS complexes make an ECG steeper
MOST_MEDIAN_HISS = 0.1
MOST_MEDIAN_RESIDUE = 0.16
MOST_GAUSSIAN_RESIDUE = 0.1  # in the median, of a signal whose kurtosis is that of noise, too
FLUTTER_SHARE = 0.2  # of the seconds, from which a recording may be one of flutter
COUNT_SHARE = 0.9  # of the raw steps from sample to sample that are equal, from which on a signal is a count
SINE_LEAKAGE = 0.1  # in the median: a sine leaks less than a flutter or fibrillation


@dataclass(frozen=True)
class Measures:
    """The measures of m deflections and n seconds of a chunk, float32: small enough to keep those of a day.

    Those of a second are taken over WINDOW around it.

    deflections : of shape (m,), where they are, in seconds from the first sample of the chunk
    residue : of shape (m,), what remains of a deflection beside those most like it: its standard deviation, as a share
        of the deflection's height; 0 where there are too few to compare
    kurtosis : of shape (n,); 3 for Gaussian noise, 1.5 for a sine, about 5 to 40 for an ECG
    period : of shape (n,), in seconds, of a sine that is as steep
    hiss : of shape (n,), the standard deviation above HISS_FREQUENCY between beats, as a share of their height
    leakage : of shape (n,), of the filter for ventricular fibrillation; 1 where there is no noise
    varies : bool, of shape (n,), whether there is a signal
    counts : whether the raw samples are a count, which may begin anew now and then
    """

    deflections: np.ndarray
    residue: np.ndarray
    kurtosis: np.ndarray
    period: np.ndarray
    hiss: np.ndarray
    leakage: np.ndarray
    varies: np.ndarray
    counts: bool


def measure(filtered: np.ndarray, raw: np.ndarray, rate: int) -> Measures:
    """Measure a chunk of a lead; nothing is measured in less than a second.

    Parameters
    ----------
    filtered : float ndarray of shape (n,), samples at `rate`, an integer of at least 100 Hz
    raw : float ndarray of shape (m,), the same chunk before filtering, at any rate, NaN where samples are missing
    """
    largest = np.abs(filtered).max(initial=0)
    is_signal = largest > SMALLEST_SHARE * np.nanmax(np.abs(raw), initial=0)
    lead = filtered / largest if is_signal else np.zeros(len(filtered))
    deflections, residue = _deflections(lead, rate)
    n = len(lead) // rate
    if n == 0:
        none = np.empty(0, np.float32)
        return Measures(deflections, residue, none, none, none, none, np.empty(0, bool), _counts(raw))
    seconds = lead[: n * rate].reshape(n, rate)
    height = np.median(_windows(np.ptp(seconds, axis=1)), axis=1)
    varies, height = height > SMALLEST, np.maximum(height, SMALLEST)
    kurtosis, period = _kurtosis(seconds), _period(lead, rate)
    hiss = _hiss(lead, rate) / height
    unlike = _are_unlike(deflections, residue, n)
    may_be_noise = (unlike & (kurtosis < PEAKED)) | (hiss > MOST_HISS) | (kurtosis < GAUSSIAN)
    leakage = np.ones(n)
    noisy = np.flatnonzero(may_be_noise & varies)
    leakage[noisy] = _leakage(lead, rate, noisy, period[noisy])
    return Measures(
        deflections=deflections,
        residue=residue,
        kurtosis=kurtosis.astype(np.float32),
        period=period.astype(np.float32),
        hiss=hiss.astype(np.float32),
        leakage=leakage.astype(np.float32),
        varies=varies,
        counts=_counts(raw),
    )


def noisy_stretches(measures: Measures) -> list[tuple[float, float]]:
    """Where a chunk is too noisy to judge beats: start and stop of each stretch, in seconds from its first sample."""
    m = measures
    unlike = _are_unlike(m.deflections, m.residue, len(m.hiss)) & (m.kurtosis < PEAKED)
    noisy = (unlike | (m.hiss > MOST_HISS)) & m.varies & ~_is_flutter(m)
    noisy = binary_closing(np.pad(noisy, LONGEST_GAP), np.ones(LONGEST_GAP + 1))[LONGEST_GAP:-LONGEST_GAP]
    edges = np.flatnonzero(np.diff(np.pad(binary_opening(noisy, np.ones(SHORTEST_NOISE)).astype(np.int8), 1)))
    return [(float(start), float(stop)) for start, stop in edges.reshape(-1, 2)]


def why_no_ecg(chunks: Sequence[Measures]) -> str | None:
    """Why a recording is no ECG, from the measures of its chunks; None if it may be one, or is shorter than a second.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=15_000)
    >>> why_no_ecg([measure(noise, noise, 250)])
    'it is hum or hiss throughout'
    """
    varies = np.concatenate([m.varies for m in chunks])
    if not len(varies):
        return None
    if all(m.counts for m in chunks):
        return "it is a count: it rises or falls by the same step from sample to sample"
    if not varies.any():
        return "it does not vary as heartbeats do: it is missing or constant"
    kurtosis, period, hiss, leakage = (
        float(np.median(np.concatenate([getattr(m, name) for m in chunks])[varies]))
        for name in ("kurtosis", "period", "hiss", "leakage")
    )
    flutter = np.concatenate([_is_flutter(m) for m in chunks])[varies].mean()
    residue = float(np.median(np.concatenate([*(m.residue for m in chunks), [0.0]])))
    is_unlike = (residue > MOST_MEDIAN_RESIDUE and kurtosis < PEAKED) or (
        residue > MOST_GAUSSIAN_RESIDUE and kurtosis < GAUSSIAN
    )
    if period > LONGEST_PERIOD:
        return "it changes too slowly for heartbeats"
    if hiss > MOST_MEDIAN_HISS:
        return "it is hum or hiss throughout"
    if is_unlike and flutter < FLUTTER_SHARE:
        return "it is noise throughout: its deflections are unlike each other"
    if kurtosis < FLAT_TOPPED and (flutter < FLUTTER_SHARE or leakage < SINE_LEAKAGE):
        return "no heartbeats stand out of it"
    return None


def _counts(raw: np.ndarray) -> bool:
    """Whether most steps from sample to sample are the same, and not none."""
    steps = np.diff(raw)
    steps = steps[np.isfinite(steps)]
    if not len(steps):
        return False
    usual = np.median(steps)
    return bool(usual != 0 and (np.abs(steps - usual) < 1e-3 * abs(usual)).mean() > COUNT_SHARE)


def _windows(values: np.ndarray, per_second: int = 1) -> np.ndarray:
    """The values of the WINDOW around each of n seconds, of shape (n, WINDOW * per_second); mirrored at both ends."""
    padded = np.pad(values, WINDOW // 2 * per_second, mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW * per_second)[::per_second]


def _kurtosis(seconds: np.ndarray) -> np.ndarray:
    """The kurtosis around each second, from the moments of each."""
    squares = np.square(seconds)
    moments = (seconds, squares, squares * seconds, np.square(squares))
    first, second, third, fourth = (_windows(moment.mean(1)).mean(1) for moment in moments)
    centred = fourth - 4 * first * third + 6 * np.square(first) * second - 3 * first**4
    return centred / np.square(np.maximum(second - np.square(first), SMALLEST**2))


def _period(lead: np.ndarray, rate: int) -> np.ndarray:
    """The period of a sine that has the same mean size and steepness, around each second."""
    n = len(lead) // rate
    size, slope = (
        _windows(np.abs(values)[: n * rate].reshape(n, rate).mean(1)).mean(1)
        for values in (lead, np.diff(lead, prepend=lead[:1]))
    )
    return 2 * np.pi / rate * size / np.maximum(slope, SMALLEST**2)


def _hiss(lead: np.ndarray, rate: int) -> np.ndarray:
    """The standard deviation above HISS_FREQUENCY between beats, around each second."""
    n, parts = len(lead) // rate, 10
    high = sosfiltfilt(butter(2, HISS_FREQUENCY, "highpass", fs=rate, output="sos"), lead)
    tenths = np.sqrt(np.square(high[: n * rate].reshape(n * parts, -1)).mean(1))
    between = int(BETWEEN_BEATS * WINDOW * parts)
    return np.partition(_windows(tenths, parts), between, axis=1)[:, between]


def _leakage(lead: np.ndarray, rate: int, seconds: np.ndarray, period: np.ndarray) -> np.ndarray:
    """How much of the signal around some seconds remains after half a period of it is added: nothing of a sine."""
    start, stop = np.maximum(seconds - WINDOW // 2, 0) * rate, np.minimum((seconds + WINDOW // 2 + 1) * rate, len(lead))
    half = np.clip(np.rint(period / 2 * rate), 1, (stop - start) // 2).astype(int)
    at = start[:, None] + np.arange(WINDOW * rate)
    inside = at + half[:, None] < stop[:, None]
    earlier, later = (lead[np.where(inside, index, 0)] for index in (at, at + half[:, None]))
    remaining, all_of_it = np.abs(earlier + later), np.abs(earlier) + np.abs(later)
    return remaining.sum(1, where=inside) / np.maximum(all_of_it.sum(1, where=inside), SMALLEST)


def _deflections(lead: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The seconds of the large deflections, and their residues."""
    size, before, after = np.abs(lead), int(SHAPE[0] * rate), int(SHAPE[1] * rate)
    least = np.maximum(LEAST_HEIGHT * maximum_filter1d(size, 2 * rate + 1), SMALLEST)
    peaks, _ = find_peaks(size, height=least, distance=SPACING * rate)
    peaks = peaks[(peaks >= before) & (peaks < len(lead) - after)]
    at, n = (peaks / rate).astype(np.float32), len(peaks)
    if n <= ALIKE:
        return at, np.zeros(n, np.float32)
    shapes = lead[peaks[:, None] + np.arange(-before, after, SHAPE_STEP)]
    shapes -= shapes.mean(1, keepdims=True)
    norm = np.maximum(np.sqrt(np.square(shapes).sum(1)), SMALLEST**2)
    shapes = (shapes / norm[:, None]).astype(np.float32)
    reach = min(REACH, n - 1)
    similar = np.full((n, 2 * reach), -1, np.float32)
    for apart in range(1, reach + 1):
        correlation = np.einsum("ij,ij->i", shapes[apart:], shapes[:-apart])
        similar[apart:, 2 * apart - 2] = similar[:-apart, 2 * apart - 1] = correlation
    similarity = np.partition(similar, -ALIKE, axis=1)[:, -ALIKE:].mean(1)
    qrs = int(QRS_SECONDS * rate)
    height = np.ptp(lead[peaks[:, None] + np.arange(-qrs, qrs + 1)], axis=1)
    unlike = norm / np.sqrt(shapes.shape[1]) * np.sqrt(np.maximum(1 - similarity, 0))
    return at, (unlike / np.maximum(height, SMALLEST)).astype(np.float32)


def _are_unlike(deflections: np.ndarray, residue: np.ndarray, n: int) -> np.ndarray:
    """Whether most deflections around each of n seconds are unlike others: bool ndarray of shape (n,)."""
    middle = np.arange(n) + 0.5
    low, high = np.searchsorted(deflections, middle - AROUND), np.searchsorted(deflections, middle + AROUND)
    unlike = np.concatenate(([0], np.cumsum(residue > MOST_RESIDUE)))
    return unlike[high] - unlike[low] > (high - low) / 2


def _is_flutter(m: Measures) -> np.ndarray:
    """Whether each second is one of flutter or fibrillation: bool ndarray of shape (n,)."""
    return (m.leakage < MOST_LEAKAGE) & (m.period > FLUTTER_PERIODS[0]) & (m.period < FLUTTER_PERIODS[1])
