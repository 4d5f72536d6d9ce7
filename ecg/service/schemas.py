"""The bodies of requests and responses: these schemas are both validation and documentation."""

import struct
from collections.abc import Callable
from itertools import chain, compress
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, FailFast, Field, WrapValidator, create_model
from pydantic.json_schema import SkipJsonSchema

from ecg.detector.calibration import Calibration
from ecg.schema import Strict

MAX_SAMPLE = 1e6  # in magnitude; the squared error of a larger one may overflow a float32


Sample = Annotated[float, Field(ge=-MAX_SAMPLE, le=MAX_SAMPLE)]
Score = Annotated[float, Field(description="Mean squared reconstruction error. Higher is more anomalous.")]
PValue = Annotated[float, Field(gt=0, le=1)]
Floats = Annotated[list[float], BeforeValidator(np.ndarray.tolist)]


def request_bodies(length: int, max_beats: int, example: list[float]) -> tuple[type[Any], type[Any]]:
    """The schemas of a body with one beat, and of one with up to `max_beats` beats, of `length` samples each.

    Validation ends at the first error: a list of all errors in a large body could be larger than the body.
    """
    beat = Annotated[list[Sample], FailFast(), Field(min_length=length, max_length=length)]
    read = WrapValidator(_array_reader(length, max_beats))
    beats = Annotated[list[beat], FailFast(), Field(min_length=1, max_length=max_beats), read]
    description = f"{length} samples from one QRS complex to the next, z-normalised: mean 0, standard deviation 1."
    beat_field = Field(description=description, examples=[example])
    beats_field = Field(description=f"1 to {max_beats:,} beats. Each has {description}", examples=[[example]])
    return (
        create_model("Beat", __base__=Strict, __doc__="One heartbeat.", beat=(beat, beat_field)),
        create_model("Beats", __base__=Strict, __doc__="Heartbeats.", beats=(beats, beats_field)),
    )


def _array_reader(length: int, max_beats: int) -> Callable[[Any, Callable[[Any], Any]], np.ndarray]:
    """A validator that reads valid beats into an array, and leaves others to pydantic, which finds the error.

    Own code: pydantic has no arrays, and takes four times as long to validate each number and copy it into one.
    """
    row = struct.Struct(f"={length}d")

    def read(beats: Any, validate: Callable[[Any], Any]) -> np.ndarray:
        try:
            array = np.frombuffer(b"".join([row.pack(*beat) for beat in beats])).reshape(len(beats), length)
        except (TypeError, struct.error):  # not numbers, or not as many
            return np.array(validate(beats))
        zeros_or_ones = ((array == 0) | (array == 1)).any(axis=1)  # false and true have become these
        types = set(map(type, chain.from_iterable(compress(beats, zeros_or_ones))))
        if bool not in types and 1 <= len(beats) <= max_beats and (np.abs(array) <= MAX_SAMPLE).all():
            return array
        return np.array(validate(beats))

    return read


def options(calibration: Calibration) -> type[Any]:
    """The schema of a query."""
    alpha: Any = Annotated[float, Field(ge=calibration.smallest_p or 0, lt=1)]
    description = (
        "Accepted false-alarm rate: a beat raises an alarm if its p-value is at most this. Without it, the beat is "
        f"judged as calibrated, by the method {calibration.method}"
        + ("." if calibration.alpha is None else f" and alpha {calibration.alpha:g}.")
    )
    return create_model(
        "Options",
        __config__=Strict.model_config | {"strict": False},  # everything in a query is text
        alpha=(alpha | SkipJsonSchema[None], Field(default=None, description=description)),  # type: ignore[misc]
    )


class NoOptions(Strict):
    """The query of a route without options."""


class Verdict(Strict):
    """The verdict on one beat."""

    score: Score
    p_value: PValue | None = Field(
        description="About the share of normal beats that look as anomalous. Null if the model was calibrated without "
        "held-out beats."
    )
    anomalous: bool = Field(description="Whether the beat raises an alarm.")


class Verdicts(Strict):
    """The verdicts on beats: columns, in the order of the beats."""

    score: list[Score] = Field(description="One score a beat.")
    p_value: list[PValue] | None = Field(
        description="One p-value a beat. Null if the model was calibrated without held-out beats."
    )
    anomalous: list[bool] = Field(description="One verdict a beat.")


class Region(Strict):
    """Consecutive samples that carry much of a beat's score."""

    start: int = Field(ge=0, description="The first sample, from 0.")
    stop: int = Field(ge=1, description="The one after the last.")
    share: float = Field(description="How much of the score they carry, 0 to 1.")
    segments: tuple[str, ...] = Field(description="The waves of the beat that they touch.")


class ExplainedVerdict(Verdict):
    """A verdict with its explanation."""

    contribution: Floats = Field(description="What each sample adds to the score; they add up to it.")
    reconstruction: Floats = Field(description="What a normal beat would have been, in the beat's own units.")
    regions: tuple[Region, ...] = Field(
        description="The samples that carry at least half of the score, the largest share first."
    )


class ModelInformation(Strict):
    """The served model."""

    sha256: str = Field(description="SHA-256 of the ONNX file.")
    dataset: str = Field(description="The dataset it was trained on; empty if the file does not name it.")
    length: int = Field(description="Samples in a beat.")
    members: int = Field(description="Autoencoders in the ensemble.")
    method: str = Field(description="The calibration method.")
    alpha: float | None = Field(description="The accepted false-alarm rate, where the method takes one.")
    smallest_alpha: float | None = Field(description="The smallest alpha that a request may set.")
    threshold: float = Field(description="The score from which a beat raises an alarm if all members agree.")
    metrics: dict[str, float] = Field(description="Measured on the test beats; empty without provenance.json.")
    intended_use: str
    limits: list[str]
    largest_batch: int = Field(description="Most beats in one request.")
    largest_body: int = Field(description="Most bytes in the body of one request.")


class Alive(Strict):
    """The liveness probe succeeded."""

    status: Literal["alive"]


class Ready(Strict):
    """The readiness probe succeeded."""

    status: Literal["ready"]


class Problem(Strict):
    """Problem details (RFC 9457)."""

    title: str = Field(description="The kind of problem.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, and where.")
    beat: int | None = Field(default=None, description="Index of the beat that is wrong, from 0, if it is one.")
    sample: int | None = Field(default=None, description="Index of the sample that is wrong, from 0, if it is one.")
