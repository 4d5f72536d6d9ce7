"""Attacks on how the service starts, stops and shares work: each starts services of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.attack.connections import CLOSED, Target, connected, read_answer, status_of
from benchmarks.attack.monitor import monitored
from benchmarks.attack.results import Result
from benchmarks.attack.service import ANSWER, BINARY, OK, beat_json, real_beats
from benchmarks.service import exit_status, free_port, served
from ecg.service import limits

KEY = "a-key"
SHUTDOWN = 10.0  # seconds within which the service ends
UPLOADS, UPLOAD_BEATS = 100, 3700  # of 2 MB each
TRACEBACK = b"Traceback (most recent call last)"
ENDED = {0, 128 + signal.SIGTERM, -signal.SIGTERM}


@contextmanager
def service(
    *arguments: str, descriptors: int | None = None, key: str | None = KEY, **variables: str
) -> Iterator[Target]:
    """A service with a key, its log in a temporary folder."""
    if key is not None:
        variables["ECG_API_KEY"] = key
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with served(Path.cwd(), arguments=arguments, log=log, descriptors=descriptors, variables=variables) as (
            address,
            pid,
        ):
            yield Target(int(address.rpartition(":")[2]), pid, key or "", log)


def died(target: Target, result: Result) -> None:
    """Count the end of the process, and the tracebacks in its log."""
    status = exit_status(target.process)
    if status is not None:
        result.crash(f"the service ended with status {status}")
    tracebacks = target.log.read_bytes().count(TRACEBACK)
    if tracebacks:
        result.crashes += tracebacks
        result.failures.append(f"{tracebacks} tracebacks in the log, the last: {_last_error(target.log)}")


def _last_error(log: Path) -> str:
    after = log.read_text(encoding="utf-8", errors="replace").rpartition(TRACEBACK.decode())[2].splitlines()
    return next((line for line in after[1:] if line and not line.startswith((" ", "\t"))), "")[:150]


async def _ends(target: Target, result: Result, since: float) -> None:
    """Wait until the service has ended, within SHUTDOWN seconds since a moment."""
    while (status := exit_status(target.process)) is None:
        if time.monotonic() > since + SHUTDOWN + 1:
            result.hang("the service has not ended")
            os.kill(target.process, signal.SIGKILL)
            return
        await asyncio.sleep(0.05)
    if status not in ENDED:
        result.crash(f"the service ended with status {status}")


async def stalled_at_shutdown(result: Result) -> None:
    """SIGTERM while bodies are stalled: the service ends all the same."""
    with service() as target:
        head = target.request("POST", "/score", headers={"content-type": "application/json", "content-length": "9999"})
        async with AsyncExitStack() as stack:
            for part in (head, head + b"{", b"GET / HTTP/1.1\r\n", target.request("GET", "/health/live")):
                _, writer = await stack.enter_async_context(connected(target.port))
                writer.write(part)
                result.tried += 1
            await asyncio.sleep(0.5)
            os.kill(target.process, signal.SIGTERM)
            await _ends(target, result, time.monotonic())


async def uploads_at_shutdown(result: Result) -> None:
    """SIGTERM amid uploads: all that have begun are answered; before new ones are refused, readiness says so."""
    with service() as target:
        request = target.request(
            "POST", "/score/binary", real_beats()[:UPLOAD_BEATS].tobytes(), {"content-type": BINARY}
        )
        half, reached = len(request) // 2, asyncio.Event()
        waiting, resume = [0], asyncio.Event()

        async def upload(number: int) -> None:
            status: int | None = 0
            with suppress(*CLOSED):
                async with connected(target.port) as (reader, writer):
                    writer.write(request[:half])
                    await writer.drain()
                    waiting[0] += 1
                    if waiting[0] == UPLOADS:
                        reached.set()
                    await resume.wait()
                    for start in range(half, len(request), len(request) // 20):  # over two seconds
                        writer.write(request[start : start + len(request) // 20])
                        await writer.drain()
                        await asyncio.sleep(0.2)
                    try:
                        status = (await asyncio.wait_for(read_answer(reader), SHUTDOWN))[0]
                    except TimeoutError:
                        status = None
            result.answered(f"upload {number}", status, OK)

        async with asyncio.TaskGroup() as group:
            for number in range(UPLOADS):
                group.create_task(upload(number))
            await asyncio.wait_for(reached.wait(), 30)
            os.kill(target.process, signal.SIGTERM)
            since = time.monotonic()
            resume.set()
            group.create_task(_ends(target, result, since))
            said = await _unready(target, since)
        if not said:
            result.loss("readiness was not 503 before connections were refused")


async def _unready(target: Target, since: float) -> bool:
    """Whether readiness is 503 before connections are refused."""
    request = target.request("GET", "/health/ready")
    while time.monotonic() < since + SHUTDOWN:
        try:
            if await status_of(target.port, [request], ANSWER) == 503:
                return True
        except OSError:  # refused
            return False
        if exit_status(target.process) is not None:
            return False
        await asyncio.sleep(0.05)
    return False


async def few_descriptors(result: Result) -> None:
    """More connections than the process may have files open: they wait, or are closed."""
    with service(descriptors=128) as target, monitored(target.port) as monitor:
        samples = real_beats()[:200].tobytes()
        requests = [
            target.request("GET", "/metrics"),
            target.request("POST", "/score", beat_json()),
            target.request("POST", "/score/binary", samples, {"content-type": BINARY}),
        ]

        async def ask(number: int) -> None:
            status: int | None = 0
            with suppress(*CLOSED):
                async with connected(target.port) as (reader, writer):
                    writer.write(requests[number % len(requests)])
                    try:
                        status = (
                            await asyncio.wait_for(read_answer(reader), 2 * (limits.KEEP_ALIVE_SECONDS + ANSWER))
                        )[0]
                    except TimeoutError:
                        status = None
                    await asyncio.sleep(limits.KEEP_ALIVE_SECONDS)  # keeps its connection
            result.answered(f"connection {number}", status, {0, 200})

        await asyncio.gather(*(ask(number) for number in range(300)))
        monitor.longest()  # while all descriptors are in use, a probe waits as well
        await asyncio.sleep(1)
        result.health, result.memory = monitor.longest(), target.memory()
        died(target, result)


async def keys_at_start(result: Result) -> None:
    """A key that is empty or blank is refused; a file of keys may hold two, so that one can replace the other."""
    for key in ("", " ", "\n", "\t \r\n"):
        command = [sys.executable, "-m", "ecg", "serve", "--port", str(free_port())]
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | {"ECG_API_KEY": key}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        result.tried += 1
        try:
            _, errors = await asyncio.wait_for(process.communicate(), 2 * ANSWER)
        except TimeoutError:
            process.kill()
            await process.wait()
            result.loss(f"ECG_API_KEY={key!r}: the service starts")
            continue
        if TRACEBACK in errors or process.returncode != 1:
            result.crash(f"ECG_API_KEY={key!r}: status {process.returncode}")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"first\nsecond\n")
        file.flush()
        with service(key=None, ECG_API_KEY_FILE=file.name) as target:
            keys = {"first": OK, "second": OK, "": {401}, "first second": {401}, "third": {401}}
            for key, accepted in keys.items():
                request = target.request("GET", "/model", headers={"authorization": f"Bearer {key}"})
                status = await status_of(target.port, [request], ANSWER)
                result.answered(f"key {key!r}, of a file with two", status, accepted)


async def workers(result: Result) -> None:
    """Several workers: whichever of them answers, /metrics has what all of them counted."""
    connections, each = 40, 25
    with service("--workers", "2") as target:
        request = target.request("POST", "/score", beat_json())

        async def ask() -> None:
            async with connected(target.port) as (reader, writer):
                for _ in range(each):
                    writer.write(request)
                    status, _, _ = await asyncio.wait_for(read_answer(reader), ANSWER)
                    result.answered("a beat", status, OK)

        await asyncio.gather(*(ask() for _ in range(connections)))
        counted = set()
        for _ in range(20):
            async with connected(target.port) as (reader, writer):
                writer.write(target.request("GET", "/metrics"))
                _, _, text = await asyncio.wait_for(read_answer(reader), ANSWER)
            counted.add(_total(text.decode(), "ecg_beats_total"))
        if counted != {connections * each}:
            result.loss(f"{connections * each:,} beats; /metrics counts {sorted(counted)}")
        result.memory = target.memory()
        died(target, result)


def _total(metrics: str, name: str) -> int:
    """The sum of a counter over its labels."""
    lines = [line for line in metrics.splitlines() if line.partition("{")[0].split(" ")[0] == name]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


ATTACKS: dict[str, Callable[[Result], Coroutine[None, None, None]]] = {
    "stalled bodies, then SIGTERM": stalled_at_shutdown,
    "100 uploads, then SIGTERM": uploads_at_shutdown,
    "300 connections, 128 descriptors": few_descriptors,
    "keys at the start": keys_at_start,
    "two workers": workers,
}
