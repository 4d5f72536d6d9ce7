import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.data.training_errors import TrainingErrors
from ecg.detector.detector import Detector
from ecg.evaluation import curves, metrics, reliability
from ecg.evaluation.evaluation import Evaluation
from tests.conftest import calibrating
from tests.evaluation.conftest import judged


@pytest.mark.parametrize("classes", [[1, 1, 1], [1, 0, 1], [3, 3, 3], [0, 0, 0]])
def test_of_beats_of_one_known_kind_there_are_no_curves(classes: list[int], errors: TrainingErrors) -> None:
    of = judged(np.array(classes), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    alone = [curves.roc(of), curves.precision_recall(of), curves.methods(of, errors, calibrating(), np.ones(3))]
    assert [list(rows) for _, rows in alone] == [[], [], []]
    assert len(list(curves.confusion(of)[1])) == sum(label != 0 for label in classes)


def test_without_normal_beats_nothing_is_held_to_a_promise(errors: TrainingErrors) -> None:
    of = judged(np.array([3, 0, 3]), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    header, rows = curves.promised_rates(of, errors, calibrating(), np.array([0.05]))
    assert (header, list(rows)) == (reliability.CURVE_COLUMNS, [])


def test_methods_and_promises_are_of_the_beats_of_known_class(
    detector: Detector, test: Beats, errors: TrainingErrors
) -> None:
    hidden = Beats(test.samples, np.where(np.arange(4500) % 3 == 0, 5, test.classes))  # as if these had no label
    of = Evaluation.of(detector, hidden, 1)
    of.__dict__["anomalous"] = Dataset(unlabelled=5).anomalous(hidden.classes, 1)
    known = hidden.classes != 5
    settings, development = calibrating(), np.linspace(0.01, 1, 50)
    expected = Evaluation.of(detector, hidden.where(known), 1)
    assert curves.methods(of, errors, settings, development) == curves.methods(expected, errors, settings, development)
    alphas = np.array([0.01, 0.1])
    assert curves.promised_rates(of, errors, settings, alphas) == curves.promised_rates(
        expected, errors, settings, alphas
    )


def test_curves_are_those_of_the_scores(of_test: Evaluation) -> None:
    score, classes = of_test.verdicts.score, of_test.beats.classes
    pair = score[classes == 1], score[classes != 1]
    for (header, rows), expected in (
        (curves.roc(of_test), metrics.roc_curve(*pair)),
        (curves.precision_recall(of_test), metrics.precision_recall_curve(*pair)),
    ):
        assert len(header) == 2
        np.testing.assert_array_equal(np.array(list(rows)), np.transpose(expected))


def test_each_beat_of_known_class_has_its_row_in_the_confusion_matrix() -> None:
    of = judged(np.array([1, 0, 3, 1]), np.array([0.9, 0.9, 0.1, 0.2]), 0.5, Dataset(unlabelled=0))
    header, rows = curves.confusion(of)
    assert list(header) == ["actual", "predicted"]
    assert [tuple(map(str, row)) for row in rows] == [
        ("normal", "anomalous"),
        ("anomalous", "normal"),
        ("normal", "normal"),
    ]


def test_histogram_counts_every_beat_once(of_test: Evaluation) -> None:
    header, rows = curves.histogram(of_test, 40)
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert sum(row["beats"] for row in rows) == 4500
    assert sum(row["beats"] for row in rows if row["class"] == "PVC") == 86
    assert {row["threshold"] for row in rows} == {0.5}
    assert all(row["score_from"] < row["score_to"] for row in rows)


@pytest.mark.parametrize("scores", [[0, 0, 0], [1, 1, 1], [1e-3, 1, 1e3]])
def test_histogram_takes_any_scores(scores: list[float]) -> None:
    _, rows = curves.histogram(judged(np.array([1, 2, 2]), np.array(scores), 0.5), 5)
    assert sum(row[3] for row in rows) == 3
