import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset, dataset_named
from ecg.detector.detector import Detector
from ecg.detector.explanation import deletion_test
from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.summary import details, intervals, summarize
from tests.evaluation.conftest import judged

CONTRACT = {
    "auc", "average_precision", "f1", "precision", "recall", "false_positive_rate",
    "accuracy", "threshold", "true_negatives", "false_positives", "false_negatives", "true_positives",
}  # fmt: skip
RECALLS = {"recall_r_on_t_pvc", "recall_pvc", "recall_sp_or_eb", "recall_unclassified"}
LEFT = {"score_left_without_named_steps", "score_left_without_random_steps"}


def test_summary_keeps_the_contract(of_test: Evaluation) -> None:
    summary = summarize(of_test)
    assert set(summary) == CONTRACT
    assert summarize(of_test, development=(0.9, 0.8, 1.0)) == summary | {"development_auc": 0.9}
    counts = [summary[f"{kind}s"] for kind in ("true_negative", "false_positive", "false_negative", "true_positive")]
    assert sum(counts) == 4500
    assert summary["true_negatives"] + summary["false_positives"] == 2627


@pytest.mark.parametrize("classes", [[1, 1, 1], [1, 0, 1], [3, 3, 3], [0, 0, 0]])
def test_of_beats_of_one_known_kind_only_alarms_are_counted(classes: list[int]) -> None:
    of_one_kind = judged(np.array(classes), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    assert summarize(of_one_kind) == {"threshold": 0.5, "beats": 3, "alarms": 1, "alarm_rate": pytest.approx(1 / 3)}
    assert details(of_one_kind) == intervals(of_one_kind, 100) == {}


def test_every_rate_and_area_has_an_interval_around_it(of_test: Evaluation) -> None:
    summary, found = summarize(of_test) | details(of_test), intervals(of_test, 200)
    counted = {"threshold", *(name for name in CONTRACT if name.endswith(("positives", "negatives")))}
    assert set(found) == CONTRACT - counted | RECALLS
    for name, ends in found.items():
        assert ends["ci95_low"] <= summary[name] <= ends["ci95_high"]
        assert ends["ci95_high"] - ends["ci95_low"] < (0.5 if "recall_" in name else 0.05)
    more = intervals(of_test, 200, development=(0.9, 0.8, 1.0))
    assert more == found | {"development_auc": {"ci95_low": 0.8, "ci95_high": 1.0}}


def test_with_one_anomalous_beat_a_bootstrap_says_nothing() -> None:
    of = intervals(judged(np.array([1, 1, 1, 3]), np.array([0.1, 0.2, 0.9, 0.8]), 0.5), 100)
    assert of["average_precision"] == of["f1"] == of["auc"] == {"ci95_low": 0, "ci95_high": 1}


def test_an_evaluation_of_a_detector_adds_screening_and_the_check_of_its_explanations(
    detector: Detector, test: Beats
) -> None:
    summary = details(Evaluation.of(detector, test, 1))
    assert set(summary) == RECALLS | LEFT | {"screened_false_discoveries", "screened_recall"}
    called = detector.screen(test.samples).anomalous
    assert summary["screened_recall"] == called[test.classes != 1].mean()
    false_alarms = called & (test.classes == 1)
    assert summary["screened_false_discoveries"] == pytest.approx(false_alarms.sum() / called.sum())
    every = detector.score(test.samples, details=True)
    caught = every.anomalous & (test.classes != 1)
    left = deletion_test(detector.model.scores, test.samples[caught], every.where(caught))
    assert (summary["score_left_without_named_steps"], summary["score_left_without_random_steps"]) == left
    assert left[0] < left[1] < 1


def test_of_beats_in_their_order_a_threshold_that_follows_them_is_measured_too(detector: Detector, test: Beats) -> None:
    of_detector = Evaluation.of(detector, test, 1)
    alarms, found = of_detector.verdicts.anomalous.sum(), details(of_detector, hours=1.25)
    assert summarize(of_detector, hours=1.25)["alarms_per_hour"] == alarms / 1.25
    assert found["adaptive_alarms_per_hour"] == found["adaptive_alarms"] / 1.25
    assert found["adaptive_alarm_rate"] == found["adaptive_alarms"] / 4500
    expected = found["adaptive_recall"] * 1873 + found["adaptive_false_positive_rate"] * 2627
    assert expected == pytest.approx(found["adaptive_alarms"])
    assert found["adaptive_alarms"] != alarms


def test_recall_of_the_classes_adds_up_to_the_recall(of_test: Evaluation) -> None:
    sizes = {"r_on_t_pvc": 1590, "pvc": 86, "sp_or_eb": 175, "unclassified": 22}
    found = details(of_test)
    caught = sum(found[f"recall_{name}"] * size for name, size in sizes.items())
    assert caught == pytest.approx(summarize(of_test)["true_positives"])


def test_classes_of_a_stranger_are_named_by_their_number() -> None:
    summary = details(judged(np.array([1, 1, -1, 7]), np.array([0.1, 0.2, 0.3, 0.9]), 0.5, dataset_named("Mine")))
    assert (summary["recall_class_minus_1"], summary["recall_class_7"]) == (0, 1)
