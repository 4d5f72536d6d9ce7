"""Beats, a detector's verdicts on them, and which beats are normal, anomalous or of unknown class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.detector.detector import Detector
from ecg.detector.model import BATCH_SIZE
from ecg.detector.verdicts import Details, Verdicts
from ecg.evaluation.metrics import ConfusionMatrix

BEATS_AT_A_TIME = 16 * BATCH_SIZE  # whole batches: a score's last bits depend on its batch


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Beats with a detector's verdicts, and with their classes where these are known."""

    detector: Detector
    beats: Beats
    normal_class: int
    verdicts: Verdicts

    @classmethod
    def of(cls, detector: Detector, beats: Beats, normal_class: int) -> "Evaluation":
        """Score the beats, each independently of the others."""
        verdicts = detector.score(beats.samples)
        return cls(detector=detector, beats=beats, normal_class=normal_class, verdicts=verdicts)

    @property
    def dataset(self) -> Dataset:
        """The dataset that the detector was trained on."""
        return self.detector.dataset

    @cached_property
    def anomalous(self) -> np.ndarray:
        """Which beats are of a known class other than the normal one: bool, shape (n_beats,)."""
        return self.dataset.anomalous(self.beats.classes, self.normal_class)

    @cached_property
    def normal(self) -> np.ndarray:
        """Which beats are of the normal class: bool, shape (n_beats,)."""
        return np.asarray(self.beats.classes == self.normal_class)

    @cached_property
    def known(self) -> np.ndarray:
        """Which beats are of known class: bool, shape (n_beats,)."""
        return self.normal | self.anomalous

    @property
    def comparable(self) -> bool:
        """Whether there are normal and anomalous beats, both of which AUC, precision and recall need."""
        return bool(self.normal.any() and self.anomalous.any())

    @cached_property
    def anomalous_classes(self) -> list[int]:
        """The labels of the anomalous classes, in ascending order."""
        return np.unique(self.beats.classes[self.anomalous]).tolist()

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the normal and of the anomalous beats."""
        return self.verdicts.score[self.normal], self.verdicts.score[self.anomalous]

    @property
    def truth_and_score(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether each beat of known class is anomalous, and its score: scikit-learn's `y_true` and `y_score`."""
        return self.anomalous[self.known], self.verdicts.score[self.known]

    def confusion_matrix(self, alarms: np.ndarray) -> ConfusionMatrix:
        """The confusion matrix of alarms, bool of shape (n_beats,), on the beats of known class."""
        return ConfusionMatrix.of(alarms[self.known], self.anomalous[self.known])

    def details(self, index: np.ndarray) -> Details:
        """The verdicts on the beats at these positions, with their reconstructions and errors at each sample.

        The beats are scored again, in the same batches as before: bit for bit what they would be if the details of all
        beats, 8 bytes a sample, had been kept.
        """
        names = ("reconstruction", "step_error")
        details = {name: np.empty((len(index), self.beats.length), np.float32) for name in names}
        chunk_of = index // BEATS_AT_A_TIME
        for chunk in np.unique(chunk_of).tolist():
            in_chunk, start = chunk_of == chunk, chunk * BEATS_AT_A_TIME
            outputs = self.detector.model.run(names, self.beats.samples[start : start + BEATS_AT_A_TIME])
            for name, output in zip(names, outputs, strict=True):
                details[name][in_chunk] = output[index[in_chunk] - start]
        return Details(**vars(self.verdicts.where(index)), **details)
