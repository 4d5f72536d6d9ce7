"""The HTTP service: a Detector behind FastAPI.

Every error is a `Problem` (RFC 9457) that names the beat, the sample and the reason. No beat is logged, and none is
kept. What a request holds is checked before it is scored; what it may hold is limited before it is read.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ecg.detector.detector import Detector
from ecg.evaluation.card import INTENDED_USE, limits
from ecg.exceptions import BeatError, InputError
from ecg.service import problems, schemas
from ecg.service.gate import Gate
from ecg.service.meter import Counts, Meter
from ecg.service.schemas import Limits

FEW = 64  # beats that are scored without leaving the event loop: handing them to a thread takes longer
BINARY = "application/octet-stream"

DESCRIPTION = f"""
Scores single heartbeats by how badly an autoencoder that has seen normal ones only reconstructs them.

{INTENDED_USE}

Beats are arrays of samples from one QRS complex to the next, z-normalised (mean 0, standard deviation 1, no unit).
`/model` says how many samples, what the model was trained on, how well it does and what it cannot be trusted with.
No beat is logged or kept.
"""


def make_app(
    detector: Detector, metrics: dict[str, float] | None = None, bounds: Limits | None = None, key: str | None = None
) -> FastAPI:
    """The service around a detector.

    Parameters
    ----------
    metrics : what the evaluation found, for /model
    bounds : of a request; the usual ones if not given
    key : that requests must bear, but for health, metrics and documentation; None asks for none
    """
    bounds = bounds or Limits()
    example = schemas.example_of(detector.score(np.zeros((1, detector.length)), details=True).reconstruction[0])
    counts = Counts()
    app = FastAPI(
        title="ECG anomaly detector",
        version=detector.model.sha256[:12],
        description=DESCRIPTION,
        redoc_url=None,
        separate_input_output_schemas=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell of what is in requests
    )
    app.add_middleware(Gate, limit=bounds.body, key=key)
    app.add_middleware(Meter, counts=counts)
    problems.handle(app)
    app.include_router(
        _scoring(detector, bounds, example, counts), dependencies=_key_scheme(key), responses=_errors(key)
    )
    app.include_router(_telling(detector, metrics or {}, bounds), dependencies=_key_scheme(key), responses=_denied(key))
    app.include_router(_watching(detector, example, counts))
    return app


def _scoring(detector: Detector, bounds: Limits, example: list[float], counts: Counts) -> APIRouter:
    """The routes that score beats."""
    router = APIRouter(tags=["scoring"])
    one, many = schemas.requests(detector.length, bounds.beats, example)
    asked = schemas.options(detector.calibration)

    async def columns(beats: np.ndarray, alpha: float | None) -> Response:
        verdicts = (
            detector.score(beats, alpha) if len(beats) <= FEW else await run_in_threadpool(detector.score, beats, alpha)
        )
        counts.scored(verdicts.anomalous)
        content = {"score": verdicts.score, "p_value": verdicts.p_value, "anomalous": verdicts.anomalous}
        return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

    @router.post("/score", summary="Score one beat", dependencies=[Depends(_takes("application/json"))])
    async def score(body: one, options: Annotated[asked, Query()]) -> schemas.Verdict:  # type: ignore[valid-type]
        """Score one beat, and say whether it raises an alarm."""
        verdicts = detector.score(np.array([body.beat]), options.alpha)  # type: ignore[attr-defined]
        counts.scored(verdicts.anomalous)
        p_value = None if verdicts.p_value is None else float(verdicts.p_value[0])
        return schemas.Verdict(score=float(verdicts.score[0]), p_value=p_value, anomalous=bool(verdicts.anomalous[0]))

    @router.post(
        "/score/batch",
        summary="Score beats",
        response_model=schemas.Verdicts,
        dependencies=[Depends(_takes("application/json"))],
    )
    async def score_batch(body: many, options: Annotated[asked, Query()]) -> Response:  # type: ignore[valid-type]
        """Score beats, each by itself. Answers in columns, in the order of the beats."""
        return await columns(np.array(body.beats), options.alpha)  # type: ignore[attr-defined]

    @router.post(
        "/score/binary",
        summary="Score beats in binary form",
        response_model=schemas.Verdicts,
        dependencies=[Depends(_takes(BINARY))],
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": f"Beats one after the other, {detector.length} samples each, every sample a "
                f"little-endian 32-bit float: {4 * detector.length} bytes a beat, 1 to {bounds.beats:,} beats. The "
                "fastest way to send many.",
                "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def score_binary(
        request: Request,
        options: Annotated[asked, Query()],  # type: ignore[valid-type]
    ) -> Response:
        """Score beats, each by itself. Answers in columns, in the order of the beats."""
        beats = _floats(await request.body(), detector.length, bounds.beats)
        return await columns(beats, options.alpha)  # type: ignore[attr-defined]

    @router.post("/explain", summary="Explain one beat", dependencies=[Depends(_takes("application/json"))])
    async def explain(body: one) -> schemas.Why:  # type: ignore[valid-type]
        """Say which samples carry a beat's score, and what a normal beat would have been."""
        (explanation,) = detector.explain(np.array([body.beat]))  # type: ignore[attr-defined]
        counts.scored(np.array([explanation.anomalous]))
        return schemas.Why.of(explanation)

    return router


def _telling(detector: Detector, metrics: dict[str, float], bounds: Limits) -> APIRouter:
    """The route that tells of the model."""
    router, calibration = APIRouter(tags=["model"]), detector.calibration
    dataset = detector.model.facts.get("dataset", "")
    information = schemas.ModelInformation(
        sha256=detector.model.sha256,
        dataset=dataset,
        length=detector.length,
        members=detector.model.members,
        method=calibration.method,
        alpha=calibration.alpha,
        smallest_alpha=calibration.smallest_p,
        threshold=calibration.threshold,
        metrics=metrics,
        intended_use=INTENDED_USE,
        limits=list(limits(detector.dataset)),
        largest_batch=bounds.beats,
        largest_body=bounds.body,
    )

    @router.get("/model", summary="Tell of the model")
    async def model() -> schemas.ModelInformation:
        """What the model is, what it was trained on, how well it does and what it cannot be trusted with."""
        return information

    return router


def _watching(detector: Detector, example: list[float], counts: Counts) -> APIRouter:
    """The routes for whoever runs the service; they need no key."""
    router = APIRouter(tags=["operation"])

    @router.get("/health/live", summary="Whether the service answers")
    async def live() -> schemas.Alive:
        """Answers as long as the process does."""
        return schemas.Alive(status="alive")

    @router.get(
        "/health/ready", summary="Whether the service scores beats", responses=problems.described({503: "It does not."})
    )
    async def ready() -> schemas.Ready:
        """Scores a beat, and answers if that went well."""
        try:
            detector.score([example])
        except Exception as error:
            raise HTTPException(503, "a beat cannot be scored") from error
        return schemas.Ready(status="ready")

    @router.get(
        "/metrics",
        summary="Counts and times, for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Requests and their durations by route and status, beats, alarms, and what the process uses."""
        return Response(generate_latest(counts.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _floats(content: bytes, length: int, most: int) -> np.ndarray:
    """The beats of a binary body; an exception that becomes an answer if there are none, or not whole ones, or many."""
    size = 4 * length
    if not content or len(content) % size:
        raise InputError(f"the body holds {len(content):,} bytes; a beat has {size}: {length} 32-bit floats")
    if len(content) > most * size:
        raise InputError(f"the body holds {len(content) // size:,} beats; a request may hold {most:,}")
    beats = np.frombuffer(content, "<f4").reshape(-1, length)
    wrong = ~(np.abs(beats) <= schemas.LARGEST)  # not finite ones, too
    if wrong.any():
        beat, sample = np.argwhere(wrong)[0].tolist()
        raise BeatError(f"is {beats[beat, sample]}; samples are at most {schemas.LARGEST:g} in size", beat, sample)
    return beats


def _takes(kind: str) -> Callable[[Request], None]:
    """A check that a request's body is of a kind."""

    def check(request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != kind:
            raise HTTPException(415, f"the body is {given or 'of no kind'}; this takes {kind}")

    return check


def _key_scheme(key: str | None) -> list[Any]:
    """What tells OpenAPI of the key. `Gate` asks for it: it comes before the body is read."""
    return [] if key is None else [Security(HTTPBearer(auto_error=False, description="The key of this service."))]


def _denied(key: str | None) -> dict[int | str, dict[str, Any]]:
    return {} if key is None else problems.described({401: "The key is missing or wrong."})


def _errors(key: str | None) -> dict[int | str, dict[str, Any]]:
    return _denied(key) | problems.described(
        {
            400: "The body is not JSON.",
            413: "The body is too large.",
            415: "The body is of another kind.",
            422: "A beat has another length, or holds what is no finite number; there are too many beats, or none; "
            "no verdict is possible at this alpha. `beat` and `sample` say where.",
        }
    )
