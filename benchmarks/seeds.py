"""Summarise experiments that differ only in their seed: `python -m benchmarks.seeds`, after `dvc exp run`.

Prints one row for each setting among the current commit and its experiments: the parameters that are not as committed,
how many seeds there are, and mean ± standard deviation of the metrics over them. Name a metric or more to see no other.
"""

import argparse
import subprocess
import sys
from io import StringIO

import pandas as pd

METRICS = ["development_auc", "auc", "average_precision", "f1", "false_positive_rate"]
SECTIONS = ("fetch.", "preprocess.", "train.", "models.", "calibrate.", "evaluate.", "recording.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", nargs="*", metavar="METRIC", help=f"default: {' '.join(METRICS)}")
    metrics = parser.parse_args().metrics or METRICS
    show = [sys.executable, "-m", "dvc", "exp", "show", "--csv", "--precision", "12"]
    told = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout
    table = pd.read_csv(StringIO(told), dtype=str, keep_default_na=False)
    # Rows: the workspace, the commit that it stands on, the commit's experiments. The workspace repeats another row.
    table = table[(table["rev"] != "workspace") & (table["auc"] != "")]
    if unknown := set(metrics) - set(table):
        parser.error(f"no such metric: {', '.join(sorted(unknown))}")
    commit = table[table["typ"] == "baseline"].iloc[0]
    params = [name for name in table if name.startswith(SECTIONS) and name != "train.seed"]
    settings = table[params].apply(
        lambda row: ", ".join(f"{name}={row[name]}" for name in params if row[name] != commit[name]) or "as committed",
        axis=1,
    )
    print(f"| setting | seeds | {' | '.join(metrics)} |")
    print("|---" * (len(metrics) + 2) + "|")
    for setting, rows in table.groupby(settings, sort=False):
        rows = rows.drop_duplicates("train.seed")[metrics].apply(pd.to_numeric)
        cells = [
            f"{rows[name].mean():.4f} ± {rows[name].std():.4f}".replace(" ± nan", "").replace("nan", "-")
            for name in metrics
        ]
        print(f"| {setting} | {len(rows)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
