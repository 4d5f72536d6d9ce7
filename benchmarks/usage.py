"""Wall-clock time and peak memory of a command; psutil does not have the peak memory on Linux."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.clones import environment

# A process inherits the peak memory of the process that starts it, so this small one starts the command.
LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
print("\\n", json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
sys.exit(code)
"""


class Usage(NamedTuple):
    """Seconds, peak resident memory in MB, and the text on standard output."""

    seconds: float
    peak: float
    output: str


def measure(*command: str | Path, folder: Path | None = None) -> Usage:
    """Run a command, in the current folder if none is named; exit with its messages if it fails."""
    launched = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launched, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    output, _, figures = done.stdout.rpartition("\n ")
    seconds, kibibytes = json.loads(figures)
    return Usage(seconds, kibibytes * 1024 / 1e6, output)
