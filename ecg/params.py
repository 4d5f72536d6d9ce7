"""params.yaml: what every section accepts, checked as a whole before any work is done."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from ecg import models
from ecg.exceptions import InputError
from ecg.schema import Rate, Strict, check

PARAMS = Path("params.yaml")


class Fetch(Strict):
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    sources: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Preprocess(Strict):
    normal_class: int
    scaling: Literal["none", "standard", "filter"]
    smoothing: Annotated[float, Field(ge=0, le=100)]
    detrend: Annotated[int, Field(ge=0, le=10)]


class Train(Strict):
    model: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    warp: Annotated[float, Field(ge=0, lt=1)]
    wander: Annotated[float, Field(ge=0)]


class Calibrate(Strict):
    method: Literal["percentile", "conformal", "conformal_conditional", "pot", "f1"]
    alpha: Rate
    percentile: Annotated[float, Field(ge=0, le=100)]
    delta: Rate
    tail: Rate
    fdr: Rate


class Evaluate(Strict):
    histogram_bins: Annotated[int, Field(ge=2, le=1000)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]


class Params(Strict):
    """All of params.yaml. The sections under `models` belong to the architectures, which check their own."""

    fetch: Fetch
    preprocess: Preprocess
    train: Train
    models: dict[str, dict[str, Any]]
    calibrate: Calibrate
    evaluate: Evaluate


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml; InputError names each parameter that is wrong, its value and what is accepted.

    Of the architectures, that the chosen one exists and has a section; `ecg.models.check_section` looks into it.
    """
    return parse(read(path), str(path))


def read(path: Path) -> Any:
    """What stands in a YAML file of this repository, unchecked; InputError if it is missing or no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run from the root of the repository") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from None


def parse(record: Any, where: str) -> Params:
    """Check what stands in params.yaml, or in `where`, as `load` does."""
    params = check(Params, record, where)
    models.check_name(params.train.model, params.models)
    return params
