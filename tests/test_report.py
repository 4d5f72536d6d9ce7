from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from ecg import figures
from ecg.beats import Beats
from ecg.datasets import Dataset, known
from ecg.detector import Details, Detector
from ecg.explanation import contributions
from ecg.figures import Example, Kind, draw_examples
from ecg.report import Evaluation
from tests.conftest import assert_drawn_alike_whatever_matplotlib_is_set_to

CONTRACT = {
    "auc", "auc_ci95_low", "auc_ci95_high", "average_precision", "f1", "precision", "recall", "false_positive_rate",
    "accuracy", "threshold", "true_negatives", "false_positives", "false_negatives", "true_positives",
    "recall_r_on_t_pvc", "recall_pvc", "recall_sp_or_eb", "recall_unclassified",
}  # fmt: skip


def evaluation(classes: np.ndarray, score: np.ndarray, threshold: float, dataset: Dataset | None = None) -> Evaluation:
    score = np.asarray(score, np.float32)
    blank = np.zeros((len(score), 4), np.float32)
    verdicts = Details(score, None, score >= threshold, score[:, None], np.repeat(score[:, None], 4, 1), blank)
    return Evaluation(Beats(blank, np.asarray(classes)), verdicts, threshold, 1, dataset or known("ECG5000"))


@pytest.fixture
def of_test(test: Beats) -> Evaluation:
    """The 4,500 test beats, scored by their distance from the mean of the normal ones."""
    center = test.samples[test.classes == 1].mean(0)
    score = np.square(test.samples - center).mean(1)
    return evaluation(test.classes, score, 0.5)


def test_summary_keeps_the_contract(of_test: Evaluation) -> None:
    summary = of_test.summary()
    assert set(summary) == CONTRACT
    counts = [summary[f"{kind}s"] for kind in ("true_negative", "false_positive", "false_negative", "true_positive")]
    assert sum(counts) == 4500
    assert summary["true_negatives"] + summary["false_positives"] == 2627


@pytest.mark.parametrize("classes", [[1, 1, 1], [1, 0, 1], [3, 3, 3], [0, 0, 0]])
def test_of_beats_of_one_known_kind_only_alarms_are_counted(classes: list[int]) -> None:
    of_one_kind = evaluation(np.array(classes), np.array([0.1, 0.2, 0.9]), 0.5, Dataset(unlabelled=0))
    assert of_one_kind.summary() == {"threshold": 0.5, "beats": 3, "alarms": 1, "alarm_rate": pytest.approx(1 / 3)}
    assert of_one_kind.intervals(100) == {}
    assert list(of_one_kind.roc()[1]) == list(of_one_kind.precision_recall()[1]) == []
    assert of_one_kind.typical_alarm() == 2
    assert of_one_kind.examples()


def test_every_rate_and_area_has_an_interval_around_it(of_test: Evaluation) -> None:
    summary, intervals = of_test.summary(), of_test.intervals(200)
    counted = {"threshold", *(name for name in CONTRACT if name.endswith(("positives", "negatives")))}
    assert set(intervals) == {name for name in CONTRACT if "ci95" not in name} - counted
    for name, ends in intervals.items():
        assert ends["ci95_low"] <= summary[name] <= ends["ci95_high"]
        assert ends["ci95_high"] - ends["ci95_low"] < (0.5 if "recall_" in name else 0.05)
    assert intervals["auc"] == {"ci95_low": summary["auc_ci95_low"], "ci95_high": summary["auc_ci95_high"]}
    assert of_test.intervals(200) == intervals


def test_an_evaluation_of_a_detector_adds_screening_and_the_check_of_its_explanations(
    detector: Detector, test: Beats
) -> None:
    of_detector = Evaluation.of(detector, test, 1, known("ECG5000"))
    summary = of_detector.summary()
    more = {"screened_false_discoveries", "screened_recall"}
    left = {"score_left_without_named_steps", "score_left_without_random_steps"}
    assert set(summary) == CONTRACT | more | left
    called = detector.screen(test.samples).anomalous
    assert summary["screened_recall"] == called[test.classes != 1].mean()
    assert summary["screened_false_discoveries"] == (called & (test.classes == 1)).sum() / called.sum()
    assert summary["score_left_without_named_steps"] < summary["score_left_without_random_steps"] < 1


def test_recall_of_the_classes_adds_up_to_the_recall(of_test: Evaluation) -> None:
    sizes = {"r_on_t_pvc": 1590, "pvc": 86, "sp_or_eb": 175, "unclassified": 22}
    summary = of_test.summary()
    caught = sum(summary[f"recall_{name}"] * size for name, size in sizes.items())
    assert caught == pytest.approx(summary["true_positives"])


def test_classes_of_a_stranger_are_named_by_their_number() -> None:
    summary = evaluation(np.array([1, 1, -1, 7]), np.array([0.1, 0.2, 0.3, 0.9]), 0.5, known("Mine")).summary()
    assert (summary["recall_class_minus_1"], summary["recall_class_7"]) == (0, 1)


def test_histogram_counts_every_beat_once(of_test: Evaluation) -> None:
    header, rows = of_test.histogram(40)
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert sum(row["beats"] for row in rows) == 4500
    assert sum(row["beats"] for row in rows if row["class"] == "PVC") == 86
    assert {row["threshold"] for row in rows} == {0.5}
    assert all(row["score_from"] < row["score_to"] for row in rows)


@pytest.mark.parametrize("scores", [[0, 0, 0], [1, 1, 1], [1e-3, 1, 1e3]])
def test_histogram_takes_any_scores(scores: list[float]) -> None:
    _, rows = evaluation(np.array([1, 2, 2]), np.array(scores), 0.5).histogram(5)
    assert sum(row[3] for row in rows) == 3


def test_examples_are_the_typical_and_the_worst() -> None:
    classes = np.array([1, 1, 1, 1, 2, 2, 2, 3])
    examples = evaluation(classes, np.array([0.1, 0.2, 0.3, 0.9, 0.05, 0.8, 0.95, 0.4]), 0.5).examples()
    assert [example.title for example in examples] == [
        "normal, called normal (score 0.300)",
        "R-on-T PVC, called anomalous (score 0.800)",
        "PVC, called normal (score 0.400)",
        "worst miss (R-on-T PVC), called normal (score 0.050)",
        "worst false alarm, called anomalous (score 0.900)",
    ]


def test_a_perfect_detector_has_no_worst() -> None:
    examples = evaluation(np.array([1, 1, 2]), np.array([0.1, 0.2, 0.9]), 0.5).examples()
    assert [example.title.split(",")[0] for example in examples] == ["normal", "R-on-T PVC"]


def test_the_worst_are_misses_then_false_alarms_each_from_the_worst_on() -> None:
    classes, score = np.array([1, 1, 1, 2, 2, 3]), np.array([0.6, 0.9, 0.1, 0.3, 0.2, 0.8])
    titles = [example.title for example in evaluation(classes, score, 0.5).worst(2)]
    assert titles == [
        "miss, R-on-T PVC (score 0.200)",
        "miss, R-on-T PVC (score 0.300)",
        "false alarm (score 0.900)",
        "false alarm (score 0.600)",
    ]
    assert [example.title for example in evaluation(classes, score, 0.5).worst(1)] == [titles[0], titles[2]]


def test_a_class_is_shown_with_all_its_shares_and_beats_from_low_to_high_score(of_test: Evaluation) -> None:
    kinds = of_test.kinds()
    assert [kind.name for kind in kinds] == ["R-on-T PVC", "PVC", "SP or EB", "unclassified"]
    assert [len(kind.shares) for kind in kinds] == [1590, 86, 175, 22]
    for kind in kinds:
        levels = [example.step_error.mean() for example in kind.examples]
        assert levels == sorted(levels)
        assert len(levels) == 3


def test_the_typical_alarm_is_an_anomalous_beat_that_raises_one_if_there_is_any() -> None:
    classes, score = np.array([1, 1, 2, 2, 2, 2]), np.array([0.9, 0.1, 0.2, 0.6, 0.7, 0.8])
    assert evaluation(classes, score, 0.5).typical_alarm() == 4
    assert evaluation(classes, score, 1.0).typical_alarm() == 4


def drawn(path: Path) -> bytes:
    wave = np.sin(np.linspace(0, 6, 140))
    draw_examples(path, [Example("a", wave, wave * 0.9, (wave * 0.1) ** 2), Example("b", wave, wave, wave * 0)])
    return path.read_bytes()


def test_a_figure_does_not_depend_on_the_users_matplotlib(tmp_path: Path) -> None:
    plain = drawn(tmp_path / "plain.png")
    with mpl.rc_context({"font.size": 23, "axes.facecolor": "black", "savefig.dpi": 30, "figure.dpi": 30}):
        assert drawn(tmp_path / "styled.png") == plain
        assert mpl.rcParams["font.size"] == 23
    with Image.open(tmp_path / "plain.png") as image:
        assert "Software" not in image.info
        assert np.unique(np.asarray(image)).size > 50


def test_one_beat_can_be_drawn_alone(tmp_path: Path) -> None:
    flat = np.zeros(5)
    draw_examples(tmp_path / "one.png", [Example("flat", flat, flat, flat)])
    assert (tmp_path / "one.png").stat().st_size > 0


def test_figures_of_explanations_are_the_same_bytes_every_time(
    tmp_path: Path, detector: Detector, test: Beats, normal: np.ndarray
) -> None:
    dataset, beats = known("ECG5000"), test.samples[4000:4003]
    verdicts = detector.score(beats, details=True)
    explanation = detector.explain(beats, normal)[0]
    examples = [Example(str(i), beats[i], verdicts.reconstruction[i], verdicts.step_error[i]) for i in range(3)]
    draw = {
        "kinds": lambda path: figures.draw_kinds(
            path, [Kind("PVC", contributions(verdicts.step_error), examples)], dataset.segments
        ),
        "alarm": lambda path: figures.draw_explanation(path, "PVC", explanation, dataset.segments),
        "stranger": lambda path: figures.draw_explanation(path, "class 2", explanation, ()),
        "sheet": lambda path: draw_examples(path, examples, columns=5),
        "nothing": lambda path: draw_examples(path, []),
    }
    for figure in draw.values():
        assert_drawn_alike_whatever_matplotlib_is_set_to(figure, tmp_path)
