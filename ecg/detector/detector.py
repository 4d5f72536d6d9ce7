"""The detector that ships: beats in, verdicts out, on NumPy and ONNX Runtime alone."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, overload

from numpy.typing import ArrayLike

from ecg.data.datasets import dataset_of_model
from ecg.detector.calibration import NO_P_VALUES, Calibration, benjamini_hochberg
from ecg.detector.explanation import Explanation, explain
from ecg.detector.model import MODEL, OUTPUTS, Device, Model
from ecg.detector.verdicts import Details, Verdicts
from ecg.exceptions import InputError
from ecg.files import read_bytes, sha256

CALIBRATION = "calibration.json"
OTHER_MODEL = "the calibration belongs to another model, or the model is damaged; run `dvc repro`"

BeatsLike = ArrayLike | str | os.PathLike[str]  # an array, a DataFrame, or the path of a table of beats


class Detector:
    """A trained and calibrated detector of anomalous beats.

    All methods take beats as an array of shape (n, L), as a DataFrame, or as the path of a CSV, TSV, NPY or Parquet
    file. In a DataFrame or file, the last L columns are the samples; one column may come before them.

    Parameters
    ----------
    model : the ensemble of autoencoders
    calibration : how its scores become p-values and verdicts

    Attributes
    ----------
    dataset : Dataset, what is known of the dataset that the model was trained on

    Raises
    ------
    InputError
        if the calibration belongs to another model, if reconstructions are not as long as beats, or if the model's
        metadata is damaged.

    Examples
    --------
    >>> from ecg import Detector
    >>> detector = Detector.load("models")
    >>> verdicts = detector.score("beats.csv")
    >>> verdicts.anomalous
    array([False,  True])
    >>> print(detector.explain("beats.csv")[1])
    anomalous: score ..., p-value 0.00341
    samples ...% of the score
    """

    def __init__(self, model: Model, calibration: Calibration) -> None:
        if model.sha256 != calibration.model_sha256 or len(calibration.held_out) not in (0, model.members):
            raise InputError(OTHER_MODEL)
        if model.reconstructed != model.length:
            raise InputError(f"the model reconstructs {model.reconstructed} samples of beats of {model.length}")
        self.model = model
        self.calibration = calibration
        self.dataset = dataset_of_model(model.metadata)

    @classmethod
    def load(cls, folder: str | Path, device: Device = "cpu") -> Self:
        """Load the model and its calibration from a folder that the pipeline filled.

        The hash of the model is compared before the file is parsed.

        Parameters
        ----------
        device : cpu, or cuda for an NVIDIA GPU, which needs onnxruntime-gpu

        Raises
        ------
        InputError
            if a file is missing or damaged, if the calibration belongs to another model, or if ONNX Runtime cannot
            compute on the device.
        """
        model_path, calibration_path = Path(folder) / MODEL, Path(folder) / CALIBRATION
        content, calibration = read_bytes(model_path), Calibration.load(calibration_path)
        if sha256(content) != calibration.model_sha256:
            raise InputError(f"{calibration_path}: {OTHER_MODEL}")
        return cls(Model(content, str(model_path), device), calibration)

    @property
    def length(self) -> int:
        """Samples in a beat."""
        return self.model.length

    @overload
    def score(self, beats: BeatsLike, alpha: float | None = None, *, details: Literal[False] = False) -> Verdicts: ...
    @overload
    def score(self, beats: BeatsLike, alpha: float | None = None, *, details: Literal[True]) -> Details: ...
    def score(self, beats: BeatsLike, alpha: float | None = None, *, details: bool = False) -> Verdicts:
        """Score raw beats, each by itself.

        Parameters
        ----------
        beats : array, DataFrame or path of n beats
        alpha : the accepted false-alarm rate; by default that of the calibration
        details : whether to return the error at each sample and the reconstructions, too; 8 bytes a sample

        Returns
        -------
        Verdicts; with `details`, Details

        Raises
        ------
        InputError
            if `beats` is not a table of beats of L samples, or if no verdict at this alpha is possible; BeatError if
            one of the beats is invalid.
        """
        names = OUTPUTS if details else ("score", "member_score")
        outputs = dict(zip(names, self.model.run(names, self._samples(beats)), strict=True))
        p_value = self.calibration.p(outputs["score"], outputs["member_score"])
        anomalous = self.calibration.anomalous(outputs["score"], p_value, alpha)
        return (Details if details else Verdicts)(p_value=p_value, anomalous=anomalous, **outputs)

    def explain(self, beats: BeatsLike, normal: BeatsLike | None = None) -> list[Explanation]:
        """Score raw beats and explain each score.

        Parameters
        ----------
        beats : array, DataFrame or path of n beats
        normal : array, DataFrame or path of normal beats, for example those of training, to find the nearest one among

        Raises
        ------
        InputError
            if `beats` or `normal` is not a table of beats of L samples.
        """
        samples = self._samples(beats)
        normal_samples = None if normal is None else self.model.checked(self._samples(normal))
        return explain(samples, self.score(samples, details=True), self.dataset, normal_samples)

    def screen(self, beats: BeatsLike, fdr: float | None = None) -> Verdicts:
        """Score a set of beats, for example a recording, and control the false-discovery rate among its alarms.

        The procedure is Benjamini and Hochberg's. The expected share of normal beats among the alarms is at most
        `fdr`, if normal beats of the set are exchangeable with those of training.

        Parameters
        ----------
        beats : array, DataFrame or path of n beats, the whole set
        fdr : the accepted false-discovery rate; by default that of the calibration (params.yaml, calibrate.fdr)

        Raises
        ------
        InputError
            if `beats` is not a table of beats of L samples, if `fdr` is not between 0 and 1, or if the model was
            calibrated without held-out beats.
        """
        level = self.calibration.fdr if fdr is None else fdr
        if not 0 < level < 1:
            raise InputError(f"fdr is {level}; it should be between 0 and 1")
        verdicts = self.score(beats)
        if verdicts.p_value is None:
            raise InputError(f"screening needs p-values, and {NO_P_VALUES}")
        return replace(verdicts, anomalous=benjamini_hochberg(verdicts.p_value, level))

    def _samples(self, beats: BeatsLike) -> ArrayLike:
        """The samples of an array, a DataFrame or a file; their values are not checked yet."""
        if isinstance(beats, str | os.PathLike):
            from ecg.detector import tables

            return tables.read(Path(beats), self.length)
        frame: Any = beats
        if hasattr(frame, "iloc") and frame.shape[-1] == self.length + 1:
            samples: ArrayLike = frame.iloc[:, 1:]
            return samples
        return beats
