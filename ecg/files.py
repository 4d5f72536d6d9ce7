"""Reading and writing files: written completely or not at all, and with equal bytes for equal content."""

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ecg.exceptions import InputError

if TYPE_CHECKING:  # code that writes no table must not need pandas
    import pandas

METRIC_DIGITS = 6  # significant digits of a number in a metrics or plots file
FLOAT32_DIGITS = 9  # significant digits that restore a float32 exactly
FLOAT64_DIGITS = 17  # and a float64
LARGEST_JSON = 4 * 2**20  # bytes; the calibration on 100,000 beats has 1.5 MB
LONGEST_INTEGER = 30  # digits; larger than any number of ours, and a float all the same
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
FORMULA = tuple("=+-@\t\r＝＋－＠")  # with which spreadsheets begin a formula  # noqa: RUF001
PARTIAL = ".partial"  # ends the name of a file that is being written
LONGEST_STEM = 50  # characters of its own name in that; a file system takes 255 bytes


def read_bytes(path: Path, remedy: str = "`dvc repro` makes it", largest: int | None = None) -> bytes:
    """The content of a file; InputError with the remedy if it is missing, or has more than `largest` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read() if largest is None else file.read(largest + 1)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {remedy}") from None
    except ValueError:  # a null byte in the name
        raise InputError(f"{str(path)!r} is not the name of a file; {remedy}") from None
    if largest is not None and len(content) > largest:
        raise InputError(f"{path} has more than {largest:,} bytes, which no file of its kind needs")
    return content


def read_json(path: Path, remedy: str = "`dvc repro` makes it", largest: int = LARGEST_JSON) -> Any:
    """The content of a JSON file, not validated; InputError if it is missing, not JSON or above `largest` bytes."""
    try:
        return parse_json(read_bytes(path, remedy, largest))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); {remedy}") from None


def parse_json(content: bytes | str) -> Any:
    """A JSON value; ValueError also for what Python accepts: repeated keys, NaN, endless integers, half characters."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, value in pairs:
            if name in record:
                raise ValueError(f"the key {name[:100]!r} is repeated")
            record[name] = value
        return record

    def integer(digits: str) -> int:
        if len(digits) > LONGEST_INTEGER:
            raise ValueError(f"an integer has {len(digits):,} digits")
        return int(digits)

    def constant(name: str) -> None:
        raise ValueError(f"{name} is not a JSON number")

    text = content if isinstance(content, str) else content.decode()
    try:
        value = json.loads(text, object_pairs_hook=once, parse_int=integer, parse_constant=constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
        return value
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_all_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that `write_arrays` wrote, by name; InputError if the file is missing or holds anything else."""
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # zipfile and NumPy, which parses a header as Python, raise many kinds
        raise InputError(f"{path} does not hold arrays ({error}); `dvc repro` makes it anew") from None
    if other := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise InputError(f"{path} does not hold arrays: {other[0]!r} is none; `dvc repro` makes it anew")
    return arrays


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """The arrays of these names; InputError if the file is missing or does not hold them."""
    arrays = read_all_arrays(path)
    if missing := [name for name in names if name not in arrays]:
        raise InputError(f"{path} does not hold {' and '.join(missing)}; `dvc repro` makes it anew")
    return [arrays[name] for name in names]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write, which replaces `path` when the block ends and is deleted if the block fails.

    As where a file is opened to be written, one that is there keeps its permissions, and a new one follows the umask.
    An OSError names `path`, not the temporary file, even where the operating system names no file (a full disk).
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.parent / f".{path.name[:LONGEST_STEM]}.{secrets.token_hex(8)}{PARTIAL}"
        with partial.open("xb") as file:  # as open does: a new file follows the umask
            with suppress(FileNotFoundError):
                partial.chmod(path.stat().st_mode & 0o777)  # and one that is there keeps its permissions
            yield file
        os.replace(partial, path)  # noqa: PTH105
    except BaseException as error:
        if partial is not None:
            with suppress(OSError):  # there is none, or it may not be removed either
                partial.unlink()
        if isinstance(error, OSError) and str(error.filename or PARTIAL).endswith(PARTIAL):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def check_replaceable(folder: Path, is_own: Callable[[str], bool]) -> None:
    """InputError if a folder cannot be replaced: it is a file, or has files of others."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder")
    if others := sorted(path.name for path in folder.glob("*") if not is_own(path.name) or path.is_dir()):
        raise InputError(f"{folder} has other files, such as {others[0]!r}: name a folder of its own")


@contextmanager
def replacing_folder(folder: Path, is_own: Callable[[str], bool]) -> Iterator[Path]:
    """A temporary folder to fill, which replaces `folder` when the block ends and is deleted if the block fails.

    Whoever looks sees the old folder, the new one or, between them, none; also if the program is killed. What a killed
    one left beside the folder, the next one for the same folder removes.

    Parameters
    ----------
    folder : replaced if all of its files are own
    is_own : whether a file of this name is one of those that are written

    Raises
    ------
    InputError
        if it is a file, has files of others, or cannot be replaced.
    """
    check_replaceable(folder, is_own)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}."
    for left in folder.parent.iterdir():
        if re.fullmatch(rf"{re.escape(prefix)}\w+{re.escape(PARTIAL)}", left.name) and left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix, suffix=PARTIAL) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        yield new
        try:
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        except OSError as error:
            if old.exists():
                old.rename(folder)
            raise InputError(f"{folder} cannot be replaced ({error.strerror}): name a folder within it") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step: a reader sees the old file or the new one, never a part."""
    with replacing(path) as file:
        file.write(content)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write each content to its path, all or none: the old files are replaced after all are written."""
    with ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(replacing(path))
            file.write(content)
            file.flush()  # so that a full disk is noticed before any file is replaced


def write_json(path: Path, record: Mapping[str, Any], digits: int = METRIC_DIGITS) -> None:
    """Write a record as JSON: keys sorted, floats to `digits` significant digits."""
    text = json.dumps(rounded(record, digits), indent=2, sort_keys=True, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def text_in_csv(text: str) -> str:
    """A text as it is written into CSV: with an apostrophe before it if a spreadsheet would run it as a formula.

    That is the usual guard (OWASP, "CSV injection"). Numbers stay as they are. To read the text as it was, remove an
    apostrophe that is followed by one of FORMULA.

    Examples
    --------
    >>> [text_in_csv(text) for text in ("normal", "-2.5", "=1+2", "@SUM(A1)")]
    ['normal', '-2.5', "'=1+2", "'@SUM(A1)"]
    """
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def csv_bytes(table: "pandas.DataFrame", digits: int = METRIC_DIGITS) -> bytes:
    """A table as CSV, without its index: floats to `digits` significant digits, nothing where a value is missing.

    Text is written as `text_in_csv` says.
    """

    def written(value: Any) -> str:
        return repr(rounded(float(value), digits))

    def guarded(value: Any) -> Any:
        return text_in_csv(value) if isinstance(value, str) else value

    texts = table.select_dtypes(exclude=["number", "bool"]).columns
    table = table.assign(**{name: table[name].map(guarded) for name in texts}) if len(texts) else table
    return table.to_csv(index=False, lineterminator="\n", float_format=written).encode()


def write_csv(path: Path, table: "pandas.DataFrame", digits: int = METRIC_DIGITS) -> None:
    """Write a table as CSV (`csv_bytes`)."""
    write_bytes(path, csv_bytes(table, digits))


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as an uncompressed .npz, which NumPy always dates 1980."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_bytes(path, content.getvalue())


def sha256(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def md5(path: Path) -> str:
    """The MD5 of a file in hexadecimal, as in dvc.lock."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def rounded(value: Any, digits: int = METRIC_DIGITS) -> Any:
    """A value as it is written: all floats in it, at any depth, to `digits` significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner, digits) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{digits}g}")
    return value.item() if isinstance(value, np.generic) else value
