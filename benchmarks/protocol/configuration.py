"""benchmarks/params.yaml: what is compared, checked before any work is done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ecg import params
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.schema import Rate, Strict, check

PATH = Path("benchmarks/params.yaml")

Kind = Literal["pca", "knn", "ocsvm", "lof", "iforest"]
Grid = dict[str, list[Any]]  # parameters and the values to try, in every combination


class Classical(Strict):
    """One of scikit-learn's detectors: its kind, how beats are scaled for it, and its size (`detectors.KINDS`)."""

    kind: Kind
    scaling: Literal["none", "standard", "filter"]
    size: Annotated[float, Field(gt=0)]


class Benchmark(Strict):
    """The stage `benchmark`: seeds from 0 up, and the classical detectors by the names they get in tables."""

    seeds: Annotated[int, Field(ge=2)]
    classical: dict[str, Classical]


class Development(Strict):
    """The stage `development`: grids of parameters of params.yaml, and of the classical detectors' settings."""

    repeats: Annotated[int, Field(ge=2)]
    architectures: dict[str, list[Grid]]
    classical: dict[Kind, list[Grid]]


class Coverage(Strict):
    """The stage `coverage`: how often to redraw the training beats, for which detectors, and what to measure then.

    redraws : by an architecture's name or a classical detector's
    alphas : at which promised and observed false-alarm rates are compared; `rare` is one below 1 / (n + 1)
    prevalences : of anomalies in mixtures of as many `beats`, to be screened
    """

    redraws: dict[str, Annotated[int, Field(ge=2)]]
    alphas: list[Rate]
    rare: Rate
    prevalences: list[Rate]
    beats: Annotated[int, Field(ge=1)]


class Drift(Strict):
    """The stage `drift`: streams of beats whose normal changes slowly, from none to the whole of the change.

    streams : how many
    prevalences : of anomalies
    steady, ramp, settling, settled : how many beats without drift, with growing drift, and with all of it: until
        thresholds should have settled, and afterwards
    scale, shift, warp : what the amplitude gains, what is added, how far the beat is stretched about its middle
    """

    streams: Annotated[int, Field(ge=2)]
    prevalences: list[Rate]
    steady: Annotated[int, Field(ge=1)]
    ramp: Annotated[int, Field(ge=1)]
    settling: Annotated[int, Field(ge=1)]
    settled: Annotated[int, Field(ge=1)]
    scale: float
    shift: float
    warp: Annotated[float, Field(lt=1)]


class Configuration(Strict):
    """All of benchmarks/params.yaml."""

    benchmark: Benchmark
    development: Development
    coverage: Coverage
    drift: Drift


def load(path: Path = PATH) -> Configuration:
    """Read and check the file; InputError names each parameter that is wrong, its value and what is accepted."""
    return check(Configuration, params.read(path), str(path))


def replaced(settings: Params, change: Mapping[str, Any]) -> Params:
    """The settings with other values at some dotted names, checked like params.yaml itself.

    Raises
    ------
    InputError
        if there is no such parameter, or if it does not accept the value; as what is wrong stands in PATH, it names
        that file.
    """
    record = settings.model_dump()
    for name, value in change.items():
        *sections, key = name.split(".")
        section: Any = record
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section:
            raise InputError(f"{PATH}: {name} is not a parameter in params.yaml")
        section[key] = value
    return params.parse(record | {"recording": {"overrides": {}}}, str(PATH))  # the settings hold those that count
