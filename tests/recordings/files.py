"""Recordings that tests write, and what reading them gives."""

from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb

from ecg.exceptions import InputError
from ecg.recordings.reading import Lead, open_lead

RATE = 360
N = 20 * RATE  # samples of a short recording


def write_wfdb(folder: Path, name: str, leads: np.ndarray, rate: float = RATE) -> Path:
    wfdb.wrsamp(name, rate, ["mV"] * 2, ["MLII", "V5"], leads, fmt=["16", "16"], write_dir=str(folder))
    return folder / name


def write_edf(folder: Path, name: str, leads: np.ndarray, rate: float = RATE) -> Path:
    signals = [edfio.EdfSignal(lead, rate, label=label) for lead, label in zip(leads.T, ("MLII", "V5"), strict=True)]
    edfio.Edf(signals).write(folder / f"{name}.edf")
    return folder / f"{name}.edf"


def write_npy(folder: Path, name: str, leads: np.ndarray) -> Path:
    np.save(folder / f"{name}.npy", leads)
    return folder / f"{name}.npy"


def refusal(path: object, *more: object, **options: object) -> str:
    with pytest.raises(InputError) as refused, open_lead(path, *more, **options):
        pass
    return str(refused.value)


def opened(recording: object, *more: object, **options: object) -> tuple[Lead, np.ndarray]:
    """A lead, and all of its samples."""
    with open_lead(recording, *more, **options) as lead:
        return lead, lead.read(0, lead.length)
