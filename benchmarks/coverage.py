"""Measure whether thresholds keep their promise: the stage `coverage` of benchmarks/dvc.yaml.

As many normal beats as the training file has are drawn at random, again and again, from all normal beats. Each time a
detector is fitted to them and calibrated on them, and the other normal beats give its false-alarm rate. Mixtures of
these and of anomalous test beats are screened as sets, too. `make readme` makes the tables of docs/results/promises.md
from what it writes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import typer
from joblib import cpu_count

from benchmarks.protocol import METRICS, PLOTS
from benchmarks.protocol.beats import labelled_test_beats, origin, samples
from benchmarks.protocol.configuration import Coverage
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Curve, draw_curves
from benchmarks.protocol.fits import detector_task, fit
from benchmarks.protocol.tasks import Result, Task, compute
from ecg import params
from ecg.detector import thresholds
from ecg.detector.calibration import attainable_count, benjamini_hochberg
from ecg.evaluation import reliability
from ecg.exceptions import exit_on_error
from ecg.files import write_csv

GRID = np.logspace(-3.5, -0.5, 61)  # of alpha, for the figure
SCREENING = ("conformal", "pot")  # the methods whose p-values are used to screen sets


def main() -> None:
    """Redraw the training beats, and compare promised and observed false-alarm and false-discovery rates."""
    settings, configuration = params.load(), configure()
    coverage = configuration.coverage
    shared = {"calibrate": settings.calibrate.model_dump(), "coverage": coverage.model_dump(exclude={"redraws"})}
    shared["origin"] = origin(settings)
    tasks = [
        detector_task(name, settings, configuration) | shared | {"seed": seed}
        for name, redraws in coverage.redraws.items()
        for seed in range(redraws)
    ]
    results = iter(compute("coverage", tasks, measure, workers=cpu_count()))
    by_detector = {name: [next(results) for _ in range(redraws)] for name, redraws in coverage.redraws.items()}
    rates = _false_alarm_rates(by_detector, coverage, len(samples("fit")))
    write_csv(METRICS / "coverage.csv", rates)
    discoveries = _discoveries(by_detector, coverage, settings.calibrate.fdr)
    write_csv(METRICS / "discoveries.csv", discoveries)
    draw_curves(PLOTS / "coverage.png", {name: _curves(redraws) for name, redraws in by_detector.items()})


def measure(task: Task) -> Result:
    """One redraw: each method's alarm rates on normal and anomalous beats, and the outcome of screening."""
    settings, coverage = params.Calibrate(**task["calibrate"]), task["coverage"]
    random = np.random.default_rng(task["seed"])
    trained_on, test = samples("fit"), labelled_test_beats(task["origin"], task["preprocess"]["normal_class"])
    normal = random.permutation(np.concatenate([trained_on, test.samples[~test.anomalous]]))
    n, anomalous = len(trained_on), test.samples[test.anomalous]
    fitted = fit(task, normal[:n])
    members = {name: fitted.member_scores(of) for name, of in (("rest", normal[n:]), ("anomalous", anomalous))}
    scores = {name: scores.mean(axis=1) for name, scores in members.items()}
    alphas = np.array([*GRID, *coverage["alphas"], coverage["rare"]])
    result: Result = {}
    for method in thresholds.METHODS:
        for kind in members:
            result[f"{method} {kind}"] = reliability.alarm_rates(
                method, fitted.errors, settings, scores[kind], members[kind], alphas
            )
    for method in SCREENING:
        p = {
            kind: reliability.p_values(method, fitted.errors, settings, scores[kind], members[kind]) for kind in members
        }
        result[f"screened by {method}"] = np.array(
            [
                _screen(p["rest"], p["anomalous"], prevalence, coverage["beats"], settings.fdr, task["seed"])
                for prevalence in coverage["prevalences"]
            ]
        )
    return result


def _screen(
    normal: np.ndarray, anomalous: np.ndarray, prevalence: float, size: int, fdr: float, seed: int
) -> tuple[float, float]:
    """Screen a random mixture of p-values: false-discovery proportion (0 without alarms) and recall."""
    random, anomalies = np.random.default_rng(seed), round(prevalence * size)
    drawn = random.choice(normal, size - anomalies, replace=False), random.choice(anomalous, anomalies, replace=False)
    false, true = np.split(benjamini_hochberg(np.concatenate(drawn), fdr), [size - anomalies])
    return false.sum() / max(false.sum() + true.sum(), 1), true.sum() / max(anomalies, 1)


def _false_alarm_rates(by_detector: Mapping[str, Sequence[Result]], coverage: Coverage, n: int) -> pd.DataFrame:
    """Promised and observed false-alarm rates, and the recall, of each detector, method and alpha."""
    rows = []
    for name, redraws in by_detector.items():
        for method in thresholds.METHODS:
            rates, recalls = (_stacked(redraws, f"{method} {kind}") for kind in ("rest", "anomalous"))
            for i, alpha in enumerate([*coverage.alphas, coverage.rare], start=len(GRID)):
                if alpha == coverage.rare and method != "pot":
                    continue  # below what n held-out beats can promise
                promised = attainable_count(n, alpha) / (n + 1) if method == "conformal" else alpha
                row = {"detector": name, "method": method, "alpha": alpha, "promised": promised}
                row |= {"redraws": len(redraws), "false_alarm_rate": rates[:, i].mean()}
                row |= {"standard_error": _standard_error(rates[:, i]), "ratio": rates[:, i].mean() / promised}
                rows.append(row | {"share_above_alpha": np.mean(rates[:, i] > alpha), "recall": recalls[:, i].mean()})
    return pd.DataFrame(rows)


def _discoveries(by_detector: Mapping[str, Sequence[Result]], coverage: Coverage, fdr: float) -> pd.DataFrame:
    """False-discovery proportion and power of each detector, method of p-values and prevalence of anomalies."""
    rows = []
    for name, redraws in by_detector.items():
        for method in SCREENING:
            screened = _stacked(redraws, f"screened by {method}")  # (redraws, prevalences, 2)
            for prevalence, (false, power) in zip(coverage.prevalences, screened.transpose(1, 2, 0), strict=True):
                row = {"detector": name, "p_values": method, "prevalence": prevalence, "fdr": fdr}
                row |= {"redraws": len(redraws), "false_discoveries": false.mean()}
                row |= {"standard_error": _standard_error(false), "power": power.mean()}
                rows.append(row | {"power_se": _standard_error(power)})
    return pd.DataFrame(rows)


def _curves(redraws: Sequence[Result]) -> list[Curve]:
    curves = []
    for method in thresholds.METHODS:
        rates = _stacked(redraws, f"{method} rest")[:, : len(GRID)]
        low, high = np.quantile(rates, [0.1, 0.9], axis=0)
        curves.append(Curve(method, GRID, rates.mean(axis=0), low, high))
    return curves


def _stacked(redraws: Sequence[Result], name: str) -> np.ndarray:
    return np.array([redraw[name] for redraw in redraws])


def _standard_error(values: np.ndarray) -> float:
    return values.std(ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    with exit_on_error():
        typer.run(main)
