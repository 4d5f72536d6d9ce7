"""`python -m ecg`: the detector on the command line."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from ecg.exceptions import InputError
from ecg.provenance import Provenance, installed, recorded_by

DESCRIPTION = "Detect anomalous heartbeats. For research and teaching; not a medical device."


def main() -> None:
    """Run the command that is asked for; a mistake becomes a message and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m ecg", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="say where a model comes from: commit, params, data, packages, metrics")
    info.add_argument("folder", nargs="?", default="models", type=Path, help="of the model (default: models)")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=print_info)
    arguments = parser.parse_args()
    if hasattr(signal, "SIGPIPE"):  # end without a word where a reader like `head` has enough
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        arguments.run(arguments)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


def print_info(arguments: argparse.Namespace) -> None:
    """Print the provenance of the model in a folder."""
    provenance, commit = Provenance.load(arguments.folder), recorded_by(arguments.folder)
    if arguments.json:
        print(json.dumps({"commit": commit and commit.split()[0]} | provenance.model_dump(), indent=2, sort_keys=True))
        return
    print(f"commit\n  {commit or 'none: no dvc.lock in a git history here tells of this model'}")
    record = provenance.model_dump()
    record["packages"] = {name: _beside(version, installed(name)) for name, version in provenance.packages.items()}
    for title, section in record.items():
        print(title)
        names = _flat(section)
        width = max(map(len, names), default=0)
        for name, value in names.items():
            print(f"  {name:<{width}}  {value}")


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _beside(built_with: str, here: str | None) -> str:
    return built_with if built_with == here else f"{built_with} ({f'here {here}' if here else 'not installed here'})"


if __name__ == "__main__":
    main()
