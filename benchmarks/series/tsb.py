"""TSB-AD-U's ECGs: series in which each abnormal beat is labelled, made of two PhysioNet databases.

Liu Q, Paparrizos J. The elephant in the room: towards a reliable time-series anomaly detection benchmark. NeurIPS 2024.

The name of a file has what is known of its series: NUMBER_DATABASE_id_ID_Medical_tr_T_1st_F.csv. The first T samples
are for training, and the first anomaly is at index F. Its columns are Data and Label.

`write_made` makes such series of annotated recordings. They are not TSB-AD's files, whose labels come without
a rule; that of `abnormal_samples` is inferred from what is published of each file: where its first anomaly is, how many
there are, and how long they are in all. Nine files are parts of recordings that were at hand: of MIT-BIH 205, 215 and
220, of SVDB 802, 804, 808, 873 and 883. Of these, the rule has the start of the first anomaly to within one sample, the
number of anomalies in six, and their length to within 4% in eight.
"""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from benchmarks.protocol.tasks import Result, Task
from benchmarks.recordings.records import Patients, Record
from benchmarks.recordings.records import in_folder as recordings_in
from benchmarks.series.detectors import DETECTORS
from benchmarks.series.periods import period_of
from benchmarks.series.results import PEERS
from ecg.data.aami import NORMAL
from ecg.exceptions import InputError
from ecg.files import sha256, write_csv
from ecg.recordings.classes import annotated_beats
from ecg.recordings.reading import open_lead

FILE_NAME = re.compile(r"(\d+)_(?P<database>[A-Za-z-]+)_id_(\d+)_Medical_tr_(?P<train>\d+)_1st_(?P<first>\d+)\.csv")
TUNING = (174, 242, 252)  # the numbers of series that TSB-AD keeps for the choice of settings
MADE = "-records"  # ends the database's name in series that are made here
SERIES = {"MITDB": 7, "SVDB": 18}  # of each database, beside those for tuning
REMEDY = "TSB-AD-U.zip of www.thedatum.org has the right file"

# Means over these series of the VUS-PR that TSB-AD publishes for each: benchmark_exp/benchmark_eval_results/
# uni_mergedTable_VUS-PR.csv in github.com/TheDatumOrg/TSB-AD, at commit 35ba9c3b637fb62767c7bc9686aaf21cd21d755d.
PUBLISHED = {
    "MITDB": {
        "KShapeAD": 0.692,
        "SAND": 0.671,
        "Series2Graph": 0.610,
        "MatrixProfile": 0.390,
        "Sub-PCA": 0.363,
        "Sub-KNN": 0.361,
        "POLY": 0.341,
        "KMeansAD": 0.271,
        "CNN": 0.153,
        "AutoEncoder": 0.074,
    },
    "SVDB": {
        "KShapeAD": 0.821,
        "SAND": 0.722,
        "Sub-KNN": 0.563,
        "Series2Graph": 0.547,
        "Sub-PCA": 0.522,
        "POLY": 0.443,
        "KMeansAD": 0.443,
        "MatrixProfile": 0.360,
        "AutoEncoder": 0.322,
        "CNN": 0.214,
    },
}

# How series are made of recordings.
LONGEST_TRAINING = 50_000  # samples, and at most a quarter of the series
SHORTEST_TRAINING = 500
MARGIN = 100  # samples between the end of training and the first anomaly


@dataclass(frozen=True)
class Entry:
    """A series of TSB-AD-U, or one in the same form.

    database : MITDB or SVDB, with MADE at the end where it is made of records
    train_end : number of samples at the start that a detector may learn from
    first : the index of the first anomaly
    """

    path: Path
    database: str
    train_end: int
    first: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """What the name of a file says; InputError if it is not one of TSB-AD-U's names."""
        if (match := FILE_NAME.fullmatch(path.name)) is None:
            raise InputError(f"{path}: the name should be NUMBER_DATABASE_id_ID_Medical_tr_T_1st_F.csv")
        return cls(path, match["database"], int(match["train"]), int(match["first"]))

    @property
    def recording(self) -> str:
        """One for the two leads of a recording, whose anomalies start at the same index."""
        return f"{self.database} {self.first}"

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Values, float64 of shape (n,), and whether each is labelled, bool of shape (n,).

        Rows without a number are left out, as TSB-AD does.

        Raises
        ------
        InputError
            If there are no columns Data and Label of numbers and of 0 and 1, no label, or too few rows to test on.
        """
        try:
            table = pd.read_csv(self.path).dropna()
            values, labels = table["Data"].to_numpy(float), table["Label"].to_numpy(float)
        except (KeyError, ValueError):  # pandas raises ValueErrors
            raise InputError(f"{self.path}: there should be columns Data and Label of numbers; {REMEDY}") from None
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: a value is infinite; {REMEDY}")
        if not np.isin(labels, (0, 1)).all() or not labels.any():
            raise InputError(f"{self.path}: labels should be 0 and 1, and there should be a 1; {REMEDY}")
        if not 0 < self.train_end < len(values):
            raise InputError(
                f"{self.path}: {len(values)} rows; by its name, {self.train_end} are for training; {REMEDY}"
            )
        return values, labels > 0


def in_folder(folder: Path) -> list[Entry]:
    """The series of MITDB and SVDB in a folder, but those for tuning, sorted by name; InputError if there are none.

    Other files are left aside: TSB-AD-U has series of many databases.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give TSB-AD-U, with its files, or one with --records to make series")
    entries = [Entry.of(path) for path in sorted(folder.glob("*.csv")) if FILE_NAME.fullmatch(path.name)]
    known = {database + end for database in SERIES for end in ("", MADE)}
    chosen = [one for one in entries if one.database in known and int(one.path.name.partition("_")[0]) not in TUNING]
    if not chosen:
        raise InputError(f"{folder} holds no file NUMBER_MITDB_id_ID_Medical_tr_T_1st_F.csv, nor one of SVDB")
    return chosen


def task(entry: Entry) -> Task:
    """What decides the figure of a detector; InputError if the file is damaged, or without TSB-AD's package."""
    try:
        measure = version("TSB-AD")
    except PackageNotFoundError:
        raise InputError(f"VUS-PR is computed by TSB-AD, which is not installed: {PEERS}") from None
    entry.read()
    return {"file": entry.path.name, "content": sha256(entry.path.read_bytes()), "measure": measure}


def judge(folder: Path, task: Task) -> Result:
    """The VUS-PR of a detector's scores for the whole series, and the seconds that they took."""
    entry = Entry.of(folder / task["file"])
    values, labels = entry.read()
    scores, seconds = DETECTORS[task["detector"]].timed(values, entry.train_end)
    return {"vus_pr": np.array(vus_pr(labels, scores, period_of(values))), "seconds": np.array(seconds)}


def vus_pr(labels: np.ndarray, scores: np.ndarray, window: int) -> float:
    """The volume under the surface of precision and recall, by TSB-AD's own package, as its get_metrics has it.

    labels : bool ndarray of shape (n,)
    scores : float ndarray of shape (n,), higher is more anomalous
    window : in samples, up to which labels are widened
    """
    from TSB_AD.evaluation.basic_metrics import generate_curve

    return float(generate_curve(labels.astype(int), scores, window, "opt", 250)[-1])


def write_made(records: Path, folder: Path) -> list[str]:
    """Make a series of the first lead of each annotated recording, and write them to a folder.

    Returns
    -------
    the names of recordings that none is made of: without an abnormal beat, or with one too early to train before it
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [record.name for record in recordings_in(records, Patients.ALL) if not _write_one(record, folder)]


def _write_one(record: Record, folder: Path) -> bool:
    with open_lead(record.path, "0") as lead:
        if lead.annotations is None:
            return False
        seconds, classes = annotated_beats(lead.annotations)
        labels = abnormal_samples(np.round(seconds * lead.rate).astype(int), classes != NORMAL, lead.length)
        first = int(labels.argmax())
        train = min(LONGEST_TRAINING, lead.length // 4, first - MARGIN)
        if not labels.any() or train < SHORTEST_TRAINING:
            return False
        table = pd.DataFrame({"Data": lead.read(0, lead.length), "Label": labels.astype(int)})
    database, number = record.name.split("/")
    name = f"{number}_{database.upper()}{MADE}_id_0_Medical_tr_{train}_1st_{first}.csv"
    write_csv(folder / name, table)
    return True


def abnormal_samples(beats: np.ndarray, abnormal: np.ndarray, length: int) -> np.ndarray:
    """Which samples belong to an abnormal beat, bool of shape (length,).

    A beat lasts from half the median distance of beats before its R peak to as long before the next R peak.

    beats : int ndarray of shape (n,), the samples of the R peaks, ascending
    abnormal : bool ndarray of shape (n,)
    """
    labels = np.zeros(length, bool)
    if len(beats) < 2:
        return labels
    starts = np.maximum(beats - int(np.median(np.diff(beats)) / 2), 0)
    for start, stop in zip(starts[abnormal], np.append(starts[1:], length)[abnormal], strict=True):
        labels[start:stop] = True
    return labels
