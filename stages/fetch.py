"""Bring the raw beats from the first source that delivers, as canonical UCR text."""

import sys

from ecg import models, params, sources
from ecg.datasets import known
from stages import RAW, run


def main() -> None:
    settings = params.load()
    models.check_section(settings.train.model, settings.models)  # a slip there shall not wait for the download
    fetch = settings.fetch
    source = sources.fetch(fetch.dataset, fetch.sources, RAW)
    print(f"{fetch.dataset}: from {source}")
    if known(fetch.dataset).hashes is None:
        print(f"{fetch.dataset}: no published hash is known here; dvc.lock records what came", file=sys.stderr)


if __name__ == "__main__":
    run(main)
