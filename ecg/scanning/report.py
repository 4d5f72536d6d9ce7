"""A scan as files: a page to read, tables of beats, alarms, episodes and kinds, a summary, and WFDB annotations."""

import os
import re
import tempfile
from pathlib import Path

import numpy as np

from ecg.exceptions import InputError, needed_for
from ecg.files import write_bytes, write_csv, write_json
from ecg.scanning.records import Scan

ANNOTATOR = "alarm"  # the file extension of the WFDB annotations
PAGE = "report.html"
DIGITS = 8  # significant ones in tables: of times of several days, to the millisecond


def write_page(scan: Scan, path: Path) -> None:
    """Write a scan as one HTML page, whole or not at all; InputError if what draws it is not installed."""
    with needed_for("the report", "recordings"):
        from ecg.scanning.page import page  # it imports altair, which a scan without a report does not need
    write_bytes(path, page(scan).encode())


def write_report(scan: Scan, folder: Path) -> list[Path]:
    """Write a scan into a folder. The page is written last: if it is there, so are the others.

    report.html; beats.csv, alarms.csv, episodes.csv and kinds.csv; scan.json, the summary; and NAME.alarm, the alarms
    as WFDB comments, for viewers of the record.

    Returns
    -------
    The files.
    """
    with needed_for("writing annotations", "recordings"):
        import wfdb
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder, or a file that ends in .html, for the page alone")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scan") as temporary:
        part, alarms = Path(temporary), scan.alarms
        write_page(scan, part / PAGE)
        tables = {"alarms": alarms, "beats": scan.beats, "episodes": scan.episodes, "kinds": scan.kinds}
        for name, table in tables.items():
            write_csv(part / f"{name}.csv", table, DIGITS)
        write_json(part / "scan.json", scan.summary())
        record = re.sub(r"[^A-Za-z0-9_-]", "_", scan.recording.name) or "recording"  # the characters that WFDB allows
        if len(alarms):  # the format cannot hold zero annotations
            samples = np.round(alarms["seconds"].to_numpy() * scan.recording.rate).astype(int)
            p_values = alarms["p_value"].tolist()
            notes = [
                f"{kind}, p {p:.3g}" if np.isfinite(p) else kind
                for kind, p in zip(alarms["kind"], p_values, strict=True)
            ]
            options = {"symbol": ['"'] * len(alarms), "aux_note": notes, "fs": scan.recording.rate}
            wfdb.wrann(record, ANNOTATOR, samples, write_dir=os.fspath(part), **options)
        for stale in (PAGE, f"{record}.{ANNOTATOR}"):  # of an earlier scan; this one may have no alarms
            (folder / stale).unlink(missing_ok=True)
        written = sorted(part.iterdir(), key=lambda path: (path.name == PAGE, path.name))
        return [path.replace(folder / path.name) for path in written]
