"""A file of a million beats from the command line: `python -m benchmarks.million`, after `dvc repro`.

The test beats are repeated, in each file format. Printed are the peak memory of `python -m ecg score`, its beats a
second, and whether its verdicts are those of `Detector.score` on all beats at once in memory.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.usage import measure
from ecg.data import beats
from ecg.detector.detector import Detector
from ecg.detector.verdicts import Verdicts

LIMIT = 500  # MB


def write_beats(path: Path, samples: np.ndarray, number: int) -> None:
    """Write this number of beats, the samples repeated, in the format of the path's suffix."""
    if path.suffix == ".csv":
        lines = pd.DataFrame(samples.astype(float)).to_csv(header=False, index=False).splitlines(keepends=True)
        with path.open("w") as file:
            for start in range(0, number, len(lines)):
                file.writelines(lines[: number - start])
    elif path.suffix == ".npy":
        np.save(path, np.resize(samples, (number, samples.shape[1])))
    else:
        table = pd.DataFrame(np.resize(samples, (number, samples.shape[1]))).rename(columns=str)
        table.to_parquet(path, compression="zstd", index=False)


def same(path: Path, verdicts: Verdicts) -> bool:
    """Whether a file of verdicts holds exactly these."""
    table = pd.read_csv(path, float_precision="round_trip")
    return (
        np.array_equal(table["score"].to_numpy(np.float32), verdicts.score)
        and np.array_equal(table["p_value"], verdicts.p_value if verdicts.p_value is not None else [])
        and np.array_equal(table["anomalous"], verdicts.anomalous)
    )


def main(number: Annotated[int, typer.Option("--beats", min=1, help="Beats in the file.")] = 1_000_000) -> None:
    """Print the time and the peak memory of `ecg score` for each file format, and check its verdicts."""
    samples = beats.load("data/processed/test.npz").samples
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        verdicts = Detector.load("models").score(np.resize(samples, (number, samples.shape[1])))
        print(f"{number:,} beats; aim: a peak memory below {LIMIT} MB")
        for suffix in ("npy", "parquet", "csv"):
            path, output = Path(folder, f"beats.{suffix}"), Path(folder, "verdicts.csv")
            write_beats(path, samples, number)
            size = path.stat().st_size / 1e6
            seconds, peak, _ = measure(sys.executable, "-m", "ecg", "score", path, "--output", output, "--quiet")
            equal = same(output, verdicts)
            failed |= not equal or peak > LIMIT
            print(
                f"  {suffix:<8} {size:6,.0f} MB: {number / seconds:9,.0f} beats/s, {peak:4.0f} MB, "
                f"verdicts {'as in memory' if equal else 'NOT as in memory'}",
                flush=True,
            )
            path.unlink()
    if failed:
        sys.exit("the peak memory is above its limit, or the verdicts differ")


if __name__ == "__main__":
    typer.run(main)
