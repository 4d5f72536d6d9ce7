import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.datasets import Dataset
from ecg.detector.detector import Detector
from ecg.detector.explanation import error_shares
from ecg.evaluation import examples
from ecg.evaluation.evaluation import Evaluation
from tests.evaluation.conftest import judged


@pytest.mark.parametrize("classes", [[1, 1, 1], [1, 0, 1], [3, 3, 3], [0, 0, 0]])
def test_beats_of_one_known_kind_have_examples_too(classes: list[int]) -> None:
    of = judged(np.array(classes), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    assert examples.typical_alarm(of) == 2
    assert examples.typical_and_worst(of)


def test_examples_are_the_typical_and_the_worst() -> None:
    classes = np.array([1, 1, 1, 1, 2, 2, 2, 3])
    of = judged(classes, np.array([0.1, 0.2, 0.3, 0.9, 0.05, 0.8, 0.95, 0.4]), 0.5)
    assert [example.title for example in examples.typical_and_worst(of)] == [
        "normal, called normal (score 0.300)",
        "R-on-T PVC, called anomalous (score 0.800)",
        "PVC, called normal (score 0.400)",
        "worst miss (R-on-T PVC), called normal (score 0.050)",
        "worst false alarm, called anomalous (score 0.900)",
    ]


def test_beats_of_unknown_class_are_no_mistakes() -> None:
    of = judged(np.array([1, 0, 0, 0]), np.array([0.1, 0.2, 0.7, 0.9]), 0.5, Dataset(unlabelled=0))
    titles = [example.title for example in examples.typical_and_worst(of)]
    assert titles[1:] == [
        "typical beat of unknown class, called anomalous (score 0.700)",
        "largest alarm of unknown class, called anomalous (score 0.900)",
    ]
    assert [example.title for example in examples.worst(of, 5)] == ["alarm (score 0.900)", "alarm (score 0.700)"]
    assert examples.class_profiles(of) == []


def test_a_perfect_detector_has_no_worst() -> None:
    of = judged(np.array([1, 1, 2]), np.array([0.1, 0.2, 0.9]), 0.5)
    assert [example.title.split(",")[0] for example in examples.typical_and_worst(of)] == ["normal", "R-on-T PVC"]
    assert examples.worst(of, 3) == []


def test_the_worst_are_misses_then_false_alarms_each_from_the_worst_on() -> None:
    of = judged(np.array([1, 1, 1, 2, 2, 3]), np.array([0.6, 0.9, 0.1, 0.3, 0.2, 0.8]), 0.5)
    worst = examples.worst(of, 2)
    titles = [example.title for example in worst]
    assert titles == [
        "miss, R-on-T PVC (score 0.200)",
        "miss, R-on-T PVC (score 0.300)",
        "false alarm (score 0.900)",
        "false alarm (score 0.600)",
    ]
    for example, score in zip(worst, (0.2, 0.3, 0.9, 0.6), strict=True):
        assert example.beat.tolist() == example.step_error.tolist() == [np.float32(score)] * 4
    assert [example.title for example in examples.worst(of, 1)] == [titles[0], titles[2]]


def test_an_example_has_what_the_detector_says_of_its_beat(detector: Detector, test: Beats) -> None:
    of, every = Evaluation.of(detector, test, 1), detector.score(test.samples, details=True)
    (worst,) = examples.worst(of, 1)[:1]
    place = examples.misses(of)[0]
    np.testing.assert_array_equal(worst.beat, test.samples[place])
    np.testing.assert_array_equal(worst.reconstruction, every.reconstruction[place])
    np.testing.assert_array_equal(worst.step_error, every.step_error[place])


def test_a_class_is_shown_with_where_its_scores_come_from_and_beats_from_low_to_high_score(
    detector: Detector, test: Beats
) -> None:
    every, profiles = (
        detector.score(test.samples, details=True),
        examples.class_profiles(Evaluation.of(detector, test, 1)),
    )
    assert [profile.name for profile in profiles] == ["R-on-T PVC", "PVC", "SP or EB", "unclassified"]
    assert [profile.beats for profile in profiles] == [1590, 86, 175, 22]
    for label, profile in enumerate(profiles, start=2):
        shares = error_shares(every.step_error[test.classes == label])
        np.testing.assert_array_equal(profile.mean, shares.mean(axis=0))
        np.testing.assert_array_equal([profile.low, profile.high], np.quantile(shares, [0.1, 0.9], axis=0))
        levels = [example.step_error.mean() for example in profile.examples]
        assert levels == sorted(levels)
        assert len(levels) == 3


def test_the_typical_alarm_is_an_anomalous_beat_that_raises_one_if_there_is_any() -> None:
    classes, score = np.array([1, 1, 2, 2, 2, 2]), np.array([0.9, 0.1, 0.2, 0.6, 0.7, 0.8])
    assert examples.typical_alarm(judged(classes, score, 0.5)) == 4
    assert examples.typical_alarm(judged(classes, score, 1.0)) == 4
