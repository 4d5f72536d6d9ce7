"""Scans of annotated recordings as people have them: `python -m benchmarks.scans --records FOLDER`.

short      pieces of 20, 30 and 60 seconds, each by itself, without annotations
learnt     `ecg learn` on the first five minutes, with and without annotations, and a scan of the rest by itself
joined     a quarter of an hour of a recording, and one of another: is the change for good named?
single     recordings as they are: in how many is a change for good named?
in noise   recorded noise added at 6 dB (`--noise RECORD`): the shares of false and of V alarms that are set aside

Patients that the model was trained on are judged by the members that have not seen them, except where changes are all
that is looked at.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from joblib import Parallel, cpu_count, delayed
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from benchmarks.protocol.tables import print_table
from benchmarks.recordings.noise import Noise
from benchmarks.recordings.records import Patients, Record, in_folder
from ecg.data.aami import NAMES, NORMAL, UNLABELLED
from ecg.exceptions import InputError, exit_on_error
from ecg.hearts.context import CUTTING, START_SECONDS, Heart, follow
from ecg.hearts.judge import Judgement, judge
from ecg.hearts.learnt import Learnt
from ecg.hearts.model import HeartModel
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import process_lead
from ecg.scanning.judges import ByNormalHearts
from ecg.scanning.kinds import NOISE
from ecg.scanning.learning import learn_from
from ecg.scanning.records import Scan
from ecg.scanning.scan import scan

SHORT = (20.0, 30.0, 60.0)  # seconds
PIECES = 20  # of each recording, at equal distances
JOINED = 900.0  # seconds of each of two recordings
NEAR = 60.0  # seconds from the join, within which a change is the right one
RATIO = 6.0  # signal to noise, in decibels
V = next(label for label, name in NAMES.items() if name == "V")
FEWEST = 3  # beats of a class, from which on there is a share of them

Row = dict[str, Any]


def main(
    records: Annotated[Path, typer.Option(help="Folder of annotated WFDB records, or of folders of them.")],
    patients: Annotated[Patients, typer.Option(help="Those of a list in hearts/patients.yaml.")] = Patients.ALL,
    noise: Annotated[list[str] | None, typer.Option(help="Recording of noise to add.", show_default=False)] = None,
) -> None:
    """Print what scans of short, joined and noisy recordings find, and what learning a patient's beats changes."""
    with exit_on_error():
        chosen = in_folder(records, patients)
    work: list[Callable[[], list[Row]]] = []
    work += [partial(_short, record, seconds) for seconds in SHORT for record in chosen]
    work += [partial(_learnt, record) for record in chosen]
    beats = _done(work)
    columns = ["AUC", "average precision", "false alarms", "V found", "alarms that are abnormal"]
    table = beats.groupby("what", sort=False)[columns].mean()
    table.insert(0, "recordings", beats.groupby("what", sort=False).size())
    table["above twice"] = beats.groupby("what", sort=False)["false alarms"].apply(lambda rate: (rate > 0.1).mean())
    table["not judged"] = beats.groupby("what", sort=False)["not judged"].sum()
    print_table(_written(table))
    by_database = pd.Series({record.name: record.name.split("/")[0] for record in chosen})
    pairs = [pair for _, names in by_database.groupby(by_database) for pair in pairwise([*names.index, names.index[0]])]
    paths = {record.name: record.path for record in chosen}
    work = [partial(_joined, paths[one], paths[other]) for one, other in pairs if one != other]
    work += [partial(_single, record) for record in chosen]
    print_table(_written(_done(work).groupby("what", sort=False).mean()))
    if noise:
        rows = _done([partial(_in_noise, record, Noise(path, RATIO)) for path in noise for record in chosen])
        total = rows.groupby("what", sort=False).sum()
        shares = {name: total[f"{name} set aside"] / total[name] for name in ("false alarms", "V alarms")}
        print_table(_written(pd.DataFrame({f"{name} set aside": share for name, share in shares.items()})))


def _done(work: list[Callable[[], list[Row]]]) -> pd.DataFrame:
    results: Iterable[list[Row]] = Parallel(cpu_count(), return_as="generator")(delayed(each)() for each in work)
    return pd.DataFrame([row for rows in tqdm(results, total=len(work), disable=None) for row in rows])


def _written(table: pd.DataFrame) -> pd.DataFrame:
    return table.reset_index().map(lambda value: f"{value:.3f}" if isinstance(value, float) else value)


def _short(record: Record, seconds: float) -> list[Row]:
    """The pieces of a recording, their beats taken together."""
    model, parts, refused = HeartModel.load(), list[tuple[np.ndarray, Judgement]](), 0
    with open_lead(record.path, 0) as raw:
        for start in np.linspace(0, raw.seconds - seconds - 1, PIECES).tolist():
            try:
                parts.append(_judged(raw.between(start, start + seconds), model, record.name, None))
            except InputError:
                refused += 1
    classes = np.concatenate([labels for labels, _ in parts])
    joined = Judgement(*(np.concatenate([getattr(j, name) for _, j in parts]) for name in ("score", "p_value")))
    return [{"what": f"short, {seconds:g} s"} | _figures(classes, joined, model) | {"not judged": refused}]


def _learnt(record: Record) -> list[Row]:
    model, rows = HeartModel.load(), list[Row]()
    with open_lead(record.path, 0) as raw:
        start, rest = raw.between(0, START_SECONDS), raw.between(START_SECONDS, raw.seconds)
        for what, annotations in (("nothing", None), ("without annotations", None), ("with annotations", "atr")):
            learnt, refused = None, 0
            if what != "nothing":
                try:
                    with process_lead(start, CUTTING) as processed:
                        learnt = learn_from(processed, start, annotations, model, record.name)
                except InputError:
                    refused = 1
            figures = _figures(*_judged(rest, model, record.name, learnt), model)
            rows.append({"what": f"learnt: {what}"} | figures | {"not judged": refused})
    return rows


def _judged(lead: Lead, model: HeartModel, name: str, learnt: Learnt | None) -> tuple[np.ndarray, Judgement]:
    """The classes of a lead's beats, and how they are judged; InputError if it cannot be."""
    with process_lead(lead, CUTTING) as processed:
        if processed.no_ecg is not None:
            raise InputError(processed.no_ecg)
        heart = Heart.of(processed, BeatWindows.find(processed, CUTTING, ByNormalHearts.fewest_beats))
        return beat_classes(lead.annotations, heart.seconds), judge(heart, follow(heart), model, name, learnt=learnt)


def _figures(classes: np.ndarray, judgement: Judgement, model: HeartModel) -> Row:
    labelled = classes != UNLABELLED
    abnormal, score = classes[labelled] != NORMAL, judgement.score[labelled]
    alarms = (judgement.p_value <= model.calibration.alpha)[labelled]
    ventricular, enough = classes[labelled] == V, abnormal.sum() >= FEWEST
    return {
        "AUC": roc_auc_score(abnormal, score) if enough else np.nan,
        "average precision": average_precision_score(abnormal, score) if enough else np.nan,
        "false alarms": alarms[~abnormal].mean(),
        "V found": alarms[ventricular].mean() if ventricular.sum() >= FEWEST else np.nan,
        "alarms that are abnormal": abnormal[alarms].mean() if enough and alarms.any() else np.nan,
    }


def _joined(one: str, other: str) -> list[Row]:
    with open_lead(one, 0) as first, open_lead(other, 0) as second:
        parts = first.read(0, round(JOINED * first.rate)), second.read(0, round(JOINED * second.rate))
        found = scan(np.concatenate(parts), rate=first.rate)
    near = [change for change in found.changes if abs(change.start - JOINED) <= NEAR]
    return [
        {
            "what": "joined",
            "a change is named": float(bool(found.changes)),
            "at the join": float(bool(near)),
            "for good": float(any(change.lasts for change in near)),
        }
    ]


def _single(record: Record) -> list[Row]:
    found = scan(record.path, lead=0)
    lasts = any(change.lasts for change in found.changes)
    return [{"what": "single", "a change is named": float(bool(found.changes)), "for good": float(lasts)}]


def _in_noise(record: Record, noise: Noise) -> list[Row]:
    with open_lead(record.path, 0) as raw:
        try:
            found = scan(noise.added(raw).read(0, raw.length), rate=raw.rate)
        except InputError:
            return []
        return [{"what": Path(noise.path).name} | _set_aside(found, raw)]


def _set_aside(found: Scan, raw: Lead) -> Row:
    alarms = found.alarms
    classes = beat_classes(raw.annotations, found.beats["seconds"].to_numpy())[found.beats["anomalous"].to_numpy()]
    aside = alarms["kind"].to_numpy() == NOISE
    false, ventricular = classes <= NORMAL, classes == V
    return {
        "false alarms": false.sum(),
        "false alarms set aside": (false & aside).sum(),
        "V alarms": ventricular.sum(),
        "V alarms set aside": (ventricular & aside).sum(),
    }


if __name__ == "__main__":
    typer.run(main)
