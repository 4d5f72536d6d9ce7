"""The page of an archive that was scanned: the worst recordings first, and those that could not be read."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2

from ecg.recordings.reading.lead import duration_text
from ecg.scanning.parts import environment

TEMPLATE = "index.html"
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
    options = {name: value for name, value in settings.items() if name in SHOWN and value is not None}
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


SHOWN = ("lead", "rate", "alpha", "adaptive", "annotations")


@cache
def _environment() -> jinja2.Environment:
    """The templates of this folder, with what those of a report have."""
    return environment().overlay(loader=jinja2.PackageLoader("ecg.archive", "."))
