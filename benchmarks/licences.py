"""Licences of what ships, and what brings copyleft into the development environment: part of `make audit`.

What ships is the package with each of its extras but `dev`. Status 1 if that needs a package under the GPL, AGPL or
LGPL, or one that declares no licence. Copyleft of single files (MPL-2.0) and a choice of another licence (Apache-2.0 OR
GPL-2.0) pass.

A licence is what a package declares in its metadata. Libraries inside its wheel are not looked at; known are those of
NumPy, SciPy and scikit-learn (GCC's runtime: GPL with the runtime exception, and libquadmath: LGPL) and of soundfile,
which wfdb brings (libsndfile: LGPL). They are loaded at run time, and can be replaced by others.
"""

import re
import sys
from collections import defaultdict, deque
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import typer
from license_expression import ExpressionError, LicenseWithExceptionSymbol, get_spdx_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ecg.exceptions import InputError, exit_on_error

NAME = "ecg-anomaly-detector"
ACCEPTED: dict[str, str] = {}  # packages under the LGPL that may ship: the reason by the package's name
SPDX = get_spdx_licensing()
COPYLEFT = re.compile("GPL|GNU|Affero", re.IGNORECASE)
RUNTIME = "GCC-exception"  # what a compiler adds to a library is free of its GPL
LONGEST = 80  # characters of a licence's name: what is longer is its text


def wanted(name: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a package with these extras needs on this machine; InputError if it is not installed."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        raise InputError(f"{name} is not installed: its licence is unknown; run `make install-dev`") from None
    return [
        requirement
        for extra in ("", *extras)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def closure(direct: Iterable[Requirement]) -> dict[str, list[str]]:
    """Every package that requirements bring, and the shortest path from a direct requirement to it."""
    paths: dict[str, list[str]] = {}
    queue = deque((requirement, list[str]()) for requirement in direct)
    seen = set()
    while queue:
        requirement, path = queue.popleft()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in seen:
            continue
        seen.add((name, *sorted(requirement.extras)))
        paths.setdefault(name, [*path, name])
        queue.extend((needed, [*path, name]) for needed in wanted(name, requirement.extras))
    paths.pop(NAME, None)  # an extra that names others
    return paths


def licence(name: str) -> str:
    """The licence that an installed package declares: an expression, else classifiers, else a name; "" if none."""
    declared = metadata.metadata(name)
    for expression in declared.get_all("License-Expression") or []:
        return str(expression)
    (text,) = declared.get_all("License") or [""]
    named = "" if "\n" in text or len(text) > LONGEST else str(text).strip()
    classifiers = [line.split(" :: ") for line in declared.get_all("Classifier") or []]
    classified = ", ".join(last for kind, *_, last in classifiers if kind == "License" and last != "OSI Approved")
    return named if is_spdx(named) else classified or named


def is_spdx(text: str) -> bool:
    """Whether a text is an expression of known SPDX identifiers."""
    try:
        return bool(text) and not SPDX.unknown_license_keys(text)
    except ExpressionError:
        return False


def is_copyleft(text: str) -> bool:
    """Whether a declared licence is the GPL, AGPL or LGPL, without a choice of another."""
    try:
        return _binds(SPDX.parse(text))
    except ExpressionError:
        return bool(COPYLEFT.search(text))


def _binds(expression: Any) -> bool:
    if isinstance(expression, SPDX.OR):
        return all(map(_binds, expression.args))
    if isinstance(expression, SPDX.AND):
        return any(map(_binds, expression.args))
    if isinstance(expression, LicenseWithExceptionSymbol) and expression.exception_symbol.key.startswith(RUNTIME):
        return False
    return bool(COPYLEFT.search(str(expression)))


def objection(name: str) -> str:
    """Why a package may not ship; "" if it may."""
    declared = licence(name)
    if not declared:
        return "declares no licence"
    return f"is under {declared}" if is_copyleft(declared) and name not in ACCEPTED else ""


def extras() -> list[str]:
    """The extras of the package."""
    return metadata.metadata(NAME).get_all("Provides-Extra") or []


def audit(extra: str) -> list[str]:
    """Print the licences of what an extra brings ("" for none); a line for each package that may not ship."""
    paths = closure(wanted(NAME, [extra] if extra else []))
    by_licence = defaultdict(list)
    for name in sorted(paths):
        by_licence[licence(name) or "none"].append(name)
    print(f"{f'[{extra}]' if extra else 'base'}: {len(paths)} packages")
    for text, names in sorted(by_licence.items()):
        print(f"  {text}: {', '.join(names)}")
    return [f"{' > '.join(paths[name])}: {reason}" for name in sorted(paths) if (reason := objection(name))]


def development(requirements: Path) -> list[str]:
    """A line for each copyleft package of the development environment: what brings it, and its licence."""
    lines = [line for line in requirements.read_text().splitlines() if line and not line.startswith(("#", "-"))]
    direct = {"requirements.txt": [Requirement(line) for line in lines], "[dev]": wanted(NAME, ["dev"])}
    return [
        f"{origin}: {' > '.join(path)}: {licence(name)}"
        for origin, listed in direct.items()
        for name, path in sorted(closure(listed).items())
        if is_copyleft(licence(name))
    ]


def main() -> None:
    """Print the licences of each extra, and where copyleft comes from; status 1 if what ships needs it."""
    with exit_on_error():
        refused = {line for extra in ("", *extras()) if extra != "dev" for line in audit(extra)}
        print("copyleft in the development environment, and what brings it:")
        print(*(f"  {line}" for line in development(Path("requirements.txt"))), sep="\n")
    if refused:
        remedy = "replace it, or name it in benchmarks/licences.py (ACCEPTED) with the reason"
        sys.exit("\n".join(f"error: {line}; {remedy}" for line in sorted(refused)))
    print("what ships needs none of it")


if __name__ == "__main__":
    typer.run(main)
