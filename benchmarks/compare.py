"""Compare this project's detectors with classical ones on the test beats: the stage `benchmark` of benchmarks/dvc.yaml.

One protocol for all: the same normal beats to fit to, held-out scores from as many folds as params.yaml has, verdicts
from these by calibrate.method, the same test beats, every detector under every seed. Prints the table of README.md.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.protocol import METRICS, PLOTS
from benchmarks.protocol.beats import labelled_test_beats, origin, samples
from benchmarks.protocol.cells import Cell, Result, compute
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Interval, draw_intervals
from benchmarks.protocol.fits import detector_cell, development_figures, fit
from ecg import params
from ecg.detector import thresholds
from ecg.evaluation import metrics
from ecg.evaluation.metrics import Counts, Placements
from ecg.exceptions import reported
from ecg.files import write_csv

RESAMPLES = 1000
ROUNDS = 3  # of timing
COLUMNS = [
    "development_auc",
    "auc",
    "average_precision",
    "f1",
    "false_positive_rate",
    "fit_seconds",
    "beats_per_second",
]
DIFFERENCE = ["difference", "ci95_low", "ci95_high"]


def main() -> None:
    settings, configuration = params.load(), configure()
    names = [*sorted(settings.models), *configuration.benchmark.classical]
    contenders = {name: detector_cell(name, settings, configuration) for name in names}
    seeds, work = range(configuration.benchmark.seeds), {"calibrate": settings.calibrate.model_dump()}
    work["origin"] = origin(settings)
    cells = [cell | work | {"seed": seed} for cell in contenders.values() for seed in seeds]
    results = compute("benchmark", cells, measure)
    by_name = {name: results[i * len(seeds) : (i + 1) * len(seeds)] for i, name in enumerate(contenders)}
    write_csv(
        METRICS / "benchmark.csv",
        ["detector", "seed", *COLUMNS],
        [
            [name, seed, *(float(result[column]) for column in COLUMNS)]
            for name, runs in by_name.items()
            for seed, result in zip(seeds, runs, strict=True)
        ],
    )
    anomalous = labelled_test_beats(origin(settings), settings.preprocess.normal_class).anomalous
    placements = {name: _mean_placements([run["score"] for run in runs], anomalous) for name, runs in by_name.items()}
    precisions = _resampled(by_name, anomalous)
    rows = _differences(settings.train.model, by_name, placements, precisions)
    header = ["detector", *(f"{measure}_{end}" for measure in ("auc", "average_precision") for end in DIFFERENCE)]
    write_csv(METRICS / "comparison.csv", header, rows)
    intervals = [
        Interval(name, *placement.auc_with_interval(), name in settings.models)
        for name, placement in placements.items()
    ]
    draw_intervals(PLOTS / "benchmark.png", intervals, "AUC on the test beats, with its 95% interval")
    _print(by_name, {row[0]: row[1:4] for row in rows})


def measure(cell: Cell) -> Result:
    """One detector under one seed: fitted, calibrated, and measured on the test beats that somebody has labelled."""
    labelled = labelled_test_beats(cell["origin"], cell["preprocess"]["normal_class"])
    test, anomalous, development = labelled.samples, labelled.anomalous, samples("development")
    fitted = fit(cell, samples("fit"))
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        score = fitted.score(test)
        rates.append(len(test) / (time.perf_counter() - start))
    settings = params.Calibrate(**cell["calibrate"])
    calibration = thresholds.calibrate(fitted.errors, settings, "", fitted.score(development))
    alarms = calibration.anomalous(score, calibration.p(score, fitted.member_scores(test)))
    counts = Counts.of(alarms, anomalous)
    pair = score[~anomalous], score[anomalous]
    figures = {
        "development_auc": development_figures(fitted, development)["auc"],
        "auc": metrics.auc_with_interval(*pair)[0],
        "average_precision": metrics.average_precision(*pair),
        "f1": counts.f1,
        "false_positive_rate": counts.false_positive_rate,
        "fit_seconds": fitted.seconds,
        "beats_per_second": statistics.median(rates),
    }
    return {name: np.array(value) for name, value in figures.items()} | {"score": score}


def _mean_placements(scores: Sequence[np.ndarray], anomalous: np.ndarray) -> Placements:
    """The placements of the AUC's mean over seeds."""
    each = [Placements.of(score[~anomalous], score[anomalous]) for score in scores]
    return Placements(np.mean([p.normal for p in each], axis=0), np.mean([p.anomalous for p in each], axis=0))


def _resampled(by_name: dict[str, list[Result]], anomalous: np.ndarray) -> dict[str, np.ndarray]:
    """Average precision, mean over seeds, as it is (first) and on resampled beats, the same for all detectors."""
    counts = np.concatenate([np.ones((1, len(anomalous)), int), *metrics.stratified_resamples(anomalous, RESAMPLES)])
    resampled = {}
    for name, runs in tqdm(by_name.items(), desc="bootstrap", unit="detector", disable=None):
        different = np.unique([run["score"] for run in runs], axis=0, return_counts=True)
        values = [metrics.resampled_average_precision(score, anomalous, counts) for score in different[0]]
        resampled[name] = np.average(values, axis=0, weights=different[1])
    return resampled


def _differences(
    default: str,
    by_name: dict[str, list[Result]],
    placements: dict[str, Placements],
    precisions: dict[str, np.ndarray],
) -> list[list[Any]]:
    """The default's AUC and average precision less each other detector's, with 95% intervals, by the AUC."""
    ours, rows = placements[default], []
    for name in by_name:
        if name != default:
            theirs = placements[name]
            auc = Placements(ours.normal - theirs.normal, ours.anomalous - theirs.anomalous).interval()
            precision = precisions[default] - precisions[name]
            rows.append([name, *auc, precision[0], *metrics.percentile_interval(precision[1:])])
    return sorted(rows, key=lambda row: row[1])


def _print(by_name: dict[str, list[Result]], differences: dict[str, Sequence[float]]) -> None:
    print(
        "| detector | AUC | average precision | F1 | false-alarm rate | fit, s | beats/s | AUC of the default less it |"
    )
    print("|---|---|---|---|---|---|---|---|")
    mean = {name: {c: np.array([run[c] for run in runs]) for c in COLUMNS} for name, runs in by_name.items()}
    for name, values in sorted(mean.items(), key=lambda item: -item[1]["auc"].mean()):
        spread = [f"{values[c].mean():.4f} ± {values[c].std(ddof=1):.4f}" for c in COLUMNS[1:5]]
        seconds, rate = np.median(values["fit_seconds"]), np.median(values["beats_per_second"])
        gap = "{:+.4f} ({:+.4f} to {:+.4f})".format(*differences[name]) if name in differences else "the default"
        print(f"| {name} | {' | '.join(spread)} | {seconds:.2f} | {rate:,.0f} | {gap} |")


if __name__ == "__main__":
    with reported():
        main()
