"""benchmarks/params.yaml: what is compared, checked before the work starts."""

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
    """One of scikit-learn's detectors: its kind, the scaling of its beats, and its size (`detectors.KINDS`)."""

    kind: Kind
    scaling: Literal["none", "standard", "filter"]
    size: Annotated[float, Field(gt=0)]


class Benchmark(Strict):
    """The stage `benchmark`: the number of seeds, and the classical detectors by their names in tables."""

    seeds: Annotated[int, Field(ge=2)]
    classical: dict[str, Classical]


class Development(Strict):
    """The stage `development`: grids of parameters of params.yaml, and of the classical detectors' settings."""

    repeats: Annotated[int, Field(ge=2)]
    architectures: dict[str, list[Grid]]
    classical: dict[Kind, list[Grid]]


class Coverage(Strict):
    """The stage `coverage`: how often to redraw the training beats, for which detectors, and what to measure.

    redraws : by the name of an architecture or of a classical detector
    alphas : at which promised and observed false-alarm rates are compared; `rare` is one below 1 / (n + 1)
    prevalences : of anomalies in the mixtures that are screened, of `beats` beats each
    """

    redraws: dict[str, Annotated[int, Field(ge=2)]]
    alphas: list[Rate]
    rare: Rate
    prevalences: list[Rate]
    beats: Annotated[int, Field(ge=1)]


class Drift(Strict):
    """The stage `drift`: streams of beats that drift slowly.

    streams : number of streams
    prevalences : of anomalies
    steady, ramp : number of beats without drift, and with growing drift
    settling, settled : number of beats with full drift, while thresholds still adapt, and after that
    scale, shift, warp : full drift: growth of the amplitude, shift of the baseline, stretching about the middle
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
    """Read and check the file; InputError names each wrong parameter, its value and the accepted values."""
    return check(Configuration, params.read(path), str(path))


def replaced(settings: Params, change: Mapping[str, Any]) -> Params:
    """The settings with other values for some dotted names, checked like params.yaml itself.

    Raises
    ------
    InputError
        If there is no such parameter, or if it does not accept the value. It names PATH, where the name and the value
        come from.
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
    return params.parse(record | {"recording": {"overrides": {}}}, str(PATH))  # they are applied already
