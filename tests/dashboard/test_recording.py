"""The view of a recording that is uploaded."""

import io
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ecg.dashboard import recording, timeline_charts
from ecg.dashboard.messages import escape_markdown
from ecg.detector.detector import Detector
from ecg.exceptions import InputError
from ecg.hearts.model import HeartModel
from ecg.recordings.signals import UnusableSegment
from ecg.scanning.display import format_time
from ecg.scanning.records import ScannedBeats
from ecg.scanning.scan import scan
from tests.conftest import forget
from tests.dashboard.conftest import Open, as_table, drawn, messages, switched


def as_npy(lead: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, lead)
    return file.getvalue()


def recording_of(opened: Open, *files: tuple[str, bytes]) -> AppTest:
    app = opened("Your recording")
    app.file_uploader(key="recording").set_value([(*file, "application/octet-stream") for file in files])
    return drawn(app.run())


@pytest.mark.parametrize("own", [False, True])
def test_the_alarms_of_a_recording_are_shown_with_its_figures_and_warnings(
    own: bool, opened: Open, detector: Detector, toy: np.ndarray, tmp_path: Path
) -> None:
    """By the model of normal hearts, and by the model that the page shows."""
    content = as_table(toy)
    (tmp_path / "mine.csv").write_bytes(content)
    model = detector if own else HeartModel.load()
    expected = scan(model, str(tmp_path / "mine.csv"), "II")
    app = opened("Your recording")
    app.file_uploader(key="recording").set_value([("mine.csv", content, "application/octet-stream")])
    app.toggle(key="own model").set_value(own)
    drawn(app.run())
    assert {metric.label: metric.value for metric in app.metric} == {
        "Beats": f"{len(expected.beats):,}",
        "Alarms": f"{len(expected.beats.alarms):,}",
        "Unlike the start": f"{expected.summary()['alarms_from_start']:,}",
        "Alarms per hour": f"{expected.summary()['alarms_per_hour']:,.0f}",
        "Heart rate": f"{expected.summary()['heart_rate']:.0f}",
    }
    assert [warning.value for warning in app.warning] == [escape_markdown(warning) for warning in expected.warnings]
    table = app.dataframe[0].value
    alarms = expected.beats.alarms
    np.testing.assert_array_equal(table["score"], expected.beats.score[alarms])
    assert table["time"][0] == format_time(expected.beats.seconds[alarms[0]])
    assert ("why" in table) == (not own)
    assert own or table["why"].tolist() == expected.beats.why[alarms].tolist()
    captions = "\n".join(caption.value for caption in app.caption)
    assert f"Judged by {expected.judged_by}, at alpha {expected.alpha:g}." in captions
    assert "**mine**, lead II, 5.0 minutes, 360 Hz" in "\n".join(text.value for text in app.markdown)
    # The same session, another view and back; another threshold; and without the file.
    app = switched(switched(app, "Model card"), "Your recording")
    assert len(app.dataframe[0].value) == len(table)
    drawn(app.toggle(key="adaptive").set_value(False).run())
    threshold = model.calibration.threshold if own else model.calibration.threshold()
    assert app.dataframe[0].value["threshold"].unique() == pytest.approx(threshold)
    fixed = scan(model, str(tmp_path / "mine.csv"), "II", adaptive=False).beats
    np.testing.assert_array_equal(app.dataframe[0].value["score"], fixed.score[fixed.alarms])
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


@pytest.mark.parametrize("missing", ["scipy.ndimage", "scipy.signal"])
def test_if_a_package_that_reads_recordings_is_missing_the_extra_is_named(
    missing: str, opened: Open, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = [name for name in sys.modules if name.startswith(("ecg.scanning.", "ecg.recordings."))]
    for name in sorted(imported, reverse=True):  # a module before its package
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
    verdicts = {"anomalous": anomalous, "anomalous_from_start": anomalous, "why": np.full(many, "")}
    beats = ScannedBeats(seconds=seconds, threshold=np.full(many, 0.5), **columns, **verdicts)
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
    app.toggle(key="own model").set_value(True)
    app.toggle(key="adaptive").set_value(False)
    table = drawn(app.run()).dataframe[0].value
    np.testing.assert_array_equal(table["score"], expected.score[expected.alarms])
    assert set(table["threshold"]) == set(expected.threshold)
    assert "Line: the threshold." in "\n".join(caption.value for caption in app.caption)


def test_the_model_of_normal_hearts_has_its_own_alarm_setting(opened: Open, toy: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(as_table(toy))
    model = HeartModel.load()
    app = recording_of(opened, ("mine.csv", as_table(toy)))
    setting = app.select_slider(key="alpha of normal hearts")
    assert setting.value == model.calibration.alpha
    drawn(setting.set_value(0.1).run())
    expected = scan(model, str(tmp_path / "mine.csv"), "II", alpha=0.1).beats
    np.testing.assert_array_equal(app.dataframe[0].value["score"], expected.score[expected.alarms])
    app.toggle(key="own model").set_value(True)
    drawn(app.run())
    assert not app.select_slider  # the page's model has that of the view of its threshold


def test_a_change_since_the_start_is_shown(opened: Open, toy: np.ndarray, tmp_path: Path) -> None:
    content = as_table(np.concatenate([toy, -toy[: len(toy) // 2]]))
    (tmp_path / "mine.csv").write_bytes(content)
    (change,) = scan(HeartModel.load(), str(tmp_path / "mine.csv"), "II").changes
    app = recording_of(opened, ("mine.csv", content))
    assert escape_markdown(f"U{str(change)[1:]}.") in [info.value for info in app.info]


def test_what_is_no_ecg_is_refused(opened: Open) -> None:
    app = recording_of(opened, ("mine.csv", as_table(np.random.default_rng(0).normal(size=36_000))))
    assert "This recording cannot be scanned\nmine.csv, lead II, is no ECG: " in messages(app).replace("\\", "")
    assert not app.metric
