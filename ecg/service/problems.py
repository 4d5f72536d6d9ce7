"""Errors as problem details (RFC 9457): the response, its documentation, and the handlers of exceptions."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ecg.exceptions import BeatError, InputError
from ecg.service.schemas import Problem

MEDIA_TYPE = "application/problem+json"


class Documented(NamedTuple):
    """An error as the documentation shows it: what it means, and the detail and the position of an example."""

    description: str
    detail: str
    position: Mapping[str, int] = {}


def documented(errors: Mapping[int, Documented]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the statuses of errors."""
    schema = Problem.model_json_schema()
    return {
        status: {
            "description": error.description,
            "content": {MEDIA_TYPE: {"schema": schema, "example": _problem(status, error.detail, error.position)}},
        }
        for status, error in errors.items()
    }


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, position: Mapping[str, int | None] = {}
) -> Response:
    """An error as a response; the position is that of the beat, or of the beat and the sample, that is wrong."""
    return Response(problem_content(status, detail, position), status, headers, media_type=MEDIA_TYPE)


def problem_content(status: int, detail: str, position: Mapping[str, int | None] = {}) -> bytes:
    """The body of an error's response, in ASCII: what it shows of a request may not be valid Unicode."""
    return json.dumps(_problem(status, detail, position)).encode()


def _problem(status: int, detail: str, position: Mapping[str, int | None]) -> dict[str, Any]:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **position)
    return problem.model_dump(exclude_none=True)


async def _validation_error(_request: Request, error: RequestValidationError) -> Response:
    """A body or a query that its schema refuses: where and why, without the value that was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return problem_response(400, f"the body is not JSON: {first['ctx']['error']}")
    part, *path = first["loc"]
    indices = [0] if path[:1] == ["beat"] and first["type"] != "missing" else []
    indices += [step for step in path if isinstance(step, int)]
    position = dict(zip(("beat", "sample"), indices, strict=False))
    names = [f"{name} {index}" for name, index in position.items()]
    where = ", ".join(names) or " ".join(str(step)[:40] for step in [part, *path[:1]])
    return problem_response(422, f"{where}: {first['msg']}", position=position)


async def _http_error(_request: Request, error: HTTPException) -> Response:
    return problem_response(error.status_code, str(error.detail), error.headers)


async def _input_error(_request: Request, error: InputError) -> Response:
    position = {"beat": error.beat, "sample": error.sample} if isinstance(error, BeatError) else {}
    return problem_response(422, str(error), position=position)


HANDLERS: dict[int | type[Exception], Any] = {
    RequestValidationError: _validation_error,
    HTTPException: _http_error,
    InputError: _input_error,
}
