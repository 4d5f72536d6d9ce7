"""JSON bodies, parsed within bounds: what a valid body has few of is counted before it can take memory."""

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ecg.service.limits import SMALL_BODY

SPARE = 64  # more than a valid body has: with so few, the error says where they are


def parse_json(body: bytes, most_beats: int, length: int) -> Any:
    """The content of a body.

    With orjson, which is faster than `json` and refuses NaN and Infinity. A valid body has one name and nothing but
    numbers below it, so one without a second colon repeats no name.

    Parameters
    ----------
    body : with one beat or several
    most_beats, length : beats in a request, and samples in a beat

    Raises
    ------
    HTTPException
        422 if the body has more arrays, objects, names or values than any valid one, or if it repeats a name.
    json.JSONDecodeError
        if it is not JSON.
    """
    most = {"[": most_beats + 1, "{": 1, ":": 1, ",": most_beats * (length + 1)}
    for mark, number in most.items():
        if (found := body.count(mark.encode())) > number + SPARE:
            raise HTTPException(
                422, f"body: it has {found:,} times '{mark}'; a valid one has it {number:,} times at most"
            )
    content = orjson.loads(body)
    if body.count(b":") > 1:
        try:
            json.loads(body, object_pairs_hook=_without_repeated_names, parse_int=float, parse_float=float)
        except RecursionError:
            raise HTTPException(422, "body: it is nested too deeply") from None
    return content


def _without_repeated_names(pairs: Sequence[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise HTTPException(422, f"body: the name {name[:40]!r} is repeated")


def json_route(most_beats: int, length: int) -> type[APIRoute]:
    """The class of routes whose bodies are parsed by `parse_json`: large ones in a thread."""

    class BoundedRequest(Request):
        async def json(self) -> Any:
            body = await self.body()
            if len(body) <= SMALL_BODY:
                return parse_json(body, most_beats, length)
            return await run_in_threadpool(parse_json, body, most_beats, length)

    class BoundedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """As FastAPI documents it for a request class of one's own."""
            handle = super().get_route_handler()

            async def parse_and_handle(request: Request) -> Response:
                return await handle(BoundedRequest(request.scope, request.receive))

            return parse_and_handle

    return BoundedRoute
