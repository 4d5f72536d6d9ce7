"""Figures of detectors on data sets, their ranks, intervals over sets, and what they say."""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.one_class.detectors import DETECTORS, OURS
from benchmarks.one_class.sets import ECG, HALVES

RESAMPLES = 9999
ALPHA = 0.05  # of the tests
DIGITS = 9  # of an AUC; what differs by less is level
GROUPS = ("all", "ECG")


def figures(scores: np.ndarray, anomalous: np.ndarray) -> dict[str, float]:
    """AUC and average precision, each the mean over seeds.

    scores : float ndarray of shape (seeds, m)
    anomalous : bool ndarray of shape (m,)
    """
    measures = {"auc": roc_auc_score, "average_precision": average_precision_score}
    return {name: float(np.mean([of(anomalous, score) for score in scores])) for name, of in measures.items()}


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the rank of each detector in its set, 1 for the highest AUC.

    Level detectors share the mean of their ranks, and so do those that failed, whose AUC is missing: they come last.
    """
    by_set = table["auc"].round(DIGITS).groupby(table["set"])
    return table.assign(rank=by_set.rank(ascending=False, na_option="bottom"))


def summarised(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each half, group of sets and detector, in the order of the mean ranks.

    Intervals are 95% percentile intervals over bootstrap samples of the sets, the same for all detectors. `wins` counts
    the sets in which no other has a higher AUC, `failed` those without one; the mean AUC is over the others.
    """
    rows = []
    for half in HALVES:
        for group in GROUPS:
            chosen = in_group(table, half, group)
            part = [_summary(rows_of, chosen) | {"detector": name} for name, rows_of in chosen.groupby("detector")]
            rows += [{"half": half, "group": group, **row} for row in sorted(part, key=lambda row: row["mean_rank"])]
    columns = ["half", "group", "detector", "sets", "mean_rank", "rank_low", "rank_high"]
    return pd.DataFrame(rows, columns=[*columns, "mean_auc", "auc_low", "auc_high", "wins", "failed"])


def in_group(table: pd.DataFrame, half: str, group: str) -> pd.DataFrame:
    """The rows of one half, of all its sets or of the ECG sets alone."""
    chosen = table["half"] == half
    return table[chosen & table["set"].isin(ECG)] if group == "ECG" else table[chosen]


def _summary(rows: pd.DataFrame, chosen: pd.DataFrame) -> dict[str, float]:
    """The summary of one detector's rows; `chosen` has those of the others, too."""
    best = rows["set"].map(chosen.groupby("set")["rank"].min())
    ranks, aucs = rows["rank"].to_numpy(float), rows["auc"].dropna().to_numpy(float)
    summary: dict[str, float] = {"sets": len(rows)}
    for measure, values in (("rank", ranks), ("auc", aucs)):
        low, high = interval(values)
        summary |= {f"mean_{measure}": float(values.mean()) if len(values) else np.nan}
        summary |= {f"{measure}_low": low, f"{measure}_high": high}
    return summary | {"wins": int((rows["rank"] == best).sum()), "failed": int(rows["auc"].isna().sum())}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The interval of a mean over sets; NaN of fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    resampling = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(0)}
    low, high = stats.bootstrap((values,), np.mean, **resampling).confidence_interval
    return float(low), float(high)


def friedman(table: pd.DataFrame) -> float:
    """The p-value of the Friedman test that all detectors rank alike; NaN of fewer than three, or of one set."""
    by_set = table.pivot(index="set", columns="detector", values="rank").to_numpy()
    if by_set.shape[0] < 2 or by_set.shape[1] < 3:
        return np.nan
    return float(stats.friedmanchisquare(*by_set.T).pvalue)


def critical_difference(detectors: int, sets: int, alpha: float = ALPHA) -> float:
    """By how much mean ranks must differ to be told apart by the Nemenyi test (Demšar 2006).

    Examples
    --------
    >>> round(critical_difference(5, 30), 2)
    1.11
    """
    quantile = stats.studentized_range.ppf(1 - alpha, detectors, np.inf)
    return float(quantile * np.sqrt(detectors * (detectors + 1) / (12 * sets)))


def sentence(summary: pd.DataFrame, p: float) -> str:
    """Who is first in one half and group, where this project stands, and what differences the tests see.

    summary : its rows, in the order of the mean ranks
    p : of the Friedman test; NaN if it was not made
    """
    half, group, sets = (summary[column].iloc[0] for column in ("half", "group", "sets"))
    ranks = dict(zip(summary["detector"], summary["mean_rank"].round(DIGITS), strict=True))
    best = min(ranks.values())
    first = [name for name, rank in ranks.items() if rank == best]
    named = [f"{name}, a simple detector," if DETECTORS[name].simple else name for name in first]
    which = f"{group} set" if group != "all" else "set"
    said = f"{half}, {_plural(sets, which)}: {' and '.join(named)} {'is' if len(first) == 1 else 'are together'} first"
    said += f", with a mean rank of {best:.2f} of {len(ranks)}"
    if OURS in ranks and OURS not in first:
        ahead = sum(rank < ranks[OURS] for rank in ranks.values())
        said += f"; {OURS} has {ranks[OURS]:.2f}, behind {ahead} of {len(ranks) - 1} others"
    if p >= ALPHA:
        said += f". The differences between all are within chance (Friedman test, p = {p:.2g})"
    if p < ALPHA:
        apart = critical_difference(len(ranks), sets)
        said += f". There are differences beyond chance (Friedman test, p = {p:.2g}): of mean ranks from {apart:.2f} on"
        said += f" (Nemenyi test at {ALPHA})"
    return f"{said[0].upper()}{said[1:]}."


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
