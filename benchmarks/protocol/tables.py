"""Tables as Markdown."""

import pandas as pd


def print_table(table: pd.DataFrame) -> None:
    """Print a table as Markdown, its columns as headings, floats to four significant digits."""
    header = [str(name).replace("_", " ") for name in table.columns]
    rows = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.to_numpy(object)]
    for row in [header, ["---"] * len(header), *rows]:
        print(f"| {' | '.join(row)} |", flush=True)


def spread(values: pd.Series) -> str:
    """Mean ± standard deviation; the mean alone of one value, and a dash of none."""
    mean, deviation = values.mean(), values.std()
    return "-" if pd.isna(mean) else f"{mean:.4f}" + ("" if pd.isna(deviation) else f" ± {deviation:.4f}")
