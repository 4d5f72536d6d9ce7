"""The HTTP service in a process of its own, for benchmarks and tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 15  # seconds


@contextmanager
def served(
    folder: Path,
    python: str = sys.executable,
    *,
    arguments: Sequence[str] = (),
    log: Path | None = None,
    descriptors: int | None = None,
    variables: Mapping[str, str] = {},
) -> Iterator[tuple[str, int]]:
    """Start `ecg serve` in a folder; yields its address and its process id once it is ready.

    Parameters
    ----------
    arguments : of `ecg serve`
    log : file for what it prints
    descriptors : most files and connections that it may have open
    variables : environment variables
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [python, "-m", "ecg", "serve", "--port", str(port), *arguments]
    if descriptors is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    with started(command, f"{address}/health/ready", folder, log, variables) as process:
        yield address, process


@contextmanager
def started(
    command: Sequence[str], ready: str, folder: Path, log: Path | None = None, variables: Mapping[str, str] = {}
) -> Iterator[int]:
    """Start a server in a folder; yields its process id once the address `ready` answers.

    In the end it is terminated, and killed if that takes longer than PATIENCE seconds.
    """
    with (
        open(log or os.devnull, "wb") as output,  # noqa: PTH123
        subprocess.Popen(command, cwd=folder, env={**os.environ, **variables}, stdout=output, stderr=output) as process,
    ):
        try:
            while not _answers(ready):
                if process.poll() is not None:
                    sys.exit(f"the server did not start: {' '.join(command)}")
                time.sleep(0.02)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def exit_status(process: int) -> int | None:
    """The exit status of a child process, negative if a signal ended it; None while it runs."""
    ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


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
