import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.detector.detector import Detector
from ecg.detector.model import BATCH_SIZE
from ecg.evaluation import evaluation as evaluation_module
from ecg.evaluation.evaluation import Evaluation
from tests.evaluation.conftest import judged


@pytest.mark.parametrize("unlabelled", [None, 0])
def test_a_beat_that_nobody_labelled_is_neither_normal_nor_anomalous(unlabelled: int | None) -> None:
    classes = np.array([1, 0, 2, 1, -3])
    labelled = unlabelled is None
    dataset = Dataset(unlabelled=unlabelled)
    assert dataset.anomalous(classes, 1).tolist() == [False, labelled, True, False, True]
    assert dataset.anomalous(classes, 2).tolist() == [True, labelled, False, True, True]
    of = judged(classes, np.ones(5), 0.5, dataset)
    assert of.normal.tolist() == [True, False, False, True, False]
    assert of.anomalous.tolist() == [False, labelled, True, False, True]
    assert of.known.tolist() == [True, labelled, True, True, True]
    assert of.anomalous_classes == ([-3, 0, 2] if labelled else [-3, 2])


def test_only_beats_of_known_class_are_counted() -> None:
    of = judged(np.array([1, 1, 0, 0, 3, 3]), np.array([0.1, 0.9, 0.1, 0.9, 0.1, 0.9]), 0.5, Dataset(unlabelled=0))
    matrix = of.confusion_matrix(of.verdicts.anomalous)
    assert vars(matrix) == dict.fromkeys(("true_negatives", "false_positives", "false_negatives", "true_positives"), 1)


@pytest.mark.parametrize("blocks", [1, 3, 16])
def test_details_are_to_the_bit_those_of_all_beats_scored_at_once(
    detector: Detector, test: Beats, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    monkeypatch.setattr(evaluation_module, "BEATS_AT_A_TIME", blocks * BATCH_SIZE)
    every, of = detector.score(test.samples, details=True), Evaluation.of(detector, test, 1)
    random = np.random.default_rng(0)
    for places in (np.array([4499, 3, 3, 512, 511]), random.permutation(4500), np.empty(0, int)):
        for name, values in vars(of.details(places)).items():
            np.testing.assert_array_equal(values, getattr(every, name)[places])


def test_details_of_a_few_beats_are_not_those_of_all(
    detector: Detector, test: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, run, scored = Evaluation.of(detector, test, 1), detector.model.run, []
    monkeypatch.setattr(evaluation_module, "BEATS_AT_A_TIME", BATCH_SIZE)
    monkeypatch.setattr(detector.model, "run", lambda names, beats: scored.append(len(beats)) or run(names, beats))
    of.details(np.array([600, 5, 601]))
    assert scored == [BATCH_SIZE, BATCH_SIZE]
