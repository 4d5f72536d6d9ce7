"""A scan as files: tables of beats, a summary, the timeline, and WFDB annotations for viewers."""

import os
import re
import tempfile
from pathlib import Path

import numpy as np

from ecg.exceptions import needed_for
from ecg.files import write_csv, write_json
from ecg.scanning.records import Scan

ANNOTATOR = "alarm"  # the file extension of the WFDB annotations


def write_report(scan: Scan, folder: Path) -> list[Path]:
    """Write a scan into a folder, each file whole or not at all.

    alarms.csv and beats.csv, the alarms and all beats with their times; scan.json, the summary; timeline.png; and
    NAME.alarm, the alarms as WFDB comments, for viewers of the record.

    Returns
    -------
    The files.
    """
    with needed_for("drawing the timeline", "recordings"):
        from ecg.scanning.timeline import draw  # it imports matplotlib, which a scan without files does not need
    with needed_for("writing annotations", "recordings"):
        import wfdb
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scan") as temporary:
        part, table, alarms = Path(temporary), scan.beats.table(), scan.beats.alarms
        write_csv(part / "alarms.csv", table[table["anomalous"]])
        write_csv(part / "beats.csv", table)
        write_json(part / "scan.json", scan.summary())
        draw(part / "timeline.png", scan)
        record = re.sub(r"[^A-Za-z0-9_-]", "_", scan.recording.name) or "recording"  # the characters that WFDB allows
        if len(alarms):  # the format cannot hold zero annotations
            samples = np.round(scan.beats.seconds[alarms] * scan.recording.rate).astype(int)
            notes = [f"alarm, p {p:.3g}" if np.isfinite(p) else "alarm" for p in scan.beats.p_value[alarms].tolist()]
            options = {"symbol": ['"'] * len(alarms), "aux_note": notes, "fs": scan.recording.rate}
            wfdb.wrann(record, ANNOTATOR, samples, write_dir=os.fspath(part), **options)
        (folder / f"{record}.{ANNOTATOR}").unlink(missing_ok=True)  # of an earlier scan; this one may have no alarms
        return [path.replace(folder / path.name) for path in sorted(part.iterdir())]
