"""The result of a scan: the recording, its beats, alarms, kinds and episodes, and what was left out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from ecg.data.times import Times
from ecg.recordings.cutting import LeftOut
from ecg.recordings.signals import SAMPLING_RATE, UnusableSegment, unusable_seconds
from ecg.scanning.display import format_time
from ecg.scanning.kinds import NOISE, Shape

RR_AROUND = 9  # RR intervals whose median is a heart rate of the recording's range: single early beats do not count
STRIP_SECONDS = 10.0
COLUMNS = {
    "seconds": "of the R peak from the start of the recording",
    "time": "the same as H:MM:SS.s",
    "rr_before": "seconds since the R peak before; empty if unknown, as next to unusable signal",
    "rr_after": "seconds to the R peak after",
    "quality": "signal quality: the share of the power around the beat in the filter's band; 1 without drift and noise",
    "score": "higher is more anomalous",
    "p_value": "of the score, among normal beats; empty if the model has none",
    "threshold": "the score from which this beat is an alarm",
    "anomalous": "whether the beat is an alarm",
    "anomalous_from_start": "whether it would be one if nothing followed slow change since the recording's start",
    "why": "the reason of an alarm, such as: early by 38%, QRS 1.7 times as wide",
    "kind": "the kind of an alarm",
    "episode": "the number of an alarm's episode; 0 for other beats",
}


@dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """A recording without its samples."""

    name: str
    lead: str  # the name of the lead that was scanned
    rate: float  # the sampling rate in Hz
    length: int  # the number of samples
    unit: str  # of the samples; mV if they are known to be millivolts
    read_as: str  # how the file was read, in one line
    inverted: bool  # whether the lead was inverted before the scan

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.length / self.rate


@dataclass(frozen=True)
class ScannedBeats(Times):
    """The scored beats of a recording in their order, with their times: ndarrays of shape (n,), as in COLUMNS."""

    score: np.ndarray
    p_value: np.ndarray  # NaN where the model was calibrated without held-out beats
    threshold: np.ndarray
    anomalous: np.ndarray
    anomalous_from_start: np.ndarray


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


@dataclass(frozen=True)
class Strip:
    """A strip of the filtered lead, the way up that it was recorded.

    start : seconds from the start of the recording
    samples : float32 ndarray of shape (n,), at SAMPLING_RATE
    beats, alarms : float ndarrays, the times of the beats within it, and of the alarms
    """

    start: float
    samples: np.ndarray
    beats: np.ndarray
    alarms: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A recording's beats with their verdicts.

    judged_by : the model
    alpha : the accepted false-alarm rate; None if the model has none
    adaptive : whether the verdicts follow slow change
    beats : DataFrame with a row for each scored beat and COLUMNS
    episodes : DataFrame with a row for each episode and `ecg.scanning.episodes.COLUMNS`
    kinds : DataFrame with a row for each kind of alarm and `ecg.scanning.kinds.COLUMNS`
    shapes : the mean beat of each kind, by its letter
    unusable : the segments of unusable signal, sorted by start
    left_out : the beats that were not scored
    changes : stretches in which most beats are unlike the start
    warnings : reasons to doubt the alarms, a sentence each
    made : how the model was made, a paragraph each
    samples : float32 ndarray, the filtered lead at SAMPLING_RATE, in an unnamed temporary file
    """

    recording: RecordingInfo
    judged_by: str
    alpha: float | None
    adaptive: bool
    beats: pd.DataFrame
    episodes: pd.DataFrame
    kinds: pd.DataFrame
    shapes: Mapping[str, Shape]
    unusable: list[UnusableSegment]
    left_out: LeftOut
    changes: list[Change]
    warnings: list[str]
    made: list[str]
    samples: np.ndarray

    @property
    def alarms(self) -> pd.DataFrame:
        """The rows of `beats` that are alarms."""
        return self.beats[self.beats["anomalous"]]

    @property
    def usable_share(self) -> float:
        """The share of the recording that is usable signal."""
        return max(1 - sum(unusable_seconds(self.unusable).values()) / self.recording.duration, 0.0)

    @property
    def heart_rates(self) -> tuple[float, float, float] | None:
        """The lowest, median and highest heart rate per minute, each over some beats; None if none is known."""
        rr = self.beats["rr_before"].dropna().to_numpy()
        if not len(rr):
            return None
        around = median_filter(rr, min(RR_AROUND, len(rr)), mode="nearest")
        return float(60 / around.max()), float(60 / np.median(rr)), float(60 / around.min())

    def strip(self, at: float, seconds: float = STRIP_SECONDS) -> Strip:
        """The strip around a time of the recording, in seconds, moved inside if it reaches beyond its start or end."""
        n = min(round(seconds * SAMPLING_RATE), len(self.samples))
        first = int(np.clip(round(at * SAMPLING_RATE) - n // 2, 0, len(self.samples) - n))
        start, stop = first / SAMPLING_RATE, (first + n) / SAMPLING_RATE
        samples = np.array(self.samples[first : first + n])
        times = self.beats["seconds"].to_numpy()
        inside = slice(*np.searchsorted(times, (start, stop)))
        beats, anomalous = times[inside], self.beats["anomalous"].to_numpy()[inside]
        return Strip(start, -samples if self.recording.inverted else samples, beats, beats[anomalous])

    def per_interval(self, seconds: float) -> pd.DataFrame:
        """A row for each interval of some seconds, indexed by its start.

        Columns: `heart_rate` (per minute, of the median RR interval), `alarms`, `beats`, and `usable`, the share of the
        signal. An interval without beats has no heart rate and no number of alarms: NaN.
        """
        count = max(int(np.ceil(self.recording.duration / seconds)), 1)
        interval = np.minimum((self.beats["seconds"] / seconds).astype(int), count - 1)
        groups = self.beats.groupby(interval)
        rows = groups.agg(rr=("rr_before", "median"), alarms=("anomalous", "sum"), beats=("anomalous", "size"))
        rows = rows.reindex(range(count))
        start = np.arange(count) * seconds
        return pd.DataFrame(
            {
                "heart_rate": (60 / rows["rr"]).to_numpy(),
                "alarms": rows["alarms"].to_numpy(),
                "beats": rows["beats"].fillna(0).astype(int).to_numpy(),
                "usable": self._usable(start, np.minimum(start + seconds, self.recording.duration)),
            },
            index=pd.Index(start, name="start"),
        )

    def _usable(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """The usable share of each interval."""
        edges = np.array([(s.start, s.stop) for s in self.unusable]).reshape(-1, 2)
        edges = edges[np.argsort(edges[:, 0], kind="stable")]
        lost = np.concatenate(([0.0], np.cumsum(edges[:, 1] - edges[:, 0])))
        times = np.column_stack([edges[:, 0], edges[:, 1]]).ravel()
        sums = np.column_stack([lost[:-1], lost[1:]]).ravel()
        if not len(times):
            return np.ones(len(start))
        until = [np.interp(at, times, sums, left=0.0) for at in (start, stop)]
        return np.clip(1 - (until[1] - until[0]) / np.maximum(stop - start, 1e-9), 0, 1)

    def summary(self) -> dict[str, Any]:
        """The scan in numbers."""
        alarms, duration, rates = int(self.beats["anomalous"].sum()), self.recording.duration, self.heart_rates
        low, median, high = (None, None, None) if rates is None else rates
        return {
            "recording": self.recording.name,
            "lead": self.recording.lead,
            "read_as": self.recording.read_as,
            "samples_per_second": self.recording.rate,
            "minutes": duration / 60,
            "beats": len(self.beats),
            "left_out": asdict(self.left_out),
            "seconds_without_ecg": unusable_seconds(self.unusable),
            "usable_share": self.usable_share,
            "heart_rate": median,
            "heart_rate_range": [low, high],
            "quality": float(self.beats["quality"].median()),
            "judged_by": self.judged_by,
            "alpha": self.alpha,
            "follows_change": self.adaptive,
            "alarms": alarms,
            "alarms_from_start": int(self.beats["anomalous_from_start"].sum()),
            "alarms_in_noise": int((self.beats["kind"] == NOISE).sum()),
            "alarm_rate": alarms / len(self.beats),
            "alarms_per_hour": alarms / (duration / 3600),
            "episodes": self.count_episodes(),
            "kinds": {row.kind: {"alarms": row.alarms, "why": row.why} for row in self.kinds.itertuples()},
            "changes": [str(change) for change in self.changes],
            "warnings": self.warnings,
        }

    def count_episodes(self) -> dict[str, int]:
        """How many episodes there are, by their type."""
        return {str(label): int(count) for label, count in self.episodes["type"].value_counts(sort=False).items()}
