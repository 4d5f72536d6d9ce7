"""Files that are written whole or not at all, with the same bytes for the same content."""

import csv
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ecg.exceptions import InputError

Table = tuple[Sequence[str], Iterable[Sequence[Any]]]  # header and rows

METRIC_DIGITS = 6  # significant digits of a number in a metrics or plots file
FLOAT32_DIGITS = 9  # significant digits that bring a float32 back exactly
FLOAT64_DIGITS = 17  # and a float64
PARTIAL = ".partial"  # ends the name of a file that is being written


def read_bytes(path: Path, remedy: str = "`dvc repro` makes it") -> bytes:
    """The content of a file that the pipeline makes; InputError says how to come by it if it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {remedy}") from None


def read_json(path: Path, remedy: str = "`dvc repro` makes it") -> Any:
    """What a JSON file says, unchecked; InputError if it is missing or no JSON."""
    try:
        return json.loads(read_bytes(path, remedy))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); {remedy}") from None


def read_all_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that `write_arrays` wrote, by their names; InputError if the file is missing or another."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, KeyError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} does not hold arrays ({error}); `dvc repro` makes it anew") from None


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """The arrays of these names; InputError if the file is missing or another."""
    arrays = read_all_arrays(path)
    if missing := [name for name in names if name not in arrays]:
        raise InputError(f"{path} does not hold {' and '.join(missing)}; `dvc repro` makes it anew")
    return [arrays[name] for name in names]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its place at `path` when the block ends; if the block fails, nothing is left of it.

    An OSError names `path`, not the file that is written first, and also where a full disk does not say which file.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)  # mkstemp's own mode shuts everybody else out
        os.replace(partial, path)
    except BaseException as error:
        if partial is not None:
            os.unlink(partial)
        if isinstance(error, OSError) and str(error.filename or PARTIAL).endswith(PARTIAL):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: a reader sees the old file or the new one, never a part."""
    with replacing(path) as file:
        file.write(content)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Put each content at its path, all or none: until all are written, the old files stay as they are."""
    with ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(replacing(path))
            file.write(content)
            file.flush()  # a full disk should be noticed before any file takes its place


def write_json(path: Path, record: Mapping[str, Any], digits: int = METRIC_DIGITS) -> None:
    """Write a record as JSON: keys sorted, floats to `digits` significant digits."""
    text = json.dumps(rounded(record, digits), indent=2, sort_keys=True, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], digits: int = METRIC_DIGITS) -> None:
    """Write a table as CSV: floats to `digits` significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([rounded(value, digits) for value in row])
    write_bytes(path, text.getvalue().encode())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as an uncompressed .npz, which NumPy dates 1980 whatever the clock says."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_bytes(path, content.getvalue())


def sha256(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def md5(path: Path) -> str:
    """The MD5 of a file in hexadecimal, as dvc.lock has it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def rounded(value: Any, digits: int = METRIC_DIGITS) -> Any:
    """A value as it is written: floats, in whatever it holds, to `digits` significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner, digits) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{digits}g}")
    return value.item() if isinstance(value, np.generic) else value
