"""Learning a patient's normal beats, what is written of them, and scans with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import wfdb

import ecg
from ecg.exceptions import InputError
from ecg.hearts.learnt import BEATS, PATIENT, Learnt
from ecg.hearts.model import HeartModel
from ecg.params import Recording
from ecg.recordings.classes import beat_classes
from ecg.recordings.patient import split_recording
from ecg.recordings.reading import open_lead
from ecg.scanning.display import parse_time
from ecg.scanning.learning import learn
from ecg.scanning.scan import scan
from tests.hearts.conftest import annotate
from tests.scanning.conftest import ecg_command

RATE = 360


@pytest.fixture(scope="module")
def record(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An annotated record of ten minutes: the toy, twice."""
    folder = tmp_path_factory.mktemp("patient")
    annotate(folder, "mine", np.concatenate([toy, toy]))
    return str(folder / "mine")


@pytest.fixture(scope="module")
def learnt(record: str) -> Learnt:
    return learn(record, annotations="atr")


@pytest.fixture(scope="module")
def saved(learnt: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learnt") / "of" / "mine"
    learnt.save(folder)
    return folder


def test_what_is_learnt_says_what_it_is_from(learnt: Learnt, record: str) -> None:
    source = learnt.source
    assert (source.recording, source.start, source.stop, source.annotated) == ("mine", 0, 300, True)
    with open_lead(record) as lead:
        normal = (beat_classes(lead.annotations, np.array(scan(record).beats.seconds)) == 1).sum()
    assert source.beats == len(learnt.scores) == pytest.approx(normal / 2, abs=5)
    assert str(source) == f"{source.beats} beats annotated as normal, from 0 to 300 s of mine, lead {source.lead}"


def test_abnormal_beats_of_the_patient_raise_more_alarms_than_without(learnt: Learnt, record: str) -> None:
    without, with_learnt = scan(record, alpha=0.1), scan(record, learnt, alpha=0.1)
    with open_lead(record) as lead:
        classes = beat_classes(lead.annotations, with_learnt.beats.seconds.to_numpy())
    later = with_learnt.beats.seconds > 300
    abnormal, normal = (classes == 3) & later, (classes == 1) & later
    assert with_learnt.beats.anomalous[abnormal].sum() > without.beats.anomalous[abnormal].sum()
    assert with_learnt.beats.anomalous[normal].mean() <= 0.1
    assert with_learnt.judged_by == f"the model of normal hearts and {learnt.source.beats} normal beats of this patient"


def test_without_annotations_beats_that_look_normal_are_learnt(record: str, toy: np.ndarray) -> None:
    found = learn(record)
    assert not found.source.annotated
    assert found.source.beats < len(scan(toy, rate=RATE).beats)
    assert found.source.beats > 0.5 * len(scan(toy, rate=RATE).beats)
    alarms = scan(toy, found, rate=RATE).alarms
    assert len(alarms) >= len(scan(toy, rate=RATE).alarms)


def test_a_part_is_learnt_from(record: str) -> None:
    part = learn(record, start=60, stop=180).source
    assert (part.start, part.stop) == (60, 180)
    whole = learn(record, stop=1e6).source
    assert whole.stop == pytest.approx(600)
    assert whole.beats > 2 * part.beats


def test_what_is_learnt_from_a_folder_is_what_was_saved(learnt: Learnt, saved: Path, toy: np.ndarray) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [BEATS, PATIENT]
    again = Learnt.load(saved, HeartModel.load().calibration.model_sha256)
    np.testing.assert_array_equal(again.normal, learnt.normal)
    np.testing.assert_array_equal(again.beats.columns, learnt.beats.columns)
    np.testing.assert_allclose(again.scores, learnt.scores, rtol=1e-6)
    by_folder, by_result = ecg.scan(toy, saved, rate=RATE), ecg.scan(toy, learnt, rate=RATE)
    np.testing.assert_array_equal(by_folder.beats.anomalous, by_result.beats.anomalous)


def test_learning_again_writes_the_same_bytes(record: str, saved: Path, tmp_path: Path) -> None:
    learn(record, annotations="atr").save(tmp_path)
    for name in (PATIENT, BEATS):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_what_is_learnt_replaces_what_was_and_nothing_else(learnt: Learnt, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    learnt.save(tmp_path)
    (tmp_path / "autoencoder.onnx").touch()
    with pytest.raises(InputError, match=r"has other files, such as .autoencoder.onnx.: name a folder of its own"):
        learnt.save(tmp_path)


def test_an_interruption_leaves_what_was_learnt_before(
    learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "patient"
    learnt.save(folder)
    earlier = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ecg.hearts.learnt.write_json", interrupted)  # after the beats
    with pytest.raises(KeyboardInterrupt):
        learnt.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == earlier
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda record, _: record.update(model_sha256="0" * 64), "learnt with another model of normal hearts"),
        (lambda record, _: record.update(beats=-1), r"patient\.json: beats is -1"),
        (lambda record, _: record.update(more=1), "more is not a known parameter"),
        (lambda record, _: record.update(beats_sha256="0" * 64), r"beats\.npz does not belong to patient\.json"),
        (lambda _, beats: beats.write_bytes(b"PK"), r"beats\.npz does not hold arrays"),
        (lambda _, beats: np.savez(beats, normal=[1.0], beats=[[1.0]], scores=[1.0]), "does not hold beats of a"),
        (lambda _, beats: np.savez(beats, normal=np.array([None])), "does not hold"),
    ],
)
def test_a_damaged_folder_is_refused(
    damage: object, message: str, saved: Path, tmp_path: Path, toy: np.ndarray
) -> None:
    record, beats = json.loads((saved / PATIENT).read_text()), tmp_path / BEATS
    beats.write_bytes((saved / BEATS).read_bytes())
    damage(record, beats)
    (tmp_path / PATIENT).write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        scan(toy, tmp_path, rate=RATE)


def test_what_is_no_folder_is_refused(toy: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*absent of a model"):
        scan(toy, tmp_path / "absent", rate=RATE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 700}, "mine lasts 600 s; a part of it cannot be from 700 to 300 s"),
        ({"start": 20, "stop": 10}, "cannot be from 20 to 10 s"),
        ({"stop": 15}, r"usable beats; 30 are needed"),
        ({"annotations": "none"}, r"has 0 beats annotated as normal there \(\.none\)"),
    ],
)
def test_a_part_that_cannot_be_learnt_from_is_refused(options: dict[str, object], message: str, record: str) -> None:
    with pytest.raises(InputError, match=message):
        learn(record, **options)


def test_noise_is_not_learnt() -> None:
    with pytest.raises(InputError, match="is no ECG there"):
        learn(np.random.default_rng(0).normal(size=100 * RATE), rate=RATE)


def test_another_heart_has_a_warning_and_is_compared_with_its_own_start(learnt: Learnt, mitdb: Path) -> None:
    other = scan(mitdb / "213", learnt)
    assert any("Hardly any beat resembles the learnt ones" in warning for warning in other.warnings)
    assert other.beats.anomalous_from_start.mean() < 0.5


def test_the_recording_that_was_learnt_from_has_a_warning(learnt: Learnt, record: str) -> None:
    assert any("of a recording of this name" in warning for warning in scan(record, learnt).warnings)


def test_a_heart_that_changes_for_good_is_named_beside_the_learnt_beats(
    learnt: Learnt, toy: np.ndarray, mitdb: Path
) -> None:
    """The new recording has the learnt beat for two minutes, and then that of another heart."""
    other = wfdb.rdrecord(str(mitdb / "233"), channels=[0], sampto=300 * RATE).p_signal[:, 0]
    found = scan(np.concatenate([toy[: 120 * RATE], other]), learnt, rate=RATE)
    (change,) = [change for change in found.changes if change.lasts]
    assert change.start == pytest.approx(120, abs=30)


def test_the_pipeline_cuts_the_beats_of_a_scan(record: str, recording: Recording) -> None:
    """`fetch.source: recording` and a scan find the same R peaks."""
    cut = split_recording(recording.model_copy(update={"path": record, "minutes": 5.0})).beats.seconds
    scanned = scan(record).beats.seconds.to_numpy()
    common = np.intersect1d(cut.round(3), scanned)
    assert len(common) > 0.99 * max(len(cut), len(scanned))


def test_the_command_learns_and_scans_with_what_it_learnt(toy: np.ndarray, tmp_path: Path) -> None:
    annotate(tmp_path, "mine", toy)
    done = ecg_command(
        tmp_path, ["learn", "mine", "--out", "patient", "--annotations", "atr", "--to", "0:04:00"], text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("learnt ")
    assert "from 0 to 240 s of mine" in done.stdout
    done = ecg_command(tmp_path, ["scan", "mine", "--model", "patient", "--json"], text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["judged_by"].startswith("the model of normal hearts and ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.atr", "mine.dat", "mine.hea", "patient"]


@pytest.mark.parametrize("time", ["soon", "1:2:3:4", "-1", "nan", "inf", ""])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    with pytest.raises(InputError, match="is not a time: write it as 300, 5:00 or 1:30:00"):
        parse_time(time)


def test_a_time_that_is_none_is_wrong_usage_of_the_command(tmp_path: Path) -> None:
    done = ecg_command(tmp_path, ["learn", "mine", "--out", "patient", "--to", "soon"], text=True)
    assert done.returncode == 2
    assert "300, 5:00 or 1:30:00" in done.stderr
