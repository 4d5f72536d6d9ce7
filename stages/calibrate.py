"""Set the threshold from the errors of normal beats; the calibration records which model made them."""

import sys

import numpy as np

from ecg import params
from ecg.data import beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION
from ecg.detector.model import Model
from ecg.files import write_json
from stages import METRICS, MODELS, PROCESSED, run


def main() -> None:
    settings = params.load().calibrate
    errors, model = TrainingErrors.load(MODELS / "errors.csv"), Model.load(MODELS)
    labelled = settings.method in thresholds.LABELLED
    anomalous = model.scores(beats.load(PROCESSED / "development.npz").samples) if labelled else None
    calibration = thresholds.calibrate(errors, settings, model.sha256, anomalous)
    if labelled:
        print(
            f"warning: calibrate.method is '{settings.method}', which uses labels: those of the anomalous training "
            "beats. Its threshold promises no false-alarm rate",
            file=sys.stderr,
        )
    calibration.save(MODELS / CALIBRATION)
    write_json(
        METRICS / "calibrate.json",
        {
            "beats": len(errors.calibrating),
            "alarm_rate": float(np.mean(errors.calibrating >= calibration.threshold)),
            "median_error": float(np.median(errors.calibrating)),
            "threshold": calibration.threshold,
            "uses_labels": labelled,
        },
    )


if __name__ == "__main__":
    run(main)
