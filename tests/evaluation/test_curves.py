from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.data.training_errors import TrainingErrors
from ecg.detector.detector import Detector
from ecg.evaluation import curves, reliability
from ecg.evaluation.evaluation import Evaluation
from tests.conftest import calibrating
from tests.evaluation.conftest import judged


@pytest.mark.parametrize("classes", [[1, 1, 1], [1, 0, 1], [3, 3, 3], [0, 0, 0]])
def test_of_beats_of_one_known_kind_there_are_no_curves(classes: list[int], errors: TrainingErrors) -> None:
    of = judged(np.array(classes), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    alone = [curves.roc(of), curves.precision_recall(of), curves.methods(of, errors, calibrating(), np.ones(3))]
    assert [len(table) for table in alone] == [0, 0, 0]
    assert [list(table) for table in alone] == [
        ["false_positive_rate", "true_positive_rate", "threshold", "in_use"],
        ["precision", "recall", "threshold", "in_use"],
        reliability.METHOD_COLUMNS,
    ]
    assert len(curves.confusion(of)) == sum(label != 0 for label in classes)


def test_without_normal_beats_nothing_is_held_to_a_promise(errors: TrainingErrors) -> None:
    of = judged(np.array([3, 0, 3]), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    table = curves.promised_rates(of, errors, calibrating(), np.array([0.05]))
    assert (list(table), len(table)) == (reliability.CURVE_COLUMNS, 0)


def test_methods_and_promises_are_of_the_beats_of_known_class(
    detector: Detector, test: Beats, errors: TrainingErrors
) -> None:
    hidden = Beats(test.samples, np.where(np.arange(4500) % 3 == 0, 5, test.classes))  # as if these had no label
    of = Evaluation.of(detector, hidden, 1)
    of.__dict__["anomalous"] = Dataset(unlabelled=5).anomalous(hidden.classes, 1)
    known = hidden.classes != 5
    settings, development = calibrating(), np.linspace(0.01, 1, 50)
    expected = Evaluation.of(detector, hidden.where(known), 1)
    assert_frame_equal(*(curves.methods(one, errors, settings, development) for one in (of, expected)))
    alphas = np.array([0.01, 0.1])
    assert_frame_equal(*(curves.promised_rates(one, errors, settings, alphas) for one in (of, expected)))


def test_the_roc_curve_has_the_rates_of_thresholds_from_corner_to_corner(of_test: Evaluation) -> None:
    score, anomalous = of_test.verdicts.score, of_test.beats.classes != 1
    false, true = curves.roc(of_test)[["false_positive_rate", "true_positive_rate"]].to_numpy().T
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()
    assert auc(false, true) == pytest.approx(roc_auc_score(anomalous, score))
    rates = {tuple((score >= t)[kind].mean().round(9) for kind in (~anomalous, anomalous)) for t in [*score, np.inf]}
    assert set(zip(false.round(9), true.round(9), strict=True)) <= rates


def test_the_precision_recall_curve_has_the_area_of_the_average_precision(of_test: Evaluation) -> None:
    score, anomalous = of_test.verdicts.score, of_test.beats.classes != 1
    precision, recall = curves.precision_recall(of_test)[["precision", "recall"]].to_numpy().T
    assert (precision[0], recall[0], recall[-1]) == (1, 0, 1)
    points = set(zip(precision.round(9), recall.round(9), strict=True))
    for threshold in np.quantile(score[anomalous], [0.2, 0.5, 0.8], method="nearest"):
        alarms = score >= threshold
        assert (round(anomalous[alarms].mean(), 9), round(alarms[anomalous].mean(), 9)) in points
    step = np.diff(recall) * precision[1:]
    assert step.sum() == pytest.approx(average_precision_score(anomalous, score))


@pytest.mark.parametrize("threshold", [0.5, 0.0123, 1e9])  # the last is above every score
def test_a_curve_has_a_point_for_the_threshold_in_use(test: Beats, of_test: Evaluation, threshold: float) -> None:
    of = judged(test.classes, of_test.verdicts.score, threshold)
    matrix = of.confusion_matrix(of.verdicts.score >= threshold)
    (false, true, at, _), *others = curves.roc(of).query("in_use == 1").to_numpy().tolist()
    assert (others, at) == ([], threshold)
    assert (false, true) == (matrix.false_positive_rate, matrix.recall)
    (precision, recall, at, _), *others = curves.precision_recall(of).query("in_use == 1").to_numpy().tolist()
    assert (others, at) == ([], threshold)
    assert (precision, recall) == ((matrix.precision, matrix.recall) if threshold < 1e9 else (1, 0))


@pytest.mark.parametrize("curve", [curves.roc, curves.precision_recall])
def test_a_curve_starts_without_alarms_and_goes_on_to_lower_thresholds(
    of_test: Evaluation, curve: Callable[[Evaluation], pd.DataFrame]
) -> None:
    threshold = curve(of_test)["threshold"].to_numpy()
    assert np.isnan(threshold[0])
    assert (np.diff(threshold[1:]) <= 0).all()


def test_each_beat_of_known_class_has_its_row_in_the_confusion_matrix() -> None:
    of = judged(np.array([1, 0, 3, 1]), np.array([0.9, 0.9, 0.1, 0.2]), 0.5, Dataset(unlabelled=0))
    table = curves.confusion(of)
    assert list(table) == ["actual", "predicted"]
    assert list(table.itertuples(index=False, name=None)) == [
        ("normal", "anomalous"),
        ("anomalous", "normal"),
        ("normal", "normal"),
    ]


def test_histogram_counts_every_beat_once(of_test: Evaluation) -> None:
    table = curves.histogram(of_test, 40)
    assert table["beats"].sum() == 4500
    assert (table["beats"] > 0).all()
    assert table["beats"][table["class"] == "PVC"].sum() == 86
    assert set(table["threshold"]) == {0.5}
    assert (table["score_from"] < table["score_to"]).all()


@pytest.mark.parametrize("scores", [[0, 0, 0], [1, 1, 1], [1e-3, 1, 1e3]])
def test_histogram_takes_any_scores(scores: list[float]) -> None:
    assert curves.histogram(judged(np.array([1, 2, 2]), np.array(scores), 0.5), 5)["beats"].sum() == 3
