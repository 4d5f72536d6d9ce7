"""What the pipeline costs, in a temporary clone of the last commit: `make benchmark`.

For each stage: seconds, seconds of its imports alone, and peak memory. Then the seconds of a `dvc repro` of all stages
after fetch, and of one that has nothing to do. All are medians.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from joblib import cpu_count

from benchmarks.clones import make_clone
from benchmarks.usage import measure

STAGES = ("fetch", "preprocess", "train", "calibrate", "evaluate")
PYTHON = sys.executable
REPRO = ("dvc", "repro", "--quiet")
LIMIT = 1000  # MB, of a stage
AIM = 20  # seconds, of all stages after fetch on 2 cores


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each figure is measured; the median is printed.")] = 5,
) -> None:
    """Print the time and the peak memory of each stage, and the time of `dvc repro`."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary, "clone")
        make_clone(clone)
        measure(*REPRO, folder=clone)

        def medians(*command: str) -> tuple[float, float]:
            seconds, peaks, _ = zip(*(measure(*command, folder=clone) for _ in range(rounds)), strict=True)
            return median(seconds), median(peaks)

        interpreter, _ = medians(PYTHON, "-c", "pass")
        print(f"{cpu_count()} cores, medians of {rounds}; peak memory: at most {LIMIT} MB")
        print(f"{'stage':<12}{'seconds':>9}{'imports':>9}{'peak MB':>9}")
        for stage in STAGES:
            seconds, peak = medians(PYTHON, "-m", f"stages.{stage}")
            imports = medians(PYTHON, "-c", f"import stages.{stage}")[0] - interpreter
            print(f"{stage:<12}{seconds:>9.2f}{imports:>9.2f}{peak:>9.0f}", flush=True)
        # Not --downstream, which would run the stages of benchmarks/dvc.yaml, too.
        everything, _ = medians(*REPRO, "--force", "--single-item", *STAGES[1:])
        print(f"dvc repro, all stages after fetch: {everything:.2f} s (aim: below {AIM} on 2 cores)")
        print(f"dvc repro, nothing to do: {medians(*REPRO)[0]:.2f} s")


if __name__ == "__main__":
    typer.run(main)
