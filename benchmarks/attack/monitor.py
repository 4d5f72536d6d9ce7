"""Asks a service every 50 ms whether it is alive; a process of its own, so that no attack slows it.

For each line of its standard input it prints the longest time in seconds that an answer took since the last one;
infinite if an answer failed.
"""

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PERIOD = 0.05  # seconds
TIMEOUT = 10  # seconds
PROBE = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


class Monitor:
    """The monitor's process, as the attack sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def longest(self) -> float:
        """The longest time in seconds that an answer took since the last call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextmanager
def monitored(port: int) -> Iterator[Monitor]:
    """Monitor the service at a port of this machine."""
    command = [sys.executable, "-m", "benchmarks.attack.monitor", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        monitor = Monitor(process)
        monitor.longest()  # it runs
        yield monitor
        process.terminate()


def time_to_answer(port: int) -> float:
    """How many seconds the service takes to answer on a new connection; infinite if it does not."""
    start = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.settimeout(TIMEOUT)
            connection.sendall(PROBE)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return float("inf")
    return time.perf_counter() - start if answer.startswith(b"HTTP/1.1 200") else float("inf")


def main(port: int) -> None:
    """Ask until standard input ends."""
    longest = 0.0
    while True:
        longest = max(longest, time_to_answer(port))
        if select.select([sys.stdin], [], [], PERIOD)[0]:
            if not sys.stdin.readline():
                return
            print(longest, flush=True)
            longest = 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]))
