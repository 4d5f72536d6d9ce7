"""From a recording to the beats of one's own normal: parting it, the stages after it."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ecg import models
from ecg.data import beats, datasets, sources, times
from ecg.data.aami import NAMES, NORMAL, UNLABELLED
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import Detector
from ecg.detector.model import Model
from ecg.evaluation import curves, examples
from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.summary import intervals, summarize
from ecg.exceptions import InputError
from ecg.params import Params, Recording
from ecg.recordings.patient import Parts, parted, typical
from ecg.training import fitting
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
from stages import fetch


def mine(recording: Recording, path: Path, **changes: object) -> Recording:
    return recording.model_copy(update={"path": str(path), "rate": 360.0, "minutes": 3.0, **changes})


@pytest.fixture(scope="session")
def toy_npy(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "toy.npy"
    np.save(path, toy)
    return path


@pytest.fixture(scope="session")
def unlabelled(recording: Recording, toy_npy: Path) -> Parts:
    return parted(mine(recording, toy_npy))


@pytest.fixture(scope="session")
def annotated(recording: Recording, mitdb: Path) -> Parts:
    return parted(mine(recording, mitdb / "119", minutes=5.0))


# Which beats are one's own normal.


@pytest.mark.parametrize("where", ["first", "last", "scattered"])
def test_two_beats_in_five_may_be_abnormal_wherever_they_are(where: str) -> None:
    rng = np.random.default_rng(0)
    at = np.linspace(-3, 3, 140)
    shapes = np.stack([np.exp(-9 * at**2), np.exp(-((at - 0.3) ** 2)) - np.exp(-4 * (at + 1) ** 2)])
    abnormal = np.arange(500) < 200
    abnormal = {"first": abnormal, "last": abnormal[::-1], "scattered": rng.permutation(abnormal)}[where]
    samples = shapes[abnormal.astype(int)] + rng.normal(0, 0.05, (500, 140))
    samples = (samples - samples.mean(1, keepdims=True)) / samples.std(1, keepdims=True)
    kept = typical(samples)
    assert kept[abnormal].mean() <= 0.02
    assert kept[~abnormal].mean() >= 0.95


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_of_a_few_beats_at_least_half_are_typical(number: int) -> None:
    kept = typical(np.random.default_rng(number).normal(size=(number, 140)))
    assert kept.shape == (number,)
    assert kept.sum() >= number / 2


def test_copies_of_one_beat_are_all_typical() -> None:
    assert typical(np.tile(np.sin(np.arange(140)), (30, 1))).all()


@pytest.mark.parametrize("name", ["100", "106", "119", "200", "213", "233"])
def test_beats_that_cardiologists_call_normal_are_typical_and_others_are_not(
    name: str, recording: Recording, mitdb: Path
) -> None:
    train = parted(mine(recording, mitdb / name, minutes=5.0)).train
    kept = typical(train.samples)
    assert kept[train.classes == NORMAL].mean() >= 0.85
    if name in ("106", "119", "233"):
        assert kept[train.classes > NORMAL].mean() <= 0.02


# Parting.


def test_without_annotations_typical_beats_are_normal_and_all_others_unlabelled(unlabelled: Parts) -> None:
    train, test = unlabelled.train, unlabelled.test
    assert set(train.classes.tolist()) == {UNLABELLED, NORMAL}
    assert set(test.classes.tolist()) == {UNLABELLED}
    np.testing.assert_array_equal(train.classes == NORMAL, typical(unlabelled.cut.samples[: len(train)]))
    assert (train.classes == NORMAL).mean() >= 0.5
    assert "those like most others: nobody has annotated them" in unlabelled.told[-1]


def test_the_first_minutes_are_to_train_on_and_no_beat_is_lost(unlabelled: Parts) -> None:
    seconds = unlabelled.cut.seconds
    assert len(unlabelled.train) + len(unlabelled.test) == len(seconds)
    assert seconds[: len(unlabelled.train)].max() < 180 <= seconds[len(unlabelled.train) :].min()
    assert (np.diff(seconds) > 0).all()


def test_annotated_beats_have_the_classes_that_cardiologists_gave(annotated: Parts) -> None:
    for part in (annotated.train, annotated.test):
        share = {NAMES[label]: np.mean(part.classes == label) for label in np.unique(part.classes).tolist()}
        assert set(share) <= {"unlabelled", "N", "V"}
        assert share["N"] > 0.7
        assert share["V"] > 0.1
        assert share.get("unlabelled", 0) < 0.01
    assert annotated.told[-1].endswith("by annotation")


def test_what_is_no_ecg_is_told(recording: Recording, toy: np.ndarray, tmp_path: Path) -> None:
    spoilt = -toy
    spoilt[7200:10800] = np.nan
    np.save(tmp_path / "mine.npy", spoilt)
    told = "\n".join(parted(mine(recording, tmp_path / "mine.npy")).told)
    assert "10.0 s are missing" in told
    assert "the lead was turned over" in told


@pytest.mark.parametrize("minutes", [5.0, 60.0, 0.001])
def test_minutes_that_leave_nothing_to_train_on_or_to_test_are_refused(
    minutes: float, recording: Recording, toy_npy: Path
) -> None:
    with pytest.raises(InputError, match=r"fetch\.recording\.minutes is .* in 5\.0 minutes"):
        parted(mine(recording, toy_npy, minutes=minutes))


def test_a_recording_that_nobody_names_is_told(recording: Recording) -> None:
    with pytest.raises(InputError, match=r"fetch\.recording\.path is null"):
        parted(recording)


def test_beats_go_through_their_canonical_text_unchanged(unlabelled: Parts) -> None:
    for part, samples in (
        (unlabelled.train, unlabelled.cut.samples[: len(unlabelled.train)]),
        (unlabelled.test, unlabelled.cut.samples[len(unlabelled.train) :]),
    ):
        back = beats.parse(beats.canonical(part), "beats")
        np.testing.assert_array_equal(back.samples, part.samples)
        np.testing.assert_array_equal(back.classes, part.classes)
        np.testing.assert_allclose(back.samples, samples, atol=1e-6)


# Times.


def test_each_beat_has_its_row_with_its_times(unlabelled: Parts, tmp_path: Path) -> None:
    times.save(tmp_path / "times.csv", unlabelled.train, unlabelled.test, unlabelled.cut)
    rows = list(csv.DictReader((tmp_path / "times.csv").read_text().splitlines()))
    assert [row["part"] for row in rows] == ["TRAIN"] * len(unlabelled.train) + ["TEST"] * len(unlabelled.test)
    assert [int(row["row"]) for row in rows[-2:]] == [len(unlabelled.test) - 1, len(unlabelled.test)]
    assert [row["class"] for row in rows[: len(unlabelled.train)]] == [
        NAMES[label] for label in unlabelled.train.classes.tolist()
    ]
    np.testing.assert_allclose([float(row["seconds"]) for row in rows], unlabelled.cut.seconds, rtol=1e-6)
    hours = times.hours_of_test(tmp_path / "times.csv")
    assert hours == pytest.approx(2 / 60, rel=0.02)


def test_of_an_archive_there_are_no_times(tmp_path: Path) -> None:
    times.save_none(tmp_path / "times.csv")
    assert times.hours_of_test(tmp_path / "times.csv") is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"part,seconds\nTEST,soon\n", b"seconds\n1\n", b"part,x\nTEST,1\n"])
def test_a_damaged_table_of_times_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"times\.csv does not hold the times of beats"):
        times.hours_of_test(tmp_path / "times.csv")


# params.yaml.


def test_what_a_model_remembers_says_how_beats_are_cut_and_not_where_they_lay(
    recording: Recording, toy_npy: Path
) -> None:
    of = mine(recording, toy_npy).model_dump()
    remembered = json.dumps(datasets.remembered(of))
    assert str(toy_npy.parent) not in remembered
    known = datasets.dataset_of_model({"dataset": "mine", "recording": remembered})
    assert known == datasets.dataset_of({"source": "recording", "recording": of})
    assert (known.recording, known.lead, known.minutes, known.beats) == ("toy", 0, 3.0, recording.beats)


@pytest.mark.parametrize(
    "told", ["", "{", "[]", "{}", "3", "null", '{"name": "x", "lead": 0, "minutes": "five", "beats": {}}']
)
def test_a_model_whose_memory_is_damaged_is_told(told: str) -> None:
    with pytest.raises(InputError):
        datasets.dataset_of_model({"recording": told})


# Fetching and what comes after it.


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fetching_writes_what_the_next_stage_reads(
    workspace: Path,
    unlabelled: Parts,
    recording: Recording,
    toy_npy: Path,
    committed: Params,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = {"dataset": "mine", "folder": str(toy_npy.parent), "recording": mine(recording, toy_npy)}
    given = committed.fetch.model_copy(update=own)
    fetch.from_recording(given)
    raw = workspace / "data" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == ["mine_BEATS.csv", "mine_TEST.tsv", "mine_TRAIN.tsv"]
    for part, expected in zip(sources.PARTS, (unlabelled.train, unlabelled.test), strict=True):
        assert (raw / f"mine_{part}.tsv").read_bytes() == beats.canonical(expected)
    assert all(line.startswith("mine: ") for line in capsys.readouterr().out.splitlines())


@pytest.mark.usefixtures("workspace")
def test_a_recording_under_the_name_of_a_published_dataset_is_refused(committed: Params) -> None:
    with pytest.raises(InputError, match="ECG5000, another's name; give your recording its own"):
        fetch.from_recording(committed.fetch.model_copy(update={"dataset": "ECG5000"}))
    assert not Path("data").exists()


def evaluated(parts: Parts, settings: Params) -> tuple[Evaluation, TrainingErrors, float]:
    """The test part under a detector of the training part, its training errors, and how many hours it lasts."""
    normal = parts.train.samples[parts.train.classes == NORMAL].astype(np.float32)
    build = partial(models.build, "dense", settings.models)
    quick = settings.train.model_copy(update={"epochs": 10})
    fit = fitting.fit(normal, Scaling.fit(normal, settings.preprocess), build, quick)
    remembered = datasets.remembered({**settings.fetch.recording.model_dump(), "path": "x"})
    model = Model(to_onnx(fit.ensemble, normal, {"dataset": "mine", "recording": json.dumps(remembered)}))
    errors = TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error)
    detector = Detector(model, thresholds.calibrate(errors, settings.calibrate, model.sha256))
    part = Beats(parts.test.samples.astype(np.float32), parts.test.classes)
    hours = float(np.ptp(parts.cut.seconds[len(parts.train) :])) / 3600
    return Evaluation.of(detector, part, NORMAL), errors, hours


def test_annotated_beats_are_measured_and_their_alarms_counted(
    annotated: Parts, committed_for_recordings: Params
) -> None:
    evaluation, _, hours = evaluated(annotated, committed_for_recordings)
    summary = summarize(evaluation, hours)
    assert summary["auc"] > 0.95
    assert summary["recall_v"] > 0.9
    assert 0 <= summary["adaptive_false_positive_rate"] < 0.2
    assert summary["adaptive_recall"] > 0.9
    assert summary["alarms_per_hour"] == pytest.approx(summary["alarms"] / hours)
    assert "auc" in intervals(evaluation, 100)


def test_of_beats_that_nobody_labelled_only_alarms_are_told(
    unlabelled: Parts, committed_for_recordings: Params
) -> None:
    settings = committed_for_recordings
    evaluation, errors, hours = evaluated(unlabelled, settings)
    summary = summarize(evaluation, hours)
    assert summary["beats"] == len(unlabelled.test)
    assert summary["alarms"] == evaluation.verdicts.anomalous.sum()
    assert not {"auc", "f1", "recall", "precision", "false_positive_rate"} & summary.keys()
    assert intervals(evaluation, 100) == {}
    for _, rows in (
        curves.roc(evaluation),
        curves.precision_recall(evaluation),
        curves.confusion(evaluation),
        curves.methods(evaluation, errors, settings.calibrate, np.empty(0)),
        curves.promised_rates(evaluation, errors, settings.calibrate, np.array([0.05])),
    ):
        assert list(rows) == []
    titles = [example.title for example in examples.typical_and_worst(evaluation)]
    assert any("unknown class" in title for title in titles)
    assert not any("miss" in title or "false alarm" in title for title in titles)
    assert {row[0] for row in curves.histogram(evaluation, 20)[1]} == {"unlabelled"}
    assert examples.class_profiles(evaluation) == []
