"""Checks before the body of a request is read, and while it is: the API key, the size and the time that it takes.

Own code: FastAPI checks a key only after it has read the body, and its `max_body_size` answers in plain text, at once,
so that a client which is still sending may not receive the answer. Neither limits time.
"""

import asyncio
import secrets
from collections.abc import Sequence

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg.service import limits
from ecg.service.limits import Limits
from ecg.service.problems import problem_response
from ecg.service.stopping import Stopping

# Paths, or their beginnings, that need no key.
ASSETS = "/documentation/"  # of the page at /docs
PUBLIC = ("/health/", "/metrics", "/docs", "/openapi.json", ASSETS)
DISCARDED = 8  # times the limit: how much of a body that is too large is read, and discarded


class RequestGuard:
    """Middleware that refuses requests without an API key, and bodies that are too large or take too long."""

    def __init__(self, app: ASGIApp, bounds: Limits, keys: Sequence[str], stopping: Stopping) -> None:
        self.app, self.limit, self.stopping = app, bounds.body, stopping
        self.keys = [key.encode() for key in keys]
        self.room = Room(limits.BODIES_ON_THEIR_WAY * self.limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self.keys and not (scope["path"] == "/" or scope["path"].startswith(PUBLIC)) and not self._has_key(headers):
            detail = "this service requires its API key: Authorization: Bearer <key>"
            await problem_response(401, detail, {"www-authenticate": "Bearer"})(scope, receive, send)
            return
        body = _Body(receive, self.limit, self.stopping)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limit:
            await body.discard()
            await problem_response(413, body.too_large)(scope, receive, send)
            return
        size = int(length) if length.isdecimal() else self.limit if "transfer-encoding" in headers else 0
        if size > limits.SMALL_BODY and not await self.room.take(size):
            detail = "too many large bodies are on their way; send this one again later"
            answer = problem_response(413, detail, {"retry-after": "5", "connection": "close"})
            await answer(scope, receive, send)
            return
        body.begin()
        try:
            if scope["method"] == "HEAD":  # as GET, without a body
                inner = {**scope, "method": "GET"}
                await self.app(inner, body.receive, _without_body(send))
                scope["route"] = inner.get("route")
            else:
                await self.app(scope, body.receive, send)
        finally:
            if size > limits.SMALL_BODY:
                await self.room.give_back(size)

    def _has_key(self, headers: Headers) -> bool:
        sent = headers.getlist("authorization")
        scheme, key = get_authorization_scheme_param(sent[0] if len(sent) == 1 else None)
        if scheme.lower() != "bearer":
            return False
        matches = [secrets.compare_digest(key.encode("latin-1"), known) for known in self.keys]
        return any(matches)  # after all of them: the time does not tell which one is alike


class Room:
    """Memory for large bodies; who finds none waits, and is not read from meanwhile."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> bool:
        """Take some of it; False if there is none for too long."""
        async with self._changed:
            try:
                async with asyncio.timeout(limits.ROOM_SECONDS):
                    await self._changed.wait_for(lambda: size <= self._free)
            except TimeoutError:
                return False
            self._free -= size
            return True

    async def give_back(self, size: int) -> None:
        """Let others have it."""
        async with self._changed:
            self._free += size
            self._changed.notify_all()


class _Body:
    """The body of a request, which is received within limits."""

    def __init__(self, receive: Receive, limit: int, stopping: Stopping) -> None:
        self._receive, self._limit, self._stopping = receive, limit, stopping
        self._clock = asyncio.get_running_loop().time
        self._size, self._is_complete = 0, False
        self.begin()
        self.too_large = f"a body may hold {limit:,} bytes; send fewer beats at a time, or in binary form"

    def begin(self) -> None:
        """Count the time from now on."""
        self._until = self._clock() + limits.BODY_SECONDS

    async def receive(self) -> Message:
        """The next part; HTTPException if it does not come in time, or is one too many."""
        if self._is_complete:  # some wait for the end of the connection
            return await self._receive()
        try:
            message = await self._next()
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time; send it again", {"connection": "close"}) from None
        if self._size > self._limit:  # sent in chunks, without a content-length
            await self.discard(message.get("more_body", False))
            raise HTTPException(413, self.too_large)
        return message

    async def discard(self, more: bool = True) -> None:
        """Read the rest, up to a limit: most clients read the answer only after they have sent everything."""
        try:
            while more and self._size < DISCARDED * self._limit:
                message = await self._next()
                more = message.get("more_body", False)
        except TimeoutError:
            return

    async def _next(self) -> Message:
        message = await self._stopping.wait(self._receive, self._until)
        if self._clock() > self._until:  # what is there at once is not waited for
            raise TimeoutError
        size = len(message.get("body", b""))
        self._size += size
        self._is_complete = not message.get("more_body", False)
        # What came fast is no credit for a later stall.
        self._until = min(self._until + size / limits.BODY_RATE, self._clock() + limits.BODY_SECONDS)
        return message


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
