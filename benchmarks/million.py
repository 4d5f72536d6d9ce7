"""A file of a million beats from the command line: `python -m benchmarks.million`, after `dvc repro`.

The test beats again and again, in each kind of table: the most memory that `python -m ecg score` had, its beats a
second, and whether its verdicts are those of `Detector.score` on all beats at once in memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from arro3.core import Array, RecordBatch
from arro3.io import write_parquet

from ecg.data import beats
from ecg.detector.detector import Detector
from ecg.detector.verdicts import Verdicts

LIMIT = 500  # MB
# A process takes over the peak of the one that started it, so a small one must.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def write_table(path: Path, samples: np.ndarray, number: int) -> None:
    """Write as many beats, the samples again and again, as the path's name says."""
    if path.suffix == ".csv":
        lines = [",".join(map(repr, row)) + "\n" for row in samples.astype(float).tolist()]
        with path.open("w") as file:
            for start in range(0, number, len(lines)):
                file.writelines(lines[: number - start])
    elif path.suffix == ".npy":
        np.save(path, np.resize(samples, (number, samples.shape[1])))
    else:
        columns = np.resize(samples, (number, samples.shape[1])).T
        table: dict[str, Any] = {
            str(i): Array.from_numpy(np.ascontiguousarray(column)) for i, column in enumerate(columns)
        }
        write_parquet(RecordBatch.from_pydict(table), path, compression="zstd(1)")


def score(path: Path, output: Path) -> tuple[float, float]:
    """Score a table from the command line: seconds, and the most memory in MB that the process had resident."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "ecg", "score", str(path), "--output", str(output), "--quiet"]
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return time.perf_counter() - start, int(told) / 1000


def same(path: Path, verdicts: Verdicts) -> bool:
    """Whether a table of verdicts has these."""
    table = pd.read_csv(path)
    return (
        np.array_equal(table["score"].to_numpy(np.float32), verdicts.score)
        and np.array_equal(table["p_value"], verdicts.p_value if verdicts.p_value is not None else [])
        and np.array_equal(table["anomalous"], verdicts.anomalous)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beats", type=int, default=1_000_000, help="in a file (default 1000000)")
    number = parser.parse_args().beats
    samples = beats.load("data/processed/test.npz").samples
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        verdicts = Detector.load("models").score(np.resize(samples, (number, samples.shape[1])))
        print(f"{number:,} beats; the memory that a process had at most, aim: below {LIMIT} MB")
        for suffix in ("npy", "parquet", "csv"):
            path, output = Path(folder, f"beats.{suffix}"), Path(folder, "verdicts.csv")
            write_table(path, samples, number)
            size = path.stat().st_size / 1e6
            seconds, memory = score(path, output)
            equal = same(output, verdicts)
            failed |= not equal or memory > LIMIT
            print(
                f"  {suffix:<8} {size:6,.0f} MB: {number / seconds:9,.0f} beats/s, {memory:4.0f} MB, "
                f"verdicts {'as in memory' if equal else 'NOT as in memory'}",
                flush=True,
            )
            path.unlink()
    if failed:
        sys.exit("memory or verdicts are not what they should be")


if __name__ == "__main__":
    main()
