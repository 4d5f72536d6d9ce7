"""What is done of an archive: a small record for each part, written after its results, and one for the whole run.

A part is done if its record is there and tells of the same content, model and parameters. The records are in the folder
_done, under the names of the parts; _manifest.json is written when all parts are, and removed when some are not.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ecg.archive import places
from ecg.archive.inputs import Input
from ecg.exceptions import InputError
from ecg.files import parse_json, rounded, sha256

DONE, MANIFEST = "_done", "_manifest.json"
VERSION = 1  # of the format of results; another one does all again

# What decides a result beside the content: the job, its parameters and its model; plain values.
Settings = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """What came of an input.

    name, source, size, stamp : of the input
    sha256 : of its files; empty where they could not be read
    settings : the hash of what decides the result beside them
    figures : what the run tells of it: plain values
    reason : why there are no results; None if there are
    lasts : whether the same input would fail again; otherwise the next run tries it anew
    """

    name: str
    source: str
    size: int
    stamp: str
    sha256: str
    settings: str
    figures: dict[str, Any]
    reason: str | None = None
    lasts: bool = True

    def of(self, one: Input, settings: str) -> bool:
        """Whether it tells of this input, unchanged as far as its stamp says, and of these settings."""
        return (self.source, self.stamp, self.settings) == (one.source, one.stamp, settings)

    def save(self, folder: str) -> "Done":
        """Write the record; what came of an input is read from it, so that it is the same in every run."""
        record = rounded(asdict(self))
        places.write(_record(folder, self.name), _json(record))
        return Done(**record)

    def renewed(self, one: Input) -> "Done":
        """The same for an input of the same content."""
        return replace(self, source=one.source, size=one.size, stamp=one.stamp)


def hashed(settings: Settings) -> str:
    """What tells settings apart."""
    return sha256(json.dumps([VERSION, settings], sort_keys=True).encode())


def load(folder: str) -> dict[str, Done]:
    """The records of a folder of results, by the names of the inputs; damaged ones count as none."""
    files = [file for file in places.found(places.within(folder, DONE)) if file.path.endswith(".json")]
    records = dict[str, Done]()
    for content in places.contents(files).values():
        done = _parsed(content)
        if done is not None:
            records[done.name] = done
    return records


def _parsed(content: bytes) -> Done | None:
    try:
        record = parse_json(content)
    except ValueError:
        return None
    names = {field.name for field in fields(Done)}
    return Done(**record) if isinstance(record, dict) and set(record) == names else None


def forget(folder: str, name: str) -> None:
    """Remove the record of an input, before its results are written anew."""
    places.remove(_record(folder, name))


def begin(folder: str) -> None:
    """From now on, until `finish`, the folder is not complete."""
    places.remove(places.within(folder, MANIFEST))


def finish(folder: str, settings: Settings, totals: Mapping[str, Any], failures: Iterable[Done]) -> None:
    """Write the record of the whole run, when all else is written."""
    record = {
        "version": VERSION,
        "settings": settings,
        "totals": rounded(totals),
        "failures": {done.source: done.reason for done in failures},
    }
    places.remove_unfinished(folder)
    places.write(places.within(folder, MANIFEST), _json(record))


def finished(folder: str) -> Settings | None:
    """The settings of the run that the folder is complete of; None if there is none."""
    content = places.content(places.within(folder, MANIFEST))
    try:
        record = parse_json(content or b"null")
    except ValueError:
        return None
    return record["settings"] if isinstance(record, dict) and isinstance(record.get("settings"), dict) else None


def check_folder(folder: str, own: Collection[str], inputs: Collection[str], done: Mapping[str, Done]) -> None:
    """InputError if a folder is none, or has files beside those that are its own, or results of other inputs.

    own : names of what it may hold
    inputs : their names
    """
    others = [name for name in places.names(folder) if name not in (DONE, MANIFEST, *own) and name[0] != "."]
    strange = sorted(set(done) - set(inputs))
    if others and not strange:
        raise InputError(f"{folder} has other files, such as {others[0]!r}: name a folder of its own")
    if strange:
        raise InputError(
            f"{folder} has results of {len(strange):,} other inputs, such as {done[strange[0]].source}: name these, "
            "too, or a folder of its own"
        )


def _record(folder: str, name: str) -> str:
    return places.within(folder, DONE, f"{name}.json")


def _json(record: Any) -> bytes:
    return f"{json.dumps(record, indent=2, sort_keys=True, allow_nan=False)}\n".encode()
