"""Fill the tables, figures and references of README.md and of the site: `make readme`, or `python -m docs.fill`.

What stands between `<!-- KIND NAME -->` and `<!-- end -->` is made anew, from metrics/, docs/measured/ and the code.
All else is left alone. `--check` changes nothing, and ends with status 1 if something is not up to date.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from docs import ROOT
from docs.figures import figure
from docs.measure import output
from docs.reference import REFERENCES
from docs.tables import TABLES
from ecg.exceptions import InputError, exit_on_error
from ecg.files import write_bytes

PLACE = re.compile(r"(<!-- (figure|output|reference|table) (.+?) -->).*?<!-- end -->", re.DOTALL)
KINDS: Mapping[str, Callable[[str], str]] = {
    "figure": figure,
    "output": lambda name: f"\n{output(name)}\n",
    "reference": lambda name: f"\n{REFERENCES[name]()}\n",
    "table": lambda name: f"\n\n{TABLES[name]()}\n\n",
}


def filled(text: str) -> str:
    """The text of a page with all its places filled; InputError names a place that nothing fills."""

    def fill(place: re.Match[str]) -> str:
        start, kind, name = place.groups()
        try:
            return f"{start}{KINDS[kind](name)}<!-- end -->"
        except KeyError:
            raise InputError(f"nothing fills {start}") from None

    return PLACE.sub(fill, text)


def pages() -> list[Path]:
    """The pages that have such places, or may get some."""
    return [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def main(
    check: Annotated[bool, typer.Option(help="Change nothing; end with status 1 if a page is not up to date.")] = False,
) -> None:
    """Fill the pages."""
    with exit_on_error():
        stale = []
        for page in pages():
            before = page.read_text(encoding="utf-8")
            if (after := filled(before)) != before:
                stale.append(page)
                if not check:
                    write_bytes(page, after.encode())
        for page in stale:
            print(f"{page.relative_to(ROOT)} {'is not up to date: make readme' if check else 'was filled anew'}")
        sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    typer.run(main)
