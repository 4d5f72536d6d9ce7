"""The result of a scan: the recording, its beats with their verdicts, and what was left out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ecg.data.times import Times
from ecg.recordings.cutting import LeftOut
from ecg.recordings.signals import UnusableSegment, unusable_seconds
from ecg.scanning.display import format_time

COLUMNS = (
    "seconds",
    "time",
    "rr_before",
    "rr_after",
    "quality",
    "score",
    "p_value",
    "threshold",
    "anomalous",
    "anomalous_from_start",
    "why",
)


@dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """A recording without its samples."""

    name: str
    lead: str  # the name of the lead that was scanned
    rate: float  # the sampling rate in Hz
    length: int  # the number of samples

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.length / self.rate


@dataclass(frozen=True)
class ScannedBeats(Times):
    """The scored beats of a recording in their order, with their times: ndarrays of shape (n,)."""

    score: np.ndarray  # float, higher is more anomalous
    p_value: np.ndarray  # float; NaN where the model was calibrated without held-out beats
    threshold: np.ndarray  # float, the score from which each beat is anomalous (`Calibration.threshold`)
    anomalous: np.ndarray  # bool, whether the beat is an alarm
    anomalous_from_start: np.ndarray  # bool, whether it would be one if nothing followed slow change since the start
    why: np.ndarray  # str, the reason of an alarm, where the model gives one

    @property
    def alarms(self) -> np.ndarray:
        """The indices of the alarms: int ndarray."""
        return np.flatnonzero(self.anomalous)

    def table(self) -> pd.DataFrame:
        """A row for each beat, with COLUMNS; NaN where a value is unknown."""
        times = [format_time(seconds) for seconds in self.seconds.tolist()]
        return pd.DataFrame(vars(self) | {"seconds": self.seconds.round(3), "time": times}, columns=COLUMNS)


@dataclass(frozen=True, kw_only=True)
class RhythmStrip:
    """The filtered lead around one alarm, from the beat before to the one after."""

    beat: int  # the index of the alarm among the scanned beats
    seconds: np.ndarray  # float, of shape (n,), as are the samples
    samples: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stretch of a recording in which most beats are unlike its start, from `start` to `stop` in seconds."""

    start: float
    stop: float
    beats: int
    unlike: int  # of these, how many are unlike the start
    lasts: bool  # whether it lasts to the end of the recording

    def __str__(self) -> str:
        until = "on" if self.lasts else f"to {format_time(self.stop)}"
        return f"unlike the start from {format_time(self.start)} {until}: {self.unlike:,} of {self.beats:,} beats"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A recording's beats with their verdicts.

    judged_by : the model
    alpha : the accepted false-alarm rate; None if the model has none
    unusable : the segments of unusable signal, sorted by start
    left_out : the beats that were not scored
    adaptive : whether the verdicts follow slow change
    changes : stretches in which most beats are unlike the start
    strips : rhythm strips of the alarms that are furthest above the threshold
    warnings : reasons to doubt the alarms, a sentence each
    """

    recording: RecordingInfo
    judged_by: str
    alpha: float | None
    beats: ScannedBeats
    unusable: list[UnusableSegment]
    left_out: LeftOut
    adaptive: bool
    changes: list[Change]
    strips: list[RhythmStrip]
    warnings: list[str]

    def per_minute(self) -> pd.DataFrame:
        """A row for each minute: `heart_rate` (per minute, of the median RR interval), `alarms` and `beats`.

        A minute without beats has no heart rate and no number of alarms: NaN.
        """
        beats, count = self.beats, max(int(np.ceil(self.recording.duration / 60)), 1)
        minute = np.minimum((beats.seconds / 60).astype(int), count - 1)
        groups = pd.DataFrame({"rr": beats.rr_before, "alarm": beats.anomalous}).groupby(minute)
        rows = groups.agg(rr=("rr", "median"), alarms=("alarm", "sum"), beats=("alarm", "size")).reindex(range(count))
        return pd.DataFrame({"heart_rate": 60 / rows["rr"], "alarms": rows["alarms"], "beats": rows["beats"].fillna(0)})

    def summary(self) -> dict[str, Any]:
        """The scan in numbers."""
        beats, alarms, duration = self.beats, len(self.beats.alarms), self.recording.duration
        rr = beats.rr_before[np.isfinite(beats.rr_before)]
        return {
            "recording": self.recording.name,
            "lead": self.recording.lead,
            "samples_per_second": self.recording.rate,
            "minutes": duration / 60,
            "beats": len(beats),
            "left_out": asdict(self.left_out),
            "seconds_without_ecg": unusable_seconds(self.unusable),
            "heart_rate": float(60 / np.median(rr)) if len(rr) else None,
            "quality": float(np.median(beats.quality)),
            "judged_by": self.judged_by,
            "alpha": self.alpha,
            "follows_change": self.adaptive,
            "alarms": alarms,
            "alarms_from_start": int(beats.anomalous_from_start.sum()),
            "alarm_rate": alarms / len(beats),
            "alarms_per_hour": alarms / (duration / 3600),
            "changes": [str(change) for change in self.changes],
            "warnings": self.warnings,
        }
