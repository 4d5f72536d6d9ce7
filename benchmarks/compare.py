"""Compare this project's detectors with classical ones on the test beats: the stage `benchmark` of benchmarks/dvc.yaml.

One protocol for all: the same normal beats to fit to, held-out scores from as many folds as params.yaml has, verdicts
from these by calibrate.method, the same test beats, every detector under every seed. `make readme` makes the table of
docs/results/ecg5000.md from what it writes.
"""

import statistics
import time

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from benchmarks.protocol import METRICS, PLOTS
from benchmarks.protocol.beats import labelled_test_beats, origin, samples
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Interval, draw_intervals
from benchmarks.protocol.fits import detector_task, development_figures, fit
from benchmarks.protocol.tasks import Result, Task, compute
from ecg import params
from ecg.detector import thresholds
from ecg.evaluation import metrics
from ecg.evaluation.metrics import Placements
from ecg.exceptions import exit_on_error
from ecg.files import write_csv

RESAMPLES = 1000
ROUNDS = 3  # of timing
MEASURES = ["development_auc", "auc", "average_precision", "f1", "false_positive_rate"]
COSTS = ["fit_seconds", "beats_per_second"]


def main() -> None:
    """Fit and measure every detector under every seed, and compare the default with each."""
    settings, configuration = params.load(), configure()
    names, seeds = [*sorted(settings.models), *configuration.benchmark.classical], range(configuration.benchmark.seeds)
    shared = {"calibrate": settings.calibrate.model_dump(), "origin": origin(settings)}
    tasks = [detector_task(name, settings, configuration) | shared | {"seed": seed} for name in names for seed in seeds]
    results = compute("benchmark", tasks, measure)
    runs = pd.DataFrame([{column: float(result[column]) for column in MEASURES + COSTS} for result in results])
    runs.insert(0, "detector", np.repeat(names, len(seeds)))
    runs.insert(1, "seed", np.tile(seeds, len(names)))
    write_csv(METRICS / "benchmark.csv", runs)
    by_detector = np.array([result["score"] for result in results]).reshape(len(names), len(seeds), -1)
    scores = dict(zip(names, by_detector, strict=True))
    anomalous = labelled_test_beats(origin(settings), settings.preprocess.normal_class).anomalous
    placements = {name: _mean_placements(by_seed, anomalous) for name, by_seed in scores.items()}
    draw_intervals(
        PLOTS / "benchmark.png",
        [Interval(name, *values.auc_with_interval(), name in settings.models) for name, values in placements.items()],
        "AUC on the test beats, with its 95% interval",
    )
    precisions = {name: _resampled_precisions(by_seed, anomalous) for name, by_seed in scores.items()}
    comparison = _differences(settings.train.model, placements, precisions)
    write_csv(METRICS / "comparison.csv", comparison)


def measure(task: Task) -> Result:
    """Fit and calibrate one detector under one seed, and measure it on the labelled test beats."""
    labelled = labelled_test_beats(task["origin"], task["preprocess"]["normal_class"])
    test, anomalous, development = labelled.samples, labelled.anomalous, samples("development")
    fitted = fit(task, samples("fit"))
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        score = fitted.score(test)
        rates.append(len(test) / (time.perf_counter() - start))
    settings = params.Calibrate(**task["calibrate"])
    calibration = thresholds.calibrate(fitted.errors, settings, "", fitted.score(development))
    alarms = calibration.anomalous(score, calibration.p(score, fitted.member_scores(test)))
    figures = {
        "development_auc": development_figures(fitted, development)["auc"],
        "auc": roc_auc_score(anomalous, score),
        "average_precision": average_precision_score(anomalous, score),
        "f1": f1_score(anomalous, alarms),
        "false_positive_rate": alarms[~anomalous].mean(),
        "fit_seconds": fitted.seconds,
        "beats_per_second": statistics.median(rates),
    }
    return {name: np.array(value) for name, value in figures.items()} | {"score": score}


def _mean_placements(scores: np.ndarray, anomalous: np.ndarray) -> Placements:
    """The placement values of the mean AUC over seeds, from scores of shape (seeds, beats)."""
    each = [Placements.of(score[~anomalous], score[anomalous]) for score in scores]
    return Placements(np.mean([p.normal for p in each], axis=0), np.mean([p.anomalous for p in each], axis=0))


def _resampled_precisions(scores: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
    """The mean average precision over seeds, on all beats (first) and on bootstrap samples, the same for all detectors.

    scores : of one detector, of shape (seeds, beats)
    """
    different, counts = np.unique(scores, axis=0, return_counts=True)  # many detectors do not depend on the seed
    values = [
        [average_precision_score(anomalous, score), *metrics.bootstrap_average_precision(score, anomalous, RESAMPLES)]
        for score in different
    ]
    return np.average(values, axis=0, weights=counts)


def _differences(default: str, placements: dict[str, Placements], precisions: dict[str, np.ndarray]) -> pd.DataFrame:
    """The default's AUC and average precision less each other detector's, with 95% intervals, sorted by the AUC."""
    ours, rows = placements[default], []
    for name, theirs in placements.items():
        if name != default:
            auc = Placements(ours.normal - theirs.normal, ours.anomalous - theirs.anomalous).interval()
            precision, *resampled = precisions[default] - precisions[name]
            rows.append([name, *auc, precision, *metrics.percentile_interval(np.array(resampled))])
    ends = ("difference", "ci95_low", "ci95_high")
    columns = ["detector", *(f"{measure}_{end}" for measure in ("auc", "average_precision") for end in ends)]
    return pd.DataFrame(rows, columns=columns).sort_values("auc_difference", kind="stable")


if __name__ == "__main__":
    with exit_on_error():
        typer.run(main)
