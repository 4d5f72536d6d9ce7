"""The model of normal hearts as it ships: beats in context in, scores and p-values out; on ONNX Runtime alone.

A p-value comes from other patients: from the share of each one's normal beats that score as high, by members that have
not seen him. So every patient counts alike, however many beats he has. The p-value is the mean of these shares or, if
that is larger, half of the share that MOST patients do not exceed. So alarms at a p-value of at most alpha promise two
things of new patients: of their normal beats a share alpha raises an alarm, as a mean over patients; and most patients
have at most twice that share.

References
----------
Lee, Barber, Willett 2023, "Distribution-free inference with hierarchical data". The rank of the share that most of n
patients do not exceed, ceil(MOST (n + 1)), is that of split conformal prediction: Vovk 2012, "Conditional validity of
inductive conformal predictors".
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from ecg.detector.model import Device, Model
from ecg.exceptions import InputError
from ecg.files import read_bytes, read_json, rounded, sha256
from ecg.schema import Rate, Strict, check

if TYPE_CHECKING:  # which needs what reads recordings
    from ecg.hearts.context import BeatsInContext

MODEL, CALIBRATION, CARD = "normal_hearts.onnx", "calibration.json", "card.md"
SHIPPED = Path(__file__).parent / "shipped"
REMEDY = "`dvc repro hearts/dvc.yaml` makes it"
GRID, GRID_DECADES = 256, 4.5  # scores of a calibration, down to p-values of 10 ** -GRID_DECADES
MOST = 0.9  # of patients
DIGITS = 5  # significant digits of its numbers
LARGEST = 32 * 2**20  # bytes of its file: a patient takes 1.6 kB
Shares = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, fail_fast=True)]


class Patient(Strict):
    """A patient that the model was trained on.

    name : database and record, such as mitdb/101
    fold : of the patient; the members of this fold have not seen him
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
    folds : of patients; member k has not seen those of fold k modulo this number
    scores : ascending
    patients : that it was calibrated on
    """

    model_sha256: str
    alpha: Rate
    folds: Annotated[int, Field(ge=2)]
    scores: Annotated[list[float], Field(min_length=2, fail_fast=True)]
    patients: Annotated[list[Patient], Field(min_length=1, fail_fast=True)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(len(patient.shares) != len(self.scores) for patient in self.patients):
            raise ValueError("each patient should have a share for each score")
        if (np.diff(self.scores) <= 0).any() or any((np.diff(p.shares) > 0).any() for p in self.patients):
            raise ValueError("scores should increase and shares should not")
        return self

    @classmethod
    def of(
        cls,
        scores: np.ndarray,
        patient: np.ndarray,
        names: Sequence[str],
        fold: np.ndarray,
        folds: int,
        model_sha256: str,
        alpha: float,
    ) -> Self:
        """Calibrate on the held-out scores of normal beats.

        Parameters
        ----------
        scores, patient : ndarrays of shape (n,), of each beat; patients are numbered from 0
        names, fold : of each patient
        folds, model_sha256, alpha : as those of the calibration
        """
        grid = np.quantile(scores, 1 - np.logspace(0, -GRID_DECADES, GRID))
        grid = np.unique([rounded(score, DIGITS) for score in grid.tolist()])
        ends = np.cumsum(np.bincount(patient, minlength=len(names)))[:-1]
        by_patient = np.split(scores[np.argsort(patient, kind="stable")], ends)
        patients = []
        for i, (name, own) in enumerate(zip(names, map(np.sort, by_patient), strict=True)):
            shares = 1 - np.searchsorted(own, grid, side="left") / len(own)
            patients.append(Patient(name=name, fold=int(fold[i]), beats=len(own), shares=shares.tolist()))
        return cls(model_sha256=model_sha256, alpha=alpha, folds=folds, scores=grid.tolist(), patients=patients)

    def content(self) -> bytes:
        """The calibration as JSON, a line for each patient."""
        record = rounded(self.model_dump(), DIGITS)
        patients = ",\n  ".join(json.dumps(patient, sort_keys=True) for patient in record.pop("patients"))
        return f'{json.dumps(record, sort_keys=True)[:-1]}, "patients": [\n  {patients}\n]}}\n'.encode()

    @classmethod
    def load(cls, path: Path) -> Self:
        """InputError if the file is missing or damaged."""
        return check(cls, read_json(path, REMEDY, LARGEST), str(path))

    @cached_property
    def curve(self) -> np.ndarray:
        """The p-value at each score, which falls: float ndarray."""
        return self.curve_without(None)

    def curve_without(self, name: str | None) -> np.ndarray:
        """The p-value at each score by all patients but the named one."""
        others = [patient for patient in self.patients if patient.name != name]
        shares = np.sort([patient.shares for patient in others], axis=0)
        most = shares[min(int(np.ceil(MOST * (len(shares) + 1))), len(shares)) - 1]
        smallest = 1 / (1 + sum(patient.beats for patient in others))
        return np.maximum(np.maximum(shares.mean(axis=0), most / 2), smallest)

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
        first = int(np.argmax(curve <= level))
        if first == 0 or curve[first] == level:
            return self.scores[first]
        between = slice(first - 1, first + 1)
        return float(np.interp(-np.log(level), -np.log(curve[between]), self.scores[between]))


def score_of(member_sum: np.ndarray, more: np.ndarray | float = 0.0) -> np.ndarray:
    """The score of beats from the sums of some members: (n, members) -> (n,), the softplus of their mean and `more`."""
    return np.logaddexp(0, member_sum.mean(axis=1, dtype=np.float32) + np.float32(more))


class HeartModel:
    """The model of normal hearts and its calibration.

    Raises
    ------
    InputError
        if the calibration belongs to another model.
    """

    def __init__(self, model: Model, calibration: Calibration) -> None:
        if model.sha256 != calibration.model_sha256:
            raise InputError(f"the model of normal hearts and its calibration do not belong together; {REMEDY}")
        self.model, self.calibration = model, calibration

    @classmethod
    def load(cls, folder: str | Path = SHIPPED, device: Device = "cpu") -> Self:
        """Load a model from a folder, by default the one that ships, for a device as `Model` does."""
        path = Path(folder) / MODEL
        content, calibration = read_bytes(path, REMEDY), Calibration.load(Path(folder) / CALIBRATION)
        if sha256(content) != calibration.model_sha256:  # before the file is parsed
            raise InputError(f"{path} and its calibration do not belong together; {REMEDY}")
        return cls(Model(content, str(path), device), calibration)

    def unseen_by(self, patient: str | None) -> slice:
        """The members that have not seen a patient of this name: all of them, unless the model was trained on him."""
        fold = next((known.fold for known in self.calibration.patients if known.name == patient), None)
        return slice(None) if fold is None else slice(fold, None, self.calibration.folds)

    def score(self, beats: "BeatsInContext", patient: str | None = None, more: np.ndarray | float = 0.0) -> np.ndarray:
        """The score of each beat, float32 of shape (n,), positive; higher is more anomalous.

        Parameters
        ----------
        patient : the name of a patient that the model was trained on, who is then judged by the members that have not
            seen him; all others are judged by all members
        more : float ndarray of shape (n,), what else is added to the members' sums
        """
        return score_of(self.model.member_scores(beats.columns)[:, self.unseen_by(patient)], more)

    def step_errors(self, beats: "BeatsInContext") -> np.ndarray:
        """The autoencoder's error at each sample of each beat: float32 of shape (n, L)."""
        (errors,) = self.model.run(("step_error",), beats.columns)
        return errors
