"""The shipped artifact: beats in, verdicts out. NumPy and ONNX Runtime, no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike

from ecg.calibration import NO_P_VALUES, Calibration, benjamini_hochberg
from ecg.exceptions import BeatError, InputError
from ecg.files import read_bytes, sha256

if TYPE_CHECKING:
    from ecg.explanation import Explanation

MODEL = "autoencoder.onnx"
CALIBRATION = "calibration.json"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
OTHER_MODEL = "the calibration belongs to another model, or the model is damaged; run `dvc repro`"
BLOCK = 512  # beats at a time: with fewer, each call costs more than its share; more do not fit a processor's cache


@dataclass(frozen=True)
class Verdicts:
    """What a detector of K members says of n beats.

    score : float32 ndarray of shape (n,), mean error over the beat's samples; higher is more anomalous
    p_value : float64 ndarray of shape (n,), about the share of normal beats that look as anomalous; None if the model
        was calibrated without held-out beats
    anomalous : bool ndarray of shape (n,), whether the p-value is low enough or the score high enough for an alarm
    member_score : float32 ndarray of shape (n, K), each member's own score; the score is their mean
    """

    score: np.ndarray
    p_value: np.ndarray | None
    anomalous: np.ndarray
    member_score: np.ndarray

    def where(self, chosen: np.ndarray) -> Self:
        """The verdicts that `chosen` picks, a boolean array of shape (n,) or places, in their order."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: column[chosen] for name, column in columns.items() if column is not None})


@dataclass(frozen=True)
class Details(Verdicts):
    """Verdicts on n beats of L samples, and what they come from.

    step_error : float32 ndarray of shape (n, L), the error at each sample; its mean over the samples is the score
    reconstruction : float32 ndarray of shape (n, L), the normal beat that the model sees in the beat, in raw units
    """

    step_error: np.ndarray
    reconstruction: np.ndarray


class Model:
    """The ONNX file that ships: raw beats in; reconstruction, error at each sample and scores out.

    content : of the file; InputError if it is no such model. `where` is what to call it then.
    """

    def __init__(self, content: bytes, where: str = MODEL) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # blocks of beats run side by side instead: twice as fast
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise InputError(f"{where} is not a model that ONNX Runtime can read ({error})") from None
        self._wanted_only = onnxruntime.RunOptions()
        self._wanted_only.only_execute_path_to_fetches = True
        self._sizes = {output.name: output.shape[1:] for output in self._session.get_outputs()}
        if tuple(self._sizes) != OUTPUTS:
            raise InputError(f"{where} is another kind of model: its outputs are {', '.join(self._sizes)}")
        self.sha256 = sha256(content)

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Read the model from a folder that the pipeline filled; InputError if it is missing or damaged."""
        path = Path(folder) / MODEL
        return cls(read_bytes(path), str(path))

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return int(self._session.get_inputs()[0].shape[1])

    @property
    def facts(self) -> dict[str, str]:
        """What the file's metadata say of it: the dataset, the intended use, what decided its training."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def members(self) -> int:
        """How many autoencoders the score is the mean of."""
        return int(self._sizes["member_score"][0])

    def scores(self, beats: ArrayLike) -> np.ndarray:
        """The score of each raw beat: (n, L) -> float32 of shape (n,); InputError if they are no beats."""
        (score,) = self.run(("score",), beats)
        return score

    def member_scores(self, beats: ArrayLike) -> np.ndarray:
        """Each member's own score of each raw beat: (n, L) -> float32 of shape (n, K)."""
        (member_score,) = self.run(("member_score",), beats)
        return member_score

    def run(self, outputs: Sequence[str], beats: ArrayLike) -> list[np.ndarray]:
        """The named outputs of the ONNX file for raw beats, (n, L); InputError if they are no beats."""
        beats = self.checked(beats)
        if len(beats) == 0:  # of which ONNX Runtime 1.31 computes scores of shape (0, L)
            return [np.empty((0, *self._sizes[name]), np.float32) for name in outputs]
        starts = range(0, len(beats), BLOCK)

        def run(start: int) -> list[np.ndarray]:
            return self._session.run(outputs, {"beats": beats[start : start + BLOCK]}, self._wanted_only)

        if len(starts) == 1:
            results = run(0)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                blocks = list(pool.map(run, starts))
            results = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        if not np.isfinite(results[-1]).all():  # a score that is finite is the mean of errors that are
            row = np.argwhere(~np.isfinite(results[-1]))[0][0]
            raise BeatError("is too large: its squared error is no finite number", int(row))
        return results

    def checked(self, beats: ArrayLike) -> np.ndarray:
        """Raw beats as float32 of shape (n, L); InputError if they are none, BeatError if one of them is."""
        try:
            given = np.asarray(beats)
            if given.dtype.kind not in "fiuO":  # NumPy would make numbers of text, dates and truth values
                raise TypeError(f"they are of type {given.dtype}")
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
                given = np.ascontiguousarray(given, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"beats must be numbers in rows of {self.length} ({error})") from None
        if given.ndim != 2 or given.shape[1] != self.length:
            raise InputError(f"beats have shape {given.shape}; the model takes (any number, {self.length})")
        if not np.isfinite(given).all():
            row, step = np.argwhere(~np.isfinite(given))[0].tolist()
            raise BeatError(f"is {given[row, step]}; beats must be finite", row, step)
        return given


Table = ArrayLike | str | os.PathLike[str]  # beats: an array, a DataFrame, or the path of a file that holds some


class Detector:
    """A trained and calibrated detector of anomalous beats.

    >>> detector = Detector.load("models")
    >>> detector.score("beats.csv").anomalous
    array([False,  True])
    >>> print(detector.explain("beats.csv")[1])
    anomalous: score 0.208, p-value 0.00341
    samples 101 to 109 (P): 35% of the score
    samples 4 to 8 (QRS): 15% of the score

    Wherever it takes beats, these are an array of shape (n, L), a DataFrame or the path of a table that `ecg.tables`
    reads. Of a DataFrame or a table, the last L columns are the samples; one more may stand in front of them.

    InputError if the calibration belongs to another model.
    """

    def __init__(self, model: Model, calibration: Calibration) -> None:
        if model.sha256 != calibration.model_sha256 or len(calibration.held_out) not in (0, model.members):
            raise InputError(OTHER_MODEL)
        self.model = model
        self.calibration = calibration

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """Load the model and its calibration from a folder that the pipeline filled.

        The model's hash is compared before anything else looks into the file.

        Raises
        ------
        InputError
            if a file is missing or damaged, or if the calibration belongs to another model.
        """
        path, beside = Path(folder) / MODEL, Path(folder) / CALIBRATION
        content, calibration = read_bytes(path), Calibration.load(beside)
        if sha256(content) != calibration.model_sha256:
            raise InputError(f"{beside}: {OTHER_MODEL}")
        return cls(Model(content, str(path)), calibration)

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return self.model.length

    @overload
    def score(self, beats: Table, alpha: float | None = None, *, details: Literal[False] = False) -> Verdicts: ...
    @overload
    def score(self, beats: Table, alpha: float | None = None, *, details: Literal[True]) -> Details: ...
    def score(self, beats: Table, alpha: float | None = None, *, details: bool = False) -> Verdicts:
        """Score raw beats, each by itself.

        Parameters
        ----------
        beats : array, DataFrame or path: n beats of L samples
        alpha : the accepted false-alarm rate; as calibrated if not given
        details : whether to return the error at each sample and the reconstructions, too, 8 bytes a sample

        Returns
        -------
        Verdicts, or with details Details.

        Raises
        ------
        InputError
            if these are no beats, or if no verdict at this alpha is possible; BeatError if it is for one of the beats.
        """
        wanted = OUTPUTS if details else ("score", "member_score")
        outputs = dict(zip(wanted, self.model.run(wanted, self._samples(beats)), strict=True))
        p_value = self.calibration.p(outputs["score"], outputs["member_score"])
        anomalous = self.calibration.anomalous(outputs["score"], p_value, alpha)
        kind = Details if details else Verdicts
        return kind(p_value=p_value, anomalous=anomalous, **outputs)

    def explain(self, beats: Table, normal: Table | None = None) -> list[Explanation]:
        """Score raw beats and say why each has its score: an explanation of each.

        Parameters
        ----------
        beats : array, DataFrame or path: n beats of L samples
        normal : normal beats to find the nearest one among, those of training for example; none if not given

        Raises
        ------
        InputError
            if these are no beats.
        """
        from ecg.explanation import explain  # what only scores need not depend on it

        samples = self._samples(beats)
        compared = None if normal is None else self.model.checked(self._samples(normal))
        return explain(samples, self.score(samples, details=True), self.model.facts.get("dataset", ""), compared)

    def screen(self, beats: Table, fdr: float | None = None) -> Verdicts:
        """Score a recording as a whole: of the beats that are called anomalous, a share of at most `fdr` is normal.

        In the long run over recordings, and if their normal beats are like the training ones (Benjamini-Hochberg).

        Parameters
        ----------
        beats : array, DataFrame or path: n beats of L samples, all that belong together
        fdr : the accepted false-discovery rate; as calibrated (params.yaml, calibrate.fdr) if not given

        Raises
        ------
        InputError
            if these are no beats, if `fdr` is not between 0 and 1, or if the model was calibrated without held-out
            beats.
        """
        level = self.calibration.fdr if fdr is None else fdr
        if not 0 < level < 1:
            raise InputError(f"fdr is {level}; it should be between 0 and 1")
        verdicts = self.score(beats)
        if verdicts.p_value is None:
            raise InputError(f"screening needs p-values, and {NO_P_VALUES}")
        return replace(verdicts, anomalous=benjamini_hochberg(verdicts.p_value, level))

    def _samples(self, beats: Table) -> ArrayLike:
        """The samples of an array, a data frame or a table in a file, still unchecked."""
        if isinstance(beats, str | os.PathLike):
            from ecg import tables  # which needs what scoring an array does not

            return tables.read(Path(beats), self.length)
        frame: Any = beats
        if hasattr(frame, "iloc") and frame.shape[-1] == self.length + 1:
            samples: ArrayLike = frame.iloc[:, 1:]
            return samples
        return beats
