"""The tables of results as Markdown, each from the files that its docstring names."""

import json
from collections.abc import Callable, Iterable

import pandas as pd

from docs import ROOT

METRICS = ROOT / "metrics"
HEARTS = ROOT / "hearts"

SETTINGS = ("labelled", "unlabelled", "unseen")
JUDGES = {"default": "this project", "previous": "previous", "nearest neighbour": "nearest neighbour"}
MEASURES = {
    "auc_mean": ("AUC, mean over records", ".4f"),
    "auc_p10": ("AUC, worst tenth", ".4f"),
    "ap_mean": ("average precision, mean", ".4f"),
    "far_05_mean": ("false-alarm rate at alpha 0.05, mean", ".3f"),
    "far_05_above_twice": ("records with more than twice that", ".3f"),
    "v_sensitivity": ("V beats found", ".3f"),
    "s_sensitivity": ("S beats found", ".3f"),
    "alarm_ppv": ("alarms that are abnormal beats", ".3f"),
    "false_alarms_per_hour_median": ("false alarms an hour, median over records", ".0f"),
    "auc_pooled": ("AUC, all beats together", ".4f"),
}


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table as Markdown."""
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float, form: str) -> str:
    """A number in a format, a dash for none."""
    return "-" if pd.isna(value) else format(value, form)


def benchmark() -> str:
    """Every detector over its seeds: metrics/benchmark.csv and metrics/comparison.csv."""
    runs = pd.read_csv(METRICS / "benchmark.csv").groupby("detector")
    mean, deviation, median = runs.mean(), runs.std(), runs.median()
    differences = pd.read_csv(METRICS / "comparison.csv").set_index("detector")
    measures = {
        "auc": "AUC",
        "average_precision": "average precision",
        "f1": "F1",
        "false_positive_rate": "false-alarm rate",
    }
    rows = []
    for name in mean.sort_values("auc", ascending=False).index:
        spread = [f"{mean.loc[name, m]:.4f} ± {deviation.loc[name, m]:.4f}" for m in measures]
        costs = [f"{median.loc[name, 'fit_seconds']:.2f}", f"{median.loc[name, 'beats_per_second']:,.0f}"]
        difference = "the default"
        if name in differences.index:
            one = differences.loc[name]
            ends = f"{one['auc_ci95_low']:+.4f} to {one['auc_ci95_high']:+.4f}"
            difference = f"{one['auc_difference']:+.4f} ({ends})"
        rows.append([name, *spread, *costs, difference])
    header = ["detector", *measures.values(), "fit, s", "beats/s", "AUC of the default minus this one"]
    return markdown(header, rows)


def development() -> str:
    """The settings that were candidates, by rank: metrics/development.csv."""
    table = pd.read_csv(METRICS / "development.csv", keep_default_na=False)
    rows = [
        [
            str(row["detector"]),
            str(row["rank"]),
            f"`{row['change']}`" if row["change"] else "as in params.yaml",
            "default" if row["chosen"] == "yes" else "",
            f"{row['auc']:.5f} ± {row['auc_se']:.5f}",
            f"{row['average_precision']:.4f} ± {row['average_precision_se']:.4f}",
        ]
        for row in table.to_dict("records")
    ]
    return markdown(["detector", "rank", "what is changed", "", "development AUC", "average precision"], rows)


def methods() -> str:
    """The methods that set the threshold, on the test beats: metrics/methods.csv."""
    rows = [
        [
            f"`{row['method']}`" + (", uses labels" if row["uses_labels"] else ""),
            number(row["promised_rate"], ".2f"),
            f"{row['false_positive_rate']:.4f} ({row['ci95_low']:.4f} to {row['ci95_high']:.4f})",
            f"{row['recall']:.4f}",
            f"{row['f1']:.4f}",
        ]
        for row in pd.read_csv(METRICS / "methods.csv").to_dict("records")
    ]
    return markdown(["method", "promised", "false-alarm rate, 95% interval", "recall", "F1"], rows)


def coverage() -> str:
    """Promised and observed false-alarm rates over redraws: metrics/coverage.csv."""
    table = pd.read_csv(METRICS / "coverage.csv")
    ratios = table.pivot_table(index=["method", "alpha"], columns="detector", values="ratio", sort=False)
    others = [name for name in ratios.columns if name != "dense"]
    rows = [
        [
            f"`{row['method']}`",
            f"{row['alpha']:g}",
            f"{row['promised']:.4f}",
            f"{row['false_alarm_rate']:.4f} ± {row['standard_error']:.4f}",
            f"{row['ratio']:.2f}",
            f"{row['share_above_alpha']:.1%}",
            f"{row['recall']:.3f}",
            *(number(ratios.loc[(row["method"], row["alpha"]), name], ".2f") for name in others),
        ]
        for row in table[table["detector"] == "dense"].to_dict("records")
    ]
    header = ["method", "alpha", "promised", "false-alarm rate", "/ promised", "draws above alpha", "recall"]
    return markdown([*header, *(f"/ promised, {name}" for name in others)], rows)


def discoveries() -> str:
    """Sets of 1,000 beats that are screened: metrics/discoveries.csv."""
    rows = [
        [
            row["detector"],
            f"`{row['p_values']}`",
            f"{row['prevalence']:.0%}",
            f"{row['false_discoveries']:.3f} ± {row['standard_error']:.3f}",
            f"{row['power']:.3f} ± {row['power_se']:.3f}",
        ]
        for row in pd.read_csv(METRICS / "discoveries.csv").to_dict("records")
    ]
    return markdown(
        ["detector", "p-values", "anomalies", "false alarms among the alarms", "anomalies detected"],
        rows,
    )


def drift() -> str:
    """Streams whose beats change slowly: metrics/drift.csv."""
    rows = [
        [
            f"{row['prevalence']:.0%}",
            row["threshold"],
            *(f"{row[f'false_alarm_rate_{when}']:.3f}" for when in ("steady", "ramp", "settled")),
            *(f"{row[f'recall_{when}']:.3f}" for when in ("steady", "settled")),
        ]
        for row in pd.read_csv(METRICS / "drift.csv").to_dict("records")
    ]
    header = ["anomalies", "threshold", "false-alarm rate before the drift", "during the drift"]
    return markdown([*header, "from 500 beats after it", "recall before the drift", "from 500 beats after it"], rows)


def newcomer() -> str:
    """The first minutes in a fresh clone and an empty home: docs/measured/newcomer.json."""
    doors = json.loads((ROOT / "docs" / "measured" / "newcomer.json").read_text(encoding="utf-8"))["doors"]
    titles = {
        "reproduce": "clone to figures (`make repro`)",
        "dashboard": "from there to the dashboard (`make dashboard`)",
        "report": "wheel to the report of one's own recording (`ecg scan`)",
    }
    totals = {name: pd.DataFrame(doors[name].values()).sum() for name in titles}
    rows = [
        [title, f"{totals[name]['seconds']:.0f}", *(f"{totals[name][m]:,.0f}" for m in ("downloaded", "disk"))]
        for name, title in titles.items()
    ]
    return markdown(["", "seconds", "MB to download", "MB on the disk"], rows)


def others() -> str:
    """Patients for reporting, by how much is known of them: hearts/reporting.json."""
    record = json.loads((HEARTS / "reporting.json").read_text(encoding="utf-8"))
    columns = [(setting, judge) for judge in JUDGES for setting in SETTINGS if judge in record.get(setting, {})]
    rows = [
        [name, *(number(record[setting][judge].get(measure, float("nan")), form) for setting, judge in columns)]
        for measure, (name, form) in MEASURES.items()
    ]
    return markdown(["", *(f"{JUDGES[judge]}, {setting}" for setting, judge in columns)], rows)


def architectures() -> str:
    """What was tried for the model of normal hearts: hearts/architectures.csv."""
    table = pd.read_csv(HEARTS / "architectures.csv")
    forms = [".4f" if name.endswith(("AUC", "AP")) else ".3f" for name in table.columns[2:]]
    rows = [
        [*row[:2], *(format(value, form) for value, form in zip(row[2:], forms, strict=True))]
        for row in table.itertuples(index=False)
    ]
    return markdown(table.columns, rows)


TABLES: dict[str, Callable[[], str]] = {
    table.__name__: table
    for table in (
        benchmark,
        development,
        methods,
        coverage,
        discoveries,
        drift,
        newcomer,
        others,
        architectures,
    )
}
