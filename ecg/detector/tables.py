"""Tables of beats, in blocks so that memory does not grow with the file: CSV, TSV, NPY and Parquet.

A table has the L samples of a beat in its last L columns. One column may stand in front, a class or a name; it is
carried along as text. The first line of a CSV or TSV may name the columns, or number them as pandas does. Text and
Parquet go through arro3, the Rust implementation of Apache Arrow.
"""

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from arro3.core import DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import read_csv, write_csv, write_ndjson, write_parquet

from ecg.data import beats
from ecg.detector import parquet
from ecg.detector.model import BLOCK
from ecg.exceptions import InputError

ROWS = 32 * BLOCK  # beats in a block; a multiple, so that the detector's sums are those of one big array
TEXT = 2**24  # bytes of text that are parsed at a time
INPUTS = {".csv": "csv", ".tsv": "tsv", ".npy": "npy", ".parquet": "parquet"}
OUTPUTS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UNNAMED = {"", "nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf"}  # missing values, not names of columns


@dataclass(frozen=True)
class Block:
    """Some of a table's beats, in their order.

    samples : float ndarray of shape (n, L); text may hold no others than finite ones, arrays and Parquet may
    labels : what stands in front of each beat, as text; None if nothing does
    title : of that column
    share : how much of the table has been read up to here, 0 to 1; None if its length is not known
    """

    samples: np.ndarray
    labels: list[str] | None
    title: str
    share: float | None


def read(path: Path, length: int) -> np.ndarray:
    """All beats of a table: float ndarray of shape (n, length); InputError if it is none, or none of such beats.

    The pipeline's own .npz will do, too.
    """
    if path.suffix == ".npz":
        return beats.load(path).samples
    kind = kind_of(path, INPUTS)
    with open_input(path) as file:
        parts = [block.samples for block in blocks(file, kind, length, str(path))]
    return np.concatenate([np.empty((0, length)), *parts])


def kind_of(path: Path, kinds: dict[str, str]) -> str:
    """What kind of table a file's name tells of; InputError if it tells of none."""
    try:
        return kinds[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path} is of no known kind: its name should end in {', '.join(kinds)}") from None


def open_input(path: Path) -> BinaryIO:
    """Open a file to read; InputError if there is none."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def blocks(file: BinaryIO, kind: str, length: int, name: str) -> Iterator[Block]:
    """The beats of a table in blocks of ROWS, but for the last.

    Parameters
    ----------
    file : open for reading bytes; a pipe will do
    kind : of table: csv, tsv, npy or parquet
    length : samples in a beat
    name : what to call the table in an error

    Raises
    ------
    InputError
        if it is no such table, or none of beats of this length; of text it names the line and the column.
    """
    return _regrouped(_READERS[kind](file, length, name))


def write(file: BinaryIO, kind: str, rows: Iterator[RecordBatch]) -> None:
    """Write rows as they come to a file or pipe, as csv, jsonl or parquet; what `rows` or `file` raise comes through.

    rows : at least one batch, which may be empty
    """
    kept, first = _Kept(file), next(rows)
    stream, sink = RecordBatchReader.from_batches(first.schema, kept.guarded(first, rows)), cast(BinaryIO, kept)
    try:
        if kind == "csv":
            write_csv(stream, sink)
        elif kind == "jsonl":
            write_ndjson(stream, sink, explicit_nulls=True)
        else:
            write_parquet(stream, sink, compression="zstd(1)")
    finally:
        if kept.error is not None:
            raise kept.error from None


class _Kept(io.RawIOBase):
    """Stands between arro3 and what it reads and writes: keeps the error that arro3 would make a text of, or panic at.

    error : the first that came
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        """After an error, write nothing more and say that all is well: arro3 is about to be told."""
        if self.error is None:
            try:
                self.file.write(content)
            except OSError as error:
                self.error = error
        return len(content)

    def guarded(self, first: RecordBatch, rest: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
        """The batches, until something goes wrong.

        If it is one of them, arro3 has to be told: it may not end the file, which would look whole.
        """
        yield first
        while self.error is None:
            try:
                batch = next(rest, None)
            except BaseException as error:
                self.error = error
                raise
            if batch is None:
                return
            yield batch


def _regrouped(parts: Iterator[Block]) -> Iterator[Block]:
    """The same beats in blocks of ROWS, but for the last."""
    held: list[Block] = []
    for part in parts:
        held.append(part)
        while (count := sum(len(block.samples) for block in held)) >= ROWS:
            whole = _joined(held)
            yield _cut(whole, 0, ROWS)
            held = [_cut(whole, ROWS, count)] if count > ROWS else []
    if held:
        yield _joined(held)


def _joined(parts: list[Block]) -> Block:
    samples = np.concatenate([part.samples for part in parts])
    labels = None if parts[0].labels is None else [label for part in parts for label in part.labels or ()]
    return Block(samples, labels, parts[0].title, parts[-1].share)


def _cut(block: Block, start: int, stop: int) -> Block:
    labels = None if block.labels is None else block.labels[start:stop]
    return Block(block.samples[start:stop], labels, block.title, block.share)


def _size(file: BinaryIO) -> int | None:
    """How many bytes there are, if the file knows."""
    if not file.seekable():
        return None
    here = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(here)
    return size


def _read_text(file: BinaryIO, length: int, name: str, delimiter: str) -> Iterator[Block]:
    size, longest, done, line = _size(file), TEXT + 64 * length, 0, 1
    rest = file.read(TEXT).removeprefix(b"\xef\xbb\xbf")  # some programs begin UTF-8 with this mark
    first, _, _ = rest.partition(b"\n")
    if not first.strip():
        raise InputError(f"{name} is empty, or its first line is; expected one beat a line")
    title, header = _columns(_fields(first, delimiter, f"{name}, line 1"), length, f"{name}, line 1")
    fields = [Field("label", DataType.string(), nullable=True)] if title else []
    fields += [Field(str(i), DataType.float64(), nullable=True) for i in range(length)]
    if header:
        line, rest = 2, rest[len(first) + 1 :]
    while True:
        more = file.read(TEXT)
        text, _, rest = rest.rpartition(b"\n") if more else (rest, b"", b"")
        done += len(text) + 1
        block = _parsed(text, Schema(fields), delimiter, title, name, line, done / size if size else None)
        if block is not None:
            yield block
        if not more:
            return
        line += text.count(b"\n") + 1 if text else 0
        rest += more
        if len(rest) > longest and b"\n" not in rest:
            raise InputError(f"{name}, line {line} does not end; expected one beat a line")


def _parsed(
    text: bytes, schema: Schema, delimiter: str, title: str, name: str, line: int, share: float | None
) -> Block | None:
    """The beats in some lines, the first of which is number `line`; None if all are blank."""
    try:
        if b"\0" in text:  # which arro3 would take the process down for
            raise ValueError("a byte is zero")
        batches = list(read_csv(io.BytesIO(text), schema, has_header=False, delimiter=delimiter, batch_size=ROWS))
        samples = [np.stack([column.to_numpy() for column in batch.columns[bool(title) :]], 1) for batch in batches]
        labels = [label or "" for batch in batches for label in batch.columns[0].to_pylist()] if title else None
        if not all(np.isfinite(part).all() for part in samples):
            raise ValueError("not all numbers are finite")
        if labels is not None and any("\n" in label for label in labels):
            raise ValueError("a line breaks within quotes")  # a line is a beat, also where the table is cut into blocks
    except Exception as error:  # arro3's have no common base but this
        _tell_line(text, len(schema), bool(title), delimiter, name, line)
        raise InputError(f"{name}, from line {line}: {error}") from None
    if not samples:
        return None
    if labels is not None:
        _check_labels(labels, name)
    return Block(np.concatenate(samples), labels, title, None if share is None else min(share, 1.0))


def _tell_line(text: bytes, columns: int, labelled: bool, delimiter: str, name: str, line: int) -> None:
    """Raise the InputError that names the first line that is wrong."""
    for number, content in enumerate(text.split(b"\n"), start=line):
        if not content.strip():
            continue
        where = f"{name}, line {number}"
        fields = _fields(content, delimiter, where)
        if len(fields) != columns:
            raise InputError(f"{where} has {len(fields)} columns; expected {columns}")
        for column, field in enumerate(fields[labelled:], start=1 + labelled):
            _check_number(field, f"{where}, column {column}")


def _columns(fields: list[str], length: int, where: str) -> tuple[str, bool]:
    """The title of the column in front, empty if there is none, and whether the first line names the columns."""
    if len(fields) not in (length, length + 1):
        raise InputError(
            f"{where} has {len(fields)} columns; the model takes {length} samples, and one column in front of them at "
            "most, a class or a name"
        )
    samples, labelled = fields[-length:], len(fields) > length
    numbers = [_NUMBER.fullmatch(field) for field in samples]
    named = not any(numbers) and not any(field.strip().lower() in _UNNAMED for field in samples)
    if named or samples in ([str(i) for i in range(length)], [str(i + 1) for i in range(length)]):
        return (fields[0].strip() or "label") if labelled else "", True
    for column, field in enumerate(samples, start=1 + labelled):
        _check_number(field, f"{where}, column {column}")
    return "label" if labelled else "", False


def _fields(line: bytes, delimiter: str, where: str) -> list[str]:
    try:
        (fields,) = csv.reader([line.rstrip(b"\r").decode()], delimiter=delimiter, strict=True)
    except UnicodeDecodeError:
        raise InputError(f"{where} is not UTF-8 text") from None
    except (csv.Error, ValueError) as error:
        raise InputError(f"{where} is no line of columns ({error}); a beat is one line, also within quotes") from None
    return fields


def _check_number(field: str, where: str) -> None:
    if not _NUMBER.fullmatch(field) or not np.isfinite(float(field)):
        raise InputError(f"{where}: {field[:20]!r} is not a finite number")


def _check_labels(labels: list[Any], name: str) -> None:
    """A column of samples in front would be taken for labels: InputError if it looks like one."""
    for label in labels:
        if label and _NUMBER.fullmatch(label) and not float(label).is_integer():
            raise InputError(
                f"{name}: {label[:20]!r} stands in front of a beat, where a class or a name may stand, and looks like "
                "a sample; are the beats longer than the model's?"
            )


def _read_npy(file: BinaryIO, length: int, name: str) -> Iterator[Block]:
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
    except Exception as error:  # NumPy parses a header as Python; what that can raise has no common base but this
        raise InputError(f"{name} is no NPY file ({error})") from None
    if dtype.kind not in "fiu":
        raise InputError(f"{name} holds {dtype}; expected numbers")
    if len(shape) != 2 or shape[1] != length:
        raise InputError(f"{name} holds an array of shape {shape}; the model takes (any number, {length})")
    if fortran and shape[0] > 1:
        raise InputError(f"{name} is stored column by column; save it with numpy.ascontiguousarray")
    row = length * dtype.itemsize
    for start in range(0, shape[0], ROWS):
        rows = min(ROWS, shape[0] - start)
        content = file.read(rows * row)
        if len(content) < rows * row:
            raise InputError(f"{name} ends after {start + len(content) // row} of {shape[0]} beats")
        samples = np.frombuffer(content, dtype).reshape(rows, length).astype(float)
        yield Block(samples, None, "", (start + rows) / shape[0])


def _read_parquet(file: BinaryIO, length: int, name: str) -> Iterator[Block]:
    with tempfile.TemporaryFile() as copy:
        if not isinstance(file, io.BufferedReader) or not file.seekable():  # Parquet is read from its end, elsewhere
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            file = copy
        _check_parquet(file, name)
        for header, samples in parquet.read(file, length, ROWS, name):
            yield Block(samples, header.labels, header.title, None)


def _check_parquet(file: BinaryIO, name: str) -> None:
    """InputError if a file does not begin and end as Parquet does."""
    size = _size(file) or 0
    head = file.read(4)
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    file.seek(0)
    if size < 12 or head != b"PAR1" or tail[4:] != b"PAR1" or int.from_bytes(tail[:4], "little") > size - 12:
        raise InputError(f"{name} is no Parquet file, or one that is cut off")


_READERS: dict[str, Callable[[BinaryIO, int, str], Iterator[Block]]] = {
    "csv": lambda file, length, name: _read_text(file, length, name, ","),
    "tsv": lambda file, length, name: _read_text(file, length, name, "\t"),
    "npy": _read_npy,
    "parquet": _read_parquet,
}
