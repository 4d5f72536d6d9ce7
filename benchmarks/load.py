"""The HTTP service under load from wrk, on loopback: `python -m benchmarks.load`, after `dvc repro`.

wrk (a Debian package) runs in a process of its own and shares the processor's cores with the service. Ratios are to
`Detector.score` in this process, without the service, in the same run. A batch in JSON is sent twice: as Python writes
float32 samples, with up to 18 digits, and with the 9 digits that a float32 has.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer

from benchmarks.service import served
from ecg.data import beats
from ecg.detector.detector import Detector

BATCH = 1000
CONNECTIONS, RATE = 4, 200  # of single beats at a steady rate, a second

SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["content-type"] = "{kind}"
file:close()
{delay}
function done(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format('{{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f}}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
# Uniform, so that requests do not come in step; their mean, less a request's own time, gives the rate.
DELAY = "function delay() return math.random({least}, {most}) end"


@dataclass(frozen=True)
class Load:
    """A load and the latencies under it, in ms, as wrk measured them."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def load(address: str, body: bytes, kind: str, connections: int, seconds: int, delay: str = "") -> Load:
    """Send the same request again and again."""
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder, "body"), Path(folder, "load.lua")
        path.write_bytes(body)
        script.write_text(SCRIPT.format(body=path, kind=kind, delay=delay))
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", str(seconds), "-s", str(script), address]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return Load(**json.loads(done.stderr))


def in_process(detector: Detector, batch: np.ndarray, seconds: float) -> float:
    """Beats a second that the detector scores in batches, without the service."""
    detector.score(batch)
    start, count = time.perf_counter(), 0
    while (took := time.perf_counter() - start) < seconds:
        detector.score(batch)
        count += len(batch)
    return count / took


def memory(process: int) -> float:
    """The resident memory of a process, in MB."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000


def as_json(**record: Any) -> bytes:
    return json.dumps(record).encode()


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Duration of each load.")] = 15,
    requests: Annotated[int, typer.Option(help="Requests during which memory may not grow.")] = 100_000,
) -> None:
    """Put the service under load, and print rates, latencies and memory."""
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    detector = Detector.load("models")
    samples = beats.load("data/processed/test.npz").samples[:BATCH]
    one, failed = as_json(beat=samples[0].tolist()), 0
    batches = {
        "JSON": ("/batch", as_json(beats=samples.tolist()), "application/json"),
        "JSON, 9 digits": (
            "/batch",
            orjson.dumps({"beats": samples}, option=orjson.OPT_SERIALIZE_NUMPY),
            "application/json",
        ),
        "binary": ("/binary", samples.astype("<f4").tobytes(), "application/octet-stream"),
    }
    with served(Path.cwd()) as (address, process):

        def print_row(name: str, measured: Load, size: int) -> None:
            nonlocal failed
            failed += measured.errors
            print(
                f"{name:<44} {measured.rate:10,.0f} {size * measured.rate:9,.0f} "
                f"{measured.p50:8.2f} {measured.p99:8.2f} {measured.errors:7}",
                flush=True,
            )

        print(f"{'':<44} {'requests/s':>10} {'beats/s':>9} {'p50, ms':>8} {'p99, ms':>8} {'errors':>7}")
        score = f"{address}/score"
        load(score, one, "application/json", 8, 2)
        mean = 1000 * CONNECTIONS // RATE - 1
        steady = load(
            score, one, "application/json", CONNECTIONS, seconds, DELAY.format(least=mean // 2, most=mean + mean // 2)
        )
        print_row(f"single beats, about {RATE} a second", steady, 1)
        print_row("single beats, 8 connections at full speed", load(score, one, "application/json", 8, seconds), 1)
        rates, in_processes = {}, [in_process(detector, samples, seconds / 4)]
        for name, (path, body, kind) in batches.items():
            measured = load(score + path, body, kind, 2, seconds)
            print_row(f"batches of {BATCH:,}, {name}", measured, BATCH)
            rates[name] = BATCH * measured.rate
            in_processes.append(in_process(detector, samples, seconds / 4))
        reference = float(np.mean(in_processes))
        ratios = ", ".join(f"{name} {rate / reference:.2f}" for name, rate in rates.items())
        print(f"\nbatches of {BATCH:,}: in process {reference:,.0f} beats/s; of it reach: {ratios}")
        print("aim: JSON at least 0.3, binary at least 0.5")
        print(f"p99 of single beats at about {RATE} a second: {steady.p99:.2f} ms (aim: below 20)")

        before, sent = memory(process), 0
        while sent < requests:
            round_ = load(score, one, "application/json", 8, 5)
            sent, failed = sent + round_.requests, failed + round_.errors
        print(f"memory: {before:.1f} MB, after {sent:,} more requests {memory(process):.1f} MB")
    if failed:
        sys.exit(f"{failed} requests failed")


if __name__ == "__main__":
    typer.run(main)
