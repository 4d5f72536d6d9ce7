"""Choose settings without the test beats: the stage `development` of benchmarks/dvc.yaml.

Each candidate is fitted `repeats` times, every time with other folds and other random numbers, to the normal training
beats. Each of these has a score from a fit that did not see it; the AUC and the average precision of the anomalous
training beats against them are averaged over the repeats. The standard error is that of this mean: it says how far
another draw of folds and random numbers would move it, not how far other beats would.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import cpu_count

from benchmarks.protocol import METRICS
from benchmarks.protocol.beats import samples
from benchmarks.protocol.cells import Cell, Result, compute
from benchmarks.protocol.configuration import PATH, Classical, Configuration, replaced
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.fits import architecture_cell, classical_cell, development_figures, fit
from ecg import params
from ecg.exceptions import reported
from ecg.files import write_csv
from ecg.params import Params
from ecg.schema import check

HEADER = ["detector", "rank", "chosen", "change", "repeats"]
MEASURES = ["auc", "average_precision"]


@dataclass(frozen=True)
class Candidate:
    """Settings of a detector, by what they change of its own; the cell is all that decides its fit but the seed."""

    detector: str
    change: str
    cell: Cell


def main() -> None:
    settings, configuration = params.load(), configure()
    repeats = configuration.development.repeats
    candidates = [*architectures(settings, configuration), *classical(settings, configuration)]
    cells = [candidate.cell | {"seed": seed} for candidate in candidates for seed in range(repeats)]
    results = compute("development", cells, measure, workers=cpu_count())
    measured = np.array([[result[name] for name in MEASURES] for result in results]).reshape(
        len(candidates), repeats, -1
    )
    means, errors = measured.mean(axis=1), measured.std(axis=1, ddof=1) / np.sqrt(repeats)  # (candidates, measures)
    table = []
    rows = zip(candidates, means, errors, strict=True)
    for detector, group in itertools.groupby(rows, key=lambda row: row[0].detector):
        ranked = sorted(group, key=lambda row: -row[1][0])
        for rank, (candidate, mean, error) in enumerate(ranked, start=1):
            chosen = "" if candidate.change else "yes"
            numbers = itertools.chain.from_iterable(zip(mean, error, strict=True))
            table.append([detector, rank, chosen, candidate.change, repeats, *numbers])
    write_csv(METRICS / "development.csv", [*HEADER, *(f"{m}{e}" for m in MEASURES for e in ("", "_se"))], table)


def architectures(settings: Params, configuration: Configuration) -> Iterator[Candidate]:
    """params.yaml's own settings for each architecture, then each change to them."""
    for name, grids in configuration.development.architectures.items():
        own = replaced(settings, {"train.model": name})
        for change in variations(grids):
            changed = replaced(own, change)
            if changed != own or not change:  # the settings as they are come once
                yield Candidate(name, shown(change), architecture_cell(changed))


def classical(settings: Params, configuration: Configuration) -> Iterator[Candidate]:
    """The same of the classical detectors, whose own settings are those that the benchmark takes."""
    for name, own in configuration.benchmark.classical.items():
        for change in variations(configuration.development.classical.get(own.kind, [])):
            changed = check(Classical, own.model_dump() | change, f"{PATH}: development.classical.{own.kind}")
            if changed != own or not change:
                yield Candidate(name, shown(change), classical_cell(changed, settings))


def variations(grids: Iterable[Mapping[str, list[Any]]]) -> Iterator[dict[str, Any]]:
    """No change; then, of each grid, every combination of its parameters' values."""
    yield {}
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def shown(change: Mapping[str, Any]) -> str:
    """A change as a person would type it after -S."""
    return " ".join(f"{name}={value}" for name, value in change.items()).replace(", ", ",")


def measure(cell: Cell) -> Result:
    """One fit: AUC and average precision of anomalous training beats against held-out normal ones."""
    return development_figures(fit(cell, samples("fit")), samples("development"))


if __name__ == "__main__":
    with reported():
        main()
