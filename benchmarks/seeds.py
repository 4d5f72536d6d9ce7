"""Summarise experiments that differ only in their seed: `python -m benchmarks.seeds`, after `dvc exp run`.

Printed is one row for each setting among the current commit and its experiments: the parameters that differ from the
commit's, the number of seeds, and mean ± standard deviation of the metrics over the seeds.
"""

from typing import Annotated

import pandas as pd
import typer

from benchmarks import experiments
from benchmarks.protocol.tables import print_table, spread

METRICS = ["development_auc", "auc", "average_precision", "f1", "false_positive_rate"]


def main(metrics: Annotated[list[str], typer.Argument(help="Metrics to print.")] = METRICS) -> None:
    """Print mean and standard deviation of metrics over the seeds, a row for each setting."""
    table = experiments.read()
    table = table[(table["State"] == "") & (table["auc"] != "")]
    if unknown := set(metrics) - set(table):
        raise typer.BadParameter(f"no such metric: {', '.join(sorted(unknown))}")
    table["setting"] = experiments.settings(table, ignored=("train.seed",))
    table = table.drop_duplicates(["setting", "train.seed"])
    table[metrics] = table[metrics].apply(pd.to_numeric)
    groups = table.groupby("setting", sort=False)
    summary = groups[metrics].agg(spread)
    summary.insert(0, "seeds", groups.size())
    print_table(summary.reset_index())


if __name__ == "__main__":
    typer.run(main)
