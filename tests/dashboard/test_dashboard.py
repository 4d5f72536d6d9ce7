import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from ecg.dashboard import charts, recording, results, threshold, timeline_charts, upload
from ecg.dashboard.beat import list_regions
from ecg.dashboard.browse import ALL_CLASSES
from ecg.dashboard.messages import escape_markdown
from ecg.dashboard.page import lower_headings
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.explanation import Region
from ecg.detector.model import MODEL
from ecg.evaluation import drawing
from ecg.evaluation.card import card
from ecg.evaluation.metrics import ConfusionMatrix
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.recordings.signals import UnusableSegment
from ecg.scanning.display import format_time
from ecg.scanning.records import ScannedBeats
from ecg.scanning.scan import scan
from tests.conftest import ROOT, calibrating, forget, prepare, ship

DATASET = dataset_named("ECG5000")
Open = Callable[[str], AppTest]


@pytest.fixture
def models(tmp_path: Path, detector: Detector, onnx_model: bytes, committed: Params, test: Beats) -> Path:
    ship(tmp_path / "models", detector, onnx_model, committed, test)
    return tmp_path / "models"


@pytest.fixture
def data(tmp_path: Path, test: Beats, normal: np.ndarray) -> Path:
    return prepare(tmp_path / "processed", test, normal)


@pytest.fixture
def opened(models: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the dashboard of these at a view; it is drawn without an exception."""
    monkeypatch.setenv("ECG_MODELS", str(models))
    monkeypatch.setenv("ECG_TEST_BEATS", str(data))

    def opened(view: str) -> AppTest:
        app = AppTest.from_file(ROOT / "ecg" / "dashboard" / "app.py", default_timeout=30)
        app.query_params["view"] = view
        return drawn(app.run())

    return opened


def drawn(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def switched(app: AppTest, view: str) -> AppTest:
    """The same session at another view."""
    app.query_params["view"] = app.session_state["view"] = view
    return drawn(app.run())


def beat_title(app: AppTest) -> str:
    """The title of the beat that is shown."""
    (title,) = [text.value for text in app.markdown if "est beat" in text.value]
    return title.strip("*")


def title_of(index: int, test: Beats) -> str:
    return f"Test beat {index}: {DATASET.class_name(test.classes[index])}"


def messages(app: AppTest) -> str:
    """All errors and other messages on the page."""
    return "\n".join(f"{alert.proto.title}\n{alert.value}" for alert in (*app.error, *app.info))


def with_errors_of_fitted_beats(models: Path, detector: Detector, errors: TrainingErrors) -> None:
    """Calibrate without held-out beats: no p-values."""
    without = TrainingErrors(errors.fold, errors.fitted, None)
    thresholds.calibrate(without, calibrating(method="percentile"), detector.model.sha256).save(models / CALIBRATION)
    (models / PROVENANCE).unlink()


# Beats


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


# Threshold


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.5])
def test_the_figures_are_those_of_the_chosen_alpha(opened: Open, detector: Detector, test: Beats, alpha: float) -> None:
    verdicts, anomalous = detector.score(test.samples), test.classes != 1
    alarms = verdicts.p_value <= alpha * (1 + 1e-12)
    counts = ConfusionMatrix.of(alarms, anomalous)
    app = opened("Threshold")
    drawn(app.select_slider(key="alpha").set_value(alpha).run())
    (matrix,) = [text.value for text in app.markdown if text.value.startswith("| | alarm")]
    cells = re.findall(r"\[\*\*([\d,]+)\*\* ([\w ]+)\]", matrix)
    assert cells == [
        (f"{counts.true_positives:,}", "true positives"),
        (f"{counts.false_negatives:,}", "misses"),
        (f"{counts.false_positives:,}", "false alarms"),
        (f"{counts.true_negatives:,}", "true negatives"),
    ]
    assert {metric.label: metric.value for metric in app.metric} == {
        "False-alarm rate": f"{counts.false_positive_rate:.2%}",
        "Recall": f"{counts.recall:.4f}",
        "Precision": f"{counts.precision:.4f}",
        "F1": f"{counts.f1:.4f}",
    }
    assert app.metric[0].delta == f"promised {int(alpha * 293 + 1e-9) / 293:.2%}"
    false, missed = (set(table.value["test beat"]) for table in app.dataframe)
    assert false == set(np.flatnonzero(alarms & ~anomalous))
    assert missed == set(np.flatnonzero(~alarms & anomalous))
    assert [heading.value for heading in app.subheader][2:] == [
        f"False alarms: {len(false):,}",
        f"Misses: {len(missed):,}",
    ]


def test_the_worst_false_alarms_and_misses_come_first(opened: Open) -> None:
    false, missed = (table.value["score"].to_numpy() for table in opened("Threshold").dataframe)
    assert (np.diff(false) <= 0).all()
    assert (np.diff(missed) >= 0).all()


def test_alpha_holds_for_all_views(opened: Open, detector: Detector, test: Beats) -> None:
    app = opened("Threshold")
    assert "at most 0.05 (as calibrated)" in app.caption[0].value
    app.select_slider(key="alpha").set_value(0.2).run()
    app = switched(app, "Beats")
    assert "at most 0.2 (calibrated: at most 0.05)" in app.caption[0].value
    app.segmented_control(key="verdict").set_value("Alarms").run()
    alarms = detector.score(test.samples, 0.2).anomalous.sum()
    assert f"{alarms:,} of 4,500 test beats" in [caption.value for caption in app.caption]
    assert switched(app, "Threshold").select_slider(key="alpha").value == 0.2


def test_without_p_values_the_verdicts_are_as_calibrated_and_a_message_says_so(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors, test: Beats
) -> None:
    with_errors_of_fitted_beats(models, detector, errors)
    app = opened("Threshold")
    assert not app.select_slider
    assert "Alpha is fixed: the model was calibrated without held-out beats" in messages(app)
    alarms = Detector.load(models).score(test.samples).anomalous
    assert app.subheader[2].value == f"False alarms: {(alarms & (test.classes == 1)).sum():,}"
    assert app.metric[0].delta == "none promised"


def test_where_the_method_has_no_alpha_the_slider_starts_as_calibrated(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors, test: Beats
) -> None:
    calibration = thresholds.calibrate(errors, calibrating(method="percentile"), detector.model.sha256)
    calibration.save(models / CALIBRATION)
    (models / PROVENANCE).unlink()
    app = opened("Threshold")
    assert app.select_slider(key="alpha").value is None
    for alpha in (None, 0.1):
        drawn(app.select_slider(key="alpha").set_value(alpha).run())
        alarms = Detector(detector.model, calibration).score(test.samples, alpha).anomalous
        assert app.subheader[2].value == f"False alarms: {(alarms & (test.classes == 1)).sum():,}"


def test_an_alpha_that_a_new_model_cannot_have_gives_way_to_its_own(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    app = opened("Threshold")
    app.select_slider(key="alpha").set_value(threshold.alphas(detector.calibration)[0]).run()
    settings = calibrating(method="conformal_conditional", alpha=0.1)
    thresholds.calibrate(errors, settings, detector.model.sha256).save(models / CALIBRATION)
    assert "at most 0.1 (as calibrated)" in drawn(app.run()).caption[0].value
    assert app.select_slider(key="alpha").value == 0.1


@pytest.mark.parametrize("method", ["percentile", "conformal", "conformal_conditional", "pot"])
def test_a_verdict_is_possible_at_every_step_of_the_slider(errors: TrainingErrors, method: str) -> None:
    calibration = thresholds.calibrate(errors, calibrating(method=method), "0" * 64)
    steps = [alpha for alpha in threshold.alphas(calibration) if alpha is not None]
    for alpha in steps:
        calibration.check_alpha(alpha)
    assert steps == sorted(set(steps))
    assert steps[0] == pytest.approx(calibration.smallest_p, rel=0.01)
    assert steps[-1] == 0.5
    assert calibration.alpha is None or calibration.alpha in steps


def test_the_promised_rate_is_the_attainable_one(errors: TrainingErrors) -> None:
    def promised(method: str, alpha: float | None) -> float | None:
        calibration = thresholds.calibrate(errors, calibrating(method=method), "0" * 64)
        return calibration.promised(alpha)

    assert promised("conformal", None) == 14 / 293
    assert promised("conformal", 0.1) == 29 / 293
    assert promised("pot", 0.1) == 0.1
    assert promised("percentile", None) is None


def test_normal_beats_alone_have_no_roc_curve(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, test.where(test.classes == 1))
    assert "The labelled test beats are all normal: there is no recall" in messages(opened("Threshold"))


# Unlabelled beats


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


# Your beats


def as_csv(samples: np.ndarray, labels: list[str] | None = None) -> bytes:
    frame = pd.DataFrame(samples)
    if labels is not None:
        frame.insert(0, "who", labels)
    return frame.to_csv(index=False).encode()


def uploading(opened: Open, name: str, content: bytes) -> AppTest:
    app = opened("Your beats")
    app.file_uploader(key="upload").set_value((name, content, "application/octet-stream"))
    return drawn(app.run())


def test_verdicts_on_uploaded_beats_are_the_detectors(opened: Open, detector: Detector, test: Beats) -> None:
    samples = test.samples[::100]
    verdicts = detector.score(samples)
    app = uploading(opened, "mine.csv", as_csv(samples, [f"beat 00{i}" for i in range(len(samples))]))
    table = app.dataframe[0].value
    assert table.columns.tolist() == ["beat", "who", "score", "p_value", "anomalous"]
    assert table["who"][3] == "beat 003"
    np.testing.assert_array_equal(table["score"].to_numpy(np.float32), verdicts.score)
    np.testing.assert_array_equal(table["anomalous"], verdicts.anomalous)
    text = "\n".join(text.value for text in app.markdown)
    assert f"**45** beats, **{verdicts.anomalous.sum()}** alarms" in text
    assert f"Beat {verdicts.score.argmax()}: beat 00{verdicts.score.argmax()}" in text


@pytest.mark.parametrize("kind", ["csv", "tsv", "npy", "parquet"])
def test_each_format_of_table_gives_the_same_verdicts(detector: Detector, test: Beats, kind: str) -> None:
    frame, file = pd.DataFrame(test.samples[:30]), io.BytesIO()
    frame.columns = frame.columns.astype(str)
    if kind == "npy":
        np.save(file, test.samples[:30])
    elif kind == "parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, sep="\t" if kind == "tsv" else ",", index=False)
    file.seek(0)
    scored = upload.score(detector, file, f"mine.{kind}")
    back = pd.read_csv(io.BytesIO(scored.verdicts))
    np.testing.assert_array_equal(back["anomalous"], detector.score(test.samples[:30]).anomalous)
    np.testing.assert_allclose(scored.samples, test.samples[:30])


def test_the_table_shows_the_first_beats_and_the_file_has_all(detector: Detector, test: Beats) -> None:
    file = io.BytesIO()
    np.save(file, test.samples[: results.SHOWN + 7])
    file.seek(0)
    scored = upload.score(detector, file, "mine.npy")
    assert len(scored.table) == len(scored.samples) == results.SHOWN
    assert scored.tally.beats == len(pd.read_csv(io.BytesIO(scored.verdicts))) == results.SHOWN + 7


def test_alpha_holds_for_uploaded_beats(detector: Detector, test: Beats) -> None:
    content = as_csv(test.samples[:200])
    for alpha in (0.02, 0.3):
        scored = upload.score(detector, io.BytesIO(content), "mine.csv", alpha)
        assert scored.tally.alarms == detector.score(test.samples[:200], alpha).anomalous.sum()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("short.csv", b"1,2,3\n", "has 3 columns; the model takes 140 samples"),
        ("mine.npy", b"PK", "is not an NPY file"),
        ("mine.parquet", b"PK", "is not a Parquet file"),
        ("mine.csv", b"", "is empty"),
        ("mine.csv", b",".join([b"1"] * 139 + [b"x"]), "column 140: 'x' is not a number"),
    ],
)
def test_a_bad_file_shows_an_error_and_no_verdicts(opened: Open, name: str, content: bytes, message: str) -> None:
    app = uploading(opened, name, content)
    assert message in messages(app).replace("\\", "")
    assert not app.dataframe
    assert not app.metric


def test_a_file_without_beats_shows_a_message(opened: Open) -> None:
    header = ",".join(map(str, range(140))).encode() + b"\n"
    assert "The file is empty" in messages(uploading(opened, "mine.csv", header))


def test_uploaded_beats_are_scored_again_after_a_new_calibration(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors, test: Beats
) -> None:
    app = uploading(opened, "mine.csv", as_csv(test.samples[::100]))
    calibration = thresholds.calibrate(errors, calibrating(method="pot"), detector.model.sha256)
    calibration.save(models / CALIBRATION)
    drawn(app.run())
    expected = Detector(detector.model, calibration).score(test.samples[::100]).p_value
    np.testing.assert_allclose(app.dataframe[0].value["p_value"], expected, rtol=1e-6)


@pytest.mark.parametrize("labels", [["007", "8", "1.0"], ["a", "NA", ""]])
def test_labels_of_uploaded_beats_stay_as_they_are_written(detector: Detector, test: Beats, labels: list[str]) -> None:
    scored = upload.score(detector, io.BytesIO(as_csv(test.samples[:3], labels)), "mine.csv")
    assert scored.table["who"].tolist() == labels


def test_the_name_of_an_uploaded_file_is_not_interpreted_as_markdown(opened: Open) -> None:
    assert r"\*mine\*.csv is empty" in uploading(opened, "*mine*.csv", b"").error[0].value


def test_an_uploaded_beat_is_chosen_by_its_number_and_shown_with_its_label(opened: Open, test: Beats) -> None:
    app = uploading(opened, "mine.csv", as_csv(test.samples[:3], ["a", "*b*", "c"]))
    drawn(app.number_input[0].set_value(1).run())
    assert r"**Beat 1: \*b\***" in [text.value for text in app.markdown]


def test_a_file_stays_in_other_views_and_its_verdicts_go_when_it_is_removed(opened: Open, test: Beats) -> None:
    app = uploading(opened, "mine.csv", as_csv(test.samples[:5]))
    app = switched(switched(app, "Model card"), "Your beats")
    assert len(app.dataframe[0].value) == 5
    drawn(app.file_uploader(key="upload").set_value(None).run())
    assert "No file yet" in messages(app)
    assert upload.RESULT not in app.session_state


def test_the_example_can_be_uploaded(detector: Detector, test: Beats) -> None:
    content = upload.example(detector, test)
    scored = upload.score(detector, io.BytesIO(content), "example.csv")
    assert scored.table["class"].value_counts().to_dict() == dict.fromkeys(DATASET.classes.values(), upload.EXAMPLES)
    alone = upload.score(detector, io.BytesIO(upload.example(detector, None)), "example.csv")
    assert alone.table["class"].tolist() == ["reconstruction"]


# Your recording


def as_table(lead: np.ndarray) -> bytes:
    """A lead of 360 samples a second as CSV, with a column of seconds."""
    frame = pd.DataFrame({"seconds": np.arange(len(lead)) / 360, "II": lead})
    return frame.to_csv(index=False, float_format="%.5f").encode()


def as_npy(lead: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, lead)
    return file.getvalue()


def recording_of(opened: Open, *files: tuple[str, bytes]) -> AppTest:
    app = opened("Your recording")
    app.file_uploader(key="recording").set_value([(*file, "application/octet-stream") for file in files])
    return drawn(app.run())


def test_the_alarms_of_a_recording_are_shown_with_its_figures_and_warnings(
    opened: Open, detector: Detector, toy: np.ndarray, tmp_path: Path
) -> None:
    content = as_table(toy)
    (tmp_path / "mine.csv").write_bytes(content)
    expected = scan(detector, str(tmp_path / "mine.csv"), "II")
    app = recording_of(opened, ("mine.csv", content))
    assert {metric.label: metric.value for metric in app.metric} == {
        "Beats": f"{len(expected.beats):,}",
        "Alarms": f"{len(expected.beats.alarms):,}",
        "Alarms per hour": f"{expected.summary()['alarms_per_hour']:,.0f}",
        "Heart rate": f"{expected.summary()['heart_rate']:.0f}",
    }
    assert [warning.value for warning in app.warning] == [escape_markdown(warning) for warning in expected.warnings]
    table = app.dataframe[0].value
    alarms = expected.beats.alarms
    np.testing.assert_array_equal(table["score"], expected.beats.score[alarms])
    assert table["time"][0] == format_time(expected.beats.seconds[alarms[0]])
    assert "**mine**, lead II, 5.0 minutes, 360 Hz" in "\n".join(text.value for text in app.markdown)
    # The same session, another view and back; another threshold; and without the file.
    app = switched(switched(app, "Model card"), "Your recording")
    assert len(app.dataframe[0].value) == len(table)
    drawn(app.toggle(key="adaptive").set_value(False).run())
    assert app.dataframe[0].value["threshold"].unique() == pytest.approx(detector.calibration.threshold)
    drawn(app.file_uploader(key="recording").set_value(None).run())
    assert "No recording yet" in messages(app)
    assert recording.RESULT not in app.session_state


def test_a_recording_without_a_sampling_rate_is_scanned_once_the_rate_is_entered(opened: Open, toy: np.ndarray) -> None:
    app = recording_of(opened, ("mine.npy", as_npy(toy[:21_600])))
    assert "This recording cannot be scanned\nmine.npy does not state its sampling rate" in messages(app)
    assert not app.metric
    drawn(app.number_input(key="rate").set_value(360.0).run())
    assert not app.error
    assert app.metric
    drawn(app.text_input(key="lead").set_value("V5").run())
    assert "mine.npy has no lead 'V5'" in messages(app)
    assert not app.metric


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["100.dat"], "100.dat has no header"),
        (["100.hea", "101.hea", "100.dat"], "more than one recording"),
        (["100.hea", "mine.csv"], "more than one recording"),
        (["mine.csv", "mine.npy"], "more than one recording"),
        (["mine.csv", "mine.csv"], "two files have the same name"),
        ([".npy"], "should not begin with a dot"),
        (["mine\n.npy"], "cannot be used as a file name"),
    ],
)
def test_files_that_are_not_one_recording_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recording.main_file(recording.safe_names(names))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["100.dat"], "100.dat has no header"),
        (["100.hea", "100.dat"], "This recording cannot be scanned\n100.hea is not a valid WFDB header"),
    ],
)
def test_the_error_of_a_recording_that_cannot_be_read_has_no_temporary_path(
    opened: Open, names: list[str], message: str
) -> None:
    app = recording_of(opened, *((name, b"") for name in names))
    assert message in messages(app)
    assert tempfile.gettempdir() not in messages(app)
    assert not app.metric


def test_folders_in_the_names_of_files_are_ignored() -> None:
    assert recording.safe_names(["../../etc/100.hea", r"C:\ecg\100.dat"]) == ["100.hea", "100.dat"]
    with pytest.raises(InputError):
        recording.safe_names(["mine/.."])


def test_no_temporary_file_of_an_uploaded_recording_remains(
    opened: Open, toy: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert recording_of(opened, ("mine.csv", as_table(toy[:21_600]))).metric
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("missing", ["scipy.ndimage", "neurokit2"])
def test_if_a_package_that_reads_recordings_is_missing_the_extra_is_named(
    missing: str, opened: Open, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("ecg.scanning.", "ecg.recordings."))]:
        forget(monkeypatch, name)
    monkeypatch.setitem(sys.modules, missing, None)
    app = recording_of(opened, ("mine.csv", as_table(toy[:21_600])))
    (error,) = app.error
    assert error.proto.title == "This recording cannot be scanned"
    message = error.value.replace("\\", "")
    assert message == f"reading recordings needs {missing}: pip install 'ecg-anomaly-detector[recordings]'"


def test_only_some_beats_of_a_long_recording_are_drawn(detector: Detector, toy: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_bytes(as_npy(toy[:21_600]))
    short = scan(detector, str(tmp_path / "mine.npy"), rate=360)
    many = 20_000
    seconds, anomalous = np.linspace(0, 86_400, many, endpoint=False), np.arange(many) % 2 == 0
    columns = dict.fromkeys(("rr_before", "rr_after", "quality", "score", "p_value"), np.ones(many))
    beats = ScannedBeats(seconds=seconds, anomalous=anomalous, threshold=np.full(many, 0.5), **columns)
    without_alarm, alarms = timeline_charts.drawn_beats(beats)
    assert (len(without_alarm), len(alarms)) == (timeline_charts.MOST_NORMAL, timeline_charts.MOST_ALARMS)
    assert not anomalous[without_alarm].any()
    assert anomalous[alarms].all()
    long = replace(
        short,
        recording=replace(short.recording, length=86_400 * 360),
        beats=beats,
        unusable=[UnusableSegment(5, 9, "flat")],
    )
    with alt.data_transformers.disable_max_rows():
        specs = [chart.to_dict() for chart in timeline_charts.timeline(long)]
    text = json.dumps(specs)
    assert "hours from the start" in text
    assert "NaN" not in text
    rows = sorted(len(rows) for spec in specs for rows in spec["datasets"].values())
    assert rows[-2:] == [timeline_charts.MOST_STEPS, timeline_charts.MOST_NORMAL + timeline_charts.MOST_ALARMS]


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_recording_is_scanned_at_the_alpha_that_is_set(
    alpha: float, opened: Open, models: Path, toy: np.ndarray, tmp_path: Path
) -> None:
    """With a threshold that stays the same, whether alpha is the calibrated one or another."""
    (tmp_path / "mine.csv").write_bytes(as_table(toy))
    expected = scan(Detector.load(models), str(tmp_path / "mine.csv"), "II", alpha=alpha, adaptive=False).beats
    app = opened("Threshold")
    drawn(app.select_slider(key="alpha").set_value(alpha).run())
    app = switched(app, "Your recording")
    app.file_uploader(key="recording").set_value([("mine.csv", as_table(toy), "text/csv")])
    app.toggle(key="adaptive").set_value(False)
    table = drawn(app.run()).dataframe[0].value
    np.testing.assert_array_equal(table["score"], expected.score[expected.alarms])
    assert set(table["threshold"]) == set(expected.threshold)
    assert "Line: the threshold, fixed." in "\n".join(caption.value for caption in app.caption)


# The model card


def test_the_card_is_shown_below_the_title_of_the_page(opened: Open, models: Path) -> None:
    app = opened("Model card")
    (text,) = [text.value for text in app.markdown if "Model card" in text.value]
    assert text.strip() == lower_headings(card(Provenance.load(models))).strip()
    assert not re.search(r"^# ", text, re.MULTILINE)


def test_a_model_without_provenance_shows_that_it_has_no_card(opened: Open, models: Path) -> None:
    (models / PROVENANCE).unlink()
    assert "This model has no card" in messages(opened("Model card"))
    assert "class 1 is assumed" in "\n".join(caption.value for caption in opened("Beats").caption)


def test_a_card_of_another_model_is_not_shown(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    thresholds.calibrate(errors, calibrating(alpha=0.1), detector.model.sha256).save(models / CALIBRATION)
    app = opened("Model card")
    assert "is not the file that" in messages(app)
    assert not [text for text in app.markdown if "Model card" in text.value]


def test_a_provenance_that_lacks_an_entry_of_the_card_shows_the_remedy(opened: Open, models: Path) -> None:
    made = Provenance.load(models)
    made.model_copy(update={"metrics": {}}).save(models)
    assert "does not say 'alarms'; run `dvc repro`" in messages(opened("Model card"))


# Missing files


@pytest.mark.parametrize("view", ["Beats", "Threshold", "Your beats", "Your recording", "Model card"])
def test_every_view_says_not_a_medical_device(opened: Open, view: str) -> None:
    assert "Not a medical device" in opened(view).caption[0].value


def test_without_a_model_there_is_one_error_with_the_remedy_and_nothing_else(opened: Open, models: Path) -> None:
    (models / MODEL).unlink()
    app = opened("Beats")
    assert len(app.error) == 1
    assert "is missing; `dvc repro` makes it" in messages(app)
    assert not app.tabs


def test_a_damaged_model_shows_the_remedy_too(opened: Open, models: Path) -> None:
    (models / MODEL).write_bytes(b"damaged")
    app = opened("Beats")
    assert "run `dvc repro`" in messages(app)
    assert not app.tabs


@pytest.mark.parametrize("view", ["Beats", "Threshold"])
def test_without_test_beats_the_command_that_makes_them_is_named(opened: Open, data: Path, view: str) -> None:
    data.unlink()
    app = opened(view)
    assert "There are no test beats" in messages(app)
    assert "`dvc repro` makes it" in messages(app)


def test_without_test_beats_uploads_are_scored_and_the_card_is_shown(opened: Open, data: Path, test: Beats) -> None:
    data.unlink()
    assert len(uploading(opened, "mine.csv", as_csv(test.samples[:5])).dataframe[0].value) == 5
    assert any("Model card" in text.value for text in opened("Model card").markdown)


def test_test_beats_of_another_length_show_an_error(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, Beats(test.samples[:, :100], test.classes))
    assert "the model takes" in messages(opened("Beats"))


def test_test_beats_without_a_class_each_show_an_error(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, Beats(test.samples, test.classes[:10]))
    assert "should hold an integer class for each beat" in messages(opened("Beats")).replace("\\", "")


def test_a_new_model_is_loaded_without_a_restart(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    app = opened("Beats")
    thresholds.calibrate(errors, calibrating(alpha=0.1), detector.model.sha256).save(models / CALIBRATION)
    assert "at most 0.1 (as calibrated)" in drawn(app.run()).caption[0].value


def test_text_from_a_file_is_not_interpreted_as_markdown() -> None:
    assert escape_markdown("![x](http://a) is *bad*; `dvc repro`") == (r"\!\[x\](http\://a) is \*bad\*; `dvc repro`")
    assert escape_markdown("a ` alone") == r"a \` alone"


# Charts


def test_lines_differ_by_dash_and_not_by_colour_alone(detector: Detector, test: Beats, normal: np.ndarray) -> None:
    (explanation,) = detector.explain(test.samples[:1], normal)
    spec = charts.beat_charts(explanation, DATASET.segments)[0].to_dict()
    (lines,) = [layer["encoding"] for layer in spec["layer"] if layer["mark"]["type"] == "line"]
    for channel in ("color", "strokeDash"):
        values = lines[channel]["scale"]["range"]
        assert len({str(value) for value in values}) == len(lines[channel]["scale"]["domain"]) == 3


# Linear RGB as seen with no working cones of one kind: Machado, Oliveira, Fernandes 2009.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    "none": np.eye(3).tolist(),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 0, 1) / (TO_XYZ @ np.ones(3)))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_differ_for_the_colour_blind(blindness: str) -> None:
    seen = np.array(BLINDNESS[blindness])
    calm, alarming = (lab(seen @ linear(colour)) for colour in (charts.CALM, charts.ALARMING))
    assert np.linalg.norm(calm - alarming) > 40  # CIE76; 2.3 is the least that people notice


def test_the_dashboard_has_the_colours_of_the_figures() -> None:
    assert (charts.CALM, charts.ALARMING) == (drawing.CALM, drawing.ALARMING)


@pytest.mark.parametrize("background", ["#ffffff", "#171614"])
def test_lines_stand_out_from_light_and_dark_pages(background: str) -> None:
    for colour in (charts.CALM, charts.ALARMING, charts.GREY):
        dark, light = sorted(TO_XYZ[1] @ linear(one) + 0.05 for one in (colour, background))
        assert light / dark >= 3  # WCAG 2.2, 1.4.11


def test_the_dashboard_imports_no_package_of_training_or_figures() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, ecg.dashboard.page; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "streamlit" in loaded
    assert not {"torch", "matplotlib", "dvc", "onnx"} & set(loaded)
