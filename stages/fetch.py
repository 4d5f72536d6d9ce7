"""Bring the raw beats as canonical UCR text: from the first archive that delivers, or cut from a recording."""

import sys

from ecg import beats, models, params, sources
from ecg.datasets import known
from ecg.exceptions import InputError
from ecg.params import Fetch
from ecg.recordings import times
from stages import RAW, raw, run, timetable


def main() -> None:
    settings = params.load()
    models.check_section(settings.train.model, settings.models)  # a slip there shall not wait for the download
    bring = {"archive": from_archive, "recording": from_recording}
    bring[settings.fetch.source](settings.fetch)


def from_archive(fetch: Fetch) -> None:
    source = sources.fetch(fetch.dataset, fetch.sources, RAW)
    times.save_none(timetable(fetch.dataset))
    print(f"{fetch.dataset}: from {source}")
    if known(fetch.dataset).hashes is None:
        print(f"{fetch.dataset}: no published hash is known here; dvc.lock records what came", file=sys.stderr)


def from_recording(fetch: Fetch) -> None:
    from ecg.recordings import patient  # 2 s of libraries that an archive does not need

    if known(fetch.dataset).hashes is not None:
        raise InputError(f"params.yaml: fetch.dataset is {fetch.dataset}, another's name; give your recording its own")
    parts = patient.parted(fetch.recording)
    sources.write(raw(fetch.dataset), [beats.canonical(part) for part in (parts.train, parts.test)])
    times.save(timetable(fetch.dataset), parts.train, parts.test, parts.cut)
    print("\n".join(f"{fetch.dataset}: {line}" for line in parts.told))


if __name__ == "__main__":
    run(main)
