"""Fuzz every parser, each for some seconds, and print what is found: `python -m benchmarks.fuzz`.

Two targets are fuzzed at a time, each in a process of its own. Where a case ends that process, it is started anew.
Each finding is seen a second time, and its case is made smaller, before it is printed and saved; then, the status is 1.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.clones import ROOT
from benchmarks.fuzz.findings import shrunk
from benchmarks.fuzz.replay import Replay
from benchmarks.fuzz.targets import CORPUS, TARGETS
from ecg.files import sha256, write_bytes

AT_A_TIME = 2
SHRINK_SECONDS = 20.0  # per finding
_DONE = re.compile(rb"^#(\d+)\s", re.MULTILINE)  # libFuzzer's lines begin with the number of the last case


@dataclass(frozen=True)
class Finding:
    """A problem, and the smallest case of it."""

    problem: str
    case: bytes


@dataclass(frozen=True)
class Fuzzed:
    """What fuzzing a target came to."""

    name: str
    cases: int  # that were read
    seconds: float  # in which they were
    corpus: int  # cases that cover code of their own
    findings: list[Finding]
    failure: str = ""  # of the fuzzer itself


def main(
    seconds: Annotated[int, typer.Option(min=1, help="For each target.")] = 30,
    only: Annotated[list[str] | None, typer.Option(help=f"Targets: {', '.join(TARGETS)}.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random numbers; with 0, another one each time.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the cases of findings, by target.")] = CORPUS,
) -> None:
    """Fuzz the parsers; status 1 if a case did anything but to be read or refused."""
    names = only or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        sys.exit(f"error: there is no target {unknown[0]}; there are {', '.join(TARGETS)}")
    found = 0
    print(f"{'target':<24}{'cases':>10}{'a second':>10}{'corpus':>8}{'findings':>10}", flush=True)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for fuzzed in pool.map(lambda name: fuzz(name, seconds, seed), names):
            rate = fuzzed.cases / max(fuzzed.seconds, 1e-9)
            print(f"{fuzzed.name:<24}{fuzzed.cases:>10,}{rate:>10,.0f}{fuzzed.corpus:>8,}{len(fuzzed.findings):>10}")
            for finding in fuzzed.findings:
                path = out / fuzzed.name / sha256(finding.case)[:12]
                write_bytes(path, finding.case)
                print(f"    {finding.problem}\n    {path}: {finding.case[:100]!r}, {len(finding.case):,} bytes")
            if fuzzed.failure:
                print(f"    the fuzzer failed: {fuzzed.failure}")
            sys.stdout.flush()
            found += len(fuzzed.findings) + bool(fuzzed.failure)
    sys.exit(found > 0)


def fuzz(name: str, seconds: int, seed: int = 0) -> Fuzzed:
    """Fuzz a target for some seconds."""
    with tempfile.TemporaryDirectory() as temporary, Replay() as replay:
        folder, cases, failure = Path(temporary), 0, ""
        stop, spent = time.monotonic() + seconds, 0.0
        while (left := round(stop - time.monotonic())) >= 1 and not failure:
            start = time.monotonic()
            ended = set((folder / "artifacts").glob("*"))
            command = [sys.executable, "-m", "benchmarks.fuzz.worker", name, str(folder), str(left), str(seed)]
            done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=False)
            cases += max(map(int, _DONE.findall(done.stderr)), default=0)
            spent += time.monotonic() - start
            if done.returncode and ended == set((folder / "artifacts").glob("*")):
                failure = done.stderr.decode(errors="replace")[-1000:]
        findings = {finding.problem: finding for finding in _confirmed(name, folder, replay)}
        covering = len(list((folder / "corpus").glob("*")))
        return Fuzzed(name, cases, spent, covering, list(findings.values()), failure)


def _confirmed(name: str, folder: Path, replay: Replay) -> Iterator[Finding]:
    """The findings that are seen again, each with a smaller case."""
    recorded = [path.read_bytes().partition(b"\n")[2] for path in sorted((folder / "findings").glob("*"))]
    recorded += [path.read_bytes() for path in sorted((folder / "artifacts").glob("*"))]
    for case in recorded:
        problem = replay.problem(name, case)
        if problem is None:
            continue
        stop = time.monotonic() + SHRINK_SECONDS

        def fails(smaller: bytes, problem: str = problem, stop: float = stop) -> bool:
            return time.monotonic() < stop and replay.problem(name, smaller) == problem

        yield Finding(problem, shrunk(case, fails))


if __name__ == "__main__":
    typer.run(main)
