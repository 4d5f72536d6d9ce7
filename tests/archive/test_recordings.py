"""Recordings to tables of recordings, alarms and episodes: equal to scans one by one, and what cannot be read."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ecg
from ecg.archive import recordings as scanning
from ecg.archive.archive import plan, run
from ecg.archive.learning import archive as learning
from ecg.archive.recordings import COLUMNS
from ecg.exceptions import InputError
from ecg.hearts.context import CUTTING
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import join_chunks, process_chunks, process_lead
from tests.archive.conftest import DAMAGED, RATE, SCANNED, held, scan_all, write_record


@pytest.fixture(scope="module")
def output(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, scanned, with a report of the worst."""
    folder = tmp_path_factory.mktemp("scanned") / "results"
    scan_all([str(recordings)], folder, reports=1)
    return folder


@pytest.fixture(scope="module")
def one_by_one(recordings: Path) -> dict[str, ecg.Scan]:
    paths = {path.with_suffix("").relative_to(recordings).as_posix(): path for path in recordings.rglob("*.*")}
    return {name: ecg.scan(paths[name].with_suffix(".csv" if name == "third" else ".hea")) for name in SCANNED}


def test_the_table_has_a_row_for_each_recording_with_the_figures_of_its_scan(
    output: Path, one_by_one: dict[str, ecg.Scan]
) -> None:
    table = pd.read_parquet(output / "recordings.parquet").set_index("recording")
    assert list(table.reset_index().columns) == list(COLUMNS)
    assert sorted(table.index) == sorted([*SCANNED, DAMAGED])
    for name, scan in one_by_one.items():
        summary = scan.summary()
        assert (table.beats[name], table.alarms[name]) == (len(scan.beats), len(scan.alarms))
        assert table.alarm_rate[name] == pytest.approx(summary["alarm_rate"], rel=1e-5)
        assert table.read_as[name] == summary["read_as"]


def test_alarms_and_episodes_are_tables_partitioned_by_recording(output: Path, one_by_one: dict[str, ecg.Scan]) -> None:
    for name, frames in (("alarms", "alarms"), ("episodes", "episodes")):
        table = pd.read_parquet(output / name)
        assert set(table["recording"]) == set(SCANNED)  # with its slash
        for recording, scan in one_by_one.items():
            own = table[table["recording"] == recording].drop(columns="recording").reset_index(drop=True)
            expected = getattr(scan, frames).reset_index(drop=True)
            pd.testing.assert_frame_equal(own, expected, check_dtype=False, rtol=1e-7)


def test_a_recording_that_cannot_be_read_is_a_row_with_its_reason(output: Path) -> None:
    table = pd.read_parquet(output / "recordings.parquet").set_index("recording")
    assert table.reason[list(SCANNED)].isna().all()
    assert table.reason[DAMAGED].startswith(table.source[DAMAGED])
    assert table.loc[DAMAGED].drop(["source", "reason"]).isna().all()


def test_the_index_has_the_worst_first_with_a_report_and_the_reasons_of_failures(
    output: Path, one_by_one: dict[str, ecg.Scan]
) -> None:
    page = (output / "index.html").read_text()
    worst = sorted(
        one_by_one, key=lambda name: -(one_by_one[name].alarms["kind"] != "noise").sum() / len(one_by_one[name].beats)
    )
    places = [page.index(f">{name}</") for name in worst]
    assert places == sorted(places)
    assert f'<a href="reports/{worst[0]}.html">' in page
    assert page.count('href="reports/') == 1
    assert one_by_one[worst[0]].recording.name in (output / "reports" / f"{worst[0]}.html").read_text()
    assert "broken.edf" in page[page.index('id="failed"') :]


def test_more_reports_are_written_on_demand_without_scanning_the_rest_again(
    recordings: Path, output: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(output, tmp_path / "copy", copy_function=shutil.copy2))
    times = {path: path.stat().st_mtime_ns for path in copy.rglob("*.*") if path.suffix in (".parquet", ".html")}
    assert scan_all([str(recordings)], copy, reports=3).before == 4
    new = {
        str(path.relative_to(copy))
        for path in copy.rglob("*.*")
        if path.suffix in (".parquet", ".html") and times.get(path) != path.stat().st_mtime_ns
    }
    reports = {f"reports/{name}.html" for name in SCANNED}
    assert len(new & reports) == 2
    assert new - reports == {"recordings.parquet", "index.html"}


def test_the_same_archive_gives_the_same_bytes_whenever_and_wherever_it_is_done(
    recordings: Path, output: Path, tmp_path: Path
) -> None:
    scan_all([str(recordings / "first"), str(recordings / "later" / "..")], tmp_path / "again", reports=1)
    assert held(tmp_path / "again") == held(output)


def test_a_change_of_a_signal_file_or_of_a_parameter_is_noticed(
    recordings: Path, tmp_path: Path, toy: np.ndarray
) -> None:
    folder = Path(shutil.copytree(recordings, tmp_path / "recordings", copy_function=shutil.copy2))
    (folder / "later" / "broken.edf").unlink()
    results = tmp_path / "results"
    scan_all([str(folder)], results, reports=1)
    write_record(folder, "first", toy[10 * RATE : 100 * RATE])
    assert scan_all([str(folder)], results, reports=1).before == 2
    assert scan_all([str(folder)], results, alpha=0.01).before == 0
    assert not list((results / "reports").glob("*.html"))  # they are of another alpha


def test_each_patient_is_scanned_with_what_was_learnt_of_the_recording_of_that_name(
    recordings: Path, tmp_path: Path
) -> None:
    job, inputs = learning([str(recordings)], str(tmp_path / "learnt"), stop=60.0)
    outcome = run(job, plan(job, inputs))
    assert [done.name for done in outcome.failures] == [DAMAGED]
    with pytest.raises(InputError, match=f"nothing learnt of 1 recordings, such as '{DAMAGED}'"):
        scan_all([str(recordings)], tmp_path / "scanned", model=tmp_path / "learnt")
    good = [str(recordings / "first"), str(recordings / "third.csv")]
    scan_all(good, tmp_path / "scanned", model=tmp_path / "learnt")
    table = pd.read_parquet(tmp_path / "scanned" / "recordings.parquet").set_index("recording")
    alone = ecg.scan(good[0], tmp_path / "learnt" / "first")
    assert table.judged_by["first"] == alone.judged_by
    assert table.alarms["first"] == len(alone.alarms)
    assert run(job, plan(job, inputs)).before == 4


def test_stretches_of_a_lead_joined_are_what_one_pass_gives(toy: np.ndarray, tmp_path: Path) -> None:
    write_record(tmp_path, "long", np.tile(toy, 5)[: 21 * 60 * RATE])
    with open_lead(tmp_path / "long") as lead, process_lead(lead, CUTTING) as whole:
        for parts in (2, 3, 7):
            stretches = [chunk for part in range(parts) for chunk in process_chunks(lead, CUTTING, part, parts)]
            with join_chunks(stretches) as joined:
                for name in ("samples", "r_peaks", "quality", "unusable", "no_ecg", "inverted"):
                    np.testing.assert_equal(getattr(joined, name), getattr(whole, name))


def test_a_defect_of_ours_is_a_reason_that_the_next_run_tries_again(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(scanning, "scan_by", fail)
    outcome = scan_all([str(recordings / "first")], tmp_path)
    assert [done.reason for done in outcome.failures] == ["ZeroDivisionError: by nothing"]
    monkeypatch.undo()
    assert scan_all([str(recordings / "first")], tmp_path).failures == []
