"""Tables of beats in CSV, TSV, NPY and Parquet files, read and written in batches so that memory does not grow.

The last L columns of a table are the samples of a beat. One column may come before them, a class or a name; it is kept
as text. The first row of a CSV or TSV file may name the columns, or number them as pandas does. NumPy reads NPY files,
Apache Arrow all others.
"""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

import numpy as np

from ecg.data import beats
from ecg.detector.model import BATCH_SIZE
from ecg.exceptions import InputError, needed_for
from ecg.files import NUMBER, text_in_csv

ROWS = 32 * BATCH_SIZE  # beats in a batch; a multiple, so that scores are to the bit those of one large array
TEXT = 2**22  # bytes of text that are parsed at a time, and in a row at most
LONGEST_LABEL = 1000  # characters
LONGEST_HEADER = 10_000  # bytes of an NPY file, as NumPy's own limit
INPUTS = {".csv": "csv", ".tsv": "tsv", ".npy": "npy", ".parquet": "parquet"}
OUTPUTS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}

_NAME = re.compile(r"[^\W\d].*")  # of a column: 0x10, 1e, 1_000 and 1 2 are mistyped numbers
_MISSING = {"", "nan", "na", "n/a", "null", "none", "inf", "infinity", "true", "false"}  # values, not names
_ARROW_ERROR = re.compile(r"(?:In CSV column #(\d+)|CSV parse error): Row #(\d+): (?:CSV conversion error to )?(.*)")


@dataclass(frozen=True)
class BeatBatch:
    """Consecutive beats of a table.

    samples : float ndarray of shape (n, L); values that are not finite are kept
    labels : the column before the samples, as text; None if there is none
    label_name : of that column
    share_read : of the table up to here, 0 to 1; None if the size of the table is not known
    """

    samples: np.ndarray
    labels: list[str] | None = None
    label_name: str = ""
    share_read: float | None = None


@dataclass(frozen=True)
class BeatTable:
    """A table of beats to read once.

    file : open for reading bytes; it may be a pipe
    file_format : one of those in INPUTS
    name : of the table, for error messages
    """

    file: BinaryIO
    file_format: str
    name: str

    @classmethod
    def open(cls, path: Path, file_format: str | None = None) -> Self:
        """Open a file, by default of the format that its suffix stands for; InputError if that fails."""
        file_format = file_format or format_of(path, INPUTS)
        try:
            return cls(path.open("rb"), file_format, str(path))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None

    def batches(self, length: int) -> Iterator[BeatBatch]:
        """The beats in batches of ROWS; the last one may be shorter.

        Parameters
        ----------
        length : samples in a beat

        Raises
        ------
        InputError
            if the file is damaged, or if its beats do not have this length; in a CSV or TSV file, the message names
            the row and the column.
        """
        pending: list[BeatBatch] = []
        beat = 0
        for part in _READERS[self.file_format](self, length):
            _check_labels(part.labels or [], self.name, beat)
            beat += len(part.samples)
            pending.append(part)
            while (count := sum(len(batch.samples) for batch in pending)) >= ROWS:
                joined = _join(pending)
                yield _slice(joined, 0, ROWS)
                pending = [_slice(joined, ROWS, count)] if count > ROWS else []
        if pending:
            yield _join(pending)


def read(path: Path, length: int) -> np.ndarray:
    """All beats of a table, or of an NPZ file of the pipeline: float ndarray of shape (n, length)."""
    if path.suffix == ".npz":
        return beats.load(path).samples
    table = BeatTable.open(path)
    with table.file:
        return np.concatenate([np.empty((0, length)), *(batch.samples for batch in table.batches(length))])


def format_of(path: Path, formats: dict[str, str]) -> str:
    """The format that the suffix of a file stands for; InputError if it is not among `formats`."""
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        raise InputError(f"{path} has an unknown format; its name should end in {', '.join(formats)}") from None


def write(file: BinaryIO, file_format: str, batches: Iterator[Any]) -> None:
    """Write batches as they come to a file or pipe.

    Parameters
    ----------
    file : open for writing bytes
    file_format : one of those in OUTPUTS
    batches : pyarrow RecordBatches of one schema, at least one; it may be empty. In CSV, text that a spreadsheet would
        run as a formula gets an apostrophe before it (`ecg.files.text_in_csv`)
    """
    with needed_for("writing tables", "tables"):
        from pyarrow.csv import CSVWriter, WriteOptions
        from pyarrow.parquet import ParquetWriter

    if file_format == "csv":
        batches = map(_guarded, batches)
    first, sink = next(batches), _Sink(file)
    if file_format == "csv":
        special = any(set(name) & set(',"\r\n') for name in first.schema.names)
        options = WriteOptions(quoting_header="needed" if special else "none")  # "needed" quotes every name
        writer: Any = CSVWriter(sink, first.schema, write_options=options)
    else:
        writer = ParquetWriter(sink, first.schema) if file_format == "parquet" else _JsonLinesWriter(file)
    try:
        for batch in chain([first], batches):
            writer.write(batch)
    except BaseException:
        sink.open = False
        raise
    finally:
        writer.close()


def _guarded(batch: Any) -> Any:
    """A RecordBatch with its names and its text as `text_in_csv` says."""
    import pyarrow as pa

    columns = [
        pa.array(map(text_in_csv, column.to_pylist()), pa.string()) if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(map(text_in_csv, batch.schema.names)))


class _Sink(io.RawIOBase):
    """A file that can be shut off: ParquetWriter ends a file also after an error, and it would look complete."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.open = file, True

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return self.file.write(content) if self.open else len(content)


class _JsonLinesWriter:
    """Own code: pyarrow reads JSON lines, but does not write them."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, batch: Any) -> None:
        columns = [
            [float(text) for text in column.cast("string").to_pylist()]  # the shortest text of a float32
            if column.type == "float"
            else column.to_pylist()
            for column in batch.columns
        ]
        rows = (dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True))
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
        self.file.write("".join(lines).encode())

    def close(self) -> None:
        pass


def _join(parts: list[BeatBatch]) -> BeatBatch:
    samples = np.concatenate([part.samples for part in parts])
    labels = None if parts[0].labels is None else [label for part in parts for label in part.labels or ()]
    return BeatBatch(samples, labels, parts[0].label_name, parts[-1].share_read)


def _slice(batch: BeatBatch, start: int, stop: int) -> BeatBatch:
    labels = None if batch.labels is None else batch.labels[start:stop]
    return BeatBatch(batch.samples[start:stop], labels, batch.label_name, batch.share_read)


def _check_labels(labels: list[str], name: str, beat: int) -> None:
    """InputError for a label that is too long, not a line of text, or a number like a sample; `beat` has the first."""
    for i, label in enumerate(labels, start=beat):
        if len(label) > LONGEST_LABEL:
            raise InputError(f"{name}: the label of beat {i} is longer than {LONGEST_LABEL:,} characters")
        if "\n" in label or "\r" in label:
            raise InputError(f"{name}: the label of beat {i} breaks over lines; write each beat in one line")
        if "\0" in label:
            raise InputError(f"{name}: the label of beat {i} holds a null byte")
        if NUMBER.fullmatch(label) and not float(label).is_integer():
            raise InputError(
                f"{name}: the label of beat {i} is {label[:20]!r}, which looks like a sample; expected a class or a "
                "name. Are the beats longer than the model's?"
            )


def _from_arrow(batch: Any, length: int, label_name: str, share_read: float | None) -> BeatBatch:
    labels = [label or "" for label in batch.column(0).to_pylist()] if label_name else None
    samples = np.stack([np.from_dlpack(column) for column in batch.columns[-length:]], axis=1)
    return BeatBatch(samples, labels, label_name, share_read)


def _read_text(table: BeatTable, length: int, delimiter: str) -> Iterator[BeatBatch]:
    """Parse blocks of text; open_csv would read in a thread of its own, which cannot be interrupted at a pipe."""
    with needed_for("reading CSV and TSV files", "tables"):
        import pyarrow as pa
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    file, name, size = table.file, table.name, _size(table.file)
    first = file.readline(TEXT).removeprefix(b"\xef\xbb\xbf")  # some programs begin UTF-8 with this mark
    if not first.strip():
        raise InputError(f"{name} is empty, or its first row is; expected one beat a row")
    label_name, named = _first_row(_fields(first, delimiter, name), length, name)
    types = {"label": pa.string()} if label_name else {}
    types |= {str(i): pa.float64() for i in range(length)}
    rows, rest, more = int(named), b"" if named else first, first
    while more:
        more = file.read(TEXT)
        text, _, rest = (rest + more).rpartition(b"\n") if more else (rest, b"", b"")
        if len(rest) > TEXT:
            raise InputError(f"{name} has a row of more than {TEXT:,} bytes; expected one beat a row")
        if not text.strip():
            continue
        try:
            (batch,) = read_csv(
                pa.BufferReader(text),
                ReadOptions(column_names=list(types), block_size=len(text) + 1, use_threads=False),
                ParseOptions(delimiter=delimiter, newlines_in_values=True),
                ConvertOptions(column_types=types, null_values=[]),
            ).to_batches()
        except pa.ArrowInvalid as error:
            raise InputError(f"{name}{_explained(str(error), rows)}") from None
        rows += batch.num_rows
        yield _from_arrow(batch, length, label_name, file.tell() / size if size else None)


def _explained(error: str, rows: int) -> str:
    """An error of pyarrow with its row and column, both from 1; `rows` came before, and empty rows do not count."""
    if not (match := _ARROW_ERROR.match(error)):
        return f", after row {rows}: {error[:200]}"
    column, row, message = match.groups()
    where = f", row {int(row) + rows}" + ("" if column is None else f", column {int(column) + 1}")
    return f"{where}: {message[:200]}"


def _size(file: BinaryIO) -> int | None:
    """The size in bytes of a file; None of a pipe."""
    if not file.seekable():
        return None
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(position)
    return size


def _first_row(fields: list[str], length: int, name: str) -> tuple[str, bool]:
    """The name of the column before the samples, empty if there is none, and whether this row names the columns."""
    if len(fields) not in (length, length + 1):
        raise InputError(
            f"{name}, row 1 has {len(fields)} columns; the model takes {length} samples, and at most one column before "
            "them, a class or a name"
        )
    samples, labelled = [field.strip() for field in fields[-length:]], len(fields) > length
    names = [bool(_NAME.fullmatch(x)) and x.isprintable() and x.lower() not in _MISSING for x in samples]
    if all(names) or samples in ([str(i) for i in range(length)], [str(i + 1) for i in range(length)]):
        return (fields[0].strip() or "label") if labelled else "", True
    numbers = [bool(NUMBER.fullmatch(field)) for field in samples]
    if not all(numbers):
        neither = [not (is_name or is_number) for is_name, is_number in zip(names, numbers, strict=True)]
        column = neither.index(True) if any(neither) else numbers.index(False)
        raise InputError(
            f"{name}, row 1, column {column + 1 + labelled}: {samples[column][:20]!r} is not a number; names of "
            "columns begin with a letter, and are in all columns"
        )
    return "label" if labelled else "", False


def _fields(row: bytes, delimiter: str, name: str) -> list[str]:
    try:
        (fields,) = csv.reader([row.rstrip(b"\r\n").decode()], delimiter=delimiter, strict=True)
    except UnicodeDecodeError:
        raise InputError(f"{name}, row 1 is not UTF-8 text") from None
    except (csv.Error, ValueError) as error:
        raise InputError(f"{name}, row 1 cannot be split into columns ({error}); write each beat in one line") from None
    return fields


def _read_npy(table: BeatTable, length: int) -> Iterator[BeatBatch]:
    file, name = table.file, table.name
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"its version is {version[0]}.{version[1]}")
        size = file.read(2 if version == (1, 0) else 4)
        if int.from_bytes(size, "little") > LONGEST_HEADER:  # NumPy would ask for as much memory
            raise ValueError(f"its header is longer than {LONGEST_HEADER:,} bytes")
        header = io.BytesIO(size + file.read(int.from_bytes(size, "little")))
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(header)
    except Exception as error:  # NumPy parses a header as Python; the errors that this can raise have no other base
        raise InputError(f"{name} is not an NPY file ({error})") from None
    if dtype.kind not in "fiu":
        raise InputError(f"{name} holds {dtype}; expected numbers")
    if len(shape) != 2 or shape[1] != length:
        raise InputError(f"{name} holds an array of shape {shape}; the model takes (any number, {length})")
    if fortran and shape[0] > 1:
        raise InputError(f"{name} is stored column by column; save it with numpy.ascontiguousarray")
    if type(shape[0]) is not int or shape[0] < 0:
        raise InputError(f"{name} says that it holds {shape[0]} beats; save it anew")
    row = length * dtype.itemsize
    for start in range(0, shape[0], ROWS):
        rows = min(ROWS, shape[0] - start)
        content = file.read(rows * row)
        if len(content) < rows * row:
            raise InputError(f"{name} ends after {start + len(content) // row} of {shape[0]} beats")
        with np.errstate(invalid="ignore"):  # NumPy warns of a signalling NaN
            samples = np.frombuffer(content, dtype).reshape(rows, length).astype(float)
        yield BeatBatch(samples, share_read=(start + rows) / shape[0])
    if rest := len(file.read(TEXT)):
        more = "at least " if rest == TEXT else ""
        raise InputError(
            f"{name} has {more}{rest:,} bytes after its {shape[0]:,} beats; save each array in its own file"
        )


def _read_parquet(table: BeatTable, length: int) -> Iterator[BeatBatch]:
    with needed_for("reading Parquet files", "tables"):
        import pyarrow as pa
    from ecg.detector import parquet

    file = table.file
    with tempfile.TemporaryFile() as copy:
        if not isinstance(file, io.BufferedReader) or not file.seekable():  # the child process seeks in the file
            shutil.copyfileobj(file, copy)
            copy.flush()
            file = copy
        arguments = [parquet.__file__, str(length), str(LONGEST_LABEL)]
        with (
            reading_process(arguments, table.name, "a damaged Parquet file", file) as output,
            suppress(pa.ArrowInvalid, OSError),  # the process ended early; its exit status tells
        ):
            stream = pa.ipc.open_stream(output)
            label_name = stream.schema.names[0] if len(stream.schema) > length else ""
            for batch in stream:
                yield _from_arrow(batch, length, label_name, None)


@contextmanager
def reading_process(
    arguments: Sequence[str], name: str, damaged: str, file: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[IO[bytes]]:
    """What a Python process of its own prints, which reads a file; it ends with the block at the latest.

    Parameters
    ----------
    arguments : of Python: the script, and what the script is given
    name : of what is read, which begins a sentence about it
    damaged : what that is if the process crashes, and so does not say it itself
    file : the standard input of the process

    Raises
    ------
    InputError
        as the block ends, if the process failed; with the last line of its errors if it exited with status 1.
    """
    command = [sys.executable, "-P", *arguments]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout
            process.stdout.close()
            status = process.wait()
        finally:
            process.kill()  # if the caller wants no more of it
        if status:
            errors.seek(0)
            message = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise InputError(f"{name} {message if status == 1 and message else f'is {damaged}'}")


_READERS: dict[str, Callable[[BeatTable, int], Iterator[BeatBatch]]] = {
    "csv": lambda table, length: _read_text(table, length, ","),
    "tsv": lambda table, length: _read_text(table, length, "\t"),
    "npy": _read_npy,
    "parquet": _read_parquet,
}
