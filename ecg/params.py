"""params.yaml: what every section accepts, checked as a whole before any work is done.

Where a value is a mapping with an entry for each source of beats, the entry of `fetch.source` counts.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field

from ecg import models
from ecg.exceptions import InputError
from ecg.recordings.settings import Recording
from ecg.schema import Rate, Strict, check

PARAMS = Path("params.yaml")
Source = Literal["archive", "recording"]
SOURCES: tuple[Source, ...] = get_args(Source)


class Fetch(Strict):
    source: Source
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    sources: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    recording: Recording


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


def read(path: Path, source: Source | None = None) -> Any:
    """What stands in a YAML file of this repository, unchecked, with the values that count for a source of beats.

    Parameters
    ----------
    source : instead of the one in the file

    Raises
    ------
    InputError
        if the file is missing or no YAML.
    """
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run from the root of the repository") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from None
    fetch = record.get("fetch") if isinstance(record, dict) else None
    if not isinstance(fetch, dict):
        return record
    if source is not None:
        fetch["source"] = source
    return _for_source(record, fetch.get("source"))


def parse(record: Any, where: str) -> Params:
    """Check what stands in params.yaml, or in `where`, as `load` does."""
    params = check(Params, record, where)
    models.check_name(params.train.model, params.models)
    return params


def _for_source(value: Any, source: Any) -> Any:
    """The same record with, of each mapping that has an entry for every source, the entry of this one."""
    if not isinstance(value, dict):
        return value
    if source in SOURCES and value.keys() == set(SOURCES):
        return _for_source(value[source], source)
    return {key: _for_source(inner, source) for key, inner in value.items()}
