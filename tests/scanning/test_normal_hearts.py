"""Scanning a recording by the model of normal hearts, which has not been trained on the patient."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg.data.aami import NORMAL
from ecg.detector.detector import Detector
from ecg.exceptions import InputError
from ecg.hearts.model import HeartModel
from ecg.recordings.classes import beat_classes
from ecg.recordings.reading import open_lead
from ecg.scanning.changes import CHANGE_SECONDS
from ecg.scanning.display import format_time
from ecg.scanning.findings import finding
from ecg.scanning.records import COLUMNS, Scan
from ecg.scanning.report import write_report
from ecg.scanning.scan import scan
from tests.hearts.conftest import annotate, is_ventricular
from tests.scanning.conftest import scan_command

RATE = 360
ALPHA = 0.05
V = 3  # class of the AAMI
MINUTES = 5  # of the toy record
NOISY = (120, 180)  # seconds

ScanOf = Callable[..., Scan]


@pytest.fixture(scope="module")
def model() -> HeartModel:
    return HeartModel.load()


@pytest.fixture
def scan_of(model: HeartModel, tmp_path: Path) -> ScanOf:
    """Scan samples of a lead."""

    def scan_of(samples: np.ndarray, **options: object) -> Scan:
        np.save(tmp_path / "lead.npy", samples)
        return scan(str(tmp_path / "lead.npy"), model, rate=RATE, **options)

    return scan_of


@pytest.fixture(scope="module")
def path(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("toy") / "toy.npy"
    np.save(path, toy)
    return str(path)


@pytest.fixture(scope="module")
def scanned(model: HeartModel, path: str) -> Scan:
    return scan(path, model, rate=RATE, alpha=ALPHA)


@pytest.fixture(scope="module")
def changed(model: HeartModel, toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """A recording whose lead is inverted, and faster, after MINUTES."""
    faster = np.interp(np.arange(0, len(toy) - 1, 1.2), np.arange(len(toy)), -toy)
    path = tmp_path_factory.mktemp("changed") / "changed.npy"
    np.save(path, np.concatenate([toy, faster]))
    return scan(str(path), model, rate=RATE)


@pytest.fixture(scope="module")
def written(scanned: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_report(scanned, folder)
    return folder


# Verdicts.


def test_most_ventricular_beats_are_alarms_and_few_others(scanned: Scan, toy: np.ndarray) -> None:
    r_peaks = (scanned.beats.seconds * RATE).astype(int)
    ventricular = np.array([is_ventricular(toy, peak) for peak in r_peaks])
    assert 0.1 < ventricular.mean() < 0.4
    assert scanned.beats.anomalous[ventricular].mean() > 0.5
    assert scanned.beats.anomalous[~ventricular].mean() < 0.03


@pytest.mark.parametrize("record", ["106", "119", "233"])
def test_ventricular_beats_of_a_record_are_alarms_and_normal_ones_are_not(
    record: str, model: HeartModel, mitdb: Path
) -> None:
    beats = scan(str(mitdb / record), model).beats
    with open_lead(str(mitdb / record), 0) as lead:
        classes = beat_classes(lead.annotations, beats.seconds)
    assert beats.anomalous[classes == V].mean() > 0.95
    assert beats.anomalous[classes == NORMAL].mean() < 0.02


def test_the_verdicts_are_those_of_the_p_values_and_of_the_threshold(scanned: Scan, model: HeartModel) -> None:
    beats = scanned.beats
    np.testing.assert_array_equal(beats.anomalous, beats.p_value <= ALPHA)
    np.testing.assert_array_equal(beats.anomalous, beats.score >= beats.threshold)
    assert set(beats.threshold.tolist()) == {model.calibration.threshold(ALPHA)}
    np.testing.assert_allclose(beats.p_value, model.calibration.p(beats.score))
    assert (scanned.judged_by, scanned.alpha) == ("the model of normal hearts", ALPHA)


def test_alpha_is_the_calibrated_one_if_none_is_asked_for(model: HeartModel, path: str) -> None:
    result = scan(path, model, rate=RATE)
    assert result.alpha == model.calibration.alpha
    assert result.summary()["alpha"] == model.calibration.alpha
    assert set(result.beats.threshold.tolist()) == {model.calibration.threshold()}


def test_a_smaller_alpha_gives_fewer_alarms(model: HeartModel, path: str) -> None:
    few, many = (set(scan(path, model, rate=RATE, alpha=alpha).alarms.index) for alpha in (0.02, 0.2))
    assert 0 < len(few) < len(many)
    assert few < many


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1e-7, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha: float, model: HeartModel, path: str) -> None:
    with pytest.raises(InputError, match=rf"alpha is {alpha}"):
        scan(path, model, rate=RATE, alpha=alpha)


@pytest.mark.parametrize(("gain", "offset"), [(0.2, 0.0), (1000.0, -500.0), (-1.0, 0.0)])
def test_the_unit_offset_and_sign_of_a_lead_change_no_alarm(
    gain: float, offset: float, scanned: Scan, scan_of: ScanOf, toy: np.ndarray
) -> None:
    result = scan_of(gain * toy + offset, alpha=ALPHA)
    np.testing.assert_array_equal(result.beats.seconds, scanned.beats.seconds)
    assert (result.beats.anomalous != scanned.beats.anomalous).mean() < 0.01


def test_each_alarm_has_its_reason_and_no_other_beat(scanned: Scan) -> None:
    beats = scanned.beats
    assert all(scanned.alarms.why)
    assert not any(beats.why[~beats.anomalous])
    known = ("early by", "late by", "QRS", "P wave", "ST segment", "unusual rhythm")
    assert all(why.startswith(known) for why in scanned.alarms.why)


def test_a_model_of_the_patients_own_gives_reasons_too(detector: Detector, path: str) -> None:
    result = scan(path, detector, rate=RATE, adaptive=False)
    assert len(result.alarms)
    assert all(result.alarms.why)
    assert result.judged_by == "the model that was trained on ECG5000"
    np.testing.assert_array_equal(result.beats.anomalous, result.beats.anomalous_from_start)


# Annotations of the first minutes.


@pytest.fixture(scope="module")
def annotated(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of which each beat is annotated as normal or as ventricular."""
    folder = tmp_path_factory.mktemp("annotated")
    annotate(folder, "mine", toy)
    return folder / "mine"


def test_with_annotations_abnormal_beats_raise_more_alarms_and_normal_ones_no_more_than_promised(
    model: HeartModel, annotated: Path
) -> None:
    without, learnt = (scan(str(annotated), model, alpha=0.2, annotations=name) for name in (None, "atr"))
    with open_lead(str(annotated)) as lead:
        normal = beat_classes(lead.annotations, learnt.beats.seconds) == NORMAL
    assert learnt.beats.anomalous[normal].mean() <= 0.2
    assert learnt.beats.anomalous[~normal].sum() > without.beats.anomalous[~normal].sum()
    assert learnt.beats.anomalous[~normal].mean() > 0.5


def test_annotations_that_are_missing_or_of_no_normal_beat_are_refused(
    model: HeartModel, annotated: Path, detector: Detector
) -> None:
    with pytest.raises(InputError, match="mine"):
        scan(str(annotated), model, annotations="absent")
    wfdb.wrann("mine", "none", np.array([400]), ["V"], fs=RATE, write_dir=str(annotated.parent))
    with pytest.raises(InputError, match=r"mine has no beats annotated as normal in its first minutes \(\.none\)"):
        scan(str(annotated), model, annotations="none")
    with pytest.raises(InputError, match="has learnt from annotations already"):
        scan(str(annotated), detector, annotations="atr")


# Change since the start.


def test_verdicts_of_a_fixed_scan_are_those_from_the_start(path: str, model: HeartModel) -> None:
    followed, fixed = (scan(path, model, rate=RATE, adaptive=adaptive) for adaptive in (True, False))
    assert not fixed.adaptive
    assert not fixed.summary()["follows_change"]
    np.testing.assert_array_equal(fixed.beats.anomalous, fixed.beats.anomalous_from_start)
    np.testing.assert_array_equal(fixed.beats.anomalous_from_start, followed.beats.anomalous_from_start)
    assert all(fixed.alarms.why)


def test_a_lasting_change_is_reported_from_its_start_on(changed: Scan) -> None:
    (change,) = changed.changes
    assert change.start == pytest.approx(60 * MINUTES, abs=30)
    assert change.lasts
    assert str(change).startswith(f"unlike the start from {format_time(change.start)} on: ")
    assert f" on: {change.unlike:,} of {change.beats:,} beats" in str(change)
    late = changed.beats.seconds >= change.start
    assert change.beats == pytest.approx(late.sum(), abs=5)
    assert change.beats >= change.unlike >= changed.beats.anomalous_from_start[late].sum()
    summary = changed.summary()
    assert summary["changes"] == [str(change)]
    assert summary["alarms_from_start"] == changed.beats.anomalous_from_start.sum() > 0.8 * late.sum()


def test_a_change_that_ends_has_its_end(scan_of: ScanOf, toy: np.ndarray) -> None:
    (change,) = scan_of(np.concatenate([toy, -toy[: 120 * RATE], toy])).changes
    assert not change.lasts
    assert change.start == pytest.approx(60 * MINUTES, abs=30)
    assert change.stop == pytest.approx(60 * MINUTES + 120, abs=30)
    assert f" to 0:0{int(change.stop // 60)}:" in str(change)


def test_another_patients_lead_after_five_minutes_is_a_change(mitdb: Path, scan_of: ScanOf) -> None:
    first, second = (wfdb.rdrecord(str(mitdb / name), channels=[0]).p_signal[:, 0] for name in ("100", "233"))
    (change,) = scan_of(np.concatenate([first[: 360 * RATE], second[: 300 * RATE]])).changes
    assert change.start == pytest.approx(360, abs=30)
    assert change.lasts


def test_the_same_again_is_no_change(scan_of: ScanOf, toy: np.ndarray, scanned: Scan) -> None:
    assert scanned.changes == []
    assert scan_of(np.concatenate([toy, toy]), alpha=ALPHA).changes == []


def test_a_short_change_is_not_reported(scan_of: ScanOf, toy: np.ndarray) -> None:
    short = int(0.6 * CHANGE_SECONDS) * RATE
    result = scan_of(np.concatenate([toy, -toy[:short], toy[:short]]))
    assert result.beats.anomalous_from_start.sum() > 20
    assert result.changes == []


# Unusable signal.


@pytest.fixture(params=["made", "ma", "em"])
def noise(request: pytest.FixtureRequest) -> np.ndarray:
    """A minute of noise: made, or of the MIT-BIH Noise Stress Test Database, where it lies beside MIT-BIH."""
    n = (NOISY[1] - NOISY[0]) * RATE
    if request.param == "made":
        return np.random.default_rng(0).normal(size=n)
    path = request.getfixturevalue("mitdb").parent / "nstdb" / request.param
    if not path.with_suffix(".hea").is_file():
        pytest.skip(f"there is no {path}")
    return wfdb.rdrecord(str(path), channels=[0], sampfrom=20_000, sampto=20_000 + n).p_signal[:, 0]


def test_noise_raises_no_alarms_and_is_named(noise: np.ndarray, scan_of: ScanOf, toy: np.ndarray) -> None:
    noisy = toy.copy()
    noisy[NOISY[0] * RATE : NOISY[1] * RATE] += 2 * toy.std() * noise / noise.std()
    result = scan_of(noisy)
    seconds = result.beats.seconds
    inside = (seconds > NOISY[0] + 5) & (seconds < NOISY[1] - 5)
    assert not result.beats.anomalous[inside].any()
    assert result.summary()["seconds_without_ecg"]["noisy"] == pytest.approx(60, abs=10)
    (segment,) = [segment for segment in result.unusable if segment.kind == "noisy"]
    assert (segment.start, segment.stop) == pytest.approx(NOISY, abs=6)
    (warning,) = [warning for warning in result.warnings if "not scanned" in warning]
    assert "noisy signal and was not scanned" in warning


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.random.default_rng(0).normal(size=54_000), "is no ECG: it is"),
        (np.arange(54_000.0), "is no ECG: it is a count"),
        (np.arange(54_000.0) % 180, "is no ECG: it is a count"),
        (np.full(54_000, 3.0), "is no ECG: it does not vary"),
        (np.sin(np.arange(54_000) / 50), "is no ECG"),
    ],
)
def test_what_is_no_ecg_is_refused(samples: np.ndarray, reason: str, scan_of: ScanOf) -> None:
    with pytest.raises(InputError, match=rf"lead\.npy, lead 0, {reason}.*; try another lead"):
        scan_of(samples)


def test_a_start_without_signal_is_a_warning(scan_of: ScanOf, toy: np.ndarray) -> None:
    lost = np.concatenate([toy, toy])
    lost[: 200 * RATE] = np.nan
    assert any(
        "poor reference for the rest: 200 of its 300 seconds are unusable" in warning
        for warning in scan_of(lost).warnings
    )
    lost[: 310 * RATE] = np.nan
    assert any("have no usable beats" in warning for warning in scan_of(lost).warnings)


# Files, figures and the command.


def test_the_tables_have_the_new_columns(written: Path, scanned: Scan) -> None:
    beats = list(csv.DictReader((written / "beats.csv").read_text().splitlines()))
    assert tuple(beats[0]) == tuple(COLUMNS)
    assert {"anomalous_from_start", "why"} < set(COLUMNS)
    assert [row["why"] for row in beats] == scanned.beats.why.tolist()
    assert [row["anomalous_from_start"] for row in beats] == list(map(str, scanned.beats.anomalous_from_start.tolist()))
    alarms = list(csv.DictReader((written / "alarms.csv").read_text().splitlines()))
    assert [row["why"] for row in alarms] == scanned.alarms.why.tolist()


def test_the_summary_says_what_judged_the_beats(written: Path, scanned: Scan) -> None:
    summary = json.loads((written / "scan.json").read_text())
    assert summary["judged_by"] == "the model of normal hearts"
    assert summary["alpha"] == ALPHA
    assert summary["follows_change"]
    assert summary["changes"] == []
    assert summary["alarms_from_start"] == scanned.beats.anomalous_from_start.sum()


def ecg(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return scan_command(folder, arguments, text=True)


def test_the_command_needs_no_model_of_ones_own(toy: np.ndarray, scanned: Scan, tmp_path: Path) -> None:
    np.save(tmp_path / "toy.npy", toy)
    done = ecg(tmp_path, "toy.npy", "--rate", RATE, "--alpha", ALPHA, "--report", "report")
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[2:] if line[0] != " ")
    assert printed["judged_by"] == "the model of normal hearts"
    assert printed["alarms"] == str(len(scanned.alarms))
    assert printed["follows_change"] == "True"
    kind = scanned.kinds.iloc[0]
    assert f"{kind.alarms} alarms of kind A: {kind.why}" in done.stdout
    assert done.stdout.splitlines()[0] == finding(scanned)
    assert {path.name for path in (tmp_path / "report").iterdir()} > {"report.html", "toy.alarm"}


def test_the_command_prints_a_change_and_compares_with_the_start(toy: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "toy.npy", np.concatenate([toy, -toy]))
    done = ecg(tmp_path, "toy.npy", "--rate", RATE, "--fixed")
    assert done.returncode == 0, done.stderr
    assert "finding: unlike the start from 0:05:" in done.stderr
    assert "follows_change" in done.stdout


def test_the_command_says_that_a_recording_is_no_ecg(tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=54_000))
    done = ecg(tmp_path, "noise.npy", "--rate", RATE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: noise.npy, lead 0, is no ECG: ")
