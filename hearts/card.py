"""Write the card of the model of normal hearts from the model, its calibration and hearts/reporting.json."""

import json
from pathlib import Path
from typing import Any

from ecg.files import read_json, write_bytes
from ecg.hearts.model import CARD, MODEL, SHIPPED, HeartModel
from stages import run

REPORTING = Path("hearts/reporting.json")
COMMAND = "python -m benchmarks.recordings --records FOLDER --patients reporting --json hearts/reporting.json"
FIGURES = {
    "auc_mean": "AUC, mean over records",
    "ap_mean": "average precision, mean over records",
    "far_05_mean": "false-alarm rate at alpha 0.05, mean over records",
    "far_05_above_twice": "share of records with more than twice that",
    "v_sensitivity": "V beats found",
    "s_sensitivity": "S beats found",
    "alarm_ppv": "share of alarms that are abnormal beats",
    "false_alarms_per_hour_median": "false alarms an hour, median over records",
}
LIMITS = (
    "It is for research and teaching, and not a medical device.",
    "It has seen recordings of two databases, many with arrhythmias, one lead of each.",
    "It compares a heart with its own usual beats: what is abnormal from the first to the last beat, such as a bundle "
    "branch block or an old infarction, raises no alarm.",
    "Atrial premature beats that are hardly early, junctional beats and fusion beats are the ones it misses most.",
    "In atrial fibrillation, RR intervals tell little, and false alarms are more frequent.",
    "Paced hearts were left out of its training.",
)


def main() -> None:
    model, figures = HeartModel.load(), read_json(REPORTING, f"`{COMMAND}` makes it")
    write_bytes(SHIPPED / CARD, card(model, figures).encode())


def card(model: HeartModel, figures: dict[str, Any]) -> str:
    """The card, in Markdown."""
    patients, settings = model.calibration.patients, json.loads(model.model.metadata["params"])
    unlabelled, labelled = (figures[setting]["default"] for setting in ("unlabelled", "labelled"))
    rows = [f"| {title} | {_number(labelled[name])} | {_number(unlabelled[name])} |" for name, title in FIGURES.items()]
    return "\n".join(
        [
            "# The model of normal hearts",
            "",
            f"`{MODEL}` judges heartbeats of patients that it has never seen. It compares each beat with the patient's "
            "own normal beat and rhythm, by an autoencoder and a discriminator of simulated anomalies; no annotated "
            f"anomaly was used to train it. It is an ensemble of {settings['folds'] * settings['repeats']} members.",
            "",
            "## Training",
            "",
            f"{sum(patient.beats for patient in patients):,} normal beats of {len(patients)} patients (MIT-BIH "
            "Arrhythmia Database, Moody & Mark 2001; MIT-BIH Supraventricular Arrhythmia Database, Greenwald 1990; "
            "PhysioNet, Goldberger et al. 2000, Open Data Commons Attribution License 1.0): "
            + ", ".join(patient.name for patient in patients)
            + ".",
            "",
            "## Figures",
            "",
            f"On {unlabelled['records']} patients for reporting (hearts/patients.yaml): neither the model nor its "
            "settings were chosen by them. With annotations: normal beats of the first five minutes are known. "
            "Without: none are.",
            "",
            "| | with annotations | without |",
            "|---|---|---|",
            *rows,
            "",
            f"`{COMMAND}` prints them.",
            "",
            "## Limits",
            "",
            *(f"- {sentence}" for sentence in LIMITS),
            "",
        ]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    run(main)
