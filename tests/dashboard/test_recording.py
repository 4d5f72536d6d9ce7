"""The view of a recording that is uploaded."""

import gc
import io
import re
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ecg.dashboard import learning, recording, scanned
from ecg.dashboard.messages import escape_markdown
from ecg.detector.detector import Detector
from ecg.exceptions import InputError
from ecg.hearts.learnt import BEATS, PATIENT
from ecg.hearts.model import HeartModel
from ecg.scanning.findings import comparison, doubts, finding
from ecg.scanning.judges import load_model
from ecg.scanning.learning import learn
from ecg.scanning.page import figures
from ecg.scanning.records import Scan
from ecg.scanning.scan import scan
from tests.conftest import forget
from tests.dashboard.conftest import Open, as_table, drawn, messages, switched

ALARMS = "alarms"


def as_npy(lead: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, lead)
    return file.getvalue()


def recording_of(opened: Open, *files: tuple[str, bytes]) -> AppTest:
    app = opened("Your recording")
    app.file_uploader(key="recording").set_value([(*file, "application/octet-stream") for file in files])
    return drawn(app.run())


def record(mitdb: Path, name: str, *endings: str) -> list[tuple[str, bytes]]:
    """The files of a WFDB record, as they are uploaded."""
    return [(f"{name}.{ending}", (mitdb / f"{name}.{ending}").read_bytes()) for ending in endings]


def words(app: AppTest) -> str:
    """All text of the page, as Markdown without its backslashes."""
    texts = [text.value for text in (*app.subheader, *app.caption, *app.markdown, *app.warning, *app.info, *app.error)]
    return "\n".join(texts).replace("\\", "").replace("\u2060", "")


def html(app: AppTest) -> str:
    return "\n".join(part.proto.body for part in app.get("html"))


def strip_at(app: AppTest) -> str:
    """What the strip below the charts shows."""
    (image,) = [image for image in app.get("image") if image.proto.imgs[0].alt.startswith("The lead")][:1]
    return image.proto.imgs[0].alt


def table_of(app: AppTest, noun: str) -> pd.DataFrame:
    (table,) = [table.value for table in app.dataframe if table.proto.alt == f"Table of {noun}"]
    return table


@pytest.mark.parametrize("own", [False, True])
def test_the_parts_of_the_report_are_shown(
    own: bool, opened: Open, detector: Detector, toy: np.ndarray, tmp_path: Path
) -> None:
    """By the model of normal hearts, and by the model that the page shows."""
    content = as_table(toy)
    (tmp_path / "mine.csv").write_bytes(content)
    expected = scan(str(tmp_path / "mine.csv"), detector if own else None, "II")
    app = opened("Your recording")
    app.file_uploader(key="recording").set_value([("mine.csv", content, "application/octet-stream")])
    app.toggle(key="own model").set_value(own)
    drawn(app.run())
    assert {metric.label: metric.value for metric in app.metric} == {
        name: value for name, value, _ in figures(expected)
    }
    assert len(app.metric) == 5
    text = words(app)
    for sentence in (finding(expected), comparison(expected), *expected.warnings, *doubts(expected), *expected.made):
        assert sentence in text
    assert f"Judged by {expected.judged_by}, at alpha {expected.alpha:g}." in text
    assert "mine, lead II" in [heading.value for heading in app.subheader]
    episodes, alarms = table_of(app, "episodes"), table_of(app, ALARMS)
    assert episodes["time"].tolist() == expected.episodes["time"].tolist()
    assert alarms["time"].tolist() == expected.alarms["time"].tolist()
    np.testing.assert_array_equal(alarms["score"], expected.alarms["score"])
    assert alarms["why"].tolist() == expected.alarms["why"].tolist()
    for kind in expected.kinds.itertuples():
        assert f'">{kind.kind}</b> <b>{kind.alarms} alarm' in html(app)
    assert "lowest, highest minute" in html(app)
    # The same session, another view and back; compared with the start; and without the file.
    app = switched(switched(app, "Model card"), "Your recording")
    assert len(table_of(app, ALARMS)) == len(alarms)
    drawn(app.toggle(key="adaptive").set_value(False).run())
    fixed = scan(str(tmp_path / "mine.csv"), detector if own else None, "II", adaptive=False)
    np.testing.assert_array_equal(table_of(app, ALARMS)["score"], fixed.alarms["score"])
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
    assert "This recording cannot be scanned\nmine.npy has no lead 'V5'" in messages(app)
    assert not app.metric


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["100.dat"], "100.dat has no header"),
        (["100.atr"], "100.atr has no header"),
        (["100.hea", "101.hea", "100.dat"], "more than one recording"),
        (["100.hea", "mine.csv"], "more than one recording"),
        (["mine.csv", "100.atr"], "more than one recording"),
        (["mine.csv", "mine.npy"], "more than one recording"),
        (["mine.csv", "mine.csv"], "two files have the same name"),
        ([".npy"], "should not begin with a dot"),
        (["mine\n.npy"], "cannot be used as a file name"),
    ],
)
def test_files_that_are_not_one_recording_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recording.main_file(recording.safe_names(names))


@pytest.mark.parametrize("names", [["100.hea", "100.dat"], ["100.hea", "100.dat", "100.atr"], ["a.edf"], ["a.zip"]])
def test_the_files_of_one_recording_are_opened_by_its_header(names: list[str]) -> None:
    assert recording.main_file(names) == names[0]


NO_ECG = as_table(np.random.default_rng(0).normal(size=36_000))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("100.dat", b"")], "These files are not one recording\n100.dat has no header"),
        ([("100.hea", b""), ("100.dat", b"")], "This file cannot be read\n100.hea is not a valid WFDB header"),
        ([("mine.npy", b"no numbers")], "This file cannot be read\nmine.npy is not a NumPy file"),
        ([("mine.csv", b"")], "This file cannot be read\nmine.csv"),
        ([("mine.edf", b"x" * 300)], "This file cannot be read\nmine.edf"),
        ([("mine.csv", NO_ECG)], "This recording cannot be scanned\nmine.csv, lead II, is no ECG: "),
        ([("mine.csv", as_table(np.sin(np.arange(3600.0))))], "This recording cannot be scanned\nmine.csv has 10 s"),
    ],
)
def test_a_file_that_cannot_be_read_and_a_recording_that_cannot_be_scanned_have_their_own_errors(
    opened: Open, files: list[tuple[str, bytes]], message: str
) -> None:
    app = recording_of(opened, *files)
    assert message in messages(app).replace("\\", "")
    assert len(app.error) == 1
    assert tempfile.gettempdir() not in messages(app)
    assert not app.metric


@pytest.mark.parametrize(
    ("view", "key", "content"), [("Your recording", "recording", NO_ECG), ("Your beats", "upload", b"")]
)
def test_an_error_stands_directly_below_the_upload(opened: Open, view: str, key: str, content: bytes) -> None:
    app = opened(view)
    file = ("mine.csv", content, "text/csv")
    app.file_uploader(key=key).set_value([file] if key == "recording" else file)
    drawn(app.run())
    (tab,) = [tab for tab in app.tabs if tab.label == view]
    upload, first, *_ = tab.children.values()
    assert upload.type == "file_uploader"
    assert [element.type for element in first.children.values() if element.type == "error"] == ["error"]


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


def test_progress_is_shown_until_the_scan_is_done(
    opened: Open, toy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[float, str] | str] = []

    class Bar:
        def progress(self, share: float, text: str) -> None:
            shown.append((share, text))

        def empty(self) -> None:
            shown.append("done")

    def progress(share: float, text: str) -> Bar:
        shown.append((share, text))
        return Bar()

    monkeypatch.setattr(st, "progress", progress)
    recording_of(opened, ("*mine*.csv", as_table(np.tile(toy, 3))))
    *shares, last = shown
    assert last == "done"
    assert {text for _, text in shares} == {r"Scanning \*mine\*.csv"}
    assert len(shares) == 1 + 3 + 2  # at first, of each five minutes, of the verdicts, and of the rest
    assert [share for share, _ in shares] == sorted({share for share, _ in shares})
    assert (shares[0][0], shares[-1][0]) == (0, 1)


class InParts(io.BytesIO):
    """An uploaded file that must be read in parts: the whole of it in one piece would be another copy in memory."""

    name = "mine.csv"

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 < size <= recording.COPIED
        return super().read(size)

    def getbuffer(self) -> memoryview:
        pytest.fail("this makes a copy")


def test_an_uploaded_file_is_written_in_parts_and_whole() -> None:
    content = bytes(range(256)) * (recording.COPIED // 100)
    file = InParts(content)
    file.seek(99)  # an earlier scan has read it
    with recording.written([file]) as path:
        assert path.read_bytes() == content
    assert not path.exists()


def test_a_session_keeps_one_scan(opened: Open, toy: np.ndarray) -> None:
    app = recording_of(opened, ("mine.csv", as_table(toy[:43_200])))
    drawn(app.select_slider(key="alpha of normal hearts").set_value(0.02).run())
    drawn(app.select_slider(key="alpha of normal hearts").set_value(0.1).run())
    gc.collect()
    kept = [each for each in gc.get_objects() if type(each) is Scan]
    assert [each.alpha for each in kept] == [0.1]


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


def test_each_model_has_an_alarm_setting_of_this_view(
    opened: Open, models: Path, toy: np.ndarray, tmp_path: Path
) -> None:
    """That of the view of the threshold changes neither."""
    (tmp_path / "mine.csv").write_bytes(as_table(toy))

    def expected(model: Detector | None, alpha: float | None) -> np.ndarray:
        return scan(str(tmp_path / "mine.csv"), model, "II", alpha=alpha, adaptive=False).alarms["score"].to_numpy()

    app = opened("Threshold")
    drawn(app.select_slider(key="alpha").set_value(0.3).run())
    app = switched(app, "Your recording")
    app.file_uploader(key="recording").set_value([("mine.csv", as_table(toy), "text/csv")])
    app.toggle(key="adaptive").set_value(False)
    detector = Detector.load(models)
    for key, model, other in (
        ("alpha of normal hearts", None, 0.1),
        ("alpha of this page's model", detector, 0.2),
    ):
        app.toggle(key="own model").set_value(model is not None)
        drawn(app.run())
        (setting,) = app.select_slider
        assert setting.key == key
        assert setting.value == (HeartModel.load() if model is None else detector).calibration.alpha
        np.testing.assert_array_equal(table_of(app, ALARMS)["score"], expected(model, None))
        drawn(setting.set_value(other).run())
        np.testing.assert_array_equal(table_of(app, ALARMS)["score"], expected(model, other))
    assert switched(app, "Threshold").select_slider(key="alpha").value == 0.3


def test_a_change_since_the_start_is_shown(opened: Open, toy: np.ndarray, tmp_path: Path) -> None:
    content = as_table(np.concatenate([toy, -toy[: len(toy) // 2]]))
    (tmp_path / "mine.csv").write_bytes(content)
    (change,) = scan(str(tmp_path / "mine.csv"), None, "II").changes
    app = recording_of(opened, ("mine.csv", content))
    assert escape_markdown(f"U{str(change)[1:]}.") in [info.value for info in app.info]


def test_the_strip_is_moved_by_buttons_and_by_a_time(opened: Open, toy: np.ndarray) -> None:
    app = recording_of(opened, ("mine.csv", as_table(toy)))
    app.text_input(key=scanned.TYPED).set_value("0:02:30").run()
    assert strip_at(drawn(app)).endswith("around 0:02:30.0")
    assert strip_at(drawn(app.button(key="later").click().run())).endswith("around 0:02:40.0")
    assert strip_at(drawn(app.button(key="earlier").click().run())).endswith("around 0:02:30.0")
    app.text_input(key=scanned.TYPED).set_value("0").run()
    assert strip_at(drawn(app.button(key="earlier").click().run())).endswith("around 0:00:05.0")
    for text, message in (("soon", "'soon' is not a time"), ("1:00:00", "the recording ends at 0:0")):
        drawn(app.text_input(key=scanned.TYPED).set_value(text).run())
        assert message in messages(app).replace("\\", "")
        assert strip_at(app).endswith("around 0:00:05.0")
    drawn(app.text_input(key=scanned.TYPED).set_value("150").run())
    assert not app.error
    assert strip_at(app).endswith("around 0:02:30.0")


def test_episodes_and_alarms_are_filtered_by_type_and_kind(opened: Open, toy: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(as_table(toy))
    whole = scan(str(tmp_path / "mine.csv"), None, "II")
    app = recording_of(opened, ("mine.csv", as_table(toy)))
    label, kind = app.segmented_control
    assert set(label.options) == {scanned.ALL, *whole.episodes["type"]}
    assert kind.options == [scanned.ALL, *whole.kinds["kind"]]
    drawn(kind.set_value("B").run())
    assert table_of(app, ALARMS)["time"].tolist() == whole.alarms[whole.alarms["kind"] == "B"]["time"].tolist()
    of_kind = whole.episodes[whole.episodes["kind"] == "B"]
    assert set(of_kind["time"]) <= set(table_of(app, "episodes")["time"]) < set(whole.episodes["time"])
    label, kind = app.segmented_control
    label.set_value("couplet")
    drawn(kind.set_value(scanned.ALL).run())
    couplets = whole.episodes[whole.episodes["type"] == "couplet"]
    assert table_of(app, "episodes")["time"].tolist() == couplets["time"].tolist()
    assert len(table_of(app, ALARMS)) == couplets["alarms"].sum() < len(whole.alarms)


def regular() -> np.ndarray:
    """A lead in which each beat is like the others: waves of a normal shape, and a little noise; 360 Hz, 100 s."""
    time, rng = np.arange(36_000) / 360, np.random.default_rng(0)
    lead = rng.normal(0, 0.01, len(time))
    for r_peak in np.cumsum(rng.normal(0.85, 0.02, 117)):
        for after, width, height in ((-0.17, 0.025, 0.12), (0, 0.011, 1.2), (0.03, 0.012, -0.2), (0.28, 0.05, 0.3)):
            lead += height * np.exp(-(((time - r_peak - after) / width) ** 2) / 2)
    return lead


@pytest.mark.parametrize("alarms", [True, False])
def test_of_an_unlabelled_recording_no_alarm_is_called_false_and_nothing_is_ticked(
    alarms: bool, opened: Open, toy: np.ndarray
) -> None:
    lead = toy if alarms else regular()
    app = recording_of(opened, ("mine.csv", as_table(lead)))
    assert app.metric
    assert (app.metric[1].value != "0") == alarms
    labels = [widget.label for widget in (*app.select_slider, *app.toggle, *app.button, *app.segmented_control)]
    assert not re.search(r"false.alarm|miss\b|misses", f"{words(app)} {html(app)} {labels}".lower())
    assert ":material/check" not in str(app.main)


def test_names_in_files_are_shown_as_they_are(opened: Open, toy: np.ndarray) -> None:
    name = "www.evil.com_[x](y)_<b>_*x*_a@evil.com"
    table = pd.DataFrame({"seconds": np.arange(21_600) / 360, "<script>II</script>": toy[:21_600]})
    app = recording_of(opened, (f"{name}.csv", table.to_csv(index=False).encode()))
    assert app.metric
    assert f"{name}, lead <script>II</script>" in words(app)
    raw = "\n".join(text.value for text in (*app.subheader, *app.caption, *app.markdown))
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[x|www\.|a\\?@evil", raw)
    assert "<script" not in html(app)
    for button in app.get("download_button"):
        assert re.fullmatch(r"[\w.-]+", button.proto.url.rpartition("/")[2] or "deferred")


@pytest.fixture
def learnt_from(opened: Open, toy: np.ndarray) -> AppTest:
    app = recording_of(opened, ("mine.csv", as_table(toy)))
    app.text_input(key="learn from").set_value("0:10")
    app.text_input(key="learn to").set_value("1:10")
    return drawn(app.button(key="learn").click().run())


def test_what_is_learnt_judges_this_and_later_recordings_until_it_is_forgotten(
    learnt_from: AppTest, toy: np.ndarray, tmp_path: Path
) -> None:
    app, path, other = learnt_from, tmp_path / "mine.csv", tmp_path / "other.csv"
    path.write_bytes(as_table(toy))
    other.write_bytes(as_table(toy[36_000:]))
    known = learn(str(path), start=10, stop=70)
    assert app.session_state[learning.LEARNT].source == known.source
    assert f"Compared with what was learnt: {known.source}" in words(app)

    def judged(expected: Scan) -> None:
        assert expected.judged_by in words(app)
        np.testing.assert_array_equal(table_of(app, ALARMS)["score"], expected.alarms["score"])

    judged(scan(str(path), known))
    drawn(app.file_uploader(key="recording").set_value([("other.csv", other.read_bytes(), "text/csv")]).run())
    judged(scan(str(other), known))
    (button,) = [button for button in app.button if button.label == "Forget"]
    drawn(button.click().run())
    judged(scan(str(other)))
    assert learning.LEARNT not in app.session_state
    assert "what was learnt" not in words(app)


def test_what_is_learnt_is_downloaded_as_the_folder_that_the_command_line_takes(
    learnt_from: AppTest, toy: np.ndarray, tmp_path: Path
) -> None:
    content = learning.as_zip(learnt_from.session_state[learning.LEARNT])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == [BEATS, PATIENT]
        archive.extractall(tmp_path / "patient")
    assert load_model(tmp_path / "patient").source.recording == "mine"
    assert scan(toy_file(tmp_path, toy), tmp_path / "patient").judged_by.endswith("normal beats of this patient")


def toy_file(folder: Path, toy: np.ndarray) -> str:
    (folder / "mine.csv").write_bytes(as_table(toy))
    return str(folder / "mine.csv")


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [("soon", "5:00", "'soon' is not a time"), ("2:00", "1:00", "cannot be from 120 to 60 s"), ("0", "3", "beats")],
)
def test_a_part_that_cannot_be_learnt_from_is_an_error_beside_the_scan(
    start: str, stop: str, message: str, opened: Open, toy: np.ndarray
) -> None:
    app = recording_of(opened, ("mine.csv", as_table(toy[:43_200])))
    app.text_input(key="learn from").set_value(start)
    app.text_input(key="learn to").set_value(stop)
    drawn(app.button(key="learn").click().run())
    (error,) = app.error
    assert error.proto.title == "Nothing could be learnt"
    assert message in error.value.replace("\\", "")
    assert learning.LEARNT not in app.session_state
    assert app.metric


def test_annotations_that_are_uploaded_say_what_is_normal_if_they_should(opened: Open, mitdb: Path) -> None:
    app = recording_of(opened, *record(mitdb, "106", "hea", "dat"))
    assert "learn by annotations" not in [toggle.key for toggle in app.toggle]
    app = recording_of(opened, *record(mitdb, "106", "hea", "dat", "atr"))
    for annotated in (True, False):
        app.toggle(key="learn by annotations").set_value(annotated)
        drawn(app.button(key="learn").click().run())
        source = app.session_state[learning.LEARNT].source
        assert source.annotated == annotated
        assert source == learn(str(mitdb / "106"), annotations="atr" if annotated else None).source


def test_an_upload_takes_the_files_that_a_scan_reads(opened: Open) -> None:
    allowed = set(opened("Your recording").file_uploader(key="recording").proto.type)
    expected = {"hea", "dat", "atr", "edf", "bdf", "ecg", "csv", "tsv", "txt", "npy", "zip"}
    assert {ending.removeprefix(".") for ending in allowed} == expected


def test_a_day_of_two_leads_at_500_hertz_is_within_the_limit_of_an_upload() -> None:
    settings = (Path(recording.__file__).parent / ".streamlit" / "config.toml").read_text()
    (limit,) = re.findall(r"^maxUploadSize = (\d+)", settings, re.MULTILINE)
    row = "86399.998,-0.123,-0.456\n"
    assert 86_400 * 500 * len(row) < int(limit) * 2**20
