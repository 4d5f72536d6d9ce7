"""Judge annotated recordings by the protocol, and print its figures; results of single recordings are kept."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from joblib import cpu_count

from benchmarks.protocol.tables import print_table
from benchmarks.protocol.tasks import Result, Task, compute
from benchmarks.recordings.detectors import DETECTORS, Judged
from benchmarks.recordings.figures import V, ahead, of_recording, over_recordings
from benchmarks.recordings.noise import Noise
from benchmarks.recordings.records import Annotated as AnnotatedBeats
from benchmarks.recordings.records import Patients, Record, in_folder, listed, on_physionet
from ecg.exceptions import InputError, exit_on_error
from ecg.files import rounded, sha256, write_bytes, write_csv
from ecg.hearts.context import CUTTING
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import process_lead

SETTINGS = ("labelled", "unlabelled", "unseen")
# What decides a result, beside the record.
ROOMS = ["ecg/data", "ecg/files.py", "ecg/params.py", "ecg/recordings", "ecg/schema.py", "benchmarks/recordings"]
OWN = ["benchmarks/protocol", "ecg/detector", "ecg/models", "ecg/training", "params.yaml"]
DEPENDENCIES = {
    "r_peaks": ROOMS,
    "default": [*ROOMS, "ecg/hearts"],
    "previous": [*ROOMS, *OWN],
    "nearest neighbour": [*ROOMS, *OWN],
}
SHOWN = ["auc_mean", "auc_median", "auc_p10", "ap_mean", "far_01_mean", "far_05_mean", "far_05_above_twice"]
ALARMS = [
    "far_default_mean",
    "false_alarms_per_hour_median",
    "v_sensitivity",
    "s_sensitivity",
    "alarm_ppv",
    "f1_pooled",
]


def main(
    records: Annotated[
        Path | None, typer.Option(help="Folder of annotated WFDB records, or of folders of them.", show_default=False)
    ] = None,
    database: Annotated[str | None, typer.Option(help="PhysioNet database, such as mitdb.", show_default=False)] = None,
    patients: Annotated[Patients, typer.Option(help="Those of a list in hearts/patients.yaml.")] = Patients.ALL,
    lead: Annotated[str, typer.Option(help="Name of the lead, or its number from 0.")] = "0",
    detector: Annotated[list[str], typer.Option(help="Detectors to judge by.")] = list(DETECTORS),  # noqa: B006
    paced: Annotated[bool, typer.Option(help="Take paced records, too.")] = False,
    noise: Annotated[str | None, typer.Option(help="Recording of noise to add.", show_default=False)] = None,
    ratio: Annotated[float, typer.Option(help="Signal to noise, in decibels.")] = 12.0,
    csv: Annotated[Path | None, typer.Option(help="CSV file for the figures of each recording.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file for the figures over recordings.")] = None,
) -> None:
    """Judge annotated recordings by the protocol, and print its figures."""
    with exit_on_error():
        if (records is None) == (database is None):
            raise InputError("give either --records FOLDER or --database NAME")
        if unknown := set(detector) - set(DETECTORS):
            raise InputError(f"--detector {unknown.pop()}: it should be one of {', '.join(DETECTORS)}")
        chosen = in_folder(records, patients) if records else on_physionet(str(database), patients)
        aside = set() if paced else {record.name for record in chosen} & listed("paced")
        chosen = [record for record in chosen if record.name not in aside]
        if aside:
            print(f"paced, left aside: {', '.join(sorted(aside))}", file=sys.stderr)
        if not chosen:
            raise InputError("all records are paced: --paced takes them")
        added = None if noise is None else Noise(noise, ratio)
        judged = judge_all(chosen, lead, detector, added)
        r_peaks = detect_all(chosen, lead, added)
        summary = summarised(judged, r_peaks)
        if csv is not None:
            write_csv(csv, per_recording(judged))
        if json_file is not None:
            write_bytes(json_file, f"{json.dumps(finite(rounded(summary)), indent=2)}\n".encode())
        show(summary)


def judge_all(
    records: list[Record], lead: str, detectors: list[str], noise: Noise | None
) -> dict[str, dict[str, dict[str, Judged]]]:
    """What each detector finds in each recording, by setting, detector and recording."""
    judged: dict[str, dict[str, dict[str, Judged]]] = {setting: {} for setting in SETTINGS}
    for detector in detectors:
        tasks = [task(record, lead, noise) | {"detector": detector} for record in records]
        results = compute(detector, tasks, _judge, cpu_count(), map(Path, DEPENDENCIES[detector]))
        errors = {r.name: str(x["error"]) for r, x in zip(records, results, strict=True) if "error" in x}
        for name, error in errors.items():
            print(f"{name} is left out of {detector}: {error}", file=sys.stderr)
        if len(errors) == len(records):
            raise InputError(f"no recording can be judged: {next(iter(errors.values()))}")
        for record, result in zip(records, results, strict=True):
            for setting in SETTINGS:
                prefix = f"{setting}/"
                arrays = {key.removeprefix(prefix): x for key, x in result.items() if key.startswith(prefix)}
                if arrays:
                    judged[setting].setdefault(detector, {})[record.name] = Judged.of_arrays(arrays)
    return judged


def detect_all(records: list[Record], lead: str, noise: Noise | None) -> pd.DataFrame:
    """Annotated beats, detected R peaks, matches, V beats and detected ones: a row for each recording."""
    tasks = [task(record, lead, noise) for record in records]
    results = compute("r_peaks", tasks, _detect, cpu_count(), map(Path, DEPENDENCIES["r_peaks"]))
    columns = ["annotated", "r_peaks", "matched", "v", "v_found"]
    counts = {r.name: result["counts"] for r, result in zip(records, results, strict=True) if "counts" in result}
    return pd.DataFrame.from_dict(counts, "index", columns=columns)


def task(record: Record, lead: str, noise: Noise | None) -> Task:
    """What decides a result: the record and its content, the lead, the noise."""
    files = (
        sorted(Path(record.path).parent.glob(f"{Path(record.path).name}.*")) if "physionet:" not in record.path else []
    )
    content = [sha256(path.read_bytes()) for path in files]
    return {
        "record": record.name,
        "path": record.path,
        "content": content,
        "lead": lead,
        "noise": None if noise is None else [noise.path, noise.ratio],
    }


def _result(task: Task, work: Callable[[Lead], Result]) -> Result:
    """What is made of the lead of a task; its error if the lead cannot be used."""
    try:
        with open_lead(task["path"], task["lead"]) as lead:
            return work(lead if task["noise"] is None else Noise(*task["noise"]).added(lead))
    except InputError as error:
        return {"error": np.array(str(error))}


def _judge(task: Task) -> Result:
    def judge(raw: Lead) -> Result:
        judged = DETECTORS[task["detector"]](raw, task["record"])
        return {f"{setting}/{key}": array for setting, one in judged.items() for key, array in one.arrays().items()}

    return _result(task, judge)


def _detect(task: Task) -> Result:
    def detect(raw: Lead) -> Result:
        with process_lead(raw, CUTTING) as lead:
            beats = AnnotatedBeats.of(raw, lead.r_peak_seconds, np.arange(len(lead.r_peaks)))
        v = (beats.classes == V) & beats.countable
        return {"counts": np.array([*beats.counts, v.sum(), (v & beats.detected).sum()])}

    return _result(task, detect)


def summarised(judged: dict[str, dict[str, dict[str, Judged]]], r_peaks: pd.DataFrame) -> dict[str, Any]:
    """The figures over recordings, by setting and detector, and those of the R peaks."""
    f1_records, summary = listed("yamac"), dict[str, Any]()
    for setting, by_detector in judged.items():
        summary[setting] = {detector: over_recordings(one, f1_records) for detector, one in by_detector.items()}
        for detector in by_detector.keys() - {"default"}:
            if "default" in by_detector:
                summary[setting][detector] |= ahead(by_detector["default"], by_detector[detector])
    total = r_peaks.sum()
    summary["r_peaks"] = {
        "sensitivity": total["matched"] / total["annotated"],
        "ppv": total["matched"] / total["r_peaks"],
        "v_sensitivity": total["v_found"] / total["v"] if total["v"] else np.nan,
    }
    return summary


def per_recording(judged: dict[str, dict[str, dict[str, Judged]]]) -> pd.DataFrame:
    """The figures of each recording: a row for each setting, detector and recording."""
    return pd.DataFrame(
        [
            {"setting": setting, "detector": detector, "record": name, **of_recording(one)}
            for setting, by_detector in judged.items()
            for detector, by_record in by_detector.items()
            for name, one in by_record.items()
        ]
    )


def show(summary: dict[str, Any]) -> None:
    """Print the figures over recordings as tables."""
    for columns in (SHOWN, ALARMS):
        rows = [
            [setting, detector, figures["records"], *(f"{figures[name]:.4g}" for name in columns)]
            for setting in SETTINGS
            for detector, figures in summary[setting].items()
        ]
        print_table(pd.DataFrame(rows, columns=["setting", "detector", "records", *columns]))
        print()
    for setting in SETTINGS:
        for detector, figures in summary[setting].items():
            if "ahead" in figures:
                print(
                    f"{setting}: {detector} is ahead of default on {figures['ahead']} of {figures['compared']} records"
                )
    r_peaks = ", ".join(f"{name} {value:.4f}" for name, value in summary["r_peaks"].items())
    print(f"R peaks: {r_peaks}")


def finite(value: Any) -> Any:
    """The value with null for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    typer.run(main)
