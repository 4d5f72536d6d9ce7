"""Reading a lead from each format, from damaged and hostile files, and from a web server in place of PhysioNet."""

import http.server
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb
import wfdb.io.download
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.classes import Annotations
from ecg.recordings.reading import Lead, open_lead, table
from tests.recordings.files import RATE, N, refusal, write_edf, write_npy, write_wfdb


def write_csv(delimiter: str, header: str = "", seconds: bool = False) -> Callable[[Path, str, np.ndarray], Path]:
    def write(folder: Path, name: str, leads: np.ndarray) -> Path:
        columns = np.column_stack([np.arange(len(leads)) / RATE, leads]) if seconds else leads
        names = ("seconds," if seconds else "") + "MLII,V5" if header else ""
        path = folder / f"{name}.csv"
        np.savetxt(path, columns, "%.7f", delimiter, header=names.replace(",", delimiter), comments="")
        return path

    return write


# How each kind of file is written, the rate to give when it is read, and how exactly it keeps samples.
FORMATS = {
    "wfdb": (write_wfdb, None, 2e-4),
    "edf": (write_edf, None, 2e-4),
    "npy": (write_npy, RATE, 0),
    "comma": (write_csv(",", "names"), RATE, 1e-6),
    "semicolon": (write_csv(";"), RATE, 1e-6),
    "tab": (write_csv("\t", "names"), RATE, 1e-6),
    "spaces": (write_csv(" "), RATE, 1e-6),
    "seconds": (write_csv(",", "names", seconds=True), None, 1e-6),
}
NAMED = ["wfdb", "edf", "comma", "tab", "seconds"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_samples(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    write, rate, resolution = FORMATS[kind]
    path = write(tmp_path, "mine", two)
    for number in (0, 1):
        with open_lead(str(path), number, rate) as lead:
            assert (lead.recording, lead.length) == ("mine", N)
            assert lead.rate == pytest.approx(RATE)
            assert lead.seconds == pytest.approx(20)
            np.testing.assert_allclose(lead.read(0, N), two[:, number], atol=resolution)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15)
@given(bounds=st.tuples(st.integers(0, N), st.integers(0, N)).map(sorted))
def test_any_part_can_be_read(
    kind: str, two: np.ndarray, tmp_path_factory: pytest.TempPathFactory, bounds: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "parts"
    folder.mkdir(exist_ok=True)
    write, rate, resolution = FORMATS[kind]
    path = next((path for path in folder.glob(f"{kind}*") if path.suffix != ".dat"), None)
    path = path or write(folder, kind, two)
    start, stop = bounds
    with open_lead(str(path), 1, rate) as lead:
        np.testing.assert_allclose(lead.read(start, stop), two[start:stop, 1], atol=resolution)


@pytest.mark.parametrize("kind", NAMED)
def test_a_lead_is_chosen_by_its_name_in_any_case_or_by_its_number(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    write, rate, resolution = FORMATS[kind]
    path = str(write(tmp_path, "mine", two))
    for asked in ("v5", "V5", 1, "1"):
        with open_lead(path, asked, rate) as lead:
            assert lead.name == "V5"
            np.testing.assert_allclose(lead.read(0, 9), two[:9, 1], atol=resolution)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("asked", ["aVF", "2", 2, -1])
def test_for_a_lead_that_does_not_exist_the_error_names_those_that_do(
    kind: str, asked: int | str, two: np.ndarray, tmp_path: Path
) -> None:
    write, rate, _ = FORMATS[kind]
    message = refusal(write(tmp_path, "mine", two), asked, rate)
    assert f"has no lead {asked!r}; it has " in message
    assert message.endswith("0 MLII, 1 V5" if kind in NAMED else "0, 1")


@pytest.mark.parametrize("kind", ["wfdb", "edf", "seconds"])
def test_a_rate_that_contradicts_the_file_is_refused(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    write, _, _ = FORMATS[kind]
    path = write(tmp_path, "mine", two)
    assert "states a sampling rate of 360 Hz, not 250 Hz: leave rate out" in refusal(path, 0, 250.0)
    with open_lead(str(path), 0, 360.0) as lead:
        assert lead.rate == pytest.approx(360)


@pytest.mark.parametrize("kind", ["npy", "comma"])
def test_a_file_without_a_sampling_rate_needs_one(kind: str, two: np.ndarray, tmp_path: Path) -> None:
    write, _, _ = FORMATS[kind]
    path = write(tmp_path, "mine", two)
    assert "does not state its sampling rate: give it in Hz" in refusal(path)
    for rate in (99.0, 20_001.0, -360.0, float("nan"), float("inf")):
        assert "it should be 100 to 20,000 Hz" in refusal(path, 0, rate)


def test_a_sampling_rate_that_is_too_low_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    assert "mine has a sampling rate of 50 Hz; it should be 100 to" in refusal(write_wfdb(tmp_path, "mine", two, 50))


def test_one_column_of_numbers_is_one_lead(toy: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", toy[:N])
    (tmp_path / "mine.txt").write_text("\n".join(map(str, toy[:N].tolist())))
    for name in ("mine.npy", "mine.txt"):
        with open_lead(str(tmp_path / name), 0, 360.0) as lead:
            np.testing.assert_allclose(lead.read(0, N), toy[:N], atol=1e-6)


def test_empty_cells_of_a_table_are_missing_samples(two: np.ndarray, tmp_path: Path) -> None:
    path = FORMATS["comma"][0](tmp_path, "mine", two)
    lines = path.read_text().splitlines()
    lines[5], lines[7] = ",1.5", "nan,1.5"
    path.write_text("\n".join(lines))
    with open_lead(str(path), 0, 360.0) as lead:
        assert np.flatnonzero(np.isnan(lead.read(0, N))).tolist() == [4, 6]


@pytest.mark.parametrize("text", ["1,2\n3,x\n", "", "\n\n", "a,b\n", "seconds,a\n1,2\n1,3\n"])
def test_a_table_that_does_not_contain_samples_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text)
    assert "mine.csv" in refusal(tmp_path / "mine.csv", 1 if text.startswith("1") else 0, 360.0)


def test_annotations_are_read_with_their_times(two: np.ndarray, tmp_path: Path) -> None:
    path = str(write_wfdb(tmp_path, "mine", two))
    wfdb.wrann("mine", "atr", np.array([36, 360, 720]), symbol=["N", "+", "V"], write_dir=str(tmp_path))
    with open_lead(path) as lead:
        assert isinstance(lead.annotations, Annotations)
        assert lead.annotations.symbols == ["N", "+", "V"]
        np.testing.assert_allclose(lead.annotations.seconds, [0.1, 1, 2])
    for ending in (None, "qrs"):
        with open_lead(path, annotations=ending) as lead:
            assert lead.annotations is None


def test_beat_annotations_of_an_edf_file_are_read(two: np.ndarray, tmp_path: Path) -> None:
    notes = [edfio.EdfAnnotation(at, None, text) for at, text in ((0.1, "N"), (1, "coughs"), (2, "V"))]
    edfio.Edf([edfio.EdfSignal(two[:, 0], RATE, label="MLII")], annotations=notes).write(tmp_path / "mine.edf")
    with open_lead(str(tmp_path / "mine.edf")) as lead:
        assert isinstance(lead.annotations, Annotations)
        assert lead.annotations.symbols == ["N", "V"]
        np.testing.assert_allclose(lead.annotations.seconds, [0.1, 2])


# Damage.


def test_a_header_without_its_signal_file_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, "mine", two)
    path.with_name("mine.dat").unlink()
    assert "names the signal file mine.dat, which is missing" in refusal(path)


def test_a_signal_file_without_its_header_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, "mine", two)
    path.with_name("mine.hea").unlink()
    assert "mine.hea is missing" in refusal(path.with_name("mine.dat"))


@pytest.mark.parametrize("named", ["../mine.dat", "/etc/passwd", "..", "a/mine.dat", "..\\mine.dat", "~"])
def test_a_header_that_names_a_file_in_another_folder_is_refused(named: str, two: np.ndarray, tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, "mine", two).with_name("mine.hea")
    header.write_text(header.read_text().replace("mine.dat", named))
    assert "mine.hea is not " in refusal(header)  # not a valid header, or not safe to read


def test_a_header_that_states_more_samples_than_its_files_can_hold_is_refused(two: np.ndarray, tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, "mine", two).with_suffix(".hea")
    header.write_text(header.read_text().replace(f" {N}", f" {1000 * N}", 1))
    assert f"states {1000 * N:,} samples per lead, far more than its signal files can hold" in refusal(header)


def test_the_rest_of_a_truncated_signal_file_is_read(two: np.ndarray, tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, "mine", two)
    content = path.with_name("mine.dat").read_bytes()
    path.with_name("mine.dat").write_bytes(content[: 4 * 1000 + 1])
    with open_lead(str(path)) as lead:
        samples = lead.read(0, N)
        np.testing.assert_allclose(samples[:1000], two[:1000, 0], atol=2e-4)
        assert np.isnan(samples[1000:]).all()
        assert lead.warnings == ("The signal file is shorter than its header states: the last 17 s are missing.",)
        assert np.isnan(lead.read(3000, 3600)).all()


def test_the_rest_of_a_truncated_edf_file_is_read(two: np.ndarray, tmp_path: Path) -> None:
    path = write_edf(tmp_path, "mine", two)
    path.write_bytes(path.read_bytes()[: -20 * RATE * 2])  # half of the samples are gone
    with open_lead(str(path)) as lead:
        samples = lead.read(0, lead.length)
        held = np.isfinite(samples).sum()
        assert lead.seconds == 20
        assert 9 <= held / RATE <= 10  # a record lasts a second
        np.testing.assert_allclose(samples[:held], two[:held, 0], atol=2e-4)
        assert np.isnan(samples[held:]).all()
        assert lead.warnings == ("Its EDF header states 20 s, the file holds 10 s: the rest is missing.",)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npy(np.array("text")),
        npy(np.array(["a", "b"])),
        npy(np.ones(9, complex)),
        npy(np.ones(9, bool)),
        npy(np.ones((2, 2, 2))),
        npy(np.float64(3)),
        npy(np.empty((0, 2))),
        npy(np.ones((2, 500))),  # leads in rows
        npy(np.ones(9))[:-1],
        npy(np.ones(9)).replace(b"'<f8'", b"'|O'"),  # objects, which NumPy would unpickle
    ],
)
def test_an_array_that_does_not_contain_samples_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_bytes(content)
    assert "mine.npy" in refusal(tmp_path / "mine.npy", 0, 360.0)


def test_a_renamed_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", a=np.ones(9))
    (tmp_path / "mine.npz").rename(tmp_path / "mine.npy")
    assert "mine.npy is not a NumPy file of numbers" in refusal(tmp_path / "mine.npy", 0, 360.0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "there is no file absent, nor absent.hea"),
        ("absent.csv", "there is no file absent.csv; a recording is a WFDB record"),
        ("folder", "folder is not a recording in a known format"),
        (".", "is not a recording in a known format"),
        ("/", "is not a recording in a known format"),
        ("", "is not a recording in a known format"),
        ("notes.docx", "notes.docx is not a recording in a known format; it should be a WFDB record"),
        ("~nobody-of-this-name/mine.csv", "there is no file ~nobody"),
    ],
)
def test_a_path_that_is_not_a_recording_is_refused(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("notes.docx").touch()
    assert message in refusal(path)


def read_or_refuse(path: Path) -> None:
    try:
        with open_lead(str(path), 0, None if path.suffix in (".hea", ".edf") else 360.0) as lead:
            assert isinstance(lead, Lead)
            samples = lead.read(0, min(lead.length, 1000))
            assert samples.shape == (min(lead.length, 1000),)
            assert samples.dtype == float
    except InputError:
        pass


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "mine.dat").write_bytes(bytes(range(256)))
    return folder


@pytest.mark.parametrize("ending", ["hea", "edf", "npy", "csv"])
@settings(max_examples=60)
@given(content=st.one_of(st.binary(max_size=300), st.text("0123456789.,;\t e-+nai\n/'\"", max_size=60).map(str.encode)))
def test_any_bytes_are_read_or_refused(ending: str, content: bytes, hostile: Path) -> None:
    (hostile / f"mine.{ending}").write_bytes(content)
    read_or_refuse(hostile / f"mine.{ending}")


@pytest.mark.parametrize("kind", ["wfdb", "edf", "npy", "seconds"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(kind: str, data: st.DataObject, two: np.ndarray, hostile: Path) -> None:
    path = FORMATS[kind][0](hostile, f"damaged_{kind}", two[: 2 * RATE])
    path = path.with_name(f"{path.name}.hea") if kind == "wfdb" else path
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, min(len(content), 800) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255) | st.sampled_from(list(b"0123456789 /.-")))
    path.write_bytes(content)
    read_or_refuse(path)


@settings(max_examples=40)
@given(content=st.binary(max_size=60))
def test_any_bytes_in_place_of_annotations_are_read_or_refused(content: bytes, two: np.ndarray, hostile: Path) -> None:
    base = hostile / "annotated"
    if not base.with_name("annotated.hea").exists():
        write_wfdb(hostile, "annotated", two)
    base.with_name("annotated.atr").write_bytes(content)
    try:
        with open_lead(str(base)) as lead:
            assert lead.annotations is not None
            assert len(lead.annotations.seconds) == len(lead.annotations.symbols)
    except InputError:
        pass


# PhysioNet.


@pytest.fixture
def physionet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a web server serves as PhysioNet does: records under files/, pages about them under content/."""
    root = tmp_path / "physionet"
    (root / "content" / "mydb").mkdir(parents=True)
    (root / "content" / "mydb" / "index.html").write_text("<p>\nVersion: 1.0.0</p>\n")
    (root / "content" / "mydb" / "1.0.0").mkdir()
    (root / "files" / "mydb" / "1.0.0" / "p01").mkdir(parents=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(wfdb.io.download, "PN_CONTENT_URL", f"{base}/content/")
    monkeypatch.setattr(wfdb.io.download.config, "db_index_url", f"{base}/files/")
    yield root / "files" / "mydb" / "1.0.0"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("folder", ["", "p01/"])
def test_a_record_is_downloaded_from_physionet_without_printing_to_standard_output(
    folder: str, physionet: Path, two: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wfdb(physionet / folder, "mine", two)
    wfdb.wrann("mine", "atr", np.array([36, 360]), symbol=["N", "V"], fs=RATE, write_dir=str(physionet / folder))
    with open_lead(f"physionet:mydb/{folder}mine", "V5") as lead:
        assert (lead.recording, lead.name) == ("mine", "V5")
        np.testing.assert_allclose(lead.read(0, N), two[:, 1], atol=2e-4)
        assert isinstance(lead.annotations, Annotations)
        assert lead.annotations.symbols == ["N", "V"]
    assert capsys.readouterr().out == ""


def test_a_record_of_several_segments_is_downloaded_from_physionet(physionet: Path, two: np.ndarray) -> None:
    write_wfdb(physionet, "one", two)
    (physionet / "all.hea").write_text(f"all/2 2 {RATE} {N + RATE}\n~ {RATE}\none {N}\n")
    with open_lead("physionet:mydb/all") as lead:
        np.testing.assert_allclose(lead.read(RATE, RATE + N), two[:, 0], atol=2e-4)


def test_a_record_without_annotations_is_downloaded_from_physionet(physionet: Path, two: np.ndarray) -> None:
    write_wfdb(physionet, "mine", two)
    with open_lead("physionet:mydb/mine") as lead:
        assert lead.annotations is None


def test_a_record_that_physionet_does_not_have_is_refused(physionet: Path) -> None:
    assert "PhysioNet did not deliver physionet:mydb/absent" in refusal("physionet:mydb/absent")
    assert "PhysioNet did not deliver physionet:other/mine" in refusal("physionet:other/mine")
    (physionet.parents[2] / "content" / "mydb" / "index.html").write_text("moved")
    assert "PhysioNet did not deliver physionet:mydb/mine" in refusal("physionet:mydb/mine")


@pytest.mark.parametrize(
    "name", ["mitdb", "mitdb/", "/100", "mitdb/../../x", "../mitdb/100", "mitdb/100.hea", "mitdb/1 0", "mit?db/100", ""]
)
def test_an_invalid_name_of_a_physionet_record_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wfdb.io.download, "dl_files", lambda *_, **__: pytest.fail("it was asked for"))
    assert "should be physionet:DATABASE/RECORD" in refusal(f"physionet:{name}")


def test_a_downloaded_header_that_names_a_file_in_another_folder_is_refused(physionet: Path, two: np.ndarray) -> None:
    header = write_wfdb(physionet, "mine", two).with_name("mine.hea")
    header.write_text(header.read_text().replace("mine.dat", "../mine.dat"))
    assert "mine.hea is not " in refusal("physionet:mydb/mine")


def test_a_long_table_is_read_in_chunks(two: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK_ROWS", 1000)
    with open_lead(str(FORMATS["seconds"][0](tmp_path, "mine", two))) as lead:
        assert lead.rate == pytest.approx(RATE)
        np.testing.assert_allclose(lead.read(0, N), two[:, 0], atol=1e-6)
