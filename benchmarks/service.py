"""The HTTP service in a process of its own, for benchmarks and tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(folder: Path, python: str = sys.executable, **variables: str) -> Iterator[tuple[str, int]]:
    """Start `ecg serve` in a folder; yields its address and its process id once it is ready."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [python, "-m", "ecg", "serve", "--port", str(port)]
    with started(command, f"{address}/health/ready", folder, **variables) as process:
        yield address, process


@contextmanager
def started(command: Sequence[str], ready: str, folder: Path, **variables: str) -> Iterator[int]:
    """Start a server in a folder; yields its process id once the address `ready` answers."""
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not _answers(ready):
                if process.poll() is not None:
                    sys.exit(f"the server did not start: {' '.join(command)}")
                time.sleep(0.02)
            yield process.pid
        finally:
            process.terminate()


def free_port() -> int:
    """A port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(address: str, body: bytes, kind: str) -> bytes:
    """Send a body; returns the body of the response."""
    request = urllib.request.Request(address, body, {"content-type": kind})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False
