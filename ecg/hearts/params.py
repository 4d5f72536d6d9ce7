"""hearts/params.yaml: the settings of the model of normal hearts."""

from typing import Annotated, Literal

from pydantic import Field

from ecg.schema import Rate, Strict

Weight = Annotated[float, Field(ge=0)]


class Collect(Strict):
    """Which recordings, by their databases, and which beats of each."""

    records: dict[str, Annotated[list[str], Field(min_length=1)]]
    lead: Annotated[int, Field(ge=0)] | str
    beats: Annotated[int, Field(ge=30)]


class Network(Strict):
    """The network (`ecg.hearts.network`)."""

    hidden: Annotated[int, Field(ge=1)]
    latent: Annotated[int, Field(ge=0)]
    noise: Annotated[float, Field(ge=0)]
    shape_weight: Weight
    discriminator_weight: Weight
    excess_weight: Weight
    timing_weight: Weight


class Train(Strict):
    """How it is fitted (`ecg.hearts.fitting`)."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    folds: Annotated[int, Field(ge=2)]
    repeats: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    simulations: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"]
    network: Network


class Calibrate(Strict):
    """The alarm setting for recordings."""

    alpha: Rate


class Params(Strict):
    """All sections."""

    collect: Collect
    train: Train
    calibrate: Calibrate


class File(Strict):
    """The whole file."""

    hearts: Params
