"""The view of the test beats, with and without classes."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from ecg.dashboard import threshold
from ecg.dashboard.beat import OUTCOMES, list_regions
from ecg.dashboard.browse import ALL_CLASSES
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.detector.explanation import Region
from ecg.evaluation.metrics import ConfusionMatrix
from tests.dashboard.conftest import DATASET, Open, beat_title, drawn, messages, switched, title_of


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (None, "All"),
        (None, "Alarms"),
        (None, "False alarms"),
        (None, "Misses"),
        (None, "No alarm"),
        (3, "Misses"),
        (1, "False alarms"),
        (1, "Misses"),
    ],
)
def test_beats_are_browsed_by_class_and_verdict(
    opened: Open, detector: Detector, test: Beats, label: int | None, verdict: str
) -> None:
    score, alarms = detector.score(test.samples).score, detector.score(test.samples).anomalous
    anomalous = test.classes != 1
    selected = {
        "All": np.ones(len(test), bool),
        "Alarms": alarms,
        "False alarms": alarms & ~anomalous,
        "Misses": ~alarms & anomalous,
        "No alarm": ~alarms,
    }[verdict] & (True if label is None else test.classes == label)
    app = opened("Beats")
    app.selectbox(key="class").set_value(ALL_CLASSES if label is None else label)
    app.segmented_control(key="verdict").set_value(verdict)
    drawn(app.run())
    if not selected.any():
        assert "No test beat has this class and verdict" in messages(app)
        assert not app.number_input
        return
    assert f"{selected.sum():,} of 4,500 test beats" in [caption.value for caption in app.caption]
    assert beat_title(app) == title_of(int(np.where(selected, score, -np.inf).argmax()), test)
    app.selectbox(key="order").set_value("Lowest score first")
    assert beat_title(drawn(app.run())) == title_of(int(np.where(selected, score, np.inf).argmin()), test)


def number_of_beat(app: AppTest) -> NumberInput:
    (number,) = app.number_input
    return number


def test_beats_are_stepped_through_and_chosen_by_number(opened: Open, test: Beats) -> None:
    app = opened("Beats")
    app.selectbox(key="order").set_value("As in the file").run()
    assert beat_title(drawn(number_of_beat(app).increment().run())) == title_of(1, test)
    assert beat_title(drawn(number_of_beat(app).set_value(4500).run())) == title_of(4499, test)
    assert beat_title(drawn(number_of_beat(app).increment().run())) == title_of(4499, test)
    assert beat_title(drawn(number_of_beat(app).decrement().run())) == title_of(4498, test)
    app = switched(switched(app, "Model card"), "Beats")
    assert beat_title(app) == title_of(4498, test)


def test_another_filter_begins_at_its_first_beat(opened: Open, test: Beats) -> None:
    app = opened("Beats")
    number_of_beat(app).set_value(4500).run()
    app.selectbox(key="class").set_value(5)
    app.selectbox(key="order").set_value("As in the file").run()
    assert beat_title(drawn(app)) == title_of(int(np.flatnonzero(test.classes == 5)[0]), test)


def test_a_beat_is_chosen_within_fewer_beats_after_alpha_has_changed(opened: Open, detector: Detector) -> None:
    app = opened("Beats")
    app.segmented_control(key="verdict").set_value("Alarms").run()
    drawn(number_of_beat(app).set_value(number_of_beat(app).max).run())
    app = switched(app, "Threshold")
    app.select_slider(key="alpha").set_value(threshold.alphas(detector.calibration)[0]).run()
    app = switched(app, "Beats")
    assert number_of_beat(app).value == 1
    assert beat_title(app)


def test_a_beat_is_shown_with_its_verdict_and_where_its_score_comes_from(
    opened: Open, detector: Detector, test: Beats, normal: np.ndarray
) -> None:
    app = opened("Beats")
    index = int(re.search(r"\d+", beat_title(app))[0])
    (explanation,) = detector.explain(test.samples[[index]], normal)
    assert {metric.label: metric.value for metric in app.metric} == {
        "Score": f"{explanation.score:.4f}",
        "p-value": f"{explanation.p_value:.4f}",
    }
    text = "\n".join(text.value for text in app.markdown)
    assert "Correct alarm" in text
    assert list_regions(explanation.regions) in text


def test_the_regions_with_the_largest_shares_are_listed_and_the_others_summed_up() -> None:
    regions = [Region(10 * i, 10 * i + 5, share, ("ST",)) for i, share in enumerate([0.1] * 5 + [0.02] * 3)]
    lines = list_regions(regions).splitlines()
    assert lines[0] == "- samples 0 to 4 (ST): 10% of the score"
    assert lines[5:] == ["- 3 more: 6%"]
    assert list_regions(regions[:5]).splitlines() == lines[:5]


def test_without_training_beats_only_the_nearest_normal_beat_is_missing(opened: Open, data: Path) -> None:
    data.with_name("fit.npz").unlink()
    assert beat_title(opened("Beats"))


def unlabelled(monkeypatch: pytest.MonkeyPatch, data: Path, test: Beats, which: np.ndarray) -> None:
    """Test beats of which some are unlabelled, as a recording without annotations has them."""
    dataset, classes = replace(DATASET, unlabelled=0), np.where(which, 0, test.classes)
    monkeypatch.setattr("ecg.detector.detector.dataset_of_model", lambda _facts: dataset)
    beats.save(data, Beats(test.samples, classes))


@pytest.mark.parametrize("normal_known", [False, True])
def test_of_unlabelled_beats_only_the_alarms_are_shown(
    opened: Open, data: Path, detector: Detector, test: Beats, monkeypatch: pytest.MonkeyPatch, normal_known: bool
) -> None:
    which = test.classes != 1 if normal_known else np.ones(len(test), bool)
    unlabelled(monkeypatch, data, test, which)
    alarms = detector.score(test.samples).anomalous
    app = opened("Threshold")
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Alarms"] == f"{alarms.sum():,}"
    assert ("False-alarm rate" in numbers) == normal_known
    assert not {"Recall", "Precision", "F1"} & set(numbers)
    assert "there is no recall and no ROC curve" in messages(app)
    assert [heading.value for heading in app.subheader] == [f"Alarms: {alarms.sum():,}"]
    assert not [text for text in app.markdown if text.value.startswith("| | alarm")]
    app = switched(app, "Beats")
    verdicts = app.segmented_control(key="verdict").options
    assert verdicts == ["All", "Alarms", *(["False alarms"] if normal_known else []), "No alarm"]


def test_a_verdict_that_new_beats_cannot_have_gives_way_to_all(
    opened: Open, data: Path, test: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("Beats")
    drawn(app.segmented_control(key="verdict").set_value("Misses").run())
    unlabelled(monkeypatch, data, test, np.ones(len(test), bool))
    st.cache_resource.clear()  # the model is loaded anew
    assert "4,500 of 4,500 test beats" in [caption.value for caption in drawn(app.run()).caption]
    assert app.segmented_control(key="verdict").value == "All"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_a_correct_verdict_has_a_check_mark(outcome: tuple[bool, bool | None]) -> None:
    alarm, anomalous = outcome
    words, icon, _ = OUTCOMES[outcome]
    assert (icon == ":material/check:") == (alarm == anomalous) == ("orrect" in words)


def test_a_miss_is_shown_without_a_check_mark(opened: Open) -> None:
    app = opened("Beats")
    app.selectbox(key="order").set_value("Lowest score first")
    drawn(app.segmented_control(key="verdict").set_value("Misses").run())
    (badge,) = [text.value for text in app.markdown if "badge[" in text.value]
    assert badge == ":red-badge[:material/close: Miss]"


def test_no_misses_and_no_alarms_have_no_check_mark(opened: Open, detector: Detector) -> None:
    app = opened("Threshold")
    for alpha in (threshold.alphas(detector.calibration)[0], 0.5):
        drawn(app.select_slider(key="alpha").set_value(alpha).run())
        assert ":material/check" not in str(app.main)


def test_an_unlabelled_beat_is_neither_a_false_alarm_nor_a_miss(
    opened: Open, data: Path, detector: Detector, test: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = np.arange(len(test)) % 2 == 0
    unlabelled(monkeypatch, data, test, which)
    alarms = detector.score(test.samples).anomalous
    counts = ConfusionMatrix.of(alarms[~which], test.classes[~which] != 1)
    app = opened("Threshold")
    assert [heading.value for heading in app.subheader][2:] == [
        f"False alarms: {counts.false_positives:,}",
        f"Misses: {counts.false_negatives:,}",
    ]
    app = switched(app, "Beats")
    app.selectbox(key="class").set_value(0)
    drawn(app.segmented_control(key="verdict").set_value("Alarms").run())
    assert any(":red-badge[:material/warning: Alarm]" in text.value for text in app.markdown)
