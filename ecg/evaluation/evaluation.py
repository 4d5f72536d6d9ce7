"""Beats of known class beside what a detector says of them: what all else in this room reports on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.detector.detector import Detector
from ecg.detector.model import BLOCK
from ecg.detector.verdicts import Details, Verdicts
from ecg.evaluation.metrics import Counts

BEATS_AT_A_TIME = 16 * BLOCK  # of whole blocks, which decide the last bits


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Beats with what a detector says of them, and with their classes where these are known."""

    detector: Detector
    beats: Beats
    normal_class: int
    verdicts: Verdicts

    @classmethod
    def of(cls, detector: Detector, beats: Beats, normal_class: int) -> "Evaluation":
        """Score the beats, each by itself."""
        verdicts = detector.score(beats.samples)
        return cls(detector=detector, beats=beats, normal_class=normal_class, verdicts=verdicts)

    @property
    def dataset(self) -> Dataset:
        """What is known of the dataset that the detector was trained on."""
        return self.detector.dataset

    @cached_property
    def anomalous(self) -> np.ndarray:
        """Which beats are of another known class than the normal one: bool, shape (n_beats,)."""
        return self.dataset.anomalous(self.beats.classes, self.normal_class)

    @cached_property
    def normal(self) -> np.ndarray:
        """Which beats are of the normal class: bool, shape (n_beats,)."""
        return np.asarray(self.beats.classes == self.normal_class)

    @cached_property
    def known(self) -> np.ndarray:
        """Which beats are known to be normal or not: bool, shape (n_beats,)."""
        return self.normal | self.anomalous

    @property
    def comparable(self) -> bool:
        """Whether some beats are known to be normal and some not to be: without both, no metric has a meaning."""
        return bool(self.normal.any() and self.anomalous.any())

    @cached_property
    def anomalous_classes(self) -> list[int]:
        """The classes other than the normal one, in their order."""
        return np.unique(self.beats.classes[self.anomalous]).tolist()

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the normal and of the anomalous beats."""
        return self.verdicts.score[self.normal], self.verdicts.score[self.anomalous]

    def counts(self, alarms: np.ndarray) -> Counts:
        """The confusion matrix of alarms, bool of shape (n_beats,), on the beats whose class is known."""
        return Counts.of(alarms[self.known], self.anomalous[self.known])

    def details(self, places: np.ndarray) -> Details:
        """The verdicts on the beats at these places, int of shape (n,), with what they come from.

        These are scored anew, in the blocks in which they were scored before: to the bit what they would be if the
        details of all beats, 8 bytes a sample, had been kept.
        """
        wanted = ("reconstruction", "step_error")
        found = {name: np.empty((len(places), self.beats.length), np.float32) for name in wanted}
        chunk_of = places // BEATS_AT_A_TIME
        for chunk in np.unique(chunk_of).tolist():
            here, start = chunk_of == chunk, chunk * BEATS_AT_A_TIME
            outputs = self.detector.model.run(wanted, self.beats.samples[start : start + BEATS_AT_A_TIME])
            for name, output in zip(wanted, outputs, strict=True):
                found[name][here] = output[places[here] - start]
        return Details(**vars(self.verdicts.where(places)), **found)
