"""The HTTP service in a process of its own, to be measured or questioned."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(folder: Path, python: str = sys.executable, **variables: str) -> Iterator[tuple[str, int]]:
    """Start `python -m serve` in a folder; its address and its process's number, once it is ready."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command, environment = [python, "-m", "serve", "--port", str(port)], os.environ | variables
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not _ready(address):
                if process.poll() is not None:
                    sys.exit(f"the service does not start: {' '.join(command)}")
                time.sleep(0.02)
            yield address, process.pid
        finally:
            process.terminate()


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(address: str, body: bytes, kind: str) -> bytes:
    """Send a body; what the service answers."""
    request = urllib.request.Request(address, body, {"content-type": kind})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health/ready") as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False
