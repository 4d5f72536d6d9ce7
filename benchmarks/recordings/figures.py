"""Figures of each recording, and over recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.recordings.detectors import ALPHAS, Judged
from ecg.data.aami import NORMAL

S, V = 2, 3  # classes of the AAMI
FEWEST = 5  # normal and abnormal beats that an AUC is computed from
RESAMPLES = 2000  # of the patients, for bootstrap intervals
WORST = 0.1  # share of the recordings that are the worst


@dataclass(frozen=True)
class Counts:
    """Alarms at the default alarm setting: of abnormal and of normal beats, and abnormal beats without one."""

    true: int
    false: int
    missed: int

    @property
    def f1(self) -> float:
        """The F1 score."""
        return _ratio(2 * self.true, 2 * self.true + self.false + self.missed)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.true + other.true, self.false + other.false, self.missed + other.missed)


def counts(judged: Judged) -> Counts:
    """Alarms of a recording; undetected abnormal beats are missed."""
    alarms, labels = judged.alarms[None], judged.labels
    abnormal = int((labels > NORMAL).sum()) + sum(judged.missed.values())
    true = int(alarms[labels > NORMAL].sum())
    return Counts(true, int(alarms[labels == NORMAL].sum()), abnormal - true)


def of_recording(judged: Judged) -> dict[str, float]:
    """The figures of one recording; NaN where there are too few beats of a kind."""
    labels, alarms = judged.labels, judged.alarms[None]
    labelled = labels > 0
    abnormal, score = labels[labelled] > NORMAL, judged.score[labelled]
    enough = min(abnormal.sum(), (~abnormal).sum()) >= FEWEST
    rates = {f"far_{_digits(alpha)}": _mean(judged.alarms[alpha][labels == NORMAL]) for alpha in ALPHAS}
    count = counts(judged)
    return {
        "auc": float(roc_auc_score(abnormal, score)) if enough else np.nan,
        "ap": float(average_precision_score(abnormal, score)) if enough else np.nan,
        **rates,
        "far_default": _mean(alarms[labels == NORMAL]),
        "alarms_per_hour_05": float(judged.alarms[0.05].sum() / judged.hours),
        "alarms_per_hour": float(alarms.sum() / judged.hours),
        "false_alarms_per_hour": count.false / judged.hours,
        "v_sensitivity": _sensitivity(judged, V),
        "s_sensitivity": _sensitivity(judged, S),
        "alarm_ppv": _ratio(count.true, count.true + count.false),
        "f1": count.f1,
        "beats": float(labelled.sum()),
        "abnormal": float(abnormal.sum()),
    }


def over_recordings(judged: dict[str, Judged], f1_records: set[str]) -> dict[str, Any]:
    """The figures over recordings, by their names: means count each recording alike, pooled ones each beat.

    f1_records : the recordings that the pooled F1 is of, where there are any of them; otherwise it is of all
    """
    rows = pd.DataFrame({name: of_recording(one) for name, one in judged.items()}).T
    auc, chosen = rows["auc"].dropna(), [one for name, one in judged.items() if name in f1_records]
    pooled = sum(map(counts, judged.values()), Counts(0, 0, 0))
    f1 = sum(map(counts, chosen or judged.values()), Counts(0, 0, 0))
    labels = np.concatenate([one.labels for one in judged.values()])
    score = np.concatenate([one.score for one in judged.values()])[labels > 0]
    abnormal = labels[labels > 0] > NORMAL
    means = ("ap", "far_01", "far_05", "far_default", "alarms_per_hour_05", "alarms_per_hour", "false_alarms_per_hour")
    return {
        "records": len(judged),
        "auc_records": len(auc),
        "auc_mean": auc.mean(),
        "auc_mean_interval": interval(auc.to_numpy()),
        "auc_median": auc.median(),
        "auc_p10": auc.quantile(WORST),
        **{name if "per_hour" in name else f"{name}_mean": rows[name].mean() for name in means},
        "ap_mean_interval": interval(rows["ap"].dropna().to_numpy()),
        "far_05_mean_interval": interval(rows["far_05"].dropna().to_numpy()),
        **{f"far_{_digits(a)}_above_twice": _mean(rows[f"far_{_digits(a)}"].dropna() > 2 * a) for a in ALPHAS},
        "false_alarms_per_hour_median": rows["false_alarms_per_hour"].median(),
        "v_sensitivity": _pooled(judged, V),
        "s_sensitivity": _pooled(judged, S),
        "v_sensitivity_mean": rows["v_sensitivity"].mean(),
        "s_sensitivity_mean": rows["s_sensitivity"].mean(),
        "alarm_ppv": _ratio(pooled.true, pooled.true + pooled.false),
        "alarm_ppv_mean": rows["alarm_ppv"].mean(),
        "f1_pooled": f1.f1,
        "f1_records": len(chosen) or len(judged),
        "auc_pooled": float(roc_auc_score(abnormal, score)) if 0 < abnormal.sum() < len(abnormal) else np.nan,
    }


def ahead(ours: dict[str, Judged], other: dict[str, Judged]) -> dict[str, int]:
    """On how many recordings another detector has the higher AUC, of those that both have one of."""
    pairs = [(of_recording(ours[name])["auc"], of_recording(other[name])["auc"]) for name in ours.keys() & other.keys()]
    both = [(a, b) for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
    return {"ahead": sum(b > a for a, b in both), "compared": len(both)}


def interval(values: np.ndarray) -> list[float]:
    """The 95% bootstrap interval of a mean over patients."""
    if not len(values):
        return [np.nan, np.nan]
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return np.quantile(values[drawn].mean(axis=1), [0.025, 0.975]).tolist()


def _sensitivity(judged: Judged, label: int) -> float:
    beats = judged.labels == label
    return _ratio(judged.alarms[None][beats].sum(), beats.sum() + judged.missed[label])


def _pooled(judged: dict[str, Judged], label: int) -> float:
    alarms = sum(int(one.alarms[None][one.labels == label].sum()) for one in judged.values())
    beats = sum(int((one.labels == label).sum()) + one.missed[label] for one in judged.values())
    return _ratio(alarms, beats)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _mean(values: Sequence[bool] | np.ndarray | pd.Series) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _digits(alpha: float) -> str:
    return f"{alpha:.2f}".partition(".")[2]
