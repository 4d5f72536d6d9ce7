import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arro3.core import Array, DataType, RecordBatch
from arro3.io import read_parquet, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.data.beats import Beats
from ecg.detector import tables
from ecg.exceptions import InputError

L = 4
KINDS = sorted(set(tables.INPUTS.values()))
finite = st.floats(-1e6, 1e6, width=32)
some_beats = st.lists(st.lists(finite, min_size=L, max_size=L), min_size=1, max_size=20).map(np.array)


def read(content: bytes, kind: str, length: int = L) -> np.ndarray:
    blocks = list(tables.blocks(io.BytesIO(content), kind, length, "beats"))
    return np.concatenate([np.empty((0, length)), *(block.samples for block in blocks)])


def as_text(beats: np.ndarray, delimiter: str = ",") -> bytes:
    return "".join(delimiter.join(map(repr, row)) + "\n" for row in beats.tolist()).encode()


def as_npy(beats: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, beats)
    return file.getvalue()


def as_parquet(beats: np.ndarray, **front: Array) -> bytes:
    file = io.BytesIO()
    columns = {str(i): Array.from_numpy(np.ascontiguousarray(column)) for i, column in enumerate(beats.T)}
    write_parquet(RecordBatch.from_pydict(front | columns), file)
    return file.getvalue()


WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "csv": as_text,
    "tsv": lambda beats: as_text(beats, "\t"),
    "npy": as_npy,
    "parquet": as_parquet,
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)  # Parquet is read in a process of its own, which takes a moment to start
@given(beats=some_beats)
def test_every_kind_of_table_brings_back_the_same_numbers(kind: str, beats: np.ndarray) -> None:
    np.testing.assert_array_equal(read(WRITERS[kind](beats), kind), beats)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_whole_whatever_the_pieces_that_are_read(
    kind: str, test: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", 64)
    monkeypatch.setattr(tables, "TEXT", 50_000)
    content = WRITERS[kind](test.samples[:200])
    blocks = list(tables.blocks(io.BytesIO(content), kind, 140, "beats"))
    assert [len(block.samples) for block in blocks] == [64, 64, 64, 8]
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), test.samples[:200])
    if kind != "parquet":
        shares = [block.share for block in blocks]
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_can_be_read(kind: str, test: Beats) -> None:
    pipe = io.BufferedReader(Pipe(WRITERS[kind](test.samples[:50])))
    (block,) = tables.blocks(pipe, kind, 140, "standard input")
    np.testing.assert_array_equal(block.samples, test.samples[:50])


def test_the_dataset_s_own_files_are_read_with_their_classes(raw: Path, test: Beats) -> None:
    with (raw / "ECG5000_TEST.tsv").open("rb") as file:
        blocks = list(tables.blocks(file, "tsv", 140, "ECG5000"))
    labels = [label for block in blocks for label in block.labels or ()]
    assert labels == [str(label) for label in test.classes.tolist()]
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), test.samples)


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
        (b"who,a,b,c,d\nanna,1,2,3,9\nben,5,6,7,8\n", ["anna", "ben"]),
        (b",0,1,2,3\n0,1,2,3,9\n1,5,6,7,8\n", ["0", "1"]),  # pandas, with its index
        (b"2,1,2,3,9\n1,5,6,7,8\n", ["2", "1"]),
        (b'"x,y",1,2,3,9\n,5,6,7,8\n', ["x,y", ""]),
    ],
)
def test_text_comes_with_and_without_names_and_labels(content: bytes, labels: list[str] | None) -> None:
    (block,) = tables.blocks(io.BytesIO(content), "csv", L, "beats")
    np.testing.assert_array_equal(block.samples, ROWS)
    assert block.labels == labels


@pytest.mark.parametrize("header", [b"", b"who,a,b,c,d\n"])
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("text", [2**24, 25])  # bytes that are parsed at a time
def test_a_line_that_breaks_within_quotes_is_refused_wherever_it_stands(
    header: bytes, before: int, text: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "TEXT", text)
    content = header + b"anna,1,2,3,9\n" * before + b'"ben\njonson",5,6,7,8\ncarl,1,2,3,9\n'
    line = before + 1 + bool(header)
    with pytest.raises(InputError, match=rf"^beats, line {line} is no line of columns .*; a beat is one line"):
        list(tables.blocks(io.BytesIO(content), "csv", L, "beats"))


def test_what_pandas_writes_is_read(tmp_path: Path, test: Beats) -> None:
    frame = pd.DataFrame(test.samples[:9])
    for index in (True, False):
        frame.to_csv(tmp_path / "beats.csv", index=index)
        np.testing.assert_array_equal(tables.read(tmp_path / "beats.csv", 140), test.samples[:9])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "beats is empty"),
        (b"\n\n", "beats is empty"),
        (b"1,2,3\n", r"beats, line 1 has 3 columns; the model takes 4 samples, and one column in front"),
        (b"1;2;3;4\n", "beats, line 1 has 1 columns"),
        (b"1,2,3,9\n1,2,3\n", "beats, line 2 has 3 columns; expected 4"),
        (b"1,2,3,9\n1,2,3,9,5\n", "beats, line 2 has 5 columns; expected 4"),
        (b"1,2,3,9\n\n1,2,x,9\n", "beats, line 3, column 3: 'x' is not a finite number"),
        (b"1,2,3,9\n1,,3,4\n", "beats, line 2, column 2: '' is not"),
        (b"1,2,3,9\n1,nan,3,4\n", "beats, line 2, column 2: 'nan' is not"),
        (b"1,2,3,9\n1,inf,3,4\n", "column 2: 'inf' is not"),
        (b"1,2,3,9\n1,1e999,3,4\n", "column 2: '1e999' is not"),
        (b"1,2,3,9\n1, 2,3,4\n", "column 2: ' 2' is not"),
        (b"1,2,3,9\n1,1_0,3,4\n", "column 2: '1_0' is not"),
        (b"1,2,3,9\n1,0x1,3,4\n", "column 2: '0x1' is not"),
        (b"1,2,x,9\n1,2,3,9\n", "beats, line 1, column 3: 'x' is not"),  # not a row of names
        (b"nan,nan,nan,nan\n1,2,3,9\n", "beats, line 1, column 1: 'nan' is not"),
        (b",,,\n1,2,3,9\n", "beats, line 1, column 1: '' is not"),
        (b"a,b,c,d\n1,2,x,9\n", "beats, line 2, column 3: 'x' is not"),
        (b"0.5,1,2,3,9\n", "'0.5' stands in front of a beat"),
        (b"1,2,3,9\n1,2,\xff,4\n", "beats, line 2 is not UTF-8 text"),
        ("1,2,3,9\n".encode("utf-16"), "beats, line 1 is not UTF-8 text"),
        (b'1,2,3,"4\n', "beats, line 1 is no line of columns"),
        (b"1,2,3,9\0\n", "beats, line 1, column 4: '9.x00' is not"),
    ],
)
def test_text_that_is_no_table_of_beats_is_refused_with_its_line(content: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(content, "csv")


def test_the_line_of_a_mistake_is_told_far_into_a_file(test: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TEXT", 10_000)
    lines = as_text(test.samples[:60]).split(b"\n")
    lines[47] = lines[47].replace(b",", b",?", 1)
    with pytest.raises(InputError, match=r"beats, line 48, column 2: '\?"):
        read(b"\n".join(lines), "csv", 140)


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TEXT", 1000)
    with pytest.raises(InputError, match="line 2 does not end"):
        read(b"1,2,3,9\n" + b"1" * 5000, "csv")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no", "is no NPY file"),
        (as_npy(ROWS)[:-9], "ends after 1 of 2 beats"),
        (as_npy(ROWS[:, :3]), r"of shape \(2, 3\); the model takes \(any number, 4\)"),
        (as_npy(ROWS[0]), r"of shape \(4,\)"),
        (as_npy(np.asfortranarray(ROWS)), "column by column; save it with numpy.ascontiguousarray"),
        (as_npy(ROWS.astype(complex)), "holds complex128; expected numbers"),
        (as_npy(ROWS.astype(str)), "holds <U32; expected numbers"),
    ],
)
def test_an_array_of_something_else_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
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


def test_parquet_carries_classes_and_names() -> None:
    names, classes = Array(["anna", None], DataType.string()), Array.from_numpy(np.array([2, 1]))
    for front, labels in ((names, ["anna", ""]), (classes, ["2", "1"])):
        (block,) = tables.blocks(io.BytesIO(as_parquet(ROWS, who=front)), "parquet", L, "beats")
        assert (block.labels, block.title) == (labels, "who")
        np.testing.assert_array_equal(block.samples, ROWS)


def test_the_row_names_that_pandas_adds_are_no_samples() -> None:
    file = io.BytesIO()
    columns = {str(i): Array.from_numpy(np.ascontiguousarray(column)) for i, column in enumerate(ROWS.T)}
    index = {"__index_level_0__": Array.from_numpy(np.array([7, 9]))}
    write_parquet(RecordBatch.from_pydict(columns | index), file)
    np.testing.assert_array_equal(read(file.getvalue(), "parquet"), ROWS)


def test_parquet_of_something_else_is_refused() -> None:
    file = io.BytesIO()
    texts = {str(i): Array(["a", "b"], DataType.string()) for i in range(L)}
    write_parquet(RecordBatch.from_pydict(texts), file)
    holed = {str(i): Array([1.0, None if i == 2 else 2.0], DataType.float64()) for i in range(L)}
    missing = io.BytesIO()
    write_parquet(RecordBatch.from_pydict(holed), missing)
    half = Array.from_numpy(np.array([0.5, 1]))
    for content, told in [
        (b"PAR1", "is no Parquet file"),
        (as_parquet(ROWS)[:-1], "is no Parquet file, or one that is cut off"),
        (as_parquet(ROWS[:, :2]), "has 2 columns; the model takes 4 samples"),
        (
            as_parquet(ROWS, half=half),
            "beats has a column 'half' of type Float64; expected a class",
        ),
        (file.getvalue(), "beats has a column '0' of type Utf8; expected numbers"),
        (missing.getvalue(), "beats has no value in column '2' of beat 1"),
    ]:
        with pytest.raises(InputError, match=told):
            read(content, "parquet")


def test_a_file_is_read_by_what_its_name_ends_in(tmp_path: Path) -> None:
    for suffix, kind in tables.INPUTS.items():
        path = tmp_path / f"beats{suffix.upper()}"
        path.write_bytes(WRITERS[kind](ROWS))
        np.testing.assert_array_equal(tables.read(path, L), ROWS)
    with pytest.raises(InputError, match=r"beats.xls is of no known kind: its name should end in .csv, .tsv, .npy"):
        tables.read(tmp_path / "beats.xls", L)
    with pytest.raises(InputError, match=r"none.csv cannot be read: No such file"):
        tables.read(tmp_path / "none.csv", L)


valid = {kind: write(np.arange(80.0).reshape(20, L)) for kind, write in WRITERS.items()}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes replaced, inserted or cut out."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        content = content[:start] + draw(st.binary(max_size=6)) + content[start + draw(st.integers(0, 6)) :]
    return content


@pytest.mark.parametrize(("kind", "examples"), [("csv", 500), ("tsv", 100), ("npy", 500), ("parquet", 25)])
def test_arbitrary_bytes_are_beats_or_an_input_error(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(st.binary(max_size=300) | damaged(valid[kind]))
    def check(content: bytes) -> None:
        with contextlib.suppress(InputError):
            assert read(content, kind).shape[1:] == (L,)

    check()


def test_a_parquet_file_that_the_reader_would_go_down_with_is_refused() -> None:
    content = bytearray(valid["parquet"])
    damaged = 0
    for place in range(4, len(content) - 8, 97):  # in the footer and before it
        content[place] ^= 0xFF
        try:
            read(bytes(content), "parquet")
        except InputError as error:
            damaged += "is a damaged Parquet file" in str(error)
        content[place] ^= 0xFF
    assert damaged


def batch(scores: list[float]) -> RecordBatch:
    return RecordBatch.from_pydict({"score": Array.from_numpy(np.array(scores, np.float32))})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("csv", b"score\n0.1\n2.0\n3.0\n"), ("jsonl", b'{"score":0.1}\n{"score":2.0}\n{"score":3.0}\n')],
)
def test_rows_are_written_as_they_come(kind: str, expected: bytes) -> None:
    file = io.BytesIO()
    tables.write(file, kind, iter([batch([0.1, 2]), batch([3])]))
    assert file.getvalue() == expected


def test_rows_are_written_as_parquet() -> None:
    file = io.BytesIO()
    tables.write(file, "parquet", iter([batch([0.1, 2]), batch([3])]))
    (column,) = read_parquet(io.BytesIO(file.getvalue())).read_all().columns
    np.testing.assert_array_equal(column.to_numpy(), np.array([0.1, 2, 3], np.float32))


@pytest.mark.parametrize("kind", sorted(tables.OUTPUTS.values()))
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_goes_wrong_while_rows_are_made_comes_through(kind: str, after: int) -> None:
    def rows():
        for _ in range(after):
            yield batch([1])
        raise InputError("beats, line 7: no")

    with pytest.raises(InputError, match="line 7: no"):
        tables.write(io.BytesIO(), kind, rows())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("kind", sorted(tables.OUTPUTS.values()))
def test_a_full_disk_is_told_as_such(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left on device"):
        tables.write(full, kind, (batch([i] * 1000) for i in range(500)))
    assert capfd.readouterr().err == ""  # arro3 did not panic
