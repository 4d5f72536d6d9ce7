"""Prepared beats with the parameters that brought them, to measure detectors on in this process."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.protocol.configuration import Configuration
from benchmarks.protocol.configuration import load as load_configuration
from ecg import params
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector.model import MODEL
from tests.conftest import ROOT, write_calibration


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    """benchmarks/params.yaml, as committed."""
    return load_configuration(ROOT / "benchmarks" / "params.yaml")


def prepare(folder: Path, train: Beats, test: Beats, source: str = "archive") -> Path:
    """Fill a folder as the preprocess stage leaves it, with the parameters as committed but for the source of beats."""
    record = params.read(ROOT / "params.yaml")
    record["fetch"]["source"] = source
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(record))
    shutil.copy(ROOT / "benchmarks" / "params.yaml", folder / "benchmarks")
    parts = {"fit": train.where(train.classes == 1), "development": train.where(train.classes > 1), "test": test}
    for name, part in parts.items():
        beats.save(folder / "data" / "processed" / f"{name}.npz", part)
    return folder


def ship(folder: Path, model: bytes, errors: TrainingErrors) -> None:
    """Write the model and its calibration into a prepared folder."""
    models = folder / "models"
    models.mkdir()
    (models / MODEL).write_bytes(model)
    write_calibration(models, model, errors)


def configure(folder: Path, **sections: dict[str, Any]) -> None:
    """Change values in a folder's benchmarks/params.yaml."""
    path = folder / "benchmarks" / "params.yaml"
    record = yaml.safe_load(path.read_text())
    for name, changes in sections.items():
        record[name] |= changes
    path.write_text(yaml.safe_dump(record))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, train: Beats, test: Beats) -> Path:
    """ECG5000, prepared; tests may only read it."""
    return prepare(tmp_path_factory.mktemp("archive") / "folder", train, test)


def with_unlabelled(test: Beats) -> Beats:
    """The same beats, and before them normal ones without a label."""
    more = test.where(test.classes == 1)
    classes = np.concatenate([np.zeros(len(more), test.classes.dtype), test.classes])
    return Beats(np.concatenate([more.samples, test.samples]), classes)
