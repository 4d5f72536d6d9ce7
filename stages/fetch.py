"""Bring the raw beats as canonical UCR text: from the first archive that delivers, or cut from a recording."""

import sys

from ecg import params
from ecg.data import beats, sources, times
from ecg.data.datasets import known
from ecg.exceptions import InputError
from ecg.files import write_together
from ecg.params import Fetch
from stages import RAW, raw, run, timetable


def main() -> None:
    fetch = params.load().fetch
    if fetch.source == "archive":
        from_archive(fetch)
    else:
        from_recording(fetch)
        overrides = params.overrides(params.read(params.PARAMS))
        told = ", ".join(f"{name} {value}" for name, value in overrides.items())
        print(f"{fetch.dataset}: settings of a recording (params.yaml, recording.overrides): {told or 'none'}")


def from_archive(fetch: Fetch) -> None:
    places = [sources.located(source, fetch.folder) for source in fetch.sources]
    source = sources.fetch(fetch.dataset, places, RAW)
    times.save_none(timetable(fetch.dataset))
    print(f"{fetch.dataset}: from {source}")
    if known(fetch.dataset).hashes is None:
        print(f"{fetch.dataset}: no published hash is known here; dvc.lock records what came", file=sys.stderr)


def from_recording(fetch: Fetch) -> None:
    from ecg.recordings import patient  # 2 s of libraries that an archive does not need

    if known(fetch.dataset).hashes is not None:
        raise InputError(f"params.yaml: fetch.dataset is {fetch.dataset}, another's name; give your recording its own")
    recording = fetch.recording
    if recording.path is not None:
        recording = recording.model_copy(update={"path": sources.located(recording.path, fetch.folder)})
    parts = patient.parted(recording)
    train, test = raw(fetch.dataset)
    write_together({train: beats.canonical(parts.train), test: beats.canonical(parts.test)})
    times.save(timetable(fetch.dataset), parts.train, parts.test, parts.cut)
    print("\n".join(f"{fetch.dataset}: {line}" for line in parts.told))


if __name__ == "__main__":
    run(main)
