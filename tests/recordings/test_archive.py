"""Recordings in a zip: one is read, several are listed, and what is not safe is refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.reading import archive, open_lead
from tests.recordings.files import RATE, opened, refusal, write_edf, write_npy, write_wfdb


def zipped(path: Path, *files: Path, under: str = "", **contents: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"{under}{file.name}")
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_a_record_in_a_zip_is_read_with_its_annotations(two: np.ndarray, tmp_path: Path) -> None:
    write_wfdb(tmp_path, "mine", two)
    wfdb.wrann("mine", "atr", np.array([36, 720]), symbol=["N", "V"], write_dir=str(tmp_path))
    path = zipped(
        tmp_path / "export.zip",
        *(tmp_path / f"mine.{ending}" for ending in ("hea", "dat", "atr")),
        under="study/",
        **{"__MACOSX/study/._mine.hea": "junk", "study/.DS_Store": "junk", "study/README.txt": "a study"},
    )
    lead, samples = opened(path)
    assert (lead.recording, lead.name) == ("mine", "MLII")
    assert lead.annotations is not None
    assert lead.annotations.symbols == ["N", "V"]
    np.testing.assert_allclose(samples, two[:, 0], atol=2e-4)


@pytest.mark.parametrize("write", [write_edf, write_npy])
def test_any_one_file_in_a_zip_is_read(write, two: np.ndarray, tmp_path: Path) -> None:
    file = write(tmp_path, "mine", two)
    _, samples = opened(zipped(tmp_path / "mine.zip", file, under="a/"), 1, RATE)
    np.testing.assert_allclose(samples, two[:, 1], atol=2e-4)


def test_a_record_of_segments_in_a_zip_is_one_recording(two: np.ndarray, tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_wfdb(tmp_path, name, two)
    (tmp_path / "all.hea").write_text(f"all/2 2 {RATE} {2 * len(two)}\none {len(two)}\nother {len(two)}\n")
    files = [file for file in tmp_path.iterdir() if file.suffix in (".hea", ".dat")]
    lead, _ = opened(zipped(tmp_path / "mine.zip", *files))
    assert (lead.recording, lead.length) == ("all", 2 * len(two))


def test_several_recordings_are_listed_with_a_remedy(two: np.ndarray, tmp_path: Path) -> None:
    files = [write_npy(tmp_path, name, two) for name in ("first", "second")]
    message = refusal(zipped(tmp_path / "mine.zip", *files), None, RATE)
    assert "mine.zip holds 2 recordings: first.npy, second.npy; unzip it and name one of them" in message


def test_the_one_electrocardiogram_in_an_export_of_apple_health_is_read(two: np.ndarray, tmp_path: Path) -> None:
    text = "Sample Rate,512 hertz\n\nLead,Lead I\nUnit,µV\n\n" + "\n".join(f"{v * 1000:.3f}" for v in two[:, 0]) + "\n"
    names = {"apple_health_export/export.xml": "<HealthData/>", "apple_health_export/routes/a.csv": "1,2\n"}
    with_one = names | {"apple_health_export/electrocardiograms/ecg_2024-01-01.csv": text}
    lead, samples = opened(zipped(tmp_path / "export.zip", **with_one))
    assert (lead.name, lead.rate, lead.unit) == ("I", 512, "mV")
    np.testing.assert_allclose(samples, two[:, 0], atol=1e-5)
    with_two = with_one | {"apple_health_export/electrocardiograms/ecg_2024-01-02.csv": text}
    assert "holds 2 recordings" in refusal(zipped(tmp_path / "export.zip", **with_two))
    assert "Apple Health without an electrocardiogram" in refusal(zipped(tmp_path / "export.zip", **names))


@pytest.mark.parametrize("name", ["../mine.csv", "/mine.csv", "a/../../mine.csv", "C:/mine.csv", "..\\mine.csv"])
def test_a_path_that_leads_out_of_the_zip_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, "1\n2\n")
    assert "leads out of it" in refusal(path, None, RATE)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(tmp_path / "mine.zip", **{"mine.csv": "0\n" * 10**7})
    assert "is not safe: mine.csv would unpack from" in refusal(bomb, None, RATE)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    assert "holds 2 files; at most 1" in refusal(zipped(tmp_path / "mine.zip", a="1", b="2"))
    monkeypatch.setattr(archive, "MAX_UNPACKED", 10)
    assert "unzip it yourself" in refusal(zipped(tmp_path / "mine.zip", **{"mine.csv": "1\n" * 20}))


def test_a_zip_that_may_ask_for_gigabytes_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("mine.csv", "1\n2\n" * 1000)
    assert "zip it anew, by the usual method (deflate)" in refusal(tmp_path / "mine.zip", None, RATE)


def test_an_error_within_a_zip_is_safe_to_print(tmp_path: Path) -> None:
    message = refusal(zipped(tmp_path / "mine.zip", **{"\x1b[31mmine\u202e.csv": "a,b\n"}))
    assert "mine.zip/mine.csv holds no rows of numbers" in message
    assert message.isprintable()


def test_a_nested_zip_is_refused(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", **{"mine.csv": "1\n2\n"})
    assert "a zip within it" in refusal(zipped(tmp_path / "mine.zip", inner))
    renamed = inner.rename(tmp_path / "inner.csv")
    assert "a zip within a zip" in refusal(zipped(tmp_path / "mine.zip", renamed))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "mine.zip", **{"mine.csv": "1\n2\n"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the central directory
    path.write_bytes(content)
    assert "is encrypted" in refusal(path)


def test_a_zip_without_a_recording_is_refused(tmp_path: Path) -> None:
    assert "holds no recording" in refusal(zipped(tmp_path / "mine.zip", **{"a.pdf": "x", "b.png": "y"}))
    assert "save the sheet" in refusal(zipped(tmp_path / "mine.xlsx", **{"[Content_Types].xml": "x", "xl/a.xml": ""}))


def test_an_error_within_a_zip_names_the_zip(tmp_path: Path) -> None:
    message = refusal(zipped(tmp_path / "mine.zip", **{"mine.csv": "a,b\n"}))
    assert message.startswith(f"{tmp_path / 'mine.zip'}/mine.csv holds no rows of numbers")


@settings(max_examples=80)
@given(data=st.data())
def test_a_damaged_zip_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged_zips"
    folder.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mine.csv", "seconds,II\n" + "".join(f"{i / 250:.3f},{i % 50}\n" for i in range(500)))
    content = bytearray(buffer.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[position] = data.draw(st.integers(0, 255))
    path = folder / "mine.zip"
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        with open_lead(path) as lead:
            lead.read(0, lead.length)
    except InputError:
        pass
