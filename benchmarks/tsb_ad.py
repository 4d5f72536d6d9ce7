"""TSB-AD-U's ECGs: `python -m benchmarks.tsb_ad FOLDER --json FILE`.

FOLDER holds the files of TSB-AD-U; without it, they are downloaded. The series of MITDB and SVDB are taken, but those
that are for tuning. As TSB-AD's authors have it, a detector may learn from the start that a file's name states, scores
the whole series, and is judged by VUS-PR, computed by their package; where it fails, the figure is 0, and the failure
is printed and counted. Their published means stand beside it. Results of single series are kept: a run that was
interrupted goes on where it stopped.

Without TSB-AD's files, `--records RECORDS` first makes series in the same form of annotated WFDB records, and writes
them to FOLDER. Figures of these are named MITDB-records and SVDB-records, and do not compare with published ones.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.protocol import METRICS
from benchmarks.protocol.tables import print_table
from benchmarks.protocol.tasks import Result
from benchmarks.series import tsb
from benchmarks.series.origin import folder_of
from benchmarks.series.results import chosen, means, results, sentence, write
from benchmarks.series.tsb import Entry
from ecg.exceptions import InputError, exit_on_error

READING = Path("benchmarks/series/tsb.py")


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="The files of TSB-AD-U; downloaded if not given.", show_default=False)
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file for the means.")] = None,
    detector: Annotated[list[str], typer.Option(help="Detectors to run; all that are installed.")] = [],  # noqa: B006
    records: Annotated[
        Path | None, typer.Option(help="Folder of annotated WFDB records to make series of.", show_default=False)
    ] = None,
    metrics: Annotated[Path, typer.Option(help="Folder for the tables.")] = METRICS,
) -> None:
    """Score each series by each detector, and print mean VUS-PR beside the published means."""
    with exit_on_error():
        if folder is None and records is not None:
            raise InputError("--records writes the series that it makes to FOLDER: name one")
        if folder is None:
            folder = folder_of("TSB-AD-U", lambda path: tsb.FILE_NAME.fullmatch(path.name) is not None)
        if records is not None and (unused := tsb.write_made(records, folder)):
            print(f"no series is made of {', '.join(unused)}", file=sys.stderr)
        entries, names = tsb.in_folder(folder), chosen(detector)
        tasks = [tsb.task(entry) for entry in entries]
        for judged in results("tsb_ad", names, tasks, partial(tsb.judge, folder), READING):
            table = per_series(entries, judged)
            summary = over_series(entries, table)
            write(metrics, "tsb_ad", table, summary, json_file, means_of(summary))
        print_table(summary.fillna("-"))
        print()
        for database, of_database in summary.groupby("database"):
            name = of_database["detector"] + of_database["source"].map({"measured": "", "published": " (published)"})
            rows = list(zip(name, of_database["vus_pr"], strict=True))
            print(sentence(f"{database}, {of_database['series'].iloc[0]} series", rows))


def per_series(entries: list[Entry], judged: dict[str, list[Result]]) -> pd.DataFrame:
    """A row for each series and detector; VUS-PR is 0 where the detector failed, as TSB-AD has it."""
    return pd.DataFrame(
        {
            "database": entry.database,
            "file": entry.path.name,
            "detector": name,
            "vus_pr": float(result.get("vus_pr", 0)),
            "failed": int("error" in result),
            "seconds": float(result.get("seconds", np.nan)),
        }
        for name, found in judged.items()
        for entry, result in zip(entries, found, strict=True)
    )


def over_series(entries: list[Entry], table: pd.DataFrame) -> pd.DataFrame:
    """Mean VUS-PR by database, with 95% intervals over recordings, and the published means.

    Published means are of all of a database's series, so they are left out where there are fewer.
    """
    rows = []
    for database, of_database in table.groupby("database"):
        groups = [entry.recording for entry in entries if entry.database == database]
        by_detector = {str(name): one for name, one in of_database.groupby("detector")}
        figures = {name: one["vus_pr"].to_numpy() for name, one in by_detector.items()}
        for name, mean, low, high in means(figures, groups):
            one = by_detector[name]
            row = {"database": database, "detector": name, "source": "measured", "series": len(one), "vus_pr": mean}
            row |= {"low": low, "high": high, "failed": int(one["failed"].sum()), "seconds": one["seconds"].sum()}
            rows.append(row)
        if len(groups) == tsb.SERIES.get(str(database)):
            same = {"database": database, "source": "published", "series": len(groups)}
            rows += [{**same, "detector": name, "vus_pr": mean} for name, mean in tsb.PUBLISHED[str(database)].items()]
    return pd.DataFrame(rows)


def means_of(summary: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Measured mean VUS-PR by database and detector."""
    measured = summary[summary["source"] == "measured"]
    return {
        str(database): dict(zip(one["detector"], one["vus_pr"], strict=True))
        for database, one in measured.groupby("database")
    }


if __name__ == "__main__":
    typer.run(main)
