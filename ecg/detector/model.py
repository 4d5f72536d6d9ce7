"""Inference with the ONNX file that ships, on NumPy and ONNX Runtime alone."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike

from ecg.detector.graph import check_graph
from ecg.exceptions import BeatError, InputError
from ecg.files import read_bytes, sha256

MODEL = "autoencoder.onnx"
INPUT = "beats"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
LARGEST_SIZE = 2**20  # samples in a beat, and members
BATCH_SIZE = 512  # beats per inference call: smaller batches have more overhead, larger ones do not fit the cache
CUDA_BATCH_SIZE = 2**15  # on a GPU, whose cores a small batch does not fill

Device = Literal["cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# What computes, in order of preference: the processor does what a GPU cannot. TF32 has 10 bits of a float32's 23.
PROVIDERS: dict[Device, list[Any]] = {"cpu": [CPU], "cuda": [(CUDA, {"use_tf32": 0}), CPU]}


@cache
def pool(threads: int | None = None) -> ThreadPoolExecutor:
    """The threads that score batches of beats: so many, or one for each core that this process may use.

    joblib's count respects the limits of a container: affinity and control groups.
    """
    from joblib import cpu_count  # takes a tenth of a second; a single batch does without

    return ThreadPoolExecutor(threads or cpu_count(), thread_name_prefix="ecg")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # a forked process has none of its parent's threads


class Model:
    """The ONNX file that ships: raw beats in; reconstruction, error at each sample and scores out.

    Parameters
    ----------
    content : bytes of the file
    name : of the file, for error messages
    device : cpu, or cuda for an NVIDIA GPU, which needs onnxruntime-gpu
    threads : that score batches of beats; None for one a core

    Raises
    ------
    InputError
        if the content is not an ONNX model, if it holds what a model of beats does not need (`ecg.detector.graph`), if
        its input and outputs are others than `ecg.training.export.to_onnx` describes, or if ONNX Runtime cannot compute
        on the device.
    """

    def __init__(self, content: bytes, name: str = MODEL, device: Device = "cpu", threads: int | None = None) -> None:
        self._name, self._device, self._threads = name, device, threads
        _check_device(device)
        try:
            check_graph(content)
        except InputError as error:
            raise InputError(f"{name} is refused: {error}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # batches run in parallel instead: twice as fast
        options.add_session_config_entry("session.load_model_format", "ONNX")  # the only one that was checked
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=PROVIDERS[device])
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise InputError(f"{name} is not a model that ONNX Runtime can read ({error})") from None
        self._session.disable_fallback()  # an error on the GPU is one: to go on without it would be 10 times as slow
        if device == "cuda" and CUDA not in self._session.get_providers():
            raise InputError(
                "the device is cuda, and ONNX Runtime cannot use a GPU here; it has printed why. It needs an NVIDIA "
                "GPU with its driver, CUDA and cuDNN; the device cpu works everywhere"
            )
        self._options = onnxruntime.RunOptions()
        self._options.only_execute_path_to_fetches = True  # computes the requested outputs alone
        self._check_interface()
        self._sizes = {output.name: output.shape[1:] for output in self._session.get_outputs()}
        self.sha256 = sha256(content)
        self._run(OUTPUTS, np.zeros((2, self.length), np.float32))  # what the file says of its outputs may be wrong

    def _check_interface(self) -> None:
        """Check the names, types and sizes of the input and the outputs."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if tuple(output.name for output in outputs) != OUTPUTS:
            found = ", ".join(output.name for output in outputs)
            raise InputError(f"{self._name} is another kind of model: its outputs are {found}")
        if [each.name for each in inputs] != [INPUT]:
            found = ", ".join(each.name for each in inputs) or "none"
            raise InputError(f"{self._name} is another kind of model: its inputs are {found}; expected {INPUT}")
        sizes = []
        for tensor, rank in zip([*inputs, *outputs], [2, 2, 2, 1, 2], strict=True):
            any_number, *fixed = tensor.shape or [0]
            if (
                tensor.type != "tensor(float)"
                or len(tensor.shape) != rank
                or isinstance(any_number, int)
                or not all(isinstance(size, int) and 0 < size <= LARGEST_SIZE for size in fixed)
            ):
                raise InputError(
                    f"{self._name} is another kind of model: its {tensor.name} is {tensor.type} of shape "
                    f"{tensor.shape}; expected float, any number of beats and {rank - 1} fixed size"
                )
            sizes.append(fixed)
        if sizes[1] != sizes[2]:
            raise InputError(f"{self._name}: a reconstruction has {sizes[1][0]} samples, but {sizes[2][0]} step errors")

    @classmethod
    def load(cls, folder: str | Path, device: Device = "cpu") -> Self:
        """Read the model from a folder that the pipeline filled; InputError as above, or if it is missing."""
        path = Path(folder) / MODEL
        return cls(read_bytes(path), str(path), device)

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return int(self._session.get_inputs()[0].shape[1])

    @property
    def reconstructed(self) -> int:
        """Samples in a reconstruction: as many as in a beat, where beats come without context."""
        return int(self._sizes["reconstruction"][0])

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the file: the dataset, the intended use, the parameters of training."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def members(self) -> int:
        """The number of ensemble members; the score is their mean."""
        return int(self._sizes["member_score"][0])

    def scores(self, beats: ArrayLike) -> np.ndarray:
        """The score of each raw beat: (n, L) -> float32 of shape (n,); InputError if the beats are invalid."""
        (score,) = self.run(("score",), beats)
        return score

    def member_scores(self, beats: ArrayLike) -> np.ndarray:
        """Each member's own score of each raw beat: (n, L) -> float32 of shape (n, K)."""
        (member_score,) = self.run(("member_score",), beats)
        return member_score

    def run(self, outputs: Sequence[str], beats: ArrayLike) -> list[np.ndarray]:
        """The named outputs of the ONNX file for raw beats, (n, L); InputError if the beats are invalid."""
        beats = self.checked(beats)
        if len(beats) == 0:  # of which ONNX Runtime 1.31 computes scores of shape (0, L)
            return [np.empty((0, *self._sizes[name]), np.float32) for name in outputs]
        size = BATCH_SIZE if self._device == "cpu" else CUDA_BATCH_SIZE
        starts = range(0, len(beats), size)

        def run(start: int) -> list[np.ndarray]:
            return self._run(outputs, beats[start : start + size])

        if len(starts) == 1:
            results = run(0)
        else:
            in_turn = self._device == "cuda" or self._threads == 1
            batches = list((map if in_turn else pool(self._threads).map)(run, starts))
            results = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
        if not np.isfinite(results[-1]).all():  # a finite score is the mean of finite errors
            beat = np.argwhere(~np.isfinite(results[-1]))[0][0]
            raise BeatError("is too large: its squared error is not a finite number", int(beat))
        return results

    def _run(self, outputs: Sequence[str], beats: np.ndarray) -> list[np.ndarray]:
        """The named outputs for one batch; InputError if the model cannot compute them in the shapes that it states."""
        try:
            results: list[np.ndarray] = self._session.run(outputs, {INPUT: beats}, self._options)
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise InputError(f"{self._name} cannot be computed ({error})") from None
        for name, result in zip(outputs, results, strict=True):
            if result.shape != (len(beats), *self._sizes[name]):
                raise InputError(f"{self._name}: {name} of {len(beats)} beats has the shape {result.shape}")
        return results

    def checked(self, beats: ArrayLike) -> np.ndarray:
        """Raw beats as float32 of shape (n, L); InputError if they are not such beats, BeatError if one beat is not."""
        try:
            array = np.asarray(beats)
            types = {array.dtype.type} if array.dtype != object else set(map(type, array.flat))
            if wrong := [kind.__name__ for kind in types if kind is bool or not issubclass(kind, Real)]:
                raise TypeError(f"they are of type {wrong[0]}")  # NumPy would convert text, dates and truth values
            with np.errstate(over="ignore"):  # values that are too large become infinite, and are refused below
                array = np.ascontiguousarray(array, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"beats must be numbers in rows of {self.length} ({error})") from None
        if array.ndim != 2 or array.shape[1] != self.length:
            raise InputError(f"beats have shape {array.shape}; the model takes (any number, {self.length})")
        if not np.isfinite(array).all():
            beat, sample = np.argwhere(~np.isfinite(array))[0].tolist()
            raise BeatError(f"is {array[beat, sample]}; beats must be finite", beat, sample)
        return array


def _check_device(device: str) -> None:
    """InputError if the installed ONNX Runtime has nothing that computes there."""
    if device not in PROVIDERS:
        raise InputError(f"the device is {device!r}: it should be cpu or cuda")
    if device == "cuda" and CUDA not in onnxruntime.get_available_providers():
        raise InputError(
            f"the device is cuda, and ONNX Runtime {onnxruntime.__version__} as installed here knows no GPU: install "
            "onnxruntime-gpu instead of onnxruntime, or take the device cpu"
        )
