"""List the experiments of the current commit by their figures: `python -m benchmarks.experiments`, `make experiments`.

Listed are the finished experiments on the commit's own dataset, because figures on different beats say nothing about
settings; the best development AUC, by which settings may be chosen, comes first.
"""

import subprocess
import sys
from io import StringIO
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

WIDTH = 100  # characters
SECTIONS = ("fetch.", "preprocess.", "train.", "models.", "calibrate.", "evaluate.", "recording.")
COMMITTED = "as committed"
COLUMNS = {
    "auc": "AUC",
    "average_precision": "average\nprecision",
    "f1": "F1",
    "false_positive_rate": "false\nalarms",
    "alarm_rate": "alarms",  # of a recording without classes, in place of those above
    "alarms_per_hour": "alarms\nan hour",
    "development_auc": "development\nAUC",
}


def main(
    dataset: Annotated[str | None, typer.Option(help="Whose experiments to list. [default: the commit's]")] = None,
) -> None:
    """Print a table of the current commit's finished experiments on one dataset."""
    everything = read()
    unfinished = everything[everything["State"] != ""]
    table = everything.drop(unfinished.index)
    wanted = dataset or commit_of(table)["fetch.dataset"]
    elsewhere = table.loc[table["fetch.dataset"] != wanted, "fetch.dataset"]
    table = table.drop(elsewhere.index)
    table["setting"] = settings(everything, ignored=()).loc[table.index]
    if "development_auc" in table:
        best = pd.to_numeric(table["development_auc"])
        table = table.loc[best.sort_values(ascending=False, kind="stable").index]
    Console(width=WIDTH, highlight=False).print(drawn(table))
    print("Choose by the development AUC; the other figures are of the test beats, for reporting alone.")
    for name, number in elsewhere.value_counts().items():
        print(f"Left out: {number} on {name}; --dataset {name} lists them.")
    for state, number in unfinished["State"].value_counts().items():
        print(f"Left out: {number} {str(state).lower()}.")


def read() -> pd.DataFrame:
    """The commit and its experiments as `dvc exp show` knows them, all as text; State is empty if one is finished."""
    show = [sys.executable, "-m", "dvc", "exp", "show", "--csv", "--precision", "12"]
    output = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout
    table = pd.read_csv(StringIO(output), dtype=str, keep_default_na=False)
    table["State"] = table["State"].replace("Success", "") if "State" in table else ""
    return table[table["rev"] != "workspace"]  # which repeats another row


def commit_of(table: pd.DataFrame) -> "pd.Series[str]":
    """The row of the commit that the experiments started from."""
    return table[table["typ"] == "baseline"].iloc[0]


def settings(table: pd.DataFrame, ignored: tuple[str, ...]) -> "pd.Series[str]":
    """How parameters of each row differ from the commit's, but for those ignored: "train.epochs=9, train.seed=1"."""
    commit = commit_of(table)
    params = [name for name in table.columns if name.startswith(SECTIONS) and name not in ignored]
    return table.apply(
        lambda row: ", ".join(f"{name}={row[name]}" for name in params if row[name] != commit[name]) or COMMITTED,
        axis=1,
    )


def drawn(table: pd.DataFrame) -> Table:
    """The table as it is printed, with the figures that there are."""
    figures = {name: title for name, title in COLUMNS.items() if name in table and (table[name] != "").any()}
    result = Table(box=None, header_style="", padding=(0, 2, 0, 0))
    result.add_column("name", no_wrap=True)
    for title in figures.values():
        result.add_column(title, justify="right", no_wrap=True)
    result.add_column("what differs from the commit", ratio=1, min_width=30, overflow="fold")
    for _, row in table.iterrows():
        result.add_row(row["Experiment"] or row["rev"], *(_short(row[name]) for name in figures), row["setting"])
    return result


def _short(number: str) -> str:
    return f"{float(number):.4f}" if number else ""


if __name__ == "__main__":
    typer.run(main)
