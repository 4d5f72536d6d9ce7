"""A zip with one recording: a WFDB record with its files, or one file of another format.

Own code for what zipfile leaves to its callers: paths that lead out, and contents that unpack to far more.
"""

import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ecg.exceptions import InputError
from ecg.recordings.reading.lead import cleaned
from ecg.recordings.reading.wfdb_record import MAX_HEADER

MAX_MEMBERS = 10_000
MAX_UNPACKED = 8 * 2**30  # bytes; a day of 12 leads at 1,000 Hz has 2 GB
MAX_RATIO = 200  # unpacked to packed size, of what is larger than SMALL: text of constant samples packs to a hundredth
SMALL = 2**20
_RECORD_LINE = 4096  # bytes of a header that its first line is in
LISTED = 10  # recordings in a message

# What zipfile and its decompressors raise on damaged, encrypted or unknown content; found by mutating archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA may ask for 4 GiB of memory
_RECORDINGS = (".edf", ".bdf", ".rec", ".ecg", ".csv", ".tsv", ".txt", ".npy")
_BESIDE_A_RECORD = ("readme", "license", "records", "annotators", "sha256sums")


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack the one recording of a zip into a temporary folder; the path of its file, or of its header.

    Raises
    ------
    InputError
        if the zip holds none or several, is damaged or encrypted, or is not safe to unpack.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _members(path, archive)
                chosen = _recording(path, members)
                beside = _beside(chosen, members)
                _check_sizes(path, beside)
                for info in beside:
                    _unpack(path, archive, info, Path(folder, _file_name(info)))
        except _DAMAGE as error:
            raise InputError(
                f"{path} is a damaged zip, or an incomplete one ({cleaned(error)}): copy it anew"
            ) from None
        yield Path(folder, _file_name(chosen))


def _file_name(info: zipfile.ZipInfo) -> str:
    """The name under which a file is unpacked, which messages show: the files of a record keep theirs."""
    name = PurePosixPath(info.filename)
    return f"{cleaned(name.stem)}{cleaned(name.suffix)}".strip(". ") or "recording"


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of a zip, but for what macOS adds; InputError if one is not safe."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise InputError(
            f"{path} holds {len(infos):,} files; at most {MAX_MEMBERS:,} can be read: unzip it and name one"
        )
    for info in infos:
        name = info.filename
        if info.compress_type not in _METHODS:
            raise InputError(
                f"{path} is compressed in a way that is not read: zip it anew, by the usual method (deflate)"
            )
        if PurePosixPath(name).is_absolute() or ".." in re.split(r"[/\\]", name) or ":" in name or "\\" in name:
            raise InputError(f"{path} is not safe: the path of its file {cleaned(name)!r} leads out of it")
    return [info for info in infos if not info.is_dir() and not _is_junk(info.filename)]


def _is_junk(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith(".") or path.name in ("Thumbs.db", "desktop.ini")


def _recording(path: Path, members: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The member that is the recording; InputError if there is none, or more than one."""
    paths = [PurePosixPath(info.filename) for info in members]
    names = {path.name.lower() for path in paths}
    if "[content_types].xml" in names:
        raise InputError(f"{path} is an Office document: save the sheet of samples as CSV")
    from_apple = [info for info in members if "electrocardiograms" in PurePosixPath(info.filename).parts]
    if "export.xml" in names and not from_apple:
        raise InputError(f"{path} is an export of Apple Health without an electrocardiogram: export that as CSV")
    if paths and all(member.suffix == ".npy" for member in paths) and path.suffix.lower() in (".npy", ".npz"):
        raise InputError(f"{path} is not a NumPy file of numbers, but an archive of them: save one by numpy.save")
    candidates = from_apple or list(members)
    headers = [info for info in candidates if info.filename.lower().endswith(".hea")]
    if headers:
        return headers[0] if len(headers) == 1 else _whole_record(path, headers)
    found = [info for info in candidates if PurePosixPath(info.filename).suffix.lower() in _RECORDINGS]
    found = [info for info in found if not PurePosixPath(info.filename).name.lower().startswith(_BESIDE_A_RECORD)]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InputError(_several(path, found))
    if len(candidates) == 1 and not candidates[0].filename.lower().endswith(".zip"):
        return candidates[0]  # what it is, its content tells
    nested = any(member.suffix.lower() == ".zip" for member in paths)
    raise InputError(f"{path} holds {'a zip within it' if nested else 'no recording'}: unzip it and name a recording")


def _whole_record(path: Path, headers: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """Of several headers, the one of a record whose segments the others are; InputError if they are other records."""
    of_segments = []
    with zipfile.ZipFile(path) as archive:
        for info in headers:
            with archive.open(info) as file:
                lines = _header_lines(file.read(_RECORD_LINE))
            if lines and "/" in lines[0].split()[0]:
                of_segments.append(info)
        if len(of_segments) == 1:  # segments have none themselves
            (whole,) = of_segments
            with archive.open(whole) as file:
                segments = {line.split()[0] for line in _header_lines(file.read(MAX_HEADER))[1:]}
            if {PurePosixPath(other.filename).stem for other in headers if other is not whole} <= segments:
                return whole
    raise InputError(_several(path, headers))


def _header_lines(content: bytes) -> list[str]:
    lines = content.decode("latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _several(path: Path, found: Sequence[zipfile.ZipInfo]) -> str:
    names = [cleaned(info.filename) for info in found[:LISTED]]
    more = f" and {len(found) - LISTED:,} more" if len(found) > LISTED else ""
    return f"{path} holds {len(found):,} recordings: {', '.join(names)}{more}; unzip it and name one of them"


def _beside(chosen: zipfile.ZipInfo, members: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """What is unpacked: the recording, and all files in its folder if it is a record."""
    if not chosen.filename.lower().endswith(".hea"):
        return [chosen]
    folder = PurePosixPath(chosen.filename).parent
    return [info for info in members if PurePosixPath(info.filename).parent == folder]


def _check_sizes(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    for info in infos:
        if info.flag_bits & 1:
            raise InputError(f"{path} is encrypted: unzip it with its password and name the recording")
        if info.file_size > max(MAX_RATIO * info.compress_size, SMALL):
            raise InputError(
                f"{path} is not safe: {cleaned(info.filename)} would unpack from {info.compress_size:,} to "
                f"{info.file_size:,} bytes"
            )
    total, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if total > max(MAX_RATIO * packed, SMALL):
        raise InputError(f"{path} is not safe: it would unpack from {packed:,} to {total:,} bytes")
    if total > MAX_UNPACKED:
        raise InputError(f"{path} would unpack to {total >> 30} GiB: unzip it yourself and name the recording")


def _unpack(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write one member; never more bytes than it states, which were checked."""
    left = info.file_size
    with archive.open(info) as packed, target.open("xb") as file:
        while chunk := packed.read(2**20):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{path} is not safe: {cleaned(info.filename)} is larger than it states")
            file.write(chunk)
