"""Choose settings without the test beats: the stage `development` of benchmarks/dvc.yaml.

Each candidate is fitted `repeats` times, every time with other folds and other random numbers, to the normal training
beats. Each of these has a score from a fit that did not see it; the AUC and the average precision of the anomalous
training beats against them are averaged over the repeats. The standard error is that of this mean: it says how far
another draw of folds and random numbers would move it, not how far other beats would.
"""

import copy
import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.cells import Cell, Result, compute
from benchmarks.configuration import PATH, Classical, Configuration
from benchmarks.configuration import load as configure
from benchmarks.detectors import Fitted, fit_architecture, fit_classical
from ecg import beats, metrics, models, params
from ecg.exceptions import InputError
from ecg.files import write_csv
from ecg.schema import check
from stages import METRICS, PROCESSED, run

HEADER = ["detector", "rank", "chosen", "change", "repeats"]
MEASURES = ["auc", "average_precision"]


def main() -> None:
    record = params.read(params.PARAMS)
    configuration = configure()
    repeats = configuration.development.repeats
    candidates = list(architectures(record, configuration)) + list(classical(record, configuration))
    cells = [cell | {"seed": seed} for _, _, cell in candidates for seed in range(repeats)]
    results = compute("development", cells, measure, workers=os.cpu_count() or 1)
    measured = np.array([[result[name] for name in MEASURES] for result in results]).reshape(
        len(candidates), repeats, -1
    )
    means, errors = measured.mean(axis=1), measured.std(axis=1, ddof=1) / np.sqrt(repeats)  # (candidates, measures)
    rows = [(*candidate[:2], *values) for candidate, *values in zip(candidates, means, errors, strict=True)]
    table = []
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        ranked = sorted(group, key=lambda row: -row[2][0])
        for rank, (detector, change, mean, error) in enumerate(ranked, start=1):
            chosen = "" if change else "yes"
            numbers = itertools.chain.from_iterable(zip(mean, error, strict=True))
            table.append([detector, rank, chosen, change, repeats, *numbers])
    write_csv(METRICS / "development.csv", [*HEADER, *(f"{m}{e}" for m in MEASURES for e in ("", "_se"))], table)


def architectures(record: Any, configuration: Configuration) -> Iterable[tuple[str, str, Cell]]:
    """(detector, change, cell) of params.yaml's own settings for each architecture, then of each change to them."""
    for name, grids in configuration.development.architectures.items():
        own = replaced(record, {"train.model": name})
        for change in variations(grids):
            changed = replaced(own, change)
            if changed != own or not change:  # the settings as they are come once
                yield name, told(change), architecture_cell(params.parse(changed, str(PATH)))


def classical(record: Any, configuration: Configuration) -> Iterable[tuple[str, str, Cell]]:
    """The same of the classical detectors, whose own settings are those that the benchmark takes."""
    settings = params.parse(record, str(params.PARAMS))
    for name, own in configuration.benchmark.classical.items():
        for change in variations(configuration.development.classical.get(own.kind, [])):
            changed = check(Classical, own.model_dump() | change, f"{PATH}: development.classical.{own.kind}")
            if changed != own or not change:
                yield name, told(change), classical_cell(changed, settings)


def architecture_cell(settings: params.Params) -> Cell:
    """What decides the fit of `train.model`, the seed aside."""
    model = settings.train.model
    train, preprocess = settings.train.model_dump(exclude={"seed"}), settings.preprocess.model_dump()
    return {"train": train, "preprocess": preprocess, "models": {model: settings.models[model]}}


def classical_cell(own: Classical, settings: params.Params) -> Cell:
    """What decides the fit of a classical detector, the seed aside."""
    folds, preprocess = settings.train.folds, settings.preprocess.model_dump()
    return {"classical": own.model_dump(), "preprocess": preprocess, "folds": folds}


def detector_cell(name: str, settings: params.Params, configuration: Configuration) -> Cell:
    """What decides the fit of an architecture or of a classical detector, by its name, the seed aside."""
    if name in configuration.benchmark.classical:
        return classical_cell(configuration.benchmark.classical[name], settings)
    models.check_name(name, settings.models)
    train = settings.train.model_copy(update={"model": name})
    return architecture_cell(settings.model_copy(update={"train": train}))


def variations(grids: Iterable[Mapping[str, list[Any]]]) -> Iterable[dict[str, Any]]:
    """No change; then, of each grid, every combination of its parameters' values."""
    yield {}
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def replaced(record: Any, change: Mapping[str, Any]) -> Any:
    """A copy of params.yaml's content with other values at some dotted names."""
    record = copy.deepcopy(record)
    for name, value in change.items():
        *sections, key = name.split(".")
        section = record
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section:
            raise InputError(f"{PATH}: {name} is not a parameter in params.yaml")
        section[key] = value
    return record


def told(change: Mapping[str, Any]) -> str:
    """A change as a person would type it after -S."""
    return " ".join(f"{name}={value}" for name, value in change.items()).replace(", ", ",")


def samples(part: str) -> np.ndarray:
    """The beats of one of the parts that the preprocess stage writes: fit, development or test."""
    return beats.load(PROCESSED / f"{part}.npz").samples


def fit(cell: Cell, normal: np.ndarray) -> Fitted:
    """The fit that a cell describes."""
    preprocess = params.Preprocess(**cell["preprocess"])
    if "classical" in cell:
        return fit_classical(Classical(**cell["classical"]), preprocess, cell["folds"], cell["seed"], normal)
    return fit_architecture(params.Train(**cell["train"], seed=cell["seed"]), preprocess, cell["models"], normal)


def measure(cell: Cell) -> Result:
    """One fit: AUC and average precision of anomalous training beats against held-out normal ones."""
    return development(fit(cell, samples("fit")), samples("development"))


def development(fitted: Fitted, anomalous: np.ndarray) -> Result:
    """What the choice of settings goes by."""
    pair = fitted.errors.calibrating, fitted.member_scores(anomalous).mean(axis=1)
    return {
        "auc": np.array(metrics.auc_with_interval(*pair)[0]),
        "average_precision": np.array(metrics.average_precision(*pair)),
    }


if __name__ == "__main__":
    run(main)
