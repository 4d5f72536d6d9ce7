"""Two replicas of the HTTP service behind HAProxy, on loopback: `python -m benchmarks.replicas`, after `dvc repro`.

HAProxy (a Debian package) gets the configuration of docs/how-to/serve-many.md, with free ports. Each request contains
real beats, and each answer is compared, to the byte, with the one that a replica gives directly. Under load, a replica
is killed, started again, and stopped by SIGTERM. Client, balancer and replicas share the processor's cores.
"""

import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.service import PATIENCE, free_port, post, started
from docs import ROOT
from ecg.data import beats

CONFIGURATION = ROOT / "docs" / "how-to" / "haproxy" / "replicas.cfg"
PORTS = (8000, 8001, 8002)  # in it: of the balancer, and of the replicas
NAMES = ("one", "two")  # in it, of the replicas
KIND = "application/octet-stream"
BATCH, DISTINCT = 1000, 4  # beats, and different requests
CONNECTIONS = 8
ROUNDS = 3  # of the rates


@dataclass
class Load:
    """What clients sent, and what came back: answers by the replica that gave them, and failures by their kind."""

    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers.total() / self.seconds

    def __str__(self) -> str:
        failed = ", ".join(f"{number} {kind}" for kind, number in sorted(self.failures.items()))
        return f"{self.answers.total():,} answers, {self.failures.total()} failures{f' ({failed})' if failed else ''}"


def load(port: int, expected: dict[bytes, bytes], seconds: float, amid: Callable[[], None] = lambda: None) -> Load:
    """Send requests over several connections for some seconds, and do something else in the middle.

    expected : the right answer to each body
    """
    together, lock, end = Load(), threading.Lock(), time.monotonic() + seconds

    def send() -> None:
        mine, connection = Load(), HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while time.monotonic() < end:
            for body, right in expected.items():
                try:
                    connection.request("POST", "/score/binary", body, {"content-type": KIND})
                    response = connection.getresponse()
                    answer = response.read()
                except (OSError, HTTPException) as error:
                    mine.failures[type(error).__name__] += 1
                    connection.close()
                    continue
                if response.status != 200:
                    mine.failures[f"with status {response.status}"] += 1
                elif answer != right:
                    mine.failures["with another answer"] += 1
                else:
                    mine.answers[response.headers["x-replica"]] += 1
        connection.close()
        with lock:
            together.answers += mine.answers
            together.failures += mine.failures

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    amid()
    for thread in threads:
        thread.join()
    together.seconds = time.monotonic() - start
    return together


@dataclass
class Replicas:
    """Replicas of the service, each at a port of its own, which start and end as they are told to."""

    ports: dict[str, int]
    running: dict[str, tuple[ExitStack, int]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one, and wait until it is ready."""
        stack, port = ExitStack(), self.ports[name]
        command = [sys.executable, "-m", "ecg", "serve", "--port", str(port)]
        process = stack.enter_context(started(command, f"http://127.0.0.1:{port}/health/ready", Path.cwd()))
        self.running[name] = stack, process

    def end(self, name: str, number: signal.Signals) -> None:
        """End one by a signal."""
        os.kill(self.running[name][1], number)

    def forget(self, name: str) -> None:
        """Wait until one that was ended is gone."""
        self.running.pop(name)[0].close()

    def close(self) -> None:
        """End all of them."""
        for name in list(self.running):
            self.forget(name)


@contextmanager
def balanced(ports: list[int]) -> Iterator[None]:
    """HAProxy in front of the replicas, with its configuration in a temporary folder."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for written, port in zip(PORTS, ports, strict=True):
        text = text.replace(f"127.0.0.1:{written}\n", f"127.0.0.1:{port}\n")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "replicas.cfg")
        path.write_text(text, encoding="utf-8")
        program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            sys.exit("haproxy is missing: apt-get install haproxy")
        ready = f"http://127.0.0.1:{ports[0]}/health/ready"
        with started([program, "-db", "-f", str(path)], ready, Path(temporary)):
            yield


def wait_for(port: int, expected: dict[bytes, bytes], names: set[str]) -> None:
    """Wait until just these replicas answer through the balancer."""
    end = time.monotonic() + PATIENCE
    while load(port, expected, 0.3).answers.keys() != names:
        if time.monotonic() > end:
            sys.exit(f"the balancer does not use {', '.join(sorted(names))}")


def answers(address: str, samples: np.ndarray, size: int) -> dict[bytes, bytes]:
    """Some bodies of so many beats, with what a replica answers to each."""
    bodies = (samples[start : start + size].tobytes() for start in range(0, DISTINCT * size, size))
    return {body: post(address, body, KIND) for body in bodies}


def print_rates(replicas: Replicas, port: int, batches: dict[bytes, bytes], seconds: float) -> int:
    """Measure one replica and two in turn, as what else the machine does should concern both; how many failures."""
    rates: dict[str, list[float]] = {"1 replica": [], "2 replicas": []}
    failures = 0
    for _ in range(ROUNDS):
        for what in rates:
            if what == "2 replicas":
                replicas.start("two")
            wait_for(port, batches, set(replicas.running))
            measured = load(port, batches, seconds / 2)
            rates[what].append(BATCH * measured.rate)
            failures += measured.failures.total()
        replicas.forget("two")
    for what, of in rates.items():
        rounds = f"{min(of):,.0f} to {max(of):,.0f} in {ROUNDS} rounds"
        print(f"{what + f', batches of {BATCH:,}':<54} {statistics.median(of):,.0f} beats/s ({rounds})", flush=True)
    return failures


def print_losses(
    replicas: Replicas, port: int, expected: dict[bytes, bytes], number: signal.Signals, seconds: float, what: str
) -> int:
    """End one of two replicas amid requests; how many failures there are beyond those that must be expected."""
    replicas.start("two")
    wait_for(port, expected, set(NAMES))
    measured = load(port, expected, seconds, partial(replicas.end, "two", number))
    replicas.forget("two")
    print(f"{what:<54} {measured}", flush=True)
    in_flight = CONNECTIONS if number is signal.SIGKILL else 0
    return max(0, measured.failures.total() - in_flight)


def main(seconds: Annotated[float, typer.Option(min=1, help="Duration of each load.")] = 5) -> None:
    """Put replicas under load, kill and stop one of them, and print what comes back."""
    samples = beats.load("data/processed/test.npz").samples.astype("<f4")
    balancer, *others = ports = [free_port() for _ in PORTS]
    replicas = Replicas(dict(zip(NAMES, others, strict=True)))
    with ExitStack() as stack:
        stack.callback(replicas.close)
        replicas.start("one")
        stack.enter_context(balanced(ports))
        address = f"http://127.0.0.1:{others[0]}/score/binary"
        kinds = {
            "single beats": answers(address, samples, 1),
            f"batches of {BATCH:,}": answers(address, samples, BATCH),
        }
        failed = print_rates(replicas, balancer, kinds[f"batches of {BATCH:,}"], seconds)
        for number, end in ((signal.SIGKILL, "killed"), (signal.SIGTERM, "stopped (SIGTERM)")):
            for kind, expected in kinds.items():
                failed += print_losses(
                    replicas, balancer, expected, number, seconds, f"{kind}, one of 2 replicas {end}"
                )
    print(f"client, balancer and replicas on the same {os.cpu_count()} cores")
    print("Each answer was compared, to the byte, with the one that a replica gives without the balancer.")
    if failed:
        sys.exit(f"{failed} requests failed that should not have")


if __name__ == "__main__":
    typer.run(main)
