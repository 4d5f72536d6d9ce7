"""A scan as files: a page to read, tables of beats, alarms, episodes and kinds, a summary, and WFDB annotations."""

import os
import re
from pathlib import Path

import numpy as np

from ecg.exceptions import InputError, needed_for
from ecg.files import check_replaceable, replacing_folder, write_bytes, write_csv, write_json
from ecg.scanning.records import Scan

ANNOTATOR = "alarm"  # the file extension of the WFDB annotations
PAGE, SUMMARY = "report.html", "scan.json"
TABLES = ("alarms", "beats", "episodes", "kinds")
DIGITS = 8  # significant ones in tables: of times of several days, to the millisecond


def write_page(scan: Scan, path: Path) -> None:
    """Write a scan as one HTML page, whole or not at all; InputError if what draws it is not installed."""
    with needed_for("the report", "recordings"):
        from ecg.scanning.page import page  # it imports altair, which a scan without a report does not need
    write_bytes(path, page(scan).encode())


def is_own(name: str) -> bool:
    """Whether a file of this name is one of those that `write_report` writes."""
    return name in (PAGE, SUMMARY, *(f"{table}.csv" for table in TABLES)) or name.endswith(f".{ANNOTATOR}")


def check_folder(folder: Path) -> None:
    """InputError if `write_report` cannot write to this folder."""
    if folder.is_file():
        raise InputError(f"{folder} is a file: name a folder, or a file that ends in .html, for the page alone")
    check_replaceable(folder, is_own)


def write_report(scan: Scan, folder: Path) -> list[Path]:
    """Write a scan as a folder, which appears whole, in place of that of an earlier scan.

    report.html; beats.csv, alarms.csv, episodes.csv and kinds.csv; scan.json, the summary; and NAME.alarm, the alarms
    as WFDB comments, for viewers of the record.

    Returns
    -------
    The files.

    Raises
    ------
    InputError
        if the folder has files of others, or a package is missing.
    """
    with needed_for("writing annotations", "recordings"):
        import wfdb
    check_folder(folder)
    with replacing_folder(folder, is_own) as part:
        alarms = scan.alarms
        write_page(scan, part / PAGE)
        for name in TABLES:
            write_csv(part / f"{name}.csv", getattr(scan, name), DIGITS)
        write_json(part / SUMMARY, scan.summary())
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
        names = sorted(path.name for path in part.iterdir())
    return [folder / name for name in names]
