"""Fit detectors to the normal examples of data sets, rank them, and say who is first; finished tasks are kept.

The settings of this project's detector are chosen on the development half; figures of the reporting half are reported.
Only a run over both halves with all detectors writes metrics/one_class.csv, metrics/one_class_ranks.csv and
plots/one_class.png; another one prints its tables.
"""

import json
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from joblib import cpu_count

from benchmarks.estimators import BEATS
from benchmarks.one_class import diagram, ranks, sets
from benchmarks.one_class.detectors import DETECTORS, OURS
from benchmarks.protocol import METRICS, PLOTS
from benchmarks.protocol.tables import print_table
from benchmarks.protocol.tasks import Result, Task, compute
from ecg import params
from ecg.data.sources import resolve
from ecg.exceptions import InputError, exit_on_error
from ecg.files import write_bytes, write_csv

SEEDS = 3  # of detectors whose scores depend on it
# What decides a result, beside the set and the versions of packages.
SHARED = ["benchmarks/one_class/detectors.py", "benchmarks/one_class/sets.py", "ecg/data/beats.py"]


class Halves(StrEnum):
    """Which sets to take."""

    ALL = "all"
    DEVELOPMENT = "development"
    REPORTING = "reporting"


def main(
    folder: Annotated[
        Path | None, typer.Option(help="Folder with files of the archive, TSV or TXT.", show_default=False)
    ] = None,
    half: Annotated[Halves, typer.Option(help="Sets to take.")] = Halves.ALL,
    detector: Annotated[list[str], typer.Option(help="Detectors to compare.")] = list(DETECTORS),  # noqa: B006
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file for the ranks.")] = None,
) -> None:
    """Fit detectors to the normal examples of data sets, and rank them."""
    with exit_on_error():
        if unknown := set(detector) - set(DETECTORS):
            raise InputError(f"--detector {unknown.pop()}: it should be one of {', '.join(DETECTORS)}")
        if folder is not None and not folder.is_dir():
            raise InputError(f"--folder {folder}: there is no such folder")
        for name in detector:
            DETECTORS[name].versions()  # a missing package is said before the work
        names = sets.SETS if half is Halves.ALL else sets.HALVES[half]
        loaded, missing = _available(list(names), folder)
        table = ranks.ranked(compare(loaded, detector))
        summary = ranks.summarised(table)
        if half is Halves.ALL and set(detector) == set(DETECTORS):
            write_csv(METRICS / "one_class.csv", table)
            write_csv(METRICS / "one_class_ranks.csv", summary)
            _draw(table)
        if json_file is not None:
            write_bytes(json_file, f"{json.dumps(_nested(summary), indent=2)}\n".encode())
        show(table, summary)
        if missing:
            print(f"\nLeft out, {len(missing)} of {len(names)} sets: {', '.join(sorted(missing))}.")


def _available(names: list[str], folder: Path | None) -> tuple[dict[str, sets.OneClassSet], dict[str, str]]:
    """The sets that can be had, and why the others cannot."""
    fetch = params.load().fetch
    missing = sets.fetch(names, [resolve(source, fetch.folder) for source in fetch.sources], folder)
    loaded = {}
    for name in names:
        try:
            if name not in missing:
                loaded[name] = sets.load(name)
        except InputError as error:
            missing[name] = str(error)
    for name, reason in missing.items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
    if not loaded:
        raise InputError("no set is there: --folder names a folder with files of the UCR archive")
    return loaded, missing


def compare(loaded: dict[str, sets.OneClassSet], detectors: list[str]) -> pd.DataFrame:
    """The figures of each detector on each set, missing where it fails, which is said."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # PyOD takes a GPU where it sees one
    contents = {name: sets.content(name) for name in loaded}
    rows = []
    for detector in detectors:
        used = {
            "detector": detector,
            "versions": DETECTORS[detector].versions(),
            "seeds": SEEDS if DETECTORS[detector].random else 1,
        }
        tasks = [used | {"set": name, "content": contents[name]} for name in loaded]
        dependencies = [*map(Path, SHARED), *(BEATS if detector == OURS else [])]
        results = compute(detector, tasks, score, cpu_count(), dependencies)
        for name, result in zip(loaded, results, strict=True):
            if "error" in result:
                print(f"{detector} fails on {name}: {result['error']}", file=sys.stderr)
                values = {"auc": np.nan, "average_precision": np.nan}
            else:
                values = ranks.figures(result["score"], loaded[name].anomalous)
            rows.append({"set": name, "half": sets.half_of(name), "detector": detector, **values})
    return pd.DataFrame(rows).sort_values("set", kind="stable", ignore_index=True)


def score(task: Task) -> Result:
    """The scores of a detector on the test examples of a set, by seed: of shape (seeds, m); or its error."""
    data, detector = sets.load(task["set"]), DETECTORS[task["detector"]]
    try:
        with warnings.catch_warnings(action="ignore"):  # of others' detectors
            scores = np.array([detector.fit(data.normal, seed)(data.test) for seed in range(task["seeds"])])
    except (ImportError, MemoryError):  # of this machine, not of the detector: nothing to keep
        raise
    except Exception as error:  # one failure does not stop the others
        return {"error": np.array(f"{type(error).__name__}: {error}".splitlines()[0])}
    return {"score": scores} if np.isfinite(scores).all() else {"error": np.array("some scores are not finite")}


def _draw(table: pd.DataFrame) -> None:
    reporting = ranks.in_group(table, "reporting", "all")
    if (count := reporting["set"].nunique()) > 1:
        title = f"Mean rank by AUC on {count} sets of the reporting half; a bar joins what is not told apart"
        diagram.draw(PLOTS / "one_class.png", reporting, title)


def _nested(summary: pd.DataFrame) -> dict[str, Any]:
    """The ranks by half, group and detector; null for NaN, which JSON does not have."""
    nested: dict[str, Any] = {}
    for (half, group), part in summary.groupby(["half", "group"], sort=False):
        rows = part.drop(columns=["half", "group"]).set_index("detector")
        nested.setdefault(half, {})[group] = json.loads(rows.to_json(orient="index"))
    return nested


def show(table: pd.DataFrame, summary: pd.DataFrame) -> None:
    """Print the ranks and who is first by half and group, then the AUC on each set."""
    for (half, group), part in summary.groupby(["half", "group"], sort=False):
        print_table(_shown(part))
        p = ranks.friedman(ranks.in_group(table, half, group)) if group == "all" else np.nan
        print(f"\n{ranks.sentence(part, p)}\n")
    aucs = table.pivot(index=["half", "set"], columns="detector", values="auc")
    ordered = aucs[table["detector"].unique()].map(lambda auc: "failed" if np.isnan(auc) else f"{auc:.3f}")
    print_table(ordered.reset_index())


def _shown(part: pd.DataFrame) -> pd.DataFrame:
    """The rows of one half and group with their intervals, as text."""

    def joined(measure: str, digits: int) -> list[str]:
        values = part[[f"mean_{measure}", f"{measure}_low", f"{measure}_high"]].map(f"{{:.{digits}f}}".format)
        return [mean if low == "nan" else f"{mean} ({low} to {high})" for mean, low, high in values.to_numpy()]

    columns = {"mean rank (95% interval)": joined("rank", 2), "mean AUC (95% interval)": joined("auc", 3)}
    return part[["half", "group", "detector", "sets"]].assign(**columns, wins=part["wins"], failed=part["failed"])


if __name__ == "__main__":
    typer.run(main)
