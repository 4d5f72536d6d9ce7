"""What is learnt of a patient from a recording: normal beats, which later recordings of the patient are compared with.

The model of normal hearts stays as it is. What is added is the patient's normal beat, a sample of normal beats in their
context, and their scores, so that a beat that resembles none of them scores higher, and a heart whose normal beats
score high has no more false alarms than others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field

from ecg.exceptions import InputError
from ecg.files import read_arrays, read_json, replacing_folder, sha256, write_arrays, write_json
from ecg.hearts.context import FEWEST, LENGTH, RHYTHM, STEP, SURROUNDINGS, BeatsInContext
from ecg.recordings.reading.lead import cleaned
from ecg.schema import Strict, check

PATIENT, BEATS = "patient.json", "beats.npz"
REMEDY = "`ecg learn RECORDING --out FOLDER` makes it"
DIGITS = 9  # restore a float32


class Source(Strict):
    """What the normal beats are from.

    version : of the format
    recording, lead : their names
    start, stop : seconds of the recording that was learnt from
    beats : normal beats that were found there
    usual : the usual difference of these from their mean (`Context.usual`)
    annotated : whether they are annotated as normal; otherwise, they are those that the model finds normal
    model_sha256 : of the model of normal hearts that scored them
    """

    version: Literal[1]
    recording: Annotated[str, AfterValidator(cleaned)]
    lead: Annotated[str, AfterValidator(cleaned)]
    start: Annotated[float, Field(ge=0)]
    stop: Annotated[float, Field(gt=0)]
    beats: Annotated[int, Field(ge=FEWEST)]
    usual: float
    annotated: bool
    model_sha256: str

    def __str__(self) -> str:
        how = "annotated as normal" if self.annotated else "that it found normal"
        part = f"{self.start:.0f} to {self.stop:.0f} s"
        return f"{self.beats:,} beats {how}, from {part} of {self.recording}, lead {self.lead}"


class _Saved(Source):
    """What is written of it; beats_sha256 : of the file of beats."""

    beats_sha256: str


@dataclass(frozen=True)
class Learnt:
    """Normal beats of a patient.

    Attributes
    ----------
    source : what they are from
    normal : float32 ndarray of shape (LENGTH,), the mean of them
    beats : some of them, in the context of their recording
    scores : float ndarray of shape (k,), ascending, of all of them
    """

    source: Source
    normal: np.ndarray
    beats: BeatsInContext
    scores: np.ndarray

    def save(self, folder: Path) -> None:
        """Write it as a folder, which appears whole; InputError if there is one with other files, perhaps a model's."""
        with replacing_folder(folder, lambda name: name in (PATIENT, BEATS)) as part:
            scores = self.scores.astype(np.float32)
            write_arrays(part / BEATS, normal=self.normal, beats=self.beats.columns, scores=scores)
            saved = _Saved(**self.source.model_dump(), beats_sha256=sha256((part / BEATS).read_bytes()))
            write_json(part / PATIENT, saved.model_dump(), DIGITS)

    @classmethod
    def load(cls, folder: Path, model_sha256: str) -> Self:
        """Read it from a folder; InputError if it is missing, damaged or belongs to another model."""
        saved = check(_Saved, read_json(folder / PATIENT, REMEDY), str(folder / PATIENT))
        if saved.model_sha256 != model_sha256:
            raise InputError(f"{folder} was learnt with another model of normal hearts: learn it anew; {REMEDY}")
        normal, columns, scores = read_arrays(folder / BEATS, "normal", "beats", "scores")
        width = 2 * (LENGTH // STEP) + len(RHYTHM) + len(SURROUNDINGS)
        shapes_fit = normal.shape == (LENGTH,) and columns.ndim == 2 and columns.shape[1] == width and scores.ndim == 1
        numbers = (normal, columns, scores)
        if not shapes_fit or any(x.dtype != np.float32 or not np.isfinite(x).all() for x in numbers):
            raise InputError(f"{folder / BEATS} does not hold beats of a patient; {REMEDY}")
        if sha256((folder / BEATS).read_bytes()) != saved.beats_sha256:
            raise InputError(f"{folder / BEATS} does not belong to {PATIENT}; {REMEDY}")
        source = Source(**saved.model_dump(exclude={"beats_sha256"}))
        return cls(source, normal, BeatsInContext.of_columns(columns), np.sort(scores.astype(float)))


def is_learnt(folder: Path) -> bool:
    """Whether a folder holds what was learnt of a patient, as far as its description says."""
    return (folder / PATIENT).is_file()
