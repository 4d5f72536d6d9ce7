"""A threshold that follows slow change in a stream of beats: electrodes dry, people turn over, hearts speed up.

Whoever scores a stream does not know which beats are normal. Both thresholds here learn from every beat except those
that lie beyond the threshold by more than a margin, which are taken for anomalies and not learned from; how many normal
beats lie there is known from the held-out errors, and allowed for. So a slow rise of all scores is followed, and a few
per cent of anomalies do not raise the threshold. A jump of all scores beyond the margin is not followed: it stays an
alarm until a new stream is started.

Both work on the logarithm of the score, in which drift of the signal is about a shift. Memory does not grow.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ecg.detector.calibration import attainable_count
from ecg.detector.detector import Detector
from ecg.detector.verdicts import Verdicts
from ecg.exceptions import InputError
from ecg.files import FLOAT64_DIGITS, read_json, sha256, write_json
from ecg.schema import Strict, check

Kind = Literal["conformal", "dspot"]

MARGIN = 1.35  # times the threshold: from there on, beats are taken for anomalies
RATE = 0.05  # conformal: what an alarm adds to the logarithm of the threshold
DEPTH = 100  # dspot: beats that the local mean is of
WINDOW = 300  # dspot: beats that the tail is of
LEVEL = 0.2  # dspot: the share of them that are peaks
FEWEST = 20  # dspot: beats to start from


class State(Strict):
    """All that a stream remembers.

    kind, alpha : of the threshold
    model_sha256 : of the ONNX file whose scores it is for
    target : alpha among the beats that are learned from
    log_threshold : the logarithm of the score from which the next beat is anomalous
    recent : dspot: the logarithms of the last scores that were learned from, for the local mean
    residuals : dspot: how far each of the last ones was from the local mean of its time
    """

    kind: Kind
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    model_sha256: str
    target: Annotated[float, Field(gt=0, lt=0.5)]
    log_threshold: float
    recent: Annotated[list[float], Field(max_length=DEPTH)]
    residuals: Annotated[list[float], Field(max_length=WINDOW)]

    @model_validator(mode="after")
    def _can_go_on(self) -> Self:
        if self.kind == "dspot" and (not self.recent or len(self.residuals) < FEWEST):
            raise ValueError(f"recent should not be empty, and residuals should be {FEWEST} at least")
        return self

    def digest(self) -> str:
        """The SHA-256 of the content, by which a damaged file is told."""
        return sha256(self.model_dump_json().encode())


class _Saved(Strict):
    state: State
    sha256: str


class Stream:
    """Scores the beats of one stream in their order, one or a block at a time, by a threshold that adapts.

    >>> stream = Stream.start(Detector.load("models"), "conformal")
    >>> stream.score(beats).anomalous
    array([False,  True])
    >>> stream.save(Path("stream.json"))
    >>> stream = Stream.load(Path("stream.json"), Detector.load("models"))

    conformal : the threshold rises with an alarm and falls without one, so that in the long run a share alpha of normal
        beats are alarms, whatever the drift. (Gibbs & Candès 2021, "Adaptive conformal inference under distribution
        shift"; that the quantile itself is tracked, Angelopoulos, Candès, Tibshirani 2023, "Conformal PID control for
        time series prediction".)
    dspot : the local mean, and above it the quantile of a generalised Pareto tail of what deviates from it. (Siffer,
        Fouque, Termier, Largouet 2017, "Anomaly detection in streams with extreme value theory"; the tail by
        probability-weighted moments: Hosking & Wallis 1987.)
    """

    def __init__(self, detector: Detector, state: State) -> None:
        if state.model_sha256 != detector.calibration.model_sha256:
            raise InputError("the stream's state belongs to another model; start a new stream")
        self.detector, self.state = detector, state

    @classmethod
    def start(cls, detector: Detector, kind: Kind = "conformal", alpha: float | None = None) -> Self:
        """A new stream, from the held-out errors that the detector was calibrated with.

        Parameters
        ----------
        alpha : the accepted false-alarm rate, below 0.5; as calibrated if not given

        Raises
        ------
        InputError
            if alpha is missing or out of range, or if there are no held-out errors or too few for it.
        """
        calibration = detector.calibration
        alpha = calibration.alpha if alpha is None else alpha
        if alpha is None or not 0 < alpha < 0.5:
            raise InputError(f"alpha is {alpha}; a stream's should be above 0 and below 0.5")
        if kind not in _LEARN:
            raise InputError(f"kind is {kind!r}; it should be one of {', '.join(_LEARN)}")
        held_out = np.log(_positive(np.concatenate([np.empty(0), *calibration.held_out])))
        count = attainable_count(len(held_out), alpha)
        if count < 1:
            raise InputError(
                f"alpha is {alpha}: a stream needs {int(np.ceil(1 / alpha)) - 1} held-out errors to start from, and "
                f"the calibration has {len(held_out)}"
            )
        threshold = np.sort(held_out)[-count]
        normal = held_out[held_out < threshold + np.log(MARGIN)]
        beyond = 1 - len(normal) / len(held_out)
        if not beyond < alpha:
            raise InputError(
                f"alpha is {alpha}: of {len(held_out)} held-out errors, a share of {beyond:.3g} lies so far beyond its "
                "threshold that a stream would not learn from it; a larger alpha may do"
            )
        if kind == "dspot" and len(normal) < FEWEST:
            raise InputError(
                f"a stream of kind 'dspot' needs {FEWEST} held-out errors to start from, not {len(normal)}"
            )
        normal = np.random.default_rng(0).permutation(normal)  # they come sorted, and the first are forgotten first
        state = State(
            kind=kind,
            alpha=alpha,
            model_sha256=calibration.model_sha256,
            target=(alpha - beyond) / (1 - beyond),
            log_threshold=float(threshold),
            recent=normal[-DEPTH:].tolist() if kind == "dspot" else [],
            residuals=(normal - normal.mean())[-WINDOW:].tolist() if kind == "dspot" else [],
        )
        return cls(detector, state)

    @property
    def threshold(self) -> float:
        """The score from which the next beat is anomalous."""
        return float(np.exp(self.state.log_threshold))

    def score(self, beats: np.ndarray) -> Verdicts:
        """Score the next raw beats, (n, L), as `Detector.score` does, each by the threshold that stands at its turn."""
        verdicts = self.detector.score(beats)
        anomalous, _ = self.update(verdicts.score)
        return replace(verdicts, anomalous=anomalous)

    def update(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The verdicts on the next beats' scores, (n,), and the thresholds that they met: bool (n,) and float (n,).

        InputError, and no change, if a score is negative or not finite.
        """
        scores = np.asarray(scores, float)
        if scores.ndim != 1 or not (np.isfinite(scores) & (scores >= 0)).all():
            raise InputError("a stream's scores should be finite numbers, none negative, in one row")
        learn, anomalous, thresholds = _LEARN[self.state.kind], np.empty(len(scores), bool), np.empty(len(scores))
        state = self.state.model_dump()
        for i, log_score in enumerate(np.log(_positive(scores)).tolist()):
            thresholds[i] = state["log_threshold"]
            anomalous[i] = log_score >= thresholds[i]
            if log_score < thresholds[i] + np.log(MARGIN):
                learn(state, log_score)
        self.state = State(**state)
        return anomalous, np.exp(thresholds)

    def save(self, path: Path) -> None:
        """Write the state as JSON, whole or not at all."""
        write_json(path, _Saved(state=self.state, sha256=self.state.digest()).model_dump(), FLOAT64_DIGITS)

    @classmethod
    def load(cls, path: Path, detector: Detector) -> Self:
        """Go on where `save` stopped: the same verdicts as without the interruption.

        Raises
        ------
        InputError
            if the file is missing or damaged, or if its state belongs to another model.
        """
        remedy = "start a new stream"
        saved = check(_Saved, read_json(path, remedy), str(path))
        if saved.state.digest() != saved.sha256:
            raise InputError(f"{path} is damaged; {remedy}")
        try:
            return cls(detector, saved.state)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _positive(scores: np.ndarray) -> np.ndarray:
    return np.maximum(scores, np.finfo(np.float32).tiny)


def _learn_conformal(state: dict[str, Any], log_score: float) -> None:
    alarm = log_score >= state["log_threshold"]
    state["log_threshold"] += RATE * (alarm - state["target"])


def _learn_dspot(state: dict[str, Any], log_score: float) -> None:
    mean = sum(state["recent"]) / len(state["recent"])
    state["recent"] = [*state["recent"], log_score][-DEPTH:]
    state["residuals"] = [*state["residuals"], log_score - mean][-WINDOW:]
    mean = sum(state["recent"]) / len(state["recent"])
    state["log_threshold"] = mean + _tail_quantile(np.sort(state["residuals"]), state["target"])


def _tail_quantile(ordered: np.ndarray, alpha: float) -> float:
    """What a share alpha of the values exceed, by a generalised Pareto tail of the largest of them."""
    share = max(LEVEL, 2 * alpha)
    peaks = min(int(share * len(ordered)), len(ordered) - 1)
    level = ordered[-peaks - 1]
    excess = ordered[-peaks:] - level
    mean, weighted = excess.mean(), float(excess @ np.arange(peaks - 1, -1, -1)) / (peaks * (peaks - 1))
    if mean <= 2 * weighted:  # all but equal
        return float(level + mean)
    shape = 2 - mean / (mean - 2 * weighted)
    scale = 2 * mean * weighted / (mean - 2 * weighted)
    ratio = share / alpha
    return float(level + scale * (np.log(ratio) if abs(shape) < 1e-6 else (ratio**shape - 1) / shape))


_LEARN: dict[Kind, Callable[[dict[str, Any], float], None]] = {"conformal": _learn_conformal, "dspot": _learn_dspot}
KINDS: tuple[Kind, ...] = tuple(_LEARN)
