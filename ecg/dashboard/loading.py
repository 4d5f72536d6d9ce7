"""The model and the test beats: read once, and again when their files change."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from ecg.data import beats
from ecg.data.beats import Beats
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL
from ecg.detector.verdicts import Verdicts
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError

NORMAL_CLASS = 1  # where no provenance.json tells of another
FIT = "fit.npz"  # the normal training beats, beside the test beats

Stamp = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Tested:
    """Test beats, and what a detector says of them.

    anomalous : bool ndarray of shape (n,), whether the dataset calls a beat anomalous
    known : bool ndarray of shape (n,), whether the dataset says what a beat is
    verdicts : as calibrated
    """

    beats: Beats
    anomalous: np.ndarray
    known: np.ndarray
    verdicts: Verdicts

    @property
    def normal(self) -> np.ndarray:
        """Whether the dataset calls a beat normal: bool ndarray of shape (n,)."""
        return self.known & ~self.anomalous


def models() -> Path:
    """The folder of the model."""
    return Path(os.environ.get("ECG_MODELS", "models"))


def test_beats() -> Path:
    """The file of the test beats, as the pipeline writes it."""
    return Path(os.environ.get("ECG_TEST_BEATS", "data/processed/test.npz"))


def detector(folder: Path) -> Detector:
    """The detector in a folder; InputError if there is none."""
    return _detector(folder, _stamp(folder / MODEL, folder / CALIBRATION))


def tested(folder: Path, path: Path) -> Tested | None:
    """The scored test beats in a file; None if it is missing, InputError if it is damaged or of other beats."""
    if not path.exists():
        return None
    return _tested(folder, path, _stamp(folder / MODEL, folder / CALIBRATION, folder / PROVENANCE, path))


def some_beats(path: Path, length: int) -> Beats | None:
    """The beats in a file, unscored; None if there are none of this length."""
    try:
        found = _beats(path, _stamp(path))
    except (InputError, OSError):
        return None  # where they are needed, that says what is wrong with them; here one can do without
    return found if found.samples.ndim == 2 and found.samples.shape[1] == length and len(found) else None


def normal_beats(path: Path, length: int) -> np.ndarray | None:
    """The normal training beats beside the test beats, (m, length); None if there are none of this length."""
    found = some_beats(path.with_name(FIT), length)
    return None if found is None else found.samples


def provenance(folder: Path) -> Provenance | None:
    """What made the model; None if nothing stands beside it, InputError if that is damaged or of another model."""
    if not (folder / PROVENANCE).exists():
        return None
    return _provenance(folder, _stamp(folder / MODEL, folder / CALIBRATION, folder / PROVENANCE))


def normal_class(folder: Path) -> tuple[int, bool]:
    """The class that is normal, and whether provenance.json says so."""
    try:
        made = provenance(folder)
    except InputError:  # the card tells what is wrong with it
        made = None
    label = None if made is None else made.params.get("preprocess", {}).get("normal_class")
    return (label, True) if isinstance(label, int) else (NORMAL_CLASS, False)


def _stamp(*paths: Path) -> Stamp:
    """What changes when a file does: the caches go by it."""
    return tuple((path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None for path in paths)


@st.cache_resource(show_spinner="Loading the model", max_entries=2)
def _detector(folder: Path, stamp: Stamp) -> Detector:  # noqa: ARG001
    return Detector.load(folder)


@st.cache_resource(show_spinner="Scoring the test beats", max_entries=2)
def _tested(folder: Path, path: Path, stamp: Stamp) -> Tested:  # noqa: ARG001
    found = _beats(path, _stamp(path))
    scoring = detector(folder)
    try:
        verdicts = scoring.score(found.samples)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    known = scoring.dataset.labelled(found.classes)
    return Tested(found, known & (found.classes != normal_class(folder)[0]), known, verdicts)


@st.cache_resource(show_spinner=False, max_entries=2)
def _beats(path: Path, stamp: Stamp) -> Beats:  # noqa: ARG001
    found = beats.load(path)
    if found.classes.shape != found.samples.shape[:1] or found.classes.dtype.kind not in "iu":
        raise InputError(f"{path} should hold an integer class for each beat; `dvc repro` makes it anew")
    return found


@st.cache_resource(show_spinner=False, max_entries=2)
def _provenance(folder: Path, stamp: Stamp) -> Provenance:  # noqa: ARG001
    return Provenance.load(folder)
