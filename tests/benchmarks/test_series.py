"""Benchmarks on long series: the files of two archives, what is right, and runs by a stand-in for a detector."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import archive, tsb_ad
from benchmarks.protocol import tasks
from benchmarks.series import detectors, origin, results, tsb, ucr
from benchmarks.series.detectors import DETECTORS, Detector, averaged, centred
from benchmarks.series.periods import WITHOUT, period_of
from benchmarks.series.results import interval, sentence
from benchmarks.series.tsb import abnormal_samples
from benchmarks.series.ucr import Entry
from ecg.exceptions import InputError
from tests.conftest import ROOT

Served = tuple[str, Path]

PERIOD, LENGTH, RATE = 50, 2000, 250
ECGS = [
    "DISTORTED1sddb40",
    "DISTORTEDECG2",
    "DISTORTEDECG4",
    "DISTORTEDapneaecg3",
    "DISTORTEDltstdbs30791AS",
    "DISTORTEDs20101mML2",
    "DISTORTEDsel840mECG2",
    "1sddb40",
    "ECG2",
    "ECG4",
    "apneaecg3",
    "ltstdbs30791AS",
    "s20101mML2",
    "sel840mECG2",
    "STAFFIIIDatabase",
    "mit14046longtermecg",
    "mit14134longtermecg",
    "mit14157longtermecg",
]
OTHERS = [
    "DISTORTEDBIDMC1",
    "DISTORTEDInternalBleeding4",
    "DISTORTEDTkeepThirdMARS",
    "DISTORTEDresperation3",
    "BIDMC1",
    "InternalBleeding4",
    "TkeepThirdMARS",
    "resperation3",
    "taichidbS0715Master",
]


def wave(spike: int | None = None) -> np.ndarray:
    """A sine, with one sample far outside."""
    values = np.sin(2 * np.pi * np.arange(LENGTH) / PERIOD)
    if spike is not None:
        values[spike] = 9
    return values


def largest(values: np.ndarray, normal: int) -> np.ndarray:
    """A stand-in for a detector."""
    assert 0 < normal < len(values)
    return np.abs(values)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """One detector, in this process, whose results are kept in a folder of their own; the lengths of what it scored."""
    lengths: list[int] = []

    def score(values: np.ndarray, normal: int) -> np.ndarray:
        lengths.append(len(values))
        return largest(values, normal)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "tasks")
    monkeypatch.setattr(results, "cpu_count", lambda: 1)
    monkeypatch.setattr(detectors, "DETECTORS", {"largest": Detector(score, "numpy")})
    for module in (results, ucr, tsb):
        monkeypatch.setattr(module, "DETECTORS", detectors.DETECTORS)
    return lengths


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The address of a server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ucr_file(folder: Path, values: np.ndarray, number: int = 1, name: str = "ECG1", start: int = 1500) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{number:03}_UCR_Anomaly_{name}_500_{start}_{start + 9}.txt"
    np.savetxt(path, values)
    return path


# The UCR Anomaly Archive.


@given(
    st.integers(1, 250),
    st.from_regex(r"[A-Za-z0-9]+(_[A-Za-z][a-z]*)?", fullmatch=True),
    st.lists(st.integers(1, 10**6), min_size=3, max_size=3, unique=True).map(sorted),
    st.sampled_from(["txt", "npy"]),
)
def test_a_name_says_what_is_known_of_its_series(number: int, name: str, ends: list[int], suffix: str) -> None:
    entry = Entry.of(Path("{:03}_UCR_Anomaly_{}_{}_{}_{}.{}".format(number, name, *ends, suffix)))
    assert (entry.number, entry.name, entry.train_end, entry.start, entry.end) == (number, name, *ends)


@pytest.mark.parametrize("name", ["1_ECG_1_2_3.txt", "001_UCR_Anomaly_a_1_2.txt", "001_UCR_Anomaly_a_1_2_3.csv"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="NUMBER_UCR_Anomaly_NAME_TRAINEND_START_END"):
        Entry.of(Path(name))


@pytest.mark.parametrize("ends", ["500_400_600", "500_500_600", "500_700_600", "0_5_6"])
def test_a_name_whose_numbers_do_not_rise_is_refused(ends: str) -> None:
    with pytest.raises(InputError, match="should rise"):
        Entry.of(Path(f"001_UCR_Anomaly_a_{ends}.txt"))


def test_ecgs_are_known_by_their_names_as_the_index_has_them() -> None:
    known = {name: Entry.of(Path(f"001_UCR_Anomaly_{name}_1_2_3.npy")).ecg for name in [*ECGS, *OTHERS]}
    assert known == {name: name in ECGS for name in known}


def test_a_location_is_right_up_to_100_samples_from_the_anomaly() -> None:
    entry = Entry.of(Path("001_UCR_Anomaly_a_500_1000_1010.txt"))
    right = {location: entry.is_right(location) for location in (899, 900, 1005, 1110, 1111)}
    assert right == {899: False, 900: True, 1005: True, 1110: True, 1111: False}


@pytest.mark.parametrize(("end", "from_", "to"), [(1010, 901, 1109), (1149, 851, 1298)])  # 11 and 150 samples long
def test_by_the_slides_the_tolerance_is_the_length_of_a_long_anomaly(end: int, from_: int, to: int) -> None:
    entry = Entry.of(Path(f"001_UCR_Anomaly_a_500_1000_{end}.txt"))
    right = [location for location in range(2000) if entry.is_right_by_slides(location)]
    assert (right[0], right[-1]) == (from_, to)


def test_a_series_and_its_changed_copies_have_one_underlying_name() -> None:
    names = ["ECG1", "DISTORTEDECG1", "NOISEECG1"]
    assert {Entry.of(Path(f"001_UCR_Anomaly_{name}_1_2_3.txt")).underlying for name in names} == {"ECG1"}


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=9), st.sampled_from(["\n", "  "])
)
def test_numbers_in_lines_and_in_one_line_are_read_alike(values: list[float], between: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "001_UCR_Anomaly_a_1_2_3.txt")
        path.write_text(f"  {between.join(map(repr, values))}\n")
        np.testing.assert_array_equal(Entry.of(path).read(), values)


def test_arrays_are_read_as_text_is(tmp_path: Path) -> None:
    text = ucr_file(tmp_path, wave())
    np.save(text.with_suffix(".npy"), wave())
    np.testing.assert_allclose(Entry.of(text).read(), Entry.of(text.with_suffix(".npy")).read())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 nan 4 5", "value 3 is nan"),
        (b"1 2 inf 4 5", "value 3 is inf"),
        (b"1 2 three 4 5", "three"),
        (b"1 2 3 4", "4 values; by its name, the anomaly ends at 5"),
        (b"\xff\xfe1", "codec"),
    ],
)
def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "001_UCR_Anomaly_a_1_4_5.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"(?s)001_UCR_Anomaly_a_1_4_5.*{message}.*the archive has the right file"):
        Entry.of(path).read()


@pytest.mark.parametrize("array", [np.array(["a"] * 9), np.array([[1.0, 2.0]] * 9), np.array([{}], object)])
def test_an_array_that_is_no_series_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "001_UCR_Anomaly_a_1_4_5.npy"
    np.save(path, array)
    with pytest.raises(InputError, match="001_UCR_Anomaly_a"):
        Entry.of(path).read()


def test_an_index_decides_what_is_an_ecg(tmp_path: Path) -> None:
    path = ucr_file(tmp_path, wave(), name="ECG1")
    pd.DataFrame({"file": [path.name], "ecg": [0]}).to_csv(tmp_path / "index.csv", index=False)
    assert not ucr.in_folder(tmp_path)[0].ecg


def test_a_folder_without_series_or_with_one_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file"):
        ucr.in_folder(tmp_path)
    np.save(ucr_file(tmp_path, wave()).with_suffix(".npy"), wave())
    with pytest.raises(InputError, match="same number"):
        ucr.in_folder(tmp_path)


def test_the_highest_score_after_the_normal_start_is_the_location(tmp_path: Path, scored: list[int]) -> None:
    folder = tmp_path / "archive"
    ucr_file(folder, wave(spike=1503), 1, "ECG1")
    ucr_file(folder, wave(spike=400), 2, "DISTORTEDECG1")  # in the normal start
    ucr_file(folder, wave(spike=700), 3, "gait1")
    archive.main(folder, tmp_path / "found.json", [], tmp_path)
    assert json.loads((tmp_path / "found.json").read_text()) == {"all": {"largest": 0.333333}, "ecg": {"largest": 0.5}}
    table = pd.read_csv(tmp_path / "anomaly_archive.csv")
    assert table["location"].tolist()[::2] == [1504, 701]  # from 1
    assert table["location"][1] > 500
    assert table["right"].tolist() == [1, 0, 0]
    summary = pd.read_csv(tmp_path / "anomaly_archive_summary.csv").set_index("series")
    assert (summary["low"] <= summary["accuracy"]).all()
    assert len(scored) == 3


def test_a_run_that_is_repeated_scores_only_what_has_changed(tmp_path: Path, scored: list[int]) -> None:
    folder = tmp_path / "archive"
    ucr_file(folder, wave(spike=1503), 1)
    ucr_file(folder, wave(spike=1503), 2)
    for _ in range(2):
        archive.main(folder, None, [], tmp_path)
    assert len(scored) == 2
    ucr_file(folder, wave(spike=600), 2)
    archive.main(folder, None, [], tmp_path)
    assert len(scored) == 3


def test_where_a_detector_fails_it_is_wrong_and_that_is_said(
    tmp_path: Path, scored: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(values: np.ndarray, normal: int) -> np.ndarray:
        raise MemoryError(f"no place for {len(values)} samples, {normal} of them normal")

    monkeypatch.setitem(detectors.DETECTORS, "fails", Detector(fail, "numpy"))
    ucr_file(tmp_path / "archive", wave(spike=1503))
    archive.main(tmp_path / "archive", None, ["fails"], tmp_path)
    summary = pd.read_csv(tmp_path / "anomaly_archive_summary.csv")
    assert summary["accuracy"].tolist() == [0, 0]
    assert summary["failed"].tolist() == [1, 1]
    assert "fails on 001_UCR_Anomaly_ECG1_500_1500_1509.txt: MemoryError: no place" in capsys.readouterr().err
    assert not scored


# Periods, scores of windows, intervals.


def test_the_period_is_found_in_noise_and_there_is_none_in_a_constant() -> None:
    noisy = wave() + np.random.default_rng(0).normal(0, 0.3, LENGTH)
    assert abs(period_of(noisy) - PERIOD) <= 1
    assert period_of(np.ones(LENGTH)) == WITHOUT
    assert period_of(np.arange(10.0)) == WITHOUT


@given(st.integers(1, 40), st.integers(0, 60))
def test_scores_of_windows_become_one_for_each_sample(window: int, more: int) -> None:
    windows = np.zeros(more + 1)
    windows[more // 2] = 1
    for scores in (centred(windows, more + window), averaged(windows, window)):
        assert len(scores) == more + window
        assert more // 2 <= scores.argmax() < more // 2 + window


def test_mean_scores_are_those_of_all_windows_that_hold_a_sample() -> None:
    scores = np.random.default_rng(0).random(30)
    held = [[score for start, score in enumerate(scores) if start <= sample < start + 8] for sample in range(37)]
    np.testing.assert_allclose(averaged(scores, 8), [np.mean(one) for one in held])


def test_copies_of_a_series_make_an_interval_no_narrower() -> None:
    values, names = np.array([0.0, 1, 1, 0, 1, 1, 1, 0]), list("abcdefgh")
    assert interval(np.repeat(values, 2), np.repeat(names, 2).tolist()) == interval(values, names)
    low, high = interval(np.repeat(values, 2), list(map(str, range(16))))
    assert high - low < np.diff(interval(values, names))[0]


def test_a_detector_that_is_unknown_or_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--detector magic: it should be one of SeriesDetector; discord"):
        results.chosen(["magic"])
    monkeypatch.setattr(
        results, "DETECTORS", {"absent": Detector(largest, "no-such-package"), "ours": Detector(largest)}
    )
    with pytest.raises(InputError, match=r"needs no-such-package: make peers"):
        results.chosen(["absent"])


def test_detectors_that_are_not_installed_are_left_aside_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        results, "DETECTORS", {"absent": Detector(largest, "no-such-package"), "ours": Detector(largest)}
    )
    assert results.chosen([]) == ["ours"]
    assert "not installed, left aside: absent" in capsys.readouterr().err


def test_this_project_needs_no_package_of_others() -> None:
    assert DETECTORS["SeriesDetector"].available


# TSB-AD-U.


def tsb_file(folder: Path, number: int, database: str = "MITDB", first: int = 1500) -> Path:
    folder.mkdir(exist_ok=True)
    labels = (np.arange(LENGTH) // 10 == first // 10).astype(int)
    path = folder / f"{number}_{database}_id_1_Medical_tr_{first - 100}_1st_{first}.csv"
    pd.DataFrame({"Data": wave(spike=first), "Label": labels}).to_csv(path, index=False)
    return path


def test_a_file_of_tsb_ad_is_read_without_the_rows_that_lack_a_number(tmp_path: Path) -> None:
    path = tsb_file(tmp_path, 170)
    path.write_text(path.read_text().replace("\n", "\n,0\n", 1))
    entry = tsb.in_folder(tmp_path)[0]
    values, labels = entry.read()
    assert (entry.database, entry.train_end, entry.first) == ("MITDB", 1400, 1500)
    assert (len(values), labels.sum(), labels.argmax()) == (LENGTH, 10, 1500)


def test_series_for_tuning_and_of_other_databases_are_left_aside(tmp_path: Path) -> None:
    paths = [tsb_file(tmp_path, 170), tsb_file(tmp_path, 237, "SVDB")]
    tsb_file(tmp_path, 174)
    tsb_file(tmp_path, 216, "LTDB")
    assert [entry.path for entry in tsb.in_folder(tmp_path)] == paths


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Data\n1\n", "columns Data and Label"),
        ("Data,Label\nx,1\n", "columns Data and Label"),
        ("Data,Label\n1,2\n", "labels should be 0 and 1"),
        ("Data,Label\n1,0\n", "there should be a 1"),
        ("Data,Label\ninf,1\n", "infinite"),
        ("Data,Label\n1,1\n", "1 rows; by its name, 1400"),
        ("", "columns Data and Label"),
    ],
)
def test_a_damaged_file_of_tsb_ad_is_named_with_a_remedy(tmp_path: Path, content: str, message: str) -> None:
    path = tsb_file(tmp_path, 170)
    path.write_text(content)
    with pytest.raises(InputError, match=f"170_MITDB.*{message}.*TSB-AD-U"):
        tsb.Entry.of(path).read()


def test_mean_figures_stand_beside_the_published_ones_of_all_series(
    tmp_path: Path, scored: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tsb, "version", lambda _: "1.5")
    monkeypatch.setattr(tsb, "vus_pr", lambda labels, scores, window: float(labels[scores.argmax()]) / window)
    for number in range(170, 178):
        tsb_file(tmp_path / "all", number)
    tsb_file(tmp_path / "all", 237, "SVDB")
    tsb_ad.main(tmp_path / "all", tmp_path / "found.json", metrics=tmp_path, detector=[])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == {database: {"largest": pytest.approx(1 / PERIOD)} for database in ("MITDB", "SVDB")}
    summary = pd.read_csv(tmp_path / "tsb_ad_summary.csv").set_index(["database", "source"])["detector"]
    assert "KShapeAD" in summary["MITDB", "published"].tolist()
    assert ("SVDB", "published") not in summary.index  # one of 18 series
    assert len(scored) == 8


def test_an_abnormal_beat_lasts_until_the_next_one_begins() -> None:
    labels = abnormal_samples(np.array([100, 200, 260, 400, 500]), np.array([False, False, True, False, False]), 600)
    assert (labels.argmax(), labels.sum()) == (210, 140)  # half the median of 100, 60, 140 and 100 before each


def annotate(folder: Path, name: str, beats: np.ndarray, symbols: list[str]) -> None:
    """Write a minute of noise as a WFDB record with annotations."""
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).normal(size=(60 * RATE, 1))
    wfdb.wrsamp(name, RATE, ["mV"], ["II"], noise, fmt=["16"], write_dir=str(folder))
    wfdb.wrann(name, "atr", beats, symbols, fs=RATE, write_dir=str(folder))


def test_series_are_made_of_annotated_records(tmp_path: Path) -> None:
    beats = np.arange(1, 60) * RATE
    annotate(tmp_path / "mitdb", "1", beats, ["N"] * 40 + ["V"] + ["N"] * 18)
    annotate(tmp_path / "mitdb", "2", beats, ["N"] * 59)  # nothing abnormal
    annotate(tmp_path / "mitdb", "3", beats, ["V"] + ["N"] * 58)  # nothing to train on before
    assert tsb.write_made(tmp_path / "mitdb", tmp_path / "made") == ["mitdb/2", "mitdb/3"]
    (entry,) = tsb.in_folder(tmp_path / "made")
    values, labels = entry.read()
    assert (entry.database, entry.train_end) == ("MITDB-records", 60 * RATE // 4)
    assert (len(values), labels.argmax(), labels.sum()) == (60 * RATE, entry.first, RATE)
    assert entry.first == beats[40] - RATE // 2


def test_an_archive_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    """The folder within the archive that has the series is found, wherever it stands."""
    address, folder = served
    ucr_file(folder / "made", wave(spike=1503))
    shutil.make_archive(str(folder / "archive"), "zip", folder / "made", ".")
    monkeypatch.setattr(origin, "FOLDER", tmp_path / "sets")
    monkeypatch.setitem(origin.ADDRESSES, "UCR Anomaly Archive", f"{address}/archive.zip")

    def found() -> Path:
        return origin.folder_of("UCR Anomaly Archive", lambda path: path.suffix == ".txt")

    (entry,) = ucr.in_folder(found())
    assert (entry.name, entry.start) == ("ECG1", 1500)
    (folder / "archive.zip").unlink()
    assert found() == entry.path.parent


@pytest.mark.parametrize("content", [None, b"no zip"], ids=["missing", "damaged"])
def test_an_archive_that_cannot_be_had_leaves_nothing_and_says_what_to_do(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    address, folder = served
    if content is not None:
        (folder / "archive.zip").write_bytes(content)
    monkeypatch.setattr(origin, "FOLDER", tmp_path / "sets")
    monkeypatch.setitem(origin.ADDRESSES, "TSB-AD-U", f"{address}/archive.zip")
    with pytest.raises(InputError, match=r"TSB-AD-U cannot be had from .*; name a folder with its files instead"):
        origin.folder_of("TSB-AD-U", lambda _: True)
    assert not list((tmp_path / "sets").rglob("*.*"))


def test_the_first_of_detectors_is_named_and_so_are_those_that_are_level() -> None:
    assert sentence("ECGs", [("a", 0.5)]) == "ECGs: a is first, with 0.500."
    assert sentence("ECGs", [("a", 0.5), ("b", 0.7)]) == "ECGs: b is first, with 0.700; then a, with 0.500."
    assert sentence("ECGs", [("a", 0.5), ("b", 0.5)]) == "ECGs: a and b are first, with 0.500."


def test_every_detector_has_its_place_by_cost() -> None:
    assert sorted(results.BY_COST) == sorted(DETECTORS)
    assert results.chosen(["SeriesDetector"]) == ["SeriesDetector"]
