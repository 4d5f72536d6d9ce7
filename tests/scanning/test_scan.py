"""Scanning a recording with a detector that was trained on it: alarms, files, warnings, and the command."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import wfdb
from matplotlib.figure import Figure
from scipy.signal import resample_poly

from ecg import models
from ecg.data import datasets
from ecg.data.aami import NORMAL
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import Detector
from ecg.detector.model import Model
from ecg.exceptions import InputError
from ecg.params import Params, Recording
from ecg.recordings import cutting
from ecg.recordings.classes import matched
from ecg.recordings.patient import parted
from ecg.scanning import scan as scanning
from ecg.scanning import timeline
from ecg.scanning.display import clock, evenly_spread
from ecg.scanning.records import Scan
from ecg.scanning.report import table_of_alarms, write
from ecg.scanning.scan import scan
from ecg.training import fitting
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
from tests.conftest import ROOT, calibrating

RATE = 360.0
Shipped = tuple[bytes, Detector]  # an ONNX file, and what reads it
PER_BEAT = ("seconds", "rr_before", "rr_after", "quality", "score", "p_value", "threshold", "anomalous")


Learn = Callable[[Recording], tuple[fitting.Fit, np.ndarray]]


@pytest.fixture(scope="module")
def learn(committed_for_recordings: Params) -> Learn:
    """Train on a recording's own beats."""
    settings = committed_for_recordings

    def learn(recording: Recording) -> tuple[fitting.Fit, np.ndarray]:
        train = parted(recording).train
        normal = train.samples[train.classes == NORMAL].astype(np.float32)
        quick = settings.train.model_copy(update={"epochs": 20})
        build = partial(models.build, "dense", settings.models)
        return fitting.fit(normal, Scaling.fit(normal, settings.preprocess), build, quick), normal

    return learn


def facts_of(recording: Recording) -> dict[str, str]:
    return {"dataset": "mine", "recording": json.dumps(datasets.remembered(recording.model_dump()))}


def exported(fit: fitting.Fit, normal: np.ndarray, facts: dict[str, str], method: str = "conformal") -> Shipped:
    content = to_onnx(fit.ensemble, normal, facts)
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
    return exported(*learnt, facts_of(of_toy))


@pytest.fixture(scope="module")
def own(shipped: Shipped) -> Detector:
    return shipped[1]


@pytest.fixture(scope="module")
def scanned(own: Detector, folder: Path) -> Scan:
    return scan(own, str(folder / "toy.npy"), rate=RATE)


@pytest.fixture(scope="module")
def written(scanned: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "new" / "folder"
    write(scanned, folder)
    return folder


def saved(samples: np.ndarray, folder: Path, name: str = "other") -> str:
    np.save(folder / f"{name}.npy", samples)
    return str(folder / f"{name}.npy")


def differing(a: Scan, b: Scan) -> float:
    """The alarms of either scan without one of the other within 150 ms, over the beats of the first."""
    times = [found.beats.seconds[found.beats.alarms] for found in (a, b)]
    return (len(times[0]) + len(times[1]) - 2 * (matched(*times) >= 0).sum()) / len(a.beats)


def assert_same(a: Scan, b: Scan) -> None:
    for name in PER_BEAT:
        np.testing.assert_array_equal(getattr(a.beats, name), getattr(b.beats, name), name)


# What is found.


def test_most_wide_beats_are_alarms_and_most_others_are_not(scanned: Scan, toy: np.ndarray) -> None:
    """A ventricular beat is followed by a deep, wide trough.

    Fusions of one with a normal beat have a trough, too, and pass for normal: nobody has annotated them for training.
    """
    beats = scanned.beats
    places = (beats.seconds * RATE).astype(int)
    trough = np.array([toy[place + 40 : place + 110].min() - np.median(toy[place - 100 : place]) for place in places])
    ventricular = trough < -0.4
    assert 0.1 < ventricular.mean() < 0.4
    assert beats.anomalous[ventricular].mean() > 2 / 3
    assert beats.anomalous[~ventricular].mean() < 0.12


def test_every_beat_has_its_score_threshold_and_verdict(scanned: Scan) -> None:
    beats, coverage = scanned.beats, scanned.coverage
    np.testing.assert_array_equal(beats.anomalous, beats.score >= beats.threshold)
    assert ((beats.p_value > 0) & (beats.p_value <= 1)).all()
    assert len(beats) + coverage.left_out_beside + coverage.left_out_at_ends == coverage.peaks
    assert scanned.recording.duration == 300


def test_progress_is_told_up_to_the_whole(own: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg.recordings.signals.BLOCK", 60)
    told: list[float] = []
    scan(own, str(folder / "toy.npy"), rate=RATE, follow=told.append)
    assert len(told) == 5
    assert told == sorted(told)
    assert told[-1] == 1


def test_the_size_of_a_block_of_beats_does_not_matter(
    own: Detector, scanned: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "BLOCK", 37)
    again = scan(own, str(folder / "toy.npy"), rate=RATE)
    for name in PER_BEAT:  # sums round differently in the last bit
        np.testing.assert_allclose(getattr(again.beats, name), getattr(scanned.beats, name), rtol=1e-4, err_msg=name)


def test_a_table_gives_the_alarms_of_the_array(own: Detector, scanned: Scan, folder: Path) -> None:
    again = scan(own, str(folder / "timed.csv"))
    assert again.recording.lead == "MLII"
    assert again.recording.rate == pytest.approx(RATE)
    assert differing(scanned, again) <= 0.01


@pytest.mark.parametrize(("rate", "up", "down"), [(128, 16, 45), (1000, 25, 9)])
def test_another_rate_gives_the_same_verdicts(
    rate: int, up: int, down: int, own: Detector, scanned: Scan, toy: np.ndarray, tmp_path: Path
) -> None:
    again = scan(own, saved(resample_poly(toy, up, down), tmp_path), rate=float(rate))
    assert differing(scanned, again) <= 0.02


def test_another_rate_raises_the_same_alarms_on_a_record(
    learn: Learn, recording: Recording, mitdb: Path, tmp_path: Path
) -> None:
    """A fiftieth of the alarms may differ, which is less than a fiftieth of the beats."""
    path = str(mitdb / "233")
    settings = recording.model_copy(update={"path": path})
    _, detector = exported(*learn(settings), facts_of(settings))
    first, samples = scan(detector, path), wfdb.rdrecord(path, channels=[0]).p_signal[:, 0]
    for rate, up, down in ((128, 16, 45), (250, 25, 36), (500, 25, 18), (1000, 25, 9)):
        again = scan(detector, saved(resample_poly(samples, up, down), tmp_path), 0, float(rate))
        assert abs(len(again.beats) - len(first.beats)) <= 0.01 * len(first.beats)
        assert differing(first, again) * len(first.beats) <= 0.02 * len(first.beats.alarms)


@pytest.mark.parametrize("segmentation", ["rr", "window"])
def test_a_model_s_way_of_cutting_is_the_scan_s(
    segmentation: str, learn: Learn, of_toy: Recording, folder: Path
) -> None:
    beats = of_toy.beats.model_copy(update={"segmentation": segmentation, "length": 100})
    other = of_toy.model_copy(update={"beats": beats})
    _, detector = exported(*learn(other), facts_of(other))
    found, cut = scan(detector, str(folder / "toy.npy"), rate=RATE).beats, parted(other).cut
    np.testing.assert_array_equal(found.seconds, cut.seconds)
    np.testing.assert_allclose(found.score, detector.model.scores(cut.samples), rtol=1e-4)


def test_a_fixed_threshold_is_the_calibrated_one(own: Detector, scanned: Scan, folder: Path) -> None:
    fixed = scan(own, str(folder / "toy.npy"), rate=RATE, adaptive=False)
    assert set(fixed.beats.threshold.tolist()) == {own.calibration.threshold}
    np.testing.assert_array_equal(fixed.beats.score, scanned.beats.score)
    assert (fixed.adaptive, scanned.adaptive) == (False, True)
    assert len(set(scanned.beats.threshold.tolist())) > 100


@pytest.mark.parametrize("adaptive", [True, False])
def test_the_calibrated_alpha_means_as_calibrated(adaptive: bool, own: Detector, folder: Path) -> None:
    as_calibrated, asked_for = (
        scan(own, str(folder / "toy.npy"), rate=RATE, alpha=alpha, adaptive=adaptive)
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
    found = scan(calibrated(method, 0.05), str(folder / "toy.npy"), rate=RATE, alpha=alpha, adaptive=False)
    assert set(found.beats.threshold.tolist()) == {other.calibration.threshold}
    assert_same(found, scan(other, str(folder / "toy.npy"), rate=RATE, adaptive=False))


def test_a_smaller_alpha_gives_fewer_alarms(own: Detector, folder: Path) -> None:
    for adaptive in (False, True):
        few, many = (
            scan(own, str(folder / "toy.npy"), rate=RATE, alpha=alpha, adaptive=adaptive).beats for alpha in (0.02, 0.2)
        )
        assert 0 < len(few.alarms) < len(many.alarms)
        assert few.threshold.mean() > many.threshold.mean()


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1e-5, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha: float, adaptive: bool, own: Detector, folder: Path) -> None:
    with pytest.raises(InputError, match=rf"alpha is {alpha}"):
        scan(own, str(folder / "toy.npy"), rate=RATE, alpha=alpha, adaptive=adaptive)


def test_a_model_without_alpha_needs_a_fixed_threshold(
    learnt: tuple[fitting.Fit, np.ndarray], of_toy: Recording, folder: Path
) -> None:
    _, detector = exported(*learnt, facts_of(of_toy), "percentile")
    with pytest.raises(InputError, match=r"alpha is None.*--fixed\)"):
        scan(detector, str(folder / "toy.npy"), rate=RATE)
    assert len(scan(detector, str(folder / "toy.npy"), rate=RATE, adaptive=False).beats.alarms)


def test_a_model_that_does_not_say_how_beats_are_cut_is_refused(
    learnt: tuple[fitting.Fit, np.ndarray], folder: Path
) -> None:
    _, stranger = exported(*learnt, {"dataset": "stranger"})
    with pytest.raises(InputError, match="the model does not say how its beats are cut from a recording"):
        scan(stranger, str(folder / "toy.npy"), rate=RATE)


def test_a_model_that_says_another_length_than_it_takes_is_refused(
    learnt: tuple[fitting.Fit, np.ndarray], of_toy: Recording, folder: Path
) -> None:
    remembered = datasets.remembered(of_toy.model_dump())
    remembered["beats"]["length"] = 99
    _, other = exported(*learnt, {"recording": json.dumps(remembered)})
    with pytest.raises(InputError, match="takes beats of 140 samples, but says 99"):
        scan(other, str(folder / "toy.npy"), rate=RATE)


# Warnings.


def test_a_recording_of_the_name_that_was_trained_on_is_noted(scanned: Scan) -> None:
    (told,) = scanned.warnings
    assert told.startswith("The model was trained on the first 3 minutes of a recording of this name.")


def test_another_recording_is_warned_of(own: Detector, toy: np.ndarray, tmp_path: Path) -> None:
    told = scan(own, saved(toy, tmp_path), rate=RATE).warnings
    assert told[0].startswith("The model has seen another patient (mine), not this one")


def test_another_heart_is_warned_of_with_the_share_of_alarms(detector: Detector, folder: Path) -> None:
    found = scan(detector, str(folder / "toy.npy"), rate=RATE, adaptive=False)
    assert found.warnings[0].startswith("The model has seen another patient (ECG5000)")
    share = found.beats.anomalous.mean()
    assert share > 0.5
    assert found.warnings[1] == f"{share:.0%} of the beats raise an alarm: the model does not fit this recording."


def test_a_lead_upside_down_gives_the_same_alarms_and_a_warning(
    own: Detector, scanned: Scan, toy: np.ndarray, tmp_path: Path
) -> None:
    found = scan(own, saved(-toy, tmp_path, "toy"), rate=RATE)
    assert any("reach further down than up; it was turned over" in told for told in found.warnings)
    assert differing(scanned, found) <= 0.01


def test_lost_parts_are_warned_of_and_hold_no_alarm(own: Detector, toy: np.ndarray, tmp_path: Path) -> None:
    lost = toy.copy()
    lost[36_000:54_000] = np.nan  # 100 s to 150 s
    found = scan(own, saved(lost, tmp_path, "toy"), rate=RATE)
    assert any(told == "17% of the recording is no ECG and was not scanned." for told in found.warnings)
    assert not ((found.beats.seconds > 99.9) & (found.beats.seconds < 150.1)).any()
    assert found.facts()["seconds_without_ecg"] == {"missing": pytest.approx(50, abs=0.1), "flat": 0, "clipped": 0}
    assert found.facts()["left_out"]["beside_what_is_no_ecg"] >= 1
    assert np.isnan(found.minutes().heart_rate[2]) == (found.minutes().beats[2] == 0)


# Files.


def test_the_files_are_written_and_nothing_else(written: Path) -> None:
    names = ["alarms.csv", "beats.csv", "scan.json", "timeline.png", "toy.alarm"]
    assert sorted(path.name for path in written.iterdir()) == names


def test_alarms_and_beats_are_tabled_with_their_times(written: Path, scanned: Scan) -> None:
    alarms, beats = (
        list(csv.DictReader((written / f"{name}.csv").read_text().splitlines())) for name in ("alarms", "beats")
    )
    assert len(beats) == len(scanned.beats)
    assert [row for row in beats if row["anomalous"] == "True"] == alarms
    seconds = scanned.beats.seconds[scanned.beats.alarms]
    np.testing.assert_allclose([float(row["seconds"]) for row in alarms], seconds, atol=1e-3)
    assert all(row["time"] == clock(float(row["seconds"])) for row in beats)
    assert (written / "alarms.csv").read_bytes() == table_of_alarms(scanned)


def test_the_wfdb_annotations_are_the_alarms(written: Path, scanned: Scan) -> None:
    notes = wfdb.rdann(str(written / "toy"), "alarm")
    np.testing.assert_array_equal(notes.sample, np.round(scanned.beats.seconds[scanned.beats.alarms] * RATE))
    assert notes.fs == RATE
    assert set(notes.symbol) == {'"'}
    assert all(note.startswith("alarm, p ") for note in notes.aux_note)


def test_the_timeline_is_a_picture(written: Path) -> None:
    assert (written / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_the_facts_are_written_and_agree_with_the_beats(written: Path, scanned: Scan) -> None:
    facts = json.loads((written / "scan.json").read_text())
    assert facts.keys() == scanned.facts().keys()
    assert facts["beats"] == len(scanned.beats)
    assert facts["alarms"] == scanned.beats.anomalous.sum()
    assert facts["alarm_rate"] == pytest.approx(scanned.beats.anomalous.mean(), abs=1e-6)
    assert facts["alarms_per_hour"] == 12 * facts["alarms"]
    assert facts["heart_rate"] == pytest.approx(105, abs=3)
    minutes = scanned.minutes()
    assert minutes.alarms.sum() == facts["alarms"]
    assert minutes.beats.sum() == facts["beats"]


def test_the_strips_show_the_largest_alarms_with_the_beats_beside(scanned: Scan) -> None:
    beats = scanned.beats
    height = beats.score / beats.threshold
    shown = [strip.beat for strip in scanned.strips]
    assert shown == sorted(np.argsort(-np.where(beats.anomalous, height, 0))[: scanning.STRIPS].tolist())
    for strip in scanned.strips:
        at = beats.seconds[strip.beat]
        assert strip.seconds[0] <= at - beats.rr_before[strip.beat]
        assert strip.seconds[-1] >= at + beats.rr_after[strip.beat]
        assert len(strip.seconds) == len(strip.samples)


def test_files_that_cannot_all_be_written_leave_those_of_before(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alarms.csv").write_text("of before")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(timeline, "draw", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(scanned, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["alarms.csv"]
    assert (tmp_path / "alarms.csv").read_text() == "of before"


def without_alarms(scanned: Scan) -> Scan:
    beats = replace(scanned.beats, anomalous=np.zeros(len(scanned.beats), bool))
    return replace(scanned, beats=beats, strips=[])


def test_without_alarms_no_annotations_of_an_earlier_scan_are_left(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "draw", lambda path, _: path.touch())
    (tmp_path / "toy.alarm").write_bytes(b"of before")
    write(without_alarms(scanned), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alarms.csv", "beats.csv", "scan.json", "timeline.png"]


def test_a_scan_without_alarms_is_drawn(scanned: Scan, tmp_path: Path) -> None:
    timeline.draw(tmp_path / "timeline.png", without_alarms(scanned))
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("most", "drawn"), [(200, 200), (10_000, None)])
def test_the_timeline_draws_no_more_beats_than_it_says_and_every_alarm(
    most: int, drawn: int | None, scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(timeline, "POINTS", most)
    monkeypatch.setattr(timeline, "save", lambda figure, _: figures.append(figure))
    timeline.draw(tmp_path / "timeline.png", scanned)
    calm, alarms, threshold = (line.get_xdata() for line in figures[0].axes[2].lines)
    seconds, anomalous = scanned.beats.seconds, scanned.beats.anomalous
    assert 200 < (~anomalous).sum() < 400  # so that neither all of them nor every second one are 200
    assert len(calm) == (drawn or (~anomalous).sum())
    assert set(calm) <= set(seconds[~anomalous] / 60)
    np.testing.assert_array_equal(alarms, seconds[anomalous] / 60)
    assert len(threshold) == len(seconds)


@pytest.mark.parametrize("most", [2, 7, 99, 100, 101])
def test_places_are_spread_evenly_and_are_no_more_than_asked_for(most: int) -> None:
    places = np.arange(100) * 3
    spread = evenly_spread(places, most)
    assert len(spread) == min(most, 100)
    assert set(spread) <= set(places)
    assert (spread[0], spread[-1]) == (places[0], places[-1])
    assert np.ptp(np.diff(spread)) <= 3  # of a place


@pytest.mark.parametrize(
    ("missing", "does", "purpose"),
    [
        ("neurokit2", "scan", "reading recordings"),
        ("matplotlib", "write", "drawing the timeline"),
        ("wfdb", "write", "writing annotations"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    missing: str, does: str, purpose: str, own: Detector, scanned: Scan, folder: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, missing, None)
        patch.delitem(sys.modules, "ecg.scanning.timeline", raising=False)
        patch.delitem(sys.modules, "ecg.evaluation.drawing", raising=False)
        with pytest.raises(InputError, match=rf"^{purpose} needs {missing}: pip install 'ecg-anomaly-detector\[rec"):
            scan(own, str(folder / "toy.npy"), rate=RATE) if does == "scan" else write(scanned, tmp_path / "new")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00:00.0"), (59.96, "0:01:00.0"), (3661.25, "1:01:01.2"), (90_000, "25:00:00.0")]
)
def test_times_are_told_as_on_a_clock(seconds: float, told: str) -> None:
    assert clock(seconds) == told


# The command.

Ecg = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def ecg(shipped: Shipped, folder: Path) -> Ecg:
    """Scan in the folder of the recording, from anywhere but the repository."""
    place, (content, detector) = folder / "models", shipped
    place.mkdir(exist_ok=True)
    (place / "autoencoder.onnx").write_bytes(content)
    detector.calibration.save(place / "calibration.json")

    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "ecg", "scan", *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        )

    return run


def test_the_command_scans_a_table_and_writes_a_folder(ecg: Ecg, folder: Path) -> None:
    done = ecg("toy.csv", "--rate", 360, "-o", "found", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["recording"] == "toy"
    assert facts["alarms"] > 50
    written = sorted(path.name for path in (folder / "found").iterdir())
    assert written == ["alarms.csv", "beats.csv", "scan.json", "timeline.png", "toy.alarm"]
    assert done.stderr.decode().splitlines() == [f"wrote found/{name}" for name in written]


def test_the_command_tells_people_what_it_found(ecg: Ecg) -> None:
    done = ecg("timed.csv", "--lead", "mlii", "--fixed", "--alpha", "0.1")
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.decode().splitlines()[:-1])
    assert told["lead"] == "MLII"
    assert told["adaptive_threshold"] == "False"
    assert int(told["beats"]) > 490
    assert "furthest above the threshold" in done.stdout.decode()
    assert done.stderr.startswith(b"warning: The model has seen another patient (mine)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["toy.csv"], "toy.csv does not say its rate"),
        (["absent", "-o", "new"], "there is no file absent, nor absent.hea"),
    ],
)
def test_a_mistake_is_one_message_and_status_1(ecg: Ecg, folder: Path, arguments: list[str], told: str) -> None:
    done = ecg(*arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"error: {told}")
    assert done.stderr.count(b"\n") == 1
    assert not (folder / "new").exists()
