"""The attacks notice what they should: a server or a command that does harm fails its row."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.attack import files
from benchmarks.attack.connections import COUNT_PERIOD, Target, connected, read_answer, status_of
from benchmarks.attack.monitor import time_to_answer
from benchmarks.attack.results import REFUSED, Result, table
from benchmarks.interruptions import incomplete

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Handler = Callable[[socket.socket], None]


def answer(content: bytes) -> Handler:
    def handle(connection: socket.socket) -> None:
        connection.recv(2**16)
        connection.sendall(content)

    return handle


def close(connection: socket.socket) -> None:
    connection.recv(1)


def hold(connection: socket.socket) -> None:
    """Read for ever, and never answer."""
    while connection.recv(2**16):
        pass


@contextmanager
def serving(handle: Handler) -> Iterator[int]:
    """A server of one kind of answer; yields its port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection:
            try:
                handle(connection)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def attacked(handle: Handler) -> Result:
    """What is counted for a request that is to be refused."""
    result = Result("a request")
    with serving(handle) as port:
        result.answered("it", asyncio.run(status_of(port, [b"GET / HTTP/1.1\r\n\r\n"], seconds=0.5)), REFUSED)
    return result


@pytest.mark.parametrize(
    ("handle", "counts"),
    [
        (answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), (0, 0, 0)),
        (close, (0, 0, 0)),
        (hold, (0, 1, 0)),
        (answer(OK), (0, 0, 1)),
        (answer(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"), (1, 0, 0)),
    ],
    ids=["refused", "closed", "held", "accepted", "failed"],
)
def test_a_server_is_judged_by_what_it_answers(handle: Handler, counts: tuple[int, int, int]) -> None:
    result = attacked(handle)
    assert (result.server_errors, result.hangs, result.losses) == counts
    assert result.held == (counts == (0, 0, 0))


def test_a_request_without_end_is_sent_until_it_is_answered() -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(10_000)

    with serving(answer(b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n")) as port:
        assert asyncio.run(status_of(port, parts(), seconds=5)) in REFUSED
    assert sent


def test_an_answer_without_a_body_leaves_the_next_one_to_be_read() -> None:
    async def both(port: int) -> list[int]:
        async with connected(port) as (reader, writer):
            writer.write(b"HEAD / HTTP/1.1\r\n\r\n")
            return [(await read_answer(reader, body=body))[0] for body in (False, True)]

    with serving(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + OK)) as port:
        assert asyncio.run(both(port)) == [200, 200]


def test_a_probe_is_timed_and_one_that_fails_is_infinitely_slow() -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.2)
        answer(OK)(connection)

    with serving(slow) as port:
        assert 0.2 <= time_to_answer(port) < 5
    with serving(answer(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")) as port:
        assert time_to_answer(port) == float("inf")
    assert time_to_answer(port) == float("inf")  # refused


@pytest.mark.parametrize(
    "harm",
    [
        {"server_errors": 1},
        {"hangs": 1},
        {"crashes": 1},
        {"losses": 1},
        {"growth": 10.0, "growth_limit": 10.0},
        {"health": 1.0},
    ],
)
def test_any_harm_fails_the_row_and_the_table_names_it(harm: dict[str, float]) -> None:
    good, bad = Result("good", tried=3, growth=9.0, growth_limit=10.0, health=0.9), Result("bad", tried=3, **harm)
    bad.failures += [f"input {number}" for number in range(22)]
    assert good.held
    assert not bad.held
    _, first, second, *rest = table([good, bad]).splitlines()
    assert first.startswith("good")
    assert "FAILED" not in first
    assert second.endswith("FAILED")
    assert rest == [*(f"    input {number}" for number in range(20)), "    and 2 more"]


def test_the_memory_and_the_connections_of_a_process_are_read(tmp_path: Path) -> None:
    target = Target(0, int(Path("/proc/self").readlink().name), "", tmp_path / "log")

    async def counted() -> tuple[int, int, int]:
        before = await target.open_connections()
        with socket.socket():
            kept = await target.open_connections()
        with socket.socket() as probe:
            asyncio.get_running_loop().call_later(2 * COUNT_PERIOD, probe.close)
            passing = await target.open_connections()
        return before, kept, passing

    before, kept, passing = asyncio.run(counted())
    assert kept == before + 1
    assert passing == before
    assert 0 < target.memory() <= target.peak()


def judged(code: str, folder: Path, **options: bool) -> Result:
    result = Result("files")
    case = files.Case("it", lambda _: ["-c", code], **options)
    files.judge(case, files.execute(["-c", code], folder, seconds=1), folder, result)
    return result


@pytest.mark.parametrize(
    ("code", "harmless", "counts"),
    [
        ("raise SystemExit('error: no')", False, (0, 0, 0)),
        ("", True, (0, 0, 0)),
        ("", False, (0, 0, 1)),
        ("raise ValueError", False, (0, 1, 0)),
        ("import os; os.abort()", True, (0, 1, 0)),
        ("while True: pass", True, (1, 0, 0)),
        (r"print('\x1b[31mred')", True, (0, 0, 1)),
        ("import os; os.mkdir('../escaped')", True, (0, 0, 1)),
        ("open('out.csv', 'w').write('0,\"=1+1\"\\n')", True, (0, 0, 1)),
    ],
    ids=["refused", "read", "accepted", "traceback", "abort", "endless", "escape sequence", "outside", "formula"],
)
def test_a_command_is_judged_by_what_it_does(
    code: str, harmless: bool, counts: tuple[int, int, int], tmp_path: Path
) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    result = judged(code, folder, harmless=harmless)
    assert (result.hangs, result.crashes, result.losses) == counts


def test_hostile_files_are_what_they_are_called(tmp_path: Path) -> None:
    assert b"(-1, 140)" in files.npy(files.real_beats(), "(-1, 140)")[:128]
    files.bomb(1000, 1)(tmp_path)
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000


def test_outputs_are_absent_as_before_or_complete() -> None:
    before, after = {"a": "1", "b": "1"}, {"a": "2", "b": "2"}
    for found in (before, after, {}):
        assert incomplete(found, before, after) == []
    assert incomplete({"a": "3", "b": "2"}, before, after) == ["a is incomplete"]
    assert incomplete({"a": "2", "b": "1"}, before, after) == ["of a, b, some are new, and others old or missing"]
    assert incomplete({"a": "2"}, {}, after) == ["of a, b, some are new, and others old or missing"]
