"""The ONNX file that ships, and how beats go through it. NumPy and ONNX Runtime, no torch."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike

from ecg.exceptions import BeatError, InputError
from ecg.files import read_bytes, sha256

MODEL = "autoencoder.onnx"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
BLOCK = 512  # beats at a time: with fewer, each call costs more than its share; more do not fit a processor's cache


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that blocks of beats are scored in, one for each core that this process may use.

    joblib counts these as containers limit them, by affinity and by control group.
    """
    from joblib import cpu_count  # a tenth of a second, which a few beats need not wait for

    return ThreadPoolExecutor(cpu_count(), thread_name_prefix="ecg")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # threads do not live on in a forked process


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
    def load(cls, folder: str | Path) -> Self:
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
            blocks = list(pool().map(run, starts))
            results = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        if not np.isfinite(results[-1]).all():  # a score that is finite is the mean of errors that are
            row = np.argwhere(~np.isfinite(results[-1]))[0][0]
            raise BeatError("is too large: its squared error is no finite number", int(row))
        return results

    def checked(self, beats: ArrayLike) -> np.ndarray:
        """Raw beats as float32 of shape (n, L); InputError if they are none, BeatError if one of them is."""
        try:
            given = np.asarray(beats)
            kinds = {given.dtype.type} if given.dtype != object else set(map(type, given.flat))
            if wrong := [kind.__name__ for kind in kinds if kind is bool or not issubclass(kind, Real)]:
                raise TypeError(f"they are of type {wrong[0]}")  # text, dates, truth values: NumPy would make numbers
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
