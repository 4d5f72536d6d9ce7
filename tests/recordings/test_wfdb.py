"""WFDB records of several segments, of other units, and hostile headers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
from tests.recordings.files import RATE, N, opened, refusal, write_wfdb


def write_segment(folder: Path, name: str, samples: np.ndarray, *names: str, unit: str = "mV") -> None:
    k = len(names)
    wfdb.wrsamp(name, RATE, [unit] * k, list(names), samples, fmt=["16"] * k, write_dir=str(folder))


def fixed_layout(folder: Path, two: np.ndarray) -> Path:
    """A record of two segments of the same leads, with a gap of 5 s between them."""
    for name in ("one", "other"):
        write_wfdb(folder, name, two)
    (folder / "all.hea").write_text(f"all/3 2 {RATE} {2 * N + 5 * RATE}\none {N}\n~ {5 * RATE}\nother {N}\n")
    return folder / "all"


def variable_layout(folder: Path, two: np.ndarray) -> Path:
    """A record of segments with other leads each: II in the first and the third, V in the second alone."""
    write_segment(folder, "a1", two, "II", "RESP")
    write_segment(folder, "a2", two[:, ::-1], "V", "RESP")
    write_segment(folder, "a3", two[:, :1], "II")
    (folder / "layout.hea").write_text(
        f"layout 3 {RATE} 0\n" + "".join(f"~ 0 200 16 0 0 0 0 {name}\n" for name in ("RESP", "II", "V"))
    )
    lines = ["layout 0", f"a1 {N}", f"a2 {N}", f"a3 {N}"]
    (folder / "many.hea").write_text(f"many/4 3 {RATE} {3 * N}\n" + "\n".join(lines) + "\n")
    return folder / "many"


def test_segments_of_one_layout_are_joined_and_the_gap_between_them_is_missing(two: np.ndarray, tmp_path: Path) -> None:
    lead, samples = opened(fixed_layout(tmp_path, two))
    assert (lead.recording, lead.name, lead.length) == ("all", "MLII", 2 * N + 5 * RATE)
    np.testing.assert_allclose(samples[:N], two[:, 0], atol=2e-4)
    assert np.isnan(samples[N:-N]).all()
    np.testing.assert_allclose(samples[-N:], two[:, 0], atol=2e-4)
    assert lead.read_as == "lead MLII, signal 1 of 2, 360 Hz from the header, mV, 45 s, 1 gap of 5 s"
    assert lead.warnings == ("There is 1 gap of lead MLII, between its segments, of 5 s; samples are missing there.",)


def test_a_lead_is_missing_in_segments_that_lack_it(two: np.ndarray, tmp_path: Path) -> None:
    lead, samples = opened(variable_layout(tmp_path, two))
    assert (lead.name, lead.length) == ("II", 3 * N)
    np.testing.assert_allclose(samples[:N], two[:, 0], atol=2e-4)
    assert np.isnan(samples[N : 2 * N]).all()
    np.testing.assert_allclose(samples[2 * N :], two[:, 0], atol=2e-4)
    _, other = opened(tmp_path / "many", "V")
    assert np.isnan(other[:N]).all()
    np.testing.assert_allclose(other[N : 2 * N], two[:, 1], atol=2e-4)


def without_gap(folder: Path, two: np.ndarray) -> Path:
    header = fixed_layout(folder, two).with_suffix(".hea")  # wfdb cannot read a gap of this layout
    header.write_text(f"all/2 2 {RATE} {2 * N}\none {N}\nother {N}\n")
    return folder / "all"


@pytest.mark.parametrize("write", [without_gap, variable_layout])
def test_segments_are_read_as_wfdb_reads_them(
    write: Callable[[Path, np.ndarray], Path], two: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path, two)
    _, samples = opened(path)
    record = wfdb.rdrecord(str(path), return_res=32)
    column = record.sig_name.index("MLII" if "MLII" in record.sig_name else "II")
    np.testing.assert_array_equal(samples, record.p_signal[:, column].astype(float))


@settings(max_examples=20)
@given(bounds=st.tuples(st.integers(0, 3 * N), st.integers(0, 3 * N)).map(sorted))
def test_any_part_of_several_segments_can_be_read(
    bounds: list[int], two: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "segments"
    if not folder.is_dir():
        folder.mkdir()
        variable_layout(folder, two)
    with open_lead(folder / "many") as lead:
        whole = lead.read(0, lead.length)
        np.testing.assert_array_equal(lead.read(*bounds), whole[slice(*bounds)])


def test_a_truncated_segment_is_read_as_far_as_it_goes(two: np.ndarray, tmp_path: Path) -> None:
    path = fixed_layout(tmp_path, two)
    (tmp_path / "one.dat").write_bytes((tmp_path / "one.dat").read_bytes()[:4000])
    _, samples = opened(path)
    assert np.isfinite(samples[:1000]).all()
    assert np.isnan(samples[1000:-N]).all()
    assert np.isfinite(samples[-N:]).all()


@pytest.mark.parametrize("named", ["../one", "/etc/passwd", "a/one", ".."])
def test_a_segment_in_another_folder_is_refused(named: str, two: np.ndarray, tmp_path: Path) -> None:
    header = fixed_layout(tmp_path, two).with_suffix(".hea")
    header.write_text(header.read_text().replace("one", named))
    assert "all.hea is not " in refusal(header)


def test_a_missing_segment_is_named(two: np.ndarray, tmp_path: Path) -> None:
    path = fixed_layout(tmp_path, two)
    (tmp_path / "other.hea").unlink()
    assert "names the segment other, but other.hea is missing" in refusal(path)


def test_a_missing_signal_file_of_a_segment_is_named_when_the_record_is_opened(two: np.ndarray, tmp_path: Path) -> None:
    path = fixed_layout(tmp_path, two)
    (tmp_path / "other.dat").unlink()
    assert "names the signal file other.dat, which is missing" in refusal(path)


def test_a_record_that_is_a_segment_of_itself_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    header = fixed_layout(tmp_path, two).with_suffix(".hea")
    header.write_text(header.read_text().replace("one", "all"))
    assert "its segment all has segments itself" in refusal(header)


def test_a_gap_of_years_between_segments_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    header = fixed_layout(tmp_path, two).with_suffix(".hea")
    header.write_text(header.read_text().replace(f"~ {5 * RATE}", "~ 99999999999"))
    assert "it should be 1 to those of 31 days" in refusal(header)


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-3), ("V", 1e3), ("mV", 1)])
def test_voltages_of_a_record_are_read_in_millivolts(unit: str, factor: float, two: np.ndarray, tmp_path: Path) -> None:
    write_segment(tmp_path, "mine", two / factor, "I", "II", unit=unit)
    lead, samples = opened(tmp_path / "mine")
    assert lead.unit == "mV"
    np.testing.assert_allclose(samples, two[:, 0], atol=2e-4)


def test_the_lead_of_a_record_is_chosen_by_its_name(two: np.ndarray, tmp_path: Path) -> None:
    write_segment(tmp_path, "mine", two, "RESP", "II")
    lead, samples = opened(tmp_path / "mine")
    assert lead.name == "II"
    np.testing.assert_allclose(samples, two[:, 1], atol=2e-4)


def test_the_first_lead_of_mit_bih_is_read_as_before(mitdb: Path) -> None:
    for header in sorted(mitdb.glob("*.hea")):
        with open_lead(header) as lead, open_lead(header, 0) as first:
            assert (lead.name, lead.unit, lead.warnings) == (first.name, "mV", ())
            expected = wfdb.rdrecord(str(header.with_suffix("")), channels=[0], sampto=5000, return_res=32)
            np.testing.assert_array_equal(lead.read(0, 5000), expected.p_signal[:, 0].astype(float))


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_header_of_segments_is_read_or_refused(
    data: st.DataObject, two: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged_segments"
    if not folder.is_dir():
        folder.mkdir()
        fixed_layout(folder, two)
        variable_layout(folder, two)
    source = folder / data.draw(st.sampled_from(["all.hea", "many.hea"]))
    content = bytearray(source.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255) | st.sampled_from(list(b"0123456789 /.-~\n")))
    (folder / "damaged.hea").write_bytes(content)
    try:
        with open_lead(folder / "damaged.hea") as lead:
            assert lead.read(0, min(lead.length, 1000)).shape == (min(lead.length, 1000),)
    except InputError:
        pass
