"""What is wrong with a request, told as RFC 9457 has it: for OpenAPI, and as an answer."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ecg.exceptions import BeatError, InputError
from ecg.service.schemas import Problem

KIND = "application/problem+json"


def described(statuses: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its documentation."""
    content = {KIND: {"schema": Problem.model_json_schema()}}
    return {status: {"description": said, "content": content} for status, said in statuses.items()}


def answer(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    beat: int | None = None,
    sample: int | None = None,
) -> Response:
    """The answer that tells of a problem."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, beat=beat, sample=sample)
    content = json.dumps(problem.model_dump(exclude_none=True))  # in ASCII: what was sent may be no valid Unicode
    return Response(content, status, headers, media_type=KIND)


def handle(app: FastAPI) -> None:
    """Let an app answer every problem so."""
    app.add_exception_handler(RequestValidationError, _refused_by_schema)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(InputError, _refused_by_detector)


async def _refused_by_schema(_request: Request, error: Exception) -> Response:
    """Where a body or a query is not what its schema says, and why; not what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return answer(400, f"the body is not JSON: {first['ctx']['error']}")
    part, *place = first["loc"]
    numbers = [number for number in place if isinstance(number, int)]
    if place[:1] == ["beat"] and first["type"] != "missing":
        numbers = [0, *numbers]
    beat, sample = [*numbers, None, None][:2]
    names = [] if beat is None or place[0] not in ("beat", "beats") else [f"beat {beat}"]
    names += [] if sample is None else [f"sample {sample}"]
    where = ", ".join(names) or " ".join(str(name)[:40] for name in [part, *place[:1]])
    return answer(422, f"{where}: {first['msg']}", beat=beat, sample=sample)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), error.headers)


async def _refused_by_detector(_request: Request, error: Exception) -> Response:
    place = (error.beat, error.sample) if isinstance(error, BeatError) else (None, None)
    return answer(422, str(error), None, *place)
