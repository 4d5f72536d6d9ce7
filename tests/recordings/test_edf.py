"""EDF, EDF+ and BDF files: units, lengths, and files that are damaged."""

from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
from tests.recordings.files import RATE, N, opened, refusal

Signal = {"edf": edfio.EdfSignal, "bdf": edfio.BdfSignal}
File = {"edf": edfio.Edf, "bdf": edfio.Bdf}


def write(folder: Path, kind: str, two: np.ndarray, unit: str = "mV", labels: tuple[str, ...] = ("ECG", "V5")) -> Path:
    signals = [
        Signal[kind](samples, RATE, label=label, physical_dimension=unit)
        for samples, label in zip(two.T, labels, strict=True)
    ]
    File[kind](signals).write(folder / f"mine.{kind}")
    return folder / f"mine.{kind}"


def overwritten(path: Path, start: int, field: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[start : start + len(field)] = field
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["edf", "bdf"])
@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-3), ("mV", 1), ("V", 1e3)])
def test_voltages_are_read_in_millivolts(kind: str, unit: str, factor: float, two: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, kind, two / factor, unit)
    for number, name in enumerate(("ECG", "V5")):
        lead, samples = opened(path, number)
        assert (lead.name, lead.unit, lead.rate, lead.length) == (name, "mV", RATE, N)
        np.testing.assert_allclose(samples, two[:, number], atol=2e-4)
    assert lead.read_as == "lead V5, signal 2 of 2, 360 Hz from the header, mV, 20 s"


@pytest.mark.parametrize("kind", ["edf", "bdf"])
@settings(max_examples=15)
@given(bounds=st.tuples(st.integers(0, N), st.integers(0, N)).map(sorted))
def test_parts_are_as_edfio_reads_them(
    kind: str, bounds: list[int], two: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"parts_{kind}"
    if not folder.is_dir():
        folder.mkdir()
        write(folder, kind, two)
    path = folder / f"mine.{kind}"
    whole = {"edf": edfio.read_edf, "bdf": edfio.read_bdf}[kind](path).signals[1].data
    with open_lead(path, 1) as lead:
        np.testing.assert_array_equal(lead.read(*bounds), whole[slice(*bounds)])


def test_a_unit_that_is_no_voltage_is_kept(two: np.ndarray, tmp_path: Path) -> None:
    assert opened(write(tmp_path, "edf", two, "mmHg"))[0].unit == "mmHg"
    assert opened(write(tmp_path, "edf", two, ""))[0].unit == "unknown unit"


def test_the_ecg_is_chosen_among_other_signals(two: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, "edf", two, labels=("EEG C3-A2", "EKG II-Ref"))
    lead, samples = opened(path)
    assert lead.name == "EKG II-Ref"
    np.testing.assert_allclose(samples, two[:, 1], atol=2e-4)


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_a_file_that_ends_early_keeps_its_stated_length(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, kind, two)
    path.write_bytes(path.read_bytes()[: 768 + (path.stat().st_size - 768) // 2])
    lead, samples = opened(path)
    assert lead.length == N
    np.testing.assert_allclose(samples[: N // 2], two[: N // 2, 0], atol=2e-4)
    assert np.isnan(samples[N // 2 :]).all()
    assert lead.warnings == (f"Its {kind.upper()} header states 20 s, the file holds 10 s: the rest is missing.",)
    with open_lead(path) as lead:
        assert np.isnan(lead.read(N - 100, N)).all()


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_a_file_of_an_unknown_number_of_records_is_read_to_its_end(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    path = overwritten(write(tmp_path, kind, two), 236, b"-1      ")
    lead, samples = opened(path)
    assert (lead.length, lead.warnings) == (N, ())
    np.testing.assert_allclose(samples, two[:, 0], atol=2e-4)


def test_a_header_that_states_years_does_not_decide_the_length(two: np.ndarray, tmp_path: Path) -> None:
    path = overwritten(write(tmp_path, "edf", two), 236, b"99999999")
    lead, _ = opened(path)
    assert lead.length == N
    assert "the file's own length was taken" in lead.warnings[0]


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_the_content_decides_whatever_the_ending_is(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, kind, two).rename(tmp_path / "mine.dat")
    lead, samples = opened(path)
    assert lead.name == "ECG"
    np.testing.assert_allclose(samples, two[:, 0], atol=2e-4)


def test_a_file_with_gaps_is_refused_with_a_remedy(two: np.ndarray, tmp_path: Path) -> None:
    path = overwritten(write(tmp_path, "bdf", two), 192, b"BDF+D")
    assert "export it as a continuous one" in refusal(path)


@pytest.mark.parametrize("kind", ["edf", "bdf"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    kind: str, data: st.DataObject, two: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"damaged_{kind}"
    folder.mkdir(exist_ok=True)
    path = write(folder, kind, two[: 2 * RATE])
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, 800), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255) | st.sampled_from(list(b"0123456789 /.-")))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        with open_lead(path) as lead:
            assert lead.read(0, min(lead.length, 1000)).shape == (min(lead.length, 1000),)
    except InputError:
        pass
