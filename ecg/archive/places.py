"""Where an archive is read from, and where results are written: local folders, or object stores by fsspec.

A place is a path, or an address such as s3://BUCKET/FOLDER. Credentials come from the environment alone, as each
store's own package reads them.
"""

import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ecg.detector.zarr_array import STORES
from ecg.exceptions import InputError, needed_for, printable
from ecg.files import PARTIAL, replacing

WILD = "*?["


class PlaceError(InputError):
    """A place cannot be reached, read or written now; nothing is said of what it holds."""


@dataclass(frozen=True)
class File:
    """A file in a place.

    path : absolute, or an address
    size : in bytes
    stamp : changes when the content does: size and time of the last change, or what the store has for it
    """

    path: str
    size: int
    stamp: str


def is_remote(place: str) -> bool:
    """Whether a place is in an object store; InputError if it is an address of another kind.

    Examples
    --------
    >>> is_remote("s3://bucket/beats"), is_remote("beats.csv")
    (True, False)
    """
    protocol, separator, rest = place.partition("://")
    if not separator:
        return False
    if protocol not in STORES or "::" in rest:
        known = ", ".join(f"{name}://" for name in STORES)
        raise InputError(f"{place} is no address of a store; these are read: {known}")
    return True


def absolute(place: str) -> str:
    """The place as it is called from any folder, without a slash at its end."""
    if is_remote(place):
        return place.rstrip("/")
    return os.path.abspath(os.path.expanduser(place))  # noqa: PTH100, PTH111 - Path.expanduser raises for unknown users


def within(folder: str, *names: str) -> str:
    """A place in a folder."""
    return posixpath.join(folder, *names) if is_remote(folder) else os.path.join(folder, *names)  # noqa: PTH118


@contextmanager
def reached(place: str) -> Iterator[None]:
    """Turn what goes wrong in a place into a PlaceError that names it; a full disk stays what it is."""
    try:
        yield
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # the packages of stores raise their own kinds
        if isinstance(error, OSError) and not is_remote(place):
            raise
        reason = printable(error) or type(error).__name__
        raise PlaceError(f"{place}: {reason[:500]}") from None


def _store(place: str) -> tuple[Any, str]:
    """The file system of a remote place, and the place's name there."""
    protocol = place.partition("://")[0]
    with needed_for("reading archives", "archive"):
        import fsspec
    with reached(place):
        try:
            store, path = fsspec.url_to_fs(place)
        except ImportError:
            raise InputError(
                f"{protocol}:// needs {STORES[protocol]}, which is not installed: pip install {STORES[protocol]}"
            ) from None
        store.invalidate_cache()  # others write there, too
    return store, path


def found(place: str) -> list[File]:
    """The file of this name; all files in the folder, at any depth; or all files of a pattern: sorted by path.

    Raises
    ------
    PlaceError
        if the place cannot be reached, or a folder cannot be read.
    """
    with reached(place):
        return sorted(_found_remote(place) if is_remote(place) else _found_here(place), key=lambda file: file.path)


def _found_here(place: str) -> Iterator[File]:
    path = Path(place)
    if path.is_file():
        yield _file(place)
    elif path.is_dir():
        for folder, _, names in os.walk(path, onerror=_raise, followlinks=False):
            for name in names:
                with suppress(FileNotFoundError):  # gone since, or a link to nowhere
                    yield _file(os.path.join(folder, name))  # noqa: PTH118
    elif any(character in place for character in WILD):
        import glob

        for name in glob.iglob(place, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute patterns
            if os.path.isfile(name):  # noqa: PTH113
                yield _file(name)


def file(place: str) -> File | None:
    """The file of this name; None if there is none."""
    with reached(place):
        if not is_remote(place):
            return _file(place) if os.path.isfile(place) else None  # noqa: PTH113
        store, path = _store(place)
        return _remote_file(place, store.info(path)) if store.isfile(path) else None


def _raise(error: OSError) -> None:
    raise error


def _file(path: str) -> File:
    status = os.stat(path)  # noqa: PTH116
    return File(path, status.st_size, f"{status.st_size} bytes, {status.st_mtime_ns} ns")


def _found_remote(place: str) -> Iterator[File]:
    store, path = _store(place)
    protocol = place.partition("://")[0]
    if store.isfile(path):
        listed = {path: store.info(path)}
    elif any(character in path for character in WILD):
        listed = store.glob(path, detail=True)
    else:
        listed = store.find(path, detail=True)
    for name, status in listed.items():
        if status["type"] == "file":
            yield _remote_file(f"{protocol}://{name}", status)


def _remote_file(path: str, status: dict[str, Any]) -> File:
    tag = next((status[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if key in status), "")
    return File(path, status["size"], f"{status['size']} bytes, {str(tag).strip(chr(34))}")


def names(folder: str) -> list[str]:
    """What a folder holds: names, sorted; none if there is no folder. InputError if it is a file."""
    with reached(folder):
        if is_remote(folder):
            store, path = _store(folder)
            held = store.ls(path, detail=False) if store.isdir(path) else []
            return sorted(posixpath.basename(name.rstrip("/")) for name in held)
        if os.path.isfile(folder):  # noqa: PTH113
            raise InputError(f"{folder} is a file: name a folder")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208


@contextmanager
def fetched(paths: Sequence[str]) -> Iterator[list[Path]]:
    """Files of one folder as local ones, beside each other: those of a store are copied, and gone afterwards."""
    with ExitStack() as stack:
        if not any(map(is_remote, paths)):
            yield list(map(Path, paths))
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ecg-")))
        copies = [folder / posixpath.basename(path) for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            store, name = _store(path)
            with reached(path):
                store.get_file(name, os.fspath(copy))
        yield copies


def content(place: str) -> bytes | None:
    """What a small file holds; None if there is none."""
    with reached(place):
        try:
            if not is_remote(place):
                return Path(place).read_bytes()
            store, path = _store(place)
            return bytes(store.cat_file(path))
        except FileNotFoundError:
            return None


def contents(files: Sequence[File]) -> dict[str, bytes]:
    """What small files of one place hold, by their paths; those that cannot be read are left out."""
    paths = [file.path for file in files]
    if not any(map(is_remote, paths)):
        held = {}
        for path in paths:
            with suppress(OSError):
                held[path] = Path(path).read_bytes()
        return held
    store, _ = _store(paths[0])
    with reached(paths[0]):
        by_name = {store._strip_protocol(path): path for path in paths}
        read = store.cat([*by_name, next(iter(by_name))], on_error="omit")  # of a single one, it gives no dictionary
    return {by_name[name]: content for name, content in read.items()}


@contextmanager
def writing(place: str) -> Iterator[BinaryIO]:
    """A file to write, which appears in its place when the block ends, and never if it fails.

    Raises
    ------
    PlaceError
        if the store cannot be written to.
    """
    if not is_remote(place):
        with replacing(Path(place)) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix="ecg-") as copy:
        yield cast(BinaryIO, copy.file)
        copy.flush()
        store, path = _store(place)
        with reached(place):
            store.put_file(copy.name, path)


def write(place: str, held: bytes) -> None:
    """Write a file, whole or not at all."""
    with writing(place) as file:
        file.write(held)


def remove_unfinished(folder: str) -> None:
    """Remove what programs that were killed have left of files that they wrote."""
    if not is_remote(folder):
        for path in Path(folder).rglob(f".*{PARTIAL}"):
            path.unlink(missing_ok=True)


def remove(place: str) -> None:
    """Remove a file or a folder, if there is one."""
    with reached(place):
        if not is_remote(place):
            if os.path.isdir(place):  # noqa: PTH112
                shutil.rmtree(place)
            else:
                Path(place).unlink(missing_ok=True)
            return
        store, path = _store(place)
        with suppress(FileNotFoundError):
            store.rm(path, recursive=True)
