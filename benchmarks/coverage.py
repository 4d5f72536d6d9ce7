"""Measure whether thresholds keep their promise: the stage `coverage` of benchmarks/dvc.yaml.

As many normal beats as the training file has are drawn at random, again and again, from all normal beats there are.
Each time a detector is fitted to them and calibrated on them, and the rest of the normal beats, which played no part,
say what its false-alarm rate is. Mixtures of these and of anomalous test beats are screened as sets, too. Prints the
tables of README.md.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from joblib import cpu_count

from benchmarks.protocol import METRICS, PLOTS
from benchmarks.protocol.beats import labelled_test_beats, origin, samples
from benchmarks.protocol.cells import Cell, Result, compute
from benchmarks.protocol.configuration import Configuration
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Curve, draw_curves
from benchmarks.protocol.fits import detector_cell, fit
from ecg import params
from ecg.detector import thresholds
from ecg.detector.calibration import attainable_count, benjamini_hochberg
from ecg.evaluation import reliability
from ecg.evaluation.metrics import Counts
from ecg.exceptions import reported
from ecg.files import write_csv

GRID = np.logspace(-3.5, -0.5, 61)  # of alpha, for the figure
SCREENED_BY = ("conformal", "pot")  # the methods whose p-values sets are screened by
COVERAGE = ["detector", "method", "alpha", "promised", "redraws", "false_alarm_rate", "standard_error"]
COVERAGE += ["ratio", "share_above_alpha", "recall"]
DISCOVERIES = ["detector", "p_values", "prevalence", "fdr", "redraws", "false_discoveries", "standard_error"]
DISCOVERIES += ["power", "power_se"]


def main() -> None:
    settings, configuration = params.load(), configure()
    coverage = configuration.coverage
    detectors = {name: detector_cell(name, settings, configuration) for name in coverage.redraws}
    work = {"calibrate": settings.calibrate.model_dump(), "coverage": coverage.model_dump(exclude={"redraws"})}
    work["origin"] = origin(settings)
    cells = [detectors[name] | work | {"seed": seed} for name, n in coverage.redraws.items() for seed in range(n)]
    results = iter(compute("coverage", cells, measure, workers=cpu_count()))
    by_name = {name: [next(results) for _ in range(n)] for name, n in coverage.redraws.items()}
    n = len(samples("fit"))
    rows = [row for name, redraws in by_name.items() for row in _coverage(name, redraws, configuration, n)]
    write_csv(METRICS / "coverage.csv", COVERAGE, rows)
    found = [row for name, redraws in by_name.items() for row in _discoveries(name, redraws, settings, configuration)]
    write_csv(METRICS / "discoveries.csv", DISCOVERIES, found)
    draw_curves(PLOTS / "coverage.png", {name: _curves(redraws) for name, redraws in by_name.items()})
    _print(COVERAGE, rows)
    _print(DISCOVERIES, found)


def measure(cell: Cell) -> Result:
    """One redraw: what each method's alarms are on normal and anomalous beats, and what screening finds."""
    settings, coverage = params.Calibrate(**cell["calibrate"]), cell["coverage"]
    random = np.random.default_rng(cell["seed"])
    trained_on, test = samples("fit"), labelled_test_beats(cell["origin"], cell["preprocess"]["normal_class"])
    normal = random.permutation(np.concatenate([trained_on, test.samples[~test.anomalous]]))
    n, anomalous = len(trained_on), test.samples[test.anomalous]
    fitted = fit(cell, normal[:n])
    members = {name: fitted.member_scores(of) for name, of in (("rest", normal[n:]), ("anomalous", anomalous))}
    scores = {name: scores.mean(axis=1) for name, scores in members.items()}
    alphas = np.array([*GRID, *coverage["alphas"], coverage["rare"]])
    result: Result = {}
    for method in thresholds.METHODS:
        for kind in members:
            result[f"{method} {kind}"] = reliability.alarm_rates(
                method, fitted.errors, settings, scores[kind], members[kind], alphas
            )
    for method in SCREENED_BY:
        p = {
            kind: reliability.p_values(method, fitted.errors, settings, scores[kind], members[kind]) for kind in members
        }
        result[f"screened by {method}"] = np.array(
            [
                _screened(p["rest"], p["anomalous"], prevalence, coverage["beats"], settings.fdr, cell["seed"])
                for prevalence in coverage["prevalences"]
            ]
        )
    return result


def _screened(
    normal: np.ndarray, anomalous: np.ndarray, prevalence: float, size: int, level: float, seed: int
) -> tuple[float, float]:
    """The share of false ones among the alarms on a random mixture, and the share of anomalies that are found."""
    random, hidden = np.random.default_rng(seed), round(prevalence * size)
    drawn = random.choice(normal, size - hidden, replace=False), random.choice(anomalous, hidden, replace=False)
    found = benjamini_hochberg(np.concatenate(drawn), level)
    counts = Counts.of(found, np.arange(size) >= size - hidden)
    return counts.false_discovery_proportion, counts.recall


def _coverage(name: str, redraws: Sequence[Result], configuration: Configuration, n: int) -> Iterator[list[Any]]:
    coverage = configuration.coverage
    for method in thresholds.METHODS:
        rates, caught = (np.array([redraw[f"{method} {kind}"] for redraw in redraws]) for kind in ("rest", "anomalous"))
        for i, alpha in enumerate([*coverage.alphas, coverage.rare], start=len(GRID)):
            if alpha == coverage.rare and method != "pot":
                continue  # less than one held-out beat can promise
            promised = attainable_count(n, alpha) / (n + 1) if method == "conformal" else alpha
            mean, error = rates[:, i].mean(), rates[:, i].std(ddof=1) / np.sqrt(len(redraws))
            above = float(np.mean(rates[:, i] > alpha))
            row = [name, method, alpha, promised, len(redraws), mean, error, mean / promised, above]
            yield [*row, caught[:, i].mean()]


def _discoveries(
    name: str, redraws: Sequence[Result], settings: params.Params, configuration: Configuration
) -> Iterator[list[Any]]:
    for method in SCREENED_BY:
        found = np.array([redraw[f"screened by {method}"] for redraw in redraws])  # (redraws, prevalences, 2)
        means, errors = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(redraws))
        for i, prevalence in enumerate(configuration.coverage.prevalences):
            numbers = means[i, 0], errors[i, 0], means[i, 1], errors[i, 1]
            yield [name, method, prevalence, settings.calibrate.fdr, len(redraws), *numbers]


def _curves(redraws: Sequence[Result]) -> list[Curve]:
    curves = []
    for method in thresholds.METHODS:
        rates = np.array([redraw[f"{method} rest"][: len(GRID)] for redraw in redraws])
        low, high = np.quantile(rates, [0.1, 0.9], axis=0)
        curves.append(Curve(method, GRID, rates.mean(axis=0), low, high))
    return curves


def _print(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    print(f"| {' | '.join(name.replace('_', ' ') for name in header)} |")
    print("|---" * len(header) + "|")
    for row in rows:
        print(f"| {' | '.join(f'{x:.4g}' if isinstance(x, float) else str(x) for x in row)} |")


if __name__ == "__main__":
    with reported():
        main()
