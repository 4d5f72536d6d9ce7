"""Detect anomalous heartbeats with an autoencoder that has seen normal ones only.

What `__all__` names may be relied on; all else may move. The rooms, each of which imports from those before it alone:

data         what a beat is, what is known of a dataset, where beats come from
recordings   from an ECG to its beats
models       the autoencoders, one file per architecture
training     cross-fitted fitting, augmentation, scaling, export; with models, what imports torch
detector     what ships: model, calibration, thresholds, verdicts, streams, explanations, tables of beats
estimators   scikit-learn's and PyOD's interface to all of that, for beats and for series
evaluation   metrics, reliability, report, figures, model card, provenance
hearts       the model of normal hearts, which judges recordings of patients that it has never seen
scanning     a recording to its alarms, episodes and report
archive      any number of recordings or tables of beats, on one machine or a Dask cluster
service      the HTTP service
dashboard    the Streamlit pages
cli          the command line

params and schema check what comes in, files writes what goes out, cluster joins a Dask cluster, exceptions has the
error that people see.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg.detector.detector import Detector
    from ecg.detector.explanation import Explanation
    from ecg.detector.stream import Stream
    from ecg.detector.verdicts import Details, Verdicts
    from ecg.estimators.autoencoder import AutoencoderDetector
    from ecg.estimators.series import SeriesDetector
    from ecg.exceptions import BeatError, InputError
    from ecg.hearts.learnt import Learnt
    from ecg.hearts.model import HeartModel
    from ecg.scanning.learning import learn
    from ecg.scanning.records import Scan
    from ecg.scanning.scan import scan

__all__ = [
    "AutoencoderDetector",
    "BeatError",
    "Details",
    "Detector",
    "Explanation",
    "HeartModel",
    "InputError",
    "Learnt",
    "Scan",
    "SeriesDetector",
    "Stream",
    "Verdicts",
    "learn",
    "scan",
]

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would keep a diary of each model that it opens

_PLACES = {
    "AutoencoderDetector": "ecg.estimators.autoencoder",
    "BeatError": "ecg.exceptions",
    "Details": "ecg.detector.verdicts",
    "Detector": "ecg.detector.detector",
    "Explanation": "ecg.detector.explanation",
    "HeartModel": "ecg.hearts.model",
    "InputError": "ecg.exceptions",
    "Learnt": "ecg.hearts.learnt",
    "Scan": "ecg.scanning.records",
    "SeriesDetector": "ecg.estimators.series",
    "Stream": "ecg.detector.stream",
    "Verdicts": "ecg.detector.verdicts",
    "learn": "ecg.scanning.learning",
    "scan": "ecg.scanning.scan",
}


def __getattr__(name: str) -> Any:
    """What is public, imported when it is first asked for: `import ecg` brings nothing else along."""
    if name not in _PLACES:
        raise AttributeError(f"module 'ecg' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
