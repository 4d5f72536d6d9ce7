"""What it takes to use the detector, and nothing else: `python -m benchmarks.deployment`, after `dvc repro`.

In a temporary folder with ecg/, serve/ and models/ of this one, and a new virtual environment that has
requirements-serve.txt alone: its size, the time from the start of Python to the first verdict, the command line and the
service.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.service import post, served
from ecg import beats

NEEDED = ("ecg", "serve", "models", "requirements-serve.txt", "constraints.txt")
ROUNDS = 7
VERDICT = """
import numpy as np
from ecg.detector import Detector
print(Detector.load("models").score(np.load("beat.npy")).anomalous[0])
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in NEEDED:
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy
            copy(name, folder / name)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = str(folder / "venv" / "bin" / "python")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements-serve.txt"]
        subprocess.run([python, *install], cwd=folder, check=True)
        packages = subprocess.run([python, "-m", "pip", "freeze"], stdout=subprocess.PIPE, text=True, check=True).stdout
        size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*")) / 1e6
        print(f"environment: {size:.0f} MB, {len(packages.split())} packages (aim: below 300 MB)")

        test = beats.load("data/processed/test.npz").samples
        np.save(folder / "beat.npy", test[:1])
        np.save(folder / "beats.npy", test)
        took = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            subprocess.run([python, "-c", VERDICT], cwd=folder, stdout=subprocess.DEVNULL, check=True)
            took.append(time.perf_counter() - start)
        print(f"python -c, from its start to its end with a first verdict: {statistics.median(took):.2f} s", end=" ")
        print(f"(median of {ROUNDS}, {min(took):.2f} to {max(took):.2f}; aim: below 1)")

        told = subprocess.run(
            [python, "-m", "ecg", "score", "beats.npy", "--output", "verdicts.parquet"],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        ).stderr
        print(f"command line: {told.strip()}")
        with served(folder, python, PYTHONPATH="") as (address, _):
            answer = post(f"{address}/score/binary", test[:1000].astype("<f4").tobytes(), "application/octet-stream")
        print(f"service: {sum(json.loads(answer)['anomalous'])} of 1,000 beats anomalous")
    print(f"here: {os.cpu_count()} cores, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
