"""The page of an archive that was scanned: the worst recordings first, and those that could not be read."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2

from ecg.recordings.reading.lead import duration_text
from ecg.scanning.parts import environment

TEMPLATE = "index.html"
OPTIONS = ("lead", "rate", "alpha", "annotations")  # of the settings, if they are given
LISTED = 1000  # recordings, and failures; the table has them all

Row = Mapping[str, Any]


def page(worst: Sequence[Row], failed: Sequence[Row], totals: Row, reports: Collection[str], settings: Row) -> str:
    """The page, as HTML; equal results give equal pages.

    Parameters
    ----------
    worst, failed : rows of the table of recordings, with results, the worst first, and without
    totals : of all recordings
    reports : names of the recordings that have a report
    settings : of the run
    """
    options = [f"{name} {settings[name]}" for name in OPTIONS if settings[name] is not None]
    options += [] if settings["adaptive"] else ["compared with the start of each recording"]
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            worst=worst[:LISTED],
            failed=failed[:LISTED],
            more_worst=max(len(worst) - LISTED, 0),
            more_failed=max(len(failed) - LISTED, 0),
            totals=totals,
            duration=duration_text(60 * totals["minutes"]),
            links={
                row["recording"]: f"reports/{quote(row['recording'])}.html"
                for row in worst
                if row["recording"] in reports
            },
            options=options,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """The templates of this folder, with what those of a report have."""
    return environment().overlay(loader=jinja2.PackageLoader("ecg.archive", "."))
