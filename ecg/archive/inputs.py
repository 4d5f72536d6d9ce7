"""What the inputs of a run are: each file, folder, pattern, record or address as parts or recordings with names."""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ecg.archive import places
from ecg.archive.places import File
from ecg.detector.tables import INPUTS
from ecg.detector.zarr_array import FORMAT_2, FORMAT_3
from ecg.exceptions import InputError, printable
from ecg.files import LARGEST_JSON, sha256
from ecg.recordings.reading.physionet import PREFIX
from ecg.recordings.reading.wfdb_record import MAX_HEADER, NAME

RECORDINGS = (".hea", ".edf", ".bdf", ".rec", ".ecg", ".npy", ".csv", ".tsv", ".zip")  # that are found in folders
HEADER = ".hea"


@dataclass(frozen=True)
class Input:
    """A recording, or a part of an archive of beats.

    name : of its results, without an ending; with slashes where it is in a folder
    source : what a person calls it: a path, an address, physionet:DATABASE/RECORD
    files : that it consists of, the one that is opened first; none if it is read piece by piece from elsewhere
    size : of these together, in bytes
    stamp : changes when the content of these may have changed
    rows : of a Zarr array, from the first to before the last; None for all other inputs
    model : the folder of what was learnt of this patient; empty for none
    """

    name: str
    source: str
    files: tuple[str, ...]
    size: int
    stamp: str
    rows: tuple[int, int] | None = None
    model: str = ""


def recordings(inputs: Sequence[str], annotations: str | None = None, without: str = "") -> list[Input]:
    """The recordings that are named, or that are in named folders.

    In a folder, or by a pattern with an open ending, files count that end in RECORDINGS; a WFDB record counts once,
    with its signal files, its segments and, if asked for, its annotations.

    Parameters
    ----------
    annotations : the annotator (file extension) of annotations that are read, too; None for none
    without : a folder, that of the results, whose files are no inputs

    Raises
    ------
    InputError
        if there is none in one of the inputs, if two would have results of the same name, or a place is not reached.
    """
    return _named(
        inputs, lambda place: _recordings(place, annotations), without, f"recordings ({', '.join(RECORDINGS)})"
    )


def tables(inputs: Sequence[str], arrays: Callable[[Input], Iterable[Input]], without: str = "") -> list[Input]:
    """The tables of beats that are named, or that are in named folders.

    Parameters
    ----------
    arrays : the parts of a Zarr array, given as one input
    without : as `recordings` takes it

    Raises
    ------
    InputError
        as `recordings` does.
    """
    return _named(inputs, lambda place: _tables(place, arrays), without, f"tables of beats ({', '.join(INPUTS)}, Zarr)")


def _named(inputs: Sequence[str], of_place: Callable[[str], Iterable[Input]], without: str, what: str) -> list[Input]:
    by_name: dict[str, Input] = {}
    for place in inputs:
        own = [one for one in of_place(place) if not (without and one.source.startswith(f"{without}/"))]
        if not own:
            raise InputError(f"{place} names no {what}")
        for each in own:
            _check_name(each)
            other = by_name.setdefault(each.name, each)
            if other.source != each.source:
                raise InputError(
                    f"{other.source} and {each.source} would both have results of the name {each.name!r}: name a "
                    "folder that holds both in folders, or write them to two folders"
                )
    return sorted(by_name.values(), key=lambda each: each.name)


def _check_name(each: Input) -> None:
    parts = each.name.split("/")
    if any(part in ("", ".", "..") for part in parts) or printable(each.name) != each.name:
        raise InputError(f"{each.source} has a name that no file of results can have")
    if parts[0].startswith("_"):
        raise InputError(f"{each.source} begins with an underscore, as what a run keeps for itself does: rename it")


def _recordings(place: str, annotations: str | None) -> Iterator[Input]:
    if place.startswith(PREFIX):
        yield Input(place.removeprefix(PREFIX), place, (), 0, place)
        return
    place = places.absolute(place)
    for header in (f"{place}{HEADER}", f"{place.removesuffix('.dat')}{HEADER}"):
        if not place.endswith(HEADER) and (file := places.file(header)) is not None:  # a record by its name
            listed, base, chosen = {file.path: file}, _parent(place), [file]
            break
    else:
        listed = {file.path: file for file in places.found(place)}
        base, chosen = _base(place, listed), _chosen(place, listed, RECORDINGS)
    records = _Records(listed)
    records.read([file.path for file in chosen if file.path.endswith(HEADER)])
    for file in chosen:
        if file.path not in records.segments:
            own = [file, *records.beside(file.path, annotations)]
            yield _input(_name(file.path, base), file.path, own)


def _tables(place: str, arrays: Callable[[Input], Iterable[Input]]) -> Iterator[Input]:
    place = places.absolute(place)
    listed = {file.path: file for file in places.found(place)}
    base = _base(place, listed)
    within = _arrays(listed)
    for array, files in within.items():
        name = _name(array, _parent(place) if array == place else base)
        yield from arrays(replace(_input(name, array, files), files=(), rows=(0, 0)))
    parts = {file.path for files in within.values() for file in files}
    for file in _chosen(place, listed, tuple(INPUTS)):
        if file.path not in parts:
            yield _input(_name(file.path, base), file.path, [file])


def _input(name: str, source: str, files: Sequence[File]) -> Input:
    return Input(name, source, tuple(file.path for file in files), sum(file.size for file in files), _stamp(files))


def _stamp(files: Sequence[File]) -> str:
    if len(files) == 1:
        return files[0].stamp
    return sha256("\n".join(f"{posixpath.basename(file.path)}: {file.stamp}" for file in files).encode())


def _parent(place: str) -> str:
    return place.rpartition("/")[0]


def _base(place: str, listed: Collection[str]) -> str:
    """The folder that names of results are relative to: a file's own, a folder itself, a pattern's fixed part."""
    if place in listed:
        return _parent(place)
    fixed = re.split(r"[*?\[]", place)[0]
    return place if fixed == place else _parent(fixed)


def _chosen(place: str, listed: Mapping[str, File], endings: tuple[str, ...]) -> list[File]:
    """The files that are meant: all that a name or a pattern says, but of a folder only those with such an ending."""
    ending = PurePosixPath(place).suffix
    is_pattern = any(character in place for character in places.WILD)
    if place in listed or (is_pattern and ending and not any(character in ending for character in places.WILD)):
        return list(listed.values())
    hidden = re.compile(r"(^|/)(\.|__MACOSX/)")
    return [
        file
        for path, file in listed.items()
        if path.lower().endswith(endings) and not hidden.search(path.removeprefix(place))
    ]


def _name(path: str, base: str) -> str:
    """A path without its ending, from a folder on."""
    name = path.removeprefix(base).lstrip("/")
    folder, _, last = name.rpartition("/")
    return posixpath.join(folder, PurePosixPath(last).stem)


class _Records:
    """The files that headers of WFDB records name; all of it checked again by what opens them."""

    def __init__(self, listed: Mapping[str, File]) -> None:
        self.listed = listed
        self.names: dict[str, list[str]] = {}  # by header: of signal files, or of headers of segments
        self.segments = set[str]()  # headers

    def read(self, headers: Sequence[str]) -> None:
        """Read headers, and those of their segments."""
        files = [file for path in headers if path not in self.names and (file := self._file(path)) is not None]
        files = [file for file in files if file.size <= MAX_HEADER]
        segments = list[str]()
        for file, content in zip(files, places.contents(files), strict=True):
            lines = [line.split() for line in content.decode("ascii", "ignore").splitlines()]
            record, *rest = [line for line in lines if line and not line[0].startswith("#")] or [[""]]
            names = list(dict.fromkeys(line[0] for line in rest if re.fullmatch(NAME, line[0])))
            if "/" in record[0]:
                names = [f"{name}{HEADER}" for name in names]
                segments += [f"{_parent(file.path)}/{name}" for name in names]
            self.names[file.path] = names
        if segments:
            self.segments |= set(segments)
            self.read(segments)

    def beside(self, header: str, annotations: str | None) -> list[File]:
        """What a record consists of beside its header."""
        paths = [f"{_parent(header)}/{name}" for name in self.names.get(header, [])]
        files = [file for path in paths if (file := self._file(path)) is not None]
        for segment in [path for path in paths if path.endswith(HEADER)]:
            names = [name for name in self.names.get(segment, []) if not name.endswith(HEADER)]
            files += [file for name in names if (file := self._file(f"{_parent(header)}/{name}")) is not None]
        if annotations is not None and (file := self._file(f"{header.removesuffix(HEADER)}.{annotations}")) is not None:
            files.append(file)
        return list(dict.fromkeys(files))

    def _file(self, path: str) -> File | None:
        return self.listed[path] if path in self.listed else places.file(path)


def _arrays(listed: Mapping[str, File]) -> dict[str, list[File]]:
    """The Zarr arrays among files: the files of each, by its folder."""
    described = [file for path, file in listed.items() if path.endswith((f"/{FORMAT_2}", f"/{FORMAT_3}"))]
    described = [file for file in described if file.size <= LARGEST_JSON]
    arrays: dict[str, list[File]] = {
        _parent(file.path): []
        for file, content in zip(described, places.contents(described), strict=True)
        if file.path.endswith(FORMAT_2) or b'"array"' in content  # rather than a group
    }
    for path, file in listed.items() if arrays else ():
        folder = _parent(path)
        while folder and folder not in arrays:
            folder = _parent(folder)
        if folder:
            arrays[folder].append(file)
    return arrays
