"""Connections and bodies that take too much or too long, at a server whose limits are short."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import numpy as np
import pytest
import uvicorn

from ecg.detector.detector import Detector
from ecg.service import limits
from ecg.service.app import make_app
from ecg.service.connections import GuardedConfig
from ecg.service.limits import Limits
from ecg.service.middleware import Room

CONNECTIONS = 20
BODY = 2_000_000
BEFORE_HANG = 15  # seconds
HEAD = b"POST /score/binary HTTP/1.1\r\nHost: here\r\nContent-Type: application/octet-stream\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture(scope="module")
def server(detector: Detector) -> Iterator[uvicorn.Server]:
    """A server in a thread, which waits for a fifth of the usual seconds, or less."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEAD_SECONDS", "BODY_SECONDS", "LINGER_SECONDS", "WRITE_SECONDS"):
            patch.setattr(limits, name, 1.0)
        app = make_app(detector, bounds=Limits(body=BODY), keys=["key"])
        config = GuardedConfig(app, CONNECTIONS, port=0, log_level="critical", ws="none", timeout_keep_alive=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield server
        server.should_exit = True
        thread.join()


def connect(server: uvicorn.Server) -> socket.socket:
    address = server.servers[0].sockets[0].getsockname()
    return socket.create_connection(address, BEFORE_HANG)


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection; TimeoutError if it does not."""
    received = b""
    try:
        while part := connection.recv(2**16):
            received += part
    except ConnectionResetError:  # closed before the server had read everything
        pass
    return received


def answer(server: uvicorn.Server, sent: bytes) -> bytes:
    """What the server answers until it closes the connection."""
    with closing(connect(server)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        return everything(connection)


def is_closed_while(connection: socket.socket, drip: bytes) -> bool:
    """Whether the server closes a connection on which something comes again and again."""
    start = time.monotonic()
    with suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() - start < BEFORE_HANG:
            connection.sendall(drip)
            time.sleep(0.05)
        return False
    return True


def assert_refused(received: bytes, status: int, detail: str) -> None:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert detail in json.loads(body)["detail"]


@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        (b"GET /model HTTP/1.1\r\nX: " + b"a" * 1_000_000, 431, "the head of a request may have 65,536 bytes"),
        (b"GET /model HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431, "65,536 bytes"),
        (b"GET /model HTTP/1.1\r\n" + b"A: 1\r\n" * 101 + b"\r\n", 431, "100 headers"),
        (b"GET /model HTTP/1.1\r\n" + b"A: 1\r\n" * 100_000, 431, "100 headers"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, "a URL may have 8,192 bytes"),
        (b"GET " + b"a" * 1_000_000, 414, "a URL may have 8,192 bytes"),
        (b"no request at all\r\n\r\n", 400, "not HTTP/1.1"),
        (b"GET /model HTTP/1.1\r\nA\0: 1\r\n\r\n", 400, "not HTTP/1.1"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 400, "not HTTP/1.1"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\naa", 400, "not HTTP/1.1"),
    ],
)
def test_the_head_of_a_request_is_limited_before_the_key_is_checked(
    server: uvicorn.Server, sent: bytes, status: int, detail: str
) -> None:
    assert_refused(answer(server, sent), status, detail)


def test_a_head_of_the_largest_size_is_accepted(server: uvicorn.Server) -> None:
    headers = b"".join(b"A%d: %s\r\n" % (i, b"a" * 600) for i in range(98))
    with closing(connect(server)) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: here\r\n" + headers + b"\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_trailers_and_extensions_of_chunks_without_end_are_refused(server: uvicorn.Server) -> None:
    chunked = HEAD + b"Authorization: Bearer key\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"200" not in answer(server, chunked + b"0\r\n" + b"A: 1\r\n" * 200)[:20]
    with closing(connect(server)) as connection:
        connection.sendall(chunked + b"1;")
        assert is_closed_while(connection, b"a" * 1000)


@pytest.mark.parametrize("sent", [b"", b"GET /model HT", b"GET /model HTTP/1.1\r\nHost: he", LIVE + b"\r\n"])
def test_a_connection_without_a_whole_head_is_closed(server: uvicorn.Server, sent: bytes) -> None:
    received = answer(server, sent)
    assert received.count(b"HTTP/1.1 ") == sent.count(b"\r\n\r\n")


def test_a_head_that_comes_bit_by_bit_has_no_more_time(server: uvicorn.Server) -> None:
    for before, drip in ((b"", b"G"), (b"", b"\r\n"), (LIVE, b"\r\n"), (LIVE + b"GET / HTTP/1.1\r\n", b"A: 1\r\n")):
        with closing(connect(server)) as connection:
            connection.sendall(before)
            assert is_closed_while(connection, drip)


@pytest.mark.parametrize("sent", [0, 1000, 1_000_000])
def test_a_body_that_stalls_is_refused(server: uvicorn.Server, sent: int) -> None:
    head = HEAD + b"Authorization: Bearer key\r\nContent-Length: 1999200\r\n\r\n"
    assert_refused(answer(server, head + bytes(sent)), 408, "did not come in time")  # what came fast is no credit


def test_a_body_that_nobody_wants_may_not_go_on_for_ever(server: uvicorn.Server) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")
        assert is_closed_while(connection, b"a")


def test_an_answer_that_is_not_read_is_not_kept(server: uvicorn.Server) -> None:
    assert settled(server) == 0
    with closing(connect(server)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            connection.sendall(b"GET /documentation/swagger-ui-bundle.js HTTP/1.1\r\nHost: here\r\n\r\n" * 2)
        assert settled(server) == 0


def settled(server: uvicorn.Server) -> int:
    """The number of connections that are open after some seconds, at most."""
    for _ in range(10 * BEFORE_HANG):
        if not server.server_state.connections:
            break
        time.sleep(0.1)
    return len(server.server_state.connections)


def test_too_many_requests_at_once_on_a_connection_are_refused(server: uvicorn.Server) -> None:
    assert answer(server, LIVE * 10_000).count(b"HTTP/1.1 200") <= limits.PIPELINED + 1
    with closing(connect(server)) as connection:
        connection.sendall(LIVE * 20)
        assert everything(connection).count(b"HTTP/1.1 200") == 20


def test_with_too_many_connections_the_one_that_waits_for_longest_is_closed(server: uvicorn.Server) -> None:
    idle = [connect(server) for _ in range(CONNECTIONS)]
    for connection in idle:
        connection.sendall(b"GET ")
    time.sleep(0.2)
    others = [connect(server) for _ in range(3)]
    for connection in others:
        connection.sendall(LIVE)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    for connection in idle[:3]:
        assert everything(connection) == b""
    for connection in idle + others:
        connection.close()
    assert settled(server) == 0


def test_large_bodies_wait_for_room(server: uvicorn.Server) -> None:
    content = np.zeros((3500, 140), "<f4").tobytes()
    head = HEAD + b"Authorization: Bearer key\r\nContent-Length: %d\r\n\r\n" % len(content)
    with ExitStack() as stack:
        stalled = [stack.enter_context(closing(connect(server))) for _ in range(limits.BODIES_ON_THEIR_WAY)]
        for connection in stalled:
            connection.sendall(head)
        time.sleep(0.2)
        connection = stack.enter_context(closing(connect(server)))
        connection.sendall(head + content)  # which has room when the others are refused
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        for connection in stalled:
            assert_refused(everything(connection), 408, "in time")


def test_who_finds_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOM_SECONDS", 0.05)

    async def take() -> list[bool]:
        room = Room(10)
        taken = [await room.take(6), await room.take(6), await room.take(4)]
        await room.give_back(6)
        return [*taken, await room.take(6)]

    assert asyncio.run(take()) == [True, False, True, True]
