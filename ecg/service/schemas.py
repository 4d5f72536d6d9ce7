"""What the HTTP service takes and gives: these records are its validation and its documentation."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, FailFast, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from ecg.detector.calibration import Calibration
from ecg.detector.explanation import Explanation

LARGEST = 1e6  # of a sample; errors of larger ones may be too large for a float32


@dataclass(frozen=True)
class Limits:
    """What one request may hold.

    beats : at most
    body : bytes of its body, at most
    """

    beats: int = 5_000
    body: int = 16 * 2**20


class Record(BaseModel):
    """A record in JSON, of which no field is unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Sample = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Score = Annotated[float, Field(description="Mean squared reconstruction error. Higher is more anomalous.")]
PValue = Annotated[
    float | None,
    Field(
        gt=0,
        le=1,
        description="About the share of normal beats that look as anomalous. Null if the model was calibrated without "
        "held-out beats.",
    ),
]
Anomalous = Annotated[bool, Field(description="Whether the beat raises an alarm.")]


def requests(length: int, most: int, example: list[float]) -> tuple[type[Any], type[Any]]:
    """The bodies that hold one beat, and up to `most` beats, of `length` samples.

    The first error ends the check: a large body of mistakes would make a larger answer.
    """
    beat = Annotated[list[Sample], FailFast(), Field(min_length=length, max_length=length)]
    described = f"{length} samples from one QRS complex to the next, z-normalised: mean 0, standard deviation 1."
    one = create_model(
        "Beat",
        __base__=Record,
        __doc__="One heartbeat.",
        beat=(beat, Field(description=described, examples=[example])),
    )
    many = create_model(
        "Beats",
        __base__=Record,
        __doc__="Heartbeats.",
        beats=(
            Annotated[list[beat], FailFast(), Field(min_length=1, max_length=most)],
            Field(description=f"1 to {most:,} beats. Each has {described}", examples=[[example]]),
        ),
    )
    return one, many


def options(calibration: Calibration) -> type[Any]:
    """What a query may ask for."""
    alpha: Any = Annotated[float, Field(ge=calibration.smallest_p or 0, lt=1)]
    said = (
        "Accepted false-alarm rate: a beat raises an alarm if its p-value is at most this. If it is not given, the "
        f"beat is judged as calibrated, by the method {calibration.method}"
        + ("." if calibration.alpha is None else f" and alpha {calibration.alpha:g}.")
    )
    return create_model(
        "Options",
        __config__=Record.model_config | {"strict": False},  # all that a query holds is text
        alpha=(alpha | SkipJsonSchema[None], Field(default=None, description=said)),  # type: ignore[misc]
    )


class Verdict(Record):
    """What the detector says of one beat."""

    score: Score
    p_value: PValue
    anomalous: Anomalous


class Verdicts(Record):
    """What the detector says of beats: columns, in the order of the beats."""

    score: Annotated[list[Score], Field(description="One score a beat.")]
    p_value: Annotated[
        list[Annotated[float, Field(gt=0, le=1)]] | None,
        Field(description="One p-value a beat. Null if the model was calibrated without held-out beats."),
    ]
    anomalous: Annotated[list[bool], Field(description="One verdict a beat.")]


class Run(Record):
    """Consecutive samples that carry much of a beat's score."""

    start: Annotated[int, Field(ge=0, description="The first sample, from 0.")]
    stop: Annotated[int, Field(ge=1, description="The one after the last.")]
    share: Annotated[float, Field(description="How much of the score they carry, 0 to 1.")]
    segments: Annotated[list[str], Field(description="The waves of the beat that they touch.")]


class Why(Verdict):
    """Why a beat has its score."""

    contribution: Annotated[
        list[float],
        Field(description="What each sample adds to the score; they add up to it."),
    ]
    reconstruction: Annotated[
        list[float], Field(description="What a normal beat would have been, in the beat's own units.")
    ]
    runs: Annotated[
        list[Run], Field(description="The samples that carry at least half of the score, the largest share first.")
    ]

    @classmethod
    def of(cls, explanation: Explanation) -> "Why":
        """An explanation as a record."""
        return cls(
            score=explanation.score,
            p_value=explanation.p_value,
            anomalous=explanation.anomalous,
            contribution=explanation.contribution.tolist(),
            reconstruction=explanation.reconstruction.astype(float).tolist(),
            runs=[
                Run(start=run.start, stop=run.stop, share=run.share, segments=list(run.segments))
                for run in explanation.runs
            ],
        )


class ModelInformation(Record):
    """What the served model is."""

    sha256: Annotated[str, Field(description="SHA-256 of the ONNX file.")]
    dataset: Annotated[str, Field(description="What it was trained on; empty if the file does not say.")]
    length: Annotated[int, Field(description="Samples in a beat.")]
    members: Annotated[int, Field(description="Autoencoders in the ensemble.")]
    method: Annotated[str, Field(description="How the threshold was found.")]
    alpha: Annotated[float | None, Field(description="The accepted false-alarm rate, where the method takes one.")]
    smallest_alpha: Annotated[float | None, Field(description="The smallest that can be asked for.")]
    threshold: Annotated[float, Field(description="The score from which a beat raises an alarm if all members agree.")]
    metrics: Annotated[dict[str, float], Field(description="On the test beats; empty if provenance.json is not there.")]
    intended_use: str
    limits: list[str]
    largest_batch: Annotated[int, Field(description="Beats that one request may hold.")]
    largest_body: Annotated[int, Field(description="Bytes that one request may hold.")]


class Alive(Record):
    """The service answers."""

    status: Literal["alive"]


class Ready(Record):
    """The service scores beats."""

    status: Literal["ready"]


class Problem(Record):
    """What was wrong with a request (RFC 9457)."""

    title: Annotated[str, Field(description="The kind of problem.", examples=["Unprocessable Content"])]
    status: Annotated[int, Field(description="The HTTP status.", examples=[422])]
    detail: Annotated[
        str,
        Field(description="What is wrong, and where.", examples=["beat 3, sample 12: Input should be a valid number"]),
    ]
    beat: Annotated[int | None, Field(description="The beat that is wrong, from 0, if it is one.")] = None
    sample: Annotated[int | None, Field(description="The sample that is wrong, from 0, if it is one.")] = None


def example_of(reconstruction: np.ndarray) -> list[float]:
    """A beat for the documentation: what the model sees in a flat one, which is close to its idea of a normal beat."""
    return [round(sample, 3) for sample in reconstruction.astype(float).tolist()]
