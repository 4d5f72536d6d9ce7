"""Parts of a scan's report as markup, by the macros of parts.html, for the report's page and for the dashboard."""

from functools import cache
from typing import Any

import jinja2

from ecg.recordings.reading.lead import duration_text
from ecg.scanning.display import format_time


@cache
def environment() -> jinja2.Environment:
    """The templates of this folder; values are escaped, because they may hold names in files of other people's."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ecg.scanning", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"format_time": format_time, "duration_text": duration_text}
    return environment


def part(name: str, **values: Any) -> str:
    """A part as HTML or SVG: the macro of this name.

    Examples
    --------
    >>> part("badge", kind="A", colours={"A": "#0072b2"})
    '<b class="kind" style="--kind:#0072b2">A</b>'
    """
    return str(getattr(environment().get_template("parts.html").module, name)(**values))
