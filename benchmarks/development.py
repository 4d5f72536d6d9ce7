"""Choose settings without the test beats: the stage `development` of benchmarks/dvc.yaml.

Each candidate is fitted to the normal training beats `repeats` times, each time with other folds and other random
numbers. AUC and average precision of the anomalous training beats against the held-out scores of the normal ones are
averaged over the repeats. The standard error is that of this mean over folds and random numbers, not over beats.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import typer
from joblib import cpu_count

from benchmarks.protocol import METRICS
from benchmarks.protocol.beats import samples
from benchmarks.protocol.configuration import PATH, Classical, Configuration, replaced
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.fits import architecture_task, classical_task, development_figures, fit
from benchmarks.protocol.tasks import Result, Task, compute
from ecg import params
from ecg.exceptions import exit_on_error
from ecg.files import write_csv
from ecg.params import Params
from ecg.schema import check

MEASURES = ["auc", "average_precision"]


@dataclass(frozen=True)
class Candidate:
    """A detector with changed settings; the task is all that decides its fit but the seed."""

    detector: str
    change: str
    task: Task


def main() -> None:
    """Fit every candidate under every seed, and rank the candidates of each detector."""
    settings, configuration = params.load(), configure()
    repeats = configuration.development.repeats
    candidates = [*architectures(settings, configuration), *classical(settings, configuration)]
    tasks = [candidate.task | {"seed": seed} for candidate in candidates for seed in range(repeats)]
    results = compute("development", tasks, measure, workers=cpu_count())
    runs = pd.DataFrame([{name: float(result[name]) for name in MEASURES} for result in results])
    by_candidate = runs.groupby(np.repeat(range(len(candidates)), repeats))
    table = pd.DataFrame({"detector": [candidate.detector for candidate in candidates], "rank": 0})
    table["chosen"] = ["" if candidate.change else "yes" for candidate in candidates]
    table["change"] = [candidate.change for candidate in candidates]
    table["repeats"] = repeats
    for name in MEASURES:
        table[name], table[f"{name}_se"] = by_candidate[name].mean(), by_candidate[name].sem()
    table["rank"] = table.groupby("detector")["auc"].rank(method="first", ascending=False).astype(int)
    ranked = [group.sort_values("rank") for _, group in table.groupby("detector", sort=False)]
    write_csv(METRICS / "development.csv", pd.concat(ranked))


def architectures(settings: Params, configuration: Configuration) -> Iterator[Candidate]:
    """The settings of params.yaml for each architecture, then each change to them."""
    for name, grids in configuration.development.architectures.items():
        own = replaced(settings, {"train.model": name})
        for change in variations(grids):
            changed = replaced(own, change)
            if changed != own or not change:  # the settings as they are come once
                yield Candidate(name, shown(change), architecture_task(changed))


def classical(settings: Params, configuration: Configuration) -> Iterator[Candidate]:
    """The settings of the benchmark for each classical detector, then each change to them."""
    for name, own in configuration.benchmark.classical.items():
        for change in variations(configuration.development.classical.get(own.kind, [])):
            changed = check(Classical, own.model_dump() | change, f"{PATH}: development.classical.{own.kind}")
            if changed != own or not change:
                yield Candidate(name, shown(change), classical_task(changed, settings))


def variations(grids: Iterable[Mapping[str, list[Any]]]) -> Iterator[dict[str, Any]]:
    """No change; then, of each grid, every combination of its parameters' values."""
    yield {}
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def shown(change: Mapping[str, Any]) -> str:
    """A change as a person would type it after -S."""
    return " ".join(f"{name}={value}" for name, value in change.items()).replace(", ", ",")


def measure(task: Task) -> Result:
    """One fit: AUC and average precision of anomalous training beats against held-out normal ones."""
    return development_figures(fit(task, samples("fit")), samples("development"))


if __name__ == "__main__":
    with exit_on_error():
        typer.run(main)
