"""What a scan found: the recording, its beats with their verdicts, and what of it could not be scanned."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ecg.data.times import Times
from ecg.recordings.signals import Kind, Stretch


@dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """What a recording is, without its samples.

    name, lead : of the recording, and of the one lead that was scanned
    rate : samples a second
    length : samples
    """

    name: str
    lead: str
    rate: float
    length: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.rate


@dataclass(frozen=True)
class ScannedBeats(Times):
    """The scored beats of a recording in their order, with their times.

    score : float ndarray of shape (n,), higher is more anomalous
    p_value : float ndarray of shape (n,); NaN where the model was calibrated without held-out beats
    threshold : float ndarray of shape (n,), the score from which each beat is anomalous (`Calibration.threshold`)
    anomalous : bool ndarray of shape (n,), whether the beat is an alarm
    """

    score: np.ndarray
    p_value: np.ndarray
    threshold: np.ndarray
    anomalous: np.ndarray

    @property
    def alarms(self) -> np.ndarray:
        """The places of the alarms among the beats, in their order: int ndarray."""
        return np.flatnonzero(self.anomalous)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What of a recording could not be scanned.

    stretches : the parts of unusable signal, in their order
    lost : seconds of unusable signal, by kind
    peaks : how many R peaks were found
    left_out_beside : how many of their beats were left out because they touch unusable signal
    left_out_at_ends : and how many because they reach beyond the recording's start or end
    """

    stretches: list[Stretch]
    lost: dict[Kind, float]
    peaks: int
    left_out_beside: int
    left_out_at_ends: int


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The lead around one alarm.

    beat : the alarm's place among the scanned beats
    seconds, samples : float ndarrays of shape (n,), the filtered lead from the beat before to the one after
    """

    beat: int
    seconds: np.ndarray
    samples: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Minutes:
    """The recording minute by minute, float ndarrays of shape (n,), NaN where there are no beats.

    heart_rate : beats a minute, of the median RR interval
    alarms : how many
    beats : how many were scored
    """

    heart_rate: np.ndarray
    alarms: np.ndarray
    beats: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a detector says of a recording.

    adaptive : whether the threshold follows slow change
    strips : the alarms that are furthest above the threshold
    warnings : what speaks against the alarms, a sentence each
    """

    recording: RecordingInfo
    beats: ScannedBeats
    coverage: Coverage
    adaptive: bool
    strips: list[Strip]
    warnings: list[str]

    def minutes(self) -> Minutes:
        """Heart rate, alarms and beats of each minute."""
        beats, count = self.beats, max(int(np.ceil(self.recording.duration / 60)), 1)
        of = np.minimum((beats.seconds / 60).astype(int), count - 1)
        scored, alarms = np.bincount(of, minlength=count), np.bincount(of[beats.anomalous], minlength=count)
        known = np.isfinite(beats.rr_before)
        return Minutes(
            heart_rate=60 / _medians(beats.rr_before[known], of[known], count),
            alarms=np.where(scored > 0, alarms, np.nan),
            beats=scored.astype(float),
        )

    def facts(self) -> dict[str, object]:
        """The scan in numbers, for people and for programs."""
        beats, alarms, duration = self.beats, len(self.beats.alarms), self.recording.duration
        known = beats.rr_before[np.isfinite(beats.rr_before)]
        return {
            "recording": self.recording.name,
            "lead": self.recording.lead,
            "samples_per_second": self.recording.rate,
            "minutes": duration / 60,
            "beats": len(beats),
            "left_out": {
                "beside_what_is_no_ecg": self.coverage.left_out_beside,
                "at_the_ends": self.coverage.left_out_at_ends,
            },
            "seconds_without_ecg": self.coverage.lost,
            "heart_rate": float(60 / np.median(known)) if len(known) else None,
            "quality": float(np.median(beats.quality)),
            "adaptive_threshold": self.adaptive,
            "alarms": alarms,
            "alarm_rate": alarms / len(beats),
            "alarms_per_hour": alarms / (duration / 3600),
            "warnings": self.warnings,
        }


def _medians(values: np.ndarray, of: np.ndarray, count: int) -> np.ndarray:
    """The median of the values of each of `count` groups; NaN for an empty one."""
    order = np.argsort(of, kind="stable")
    ends = np.searchsorted(of[order], np.arange(count + 1))
    groups = (values[order[a:b]] for a, b in pairwise(ends))
    return np.array([np.median(group) if len(group) else np.nan for group in groups])
