"""params.yaml: what every section accepts, checked as a whole before any work is done.

Where `fetch.source` is `recording`, the values in `recording.overrides` take the place of those in the other sections.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field

from ecg.exceptions import InputError
from ecg.schema import Rate, Strict, check

PARAMS = Path("params.yaml")
Size = Annotated[int, Field(ge=1)]  # of a layer
Span = Annotated[list[Annotated[float, Field(ge=0, le=5)]], Field(min_length=2, max_length=2)]


class Cutting(Strict):
    """How beats are cut from a lead.

    highpass, lowpass : the band that is left of the signal, in Hz
    segmentation : rr, from an R peak to the next; window, a fixed time around it; rhythm, a time around it that is
        measured in running medians of the RR interval
    window : seconds before and after the R peak
    rhythm : running medians before and after it
    length : samples of a beat
    """

    highpass: Annotated[float, Field(gt=0, le=5)]
    lowpass: Annotated[float, Field(ge=15, le=100)]
    segmentation: Literal["rr", "window", "rhythm"]
    window: Span
    rhythm: Span
    length: Annotated[int, Field(ge=16, le=1000)]


class Recording(Strict):
    """A recording to learn from.

    path : of a WFDB record, an EDF, CSV or NPY file in `fetch.folder`; `physionet:DATABASE/RECORD` on the web
    lead : its name, or its number from 0
    rate : samples a second, for files that do not say
    annotations : the ending of the WFDB annotations to read; null to read none
    minutes : how long the training part is
    beats : how beats are cut; the model remembers it
    """

    path: str | None
    lead: Annotated[int, Field(ge=0)] | str
    rate: Annotated[float, Field(gt=0)] | None
    annotations: Annotated[str, Field(pattern=r"^[A-Za-z]+$")] | None
    minutes: Annotated[float, Field(gt=0)]
    beats: Cutting


class Fetch(Strict):
    """Where beats come from.

    source : a set of the UCR archive, or a recording
    dataset : its name
    folder : where the files on this disk lie that `sources` and `recording.path` name
    sources : of an archive, tried in turn (`ecg.data.sources`)
    """

    source: Literal["archive", "recording"]
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    folder: Annotated[str, Field(min_length=1)]
    sources: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    recording: Recording


class Preprocess(Strict):
    """The normal class, and the space that models work in (`ecg.training.scaling`)."""

    normal_class: int
    scaling: Literal["none", "standard", "filter"]
    smoothing: Annotated[float, Field(ge=0, le=100)]
    detrend: Annotated[int, Field(ge=0, le=10)]


class Train(Strict):
    """Cross-fitted training (`ecg.training.fitting`), and how beats are varied for it (`ecg.training.augmentation`)."""

    model: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    warp: Annotated[float, Field(ge=0, lt=1)]
    wander: Annotated[float, Field(ge=0)]


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("it should be odd, so that it has a centre")
    return kernel


class Dense(Strict):
    """`ecg.models.dense`.

    hidden : sizes from the beat inwards; the decoder mirrors them
    noise : the standard deviation of what is added to a beat that is to be reconstructed without it
    """

    hidden: list[Size]
    latent: Size
    noise: Annotated[float, Field(ge=0)]


class Conv1d(Strict):
    """`ecg.models.conv1d`.

    channels : of each layer, from the beat inwards
    """

    channels: Annotated[list[Size], Field(min_length=1)]
    kernel: Annotated[Size, AfterValidator(_odd)]
    latent: Size


class Lstm(Strict):
    """`ecg.models.lstm`.

    hidden : units of the encoder, and of the decoder
    patch : consecutive samples that make one step of the sequence
    """

    hidden: Size
    patch: Size
    latent: Size


class Vae(Strict):
    """`ecg.models.vae`.

    hidden : sizes from the beat inwards; the decoder mirrors them
    beta : the weight of the code's divergence from the standard normal distribution
    score : of the code's mean, its reconstruction error or its negative ELBO
    """

    hidden: Annotated[list[Size], Field(min_length=1)]
    latent: Size
    beta: Annotated[float, Field(ge=0)]
    score: Literal["error", "elbo"]


# Checked before anything is downloaded, without torch. The section of an architecture that is not among these is
# checked by the `Params` in its own file, when it is built.
ARCHITECTURES: Mapping[str, type[Strict]] = {"conv1d": Conv1d, "dense": Dense, "lstm": Lstm, "vae": Vae}


class Calibrate(Strict):
    """From held-out errors to the threshold (`ecg.detector.thresholds`)."""

    method: Literal["percentile", "conformal", "conformal_conditional", "pot", "f1"]
    alpha: Rate
    percentile: Annotated[float, Field(ge=0, le=100)]
    delta: Rate
    tail: Rate
    fdr: Rate


class Evaluate(Strict):
    """How finely the evaluation looks."""

    histogram_bins: Annotated[int, Field(ge=2, le=1000)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]


class Params(Strict):
    """The sections of params.yaml, with the values that count for the source of beats."""

    fetch: Fetch
    preprocess: Preprocess
    train: Train
    models: dict[str, dict[str, Any]]
    calibrate: Calibrate
    evaluate: Evaluate


class _Overrides(Strict):
    overrides: dict[Literal["preprocess", "train", "models", "calibrate", "evaluate"], dict[str, Any]]


class _Written(Params):
    recording: _Overrides


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml; InputError names each parameter that is wrong, its value and what is accepted."""
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
    written = check(_Written, record, where)
    base = {section: record[section] for section in Params.model_fields}
    for_recording = _merged(base, record["recording"]["overrides"])
    checked = _checked(base, where), _checked(for_recording, f"{where}, with recording.overrides")
    return checked[written.fetch.source == "recording"]


def overrides(record: Any) -> dict[str, Any]:
    """The values in a checked record that count for a recording, by their dotted names."""
    return {
        f"{section}.{name}": value
        for section, values in record["recording"]["overrides"].items()
        for name, value in flat(values).items()
    }


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    joined: dict[str, Any] = {}
    for name, value in section.items():
        joined |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return joined


def _merged(record: Any, changes: Mapping[str, Any]) -> Any:
    """The record with the changes in their places, however deep."""
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
