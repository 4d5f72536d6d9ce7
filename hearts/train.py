"""Fit the model of normal hearts to normal beats of many patients, and calibrate it: `dvc repro hearts/dvc.yaml`.

It is one stage: the beats of patients stand in a temporary folder, which is gone at its end.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from ecg import params
from ecg.files import sha256, write_together
from ecg.hearts import fitting
from ecg.hearts.beats import NormalBeats, StoredBeats
from ecg.hearts.model import CALIBRATION, MODEL, SHIPPED, Calibration
from ecg.hearts.params import Collect, File, Params
from ecg.schema import check
from ecg.training.export import to_onnx
from stages import cluster, run

PARAMS = Path("hearts/params.yaml")
RECORDS = "ECG_RECORDS"  # environment variable: a folder that has a folder of records for each database
CHECKED = 1000  # beats that the exported model is compared with PyTorch on


def main() -> None:
    settings = load()
    names, paths = patients_of(settings.collect)
    with tempfile.TemporaryDirectory(prefix="ecg-") as folder:
        beats = collect(settings.collect, paths, Path(folder))
        print(f"{len(beats):,} normal beats of {len(names)} patients")
        with tqdm(total=settings.train.steps, desc="train", unit="step", disable=None) as bar:
            fit = fitting.fit(beats, settings.train, bar.update)
        some = beats.where(slice(CHECKED)).in_context().columns
    metadata = {
        "intended_use": "Research and teaching. Not a medical device.",
        # The device is left out: it says where the model was computed, not what.
        "params": json.dumps(settings.train.model_dump(exclude={"device"}), sort_keys=True),
        "patients": ", ".join(names),
    }
    network: Any = fit.network  # it has the inputs and outputs of an ensemble
    model = to_onnx(network, some, metadata)
    folds, alpha = settings.train.folds, settings.calibrate.alpha
    calibration = Calibration.of(fit.held_out, beats.patient, names, fit.fold, folds, sha256(model), alpha)
    write_together({SHIPPED / MODEL: model, SHIPPED / CALIBRATION: calibration.content()})
    print(f"{sum(p.numel() for p in fit.network.parameters()):,} parameters; threshold {calibration.threshold():.4g}")


def load() -> Params:
    """The settings in PARAMS; InputError names each wrong parameter, its value and what is accepted."""
    return check(File, params.read(PARAMS), str(PARAMS)).hearts


def patients_of(settings: Collect) -> tuple[list[str], list[str]]:
    """The names of the patients, as DATABASE/RECORD, and where their records are."""
    names = [f"{database}/{record}" for database, records in settings.records.items() for record in records]
    folder = os.environ.get(RECORDS)
    return names, [str(Path(folder, name)) if folder else f"physionet:{name}" for name in names]


def collect(settings: Collect, paths: list[str], folder: Path) -> StoredBeats:
    """The normal beats of the patients, in a folder; read by as many processes as there are cores, or by a cluster."""
    read = delayed(NormalBeats.of_recording)
    with cluster.joined():
        parts = Parallel(cpu_count(), return_as="generator")(
            read(path, settings.lead, settings.beats) for path in paths
        )
        shown = tqdm(parts, total=len(paths), desc="collect", unit="recording", disable=None)
        return StoredBeats.written(folder / "beats", shown)


if __name__ == "__main__":
    run(main)
