"""Recorded noise added to a recording at a given signal-to-noise ratio.

As in the MIT-BIH Noise Stress Test Database, the signal's power is an eighth of the square of its mean QRS amplitude,
peak to peak, as of a sine of this amplitude; the noise's power is its mean square.

References
----------
Moody, Muldrow, Mark 1984, "A noise stress test for arrhythmia detectors".
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy.signal import detrend, resample_poly

from ecg.recordings.classes import annotated_beats
from ecg.recordings.cutting import thinned
from ecg.recordings.reading import Lead, open_lead

QRS_SECONDS = 0.06  # on both sides of an annotated beat
BEATS = 300  # whose amplitude is averaged


@dataclass(frozen=True)
class Noise:
    """Noise that is added to a recording.

    path : of a recording of noise
    ratio : signal to noise, in decibels
    """

    path: str
    ratio: float

    def added(self, lead: Lead) -> Lead:
        """The lead with noise from its start to its end."""
        with open_lead(self.path, annotations=None) as source:
            noise = source.read(0, source.length)
            factor = Fraction(lead.rate / source.rate).limit_denominator(1000)
        noise = resample_poly(detrend(noise, type="constant"), factor.numerator, factor.denominator)
        gain = np.sqrt(_power(lead) / (np.square(noise).mean() * 10 ** (self.ratio / 10)))
        return replace(
            lead, read=lambda start, stop: lead.read(start, stop) + gain * noise[np.arange(start, stop) % len(noise)]
        )


def _power(lead: Lead) -> float:
    assert lead.annotations is not None
    reach = max(round(QRS_SECONDS * lead.rate), 1)
    beats = (annotated_beats(lead.annotations)[0] * lead.rate).astype(int)
    beats = beats[(beats >= reach) & (beats < lead.length - reach)]
    amplitudes = [np.ptp(lead.read(beat - reach, beat + reach + 1)) for beat in thinned(beats, BEATS).tolist()]
    return float(np.nanmean(amplitudes) ** 2 / 8)
