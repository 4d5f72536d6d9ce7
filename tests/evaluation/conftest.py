"""Evaluations of made-up scores, and of the test beats."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset, dataset_named
from ecg.detector.verdicts import Verdicts
from ecg.evaluation.evaluation import Evaluation


@dataclass
class Model:
    """One whose error at each step is the beat itself."""

    def run(self, outputs: tuple[str, ...], beats: np.ndarray) -> list[np.ndarray]:
        return [{"reconstruction": np.zeros_like(beats), "step_error": beats}[name] for name in outputs]

    def scores(self, beats: np.ndarray) -> np.ndarray:
        return beats.mean(axis=1)


@dataclass
class Detector:
    """What an evaluation asks a detector for."""

    dataset: Dataset
    calibration: SimpleNamespace
    model: Model = field(default_factory=Model)


def judged(classes: np.ndarray, score: np.ndarray, threshold: float, dataset: Dataset | None = None) -> Evaluation:
    """Beats of four samples, all of them the score; class 1 is normal."""
    score = np.asarray(score, np.float32)
    return Evaluation(
        detector=Detector(dataset or dataset_named("ECG5000"), SimpleNamespace(threshold=threshold)),
        beats=Beats(np.repeat(score[:, None], 4, 1), np.asarray(classes)),
        normal_class=1,
        verdicts=Verdicts(score, None, score >= threshold, score[:, None]),
    )


@pytest.fixture
def of_test(test: Beats) -> Evaluation:
    """The 4,500 test beats, scored by their distance from the mean of the normal ones."""
    center = test.samples[test.classes == 1].mean(0)
    return judged(test.classes, np.square(test.samples - center).mean(1), 0.5)
