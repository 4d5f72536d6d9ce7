"""Scanning a recording with a detector that was trained on it: alarms, warnings, files, and the command."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb
from scipy.signal import resample_poly

from ecg import models
from ecg.data import datasets
from ecg.data.aami import NORMAL
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import Detector
from ecg.detector.model import Model
from ecg.exceptions import InputError
from ecg.files import csv_bytes
from ecg.params import Params, Recording
from ecg.recordings import cutting, signals
from ecg.recordings.classes import match_beats
from ecg.recordings.patient import split_recording
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import process_lead
from ecg.scanning import report
from ecg.scanning.display import format_time
from ecg.scanning.records import Scan
from ecg.scanning.report import DIGITS, write_page, write_report
from ecg.scanning.scan import scan
from ecg.training import fitting
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
from tests.conftest import calibrating, forget
from tests.scanning.conftest import scan_command

RATE = 360.0
Shipped = tuple[bytes, Detector]  # an ONNX file, and what reads it
NUMBERS = ("seconds", "rr_before", "rr_after", "quality", "score", "p_value", "threshold")
PER_BEAT = (*NUMBERS, "anomalous", "anomalous_from_start", "why")


Learn = Callable[[Recording], tuple[fitting.Fit, np.ndarray]]


@pytest.fixture(scope="module")
def learn(committed_for_recordings: Params) -> Learn:
    """Train on a recording's own beats."""
    settings = committed_for_recordings

    def learn(recording: Recording) -> tuple[fitting.Fit, np.ndarray]:
        train = split_recording(recording).train
        normal = train.samples[train.classes == NORMAL].astype(np.float32)
        quick = settings.train.model_copy(update={"epochs": 20})
        build = partial(models.build, "dense", settings.models)
        return fitting.fit(normal, Scaling.fit(normal, settings.preprocess), build, quick), normal

    return learn


def metadata_of(recording: Recording) -> dict[str, str]:
    return {"dataset": "mine", "recording": json.dumps(datasets.recording_metadata(recording.model_dump()))}


def exported(fit: fitting.Fit, normal: np.ndarray, metadata: dict[str, str], method: str = "conformal") -> Shipped:
    content = to_onnx(fit.ensemble, normal, metadata)
    errors, model = TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error), Model(content)
    return content, Detector(model, thresholds.calibrate(errors, calibrating(method=method), model.sha256))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, toy: np.ndarray) -> Path:
    """A folder with the recording as toy.npy, and as toy.csv with its seconds."""
    folder = tmp_path_factory.mktemp("recording")
    np.save(folder / "toy.npy", toy)
    table = np.column_stack([np.arange(len(toy)) / RATE, toy])
    np.savetxt(folder / "timed.csv", table, "%.6f", ",", header="seconds,MLII", comments="")
    np.savetxt(folder / "toy.csv", toy, "%.4f")
    return folder


@pytest.fixture(scope="module")
def of_toy(recording: Recording, folder: Path) -> Recording:
    return recording.model_copy(update={"path": str(folder / "toy.npy"), "rate": RATE, "minutes": 3.0})


@pytest.fixture(scope="module")
def learnt(learn: Learn, of_toy: Recording) -> tuple[fitting.Fit, np.ndarray]:
    return learn(of_toy)


@pytest.fixture(scope="module")
def shipped(learnt: tuple[fitting.Fit, np.ndarray], of_toy: Recording) -> Shipped:
    return exported(*learnt, metadata_of(of_toy))


@pytest.fixture(scope="module")
def own(shipped: Shipped) -> Detector:
    return shipped[1]


@pytest.fixture(scope="module")
def scanned(own: Detector, folder: Path) -> Scan:
    return scan(str(folder / "toy.npy"), own, rate=RATE)


@pytest.fixture(scope="module")
def written(scanned: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "new" / "folder"
    write_report(scanned, folder)
    return folder


def saved(samples: np.ndarray, folder: Path, name: str = "other") -> str:
    np.save(folder / f"{name}.npy", samples)
    return str(folder / f"{name}.npy")


def differing(a: Scan, b: Scan) -> float:
    """The alarms of both scans without a counterpart within 150 ms, as a share of the beats of the first."""
    times = [scan.alarms.seconds.to_numpy() for scan in (a, b)]
    return (len(times[0]) + len(times[1]) - 2 * (match_beats(*times) >= 0).sum()) / len(a.beats)


def assert_same(a: Scan, b: Scan) -> None:
    for name in PER_BEAT:
        np.testing.assert_array_equal(getattr(a.beats, name), getattr(b.beats, name), name)


# Scores and verdicts.


def test_most_wide_beats_are_alarms_and_most_others_are_not(scanned: Scan, toy: np.ndarray) -> None:
    """A ventricular beat is followed by a deep, wide trough.

    Fusion beats have a trough as well, and count as normal: the training part has no annotations.
    """
    beats = scanned.beats
    r_peaks = (beats.seconds * RATE).astype(int)
    trough = np.array([toy[peak + 40 : peak + 110].min() - np.median(toy[peak - 100 : peak]) for peak in r_peaks])
    ventricular = trough < -0.4
    assert 0.1 < ventricular.mean() < 0.4
    assert beats.anomalous[ventricular].mean() > 2 / 3
    assert beats.anomalous[~ventricular].mean() < 0.12


def test_every_beat_has_its_score_threshold_and_verdict(scanned: Scan, recording: Recording, folder: Path) -> None:
    beats, left_out = scanned.beats, scanned.left_out
    np.testing.assert_array_equal(beats.anomalous, beats.score >= beats.threshold)
    assert ((beats.p_value > 0) & (beats.p_value <= 1)).all()
    with open_lead(str(folder / "toy.npy"), rate=RATE) as lead, process_lead(lead, recording.beats) as processed:
        assert len(beats) + left_out.in_unusable_signal + left_out.at_the_ends == len(processed.r_peaks)
    assert scanned.recording.duration == 300


def test_progress_is_reported_up_to_the_end(own: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "CHUNK_SECONDS", 60)
    shares: list[float] = []
    scan(str(folder / "toy.npy"), own, rate=RATE, on_progress=shares.append)
    assert len(shares) == 5 + 2  # of each minute, of the verdicts, and of the rest
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[4] < shares[-1] == 1


def test_the_number_of_beats_in_a_chunk_does_not_matter(
    own: Detector, scanned: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "CHUNK_BEATS", 37)
    again = scan(str(folder / "toy.npy"), own, rate=RATE)
    for name in NUMBERS:  # sums round differently in the last bit
        np.testing.assert_allclose(getattr(again.beats, name), getattr(scanned.beats, name), rtol=1e-4, err_msg=name)
    np.testing.assert_array_equal(again.beats.anomalous, scanned.beats.anomalous)


def test_a_table_gives_the_alarms_of_the_array(own: Detector, scanned: Scan, folder: Path) -> None:
    again = scan(str(folder / "timed.csv"), own)
    assert again.recording.lead == "MLII"
    assert again.recording.rate == pytest.approx(RATE)
    assert differing(scanned, again) <= 0.01


@pytest.mark.parametrize(("rate", "up", "down"), [(128, 16, 45), (1000, 25, 9)])
def test_another_sampling_rate_gives_the_same_verdicts(
    rate: int, up: int, down: int, own: Detector, scanned: Scan, toy: np.ndarray, tmp_path: Path
) -> None:
    again = scan(saved(resample_poly(toy, up, down), tmp_path), own, rate=float(rate))
    assert differing(scanned, again) <= 0.02


def test_another_sampling_rate_gives_the_same_alarms_on_a_record(
    learn: Learn, recording: Recording, mitdb: Path, tmp_path: Path
) -> None:
    """A fiftieth of the alarms may differ, which is less than a fiftieth of the beats."""
    path = str(mitdb / "233")
    settings = recording.model_copy(update={"path": path})
    _, detector = exported(*learn(settings), metadata_of(settings))
    first, samples = scan(path, detector), wfdb.rdrecord(path, channels=[0]).p_signal[:, 0]
    for rate, up, down in ((128, 16, 45), (250, 25, 36), (500, 25, 18), (1000, 25, 9)):
        again = scan(saved(resample_poly(samples, up, down), tmp_path), detector, rate=float(rate))
        assert abs(len(again.beats) - len(first.beats)) <= 0.01 * len(first.beats)
        assert differing(first, again) * len(first.beats) <= 0.02 * len(first.alarms)


@pytest.mark.parametrize("segmentation", ["rr", "window"])
def test_beats_are_cut_as_the_models_training_beats_were(
    segmentation: str, learn: Learn, of_toy: Recording, folder: Path
) -> None:
    beats = of_toy.beats.model_copy(update={"segmentation": segmentation, "length": 100})
    other = of_toy.model_copy(update={"beats": beats})
    _, detector = exported(*learn(other), metadata_of(other))
    scanned, expected = scan(str(folder / "toy.npy"), detector, rate=RATE).beats, split_recording(other).beats
    np.testing.assert_array_equal(scanned.seconds, expected.seconds)
    np.testing.assert_allclose(scanned.score, detector.model.scores(expected.samples), rtol=1e-4)


def test_a_fixed_threshold_is_the_calibrated_one(own: Detector, scanned: Scan, folder: Path) -> None:
    fixed = scan(str(folder / "toy.npy"), own, rate=RATE, adaptive=False)
    assert set(fixed.beats.threshold.tolist()) == {own.calibration.threshold}
    np.testing.assert_array_equal(fixed.beats.score, scanned.beats.score)
    assert (fixed.adaptive, scanned.adaptive) == (False, True)
    assert len(set(scanned.beats.threshold.tolist())) > 100


@pytest.mark.parametrize("adaptive", [True, False])
def test_the_calibrated_alpha_gives_the_calibrated_threshold(adaptive: bool, own: Detector, folder: Path) -> None:
    as_calibrated, asked_for = (
        scan(str(folder / "toy.npy"), own, rate=RATE, alpha=alpha, adaptive=adaptive)
        for alpha in (None, own.calibration.alpha)
    )
    assert_same(as_calibrated, asked_for)
    assert np.isfinite(asked_for.beats.threshold).all()


@pytest.mark.parametrize(
    ("method", "alpha"),
    [
        ("percentile", 0.02),
        ("percentile", 0.2),
        ("conformal", 0.02),
        ("conformal", 0.2),
        ("conformal_conditional", 0.03),
        ("conformal_conditional", 0.2),
        ("pot", 0.001),  # in the tail
        ("pot", 0.2),  # among the counted errors
    ],
)
def test_a_fixed_threshold_at_another_alpha_is_that_of_a_calibration_at_it(
    method: str, alpha: float, own: Detector, learnt: tuple[fitting.Fit, np.ndarray], folder: Path
) -> None:
    def calibrated(method: str, alpha: float) -> Detector:
        errors = TrainingErrors(learnt[0].fold, learnt[0].fitted_error, learnt[0].held_out_error)
        settings = calibrating(method=method, alpha=alpha)
        return Detector(own.model, thresholds.calibrate(errors, settings, own.model.sha256))

    other = calibrated("conformal" if method == "percentile" else method, alpha)  # percentiles have no alpha
    result = scan(str(folder / "toy.npy"), calibrated(method, 0.05), rate=RATE, alpha=alpha, adaptive=False)
    assert set(result.beats.threshold.tolist()) == {other.calibration.threshold}
    assert_same(result, scan(str(folder / "toy.npy"), other, rate=RATE, adaptive=False))


def test_a_smaller_alpha_gives_fewer_alarms(own: Detector, folder: Path) -> None:
    for adaptive in (False, True):
        few, many = (
            scan(str(folder / "toy.npy"), own, rate=RATE, alpha=alpha, adaptive=adaptive) for alpha in (0.02, 0.2)
        )
        assert 0 < len(few.alarms) < len(many.alarms)
        assert few.beats.threshold.mean() > many.beats.threshold.mean()


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1e-5, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha: float, adaptive: bool, own: Detector, folder: Path) -> None:
    with pytest.raises(InputError, match=rf"alpha is {alpha}"):
        scan(str(folder / "toy.npy"), own, rate=RATE, alpha=alpha, adaptive=adaptive)


def test_a_model_without_alpha_needs_a_fixed_threshold(
    learnt: tuple[fitting.Fit, np.ndarray], of_toy: Recording, folder: Path
) -> None:
    _, detector = exported(*learnt, metadata_of(of_toy), "percentile")
    with pytest.raises(InputError, match=r"alpha is None.*--fixed\)"):
        scan(str(folder / "toy.npy"), detector, rate=RATE)
    assert len(scan(str(folder / "toy.npy"), detector, rate=RATE, adaptive=False).alarms)


def test_a_model_that_does_not_state_how_beats_are_cut_is_refused(
    learnt: tuple[fitting.Fit, np.ndarray], folder: Path
) -> None:
    _, stranger = exported(*learnt, {"dataset": "stranger"})
    with pytest.raises(InputError, match="the model does not state how its beats are cut from a recording"):
        scan(str(folder / "toy.npy"), stranger, rate=RATE)


def test_a_model_that_states_another_length_than_it_takes_is_refused(
    learnt: tuple[fitting.Fit, np.ndarray], of_toy: Recording, folder: Path
) -> None:
    metadata = datasets.recording_metadata(of_toy.model_dump())
    metadata["beats"]["length"] = 99
    _, other = exported(*learnt, {"recording": json.dumps(metadata)})
    with pytest.raises(InputError, match="takes beats of 140 samples, but states 99"):
        scan(str(folder / "toy.npy"), other, rate=RATE)


# Warnings.


def test_a_recording_with_the_name_of_the_training_recording_has_a_warning(scanned: Scan) -> None:
    (warning,) = scanned.warnings
    assert warning.startswith("The model was trained on the first 3 minutes of a recording of this name.")


def test_another_recording_has_a_warning(own: Detector, toy: np.ndarray, tmp_path: Path) -> None:
    warnings = scan(saved(toy, tmp_path), own, rate=RATE).warnings
    assert warnings[0].startswith("The model was trained on another patient (mine)")


def test_another_heart_has_a_warning_with_the_alarm_rate(detector: Detector, folder: Path) -> None:
    result = scan(str(folder / "toy.npy"), detector, rate=RATE, adaptive=False)
    assert result.warnings[0].startswith("The model was trained on another patient (ECG5000)")
    share = result.beats.anomalous.mean()
    assert share > 0.5
    assert (
        result.warnings[1]
        == f"{share:.0%} of the beats are alarms: it is mostly abnormal, or the model does not fit it."
    )


def test_an_inverted_lead_gives_the_same_alarms_and_a_warning(
    own: Detector, scanned: Scan, toy: np.ndarray, tmp_path: Path
) -> None:
    result = scan(saved(-toy, tmp_path, "toy"), own, rate=RATE)
    assert any("the lead was inverted" in warning for warning in result.warnings)
    assert differing(scanned, result) <= 0.01


def test_unusable_signal_has_a_warning_and_no_alarms(own: Detector, toy: np.ndarray, tmp_path: Path) -> None:
    damaged = toy.copy()
    damaged[36_000:54_000] = np.nan  # 100 s to 150 s
    result = scan(saved(damaged, tmp_path, "toy"), own, rate=RATE)
    assert (
        "17% of the recording is missing, flat, clipped, outlying or noisy signal and was not scanned."
        in result.warnings
    )
    assert not ((result.beats.seconds > 99.9) & (result.beats.seconds < 150.1)).any()
    unusable = {"missing": pytest.approx(50, abs=0.1), "flat": 0, "clipped": 0, "outlier": 0, "noisy": 0}
    assert result.summary()["seconds_without_ecg"] == unusable
    assert result.summary()["left_out"]["in_unusable_signal"] >= 1
    minutes = result.per_interval(60)
    assert np.isnan(minutes["heart_rate"].iloc[2]) == (minutes["beats"].iloc[2] == 0)
    np.testing.assert_allclose(minutes["usable"], [1, 40 / 60, 30 / 60, 1, 1], atol=0.01)
    assert result.usable_share == pytest.approx(1 - 50 / 300, abs=0.001)


# Files.


FILES = ["alarms.csv", "beats.csv", "episodes.csv", "kinds.csv", "report.html", "scan.json", "toy.alarm"]


def test_the_files_are_written_and_nothing_else(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == FILES


def test_the_tables_have_the_alarms_and_the_beats_with_their_times(written: Path, scanned: Scan) -> None:
    alarms, beats = (
        list(csv.DictReader((written / f"{name}.csv").read_text().splitlines())) for name in ("alarms", "beats")
    )
    assert len(beats) == len(scanned.beats)
    assert [row for row in beats if row["anomalous"] == "True"] == alarms
    np.testing.assert_allclose([float(row["seconds"]) for row in alarms], scanned.alarms.seconds, atol=1e-3)
    assert all(row["time"] == format_time(float(row["seconds"])) for row in beats)
    assert (written / "alarms.csv").read_bytes() == csv_bytes(scanned.alarms, DIGITS)


def test_the_wfdb_annotations_are_the_alarms(written: Path, scanned: Scan) -> None:
    notes = wfdb.rdann(str(written / "toy"), "alarm")
    np.testing.assert_array_equal(notes.sample, np.round(scanned.alarms.seconds * RATE))
    assert notes.fs == RATE
    assert set(notes.symbol) == {'"'}
    assert [note.split(", p ")[0] for note in notes.aux_note] == scanned.alarms.kind.tolist()


def test_the_summary_is_written_and_agrees_with_the_beats(written: Path, scanned: Scan) -> None:
    summary = json.loads((written / "scan.json").read_text())
    assert summary.keys() == scanned.summary().keys()
    assert summary["beats"] == len(scanned.beats)
    assert summary["alarms"] == scanned.beats.anomalous.sum()
    assert summary["alarm_rate"] == pytest.approx(scanned.beats.anomalous.mean(), abs=1e-6)
    assert summary["alarms_per_hour"] == 12 * summary["alarms"]
    assert summary["heart_rate"] == pytest.approx(105, abs=3)
    minutes = scanned.per_interval(60)
    assert minutes["alarms"].sum() == summary["alarms"]
    assert minutes["beats"].sum() == summary["beats"]


def test_two_scans_of_a_recording_write_equal_files(own: Detector, folder: Path, written: Path, tmp_path: Path) -> None:
    write_report(scan(str(folder / "toy.npy"), own, rate=RATE), tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes(), name


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["write_page", "write_csv", "write_json"])
def test_if_a_file_cannot_be_written_earlier_files_stay(
    failing: str, scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alarms.csv").write_text("earlier")
    monkeypatch.setattr(report, failing, full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_report(scanned, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["alarms.csv"]
    assert (tmp_path / "alarms.csv").read_text() == "earlier"


def test_an_interruption_leaves_the_earlier_report_whole(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(without_alarms(scanned), folder)
    earlier = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_json", interrupted)  # after the page and the tables
    with pytest.raises(KeyboardInterrupt):
        write_report(scanned, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == earlier
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_files_of_others_is_not_replaced(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has other files, such as 'notes.txt': name a folder of its own"):
        write_report(scanned, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_page_alone_is_written_whole_or_not_at_all(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.html"
    path.write_text("earlier")
    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_page(scanned, path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine.html", "earlier")]


def test_a_report_is_not_written_over_a_file(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match=r"mine is a file: name a folder, or a file that ends in \.html"):
        write_report(scanned, tmp_path / "mine")


def without_alarms(scanned: Scan) -> Scan:
    beats = scanned.beats.assign(anomalous=False, why="", kind="", episode=0)
    return replace(scanned, beats=beats, episodes=scanned.episodes[:0], kinds=scanned.kinds[:0], shapes={})


def test_without_alarms_the_annotations_of_an_earlier_scan_are_removed(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "toy.alarm").write_bytes(b"earlier")
    write_report(without_alarms(scanned), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in FILES if name != "toy.alarm"]


@pytest.mark.parametrize(
    ("missing", "does", "purpose"),
    [
        ("edfio", "scan", "reading recordings"),
        ("vl_convert", "write", "the report"),
        ("jinja2", "write", "the report"),
        ("wfdb", "write", "writing annotations"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    missing: str, does: str, purpose: str, own: Detector, scanned: Scan, toy: np.ndarray, tmp_path: Path
) -> None:
    edfio.Edf([edfio.EdfSignal(toy[:3600], RATE, label="II")]).write(tmp_path / "toy.edf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, missing, None)
        for module in ("page", "parts"):
            forget(patch, f"ecg.scanning.{module}")
        with pytest.raises(InputError, match=rf"^{purpose} needs {missing}: pip install 'ecg-anomaly-detector\[rec"):
            scan(str(tmp_path / "toy.edf"), own) if does == "scan" else write_report(scanned, tmp_path / "new")


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0:00:00.0"), (59.96, "0:01:00.0"), (3661.25, "1:01:01.2"), (90_000, "25:00:00.0")]
)
def test_times_have_hours_minutes_and_seconds(seconds: float, expected: str) -> None:
    assert format_time(seconds) == expected


# The command.

Ecg = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def ecg(shipped: Shipped, folder: Path) -> Ecg:
    """Scan in the folder of the recording, from anywhere but the repository."""
    models, (content, detector) = folder / "models", shipped
    models.mkdir(exist_ok=True)
    (models / "autoencoder.onnx").write_bytes(content)
    detector.calibration.save(models / "calibration.json")

    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        return scan_command(folder, arguments)

    return run


def test_the_command_scans_a_table_and_writes_a_folder(ecg: Ecg, folder: Path) -> None:
    done = ecg("toy.csv", "--rate", 360, "--report", "report", "--json", "--model", "models")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["recording"] == "toy"
    assert summary["alarms"] > 50
    assert sorted(path.name for path in (folder / "report").iterdir()) == FILES
    assert done.stderr.decode().splitlines() == [f"wrote report/{name}" for name in FILES]


def test_the_command_prints_a_summary(ecg: Ecg) -> None:
    done = ecg("timed.csv", "--lead", "mlii", "--fixed", "--alpha", "0.1", "--model", "models")
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(maxsplit=1) for line in done.stdout.decode().splitlines()[2:])
    assert printed["lead"] == "MLII"
    assert printed["follows_change"] == "False"
    assert printed["judged_by"] == "the model that was trained on mine"
    assert printed["alpha"] == "0.1"
    assert int(printed["beats"]) > 490
    assert done.stderr.startswith(b"warning: The model was trained on another patient (mine)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy.csv"], "toy.csv does not state its sampling rate"),
        (["absent", "--report", "new"], "there is no file absent, nor absent.hea"),
    ],
)
def test_an_error_is_one_message_and_status_1(ecg: Ecg, folder: Path, arguments: list[str], message: str) -> None:
    done = ecg(*arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"error: {message}")
    assert done.stderr.count(b"\n") == 1
    assert not (folder / "new").exists()
