import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.data.beats import Beats
from ecg.detector import parquet, tables
from ecg.detector.batch import score_table
from ecg.detector.detector import Detector
from ecg.detector.tables import BeatBatch, BeatTable
from ecg.exceptions import InputError
from tests.conftest import ROOT
from tests.forked import Reader

L = 4
FORMATS = sorted(set(tables.INPUTS.values()))
finite = st.floats(-1e6, 1e6, width=32)
some_beats = st.lists(st.lists(finite, min_size=L, max_size=L), min_size=1, max_size=20).map(np.array)


def batches(content: bytes, file_format: str, length: int = L) -> list[BeatBatch]:
    return list(BeatTable(io.BytesIO(content), file_format, "beats").batches(length))


def read(content: bytes, file_format: str, length: int = L) -> np.ndarray:
    return np.concatenate([np.empty((0, length)), *(batch.samples for batch in batches(content, file_format, length))])


def as_text(beats: np.ndarray, delimiter: str = ",") -> bytes:
    return "".join(delimiter.join(map(repr, row)) + "\n" for row in beats.tolist()).encode()


def as_npy(beats: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, beats)
    return file.getvalue()


def parquet_of(columns: dict, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def as_parquet(beats: np.ndarray, **first_column: object) -> bytes:
    return parquet_of(first_column | {str(i): column for i, column in enumerate(beats.T)})


WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "csv": as_text,
    "tsv": lambda beats: as_text(beats, "\t"),
    "npy": as_npy,
    "parquet": as_parquet,
}


@pytest.fixture
def quick_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the process that reads Parquet, rather than start it anew for each example."""
    monkeypatch.setattr(subprocess, "Popen", Reader)


# One fixture for all examples will do.
examples = partial(settings, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.usefixtures("quick_parquet")
@pytest.mark.parametrize("file_format", FORMATS)
@examples(max_examples=20)
@given(beats=some_beats)
def test_every_format_brings_back_the_same_numbers(file_format: str, beats: np.ndarray) -> None:
    np.testing.assert_array_equal(read(WRITERS[file_format](beats), file_format), beats)


@pytest.mark.parametrize("file_format", FORMATS)
def test_batches_have_the_same_size_however_the_file_is_read(
    file_format: str, test: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", 64)
    monkeypatch.setattr(tables, "TEXT", 50_000)
    content = WRITERS[file_format](test.samples[:200])
    parts = batches(content, file_format, 140)
    assert [len(part.samples) for part in parts] == [64, 64, 64, 8]
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), test.samples[:200])
    if file_format != "parquet":
        shares = [part.share_read for part in parts]
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)


class Pipe(io.RawIOBase):
    """Bytes that come in small pieces, and cannot be sought in."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        piece = self.content.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_pipe_can_be_read(file_format: str, test: Beats) -> None:
    pipe = io.BufferedReader(Pipe(WRITERS[file_format](test.samples[:50])))
    (batch,) = BeatTable(pipe, file_format, "standard input").batches(140)
    np.testing.assert_array_equal(batch.samples, test.samples[:50])


def test_the_dataset_s_own_files_are_read_with_their_classes(raw: Path, test: Beats) -> None:
    parts = batches((raw / "ECG5000_TEST.tsv").read_bytes(), "tsv", 140)
    assert [label for part in parts for label in part.labels or ()] == list(map(str, test.classes.tolist()))
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), test.samples)


BODY = b"1,2,3,9\n5,6,7,8\n"
ROWS = np.array([[1.0, 2, 3, 9], [5, 6, 7, 8]])


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (BODY, None),
        (b"a,b,c,d\n" + BODY, None),
        (b"0,1,2,3\n" + BODY, None),  # pandas' numbers for columns without names
        (b"\xef\xbb\xbf" + BODY, None),
        (BODY.replace(b"\n", b"\r\n"), None),
        (BODY[:-1], None),
        (b"\n".join([BODY, b"", b""]), None),
        (b'"1","2","3","9"\n5,6,7,8\n', None),
        (b"+1,2.,3e0,0.9E1\n5,6,7,8\n", None),
        (b"1, 2,3 ,9\n5,6, 7,8\n", None),
        (b"1,2,3,9\n\n\r\n5,6,7,8\n", None),
        (b"who,a,b,c,d\nanna,1,2,3,9\nben,5,6,7,8\n", ["anna", "ben"]),
        (b",0,1,2,3\n0,1,2,3,9\n1,5,6,7,8\n", ["0", "1"]),  # pandas, with its index
        (b"2,1,2,3,9\n1,5,6,7,8\n", ["2", "1"]),
        (b'"x,y",1,2,3,9\n,5,6,7,8\n', ["x,y", ""]),
    ],
)
def test_text_comes_with_and_without_names_and_labels(content: bytes, labels: list[str] | None) -> None:
    (batch,) = batches(content, "csv")
    np.testing.assert_array_equal(batch.samples, ROWS)
    assert batch.labels == labels


@pytest.mark.parametrize("header", [b"", b"who,a,b,c,d\n"])
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("text", [2**22, 25])  # bytes that are parsed at a time
def test_a_label_that_breaks_over_lines_is_refused_in_every_row(
    header: bytes, before: int, text: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "TEXT", text)
    content = header + b"anna,1,2,3,9\n" * before + b'"ben\njonson",5,6,7,8\ncarl,1,2,3,9\n'
    row = before + 1 + bool(header)
    expected = {
        rf"beats: the label of beat {before} breaks over lines; write each beat in one line",
        rf"beats, row {row} cannot be split into columns .*; write each beat in one line",
        rf"beats, row {row}: Expected 5 columns, got 1: \"ben",  # where the text is cut within the label
    }
    with pytest.raises(InputError, match=f"^({'|'.join(expected)})"):
        batches(content, "csv")


def test_what_pandas_writes_is_read(tmp_path: Path, test: Beats) -> None:
    frame = pd.DataFrame(test.samples[:9])
    for index in (True, False):
        frame.to_csv(tmp_path / "beats.csv", index=index)
        np.testing.assert_array_equal(tables.read(tmp_path / "beats.csv", 140), test.samples[:9])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "beats is empty"),
        (b"\n\n", "beats is empty"),
        (b"1,2,3\n", r"beats, row 1 has 3 columns; the model takes 4 samples, and at most one column before them"),
        (b"1;2;3;4\n", "beats, row 1 has 1 columns"),
        (b"1,2,3,9\n1,2,3\n", "beats, row 2: Expected 4 columns, got 3"),
        (b"1,2,3,9\n1,2,3,9,5\n", "beats, row 2: Expected 4 columns, got 5"),
        (b"1,2,3,9\n\n1,2,x,9\n", "beats, row 2, column 3: double: invalid value 'x'"),
        (b"1,2,3,9\n1,,3,4\n", "beats, row 2, column 2: double: invalid value ''"),
        (b"1,2,3,9\n1,1_0,3,4\n", "row 2, column 2: double: invalid value '1_0'"),
        (b"1,2,3,9\n1,0x1,3,4\n", "row 2, column 2: double: invalid value '0x1'"),
        (b"1,2,x,9\n1,2,3,9\n", "beats, row 1, column 3: 'x' is not"),  # not a row of names
        (b"nan,nan,nan,nan\n1,2,3,9\n", "beats, row 1, column 1: 'nan' is not"),
        (b",,,\n1,2,3,9\n", "beats, row 1, column 1: '' is not"),
        (b"a,b,c,d\n1,2,x,9\n", "beats, row 2, column 3: double: invalid value 'x'"),
        (b"0.5,1,2,3,9\n", "the label of beat 0 is '0.5', which looks like a sample"),
        (b"1,2,3,9\n1,2,\xff,4\n", "beats, row 2, column 3: double: invalid value"),
        (b"a,1,2,3,9\n\xff,1,2,3,4\n", "beats, row 2, column 1: string: invalid UTF8 data"),
        ("1,2,3,9\n".encode("utf-16"), "beats, row 1 is not UTF-8 text"),
        (b'1,2,3,"4\n', "beats, row 1 cannot be split into columns"),
        (b"1,2,3,9\0\n", "beats, row 1, column 4: '9.x00' is not"),
    ],
)
def test_text_that_is_not_a_table_of_beats_is_refused_with_its_row(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content, "csv")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_number_that_is_not_finite_is_refused_with_its_place_when_beats_are_scored(
    detector: Detector, test: Beats, number: str, delimiter: str
) -> None:
    rows = as_text(test.samples[:3], delimiter).decode().splitlines()
    fields = rows[1].split(delimiter)
    rows[1] = delimiter.join([*fields[:7], number, *fields[8:]])
    table = BeatTable(io.BytesIO("\n".join(rows).encode()), "csv" if delimiter == "," else "tsv", "beats")
    with pytest.raises(InputError, match=r"^beats: beat 1, sample 7 is -?(nan|inf)"):
        score_table(detector, table, io.BytesIO(), "csv")


def test_the_row_of_an_error_is_named_far_into_a_file(test: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TEXT", 10_000)
    lines = as_text(test.samples[:60]).split(b"\n")
    lines[47] = lines[47].replace(b",", b",?", 1)
    with pytest.raises(InputError, match=r"beats, row 48, column 2: double: invalid value '\?"):
        read(b"\n".join(lines), "csv", 140)


def test_a_row_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TEXT", 1000)
    with pytest.raises(InputError, match="beats has a row of more than 1,000 bytes"):
        read(b"1,2,3,9\n" + b"1" * 5000, "csv")
    with pytest.raises(InputError, match="beats, row 2"):
        read(b'1,2,3,9\n1,2,3,"' + b"9\n" * 2500, "csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "is not an NPY file"),
        (as_npy(ROWS)[:-9], "ends after 1 of 2 beats"),
        (as_npy(ROWS[:, :3]), r"of shape \(2, 3\); the model takes \(any number, 4\)"),
        (as_npy(ROWS[0]), r"of shape \(4,\)"),
        (as_npy(np.asfortranarray(ROWS)), "column by column; save it with numpy.ascontiguousarray"),
        (as_npy(ROWS.astype(complex)), "holds complex128; expected numbers"),
        (as_npy(ROWS.astype(str)), "holds <U32; expected numbers"),
    ],
)
def test_an_array_of_something_else_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content, "npy")


def test_an_array_of_objects_is_not_unpickled() -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1, L)})
    file.write(b"cos\nsystem\n(S'false'\ntR.")  # unpickled, it would run a command
    with pytest.raises(InputError, match="holds object; expected numbers"):
        read(file.getvalue(), "npy")


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "i1", "<u4"])
def test_numbers_of_every_width_and_order_are_read(dtype: str) -> None:
    np.testing.assert_array_equal(read(as_npy(ROWS.astype(dtype)), "npy"), ROWS)


def test_a_signalling_nan_is_read_without_a_warning() -> None:
    beats = np.array([[0x7F800001, 0, 0, 0]], np.uint32).view(np.float32)
    assert np.isnan(read(as_npy(beats), "npy")).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize(
    ("first_column", "labels"),
    [
        (pa.array(["anna", None]), ["anna", ""]),
        (pa.array([2, 1]), ["2", "1"]),
        (pa.array(["anna", "ben"], pa.large_string()), ["anna", "ben"]),
        (pa.array(["anna", "anna"]).dictionary_encode(), ["anna", "anna"]),
        (pa.array([3, 3]).dictionary_encode(), ["3", "3"]),
    ],
)
def test_parquet_carries_classes_and_names(first_column: pa.Array, labels: list[str]) -> None:
    (batch,) = batches(as_parquet(ROWS, who=first_column), "parquet")
    assert (batch.labels, batch.label_name) == (labels, "who")
    np.testing.assert_array_equal(batch.samples, ROWS)


def test_the_row_names_that_pandas_adds_are_not_samples() -> None:
    columns = {str(i): column for i, column in enumerate(ROWS.T)}
    np.testing.assert_array_equal(read(parquet_of(columns | {"__index_level_0__": [7, 9]}), "parquet"), ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "beats is not a Parquet file, or is damaged"),
        (b"PAR1", "beats is not a Parquet file, or is damaged"),
        (as_parquet(ROWS)[:-1], "beats is not a Parquet file, or is damaged"),
        (as_parquet(ROWS[:, :2]), "beats has 2 columns; the model takes 4 samples"),
        (as_parquet(ROWS, half=[0.5, 1]), "beats has a column 'half' of type double; expected a class"),
        (as_parquet(ROWS, a=[1, 1], b=[1, 1]), "beats has 6 columns; the model takes 4 samples"),
        (parquet_of({str(i): ["a", "b"] for i in range(L)}), "beats has a column '0' of type string; expected numbers"),
        (parquet_of({str(i): [True] for i in range(L)}), "beats has a column '0' of type bool; expected numbers"),
        (parquet_of({str(i): [1, None if i == 2 else 2] for i in range(L)}), "no value in column '2' of beat 1"),
    ],
)
def test_parquet_of_something_else_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content, "parquet")


def test_the_suffix_of_a_file_is_its_format(tmp_path: Path) -> None:
    for suffix, file_format in tables.INPUTS.items():
        path = tmp_path / f"beats{suffix.upper()}"
        path.write_bytes(WRITERS[file_format](ROWS))
        np.testing.assert_array_equal(tables.read(path, L), ROWS)
    with pytest.raises(InputError, match=r"beats.xls has an unknown format; its name should end in .csv, .tsv, .npy"):
        tables.read(tmp_path / "beats.xls", L)
    with pytest.raises(InputError, match=r"none.csv cannot be read: No such file"):
        tables.read(tmp_path / "none.csv", L)


valid = {name: write(np.arange(80.0).reshape(20, L)) for name, write in WRITERS.items()}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes replaced, inserted or cut out."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        content = content[:start] + draw(st.binary(max_size=6)) + content[start + draw(st.integers(0, 6)) :]
    return content


@pytest.mark.usefixtures("quick_parquet")
@pytest.mark.parametrize(("file_format", "number"), [("csv", 500), ("tsv", 100), ("npy", 500), ("parquet", 25)])
def test_arbitrary_bytes_are_beats_or_an_input_error(file_format: str, number: int) -> None:
    @examples(max_examples=number)
    @given(st.binary(max_size=300) | damaged(valid[file_format]))
    def check(content: bytes) -> None:
        with contextlib.suppress(InputError):
            assert read(content, file_format).shape[1:] == (L,)

    check()


@pytest.mark.parametrize("label", ["x" * 1001, "ä" * 1001])
def test_a_label_of_more_than_1000_characters_is_refused(label: str) -> None:
    with pytest.raises(InputError, match="beats: the label of beat 1 is longer than 1,000 characters"):
        batches(f"{label[:-1]},1,2,3,9\n{label},1,2,3,9".encode(), "csv")
    batches(as_parquet(ROWS, who=[label[:-1]] * 2), "parquet")
    with pytest.raises(InputError, match="beats has a label of more than 1,000 characters"):
        batches(as_parquet(ROWS, who=[label[:-1], label]), "parquet")


READ_IN_500_MB = """
import resource, sys
from pathlib import Path
from ecg.detector import tables
from ecg.exceptions import InputError
resource.setrlimit(resource.RLIMIT_DATA, (500_000_000, 500_000_000))  # of this process, and of those that it starts
try:
    tables.read(Path(sys.argv[1]), 4)
except InputError as error:
    print(error)
"""


def long_labels() -> bytes:
    """A file of 2 kB in which every row refers to one of two labels of a million characters."""
    indices, labels = pa.array(np.arange(20_000, dtype=np.int32) % 2), pa.array(["x" * 10**6, "y" * 10**6])
    samples = {str(i): np.zeros(20_000) for i in range(L)}
    return parquet_of({"who": pa.DictionaryArray.from_arrays(indices, labels)} | samples, compression="zstd")


def false_sizes() -> bytes:
    """One page of zeros in each column, 134 MB when unpacked; the file's metadata says 5 kB."""
    n, zeros = 2**24, np.zeros(2**24)
    content = parquet_of(
        {str(i): zeros for i in range(L)},
        compression="zstd",
        use_dictionary=False,
        data_page_size=2**31 - 1,
        max_rows_per_page=2**31 - 1,
        write_batch_size=n,
        row_group_size=n,
    )
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer, group = content[start:], pq.read_metadata(io.BytesIO(content)).row_group(0)
    for size in {group.total_byte_size, *(group.column(i).total_uncompressed_size for i in range(L))}:
        assert varint(size) in footer
        footer = footer.replace(varint(size), varint(5000, len(varint(size))))
    return content[:start] + footer


def varint(value: int, length: int = 0) -> bytes:
    """An integer as Thrift writes it, seven bits a byte; padded to a length."""
    digits = []
    value *= 2
    while value or len(digits) < length:
        digits.append(value & 127)
        value >>= 7
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


@pytest.mark.parametrize(
    ("suffix", "make", "message"),
    [
        ("parquet", long_labels, "has a label of more than 1,000 characters"),
        ("parquet", false_sizes, "takes more than 79 MB of memory to read"),
        ("parquet", lambda: parquet_of({str(i): [0.0] for i in range(20_000)}), "MB of memory|20000 columns"),
        ("csv", lambda: b",".join([b"1"] * 10**6), "row 1 has 1000000 columns"),
        ("csv", lambda: b"1,2,3,4\n" + b",".join([b"1"] * 10**6), "row 2: Expected 4 columns, got 1000000"),
        ("csv", lambda: b"1" * 10**8, "row 1 cannot be split"),
    ],
)
def test_a_file_that_would_take_much_memory_is_refused_with_a_message(
    suffix: str, make: Callable[[], bytes], message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"beats.{suffix}"
    path.write_bytes(make())
    command = [sys.executable, "-c", READ_IN_500_MB, path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.search(message, done.stdout), done.stderr


def test_a_crash_of_the_reading_process_is_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "crash.py").write_text("import os; os.abort()")
    monkeypatch.setattr(parquet, "__file__", str(tmp_path / "crash.py"))
    with pytest.raises(InputError, match="beats is a damaged Parquet file"):
        read(valid["parquet"], "parquet")


def test_a_reading_process_ends_when_no_more_beats_are_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start, started = subprocess.Popen, []

    def popen(*args: Any, **options: Any) -> subprocess.Popen:
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    (tmp_path / "beats.parquet").write_bytes(as_parquet(np.zeros((3 * tables.ROWS, L))))
    table = BeatTable.open(tmp_path / "beats.parquet")
    with table.file:
        parts = table.batches(L)
        assert len(next(parts).samples) == tables.ROWS
        (process,) = started
        assert process.poll() is None
        parts.close()
    assert process.returncode is not None


ENCODED = [
    parquet_of(
        {"who": ["anna", "ben", None, "x" * 40] * 5} | {str(i): np.linspace(0, 1, 20) ** i for i in range(L)},
        compression=compression,
        use_dictionary=encoding is None,
        column_encoding=None if encoding is None else {str(i): encoding for i in range(L)} | {"who": label_encoding},
        data_page_version=version,
        write_page_checksum=version == "2.0",
    )
    for compression in ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
    for version in ("1.0", "2.0")
    for encoding, label_encoding in (
        (None, None),
        ("PLAIN", "DELTA_BYTE_ARRAY"),
        ("BYTE_STREAM_SPLIT", "DELTA_LENGTH_BYTE_ARRAY"),
    )
]


@pytest.mark.usefixtures("quick_parquet")
@examples(max_examples=40)
@given(st.sampled_from(ENCODED).flatmap(damaged))
def test_damaged_parquet_of_every_codec_and_encoding_is_beats_or_an_input_error(content: bytes) -> None:
    with contextlib.suppress(InputError):
        assert read(content, "parquet").shape[1:] == (L,)


def batch(scores: list[float]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"score": np.array(scores, np.float32)})


@pytest.mark.parametrize(
    ("file_format", "expected"),
    [("csv", b"score\n0.1\n2\n3\n"), ("jsonl", b'{"score":0.1}\n{"score":2.0}\n{"score":3.0}\n')],
)
def test_rows_are_written_as_they_come(file_format: str, expected: bytes) -> None:
    file = io.BytesIO()
    tables.write(file, file_format, iter([batch([0.1, 2]), batch([3])]))
    assert file.getvalue() == expected


def test_rows_are_written_as_parquet() -> None:
    file = io.BytesIO()
    tables.write(file, "parquet", iter([batch([0.1, 2]), batch([3])]))
    scores = pq.read_table(file)["score"]
    assert scores.type == pa.float32()
    np.testing.assert_array_equal(scores, np.array([0.1, 2, 3], np.float32))


@pytest.mark.parametrize("file_format", sorted(tables.OUTPUTS.values()))
@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_error_while_rows_are_made_is_passed_on_and_the_output_does_not_look_complete(
    file_format: str, after: int
) -> None:
    def rows():
        for _ in range(after):
            yield batch([1])
        raise InputError("beats, row 7: no")

    file = io.BytesIO()
    with pytest.raises(InputError, match="row 7: no"):
        tables.write(file, file_format, rows())
    assert not file.getvalue().endswith(b"PAR1") or len(file.getvalue()) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("file_format", sorted(tables.OUTPUTS.values()))
def test_a_full_disk_is_reported_as_such(file_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left on device"):
        tables.write(full, file_format, (batch([i] * 1000) for i in range(500)))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("shape", [(-1, L), (True, L)])
def test_an_npy_file_of_less_than_no_beats_is_refused(shape: tuple) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with pytest.raises(InputError, match=rf"beats says that it holds {shape[0]} beats; save it anew"):
        read(file.getvalue(), "npy")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_what_comes_after_an_array_is_refused(rows: int) -> None:
    with pytest.raises(InputError, match=rf"beats has 192 bytes after its {rows} beats"):
        read(as_npy(np.zeros((rows, L))) + as_npy(np.zeros((2, L))), "npy")


@pytest.mark.parametrize(
    "field", ["0x10", "1e", "1_000", "1 2", "1.5D+00", "-", "?", "true", "Infinity", "\u22120.5", "0.5\0", "a\0", "5ms"]
)
@pytest.mark.parametrize("column", [0, L - 1])
def test_a_first_row_of_what_is_neither_a_number_nor_a_name_is_refused(field: str, column: int) -> None:
    fields = ["t"] * L
    fields[column] = field
    content = f"{','.join(fields)}\n1,2,3,4\n".encode()
    with pytest.raises(InputError, match=rf"row 1, column {column + 1}: .* names of columns begin with a letter"):
        read(content, "csv")


def test_utf_16_text_is_no_table_without_beats() -> None:
    with pytest.raises(InputError, match="row 1"):
        read("1,2,3,4\n1,2,3,4\n".encode("utf-16-le"), "csv")


def test_a_label_with_a_null_byte_is_refused() -> None:
    with pytest.raises(InputError, match="the label of beat 1 holds a null byte"):
        read(as_parquet(np.zeros((2, L)), name=["a", "b\0"]), "parquet")


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 5000), (5000, 1)])
def test_parquet_files_that_were_joined_are_refused(first: int, second: int) -> None:
    with pytest.raises(InputError, match="holds several Parquet files, one after another"):
        read(as_parquet(np.zeros((first, L))) + as_parquet(np.ones((second, L))), "parquet")


@pytest.mark.parametrize("label", ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)"])
def test_labels_that_a_spreadsheet_would_run_are_written_as_text(detector: Detector, test: Beats, label: str) -> None:
    content = b"".join(f'"{label}",'.encode() + as_text(beat[None]) for beat in test.samples[:2])
    names = ",".join([f'"{label}"', *(f"t{i}" for i in range(140))])
    content = f"{names}\n".encode() + content

    def written(file_format: str) -> bytes:
        file = io.BytesIO()
        score_table(detector, BeatTable(io.BytesIO(content), "csv", "beats"), file, file_format)
        return file.getvalue()

    frame = pd.read_csv(io.BytesIO(written("csv")))
    assert frame[f"'{label}"].tolist() == [f"'{label}"] * 2
    assert written("jsonl").count(f'"{label}":"{label}"'.encode()) == 2
    assert pq.read_table(io.BytesIO(written("parquet")))[label].to_pylist() == [label] * 2


def test_labels_that_are_numbers_stay(detector: Detector, test: Beats) -> None:
    content, file = b"-1," + as_text(test.samples[:1]), io.BytesIO()
    score_table(detector, BeatTable(io.BytesIO(content), "csv", "beats"), file, "csv")
    assert b'\n0,"-1",' in file.getvalue()


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        (b"\x93NUMPY'\xff\xff\xff\xff\xff", "its version is 39.255"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "its header is longer than 10,000 bytes"),
    ],
)
def test_an_npy_header_takes_no_more_memory_than_it_needs(content: bytes, printed: str) -> None:
    with pytest.raises(InputError, match=f"is not an NPY file .*{printed}"):
        read(content, "npy")
