"""Parquet tables of beats, read in a process of their own: `python -m ecg.detector.parquet LENGTH ROWS < TABLE`.

arro3's reader panics at some damaged files, and some of its panics end the process that they happen in. The reading
process hands on blocks, each as a line of JSON (a `Header`) and the samples behind it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from arro3.core import DataType, RecordBatch

from ecg.exceptions import InputError

REFUSED = 3  # exit status of the reading process: the last line that it wrote to standard error says why


class Header(NamedTuple):
    """What is said of a block before it comes.

    rows : beats in it
    type : of a sample, as NumPy names it
    title, labels : of the column in front of the samples, and what stands in it; empty and None if there is none
    """

    rows: int
    type: str
    title: str
    labels: list[str] | None


def read(file: BinaryIO, length: int, rows: int, name: str) -> Iterator[tuple[Header, np.ndarray]]:
    """The beats of a table, up to `rows` at a time, as an ndarray of shape (n, length).

    Parameters
    ----------
    file : a real one, which can be sought in

    Raises
    ------
    InputError
        if it is damaged or none of beats of this length.
    """
    command = [sys.executable, "-m", "ecg.detector.parquet", str(length), str(rows)]
    found = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdin=file, stdout=subprocess.PIPE, stderr=said, env=os.environ | {"PYTHONPATH": found}
        ) as process,
    ):
        assert process.stdout is not None
        try:
            while line := process.stdout.readline():
                header = Header(*json.loads(line))
                content = process.stdout.read(header.rows * length * np.dtype(header.type).itemsize)
                yield header, np.frombuffer(content, header.type).reshape(header.rows, length)
            process.wait()
        except ValueError:
            process.wait()  # it ended within a block
        finally:
            process.kill()  # if no more blocks are wanted
        said.seek(0)
        last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
        if process.wait() == REFUSED:
            raise InputError(f"{name} {last}")
        if process.returncode:
            raise InputError(f"{name} is a damaged Parquet file")


def main() -> None:
    """Read the table at standard input; write its blocks to standard output."""
    from arro3.io import read_parquet

    length, rows = map(int, sys.argv[1:])
    done = 0
    try:
        for batch in read_parquet(sys.stdin.buffer, batch_size=rows):
            header, samples = _block(batch, length, done)
            sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
            sys.stdout.buffer.write(samples.tobytes())
            done += header.rows
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)


def _block(batch: RecordBatch, length: int, done: int) -> tuple[Header, np.ndarray]:
    """The beats of a batch; `done` came before. What an InputError says goes on from the table's name."""
    names = [name for name in batch.column_names if not name.startswith("__index_level_")]  # pandas' row names
    if len(names) not in (length, length + 1):
        raise InputError(f"has {len(names)} columns; the model takes {length} samples, and one more in front at most")
    columns = []
    for name in names[-length:]:
        array: Any = batch[name]
        if not any(is_kind(array.type) for is_kind in (DataType.is_floating, DataType.is_integer)):
            raise InputError(f"has a column {name!r} of type {_name(array.type)}; expected numbers")
        if array.null_count:
            raise InputError(f"has no value in column {name!r} of beat {done + array.to_pylist().index(None)}")
        columns.append(array.to_numpy())
    samples, title, labels = np.stack(columns, 1), "", None
    if len(names) > length:
        title, front = names[0], batch[names[0]]
        if not any(is_kind(front.type) for is_kind in (DataType.is_integer, DataType.is_string)):
            raise InputError(f"has a column {title!r} of type {_name(front.type)}; expected a class or a name")
        labels = ["" if label is None else str(label) for label in front.to_pylist()]
    return Header(len(samples), samples.dtype.str, title, labels), samples


def _name(kind: DataType) -> str:
    return str(kind).strip().removeprefix("arro3.core.DataType<").removesuffix(">")


if __name__ == "__main__":
    main()
