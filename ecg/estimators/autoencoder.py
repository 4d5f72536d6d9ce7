"""An ensemble of autoencoders as an estimator of scikit-learn."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import Calibration
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.explanation import Explanation
from ecg.detector.model import MODEL, Model
from ecg.estimators import kinds, stored
from ecg.exceptions import InputError
from ecg.files import read_bytes, sha256, write_bytes

WEIGHTS = "autoencoder.safetensors"
ERRORS = "errors.csv"
_SECTION = re.compile(r"params\.yaml: |\b(?:preprocess|train|calibrate|models\.\w+)\.(?=\w)")


class AutoencoderDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Detect anomalous beats, or other time series of one length, by autoencoders that have seen normal ones only.

    `fit` takes normal beats. They train an ensemble, each member on all folds but one, and the errors of the beats that
    a member has not seen set the threshold: the same computation as the pipeline's, and with the same parameters and
    beats the same bytes.

    Parameters
    ----------
    kind : whose defaults all parameters have that are None
        `ecg5000` : beats like those of ECG5000, one heart's, cut alike
        `generic` : time series of any kind, length and unit
    model, scaling, ..., fdr : as in params.yaml, where they stand in sections; `vae_score` is `score` of the section
        `models.vae`
    length : samples to which each beat is interpolated; None: all beats have as many samples
    random_state : seed of the folds, the initial weights, the order of beats and the augmentation; RandomState to draw
        it from, or None for another one each time
    n_jobs : threads that score; -1 for one a core

    Attributes
    ----------
    detector_ : Detector, what `save` writes
    n_features_in_ : int, samples in a beat
    offset_ : float, the value of `score_samples` below which a beat is an outlier
    decision_scores_ : float64 ndarray of shape (n_beats,), scores of the training beats by members that have not seen
        them; higher is more anomalous, as in PyOD
    threshold_, labels_ : the score above which a beat is anomalous, and for which training beats that is so (1)
    errors_ : TrainingErrors, with the fold of each training beat

    Examples
    --------
    >>> import numpy as np
    >>> from ecg import AutoencoderDetector
    >>> time = np.linspace(0, 2 * np.pi, 60)
    >>> normal = np.sin(time + np.random.default_rng(0).normal(0, 0.1, (40, 1)))
    >>> detector = AutoencoderDetector(kind="generic").fit(normal)
    >>> detector.predict([np.sin(time), np.cos(time)])
    array([ 1, -1])
    """

    detector_: Detector
    errors_: TrainingErrors

    def __init__(
        self,
        kind: str = "generic",
        *,
        model: str | None = None,
        scaling: str | None = None,
        smoothing: float | None = None,
        detrend: int | None = None,
        folds: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        device: str | None = None,
        warp: float | None = None,
        wander: float | None = None,
        hidden: int | Sequence[int] | None = None,
        latent: int | None = None,
        noise: float | None = None,
        channels: Sequence[int] | None = None,
        kernel: int | None = None,
        patch: int | None = None,
        beta: float | None = None,
        vae_score: str | None = None,
        features: int | None = None,
        variance: float | None = None,
        method: str | None = None,
        alpha: float | None = None,
        percentile: float | None = None,
        delta: float | None = None,
        tail: float | None = None,
        fdr: float | None = None,
        length: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = -1,
    ) -> None:
        self.kind = kind
        self.model = model
        self.scaling = scaling
        self.smoothing = smoothing
        self.detrend = detrend
        self.folds = folds
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.device = device
        self.warp = warp
        self.wander = wander
        self.hidden = hidden
        self.latent = latent
        self.noise = noise
        self.channels = channels
        self.kernel = kernel
        self.patch = patch
        self.beta = beta
        self.vae_score = vae_score
        self.features = features
        self.variance = variance
        self.method = method
        self.alpha = alpha
        self.percentile = percentile
        self.delta = delta
        self.tail = tail
        self.fdr = fdr
        self.length = length
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None, *, fold: np.ndarray | None = None) -> Self:  # noqa: ARG002, N803
        """Train on normal beats.

        Parameters
        ----------
        X : array or DataFrame of shape (n_beats, n_samples), normal beats alone; with `length`, also a list of beats of
            unequal length
        y : not used; it is there by the convention of scikit-learn
        fold : int ndarray of shape (n_beats,), from 0 to folds - 1: beats that resemble each other, like those of one
            patient, should be in one fold; drawn at random by default

        Raises
        ------
        ValueError
            if X is not at least 4 beats of at least 2 finite samples, if a parameter or a fold is wrong, or if
            training fails.
        """
        from ecg.training.scaling import Scaling  # torch takes seconds to import, and what is fitted does without
        from ecg.training.training import train

        samples = self._samples(X, reset=True)
        with as_value_error():
            chosen = kinds.settings(self.kind, self._given(), self._seed())
            if self.folds is None:  # the default is for more beats than there may be
                chosen = kinds.with_folds(chosen, min(chosen.train.folds, len(samples) // 2))
            if fold is not None:
                fold = kinds.checked_fold(fold, len(samples), chosen.train.folds)
            scaling = Scaling.fit(samples, chosen.preprocess)
            trained = train(samples, scaling, chosen.train, chosen.models, fold=fold)
            calibrate = chosen.calibrate if self.alpha is not None else kinds.attainable(chosen.calibrate, len(samples))
            calibration = thresholds.calibrate(trained.errors, calibrate, sha256(trained.model))
        self._weights = trained.weights
        self._set(trained.model, calibration, trained.errors)
        return self

    def score_samples(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The negative reconstruction error of each beat, float64 of shape (n_beats,): the higher, the more normal.

        Raises ValueError, as all methods that take beats, if X is not beats of `n_features_in_` finite samples.
        """
        check_is_fitted(self)
        samples = self._samples(X)
        with as_value_error():
            return -self.detector_.model.scores(samples).astype(float)

    def decision_function(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """`score_samples` minus `offset_`, float64 of shape (n_beats,): outliers are negative."""
        return self.score_samples(X) - self.offset_

    def p_values(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The conformal p-value of each beat, float64 of shape (n_beats,): about the share of normal beats as unusual.

        ValueError also if the ensemble has one member alone: then no error is held out.
        """
        check_is_fitted(self)
        samples = self._samples(X)
        with as_value_error():
            p = self.detector_.score(samples).p_value
            if p is None:
                raise InputError("p-values need two folds or more")
        return p

    def predict(self, X: ArrayLike, alpha: float | None = None) -> np.ndarray:  # noqa: N803
        """1 for normal beats and -1 for outliers, int of shape (n_beats,).

        Parameters
        ----------
        X : array or DataFrame of shape (n_beats, n_samples)
        alpha : outliers are the beats whose p-value is at most this. By default the sign of `decision_function`, which
            compares the mean score of the members; where members disagree about a beat at the threshold, its verdict
            may differ from that of its p-value
        """
        if alpha is None:
            outlier = self.decision_function(X) < 0
        else:
            check_is_fitted(self)
            samples = self._samples(X)
            with as_value_error():
                outlier = self.detector_.score(samples, alpha).anomalous
        return np.where(outlier, -1, 1)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """The scores as probabilities of being normal and of being an outlier, float64 of shape (n_beats, 2).

        PyOD's method "unify": how far a score is above the mean training score, in standard deviations, by the normal
        distribution; 0 below the mean. It orders beats as their scores do, and promises no rate; p-values do.

        References
        ----------
        Kriegel, Kröger, Schubert, Zimek 2011, "Interpreting and unifying outlier scores".
        """
        from scipy.special import erf

        z = (-self.score_samples(X) - self.decision_scores_.mean()) / (self.decision_scores_.std() * np.sqrt(2))
        outlier = erf(z).clip(0, 1)
        return np.column_stack([1 - outlier, outlier])

    def predict_confidence(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """How probable each verdict of `predict` is under other draws of the training beats: float64 (n_beats,).

        References
        ----------
        Perini, Vercruyssen, Davis 2020, "Quantifying the confidence of anomaly detectors in their example-wise
        predictions".
        """
        from scipy.stats import binom

        score = -self.score_samples(X)
        n = len(self.decision_scores_)
        below = n - np.sort(self.decision_scores_).searchsorted(score, side="right")
        posterior = (1 + n - below) / (2 + n)
        outlier = 1 - binom.cdf(n - int(self.labels_.sum()), n, posterior)
        return np.where(score > self.threshold_, outlier, 1 - outlier)

    def explain(self, X: ArrayLike, normal: ArrayLike | None = None) -> list[Explanation]:  # noqa: N803
        """Why each beat has its score: the samples that it comes from, the reconstruction, and the nearest normal beat.

        Parameters
        ----------
        X : array or DataFrame of shape (n_beats, n_samples)
        normal : normal beats to find the nearest one among
        """
        check_is_fitted(self)
        samples, of_normal = self._samples(X), None if normal is None else self._samples(normal)
        with as_value_error():
            return self.detector_.explain(samples, of_normal)

    def save(self, folder: str | Path) -> None:
        """Write what ships: `Detector.load(folder)` and `from_pretrained(folder)` read it.

        These are the model as ONNX, its calibration, its weights as safetensors and the errors of the training beats.
        """
        check_is_fitted(self)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / MODEL, self._model)
        write_bytes(folder / WEIGHTS, self._weights)
        self.errors_.save(folder / ERRORS)
        self.detector_.calibration.save(folder / CALIBRATION)

    @classmethod
    def from_pretrained(cls, folder: str | Path = "models") -> Self:
        """The detector in a folder that `save` or the pipeline filled; by default the pipeline's own.

        Raises
        ------
        ValueError
            if a file is missing or damaged, or if they do not belong together.
        """
        folder = Path(folder)
        with as_value_error():
            detector = Detector.load(folder)
            content, weights = read_bytes(folder / MODEL), read_bytes(folder / WEIGHTS)
            errors = TrainingErrors.load(folder / ERRORS)
            restored = cls(**kinds.parameters_of(detector.model.metadata, detector.calibration))
        restored.n_features_in_ = detector.length
        restored._weights = weights
        restored._set(content, detector.calibration, errors)
        return restored

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle is given: a function of this module and the bytes that it reads, safetensors and JSON."""
        record: dict[str, Any] = {"params": self.get_params()}
        arrays: dict[str, np.ndarray] = {}
        if hasattr(self, "detector_"):
            record |= {"calibration": self.detector_.calibration.model_dump(), "samples": self.n_features_in_}
            record["names"] = list(map(str, getattr(self, "feature_names_in_", [])))
            errors = asdict(self.errors_)
            arrays = {name: array for name, array in errors.items() if array is not None}
            arrays |= {"model": np.frombuffer(self._model, np.uint8), "weights": np.frombuffer(self._weights, np.uint8)}
        return _restored, (type(self), stored.packed(record, arrays))

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_params().items() if name not in _OWN}

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _samples(self, X: ArrayLike, reset: bool = False) -> np.ndarray:  # noqa: N803
        """Beats as float32 of shape (n_beats, n_samples)."""
        beats = X if self.length is None else _resampled(X, self.length)
        fewest = {"ensure_min_samples": 4, "ensure_min_features": 2} if reset else {}
        with np.errstate(over="ignore", invalid="ignore"):  # too large a value becomes infinite, and is refused
            return validate_data(self, beats, reset=reset, dtype=np.float32, order="C", **fewest)

    def _set(self, model: bytes, calibration: Calibration, errors: TrainingErrors) -> None:
        """Set the fitted attributes."""
        device: Any = self.device or "cpu"
        self._model = model
        threads = None if self.n_jobs == -1 else effective_n_jobs(self.n_jobs)  # None: those that all detectors share
        self.detector_ = Detector(Model(model, MODEL, device, threads), calibration)
        self.errors_ = errors
        self.decision_scores_ = errors.calibrating.astype(float)
        # The detector's threshold is the smallest score that is anomalous; PyOD's and scikit-learn's is still normal.
        self.threshold_ = float(np.nextafter(np.float32(calibration.threshold), np.float32(-np.inf)))
        self.offset_ = -self.threshold_
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)


_OWN = ("kind", "length", "random_state", "n_jobs")  # parameters that stand in no section of params.yaml


def _restored(cls: type[AutoencoderDetector], content: bytes) -> AutoencoderDetector:
    """The estimator that `__reduce__` stored."""
    record, arrays = stored.unpacked(content)
    estimator = cls(**record["params"])
    if arrays:
        estimator.n_features_in_ = record["samples"]
        if record["names"]:
            estimator.feature_names_in_ = np.array(record["names"], object)
        estimator._weights = arrays["weights"].tobytes()
        errors = TrainingErrors(arrays["fold"], arrays["fitted"], arrays.get("held_out"))
        estimator._set(arrays["model"].tobytes(), Calibration(**record["calibration"]), errors)
    return estimator


@contextmanager
def as_value_error() -> Iterator[None]:
    """Raise an InputError as the ValueError that scikit-learn's tools expect, without the sections of params.yaml."""
    try:
        yield
    except InputError as error:
        raise ValueError(_SECTION.sub("", str(error))) from None


def _resampled(beats: Any, length: int) -> np.ndarray:
    """Interpolate each beat linearly to `length` samples, from its first to its last: (n_beats, length)."""
    rows = [np.asarray(beat, float) for beat in (np.asarray(beats) if hasattr(beats, "iloc") else beats)]
    if wrong := [index for index, row in enumerate(rows) if row.ndim != 1 or len(row) < 2]:
        raise ValueError(f"beat {wrong[0]} has shape {rows[wrong[0]].shape}; it should be a row of 2 samples or more")
    return np.array([np.interp(np.linspace(0, len(row) - 1, length), np.arange(len(row)), row) for row in rows])
