"""The protocol for recordings of patients: figures by hand, and a run on two small annotated records."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.protocol import tasks
from benchmarks.recordings import __main__ as protocol
from benchmarks.recordings import detectors, records
from benchmarks.recordings.detectors import DETECTORS, FIRST, Judged
from benchmarks.recordings.figures import ahead, counts, interval, of_recording, over_recordings
from benchmarks.recordings.noise import Noise
from benchmarks.recordings.records import Annotated, Patients, in_folder, listed
from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
from tests.conftest import ROOT
from tests.hearts.conftest import RATE, annotate

DOCUMENTED = {
    "auc_mean",
    "auc_median",
    "auc_p10",
    "ap_mean",
    "f1_pooled",
    "far_01_mean",
    "far_05_mean",
    "far_05_above_twice",
    "alarms_per_hour_05",
    "v_sensitivity",
    "s_sensitivity",
    "alarm_ppv",
    "auc_pooled",
    "records",
}
SHARES = {key for key in DOCUMENTED if "per_hour" not in key and key != "records"}


def judged(labels: list[int], score: list[float], thresholds: tuple[float, float, float], **missed: int) -> Judged:
    """Alarms from these scores on: at the default, at 0.01, and at 0.05. Half an hour."""
    scores = np.array(score, float)
    alarms = {alpha: scores >= from_ for alpha, from_ in zip((None, 0.01, 0.05), thresholds, strict=True)}
    return Judged(np.array(labels), scores, alarms, 0.5, {2: missed.get("s", 0), 3: missed.get("v", 0), 4: 0, 5: 0})


# Normal beats of scores 1 to 6, ventricular ones, and one without a label.
ONE = judged([1] * 6 + [3] * 5 + [0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2.5, 99], (6, 10, 5), s=1, v=2)
TWO = judged([1] * 20 + [3] * 5, [*range(20), *[100] * 5], (50, 100, 19))
FEW = judged([1] * 8 + [3] * 4, [*range(8), *[9] * 4], (8, 9, 8))  # ventricular beats for an AUC


# Figures.


def test_undetected_beats_are_missed() -> None:
    found = counts(ONE)
    assert (found.true, found.false, found.missed) == (4, 1, 1 + 2 + 1)
    assert found.f1 == pytest.approx(8 / 13)


def test_figures_of_a_recording_are_those_by_hand() -> None:
    figures = of_recording(ONE)
    expected = {
        "auc": 26 / 30,
        "far_01": 0,
        "far_05": 2 / 6,
        "far_default": 1 / 6,
        "alarms_per_hour": 6 / 0.5,  # with that of the beat without a label
        "alarms_per_hour_05": 7 / 0.5,
        "false_alarms_per_hour": 1 / 0.5,
        "v_sensitivity": 4 / 7,
        "s_sensitivity": 0,
        "alarm_ppv": 4 / 5,
        "f1": 8 / 13,
        "beats": 11,
        "abnormal": 5,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert figures["ap"] == pytest.approx(np.mean([1, 1, 1, 1, 5 / 9]))


def test_an_auc_needs_some_beats_of_both_kinds() -> None:
    figures = of_recording(FEW)
    assert np.isnan(figures["auc"])
    assert np.isnan(figures["ap"])
    assert figures["v_sensitivity"] == 1


def test_a_recording_without_beats_of_a_class_has_no_sensitivity() -> None:
    assert np.isnan(of_recording(TWO)["s_sensitivity"])


def test_means_count_recordings_alike_and_pooled_figures_beats() -> None:
    figures = over_recordings({"db/1": ONE, "db/2": TWO, "db/3": FEW}, set())
    expected = {
        "records": 3,
        "auc_records": 2,
        "auc_mean": (26 / 30 + 1) / 2,
        "auc_median": (26 / 30 + 1) / 2,
        "auc_p10": 26 / 30 + 0.1 * (4 / 30),
        "far_05_mean": (2 / 6 + 1 / 20 + 0) / 3,
        "far_05_above_twice": 1 / 3,
        "far_01_above_twice": 0,
        "v_sensitivity": (4 + 5 + 4) / (7 + 5 + 4),
        "v_sensitivity_mean": (4 / 7 + 1 + 1) / 3,
        "s_sensitivity": 0,
        "alarm_ppv": 13 / 14,
        "alarm_ppv_mean": (4 / 5 + 1 + 1) / 3,
        "alarms_per_hour_05": (7 + 6 + 4) / 0.5 / 3,
        "f1_pooled": 26 / (26 + 1 + 4),
        "f1_records": 3,
        "auc_pooled": auc_by_hand([ONE, TWO, FEW]),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert figures.keys() >= DOCUMENTED


def auc_by_hand(parts: list[Judged]) -> float:
    scores, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("score", "labels"))
    normal, abnormal = scores[labels == 1], scores[labels > 1]
    return float(np.mean((abnormal[:, None] > normal) + 0.5 * (abnormal[:, None] == normal)))


def test_the_pooled_f1_is_of_the_listed_recordings_where_there_are_any() -> None:
    figures = over_recordings({"db/1": ONE, "db/2": TWO}, {"db/2", "db/9"})
    assert (figures["f1_pooled"], figures["f1_records"]) == (1, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_interval_contains_the_mean(values: list[float]) -> None:
    low, high = interval(np.array(values))
    assert low - 1e-12 <= np.mean(values) <= high + 1e-12
    assert min(values) - 1e-12 <= low
    assert high <= max(values) + 1e-12


def test_the_interval_of_many_is_narrow_and_that_of_none_unknown() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.05, 400)
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96 * 0.05 / 20, rel=0.15)
    assert np.isnan(interval(np.empty(0))).all()


def test_who_is_ahead_is_counted_where_both_have_an_auc() -> None:
    worse = replace(TWO, score=-TWO.score)
    ours, other = {"1": ONE, "2": worse, "3": FEW, "4": TWO}, {"1": worse, "2": ONE, "3": TWO, "5": TWO}
    assert ahead(ours, other) == {"ahead": 1, "compared": 2}


def test_what_was_judged_is_the_same_after_it_was_kept() -> None:
    again = Judged.of_arrays(ONE.arrays())
    assert counts(again) == counts(ONE)
    assert (again.hours, again.missed) == (ONE.hours, ONE.missed)
    for alpha, alarms in ONE.alarms.items():
        np.testing.assert_array_equal(again.alarms[alpha], alarms)


# Records.


@pytest.fixture(scope="module")
def folder(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two annotated records of nine minutes, named as patients of both lists."""
    folder = tmp_path_factory.mktemp("records") / "mitdb"
    folder.mkdir()
    annotate(folder, "208", np.concatenate([toy, toy[: 4 * 60 * int(RATE)]]))
    annotate(folder, "100", np.concatenate([toy[::-1][: 4 * 60 * int(RATE)], toy]))
    return folder


def test_a_folder_has_its_annotated_records_by_database_and_name(folder: Path, tmp_path: Path) -> None:
    found = in_folder(folder.parent, Patients.ALL)
    assert [record.name for record in found] == ["mitdb/100", "mitdb/208"]
    assert found[0].path == str(folder / "100")
    shutil.copytree(folder, tmp_path / "svdb")
    (tmp_path / "svdb" / "208.atr").unlink()
    assert [record.name for record in in_folder(tmp_path, Patients.ALL)] == ["svdb/100"]


@pytest.mark.parametrize(
    ("patients", "expected"), [(Patients.DEVELOPMENT, ["mitdb/208"]), (Patients.REPORTING, ["mitdb/100"])]
)
def test_patients_are_those_of_the_list(patients: Patients, expected: list[str], folder: Path) -> None:
    assert [record.name for record in in_folder(folder, patients)] == expected
    assert set(expected) < listed(patients)


def test_a_folder_without_records_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no annotated WFDB record \(\.hea and \.atr\)"):
        in_folder(tmp_path, Patients.ALL)
    for file in folder.glob("100.*"):
        shutil.copy(file, tmp_path)
    with pytest.raises(InputError, match=r"or none for reporting \(hearts/patients\.yaml\)"):
        in_folder(tmp_path, Patients.REPORTING)
    (tmp_path / "100.atr").unlink()
    with pytest.raises(InputError, match="holds no annotated WFDB record"):
        in_folder(tmp_path, Patients.ALL)


def test_a_record_without_annotations_is_refused(folder: Path) -> None:
    with (
        open_lead(str(folder / "100"), annotations=None) as lead,
        pytest.raises(InputError, match="100 has no annotations"),
    ):
        Annotated.of(lead, np.arange(5.0), np.arange(5))


def test_annotated_beats_are_detected_judged_or_missed(folder: Path) -> None:
    with open_lead(str(folder / "208")) as lead:
        seconds = lead.annotations.seconds
        r_peaks = np.delete(seconds + 0.02, [3, 4])
        judged = np.setdiff1d(np.arange(len(r_peaks)), [0, 1])
        beats = Annotated.of(lead, r_peaks, judged)
    assert np.flatnonzero(~beats.detected).tolist() == [3, 4]
    assert np.flatnonzero(~beats.judged).tolist() == [0, 1, 3, 4]
    assert len(beats.labels) == len(r_peaks) - 2
    assert (beats.labels > 0).all()
    assert sum(beats.missed(label, 0) for label in (1, 3)) == 4
    assert sum(beats.missed(label, seconds[3]) for label in (1, 3)) == 2
    assert beats.r_peaks == len(r_peaks)


# Noise.


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of noise at another rate, about an offset, as a WFDB record."""
    folder = tmp_path_factory.mktemp("noise")
    samples = 3 + np.convolve(np.random.default_rng(0).normal(size=15_000), np.ones(5), "same")
    wfdb.wrsamp(
        "noise", fs=250, units=["mV"], sig_name=["noise"], p_signal=samples[:, None], fmt=["16"], write_dir=str(folder)
    )
    return folder / "noise"


@pytest.mark.parametrize("ratio", [24.0, 12.0, 0.0, -6.0])
def test_added_noise_has_the_ratio_that_is_asked_for(ratio: float, folder: Path, noise: Path) -> None:
    with open_lead(str(folder / "208")) as lead:
        noisy = Noise(str(noise), ratio).added(lead)
        added = noisy.read(0, lead.length) - lead.read(0, lead.length)
        beats = (lead.annotations.seconds * lead.rate).astype(int)
        reach = round(0.06 * lead.rate)
        inner = beats[(beats > reach) & (beats < lead.length - reach - 1)]
        amplitude = np.mean([np.ptp(lead.read(beat - reach, beat + reach + 1)) for beat in inner.tolist()])
    measured = 10 * np.log10(amplitude**2 / 8 / np.square(added).mean())
    assert measured == pytest.approx(ratio, abs=0.2)
    assert abs(added.mean()) < 0.05 * added.std()


def test_noise_is_the_same_however_the_lead_is_read(folder: Path, noise: Path) -> None:
    with open_lead(str(folder / "208")) as lead:
        noisy = Noise(str(noise), 6.0).added(lead)
        whole = noisy.read(0, 100_000)
        parts = [noisy.read(start, start + 25_000) for start in range(0, 100_000, 25_000)]
    np.testing.assert_allclose(np.concatenate(parts), whole)


# A run.

Run = Callable[..., dict]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Run:
    """Run the protocol in this process; the figures that it writes."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "tasks")
    monkeypatch.setattr(protocol, "cpu_count", lambda: 1)

    def run(**options: object) -> dict:
        written = tmp_path / "figures.json"
        plain = {"records": folder, "detector": ["default"], "json_file": written, "database": None}
        more = {"patients": Patients.ALL, "lead": "0", "noise": None, "ratio": 12.0, "csv": None}
        protocol.main(**plain | more | {"paced": False} | options)
        return json.loads(written.read_text())

    return run


def test_a_run_has_the_documented_figures(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(detector=["default", "nearest neighbour"], csv=tmp_path / "rows.csv")
    assert figures.keys() == {"labelled", "unlabelled", "unseen", "r_peaks"}
    assert figures["r_peaks"].keys() == {"sensitivity", "ppv", "v_sensitivity"}
    assert all(0.9 < value <= 1 for value in figures["r_peaks"].values())
    for setting in ("labelled", "unlabelled"):
        assert figures[setting].keys() == {"default", "nearest neighbour"}
        assert figures[setting]["nearest neighbour"]["compared"] == 2
    assert figures["unseen"].keys() == {"default"}
    for setting in ("labelled", "unlabelled", "unseen"):
        for of_detector in figures[setting].values():
            assert of_detector.keys() >= DOCUMENTED
            assert of_detector["records"] == 2
            assert all(of_detector[name] is None or 0 <= of_detector[name] <= 1 for name in SHARES)
            assert of_detector["auc_mean"] > 0.8
            assert of_detector["s_sensitivity"] is None  # none is annotated
    rows = pd.read_csv(tmp_path / "rows.csv", dtype={"record": str})
    assert set(rows["record"]) == {"mitdb/100", "mitdb/208"}
    assert len(rows) == 2 * (2 + 2 + 1)
    unseen = rows[rows["setting"] == "unseen"]
    assert figures["unseen"]["default"]["auc_mean"] == pytest.approx(unseen["auc"].mean(), abs=1e-6)
    printed = capsys.readouterr().out
    assert "unseen" in printed
    assert "R peaks: sensitivity" in printed


def test_results_are_kept_and_computed_again_if_a_record_changes(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "mitdb"
    shutil.copytree(folder, copy)
    first = run(records=copy)
    done: list[str] = []

    def counted(task: dict) -> dict:
        done.append(task["record"])
        return {"counts": np.array([100, 100, 100, 20, 20])}

    monkeypatch.setattr(protocol, "_judge", lambda task: pytest.fail(f"{task['record']} is judged again"))
    monkeypatch.setattr(protocol, "_detect", counted)
    assert run(records=copy) == first
    assert done == []
    changed = bytearray((copy / "208.dat").read_bytes())
    changed[5000] ^= 1
    (copy / "208.dat").write_bytes(changed)
    with pytest.raises(pytest.fail.Exception, match="mitdb/208 is judged again"):
        run(records=copy)
    assert run(records=copy, detector=[])["r_peaks"]["sensitivity"] <= 1
    assert done == ["mitdb/208"]


def test_noise_makes_a_task_of_its_own(run: Run, noise: Path) -> None:
    clean, noisy = run(), run(noise=str(noise), ratio=12.0)
    assert noisy["unseen"]["default"]["auc_mean"] != clean["unseen"]["default"]["auc_mean"]
    assert noisy["r_peaks"]["sensitivity"] <= clean["r_peaks"]["sensitivity"]


def test_a_run_takes_the_patients_that_are_asked_for(run: Run) -> None:
    assert run(patients=Patients.DEVELOPMENT)["unseen"]["default"]["records"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"records": None}, "give either --records FOLDER or --database NAME"),
        ({"database": "mitdb"}, "give either --records FOLDER or --database NAME"),
        ({"detector": ["guess"]}, "--detector guess: it should be one of default, previous, nearest neighbour"),
        ({"lead": "V9"}, "has no lead 'V9'"),
    ],
)
def test_what_is_wrong_is_one_message(options: dict, message: str, run: Run) -> None:
    with pytest.raises(SystemExit, match=r"^error: ") as ended:  # which Python prints, with status 1
        run(**options)
    assert message in str(ended.value)
    assert "\n" not in str(ended.value)


def test_a_folder_without_records_ends_a_run_with_one_message(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: .* holds no annotated WFDB record"):
        run(records=tmp_path)


def test_paced_records_are_left_aside_unless_they_are_asked_for(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both" / "mitdb"
    shutil.copytree(folder, both)
    for suffix in ("hea", "dat", "atr"):
        (both / f"208.{suffix}").rename(both / f"102.{suffix}")
    header = both / "102.hea"
    header.write_text(header.read_text().replace("208", "102"))
    assert run(records=both)["unseen"]["default"]["records"] == 1
    assert "paced, left aside: mitdb/102" in capsys.readouterr().err
    assert run(records=both, paced=True)["unseen"]["default"]["records"] == 2


def test_only_paced_records_are_no_records(run: Run, folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "mitdb"
    alone.mkdir(parents=True)
    for suffix in ("hea", "dat", "atr"):
        shutil.copy(folder / f"208.{suffix}", alone / f"102.{suffix}")
    header = alone / "102.hea"
    header.write_text(header.read_text().replace("208", "102"))
    with pytest.raises(SystemExit, match=r"^error: "):
        run(records=alone)


# Detectors.


def test_the_model_of_normal_hearts_is_judged_in_all_settings(folder: Path) -> None:
    with open_lead(str(folder / "208")) as lead:
        by_setting = DETECTORS["default"](lead, "mitdb/208")
        duration = lead.seconds
    assert by_setting.keys() == {"labelled", "unlabelled", "unseen"}
    unseen, later = by_setting["unseen"], by_setting["unlabelled"]
    assert unseen.hours == pytest.approx(duration / 3600)
    assert later.hours == pytest.approx((duration - FIRST) / 3600)
    np.testing.assert_array_equal(unseen.score[-len(later.score) :], later.score)
    assert len(by_setting["labelled"].labels) == len(later.labels)
    for judged in by_setting.values():
        assert not (judged.alarms[0.01] & ~judged.alarms[0.05]).any()
        assert (judged.score > 0).all()


def test_a_patient_of_the_training_is_judged_as_unseen(folder: Path) -> None:
    with open_lead(str(folder / "208")) as lead:
        known, unknown = (DETECTORS["default"](lead, name)["unseen"] for name in ("mitdb/208", "db/nobody"))
    assert np.abs(known.score - unknown.score).max() > 1e-3


def test_own_models_learn_from_the_first_minutes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = detectors.recording_params()
    quick = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 2})})
    monkeypatch.setattr(detectors, "recording_params", lambda: quick)
    with open_lead(str(folder / "208")) as lead:
        found = {name: DETECTORS[name](lead, "mitdb/208") for name in ("previous", "nearest neighbour")}
        duration = lead.seconds
    for by_setting in found.values():
        assert by_setting.keys() == {"labelled", "unlabelled"}
        for judged in by_setting.values():
            assert judged.hours == pytest.approx((duration - FIRST) / 3600)
            assert set(judged.labels.tolist()) <= {0, 1, 3}
    previous, nearest = (by_setting["labelled"] for by_setting in found.values())
    np.testing.assert_array_equal(previous.labels, nearest.labels)
    assert np.abs(previous.score - nearest.score).max() > 1e-3


def test_own_models_need_some_normal_beats(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("208.*"):
        shutil.copy(file, tmp_path)
    notes = wfdb.rdann(str(tmp_path / "208"), "atr")
    symbols = np.where(notes.sample < 300 * RATE, "V", np.array(notes.symbol)).tolist()
    wfdb.wrann("208", "atr", notes.sample, symbols, fs=RATE, write_dir=str(tmp_path))
    with open_lead(str(tmp_path / "208")) as lead:
        assert DETECTORS["nearest neighbour"](lead, "db/208").keys() == {"unlabelled"}


def test_lists_of_patients_are_read_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LISTS", ROOT / records.LISTS)
    assert "mitdb/208" in listed("development")
    assert "mitdb/100" in listed("reporting")
    assert len(listed("yamac")) == 34
