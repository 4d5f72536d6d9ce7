"""benchmarks/params.yaml: what is compared, checked before any work is done."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from ecg.exceptions import InputError
from ecg.files import read_bytes
from ecg.schema import Strict, check

PATH = Path("benchmarks/params.yaml")

Kind = Literal["pca", "knn", "ocsvm", "lof", "iforest"]
Grid = dict[str, list[Any]]  # parameters and the values to try, in every combination


class Classical(Strict):
    """One of scikit-learn's detectors: its kind, how beats are scaled for it, and its size (detectors.KINDS)."""

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


class Configuration(Strict):
    """All of benchmarks/params.yaml."""

    benchmark: Benchmark
    development: Development


def load(path: Path = PATH) -> Configuration:
    """Read and check the file; InputError names each parameter that is wrong, its value and what is accepted."""
    try:
        record = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from None
    return check(Configuration, record, str(path))
