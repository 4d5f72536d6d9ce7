"""The shipped artifact: beats in, verdicts out. NumPy and ONNX Runtime, no torch."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ecg.exceptions import InputError
from ecg.files import FLOAT32_DIGITS, read_bytes, sha256, write_json
from ecg.schema import Strict, check

MODEL = "autoencoder.onnx"
CALIBRATION = "calibration.json"
BLOCK = 512  # beats at a time: with fewer, each call costs more than its share; more do not fit a processor's cache


class Calibration(Strict):
    """The threshold that belongs to one model.

    method : how the threshold was found (params.yaml, calibrate.method)
    threshold : the score from which a beat is called anomalous
    model_sha256 : of the ONNX file whose scores it is for
    """

    method: str
    threshold: float
    model_sha256: str

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, self.model_dump(), FLOAT32_DIGITS)

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Read what `save` wrote; InputError if it is anything else."""
        try:
            record = json.loads(read_bytes(path))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON ({error}); `dvc repro` makes it anew") from None
        return check(cls, record, str(path))


@dataclass(frozen=True)
class Verdicts:
    """What a detector says of n beats of L samples.

    score : float32 ndarray of shape (n,), mean error over the beat's samples; higher is more anomalous
    anomalous : bool ndarray of shape (n,), whether the score reaches the threshold
    step_error : float32 ndarray of shape (n, L), the error at each sample; its mean over the samples is the score
    reconstruction : float32 ndarray of shape (n, L), the normal beat that the model sees in the beat, in raw units
    """

    score: np.ndarray
    anomalous: np.ndarray
    step_error: np.ndarray
    reconstruction: np.ndarray


class Detector:
    """A trained and calibrated detector of anomalous beats.

    >>> detector = Detector.load("models")
    >>> detector.score(beats).anomalous
    array([False,  True])
    """

    def __init__(self, model: bytes, calibration: Calibration) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # blocks of beats run side by side instead: twice as fast
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._wanted_only = onnxruntime.RunOptions()
        self._wanted_only.only_execute_path_to_fetches = True
        self.calibration = calibration

    @classmethod
    def load(cls, folder: str | Path) -> "Detector":
        """Load the model and its calibration from a folder that the pipeline filled.

        Raises
        ------
        InputError
            if a file is missing or damaged, or if the calibration belongs to another model.
        """
        path = Path(folder) / MODEL
        model = read_bytes(path)
        calibration = Calibration.load(Path(folder) / CALIBRATION)
        if sha256(model) != calibration.model_sha256:
            raise InputError(f"{Path(folder) / CALIBRATION} belongs to another model than {path}; run `dvc repro`")
        try:
            return cls(model, calibration)
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise InputError(f"{path} is not a model that ONNX Runtime can read ({error})") from None

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return int(self._session.get_inputs()[0].shape[1])

    def score(self, beats: np.ndarray) -> Verdicts:
        """Score raw beats, an array of shape (n, L) of finite numbers; InputError if it is anything else."""
        reconstruction, step_error, score = self._run(("reconstruction", "step_error", "score"), beats)
        return Verdicts(score, score >= np.float32(self.calibration.threshold), step_error, reconstruction)

    def scores(self, beats: np.ndarray) -> np.ndarray:
        """The scores that `score` gives, float32 of shape (n,), and nothing else: faster where there are many beats."""
        (score,) = self._run(("score",), beats)
        return score

    def _run(self, outputs: tuple[str, ...], beats: np.ndarray) -> list[np.ndarray]:
        beats = self._checked(beats)
        if len(beats) == 0:  # of which ONNX Runtime 1.31 computes scores of shape (0, L)
            return [beats if name != "score" else np.empty(0, np.float32) for name in outputs]
        starts = range(0, len(beats), BLOCK)

        def run(start: int) -> list[np.ndarray]:
            return self._session.run(outputs, {"beats": beats[start : start + BLOCK]}, self._wanted_only)

        if len(starts) == 1:
            return run(0)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            blocks = list(pool.map(run, starts))
        return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]

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
