"""The model and the test beats: read once, and again when their files change."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ecg.data import beats
from ecg.data.beats import Beats
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL
from ecg.detector.verdicts import Verdicts
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError

if TYPE_CHECKING:
    from ecg.hearts.model import HeartModel

NORMAL_CLASS = 1  # if provenance.json does not say which class is normal
FIT = "fit.npz"  # the normal training beats, in the folder of the test beats


@dataclass(frozen=True)
class ScoredBeats:
    """Test beats with their labels and verdicts.

    anomalous : bool ndarray of shape (n,), whether the dataset calls a beat anomalous
    labelled : bool ndarray of shape (n,), whether a beat has a label
    verdicts : at the calibrated alpha
    """

    beats: Beats
    anomalous: np.ndarray
    labelled: np.ndarray
    verdicts: Verdicts

    @property
    def normal(self) -> np.ndarray:
        """Whether the dataset calls a beat normal: bool ndarray of shape (n,)."""
        return self.labelled & ~self.anomalous


def paths() -> tuple[Path, Path]:
    """The folder of the model, and the file of the test beats as the pipeline writes it."""
    models = os.environ.get("ECG_MODELS", "models")
    test_beats = os.environ.get("ECG_TEST_BEATS", "data/processed/test.npz")
    return Path(models), Path(test_beats)


def _version(path: Path) -> list[object]:
    """What changes when a file, or one of the files of a model's folder, is replaced: the key of the caches."""
    files = [path / name for name in (MODEL, CALIBRATION, PROVENANCE)] if path.is_dir() else [path]
    stats = [file.stat() if file.is_file() else None for file in files]
    return [str(path), *((stat.st_mtime_ns, stat.st_size) if stat else None for stat in stats)]


_cached = partial(st.cache_resource, max_entries=2, hash_funcs={type(Path()): _version})


@st.cache_resource(show_spinner="Loading the model of normal hearts")
def normal_hearts() -> "HeartModel":
    """The model of normal hearts, which ships with the package."""
    from ecg.hearts.model import HeartModel

    return HeartModel.load()


@_cached(show_spinner="Loading the model")
def load_detector(folder: Path) -> Detector:
    """The detector in a folder; InputError if there is none."""
    return Detector.load(folder)


@_cached(show_spinner="Scoring the test beats")
def score_test_beats(folder: Path, path: Path) -> ScoredBeats | None:
    """The test beats in a file, scored; None if it is missing, InputError if it is damaged or has other beats."""
    if not path.exists():
        return None
    test, detector = _load_beats(path), load_detector(folder)
    try:
        verdicts = detector.score(test.samples)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    labelled = detector.dataset.labelled(test.classes)
    return ScoredBeats(test, labelled & (test.classes != normal_class(folder)[0]), labelled, verdicts)


@_cached(show_spinner=False)
def load_provenance(folder: Path) -> Provenance | None:
    """How the model was made; None if the file is missing, InputError if it is damaged or belongs to another model."""
    return Provenance.load(folder) if (folder / PROVENANCE).exists() else None


@_cached(show_spinner=False)
def _load_beats(path: Path) -> Beats:
    loaded = beats.load(path)
    if loaded.classes.shape != loaded.samples.shape[:1] or loaded.classes.dtype.kind not in "iu":
        raise InputError(f"{path} should hold an integer class for each beat; `dvc repro` makes it anew")
    return loaded


def beats_of_length(path: Path, length: int) -> Beats | None:
    """The beats in a file; None if it has none of this length: what needs them shows the error."""
    try:
        loaded = _load_beats(path)
    except (InputError, OSError):
        return None
    return loaded if loaded.samples.ndim == 2 and loaded.samples.shape[1] == length and len(loaded) else None


def normal_class(folder: Path) -> tuple[int, bool]:
    """The class that is normal, and whether provenance.json says so."""
    try:
        provenance = load_provenance(folder)
    except InputError:  # which the view of the model card shows
        provenance = None
    label = None if provenance is None else provenance.params.get("preprocess", {}).get("normal_class")
    return (label, True) if isinstance(label, int) else (NORMAL_CLASS, False)
