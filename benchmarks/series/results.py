"""What each detector makes of each series, kept in files; intervals over series; the tables."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count

from benchmarks.estimators import SERIES
from benchmarks.protocol.tasks import Result, Task, compute
from benchmarks.series.detectors import DETECTORS
from ecg.exceptions import InputError
from ecg.files import write_csv, write_json

# What decides a result, beside the series, how they are read, and the version of a peer.
DETECTING = [Path("benchmarks/series/detectors.py"), Path("benchmarks/series/periods.py")]
# The first take minutes for all of an archive, the last hours: what is finished is written before the next begins.
BY_COST = (
    *("SeriesDetector", "SpectralResidual", "PCA", "nearest normal window", "nearest normal window, 100", "IForest"),
    *("discord", "discord, 100", "KNN", "LOF"),
)
RESAMPLES = 2000  # for bootstrap intervals
PEERS = "make peers, then .venv-peers/bin/python -m ..."


def chosen(names: Sequence[str]) -> list[str]:
    """The detectors of these names, or all that are installed, by cost.

    InputError for one that does not exist or is not installed.
    """
    for name in names:
        if name not in DETECTORS:
            raise InputError(f"--detector {name}: it should be one of {'; '.join(DETECTORS)}")
        if not DETECTORS[name].available:
            raise InputError(f"--detector {name} needs {DETECTORS[name].package}: {PEERS}")
    if missing := [] if names else [name for name, detector in DETECTORS.items() if not detector.available]:
        print(f"not installed, left aside: {'; '.join(missing)}. To have them: {PEERS}", file=sys.stderr)
    available = names or [name for name, detector in DETECTORS.items() if detector.available]
    return sorted(available, key=lambda name: BY_COST.index(name) if name in BY_COST else len(BY_COST))


def results(
    benchmark: str, detectors: Sequence[str], tasks: Sequence[Task], work: Callable[[Task], Result], reading: Path
) -> Iterator[dict[str, list[Result]]]:
    """By detector, the result of `work` for each task, which it gets together with the detector's name.

    After each detector, with those before it.

    Where a detector fails, the result is its `error`, which is printed: that is no reason to stop.

    reading : the module with `work`, which decides the results, too
    """
    found: dict[str, list[Result]] = {}
    for name in detectors:
        detector = DETECTORS[name]
        own = [task | {"detector": name, "version": detector.version} for task in tasks]
        dependencies = [*DETECTING, reading, *([] if detector.package else SERIES)]
        found[name] = compute(f"{benchmark}-{name}", own, partial(_result, work), cpu_count(), dependencies)
        for task, result in zip(own, found[name], strict=True):
            if "error" in result:
                print(f"{name} fails on {task['file']}: {result['error']}", file=sys.stderr)
        yield found


def _result(work: Callable[[Task], Result], task: Task) -> Result:
    try:
        return work(task)
    except ImportError:
        raise  # this fails on all series
    except Exception as error:  # a peer may raise anything
        return {"error": np.array(f"{type(error).__name__}: {error}")}


def write(
    metrics: Path,
    name: str,
    table: pd.DataFrame,
    summary: pd.DataFrame,
    json_file: Path | None,
    figures: Mapping[str, Mapping[str, float]],
) -> None:
    """Write a benchmark's figures of each series, and over series, as tables in `metrics`, and others as JSON.

    json_file : None if these are not asked for
    """
    write_csv(metrics / f"{name}.csv", table)
    write_csv(metrics / f"{name}_summary.csv", summary)
    if json_file is not None:
        write_json(json_file, figures)


def interval(values: np.ndarray, groups: Sequence[str]) -> tuple[float, float]:
    """The 95% bootstrap interval of a mean, where the values of a group belong together.

    values : ndarray of shape (n,)
    groups : n names; groups are drawn, with all of their values
    """
    _, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def means(figures: Mapping[str, np.ndarray], groups: Sequence[str]) -> list[tuple[str, float, float, float]]:
    """Each detector's mean with the ends of its interval, highest first.

    figures : by detector, one for each of the n series that `groups` names
    """
    rows = [(name, float(np.mean(values)), *interval(values, groups)) for name, values in figures.items()]
    return sorted(rows, key=lambda row: -row[1])


def sentence(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Which detector is first, from their means.

    Examples
    --------
    >>> sentence("All 3 series", [("PCA", 0.4), ("discord", 0.6), ("KNN", 0.6)])
    'All 3 series: discord and KNN are first, with 0.600; then PCA, with 0.400.'
    """
    values = sorted({mean for _, mean in rows}, reverse=True)[:2]
    names = [[name for name, mean in rows if mean == value] for value in values]
    said = f"{title}: {' and '.join(names[0])} {'is' if len(names[0]) == 1 else 'are'} first, with {values[0]:.3f}"
    return f"{said}; then {' and '.join(names[1])}, with {values[1]:.3f}." if len(values) > 1 else f"{said}."
