"""The service as a process: how it stops, how it counts in several processes, and what it does without files."""

import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.service import free_port, post
from tests.conftest import ROOT

BEAT = bytes(560)
BINARY = "application/octet-stream"
UPLOADS, UPLOAD = 40, 2000 * BEAT


@contextmanager
def serving(shipped: Path, *options: str, files: int | None = None) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The service, at a port, in a process that may open so many files."""
    port = free_port()
    command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", str(port), *options]
    limit = None if files is None else partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files))
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, preexec_fn=limit) as process:
        try:
            for _ in range(300):
                if status(port, "/health/ready") == 200 or process.poll() is not None:
                    break
                time.sleep(0.05)
            yield port, process
        finally:
            process.kill()


def status(port: int, path: str) -> int:
    """The status of an answer, 0 if there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def begin_upload(port: int, content: bytes) -> socket.socket:
    """Send the head of a request and the first half of its body."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    head = (
        f"POST /score/binary HTTP/1.1\r\nHost: here\r\nContent-Type: {BINARY}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content[: len(content) // 2])
    return connection


def test_requests_that_have_begun_are_answered_and_others_do_not_hold_up_the_end(shipped: Path) -> None:
    answers: list[bytes] = []
    with serving(shipped) as (port, process), closing(begin_upload(port, UPLOAD)):  # one of which no more comes

        def upload() -> None:
            with closing(begin_upload(port, UPLOAD)) as connection:
                begun.release()
                stopping.wait()
                connection.sendall(UPLOAD[len(UPLOAD) // 2 :])
                answers.append(connection.recv(12))

        begun, stopping = threading.Semaphore(0), threading.Event()
        threads = [threading.Thread(target=upload) for _ in range(UPLOADS)]
        for thread in threads:
            thread.start()
        for _ in threads:
            begun.acquire()
        process.send_signal(signal.SIGTERM)
        statuses = [status(port, "/health/ready") for _ in range(10) if not time.sleep(0.02)]
        stopping.set()
        assert process.wait(12) == 128 + signal.SIGTERM
        for thread in threads:
            thread.join()
    assert Counter(answers) == {b"HTTP/1.1 200": UPLOADS}
    assert 503 in statuses  # not ready any more
    assert 0 not in statuses  # but still accepting


ROUTE = 'http_request_method="POST",http_response_status_code="200",http_route="/score/binary"'


def test_several_workers_count_together(shipped: Path) -> None:
    with serving(shipped, "--workers", "2") as (port, process):
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            post(f"{address}/score/binary", 2 * BEAT, BINARY)
        count = f"http_server_request_duration_seconds_count{{{ROUTE}}} 200.0"
        text, end = "", time.monotonic() + 5
        while count not in text and time.monotonic() < end:  # a request is counted when its answer has been sent
            with urllib.request.urlopen(f"{address}/metrics") as response:
                text = response.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(12) == 0
    assert "ecg_beats_total 400.0" in text
    assert count in text
    workers = re.findall(r'process_resident_memory_bytes\{pid="(\d+)"\}', text)
    assert len(set(workers)) == 2
    assert str(process.pid) not in workers


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="file descriptors are counted in /proc")
def test_connections_leave_file_descriptors_for_the_rest(shipped: Path) -> None:
    with serving(shipped, files=110) as (port, process):
        idle = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(200)]
        statuses = {status(port, path) for path in ("/health/live", "/health/ready", "/metrics", "/docs")}
        used = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        for connection in idle:
            connection.close()
    assert statuses == {200}
    assert used < 110
