"""The shipped artifact: beats in, verdicts out. NumPy and ONNX Runtime, no torch."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime

from ecg.calibration import Calibration, benjamini_hochberg
from ecg.exceptions import InputError
from ecg.files import read_bytes, sha256

MODEL = "autoencoder.onnx"
CALIBRATION = "calibration.json"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
BLOCK = 512  # beats at a time: with fewer, each call costs more than its share; more do not fit a processor's cache


@dataclass(frozen=True)
class Verdicts:
    """What a detector of K members says of n beats of L samples.

    score : float32 ndarray of shape (n,), mean error over the beat's samples; higher is more anomalous
    p_value : float64 ndarray of shape (n,), about the share of normal beats that look as anomalous; None if the model
        was calibrated without held-out beats
    anomalous : bool ndarray of shape (n,), whether the p-value is low enough or the score high enough for an alarm
    step_error : float32 ndarray of shape (n, L), the error at each sample; its mean over the samples is the score
    reconstruction : float32 ndarray of shape (n, L), the normal beat that the model sees in the beat, in raw units
    member_score : float32 ndarray of shape (n, K), each member's own score; the score is their mean
    """

    score: np.ndarray
    p_value: np.ndarray | None
    anomalous: np.ndarray
    step_error: np.ndarray
    reconstruction: np.ndarray
    member_score: np.ndarray

    def where(self, chosen: np.ndarray) -> "Verdicts":
        """The verdicts that `chosen` picks, a boolean array of shape (n,) or places, in their order."""
        return Verdicts(
            self.score[chosen],
            None if self.p_value is None else self.p_value[chosen],
            self.anomalous[chosen],
            self.step_error[chosen],
            self.reconstruction[chosen],
            self.member_score[chosen],
        )


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
    def load(cls, folder: str | Path) -> "Model":
        """Read the model from a folder that the pipeline filled; InputError if it is missing or damaged."""
        path = Path(folder) / MODEL
        return cls(read_bytes(path), str(path))

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return int(self._session.get_inputs()[0].shape[1])

    @property
    def members(self) -> int:
        """How many autoencoders the score is the mean of."""
        return int(self._sizes["member_score"][0])

    def scores(self, beats: np.ndarray) -> np.ndarray:
        """The score of each raw beat: (n, L) -> float32 of shape (n,); InputError if they are no beats."""
        (score,) = self.run(("score",), beats)
        return score

    def member_scores(self, beats: np.ndarray) -> np.ndarray:
        """Each member's own score of each raw beat: (n, L) -> float32 of shape (n, K)."""
        (member_score,) = self.run(("member_score",), beats)
        return member_score

    def run(self, outputs: tuple[str, ...], beats: np.ndarray) -> list[np.ndarray]:
        """The named outputs of the ONNX file for raw beats, (n, L); InputError if they are no beats."""
        beats = self._checked(beats)
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
            raise InputError(f"beat {row} is too large: its squared error is no finite number")
        return results

    def _checked(self, beats: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
                beats = np.ascontiguousarray(beats, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"beats must be numbers in rows of {self.length} ({error})") from None
        if beats.ndim != 2 or beats.shape[1] != self.length:
            raise InputError(f"beats have shape {beats.shape}; the model takes (any number, {self.length})")
        if not np.isfinite(beats).all():
            row, step = np.argwhere(~np.isfinite(beats))[0]
            raise InputError(f"beat {row}, sample {step} is {beats[row, step]}; beats must be finite")
        return beats


class Detector:
    """A trained and calibrated detector of anomalous beats.

    >>> detector = Detector.load("models")
    >>> detector.score(beats).anomalous
    array([False,  True])

    InputError if the calibration belongs to another model.
    """

    def __init__(self, model: Model, calibration: Calibration) -> None:
        if model.sha256 != calibration.model_sha256 or len(calibration.held_out) not in (0, model.members):
            raise InputError("the calibration belongs to another model; run `dvc repro`")
        self.model = model
        self.calibration = calibration

    @classmethod
    def load(cls, folder: str | Path) -> "Detector":
        """Load the model and its calibration from a folder that the pipeline filled.

        Raises
        ------
        InputError
            if a file is missing or damaged, or if the calibration belongs to another model.
        """
        path = Path(folder) / CALIBRATION
        model, calibration = Model.load(folder), Calibration.load(path)
        try:
            return cls(model, calibration)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return self.model.length

    def score(self, beats: np.ndarray) -> Verdicts:
        """Score raw beats, an array of shape (n, L) of finite numbers; InputError if it is anything else."""
        reconstruction, step_error, score, member_score = self.model.run(OUTPUTS, beats)
        p_value = self.calibration.p(score, member_score)
        anomalous = self.calibration.anomalous(score, p_value)
        return Verdicts(score, p_value, anomalous, step_error, reconstruction, member_score)

    def screen(self, beats: np.ndarray, fdr: float | None = None) -> Verdicts:
        """Score a recording as a whole: of the beats that are called anomalous, a share of at most `fdr` is normal.

        In the long run over recordings, and if their normal beats are like the training ones (Benjamini-Hochberg).

        Parameters
        ----------
        beats : float ndarray of shape (n, L), raw, all that belong together
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
            raise InputError("screening needs p-values, and these held-out beats: set train.folds to 2 or more")
        return replace(verdicts, anomalous=benjamini_hochberg(verdicts.p_value, level))

    def scores(self, beats: np.ndarray) -> np.ndarray:
        """The scores that `score` gives, float32 of shape (n,), and nothing else: faster where there are many beats."""
        return self.model.scores(beats)
