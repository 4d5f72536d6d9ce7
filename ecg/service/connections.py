"""Connections that keep within limits before a request is one: the size of its head, and the time that it takes.

uvicorn with httptools limits neither, and with h11 only the size. Own code, in the methods that uvicorn's protocol
overrides of asyncio and httptools: a proxy in front would do the same, but not everybody has one.
"""

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ecg.service import limits
from ecg.service.problems import MEDIA_TYPE, problem_content

_MALFORMED = (400, "the request is not HTTP/1.1")
_HOSTS = {"1.0": (0, 1), "1.1": (1,)}  # how many a request of each version of HTTP may name


class RefusedError(Exception):
    """The head of a request is refused; httptools passes it on."""


class GuardedConfig(Config):
    """How uvicorn serves.

    connections : the largest number of them at a time
    waiting : those that wait for the head of a request, the one that waits for longest first
    """

    def __init__(self, app: Any, connections: int, **options: Any) -> None:
        super().__init__(app, http=GuardedConnection, **options)
        self.connections = connections
        self.waiting: dict[GuardedConnection, None] = {}


class GuardedConnection(HttpToolsProtocol):
    """A connection that is closed if the head of a request is too large or takes too long, or an answer is not read.

    If there are more than the configuration allows, those that wait for a head for longest are closed.
    """

    def __init__(self, config: GuardedConfig, server_state: ServerState, *arguments: Any, **named: Any) -> None:
        super().__init__(config, server_state, *arguments, **named)
        self._most, self._waiting = config.connections, config.waiting
        self._refusal = _MALFORMED
        self._in_head = True  # or before it
        self._begun = False  # whether a part of a head has come
        self._is_last = False  # whether the service stops after this request
        self._messages = 0
        self._body_bytes = self._wire_bytes = 0  # of a body, and of what it was sent as
        self._head_bytes = self._header_bytes = self._headers = 0
        self._running: RequestResponseCycle | None = None
        self._deadline: asyncio.TimerHandle | None = None  # of the next head, or of the rest of a body
        self._abortion: asyncio.TimerHandle | None = None  # if an answer is not read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head; if there are too many connections, close the one that waits for longest."""
        super().connection_made(transport)
        self._waiting[self] = None
        self._close_after(limits.HEAD_SECONDS)
        if len(self.connections) > self._most:
            next(iter(self._waiting)).close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._running is not None:  # of several requests in advance, uvicorn tells the last one alone
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        self._waiting.pop(self, None)
        for timer in (self._deadline, self._abortion):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, and of a body's chunks."""
        if self.transport.is_closing():  # what uvicorn would parse all the same
            return
        was_in_head, messages = self._in_head, self._messages
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not (was_in_head or self._in_head):
            self._wire_bytes += len(data)
            if self._wire_bytes > limits.CHUNK_OVERHEAD * self._body_bytes + limits.HEAD_BYTES:
                self._refuse(400, "the chunks of the body hold hardly any of it")
        if not self._in_head:
            return
        if was_in_head and messages == self._messages:  # otherwise, some of the data are of a body
            self._head_bytes += len(data)
        if self._head_bytes > limits.HEAD_BYTES:
            self._refuse(431, f"the head of a request may have {limits.HEAD_BYTES:,} bytes")
        elif self._deadline is None:
            self._close_after(limits.HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._begun = True
        self._header_bytes = self._headers = 0

    def on_url(self, url: bytes) -> None:
        """Limit the length of the URL."""
        super().on_url(url)
        if len(self.url) > limits.URL_BYTES:
            self._refusal = 414, f"a URL may have {limits.URL_BYTES:,} bytes"
            raise RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Limit headers, and the trailers of a body in chunks, which come here, too."""
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > limits.HEADERS or self._header_bytes > limits.HEAD_BYTES:
            self._refusal = 431, f"a request may have {limits.HEADERS} headers of {limits.HEAD_BYTES:,} bytes together"
            raise RefusedError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the wait; limit the requests that are sent before the first one is answered."""
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts not in _HOSTS.get(self.parser.get_http_version(), ()):
            raise RefusedError
        if len(self.pipeline) >= limits.PIPELINED:
            self._refusal = 429, f"{limits.PIPELINED} requests wait for their answers on this connection"
            raise RefusedError
        self._in_head = self._begun = False
        self._head_bytes = self._body_bytes = self._wire_bytes = 0
        self._waiting.pop(self, None)
        self._cancel_deadline()
        super().on_headers_complete()
        if self._is_last:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count it."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        super().on_message_complete()
        if self.cycle.response_complete:  # without the body
            self._waiting[self] = None
        self._in_head = True
        self._messages += 1

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Give the client some time to read it, and to end a body that nobody wants."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_after(limits.WRITE_SECONDS)
        elif not self._in_head:
            self._close_after(limits.LINGER_SECONDS)
        else:
            self._waiting[self] = None

    def pause_writing(self) -> None:
        """Wait for the client to read, not for ever."""
        super().pause_writing()
        self._abort_after(limits.WRITE_SECONDS)

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        if self._abortion is not None and not self.transport.is_closing():
            self._abortion.cancel()
            self._abortion = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a further request."""
        self.close()

    def shutdown(self) -> None:
        """Close the connection, but answer a request that has begun."""
        if self._begun and self._in_head:
            self._is_last = True
            self._close_after(limits.LAST_BODY_SECONDS)
        elif self.cycle is None or self.cycle.response_complete:
            self.close()
        else:
            self.cycle.keep_alive = False

    def close(self) -> None:
        """Close it; what the client does not read, is not kept for ever."""
        self._waiting.pop(self, None)
        self.transport.close()
        self._abort_after(limits.WRITE_SECONDS)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse a request that uvicorn or one of the limits refuses."""
        self._refuse(*self._refusal)

    def _refuse(self, status: int, detail: str) -> None:
        content = problem_content(status, detail)
        headers = {
            b"content-type": MEDIA_TYPE.encode(),
            b"content-length": b"%d" % len(content),
            b"connection": b"close",
        }
        lines = b"".join(b"%s: %s\r\n" % header for header in [*self.server_state.default_headers, *headers.items()])
        if self.cycle is None or self.cycle.response_complete:  # not amid another answer
            self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + content)
        self.close()

    def _close_after(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self._overdue)

    def _overdue(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.close()
        else:  # an earlier request of this connection is being answered
            self._close_after(limits.HEAD_SECONDS)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort_after(self, seconds: float) -> None:
        if self._abortion is None:
            self._abortion = self.loop.call_later(seconds, self.transport.abort)
