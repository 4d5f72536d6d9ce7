"""params.yaml: the accepted values of every section, all checked before a stage starts to work.

The comments in params.yaml explain the parameters. If `fetch.source` is `recording`, the values in
`recording.overrides` replace those of the other sections.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field
from yaml import SafeLoader

from ecg.exceptions import InputError
from ecg.files import LONGEST_INTEGER, read_bytes
from ecg.schema import Rate, Strict, check

PARAMS = Path("params.yaml")
LARGEST = 2**18  # bytes, which take 5 seconds; params.yaml has 4 kB
DEEPEST = 20  # levels; params.yaml has 4
Size = Annotated[int, Field(ge=1)]  # units of a layer
Interval = Annotated[list[Annotated[float, Field(ge=0, le=5)]], Field(min_length=2, max_length=2)]


class Cutting(Strict):
    """How beats are cut from a lead."""

    highpass: Annotated[float, Field(gt=0, le=5)]
    lowpass: Annotated[float, Field(ge=15, le=100)]
    segmentation: Literal["rr", "window", "rhythm"]
    window: Interval
    rhythm: Interval
    length: Annotated[int, Field(ge=16, le=1000)]


class Recording(Strict):
    """A recording to train on."""

    path: str | None
    lead: Annotated[int, Field(ge=0)] | str
    rate: Annotated[float, Field(gt=0)] | None
    annotations: Annotated[str, Field(pattern=r"^[A-Za-z]+$")] | None
    minutes: Annotated[float, Field(gt=0)]
    beats: Cutting


class Fetch(Strict):
    """Where beats come from."""

    source: Literal["archive", "recording"]
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    folder: Annotated[str, Field(min_length=1)]
    sources: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    recording: Recording


class Preprocess(Strict):
    """The normal class and the scaling of beats (`ecg.training.scaling`)."""

    normal_class: int
    scaling: Literal["none", "unit", "standard", "filter"]
    smoothing: Annotated[float, Field(ge=0, le=100)]
    detrend: Annotated[int, Field(ge=0, le=10)]


class Train(Strict):
    """Cross-fitted training (`ecg.training.fitting`) and augmentation (`ecg.training.augmentation`)."""

    model: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    device: Literal["cpu", "cuda"]
    warp: Annotated[float, Field(ge=0, lt=1)]
    wander: Annotated[float, Field(ge=0)]


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("it should be odd, so that it has a central element")
    return kernel


class Dense(Strict):
    """Parameters of `ecg.models.dense`."""

    hidden: list[Size]
    latent: Size
    noise: Annotated[float, Field(ge=0)]


class Conv1d(Strict):
    """Parameters of `ecg.models.conv1d`."""

    channels: Annotated[list[Size], Field(min_length=1)]
    kernel: Annotated[Size, AfterValidator(_odd)]
    latent: Size


class Lstm(Strict):
    """Parameters of `ecg.models.lstm`."""

    hidden: Size
    patch: Size
    latent: Size


class Rocket(Strict):
    """Parameters of `ecg.models.rocket`."""

    features: Annotated[int, Field(ge=1, le=10_000)]
    variance: Rate


class Vae(Strict):
    """Parameters of `ecg.models.vae`."""

    hidden: Annotated[list[Size], Field(min_length=1)]
    latent: Size
    beta: Annotated[float, Field(ge=0)]
    score: Literal["error", "elbo"]


# Checked here, before any download, without importing torch. An architecture of your own has `Params` in its own file,
# which check its section when the model is built.
ARCHITECTURES: Mapping[str, type[Strict]] = {
    "conv1d": Conv1d,
    "dense": Dense,
    "lstm": Lstm,
    "rocket": Rocket,
    "vae": Vae,
}


class Calibrate(Strict):
    """How the threshold is computed from held-out errors (`ecg.detector.thresholds`)."""

    method: Literal["percentile", "conformal", "conformal_conditional", "pot", "f1"]
    alpha: Rate
    percentile: Annotated[float, Field(ge=0, le=100)]
    delta: Rate
    tail: Rate
    fdr: Rate


class Evaluate(Strict):
    """Resolution of the score histogram, and bootstrap samples of intervals."""

    histogram_bins: Annotated[int, Field(ge=2, le=1000)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]


class Params(Strict):
    """The sections of params.yaml, after the overrides for the source of beats."""

    fetch: Fetch
    preprocess: Preprocess
    train: Train
    models: dict[str, dict[str, Any]]
    calibrate: Calibrate
    evaluate: Evaluate


class _Overrides(Strict):
    overrides: dict[Literal["preprocess", "train", "models", "calibrate", "evaluate"], dict[str, Any]]


class _File(Params):
    recording: _Overrides


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml; InputError names each wrong parameter, its value and what is accepted."""
    return parse(read(path), str(path))


def read(path: Path) -> Any:
    """The content of a YAML file of this repository, unchecked; InputError if it is missing or not plain YAML.

    Refused as well: a key that is repeated, of which PyYAML would keep the last; anchors and aliases, by which a few
    lines can stand for any number of values; and more than LARGEST bytes or DEEPEST levels.
    """
    try:
        text = read_bytes(path, "run from the root of the repository", LARGEST).decode()
        _check_events(text)
        return yaml.load(text, _Loader)  # noqa: S506, it is a safe one
    except InputError:
        raise
    except Exception as error:  # PyYAML passes on what Python says of numbers and dates
        raise InputError(f"{path} is not YAML: {error}") from None


def _check_events(text: str) -> None:
    """Refuse aliases and depth before values are built of them."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if getattr(event, "anchor", None) is not None:
            raise _refused("anchors and aliases are not accepted", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused("it is nested too deeply", event)


def _refused(problem: str, at: Any) -> yaml.MarkedYAMLError:
    """An error with the line and column of an event or node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


class _Loader(SafeLoader):
    """PyYAML's safe loader, which refuses keys that are repeated, and integers without end."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _refused(f"the key {key.value!r} is repeated", key)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > LONGEST_INTEGER:
            raise _refused("an integer is too long", node)
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def parse(record: Any, where: str) -> Params:
    """Check the content of params.yaml, or of the file that `where` names, as `load` does."""
    source = check(_File, record, where).fetch.source
    base = {section: record[section] for section in Params.model_fields}
    overridden = _merged(base, record["recording"]["overrides"])
    archive = _checked(base, where)
    recording = _checked(overridden, f"{where}, with recording.overrides")  # both are checked, whatever the source
    return recording if source == "recording" else archive


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested mapping by their dotted names.

    Examples
    --------
    >>> flat({"models": {"dense": {"latent": 2}}})
    {'models.dense.latent': 2}
    """
    joined: dict[str, Any] = {}
    for name, value in section.items():
        joined |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return joined


def _merged(record: Any, changes: Mapping[str, Any]) -> Any:
    """The record with its values replaced by those of `changes`, at any depth."""
    return record | {
        name: _merged(record[name], value)
        if isinstance(value, Mapping) and isinstance(record.get(name), Mapping)
        else value
        for name, value in changes.items()
    }


def _checked(record: Any, where: str) -> Params:
    params = check(Params, record, where)
    name, sections = params.train.model, params.models
    if name not in sections and name in ARCHITECTURES:
        raise InputError(f"{where}: models.{name} is missing; train.model asks for it")
    if name not in sections:
        raise InputError(f"{where}: train.model is {name!r}: it should be one of {', '.join(sorted(sections))}")
    if name in ARCHITECTURES:
        check(ARCHITECTURES[name], sections[name], f"{where}: models.{name}")
    return params
