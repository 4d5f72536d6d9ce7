"""ISHNE Holter files, which the tests write by the standard's tables."""

import binascii
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
from tests.recordings.files import RATE, N, opened, refusal

RESOLUTION = 2500  # nanovolts
MILLIVOLTS = RESOLUTION / 1e6


def ishne(digital: np.ndarray, codes: tuple[int, ...] = (6, 15), resolution: int = RESOLUTION, **changes: int) -> bytes:
    """A file of samples of shape (n, leads), with leads II and V5."""
    text = b"recorded by a test\r\n"
    absent = [-9] * (12 - len(codes))
    facts = {"samples": len(digital), "at": 522 + len(text), "rate": RATE, "leads": len(codes)} | changes
    block = struct.pack("<iiiih", len(text), facts["samples"], 522, facts["at"], 1)
    block += b"Ada".ljust(40, b"\0") + b"Lovelace".ljust(40, b"\0") + b"1".ljust(20, b"\0")
    block += struct.pack("<14h", 2, -9, *(1, 1, 1980), *(1, 1, 2024), *(1, 1, 2024), *(8, 0, 0))
    block += struct.pack(
        "<h12h12h12h", facts["leads"], *codes, *absent, *[-9] * 12, *[resolution] * len(codes), *absent
    )
    block += struct.pack("<h40sh80s80s88s", 0, b"digital", facts["rate"], b"", b"", b"")
    assert len(block) == 512
    checksum = struct.pack("<H", binascii.crc_hqx(block + text, 0xFFFF))
    return b"ISHNE1.0" + checksum + block + text + digital.astype("<i2").tobytes()


@pytest.fixture(scope="session")
def digital(two: np.ndarray) -> np.ndarray:
    return np.rint(two / MILLIVOLTS)


def write(folder: Path, content: bytes) -> Path:
    (folder / "mine.ecg").write_bytes(content)
    return folder / "mine.ecg"


def test_leads_are_read_in_millivolts_with_their_names(digital: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, ishne(digital))
    for number, name in enumerate(("II", "V5")):
        lead, samples = opened(path, name)
        assert (lead.recording, lead.name, lead.rate, lead.unit, lead.warnings) == ("mine", name, RATE, "mV", ())
        np.testing.assert_allclose(samples, digital[:, number] * MILLIVOLTS)
    assert lead.read_as == "lead V5, signal 2 of 2, 360 Hz from the header, mV, 20 s"


def test_the_checksum_is_that_of_ccitt() -> None:
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1  # the published check value


def test_a_wrong_checksum_is_a_warning(digital: np.ndarray, tmp_path: Path) -> None:
    content = bytearray(ishne(digital))
    content[30] ^= 1  # in a name
    lead, samples = opened(write(tmp_path, content))
    assert "checksum" in lead.warnings[0]
    np.testing.assert_allclose(samples, digital[:, 0] * MILLIVOLTS)


def test_a_header_may_count_the_samples_of_all_leads(digital: np.ndarray, tmp_path: Path) -> None:
    lead, _ = opened(write(tmp_path, ishne(digital, samples=2 * N)))
    assert (lead.length, lead.warnings) == (N, ())


def test_the_end_of_a_truncated_file_is_missing(digital: np.ndarray, tmp_path: Path) -> None:
    lead, samples = opened(write(tmp_path, ishne(digital)[:-N]))
    assert lead.length == N
    np.testing.assert_allclose(samples[: 3 * N // 4], digital[: 3 * N // 4, 0] * MILLIVOLTS)
    assert np.isnan(samples[3 * N // 4 :]).all()
    assert lead.warnings == ("The file is shorter than its header states: the last 5 s are missing.",)


def test_missing_samples_and_unknown_resolutions_are_known_as_such(digital: np.ndarray, tmp_path: Path) -> None:
    marked = digital.copy()
    marked[5, 0] = -32768
    lead, samples = opened(write(tmp_path, ishne(marked, resolution=-9)))
    assert lead.unit == "ADC units"
    assert np.flatnonzero(np.isnan(samples)).tolist() == [5]
    np.testing.assert_array_equal(samples[6:], digital[6:, 0])


@pytest.mark.parametrize(
    "changes",
    [
        {"leads": 0},
        {"leads": 13},
        {"leads": -9},
        {"rate": 0},
        {"rate": -250},
        {"samples": -1000},
        {"at": 10},
        {"at": 10**9},
    ],
)
def test_an_impossible_header_is_refused(changes: dict[str, int], digital: np.ndarray, tmp_path: Path) -> None:
    assert "is not a valid ISHNE file" in refusal(write(tmp_path, ishne(digital, **changes)))


def test_a_file_that_ends_in_its_header_is_refused(digital: np.ndarray, tmp_path: Path) -> None:
    assert "ends within its ISHNE header" in refusal(write(tmp_path, ishne(digital)[:300]))


@settings(max_examples=100)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    data: st.DataObject, digital: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged_ishne"
    folder.mkdir(exist_ok=True)
    content = bytearray(ishne(digital[:2000]))
    for position in data.draw(st.lists(st.integers(8, 540), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    try:
        with open_lead(write(folder, content[: data.draw(st.integers(8, len(content)))])) as lead:
            assert lead.read(0, min(lead.length, 1000)).shape == (min(lead.length, 1000),)
    except InputError:
        pass
