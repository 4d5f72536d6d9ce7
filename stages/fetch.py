"""Write the raw beats as canonical UCR text: from the first source that delivers, or cut from a recording."""

import sys

from ecg import params
from ecg.data import beats, sources, times
from ecg.data.datasets import dataset_named
from ecg.exceptions import InputError
from ecg.files import write_together
from ecg.params import Fetch
from stages import RAW, raw, run, times_file


def main() -> None:
    fetch = params.load().fetch
    if fetch.source == "archive":
        from_archive(fetch)
    else:
        from_recording(fetch)
        overrides = params.flat(params.read(params.PARAMS)["recording"]["overrides"])
        listed = ", ".join(f"{name} {value}" for name, value in overrides.items())
        print(f"{fetch.dataset}: settings for a recording (params.yaml, recording.overrides): {listed or 'none'}")


def from_archive(fetch: Fetch) -> None:
    source = sources.fetch(fetch.dataset, [sources.resolve(source, fetch.folder) for source in fetch.sources], RAW)
    times.save_none(times_file(fetch.dataset))
    print(f"{fetch.dataset}: from {source}")
    if dataset_named(fetch.dataset).hashes is None:
        print(f"{fetch.dataset}: no published hash is known, so the data was not compared with one", file=sys.stderr)


def from_recording(fetch: Fetch) -> None:
    from ecg.recordings import patient  # 2 s of imports that an archive does not need

    if dataset_named(fetch.dataset).hashes is not None:
        raise InputError(
            f"params.yaml: fetch.dataset is {fetch.dataset}, the name of a published dataset; choose another one"
        )
    recording = fetch.recording
    if recording.path is not None:
        recording = recording.model_copy(update={"path": sources.resolve(recording.path, fetch.folder)})
    split = patient.split_recording(recording)
    train, test = raw(fetch.dataset)
    write_together({train: beats.canonical(split.train), test: beats.canonical(split.test)})
    times.save(times_file(fetch.dataset), split.train, split.test, split.beats)
    print("\n".join(f"{fetch.dataset}: {message}" for message in split.messages))


if __name__ == "__main__":
    run(main)
