"""What the inputs of a run name: files, folders, patterns and records, each with a name for its results."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ecg.archive.inputs import recordings as of_inputs
from ecg.archive.inputs import tables as tables_of
from ecg.exceptions import InputError
from tests.archive.conftest import DAMAGED, RATE, SCANNED, write_record


def names(*inputs: object, **options: str) -> list[str]:
    return [one.name for one in of_inputs(list(map(str, inputs)), **options)]


def test_a_folder_has_the_recordings_at_any_depth_but_no_signal_files_notes_or_hidden_files(recordings: Path) -> None:
    assert names(recordings) == sorted([*SCANNED, DAMAGED])


def test_a_record_is_named_by_its_header_or_without_an_ending_or_by_its_signals(recordings: Path) -> None:
    for place in ("first", "first.hea", "first.dat"):
        assert names(recordings / place) == ["first"]


def test_a_pattern_has_the_files_that_it_says(recordings: Path) -> None:
    assert names(recordings / "*.hea") == ["first"]
    assert names(recordings / "**" / "*.hea") == ["first", "later/second"]
    assert names(recordings / "l*r" / "*") == [DAMAGED, "later/second"]
    assert names(recordings / "*.txt") == ["notes"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "odd[1].csv").write_bytes((recordings / "third.csv").read_bytes())
    assert names(tmp_path / "odd[1].csv") == ["odd[1]"]


def test_the_same_recording_counts_once(recordings: Path) -> None:
    assert names(recordings, recordings / "*.hea", recordings / "first") == sorted([*SCANNED, DAMAGED])


def test_a_recording_on_physionet_has_its_name_there() -> None:
    (one,) = of_inputs(["physionet:mitdb/100"])
    assert (one.name, one.files) == ("mitdb/100", ())


def test_all_files_of_a_record_count_its_segments_and_annotations_too(toy: np.ndarray, tmp_path: Path) -> None:
    for k in range(2):
        write_record(tmp_path, f"night_{k}", toy[k * 20 * RATE : (k + 1) * 20 * RATE])
    (tmp_path / "night.hea").write_text(f"night/2 1 {RATE} {40 * RATE}\nnight_0 {20 * RATE}\nnight_1 {20 * RATE}\n")
    wfdb.wrann("night", "atr", np.array([100]), ["N"], fs=RATE, write_dir=str(tmp_path))
    (one,) = of_inputs([str(tmp_path)], "atr")
    files = ["night.hea", "night_0.hea", "night_1.hea", "night_0.dat", "night_1.dat", "night.atr"]
    assert one.name == "night"
    assert [Path(file).name for file in one.files] == files
    (tmp_path / "night_1.dat").write_bytes((tmp_path / "night_1.dat").read_bytes() + b"x")
    assert of_inputs([str(tmp_path)], "atr")[0].stamp != one.stamp
    assert of_inputs([str(tmp_path)])[0].size < one.size + 1


def test_a_header_that_names_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "loop.hea").write_text("loop/1 1 360 100\nloop 100\n")
    with pytest.raises(InputError, match="names no recordings"):
        names(tmp_path / "loop.hea")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["nowhere"], "nowhere names no recordings"),
        (["*.edf"], r"\*.edf names no recordings"),
        (["a/day.csv", "b/day.csv"], "would both have results of the name 'day'"),
        (["a/day.csv", "a/day.edf"], "would both have results of the name 'day'"),
        (["a/_day.csv"], "begins with an underscore"),
        (["ftp://host/day.csv"], "is no address of a store"),
        (["s3://bucket/a::file://b"], "is no address of a store"),
    ],
)
def test_what_cannot_be_an_input_is_told(inputs: list[str], message: str, tmp_path: Path) -> None:
    for name in ("a/day.csv", "b/day.csv", "a/day.edf", "a/_day.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(InputError, match=message):
        of_inputs([one if "://" in one else str(tmp_path / one) for one in inputs])


def test_what_is_in_the_folder_of_results_is_no_input(tables: Path) -> None:
    found = tables_of([str(tables)], lambda array: [array], str(tables / "more"))
    assert [one.name for one in found] == ["one", "three"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20))
def test_any_name_of_a_file_is_a_name_of_results_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, f"{name}.csv").touch()
        except OSError:  # too long in bytes
            return
        try:
            found = of_inputs([folder])
        except InputError:
            return
    (one,) = found
    inside = (Path("/results") / f"{one.name}.parquet").resolve()
    assert inside.is_relative_to("/results")
