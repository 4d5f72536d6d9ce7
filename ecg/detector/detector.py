"""The shipped artifact: beats in, verdicts out. NumPy and ONNX Runtime, no torch."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, overload

from numpy.typing import ArrayLike

from ecg.data.datasets import dataset_of_model
from ecg.detector.calibration import NO_P_VALUES, Calibration, benjamini_hochberg
from ecg.detector.explanation import Explanation, explain
from ecg.detector.model import MODEL, OUTPUTS, Model
from ecg.detector.verdicts import Details, Verdicts
from ecg.exceptions import InputError
from ecg.files import read_bytes, sha256

CALIBRATION = "calibration.json"
OTHER_MODEL = "the calibration belongs to another model, or the model is damaged; run `dvc repro`"

Table = ArrayLike | str | os.PathLike[str]  # beats: an array, a DataFrame, or the path of a file that holds some


class Detector:
    """A trained and calibrated detector of anomalous beats.

    model, calibration : what ships
    dataset : what is known of the dataset that the model was trained on

    >>> detector = Detector.load("models")
    >>> detector.score("beats.csv").anomalous
    array([False,  True])
    >>> print(detector.explain("beats.csv")[1])
    anomalous: score 0.208, p-value 0.00341
    samples 101 to 109 (P): 35% of the score
    samples 4 to 8 (QRS): 15% of the score

    Wherever it takes beats, these are an array of shape (n, L), a DataFrame or the path of a table that
    `ecg.detector.tables` reads. Of a DataFrame or a table, the last L columns are the samples; one more may stand in
    front of them.

    InputError if the calibration belongs to another model, or if the model's metadata are damaged.
    """

    def __init__(self, model: Model, calibration: Calibration) -> None:
        if model.sha256 != calibration.model_sha256 or len(calibration.held_out) not in (0, model.members):
            raise InputError(OTHER_MODEL)
        self.model = model
        self.calibration = calibration
        self.dataset = dataset_of_model(model.facts)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
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
        samples = self._samples(beats)
        compared = None if normal is None else self.model.checked(self._samples(normal))
        return explain(samples, self.score(samples, details=True), self.dataset, compared)

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
            from ecg.detector import tables  # which needs what scoring an array does not

            return tables.read(Path(beats), self.length)
        frame: Any = beats
        if hasattr(frame, "iloc") and frame.shape[-1] == self.length + 1:
            samples: ArrayLike = frame.iloc[:, 1:]
            return samples
        return beats
