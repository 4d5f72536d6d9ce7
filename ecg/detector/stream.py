"""A threshold that follows slow change in a stream of beats, such as drying electrodes or a rising heart rate.

Which beats of a stream are normal is unknown. The threshold is adapted by every beat, except by those that score above
MARGIN times the threshold: they are taken for anomalies. The share of normal beats that score as high is known from the
held-out errors, and allowed for. So a slow rise of all scores is followed, and a few per cent of anomalies do not raise
the threshold. A jump of all scores above the margin is not followed: it stays an alarm until a new stream is started.
Nor does the threshold rise above LARGEST_RISE times the one it started from: what changes further is no drift of the
signal, and goes on raising alarms.

The threshold is adapted on the logarithm of the score, where drift of the signal is about a shift.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from ecg.detector.calibration import attainable_count
from ecg.detector.detector import BeatsLike, Detector
from ecg.detector.verdicts import Verdicts
from ecg.exceptions import InputError
from ecg.files import FLOAT64_DIGITS, read_json, sha256, write_json
from ecg.schema import Strict, check

MARGIN = 1.35  # beats that score above this multiple of the threshold do not adapt it
LEARNING_RATE = 0.05  # what an alarm adds to the logarithm of the threshold
LARGEST_RISE = 3.0  # times the calibrated threshold that the threshold may become
SMALLEST = np.finfo(np.float32).tiny  # smaller scores count as this, of which the logarithm is finite
LOWEST = float(np.log(SMALLEST)) - LEARNING_RATE  # logarithm; every score is an alarm there, which raises the threshold


class State(Strict):
    """The state of a stream.

    alpha : the accepted false-alarm rate
    model_sha256 : of the ONNX file whose scores it is for
    target : alpha among the beats that adapt the threshold
    log_threshold : the logarithm of the score from which the next beat is anomalous
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    model_sha256: str
    target: Annotated[float, Field(gt=0, lt=0.5)]
    log_threshold: float

    def digest(self) -> str:
        """The SHA-256 of the content, to detect a damaged file."""
        return sha256(self.model_dump_json().encode())


class _Saved(Strict):
    state: State
    sha256: str


class Stream:
    """Score the beats of a stream in their order, with a threshold that adapts: adaptive conformal inference.

    The threshold rises with an alarm and falls without one, so that in the long run a share alpha of normal beats are
    alarms, whatever the drift.

    Parameters
    ----------
    detector : scores the beats
    state : of a stream; `Stream.start` makes the first one

    Raises
    ------
    InputError
        if the state belongs to another model, or is one that no stream of this model reaches: its digest can be made
        by anyone.

    References
    ----------
    Gibbs & Candès 2021, "Adaptive conformal inference under distribution shift". The quantile itself is tracked:
    Angelopoulos, Candès, Tibshirani 2023, "Conformal PID control for time series prediction".

    Examples
    --------
    >>> from pathlib import Path
    >>> from ecg import Detector, Stream
    >>> detector = Detector.load("models")
    >>> stream = Stream.start(detector)
    >>> stream.score("beats.csv").anomalous
    array([False,  True])
    >>> stream.save(Path("stream.json"))
    >>> Stream.load(Path("stream.json"), detector).threshold == stream.threshold
    True
    """

    def __init__(self, detector: Detector, state: State) -> None:
        if state.model_sha256 != detector.calibration.model_sha256:
            raise InputError("the stream's state belongs to another model; start a new stream")
        initial = _initial(detector, state.alpha)
        self._ceiling = initial.log_threshold + float(np.log(LARGEST_RISE))
        if not np.isclose(state.target, initial.target, rtol=1e-9, atol=0):
            raise InputError(
                f"the stream's target is {state.target:.6g}, but {initial.target:.6g} follows from its alpha and the "
                "held-out errors; start a new stream"
            )
        if not LOWEST <= state.log_threshold <= self._ceiling:
            raise InputError(
                f"the stream's log_threshold is {state.log_threshold:.6g}; no stream of this model leaves {LOWEST:.6g} "
                f"to {self._ceiling:.6g}; start a new stream"
            )
        self.detector, self.state = detector, state

    @classmethod
    def start(cls, detector: Detector, alpha: float | None = None) -> Self:
        """Start a new stream from the held-out errors that the detector was calibrated with.

        Parameters
        ----------
        detector : scores the beats
        alpha : the accepted false-alarm rate, below 0.5; by default that of the calibration

        Raises
        ------
        InputError
            if alpha is missing or out of range, or if there are too few held-out errors for it.
        """
        return cls(detector, _initial(detector, detector.calibration.alpha if alpha is None else alpha))

    @property
    def threshold(self) -> float:
        """The score from which the next beat is anomalous."""
        return float(np.exp(self.state.log_threshold))

    def score(self, beats: BeatsLike) -> Verdicts:
        """Score the next raw beats as `Detector.score` does, but each by the threshold of its moment."""
        verdicts = self.detector.score(beats)
        anomalous, _ = self.update(verdicts.score)
        return replace(verdicts, anomalous=anomalous)

    def update(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The verdicts on the scores of the next beats, and the threshold that each was compared with.

        Parameters
        ----------
        scores : float ndarray of shape (n,)

        Returns
        -------
        bool ndarray of shape (n,) and float ndarray of shape (n,)

        Raises
        ------
        InputError
            if a score is negative or not finite; the stream stays as it is.
        """
        scores = np.asarray(scores, float)
        if scores.ndim != 1 or not (np.isfinite(scores) & (scores >= 0)).all():
            raise InputError("a stream's scores should be finite numbers, none negative, in one row")
        anomalous, thresholds = np.empty(len(scores), bool), np.empty(len(scores))
        log_threshold, log_margin, target = self.state.log_threshold, np.log(MARGIN), self.state.target
        for i, log_score in enumerate(_log(scores).tolist()):
            thresholds[i] = log_threshold
            anomalous[i] = log_score >= log_threshold
            if log_score < log_threshold + log_margin:
                log_threshold = min(log_threshold + LEARNING_RATE * (bool(anomalous[i]) - target), self._ceiling)
        self.state = self.state.model_copy(update={"log_threshold": float(log_threshold)})
        return anomalous, np.exp(thresholds)

    def save(self, path: Path) -> None:
        """Write the state as JSON, whole or not at all."""
        write_json(path, _Saved(state=self.state, sha256=self.state.digest()).model_dump(), FLOAT64_DIGITS)

    @classmethod
    def load(cls, path: Path, detector: Detector) -> Self:
        """Resume a stream that `save` wrote; its verdicts are those of a stream without the interruption.

        Raises
        ------
        InputError
            if the file is missing or damaged, or if its state belongs to another model, or is one that no stream
            reaches.
        """
        remedy = "start a new stream"
        saved = check(_Saved, read_json(path, remedy), str(path))
        if saved.state.digest() != saved.sha256:
            raise InputError(f"{path} is damaged; {remedy}")
        try:
            return cls(detector, saved.state)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _initial(detector: Detector, alpha: float | None) -> State:
    """The state that a stream starts from; InputError if alpha is missing or out of range, or too small."""
    if alpha is None or not 0 < alpha < 0.5:
        raise InputError(f"alpha is {alpha}; a stream's should be above 0 and below 0.5")
    held_out = _held_out(detector)
    log_threshold = _start_of(held_out, alpha)
    excluded = 1 - float(np.mean(held_out < log_threshold + np.log(MARGIN)))
    if not excluded < alpha:
        raise InputError(
            f"alpha is {alpha}: of {len(held_out)} held-out errors, a share of {excluded:.3g} is so far above its "
            "threshold that a stream would not adapt to it; a larger alpha may do"
        )
    target = (alpha - excluded) / (1 - excluded)
    return State(
        alpha=alpha, model_sha256=detector.calibration.model_sha256, target=target, log_threshold=log_threshold
    )


def _held_out(detector: Detector) -> np.ndarray:
    """The logarithms of the held-out errors that the detector was calibrated with."""
    return _log(np.concatenate([np.empty(0), *detector.calibration.held_out]))


def _start_of(held_out: np.ndarray, alpha: float) -> float:
    """The logarithm of the threshold that a stream starts from; InputError if there are too few held-out errors."""
    count = attainable_count(len(held_out), alpha)
    if count < 1:
        raise InputError(
            f"alpha is {alpha}: a stream needs {int(np.ceil(1 / alpha)) - 1} held-out errors to start from, and the "
            f"calibration has {len(held_out)}"
        )
    return float(np.sort(held_out)[-count])


def _log(scores: np.ndarray) -> np.ndarray:
    """The logarithms of scores; that of 0 is finite."""
    return np.log(np.maximum(scores, SMALLEST))
