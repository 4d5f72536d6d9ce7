"""Simulated anomalies, made of normal beats alone: what the discriminator learns to tell from normal beats.

No annotated anomaly is used. Four kinds, in random proportions and sizes:

early            a beat of normal shape that comes early, as an atrial premature beat does
early, foreign   a beat of another shape that comes early, as a ventricular premature beat does
foreign          a beat of another shape, in time or late, as a fusion or an escape beat
early, other P   a beat of normal QRS complex but another P wave, that comes early

The shape of a foreign beat is another patient's normal beat, stretched in time up to SLOWEST times, at a random size,
of either sign, or a mixture of it and the own beat. Early beats come alone, as a couplet, as a run, or as every second
beat.

References
----------
Kiranyaz, Ince, Gabbouj 2017, "Personalized monitoring and advance warning system for cardiac arrhythmias" (abnormal
beat synthesis).
"""

import numpy as np

from ecg.hearts.beats import NormalBeats, network_inputs
from ecg.hearts.context import (
    BEFORE,
    EXCESSES,
    LARGEST_RR,
    RHYTHM,
    SHIFT,
    SURROUNDINGS,
    BeatsInContext,
    match,
)

EARLY, EARLY_FOREIGN, FOREIGN, EARLY_OTHER_P = range(4)
KIND_SHARES = (0.35, 0.3, 0.2, 0.15)
ALONE, FIRST_OF_RUN, WITHIN_RUN, BIGEMINY, SECOND_OF_COUPLET = range(5)
PATTERN_SHARES = (0.5, 0.12, 0.13, 0.15, 0.1)
EARLIEST, LATEST = 0.45, 0.94  # of the normal RR interval, for early beats
SLOWEST, STRETCHED_SHARE = 2.5, 0.75
INVERTED_SHARE, MIXED_SHARE, LATE_SHARE = 0.35, 0.3, 0.3
SIZE = (0.1, 0.4)  # mean and standard deviation of the logarithm of a foreign beat's size
P_WAVE_END, P_WAVE_FADE = 45, 10  # samples of a window: where the P wave ends, and how it goes over
TWO_BEFORE, ONE_BEFORE, BEFORE_, AFTER_, ONE_AFTER, TWO_AFTER = range(len(RHYTHM))
EXCESS_BEFORE, EXCESS_AFTER, IRREGULARITY, USUAL = range(len(SURROUNDINGS))


def simulate(beats: NormalBeats, random: np.random.Generator) -> BeatsInContext:
    """An anomaly made of each normal beat."""
    n = len(beats)
    kind = random.choice(4, n, p=KIND_SHARES)
    foreign = np.isin(kind, (EARLY_FOREIGN, FOREIGN))
    other = beats.window[random.integers(n, size=n)]
    window = np.where(foreign[:, None], _foreign(beats.window, other, random), beats.window)
    window = np.where((kind == EARLY_OTHER_P)[:, None], _other_p_wave(beats.window, other, random), window)
    shift, _, difference = match(window, beats.normal)
    rhythm, surroundings = _early(beats, kind, difference, random)
    return network_inputs(window, shift, beats.normal, rhythm, surroundings)


def _foreign(own: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    n, width = other.shape
    stretch = np.where(random.random(n) < STRETCHED_SHARE, np.exp(random.uniform(0, np.log(SLOWEST), n)), 1.0)
    middle = BEFORE + SHIFT
    at = (np.arange(width) - middle) / stretch[:, None] + middle
    low = at.astype(int)
    share = at - low
    shape = np.take_along_axis(other, low, 1) * (1 - share)
    shape += np.take_along_axis(other, np.minimum(low + 1, width - 1), 1) * share
    shape -= shape.mean(axis=1, keepdims=True)
    size = np.exp(random.normal(*SIZE, n)) * np.where(random.random(n) < INVERTED_SHARE, -1, 1)
    part = np.where(random.random(n) < MIXED_SHARE, random.uniform(0.3, 1, n), 1.0)[:, None]
    return part * shape * size[:, None] + (1 - part) * own


def _other_p_wave(own: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    n, width = own.shape
    rest = np.clip((np.arange(width) - P_WAVE_END) / P_WAVE_FADE, 0, 1)
    size = random.uniform(0, 1, (n, 1))
    changed = np.where(random.random((n, 1)) < 0.6, other * size, own * size * random.choice([-1, 1], (n, 1)))
    return own * rest + changed * (1 - rest)


def _early(
    beats: NormalBeats, kind: np.ndarray, difference: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The rhythm and the surroundings of the simulated beats."""
    n = len(beats)
    rhythm, surroundings = beats.rhythm.copy(), beats.surroundings.copy()
    early, pattern = kind != FOREIGN, random.choice(5, n, p=PATTERN_SHARES)
    late = np.where(random.random(n) < LATE_SHARE, random.uniform(0, 0.6, n), random.normal(0, 0.03, n))
    by = np.where(early, np.log(random.uniform(EARLIEST, LATEST, n)), late)
    pause = np.log(np.clip(2 - np.exp(by), 0.3, 2)) * random.uniform(0, 1.1, n)  # none to more than compensatory

    def change(intervals: tuple[int, ...], chosen: np.ndarray, amount: np.ndarray, spread: float = 0.03) -> None:
        for i in intervals:
            rhythm[chosen, i] += (amount + random.normal(0, spread, n))[chosen]

    change((BEFORE_,), np.full(n, True), by, 0.0)
    change((AFTER_,), early & np.isin(pattern, (ALONE, SECOND_OF_COUPLET, BIGEMINY)), pause, 0.0)
    change((AFTER_, ONE_AFTER, TWO_AFTER), pattern == FIRST_OF_RUN, by)
    change((TWO_BEFORE, ONE_BEFORE, AFTER_, ONE_AFTER, TWO_AFTER), pattern == WITHIN_RUN, by)
    change((TWO_BEFORE, ONE_AFTER), pattern == BIGEMINY, by)
    change((ONE_BEFORE, TWO_AFTER), pattern == BIGEMINY, pause)
    change((ONE_BEFORE,), pattern == SECOND_OF_COUPLET, by, 0.05)
    excess = np.clip(difference - surroundings[:, USUAL], *EXCESSES)
    for column, patterns in (
        (EXCESS_AFTER, (FIRST_OF_RUN, WITHIN_RUN)),
        (EXCESS_BEFORE, (SECOND_OF_COUPLET, WITHIN_RUN)),
    ):
        alike = np.isin(pattern, patterns)
        surroundings[alike, column] = (excess + random.normal(0, 0.5, n))[alike]
    return np.clip(rhythm, -LARGEST_RR, LARGEST_RR), surroundings
