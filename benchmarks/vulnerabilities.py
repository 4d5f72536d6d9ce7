"""Known vulnerabilities of what the service installs: part of `make audit`.

pip-audit looks up each package of requirements-service.txt in the database of the Python Package Index. Where that
cannot be reached, one line says so, and the status is 0.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ecg.exceptions import InputError, exit_on_error

# What pip-audit prints last if its database does not answer; most network errors end it with a traceback.
UNREACHABLE = re.compile(r"^requests\.exceptions\.|ServiceError|your network may be blocking")
SECONDS = 10  # for an answer


def report(answer: str, messages: str) -> tuple[str, list[str]]:
    """What pip-audit found.

    Parameters
    ----------
    answer : its standard output, JSON
    messages : its standard error

    Returns
    -------
    summary : a line on what was looked up
    found : a line for each known vulnerability

    Raises
    ------
    InputError
        if pip-audit failed for another reason than that its database could not be reached.
    """
    last = (messages.strip().splitlines() or ["no message"])[-1]
    try:
        packages = json.loads(answer)["dependencies"]
    except ValueError:
        if UNREACHABLE.search(last):
            return f"vulnerabilities: skipped, the database could not be reached ({last.partition('(')[0].strip()})", []
        raise InputError(f"pip-audit failed: {last}") from None
    looked_up = [package for package in packages if "vulns" in package]
    absent = sorted(package["name"] for package in packages if "vulns" not in package)
    if not looked_up:  # a mirror of packages answers alone: pip-audit calls that free of vulnerabilities
        return "vulnerabilities: skipped, the database could not be reached (it knows none of the packages)", []
    found = [
        f"{package['name']} {package['version']}: {entry['id']}, mended in {', '.join(entry['fix_versions']) or 'none'}"
        for package in looked_up
        for entry in package["vulns"]
    ]
    summary = f"vulnerabilities: {len(found)} known, in {len(looked_up)} packages looked up"
    return f"{summary}; not in the database: {', '.join(absent)}" if absent else summary, found


def main(
    requirements: Annotated[Path, typer.Argument(help="Pinned requirements, with hashes.")] = Path(
        "requirements-service.txt"
    ),
) -> None:
    """Look up the requirements; status 1 if a vulnerability is known."""
    options = ["--require-hashes", "--disable-pip", "--format=json", "--desc=off", "--progress-spinner=off"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", f"--requirement={requirements}", *options, f"--timeout={SECONDS}"],
        capture_output=True,
        text=True,
        check=False,
    )
    with exit_on_error():
        summary, found = report(done.stdout, done.stderr)
    print(summary)
    if found:
        remedy = "make constraints CONSTRAINTS='--upgrade-package NAME'"
        sys.exit("\n".join(f"error: {line}; {remedy}" for line in found))


if __name__ == "__main__":
    typer.run(main)
