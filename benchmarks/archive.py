"""The UCR Anomaly Archive: `python -m benchmarks.archive FOLDER --json FILE`.

FOLDER holds the archive's own text files, UCR_Anomaly_FullData, or the same series as .npy arrays; without it, the
archive is downloaded. Which are ECGs is taken from the column `ecg` of an index.csv in it, else from their names
(`benchmarks.series.ucr`).

As the archive's authors have it, a detector sees the normal start of a series and names one location in the rest: the
sample of its highest score. It is right within 100 samples of the anomaly; accuracy is given, too, by the rule of the
authors' slides, which is wider for long anomalies. Where a detector fails, it is wrong, and the failure is printed and
counted. Detectors come by what they cost, and after each the tables and FILE are written. Results of single series are
kept, too: a run that was interrupted goes on where it stopped.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from benchmarks.protocol import METRICS
from benchmarks.protocol.tables import print_table
from benchmarks.protocol.tasks import Result
from benchmarks.series import ucr
from benchmarks.series.origin import folder_of
from benchmarks.series.results import chosen, means, results, sentence, write
from benchmarks.series.ucr import Entry
from ecg.exceptions import exit_on_error

READING = Path("benchmarks/series/ucr.py")


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="The archive's files; downloaded if not given.", show_default=False)
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file for the accuracies.")] = None,
    detector: Annotated[list[str], typer.Option(help="Detectors to run; all that are installed.")] = [],  # noqa: B006
    metrics: Annotated[Path, typer.Option(help="Folder for the tables.")] = METRICS,
) -> None:
    """Ask each detector for one location in each series, and print how many are right."""
    with exit_on_error():
        if folder is None:
            folder = folder_of("UCR Anomaly Archive", lambda path: ucr.FILE_NAME.fullmatch(path.name) is not None)
        entries, names = ucr.in_folder(folder), chosen(detector)
        tasks = [ucr.task(entry) for entry in entries]
        for located in results("archive", names, tasks, partial(ucr.locate, folder), READING):
            table = per_series(entries, located)
            summary = over_series(entries, table)
            write(metrics, "anomaly_archive", table, summary, json_file, accuracies(summary))
        print_table(summary)
        print()
        for kind, title in {"all": "All", "ecg": "ECGs"}.items():
            of_kind = summary[summary["series"] == kind]
            if len(of_kind):
                rows = list(zip(of_kind["detector"], of_kind["accuracy"], strict=True))
                print(sentence(f"{title}, {of_kind['of'].iloc[0]} series", rows))


def per_series(entries: list[Entry], located: dict[str, list[Result]]) -> pd.DataFrame:
    """A row for each series and detector, without a location where the detector failed."""
    rows = []
    for name, found in located.items():
        for entry, result in zip(entries, found, strict=True):
            location = int(result["location"]) if "location" in result else None
            known = {"number": entry.number, "name": entry.name, "ecg": int(entry.ecg), "detector": name}
            right = {
                "right": int(location is not None and entry.is_right(location)),
                "right_by_slides": int(location is not None and entry.is_right_by_slides(location)),
            }
            rows.append({**known, "location": location, **right, "seconds": float(result.get("seconds", np.nan))})
    return pd.DataFrame(rows).astype({"location": "Int64"})  # integers, some of them missing


def over_series(entries: list[Entry], table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy over all series and over ECGs, with 95% intervals over the names that series and their copies share."""
    rows: list[dict[str, Any]] = []
    for kind, chosen_entries in {"all": entries, "ecg": [entry for entry in entries if entry.ecg]}.items():
        numbers, groups = [entry.number for entry in chosen_entries], [entry.underlying for entry in chosen_entries]
        of_kind = table[table["number"].isin(numbers)]
        by_detector = {str(name): one for name, one in of_kind.groupby("detector")}
        right = {name: one["right"].to_numpy() for name, one in by_detector.items()}
        for name, accuracy, low, high in means(right, groups):
            one = by_detector[name]
            row = {"series": kind, "detector": name, "of": len(one), "right": int(one["right"].sum())}
            row |= {"accuracy": accuracy, "low": low, "high": high, "by_slides": one["right_by_slides"].mean()}
            row |= {"failed": int(one["location"].isna().sum())}
            rows.append(row | {"seconds": one["seconds"].sum(), "longest": one["seconds"].max()})
    return pd.DataFrame(rows)


def accuracies(summary: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Accuracy by kind of series and detector."""
    parts = {kind: summary[summary["series"] == kind] for kind in ("all", "ecg")}
    return {kind: dict(zip(part["detector"], part["accuracy"], strict=True)) for kind, part in parts.items()}


if __name__ == "__main__":
    typer.run(main)
