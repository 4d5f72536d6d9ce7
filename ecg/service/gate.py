"""What a request meets before its body is read: the key, and the limit."""

import secrets

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg.service.problems import answer

OPEN = ("/health/", "/metrics", "/docs", "/openapi.json")  # paths that need no key, or begin so
DRAINED = 8  # times the limit: what is read of a body that is too large


class Gate:
    """Turns away requests without the key, and bodies that are too large, before they are read."""

    def __init__(self, app: ASGIApp, limit: int, key: str | None) -> None:
        self.app, self.limit, self.key = app, limit, key and key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self.key and not scope["path"].startswith(OPEN) and not secrets.compare_digest(_bearer(headers), self.key):
            said = "this service asks for its key: Authorization: Bearer <key>"
            await answer(401, said, {"www-authenticate": "Bearer"})(scope, receive, send)
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limit:
            await self._drain(receive, more=True)
            await answer(413, self._too_large())(scope, receive, send)
            return
        read = 0

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limit:  # sent in chunks, without a length
                await self._drain(receive, more=message.get("more_body", False))
                raise HTTPException(413, self._too_large())
            return message

        await self.app(scope, receiving, send)

    async def _drain(self, receive: Receive, more: bool) -> None:
        """Read on and keep nothing, within reason: who is still sending does not listen for the answer."""
        read = 0
        while more and read < DRAINED * self.limit:
            message = await receive()
            read += len(message.get("body", b""))
            more = message.get("more_body", False)

    def _too_large(self) -> str:
        return f"a body may hold {self.limit:,} bytes; send fewer beats at a time, or in binary form"


def _bearer(headers: Headers) -> bytes:
    """The key that a request bears; the name of the scheme may be in any case (RFC 9110)."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
