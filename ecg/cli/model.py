"""Models: say what one is."""

import argparse
import json
from pathlib import Path
from typing import Any

from ecg.cli.output import MODELS, print_aligned


def add_to(commands: Any) -> None:
    """Declare `info`."""
    info = commands.add_parser("info", help="say what a model is", description=print_info.__doc__)
    info.add_argument("folder", nargs="?", default=MODELS, type=Path, help="of the model (default: models)")
    form = info.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--card", action="store_true", help="print the model card, in Markdown")
    info.set_defaults(run=print_info)


def print_info(arguments: argparse.Namespace) -> None:
    """Say what a model is: the commit, parameters, data and packages that made it, its metrics and its limits."""
    from ecg.data.datasets import dataset_of
    from ecg.evaluation.card import INTENDED_USE, card, limits
    from ecg.evaluation.provenance import Provenance, installed, recorded_by
    from ecg.params import flat

    made = Provenance.load(arguments.folder)
    if arguments.card:
        print(card(made), end="")
        return
    cannot = limits(dataset_of(made.params["fetch"]))
    commit = recorded_by(arguments.folder)
    if arguments.json:
        told = {"commit": commit and commit.split()[0], "intended_use": INTENDED_USE, "limits": cannot}
        print(json.dumps(told | made.model_dump(), indent=2, sort_keys=True))
        return
    print(f"commit\n  {commit or 'none: no dvc.lock in a git history here tells of this model'}")
    record = made.model_dump()
    record["packages"] = {name: _beside(version, installed(name)) for name, version in made.packages.items()}
    for title, section in record.items():
        print(title)
        print_aligned(flat(section), "  ")
    print("\n  ".join(["intended use", INTENDED_USE]))
    print("\n  ".join(["limits", *cannot]))


def _beside(built_with: str, here: str | None) -> str:
    return built_with if built_with == here else f"{built_with} ({f'here {here}' if here else 'not installed here'})"
