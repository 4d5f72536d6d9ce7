"""Set the threshold from the errors of normal beats, and bind it to the model that made them."""

import numpy as np

from ecg import params
from ecg.calibration import METHODS
from ecg.detector import CALIBRATION, MODEL, Calibration
from ecg.errors import Errors
from ecg.files import read_bytes, sha256, write_json
from stages import METRICS, MODELS, run


def main() -> None:
    settings = params.load().calibrate
    errors = Errors.load(MODELS / "errors.csv")
    threshold = METHODS[settings.method](errors, settings)
    model = read_bytes(MODELS / MODEL)
    calibration = Calibration(method=settings.method, threshold=threshold, model_sha256=sha256(model))
    calibration.save(MODELS / CALIBRATION)
    write_json(
        METRICS / "calibrate.json",
        {
            "beats": len(errors.calibrating),
            "alarm_rate": float(np.mean(errors.calibrating >= threshold)),
            "median_error": float(np.median(errors.calibrating)),
        },
    )


if __name__ == "__main__":
    run(main)
