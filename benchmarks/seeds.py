"""Summarise experiments that differ only in their seed: `python -m benchmarks.seeds`, after `dvc exp run`.

Printed is one row for each setting among the current commit and its experiments: the parameters that differ from the
commit's, the number of seeds, and mean ± standard deviation of the metrics over the seeds.
"""

import subprocess
import sys
from io import StringIO
from typing import Annotated

import pandas as pd
import typer

from benchmarks.protocol.tables import print_table, spread

METRICS = ["development_auc", "auc", "average_precision", "f1", "false_positive_rate"]
SECTIONS = ("fetch.", "preprocess.", "train.", "models.", "calibrate.", "evaluate.", "recording.")


def main(metrics: Annotated[list[str], typer.Argument(help="Metrics to print.")] = METRICS) -> None:
    """Print mean and standard deviation of metrics over the seeds, a row for each setting."""
    show = [sys.executable, "-m", "dvc", "exp", "show", "--csv", "--precision", "12"]
    output = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout
    table = pd.read_csv(StringIO(output), dtype=str, keep_default_na=False)
    # Rows: the workspace, its commit, the commit's experiments. The workspace repeats another row.
    table = table[(table["rev"] != "workspace") & (table["auc"] != "")]
    if unknown := set(metrics) - set(table):
        raise typer.BadParameter(f"no such metric: {', '.join(sorted(unknown))}")
    commit = table[table["typ"] == "baseline"].iloc[0]
    params = [name for name in table.columns if name.startswith(SECTIONS) and name != "train.seed"]
    table["setting"] = [
        ", ".join(f"{name}={row[name]}" for name in params if row[name] != commit[name]) or "as committed"
        for _, row in table.iterrows()
    ]
    table = table.drop_duplicates(["setting", "train.seed"])
    table[metrics] = table[metrics].apply(pd.to_numeric)
    groups = table.groupby("setting", sort=False)
    summary = groups[metrics].agg(spread)
    summary.insert(0, "seeds", groups.size())
    print_table(summary.reset_index())


if __name__ == "__main__":
    typer.run(main)
