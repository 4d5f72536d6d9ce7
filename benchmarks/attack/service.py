"""Attacks on a running service: large and slow requests, many connections, malformed HTTP and JSON."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, repeat

import numpy as np

from benchmarks.attack.connections import CLOSED, Target, connected, read_answer, send, status_of
from benchmarks.attack.results import REFUSED, Result
from ecg.data import beats
from ecg.service import limits

ANSWER = 5.0  # seconds within which a complete request is to be answered, and for which a limit may be exceeded
MEGABYTE = 1_000_000
BINARY = "application/octet-stream"
OK = frozenset({200})


@dataclass(frozen=True)
class Attack:
    """An attack on a running service.

    run : given the service and what to count
    growth_limit : MB that it may add to the memory of the service at most, even for a moment; None for any number
    """

    name: str
    run: Callable[[Target, Result], Awaitable[None]]
    growth_limit: float | None = None


@cache
def real_beats() -> np.ndarray:
    """Test beats, float32 of shape (4500, L)."""
    return beats.load("data/processed/test.npz").samples.astype("<f4")


def beat_json() -> bytes:
    """A valid body of /score."""
    return json.dumps({"beat": [round(float(sample), 3) for sample in real_beats()[0]]}).encode()


async def large_heads(target: Target, result: Result) -> None:
    """Heads of requests without a key that are far too large, or that never end."""
    start = b"POST /score HTTP/1.1\r\nhost: localhost\r\n"
    block = b"a" * MEGABYTE
    cases: dict[str, Iterable[bytes]] = {
        "a header of 200 MB": chain([start + b"x: "], repeat(block, 200), [b"\r\n\r\n"]),
        "a million headers of 1 kB": chain(
            [start], (b"x-%d: %s\r\n" % (i, block[:1000]) for i in range(10**6)), [b"\r\n"]
        ),
        "a URL of 100 MB": chain([b"GET /"], repeat(block, 100), [b" HTTP/1.1\r\nhost: localhost\r\n\r\n"]),
        "a method of 100 MB": chain(repeat(block, 100), [b" / HTTP/1.1\r\nhost: localhost\r\n\r\n"]),
        "5,000 headers of 10 bytes": chain([start], (b"x-%04d: y\r\n" % i for i in range(5000)), [b"\r\n"]),
        "a header's name of 10 MB": chain([start], repeat(block, 10), [b": y\r\n\r\n"]),
        "empty lines before the request, without end": repeat(b"\r\n" * 1000, 10**6),
    }
    await asyncio.gather(
        *(_refused(target, result, name, parts, REFUSED, limits.HEAD_SECONDS + ANSWER) for name, parts in cases.items())
    )


async def endless_bodies(target: Target, result: Result) -> None:
    """Chunked bodies with the key whose extensions or trailers never end."""
    head = target.request(
        "POST", "/score", headers={"content-type": "application/json", "transfer-encoding": "chunked"}
    )
    block = b"a" * 10_000
    cases: dict[str, Iterable[bytes]] = {
        "a chunk's extension without end": chain([head, b"1;x="], repeat(block, 10**6)),
        "extensions at many chunks": chain([head], repeat(b"1;x=" + block + b"\r\n{\r\n", 10**6)),
        "trailers without end": chain([head, b"1\r\n{\r\n0\r\n"], repeat(b"x: " + block + b"\r\n", 10**6)),
        "a chunk's size of many digits": chain([head], repeat(b"0" * 10_000, 10**6)),
        "empty chunk sizes": chain([head], repeat(b"\r\n" * 5_000, 10**6)),
    }
    await asyncio.gather(
        *(_refused(target, result, name, parts, REFUSED, limits.BODY_SECONDS + ANSWER) for name, parts in cases.items())
    )


async def _refused(
    target: Target, result: Result, name: str, parts: Iterable[bytes], accepted: frozenset[int], seconds: float
) -> None:
    result.answered(name, await status_of(target.port, parts, seconds), accepted)


async def pipelined(target: Target, result: Result) -> None:
    """Ten thousand requests in one write."""
    count = 10_000
    async with connected(target.port) as (reader, writer):
        sending = asyncio.create_task(send(writer, [target.request("GET", "/health/live", key=False) * count]))
        for number in range(count):
            try:
                status = (await asyncio.wait_for(read_answer(reader), ANSWER))[0]
            except TimeoutError:
                result.answered(f"request {number}", None)
                break
            except CLOSED:  # the service may limit how many it answers on a connection
                break
            result.answered(f"request {number}", status, OK)
        sending.cancel()
        result.tried = count


async def held(target: Target, result: Result) -> None:
    """Connections that are held without a complete request, or whose answers are not read.

    They are opened all at once, and the service is to close them within its limits.
    """
    before = await target.open_connections()
    head = target.request("POST", "/score", headers={"content-type": "application/json", "content-length": "10000000"})
    seconds = ANSWER + max(limits.HEAD_SECONDS, limits.ROOM_SECONDS + limits.BODY_SECONDS)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(600):
            _, writer = await stack.enter_async_context(connected(target.port))
            group.create_task(_dripped(writer, b"GET /model HTTP/1.1\r\nx: ", b"a", seconds))
        for _ in range(60):
            _, writer = await stack.enter_async_context(connected(target.port))
            group.create_task(_dripped(writer, head, b"1", seconds))
        await asyncio.sleep(seconds)
        result.tried += 660
        result.hang("connections that are held", await target.open_connections() - before)


async def _dripped(writer: asyncio.StreamWriter, start: bytes, drop: bytes, seconds: float) -> None:
    """Send the start of a request, and then one byte a second."""
    with suppress(*CLOSED):
        writer.write(start)
        for _ in range(int(seconds) - 1):
            await asyncio.sleep(1)
            writer.write(drop)
            await writer.drain()


async def idle(target: Target, result: Result) -> None:
    """Connections that are kept alive after an answer, without another request."""
    before, request = await target.open_connections(), target.request("GET", "/health/live")
    async with AsyncExitStack() as stack:
        for number in range(500):
            reader, writer = await stack.enter_async_context(connected(target.port))
            writer.write(request)
            result.answered(f"connection {number}", await _status(reader), OK)
        await asyncio.sleep(limits.KEEP_ALIVE_SECONDS + ANSWER)
        result.hang("idle connections", await target.open_connections() - before)


async def _status(reader: asyncio.StreamReader, seconds: float = ANSWER) -> int | None:
    """The status of the next answer; 0 if the connection is closed, None if neither happens in time."""
    try:
        return (await asyncio.wait_for(read_answer(reader), seconds))[0]
    except TimeoutError:
        return None
    except CLOSED:
        return 0


async def unread(target: Target, result: Result) -> None:
    """Many large answers are asked for, and none is read."""
    before = await target.open_connections()
    body = real_beats()[:4000].tobytes()
    request = target.request("POST", "/score/binary", body, {"content-type": BINARY})
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        tasks = []
        for _ in range(10):
            _, writer = await stack.enter_async_context(connected(target.port, receive_buffer=4096))
            tasks.append(group.create_task(send(writer, repeat(request, 50))))
        await asyncio.sleep(limits.WRITE_SECONDS + 4 * ANSWER)  # the first of them is stalled after some seconds
        result.tried += 10
        result.hang("connections whose answers are not read", await target.open_connections() - before)
        for task in tasks:
            task.cancel()


async def many_connections(target: Target, result: Result) -> None:
    """2,000 connections at once, without a request."""
    async with AsyncExitStack() as stack:
        for _ in range(2000):
            result.tried += 1
            with suppress(OSError):  # the service may refuse some
                await stack.enter_async_context(connected(target.port))
        for number in range(20):
            request = target.request("POST", "/score", beat_json())
            result.answered(f"a beat beside them, {number}", await status_of(target.port, [request], ANSWER), OK)


def json_bodies() -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """Invalid bodies: what is wrong, the path, the body, and headers."""
    beat = beat_json()
    first = beat.index(b"[") + 1
    rest = beat[beat.index(b",") :]
    batch, one = "/score/batch", "/score"
    yield "a million unknown keys", one, b"{" + b",".join(b'"k%07d":0' % i for i in range(10**6)) + b"}", {}
    yield "5.5 million empty beats", batch, b'{"beats":[' + b"[]," * (5_500_000 - 1) + b"[]]}", {}
    yield "5 million null beats", batch, b'{"beats":[' + b"1," * (5_000_000 - 1) + b"1]}", {}
    yield "arrays 100,000 deep", batch, b'{"beats":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}
    yield "objects 100,000 deep", one, b'{"beat":' * 100_000 + b"1" + b"}" * 100_000, {}
    yield "16 MB of [", one, b"[" * 16_000_000, {}
    yield "a number of 5,000 digits", one, beat[:first] + b"1" * 5_000 + rest, {}
    yield "a number of 10 million digits", one, beat[:first] + b"1" * 10_000_000 + rest, {}
    yield "a fraction of 10 million digits", one, beat[:first] + b"1e" + b"9" * 10_000_000 + rest, {}
    yield "a beat twice", one, beat[:-1] + b"," + beat[1:], {}
    yield "alpha twice", f"{one}?alpha=0.05&alpha=0.5", beat, {}
    yield "alpha of 5,000 digits", f"{one}?alpha=0.{'1' * 5_000}e1", beat, {}
    yield "invalid UTF-8", one, beat[:-1] + b',"\xff\xfe":0}', {}
    yield "an overlong form of UTF-8", one, b'{"\xc0\xa2beat":0}', {}
    yield "a lone surrogate in a key", one, beat[:-1] + rb',"\ud800":0}', {}
    yield "a lone surrogate in a value", one, b'{"beat":"\\udfff"}', {}
    yield "UTF-16", one, beat.decode().encode("utf-16"), {}
    for name in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"01", b"+1", b".5", b"1_0", b"true", b'"1"'):
        yield name.decode(), one, beat[:first] + name + rest, {}
    yield "no body", one, b"", {}
    yield "an object after the first", one, beat + beat, {}
    yield "a body in gzip", one, gzip.compress(beat), {"content-encoding": "gzip"}
    yield "a body that is said to be in gzip", one, beat, {"content-encoding": "gzip"}
    yield "50 MB in gzip", batch, gzip.compress(b" " * 50_000_000 + beat), {"content-encoding": "gzip"}
    yield "another content type", one, beat, {"content-type": "text/plain"}


async def hostile_json(target: Target, result: Result) -> None:
    """Bodies that are no beats; each is to be refused."""
    for name, path, body, headers in json_bodies():
        request = target.request("POST", path, body, headers)
        result.answered(name, await status_of(target.port, [request], ANSWER), REFUSED)


def malformed(target: Target) -> Iterator[tuple[str, bytes]]:
    """Requests that two programs may read in different ways: what is wrong, and the request."""
    beat = beat_json()
    length, start = len(beat), target.request("POST", "/score", headers={"content-type": "application/json"})[:-2]
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (length, beat)
    both = b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % length
    yield "both content-length and transfer-encoding", start + both + chunk
    yield (
        "transfer-encoding before content-length",
        start + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n" + chunk,
    )
    yield "two content-lengths", start + b"content-length: %d\r\ncontent-length: 3\r\n\r\n" % length + beat
    yield "a list of content-lengths", start + b"content-length: %d, %d\r\n\r\n" % (length, length) + beat
    yield "a negative content-length", start + b"content-length: -1\r\n\r\n" + beat
    yield "a content-length with a sign", start + b"content-length: +%d\r\n\r\n" % length + beat
    yield "a content-length in hexadecimal", start + b"content-length: 0x10\r\n\r\n" + beat
    yield "a content-length of 5,000 digits", start + b"content-length: " + b"9" * 5_000 + b"\r\n\r\n" + beat
    yield "an unknown transfer-encoding", start + b"transfer-encoding: xchunked\r\n\r\n" + chunk
    yield "chunked twice", start + b"transfer-encoding: chunked, chunked\r\n\r\n" + chunk
    yield "chunked before another", start + b"transfer-encoding: chunked, identity\r\n\r\n" + chunk
    yield "a chunk's size that is negative", start + b"transfer-encoding: chunked\r\n\r\n-1\r\n" + beat
    yield "a chunk's size that overflows", start + b"transfer-encoding: chunked\r\n\r\n1" + b"0" * 16 + b"\r\n" + beat
    framed = b"content-length: %d\r\n" % length
    yield "a folded header", start + framed + b"x: a\r\n b\r\n\r\n" + beat
    yield "a bare line feed", start + framed + b"x: a\n\r\n" + beat
    yield "bare line feeds alone", (start + framed).replace(b"\r\n", b"\n") + b"\n" + beat
    yield "a bare carriage return", start + framed + b"x: a\rb\r\n\r\n" + beat
    yield "NUL in a header", start + framed + b"x: a\0b\r\n\r\n" + beat
    yield "NUL in a header's name", start + framed + b"x\0: a\r\n\r\n" + beat
    yield "a space before the colon", start + b"content-length : %d\r\n\r\n" % length + beat
    yield "no colon", start + framed + b"x\r\n\r\n" + beat
    yield "two hosts", start + framed + b"host: other\r\n\r\n" + beat
    yield "no host", (start + framed + b"\r\n" + beat).replace(b"host: localhost\r\n", b"")
    yield "another version", (start + framed + b"\r\n" + beat).replace(b"HTTP/1.1", b"HTTP/9.9", 1)
    yield "no version", b"GET /health/live\r\n\r\n"
    yield "HTTP/2 without negotiation", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    yield "NUL in the path", b"GET /health/live\0 HTTP/1.1\r\nhost: a\r\n\r\n"
    yield "bytes above 127 in the path", b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n"


async def smuggled(target: Target, result: Result) -> None:
    """Malformed requests; each is to be refused, or its connection closed."""
    for name, request in malformed(target):
        result.answered(name, await status_of(target.port, [request], limits.HEAD_SECONDS + ANSWER), REFUSED)


async def methods(target: Target, result: Result) -> None:
    """HEAD answers as GET does, without a body; where there is POST alone, 405 says so; no other method is known."""
    async with connected(target.port) as (reader, writer):
        writer.write(target.request("GET", "/openapi.json"))
        _, _, document = await read_answer(reader)
        paths = {path: set(operations) for path, operations in json.loads(document)["paths"].items()}
        for path in ("/openapi.json", "/docs"):
            paths[path] = {"get"}
        for path, known in paths.items():
            writer.write(target.request("HEAD", path))
            status, headers, _ = await asyncio.wait_for(read_answer(reader, body=False), ANSWER)
            result.answered(f"HEAD {path}", status, OK if "get" in known else {405})
            if status == 405 and "POST" not in headers.get("allow", ""):
                result.loss(f"HEAD {path}: 405 without the header Allow")
            for method in ("TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "BREW", "get", "M-SEARCH"):
                status_other = await status_of(target.port, [target.request(method, path)], ANSWER)
                result.answered(f"{method} {path}", status_other, REFUSED)


async def wrong_keys(target: Target, result: Result) -> None:
    """Requests without the key, or with another, are refused with 401."""
    sent = ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {target.key}", target.key, f"Bearer {target.key[:-1]}"]
    sent += [f"Bearer {target.key}\u00e9", f"Bearer {target.key} {target.key}", f"Bearer {'a' * 30_000}"]
    paths = ["/score", "/score/batch", "/score/binary", "/explain", "//score", "/health/../score", "/metrics/../score"]
    for value in sent:
        for path in paths:
            request = target.request("POST", path, beat_json(), {"authorization": value}, key=False)
            result.answered(f"{path} with {value[:40]!r}", await status_of(target.port, [request], ANSWER), REFUSED)
        request = target.request("GET", "/model", headers={"authorization": value}, key=False)
        result.answered(f"/model with {value[:40]!r}", await status_of(target.port, [request], ANSWER), REFUSED)


async def steady(target: Target, result: Result, requests: int) -> None:
    """Many valid and invalid requests on connections that are kept alive: memory does not grow."""
    connections, samples = 8, real_beats()
    cycle = [
        (target.request("POST", "/score", beat_json()), OK),
        (target.request("POST", "/score/binary", samples[:8].tobytes(), {"content-type": BINARY}), OK),
        (target.request("POST", "/score/binary", samples[:200].tobytes(), {"content-type": BINARY}), OK),
        (target.request("POST", "/score", beat_json()[:-9]), REFUSED),
        (target.request("POST", "/score", b'{"beat":[1,2]}'), REFUSED),
        (target.request("POST", "/score/binary", b"abc", {"content-type": BINARY}), REFUSED),
        (target.request("GET", "/model", key=False), REFUSED),
        (target.request("GET", "/health/ready"), OK),
    ]

    async def ask(turns: int) -> None:
        async with connected(target.port) as (reader, writer):
            for turn in range(turns):
                request, accepted = cycle[turn % len(cycle)]
                writer.write(request)
                result.answered(f"request {turn % len(cycle)}", await _status(reader), accepted)

    await asyncio.gather(*(ask(2_000 // connections) for _ in range(connections)))  # to warm up
    target.reset_peak()
    before = target.memory()
    await asyncio.gather(*(ask(requests // connections) for _ in range(connections)))
    result.growth = target.memory() - before


def attacks(requests: int) -> list[Attack]:
    """All of them; one is a number of requests, of which most are valid."""
    return [
        Attack("large heads, before the key is checked", large_heads, growth_limit=50),
        Attack("bodies without end", endless_bodies, growth_limit=100),
        Attack("10,000 requests in one write", pipelined, growth_limit=50),
        Attack("660 requests that are half sent", held, growth_limit=100),
        Attack("500 idle connections", idle, growth_limit=50),
        Attack("answers that are not read", unread),
        Attack("2,000 connections", many_connections, growth_limit=100),
        Attack("JSON", hostile_json),
        Attack("malformed requests", smuggled),
        Attack("methods", methods),
        Attack("keys in requests", wrong_keys),
        Attack("many requests", partial(steady, requests=requests), growth_limit=10),
    ]


async def carry_out(attack: Attack, target: Target, result: Result) -> None:
    """Run an attack; measure the memory of the service, and what it adds unless it measures that itself."""
    result.growth_limit = attack.growth_limit
    target.reset_peak()
    before = target.memory()
    await attack.run(target, result)
    result.memory = target.memory()
    if result.growth is None:
        result.growth = target.peak() - before
