"""Splitting a recording into training and test beats, and the stages after it."""

import csv
import json
import re
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
from ecg.evaluation.summary import details, intervals, summarize
from ecg.exceptions import InputError
from ecg.params import Params, Recording
from ecg.recordings.patient import RecordingSplit, split_recording, typical
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
def unlabelled(recording: Recording, toy_npy: Path) -> RecordingSplit:
    return split_recording(mine(recording, toy_npy))


@pytest.fixture(scope="session")
def annotated(recording: Recording, mitdb: Path) -> RecordingSplit:
    return split_recording(mine(recording, mitdb / "119", minutes=5.0))


# Which beats are typical.


@pytest.mark.parametrize("where", ["first", "last", "scattered"])
def test_two_beats_in_five_may_be_abnormal_at_any_position(where: str) -> None:
    rng = np.random.default_rng(0)
    at = np.linspace(-3, 3, 140)
    shapes = np.stack([np.exp(-9 * at**2), np.exp(-((at - 0.3) ** 2)) - np.exp(-4 * (at + 1) ** 2)])
    abnormal = np.arange(500) < 200
    abnormal = {"first": abnormal, "last": abnormal[::-1], "scattered": rng.permutation(abnormal)}[where]
    samples = shapes[abnormal.astype(int)] + rng.normal(0, 0.05, (500, 140))
    samples = (samples - samples.mean(1, keepdims=True)) / samples.std(1, keepdims=True)
    chosen = typical(samples)
    assert chosen[abnormal].mean() <= 0.02
    assert chosen[~abnormal].mean() >= 0.95


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_of_a_few_beats_at_least_half_are_typical(number: int) -> None:
    chosen = typical(np.random.default_rng(number).normal(size=(number, 140)))
    assert chosen.shape == (number,)
    assert chosen.sum() >= number / 2


def test_copies_of_one_beat_are_all_typical() -> None:
    assert typical(np.tile(np.sin(np.arange(140)), (30, 1))).all()


@pytest.mark.parametrize("name", ["100", "106", "119", "200", "213", "233"])
def test_beats_that_cardiologists_call_normal_are_typical_and_others_are_not(
    name: str, recording: Recording, mitdb: Path
) -> None:
    train = split_recording(mine(recording, mitdb / name, minutes=5.0)).train
    chosen = typical(train.samples)
    assert chosen[train.classes == NORMAL].mean() >= 0.85
    if name in ("106", "119", "233"):
        assert chosen[train.classes > NORMAL].mean() <= 0.02


# Splitting.


def test_without_annotations_typical_training_beats_are_normal_and_all_others_unlabelled(
    unlabelled: RecordingSplit,
) -> None:
    train, test = unlabelled.train, unlabelled.test
    assert set(train.classes.tolist()) == {UNLABELLED, NORMAL}
    assert set(test.classes.tolist()) == {UNLABELLED}
    np.testing.assert_array_equal(train.classes == NORMAL, typical(unlabelled.beats.samples[: len(train)]))
    assert (train.classes == NORMAL).mean() >= 0.5
    assert "those that are like most others, as there are no annotations" in unlabelled.messages[-1]


def test_the_first_minutes_are_the_training_part_and_no_beat_is_lost(unlabelled: RecordingSplit) -> None:
    seconds = unlabelled.beats.seconds
    assert len(unlabelled.train) + len(unlabelled.test) == len(seconds)
    assert seconds[: len(unlabelled.train)].max() < 180 <= seconds[len(unlabelled.train) :].min()
    assert (np.diff(seconds) > 0).all()


def test_annotated_beats_have_their_annotated_classes(annotated: RecordingSplit) -> None:
    for part in (annotated.train, annotated.test):
        share = {NAMES[label]: np.mean(part.classes == label) for label in np.unique(part.classes).tolist()}
        assert set(share) <= {"unlabelled", "N", "V"}
        assert share["N"] > 0.7
        assert share["V"] > 0.1
        assert share.get("unlabelled", 0) < 0.01
    assert annotated.messages[-1].endswith("as annotated")


def test_unusable_signal_and_inversion_are_reported(recording: Recording, toy: np.ndarray, tmp_path: Path) -> None:
    samples = -toy
    samples[7200:10800] = np.nan
    np.save(tmp_path / "mine.npy", samples)
    messages = "\n".join(split_recording(mine(recording, tmp_path / "mine.npy")).messages)
    assert "unusable signal: 10.0 s missing" in messages
    assert "the lead was inverted" in messages


def test_noise_is_reported_and_its_beats_are_left_out(
    unlabelled: RecordingSplit, recording: Recording, toy: np.ndarray, tmp_path: Path
) -> None:
    samples = toy.copy()
    samples[14_400:21_600] += np.random.default_rng(0).normal(0, 5, 7200)  # 40 s to 60 s
    np.save(tmp_path / "mine.npy", samples)
    split = split_recording(mine(recording, tmp_path / "mine.npy"))
    (message,) = (message for message in split.messages if message.startswith("unusable signal"))
    assert re.fullmatch(r"unusable signal: (19|2[0-4])\.\d s noisy", message)
    assert not ((split.beats.seconds > 41) & (split.beats.seconds < 59)).any()
    assert len(split.beats.seconds) >= len(unlabelled.beats.seconds) - 45


@pytest.mark.parametrize("minutes", [5.0, 60.0, 0.001])
def test_minutes_that_leave_either_part_empty_are_refused(minutes: float, recording: Recording, toy_npy: Path) -> None:
    with pytest.raises(InputError, match=r"fetch\.recording\.minutes is .* in 5\.0 minutes"):
        split_recording(mine(recording, toy_npy, minutes=minutes))


def test_a_missing_path_is_refused(recording: Recording) -> None:
    with pytest.raises(InputError, match=r"fetch\.recording\.path is null"):
        split_recording(recording)


def test_beats_are_unchanged_after_their_canonical_text(unlabelled: RecordingSplit) -> None:
    for part, samples in (
        (unlabelled.train, unlabelled.beats.samples[: len(unlabelled.train)]),
        (unlabelled.test, unlabelled.beats.samples[len(unlabelled.train) :]),
    ):
        back = beats.parse(beats.canonical(part), "beats")
        np.testing.assert_array_equal(back.samples, part.samples)
        np.testing.assert_array_equal(back.classes, part.classes)
        np.testing.assert_allclose(back.samples, samples, atol=1e-6)


# Times.


def test_each_beat_has_its_row_with_its_times(unlabelled: RecordingSplit, tmp_path: Path) -> None:
    times.save(tmp_path / "times.csv", unlabelled.train, unlabelled.test, unlabelled.beats)
    rows = list(csv.DictReader((tmp_path / "times.csv").read_text().splitlines()))
    assert [row["part"] for row in rows] == ["TRAIN"] * len(unlabelled.train) + ["TEST"] * len(unlabelled.test)
    assert [int(row["row"]) for row in rows[-2:]] == [len(unlabelled.test) - 1, len(unlabelled.test)]
    assert [row["class"] for row in rows[: len(unlabelled.train)]] == [
        NAMES[label] for label in unlabelled.train.classes.tolist()
    ]
    np.testing.assert_allclose([float(row["seconds"]) for row in rows], unlabelled.beats.seconds, rtol=1e-6)
    hours = times.hours_of_test(tmp_path / "times.csv")
    assert hours == pytest.approx(2 / 60, rel=0.02)


def test_an_archive_has_no_times(tmp_path: Path) -> None:
    times.save_none(tmp_path / "times.csv")
    assert times.hours_of_test(tmp_path / "times.csv") is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"part,seconds\nTEST,soon\n", b"seconds\n1\n", b"part,x\nTEST,1\n"])
def test_a_damaged_table_of_times_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"times\.csv does not hold the times of beats"):
        times.hours_of_test(tmp_path / "times.csv")


# params.yaml.


def test_the_metadata_of_a_model_state_how_beats_are_cut_and_no_path(recording: Recording, toy_npy: Path) -> None:
    settings = mine(recording, toy_npy).model_dump()
    metadata = json.dumps(datasets.recording_metadata(settings))
    assert str(toy_npy.parent) not in metadata
    known = datasets.dataset_of_model({"dataset": "mine", "recording": metadata})
    assert known == datasets.dataset_of({"source": "recording", "recording": settings})
    assert (known.recording, known.lead, known.minutes, known.beats) == ("toy", 0, 3.0, recording.beats)


@pytest.mark.parametrize(
    "metadata", ["", "{", "[]", "{}", "3", "null", '{"name": "x", "lead": 0, "minutes": "five", "beats": {}}']
)
def test_damaged_metadata_are_refused(metadata: str) -> None:
    with pytest.raises(InputError):
        datasets.dataset_of_model({"recording": metadata})


# Fetching and what comes after it.


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fetching_writes_what_the_next_stage_reads(
    workspace: Path,
    unlabelled: RecordingSplit,
    recording: Recording,
    toy_npy: Path,
    committed: Params,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = {"dataset": "mine", "folder": str(toy_npy.parent), "recording": mine(recording, toy_npy)}
    fetch.from_recording(committed.fetch.model_copy(update=own))
    raw = workspace / "data" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == ["mine_BEATS.csv", "mine_TEST.tsv", "mine_TRAIN.tsv"]
    for part, expected in zip(sources.PARTS, (unlabelled.train, unlabelled.test), strict=True):
        assert (raw / f"mine_{part}.tsv").read_bytes() == beats.canonical(expected)
    assert all(line.startswith("mine: ") for line in capsys.readouterr().out.splitlines())


@pytest.mark.usefixtures("workspace")
def test_a_recording_under_the_name_of_a_published_dataset_is_refused(committed: Params) -> None:
    with pytest.raises(InputError, match="ECG5000, the name of a published dataset; choose another one"):
        fetch.from_recording(committed.fetch.model_copy(update={"dataset": "ECG5000"}))
    assert not Path("data").exists()


def evaluated(split: RecordingSplit, settings: Params) -> tuple[Evaluation, TrainingErrors, float]:
    """The test part under a detector of the training part, its training errors, and how many hours it lasts."""
    normal = split.train.samples[split.train.classes == NORMAL].astype(np.float32)
    build = partial(models.build, "dense", settings.models)
    quick = settings.train.model_copy(update={"epochs": 10})
    fit = fitting.fit(normal, Scaling.fit(normal, settings.preprocess), build, quick)
    metadata = datasets.recording_metadata({**settings.fetch.recording.model_dump(), "path": "x"})
    model = Model(to_onnx(fit.ensemble, normal, {"dataset": "mine", "recording": json.dumps(metadata)}))
    errors = TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error)
    detector = Detector(model, thresholds.calibrate(errors, settings.calibrate, model.sha256))
    part = Beats(split.test.samples.astype(np.float32), split.test.classes)
    hours = float(np.ptp(split.beats.seconds[len(split.train) :])) / 3600
    return Evaluation.of(detector, part, NORMAL), errors, hours


def test_annotated_beats_are_measured_and_their_alarms_counted(
    annotated: RecordingSplit, committed_for_recordings: Params
) -> None:
    evaluation, _, hours = evaluated(annotated, committed_for_recordings)
    summary = summarize(evaluation, hours)
    assert summary["auc"] > 0.95
    assert summary["alarms_per_hour"] == pytest.approx(evaluation.verdicts.anomalous.sum() / hours)
    found = details(evaluation, hours)
    assert found["recall_v"] > 0.9
    assert 0 <= found["adaptive_false_positive_rate"] < 0.2
    assert found["adaptive_recall"] > 0.9
    assert "auc" in intervals(evaluation, 100)


def test_for_unlabelled_beats_only_alarms_are_reported(
    unlabelled: RecordingSplit, committed_for_recordings: Params
) -> None:
    settings = committed_for_recordings
    evaluation, errors, hours = evaluated(unlabelled, settings)
    summary = summarize(evaluation, hours)
    assert summary["beats"] == len(unlabelled.test)
    assert summary["alarms"] == evaluation.verdicts.anomalous.sum()
    assert not {"auc", "f1", "recall", "precision", "false_positive_rate"} & summary.keys()
    assert intervals(evaluation, 100) == {}
    for table in (
        curves.roc(evaluation),
        curves.precision_recall(evaluation),
        curves.confusion(evaluation),
        curves.methods(evaluation, errors, settings.calibrate, np.empty(0)),
        curves.promised_rates(evaluation, errors, settings.calibrate, np.array([0.05])),
    ):
        assert table.empty
    titles = [example.title for example in examples.typical_and_worst(evaluation)]
    assert any("unknown class" in title for title in titles)
    assert not any("miss" in title or "false alarm" in title for title in titles)
    assert set(curves.histogram(evaluation, 20)["class"]) == {"unlabelled"}
    assert examples.class_profiles(evaluation) == []
