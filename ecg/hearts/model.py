"""The model of normal hearts as it ships: beats in context in, scores and p-values out; on ONNX Runtime alone.

A p-value comes from other patients: it is the share of their normal beats that score as high, by the member that has
not seen the patient, as a mean over the patients. So every patient counts alike, however many beats he has, and at a
p-value of at most alpha a share alpha of a new patient's normal beats are alarms, as a mean over new patients.

References
----------
Lee, Barber, Willett 2023, "Distribution-free inference with hierarchical data".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
import onnxruntime
from pydantic import Field, model_validator

from ecg.detector.model import BATCH_SIZE, pool
from ecg.exceptions import InputError
from ecg.files import read_bytes, read_json, rounded, sha256
from ecg.schema import Rate, Strict, check

if TYPE_CHECKING:  # which needs what reads recordings
    from ecg.hearts.context import BeatsInContext

MODEL, CALIBRATION, CARD = "normal_hearts.onnx", "calibration.json", "card.md"
SHIPPED = Path(__file__).parent / "shipped"
INPUTS = ("beat", "normal", "rhythm", "surroundings")
OUTPUTS = ("reconstruction", "step_error", "earliness", "score", "member_score")
REMEDY = "`dvc repro hearts/dvc.yaml` makes it"
GRID, GRID_DECADES = 256, 4.5  # scores of a calibration, down to p-values of 10 ** -GRID_DECADES
DIGITS = 5  # significant digits of its numbers
Shares = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2)]


class Patient(Strict):
    """A patient that the model was trained on.

    name : database and record, such as mitdb/101
    fold : the member that has not seen the patient
    beats : normal beats that were scored
    shares : of these, those that score at least as high as each score of the calibration
    """

    name: str
    fold: Annotated[int, Field(ge=0)]
    beats: Annotated[int, Field(ge=1)]
    shares: Shares


class Calibration(Strict):
    """How scores become p-values and alarms.

    model_sha256 : of the ONNX file that the scores are from
    alpha : the share of normal beats that may raise an alarm
    scores : ascending
    patients : that it was calibrated on
    """

    model_sha256: str
    alpha: Rate
    scores: Annotated[list[float], Field(min_length=2)]
    patients: Annotated[list[Patient], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(len(patient.shares) != len(self.scores) for patient in self.patients):
            raise ValueError("each patient should have a share for each score")
        if (np.diff(self.scores) <= 0).any() or any((np.diff(p.shares) > 0).any() for p in self.patients):
            raise ValueError("scores should increase and shares should not")
        return self

    @classmethod
    def of(
        cls, scores: np.ndarray, patient: np.ndarray, names: Sequence[str], fold: np.ndarray, sha: str, alpha: float
    ) -> Self:
        """Calibrate on the held-out scores of normal beats.

        Parameters
        ----------
        scores, patient : ndarrays of shape (n,), of each beat; patients are numbered from 0
        names, fold : of each patient
        sha, alpha : as those of the calibration
        """
        grid = np.quantile(scores, 1 - np.logspace(0, -GRID_DECADES, GRID))
        grid = np.unique([rounded(score, DIGITS) for score in grid.tolist()])
        patients = []
        for i, name in enumerate(names):
            own = np.sort(scores[patient == i])
            shares = 1 - np.searchsorted(own, grid, side="left") / len(own)
            patients.append(Patient(name=name, fold=int(fold[i]), beats=len(own), shares=shares.tolist()))
        return cls(model_sha256=sha, alpha=alpha, scores=grid.tolist(), patients=patients)

    def content(self) -> bytes:
        """The calibration as JSON, a line for each patient."""
        record = rounded(self.model_dump(), DIGITS)
        patients = ",\n  ".join(json.dumps(patient, sort_keys=True) for patient in record.pop("patients"))
        return f'{json.dumps(record, sort_keys=True)[:-1]}, "patients": [\n  {patients}\n]}}\n'.encode()

    @classmethod
    def load(cls, path: Path) -> Self:
        """InputError if the file is missing or damaged."""
        return check(cls, read_json(path, REMEDY), str(path))

    @cached_property
    def curve(self) -> np.ndarray:
        """The p-value at each score, which falls: float ndarray."""
        return self.curve_without(None)

    def curve_without(self, name: str | None) -> np.ndarray:
        """The p-value at each score by all patients but the named one."""
        shares = np.mean([patient.shares for patient in self.patients if patient.name != name], axis=0)
        smallest = 1 / (1 + sum(patient.beats for patient in self.patients))
        return np.maximum(shares, smallest)

    def p(self, score: np.ndarray, without: str | None = None) -> np.ndarray:
        """The p-value of each score, float64 of shape (n,), by all patients but one."""
        curve = self.curve if without is None else self.curve_without(without)
        return np.exp(np.interp(score, self.scores, np.log(curve)))

    def threshold(self, alpha: float | None = None, without: str | None = None) -> float:
        """The smallest score of a p-value of at most alpha; InputError if there is none."""
        level = self.alpha if alpha is None else alpha
        curve = self.curve if without is None else self.curve_without(without)
        if not (0 < level < 1 and curve[-1] <= level):
            raise InputError(
                f"alpha is {alpha}; it should be below 1, and {curve[-1]:.3g} at least, the smallest p-value"
            )
        return float(np.interp(-np.log(level), -np.log(curve), self.scores))


@dataclass(frozen=True)
class Scores:
    """The scores of n beats of L samples.

    Attributes
    ----------
    score : float32 ndarray of shape (n,), positive; higher is more anomalous
    earliness : float32 ndarray of shape (n,), how early the beat comes; 0 if it does not
    step_error, reconstruction : float32 ndarrays of shape (n, L), in units of the patient's normal beat; None unless
        details were asked for
    """

    score: np.ndarray
    earliness: np.ndarray
    step_error: np.ndarray | None = None
    reconstruction: np.ndarray | None = None


class HeartModel:
    """The model of normal hearts and its calibration.

    Raises
    ------
    InputError
        if the content is not such a model, or if the calibration belongs to another one.
    """

    def __init__(self, content: bytes, calibration: Calibration, name: str = MODEL) -> None:
        if sha256(content) != calibration.model_sha256:
            raise InputError(f"{name} and its calibration do not belong together; {REMEDY}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise InputError(f"{name} is not a model that ONNX Runtime can read ({error})") from None
        self._sizes = {output.name: output.shape[1:] for output in self._session.get_outputs()}
        if tuple(self._sizes) != OUTPUTS or tuple(x.name for x in self._session.get_inputs()) != INPUTS:
            raise InputError(f"{name} is another kind of model: its outputs are {', '.join(self._sizes)}")
        self.calibration = calibration

    @classmethod
    def load(cls, folder: str | Path = SHIPPED) -> Self:
        """Load a model from a folder; by default the one that ships with the package."""
        path = Path(folder) / MODEL
        content = read_bytes(path, REMEDY)
        return cls(content, Calibration.load(Path(folder) / CALIBRATION), str(path))

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def fold_of(self, patient: str | None) -> int | None:
        """The member that has not seen a patient of this name; None if the model was not trained on him."""
        return next((known.fold for known in self.calibration.patients if known.name == patient), None)

    def score(self, beats: "BeatsInContext", patient: str | None = None, *, details: bool = False) -> Scores:
        """Score beats.

        Parameters
        ----------
        patient : the name of a patient that the model was trained on, who is then judged by the member that has not
            seen him; all others are judged by all members
        details : whether to return the error at each sample and the reconstructions, too
        """
        fold = self.fold_of(patient)
        names = ["earliness", "score" if fold is None else "member_score"]
        names += ["step_error", "reconstruction"] if details else []
        outputs = dict(zip(names, self._run(names, beats), strict=True))
        score = outputs.pop("score") if fold is None else outputs.pop("member_score")[:, fold]
        return Scores(score=score, **outputs)

    def _run(self, names: list[str], beats: "BeatsInContext") -> list[np.ndarray]:
        if not len(beats):
            return [np.empty((0, *self._sizes[name]), np.float32) for name in names]
        inputs = {name: getattr(beats, name) for name in INPUTS}

        def run(start: int) -> list[np.ndarray]:
            return self._session.run(names, {name: x[start : start + BATCH_SIZE] for name, x in inputs.items()})

        batches = list(pool().map(run, range(0, len(beats), BATCH_SIZE)))
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
