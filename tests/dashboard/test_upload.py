"""The view of beats that are uploaded."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg.dashboard import results, upload
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from tests.conftest import calibrating
from tests.dashboard.conftest import DATASET, Open, as_csv, drawn, messages, switched, uploading


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
