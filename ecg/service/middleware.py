"""Checks before the body of a request is read: the API key and the size of the body.

Own code: FastAPI checks a key only after it has read the body, and its `max_body_size` answers in plain text, at once,
so that a client which is still sending may not receive the answer.
"""

import secrets

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg.service.problems import problem_response

PUBLIC = ("/health/", "/metrics", "/docs", "/openapi.json")  # paths, or their beginnings, that need no key
DISCARDED = 8  # times the limit: how much of a body that is too large is read, and discarded


class RequestGuard:
    """Middleware that refuses requests without the API key, and bodies over the limit, in bytes."""

    def __init__(self, app: ASGIApp, limit: int, key: str | None) -> None:
        self.app, self.limit, self.key = app, limit, key and key.encode()
        self.too_large = f"a body may hold {limit:,} bytes; send fewer beats at a time, or in binary form"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scheme, key = get_authorization_scheme_param(headers.get("authorization"))
        sent = key.encode("latin-1") if scheme.lower() == "bearer" else b""
        if self.key and not scope["path"].startswith(PUBLIC) and not secrets.compare_digest(sent, self.key):
            detail = "this service requires its API key: Authorization: Bearer <key>"
            await problem_response(401, detail, {"www-authenticate": "Bearer"})(scope, receive, send)
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limit:
            await self._discard(receive, more=True)
            await problem_response(413, self.too_large)(scope, receive, send)
            return
        size = 0

        async def receive_within_limit() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit:  # sent in chunks, without a content-length
                await self._discard(receive, more=message.get("more_body", False))
                raise HTTPException(413, self.too_large)
            return message

        await self.app(scope, receive_within_limit, send)

    async def _discard(self, receive: Receive, more: bool) -> None:
        """Read the rest of a body, up to a limit: most clients read the answer only after they have sent everything."""
        size = 0
        while more and size < DISCARDED * self.limit:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
