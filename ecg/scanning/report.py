"""A scan as files: tables of beats, the scan in numbers, the figure, and WFDB annotations for viewers."""

import csv
import io
import os
import re
import tempfile
from pathlib import Path

import numpy as np

from ecg.exceptions import needed_for
from ecg.files import Table, rounded, write_csv, write_json
from ecg.scanning.display import clock
from ecg.scanning.records import Scan, ScannedBeats

ANNOTATOR = "alarm"  # the ending of the annotations that are written
HEADER = ("seconds", "time", "rr_before", "rr_after", "quality", "score", "p_value", "threshold", "anomalous")


def write(scanned: Scan, folder: Path) -> list[Path]:
    """Write what was found into a folder, each file whole or not at all.

    alarms.csv, the alarms with their times; beats.csv, all beats; scan.json, the scan in numbers; timeline.png; and the
    alarms as WFDB annotations for viewers, NAME.alarm, to be put beside the record.

    Returns
    -------
    The files.
    """
    with needed_for("drawing the timeline", "recordings"):
        from ecg.scanning.timeline import draw  # and with it matplotlib, which a scan without files does without
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".scan") as place:
        part, beats = Path(place), scanned.beats
        write_csv(part / "alarms.csv", *table(beats, beats.alarms))
        write_csv(part / "beats.csv", *table(beats, np.arange(len(beats))))
        write_json(part / "scan.json", scanned.facts())
        _annotate(scanned, part)
        draw(part / "timeline.png", scanned)
        # An earlier scan's may be there, and this one may have none.
        (folder / f"{_record(scanned)}.{ANNOTATOR}").unlink(missing_ok=True)
        written = []
        for path in sorted(part.iterdir()):
            path.replace(folder / path.name)
            written.append(folder / path.name)
    return written


def table(beats: ScannedBeats, places: np.ndarray) -> Table:
    """The beats at these places, a row each; empty where something is not known."""
    columns = (beats.rr_before, beats.rr_after, beats.quality, beats.score, beats.p_value, beats.threshold)

    def row(i: int) -> list[object]:
        values = ["" if np.isnan(column[i]) else float(column[i]) for column in columns]
        seconds = float(beats.seconds[i])
        return [round(seconds, 3), clock(seconds), *values, bool(beats.anomalous[i])]

    return HEADER, map(row, places.tolist())  # one at a time: a day has a hundred thousand


def table_of_alarms(scanned: Scan) -> bytes:
    """The alarms as CSV."""
    header, rows = table(scanned.beats, scanned.beats.alarms)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *([rounded(value) for value in row] for row in rows)])
    return text.getvalue().encode()


def _record(scanned: Scan) -> str:
    """What WFDB can call the recording."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", scanned.recording.name) or "recording"


def _annotate(scanned: Scan, folder: Path) -> None:
    """Write the alarms as WFDB comments; without any alarm, there is nothing that the format could hold."""
    with needed_for("writing annotations", "recordings"):
        import wfdb
    beats, rate = scanned.beats, scanned.recording.rate
    places = beats.alarms
    if not len(places):
        return
    notes = [f"alarm, p {p:.3g}" if np.isfinite(p) else "alarm" for p in beats.p_value[places].tolist()]
    wfdb.wrann(
        _record(scanned),
        ANNOTATOR,
        np.round(beats.seconds[places] * rate).astype(int),
        symbol=['"'] * len(places),
        aux_note=notes,
        fs=rate,
        write_dir=os.fspath(folder),
    )
