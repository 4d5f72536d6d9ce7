"""The routes of the HTTP service.

The size of a request is limited before its body is read, and its beats are validated before they are scored. Every
error is answered with problem details (RFC 9457) that name the beat, the sample and the reason. No beat is logged or
kept.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.responses import RedirectResponse, Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ecg.detector.detector import Detector
from ecg.evaluation.card import INTENDED_USE, limits
from ecg.exceptions import BeatError, InputError
from ecg.service import problems, schemas
from ecg.service.limits import Limits
from ecg.service.middleware import ASSETS, RequestGuard
from ecg.service.monitoring import ServiceMetrics
from ecg.service.parsing import json_route
from ecg.service.problems import Documented
from ecg.service.stopping import Stopping

MAX_INLINE = 64  # beats that are scored on the event loop: with so few, a thread would take longer to start
BINARY = "application/octet-stream"
RIPPLES = 8  # of the example, in a beat

DESCRIPTION = f"""
Scores single heartbeats by the reconstruction error of an autoencoder that was trained on normal beats only.

{INTENDED_USE}

Beats are arrays of samples from one QRS complex to the next, z-normalised (mean 0, standard deviation 1, no unit).
`/model` has the number of samples, the training data, the measured performance and the limits of the model.
No beat is logged or kept.
"""
SCORING_ERRORS = problems.documented(
    {
        400: Documented(
            "The body is not JSON.", "the body is not JSON: unexpected end of data: line 1 column 1 (char 0)"
        ),
        408: Documented("The body did not come in time.", "the body did not come in time; send it again"),
        413: Documented(
            "The body is too large, or too many large ones are on their way (then with `Retry-After`).",
            "a body may hold 16,777,216 bytes; send fewer beats at a time, or in binary form",
        ),
        415: Documented(
            "The body has another content type.", "the content type is text/plain; it should be application/json"
        ),
        422: Documented(
            "A beat has another length or a sample that is not a finite number, there are too many beats or none, "
            "something is repeated, or no verdict is possible at this alpha. `beat` and `sample` say where.",
            "beat 3, sample 12: Input should be a valid number",
            {"beat": 3, "sample": 12},
        ),
    }
)
NO_KEY = Documented(
    "The API key is missing or wrong.", "this service requires its API key: Authorization: Bearer <key>"
)
NOT_READY = Documented("Beats cannot be scored, or the service stops.", "a beat cannot be scored")


def make_app(
    detector: Detector,
    metrics: dict[str, float] | None = None,
    bounds: Limits | None = None,
    keys: Sequence[str] = (),
) -> FastAPI:
    """The service of a detector.

    Parameters
    ----------
    metrics : measured on the test beats, for /model
    bounds : limits of a request; the defaults if not given
    keys : API keys, one of which requests need, except to probes, metrics and documentation; none for a service without
    """
    bounds = bounds or Limits()
    monitoring, stopping = ServiceMetrics(), Stopping()
    example = _example(detector)
    app = FastAPIOffline(
        title="ECG anomaly detector",
        version=detector.model.sha256[:12],
        description=DESCRIPTION,
        redoc_url=None,
        static_url=ASSETS.removesuffix("/"),
        lifespan=stopping.lifespan,
        separate_input_output_schemas=False,
        exception_handlers=problems.HANDLERS,
        # Traces and logs would contain what requests contain.
        telemetry={"tracing": False, "logs": False, "metrics": False},
    )
    app.add_middleware(RequestGuard, bounds=bounds, keys=keys, stopping=stopping)
    app.add_middleware(monitoring.measuring)
    protected = APIRouter()
    if keys:  # for the documentation: RequestGuard checks the key, before the body is read
        scheme = HTTPBearer(auto_error=False, description="The API key of this service.")
        errors = problems.documented({401: NO_KEY})
        protected = APIRouter(dependencies=[Security(scheme)], responses=errors)
    protected.include_router(_scoring_routes(detector, bounds, example, monitoring))
    protected.include_router(_model_route(detector, metrics or {}, bounds))
    app.include_router(protected)
    app.include_router(_operation_routes(detector, example, monitoring, stopping))

    @app.get("/", include_in_schema=False)
    async def documentation() -> Response:
        return RedirectResponse("docs")

    return app


def _example(detector: Detector) -> list[float]:
    """A beat for the documentation, of the model's length, that scores as normal beats do.

    No beat ships with a model. What it reconstructs of nothing is near to the normal beats that it was trained on; a
    ripple makes it score as the median of them.
    """
    held_out = np.concatenate([np.empty(0), *detector.calibration.held_out])
    usual = float(np.median(held_out)) if len(held_out) else detector.calibration.threshold / 10
    smooth = detector.score(np.zeros((1, detector.length)), details=True).reconstruction[0]
    ripple = np.sin(2 * np.pi * RIPPLES * np.arange(detector.length) / detector.length)
    beats = np.round(smooth + np.geomspace(1e-3, 2, 100)[:, None] * ripple, 3)
    return beats[np.argmin(np.abs(detector.score(beats).score - usual))].tolist()


def _scoring_routes(detector: Detector, bounds: Limits, example: list[float], monitoring: ServiceMetrics) -> APIRouter:
    """The routes that take beats, as JSON or as bytes."""
    router = APIRouter(
        tags=["scoring"], route_class=json_route(bounds.beats, detector.length), responses=SCORING_ERRORS
    )
    as_json, as_bytes = (
        [Depends(_requires(kind)), Depends(_refuse_repetition)] for kind in ("application/json", BINARY)
    )
    one, many = schemas.request_bodies(detector.length, bounds.beats, example)
    query = schemas.options(detector.calibration)

    @router.post("/score", summary="Score one beat", dependencies=as_json)
    async def score(body: one, options: Annotated[query, Query()]) -> schemas.Verdict:  # type: ignore[valid-type]
        """Score one beat, and say whether it raises an alarm."""
        verdicts = detector.score([body.beat], options.alpha)  # type: ignore[attr-defined]
        monitoring.count(verdicts.anomalous)
        p_value = None if verdicts.p_value is None else float(verdicts.p_value[0])
        return schemas.Verdict(score=float(verdicts.score[0]), p_value=p_value, anomalous=bool(verdicts.anomalous[0]))

    @router.post("/score/batch", summary="Score beats", response_model=schemas.Verdicts, dependencies=as_json)
    async def score_batch(body: many, options: Annotated[query, Query()]) -> Response:  # type: ignore[valid-type]
        """Score beats, each by itself. Answers in columns, in the order of the beats."""
        return await _verdicts(detector, body.beats, options.alpha, monitoring)  # type: ignore[attr-defined]

    @router.post("/explain", summary="Explain one beat", dependencies=as_json)
    async def explain(body: one, _: Annotated[schemas.NoOptions, Query()]) -> schemas.ExplainedVerdict:  # type: ignore[valid-type]
        """Say which samples contribute to a beat's score, and reconstruct the beat as a normal one."""
        (explanation,) = detector.explain([body.beat])  # type: ignore[attr-defined]
        monitoring.count(np.array([explanation.anomalous]))
        return schemas.ExplainedVerdict.model_validate(explanation, from_attributes=True)

    description = (
        f"Beats one after the other, {detector.length} samples each, every sample a little-endian 32-bit float: "
        f"{4 * detector.length} bytes a beat, 1 to {bounds.beats:,} beats. The fastest way to send many."
    )
    size = 4 * detector.length  # of a beat in bytes, of which a body has a multiple
    schema = {"type": "string", "format": "binary", "minLength": size, "maxLength": size * bounds.beats}
    content = {BINARY: {"schema": schema}}

    @router.post(
        "/score/binary",
        summary="Score beats in binary form",
        response_model=schemas.Verdicts,
        dependencies=as_bytes,
        openapi_extra={"requestBody": {"required": True, "description": description, "content": content}},
    )
    async def score_binary(request: Request, options: Annotated[query, Query()]) -> Response:  # type: ignore[valid-type]
        """Score beats, each by itself. Answers in columns, in the order of the beats."""
        beats = _from_bytes(await request.body(), detector.length, bounds.beats)
        return await _verdicts(detector, beats, options.alpha, monitoring)  # type: ignore[attr-defined]

    return router


async def _verdicts(detector: Detector, beats: np.ndarray, alpha: float | None, monitoring: ServiceMetrics) -> Response:
    """Score beats, float of shape (n, L), and answer in columns."""
    inline = len(beats) <= MAX_INLINE
    verdicts = detector.score(beats, alpha) if inline else await run_in_threadpool(detector.score, beats, alpha)
    monitoring.count(verdicts.anomalous)
    columns = {"score": verdicts.score, "p_value": verdicts.p_value, "anomalous": verdicts.anomalous}
    return Response(orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


def _model_route(detector: Detector, metrics: dict[str, float], bounds: Limits) -> APIRouter:
    """The route that describes the model."""
    router, calibration = APIRouter(tags=["model"]), detector.calibration
    information = schemas.ModelInformation(
        sha256=detector.model.sha256,
        dataset=detector.model.metadata.get("dataset", ""),
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

    @router.get("/model", summary="Describe the model")
    async def model() -> schemas.ModelInformation:
        """The model, its training data, its measured performance and its limits."""
        return information

    return router


def _operation_routes(
    detector: Detector, example: list[float], monitoring: ServiceMetrics, stopping: Stopping
) -> APIRouter:
    """Probes and metrics, which need no key."""
    router = APIRouter(tags=["operation"])

    @router.get("/health/live", summary="Liveness probe")
    async def live() -> schemas.Alive:
        """Succeeds as long as the process answers."""
        return schemas.Alive(status="alive")

    @router.get("/health/ready", summary="Readiness probe", responses=problems.documented({503: NOT_READY}))
    async def ready() -> schemas.Ready:
        """Succeeds if a beat can be scored, until the service stops."""
        if stopping.begun:
            raise HTTPException(503, "the service stops")
        try:
            detector.score([example])
        except Exception as error:
            raise HTTPException(503, "a beat cannot be scored") from error
        return schemas.Ready(status="ready")

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def service_metrics() -> Response:
        """Requests and their durations by method, route and status, beats, alarms, and what the process uses."""
        return Response(monitoring.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _from_bytes(content: bytes, length: int, max_beats: int) -> np.ndarray:
    """The beats of a binary body, float32 of shape (n, length); InputError if they are not 1 to `max_beats` beats."""
    size = 4 * length
    if not content or len(content) % size:
        raise InputError(f"the body holds {len(content):,} bytes; a beat has {size}: {length} 32-bit floats")
    if len(content) > max_beats * size:
        raise InputError(f"the body holds {len(content) // size:,} beats; a request may hold {max_beats:,}")
    beats = np.frombuffer(content, "<f4").reshape(-1, length)
    invalid = ~(np.abs(beats) <= schemas.MAX_SAMPLE)  # NaN, too
    if invalid.any():
        beat, sample = np.argwhere(invalid)[0].tolist()
        raise BeatError(f"is {beats[beat, sample]}; samples are at most {schemas.MAX_SAMPLE:g} in size", beat, sample)
    return beats


def _refuse_repetition(request: Request) -> None:
    """A dependency that refuses options which are given more than once: which one counts would be a guess."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise HTTPException(422, f"{name[:40]}: it is given {names.count(name)} times; give it once")


def _requires(media_type: str) -> Callable[[Request], None]:
    """A dependency that refuses bodies of another media type."""

    def check(request: Request) -> None:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != media_type:
            raise HTTPException(415, f"the content type is {sent or 'missing'}; it should be {media_type}")
        if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
            raise HTTPException(415, f"the content encoding is {encoding[:40]}; send the body as it is")

    return check
