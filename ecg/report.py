"""What the evaluation says of a detector: the summary, the curves and the beats worth looking at."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from ecg import metrics, reliability
from ecg.beats import Beats
from ecg.calibration import benjamini_hochberg
from ecg.datasets import Dataset
from ecg.detector import Details, Detector
from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.explanation import contributions, deletion
from ecg.figures import Example, Kind
from ecg.files import Table
from ecg.metrics import Counts
from ecg.params import Calibrate
from ecg.stream import Stream

QUANTILES = (0.25, 0.5, 0.75)  # of a class's scores: the beats there stand for it
DELETION = ("score_left_without_named_steps", "score_left_without_random_steps")


@dataclass(frozen=True)
class Evaluation:
    """Beats with what a detector says of them, and with their classes where these are known.

    hours : how long the beats last together, in their order; None if that is not known
    adaptive : bool ndarray of shape (n_beats,), which are called anomalous by a threshold that follows slow change
        (`ecg.stream`); None if they are in no order, or without an alpha

    screened : bool ndarray of shape (n_beats,), which are called anomalous when all are screened as one set; None if
        the model was calibrated without held-out beats
    deletion : what is left of the scores of alarms without the steps that explain them, and without random ones
        (`ecg.explanation.deletion`); None if there are no alarms on anomalous beats
    """

    beats: Beats
    verdicts: Details
    threshold: float
    normal_class: int
    dataset: Dataset
    hours: float | None = None
    adaptive: np.ndarray | None = None
    screened: np.ndarray | None = None
    deletion: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, detector: Detector, beats: Beats, normal_class: int, dataset: Dataset, hours: float | None = None
    ) -> "Evaluation":
        """Score the beats, each by itself and all as one set, and check what explains the alarms."""
        verdicts, calibration = detector.score(beats.samples, details=True), detector.calibration
        p = verdicts.p_value
        caught = verdicts.anomalous & (beats.classes != normal_class) & dataset.labelled(beats.classes)
        return cls(
            beats,
            verdicts,
            calibration.threshold,
            normal_class,
            dataset,
            hours,
            adaptive=None if hours is None else _followed(detector, verdicts.score),
            screened=None if p is None else benjamini_hochberg(p, calibration.fdr),
            deletion=deletion(detector.model.scores, beats.samples[caught], verdicts.where(caught))
            if caught.any()
            else None,
        )

    @cached_property
    def anomalous(self) -> np.ndarray:
        """Which beats are of another known class than the normal one: bool, shape (n_beats,)."""
        return (self.beats.classes != self.normal_class) & self.dataset.labelled(self.beats.classes)

    @cached_property
    def normal(self) -> np.ndarray:
        """Which beats are of the normal class: bool, shape (n_beats,)."""
        return np.asarray(self.beats.classes == self.normal_class)

    @cached_property
    def known(self) -> np.ndarray:
        """Which beats are known to be normal or not: bool, shape (n_beats,)."""
        return self.normal | self.anomalous

    @property
    def comparable(self) -> bool:
        """Whether some beats are known to be normal and some not to be: without both, no metric has a meaning."""
        return bool(self.normal.any() and self.anomalous.any())

    @cached_property
    def anomalous_classes(self) -> list[int]:
        """The classes other than the normal one, in their order."""
        return np.unique(self.beats.classes[self.anomalous]).tolist()

    @cached_property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the normal and of the anomalous beats."""
        return self.verdicts.score[self.normal], self.verdicts.score[self.anomalous]

    @cached_property
    def counts(self) -> Counts:
        """The confusion matrix, of the beats whose class is known."""
        return Counts.of(self.verdicts.anomalous[self.known], self.anomalous[self.known])

    def summary(self) -> dict[str, float]:
        """The figures of metrics/evaluate.json: metrics where classes are known, and of a recording its alarms."""
        return {**(self._metrics() if self.comparable else {"threshold": self.threshold}), **self._alarms()}

    def _alarms(self) -> dict[str, float]:
        """How many alarms there are, of all beats; nothing where metrics say it, and nobody knows the time."""
        if self.comparable and self.hours is None:
            return {}
        told: dict[str, float] = {"beats": len(self.beats)}
        for prefix, alarms in (("", self.verdicts.anomalous), ("adaptive_", self.adaptive)):
            if alarms is None:
                continue
            told |= {f"{prefix}alarms": int(alarms.sum()), f"{prefix}alarm_rate": float(alarms.mean())}
            if self.hours:
                told[f"{prefix}alarms_per_hour"] = float(alarms.sum() / self.hours)
            if prefix and self.comparable:
                told[f"{prefix}false_positive_rate"] = float(alarms[self.normal].mean())
                told[f"{prefix}recall"] = float(alarms[self.anomalous].mean())
        return told

    def _metrics(self) -> dict[str, float]:
        alarms, classes, counts = self.verdicts.anomalous, self.beats.classes, self.counts
        auc, low, high = metrics.auc_with_interval(*self.scores)
        recalls = {
            f"recall_{self.dataset.class_key(label)}": float(alarms[classes == label].mean())
            for label in self.anomalous_classes
        }
        return {
            "auc": auc,
            "auc_ci95_low": low,
            "auc_ci95_high": high,
            "average_precision": metrics.average_precision(*self.scores),
            "f1": counts.f1,
            "precision": counts.precision,
            "recall": counts.recall,
            "false_positive_rate": counts.false_positive_rate,
            "accuracy": counts.accuracy,
            "threshold": self.threshold,
            **asdict(counts),
            **recalls,
            **self._screening(),
            **({} if self.deletion is None else dict(zip(DELETION, self.deletion, strict=True))),
        }

    def _screening(self) -> dict[str, float]:
        """What screening all beats as one set finds: the share of false ones among its alarms, and the recall."""
        if self.screened is None:
            return {}
        counts = Counts.of(self.screened[self.known], self.anomalous[self.known])
        return {
            "screened_false_discoveries": counts.false_discovery_proportion,
            "screened_recall": counts.recall,
        }

    def intervals(self, resamples: int) -> dict[str, dict[str, float]]:
        """The ends of the 95% intervals in metrics/intervals.json, by the names that the summary has.

        AUC: DeLong. Rates: Wilson. Average precision and F1: percentiles of a stratified bootstrap, seeded. None where
        beats of one kind or of none are known.
        """
        if not self.comparable:
            return {}
        score, alarms, anomalous = (
            x[self.known] for x in (self.verdicts.score, self.verdicts.anomalous, self.anomalous)
        )
        counts = metrics.stratified_resamples(anomalous, resamples)
        precisions = metrics.resampled_average_precision(score, anomalous, counts)
        found: dict[str, metrics.Interval] = {
            "auc": metrics.auc_with_interval(*self.scores)[1:],
            "average_precision": metrics.percentile_interval(precisions),
            "f1": metrics.percentile_interval(metrics.resampled_f1(alarms, anomalous, counts)),
            **self.counts.intervals(),
        }
        for label in self.anomalous_classes:
            of_class = self.verdicts.anomalous[self.beats.classes == label]
            key = f"recall_{self.dataset.class_key(label)}"
            found[key] = metrics.wilson_interval(int(of_class.sum()), len(of_class))
        return {name: {"ci95_low": low, "ci95_high": high} for name, (low, high) in found.items()}

    def roc(self) -> Table:
        """The corners of the ROC curve; none without both kinds of beats."""
        points = zip(*metrics.roc_curve(*self.scores), strict=True) if self.comparable else ()
        return ["false_positive_rate", "true_positive_rate"], points

    def precision_recall(self) -> Table:
        """The precision-recall curve; empty without both kinds of beats."""
        points = zip(*metrics.precision_recall_curve(*self.scores), strict=True) if self.comparable else ()
        return ["precision", "recall"], points

    def methods(self, errors: Errors, settings: Calibrate, development: np.ndarray) -> Table:
        """What each method of calibration gives (`ecg.reliability.methods`); empty without both kinds of beats."""
        of = self.known if self.known.any() else np.ones(len(self.beats), bool)
        verdicts, anomalous = self.verdicts.where(of), self.anomalous[of]
        header, rows = reliability.methods(errors, settings, development, verdicts, anomalous)
        return header, rows if self.comparable else ()

    def reliability(self, errors: Errors, settings: Calibrate, alphas: np.ndarray) -> Table:
        """Promised and observed false-alarm rates (`ecg.reliability.curves`); empty without normal beats."""
        of = self.normal if self.normal.any() else np.ones(len(self.beats), bool)
        header, rows = reliability.curves(errors, settings, self.verdicts.where(of), alphas)
        return header, rows if self.normal.any() else ()

    def confusion(self) -> Table:
        """What each beat of known class is and what it was called."""
        words = np.array(["normal", "anomalous"])
        actual, predicted = (words[kind[self.known].astype(int)] for kind in (self.anomalous, self.verdicts.anomalous))
        return ["actual", "predicted"], zip(actual, predicted, strict=True)

    def histogram(self, bins: int) -> Table:
        """How many beats of each class fall into each of `bins` ranges of the score, equal in its logarithm.

        Empty ranges are left out; the threshold stands in every row, where the plot finds it.
        """
        score = np.maximum(self.verdicts.score, np.finfo(np.float32).tiny)
        low, high = np.floor(np.log10(score.min())), np.ceil(np.log10(score.max()))  # whole decades
        edges = np.logspace(low, max(high, low + 1), bins + 1)
        rows = []
        for label in np.unique(self.beats.classes).tolist():
            counts, _ = np.histogram(score[self.beats.classes == label], edges)
            name = self.dataset.class_name(label)
            rows += [(name, edges[i], edges[i + 1], int(counts[i]), self.threshold) for i in np.flatnonzero(counts)]
        return ["class", "score_from", "score_to", "beats", "threshold"], rows

    def misses(self) -> np.ndarray:
        """The anomalous beats without an alarm, by their places, the lowest score first: shape (n_misses,)."""
        found = np.flatnonzero(self.anomalous & ~self.verdicts.anomalous)
        return found[np.argsort(self.verdicts.score[found], kind="stable")]

    def false_alarms(self) -> np.ndarray:
        """The normal beats with an alarm, by their places, the highest score first: shape (n_false_alarms,)."""
        return self._highest(self.normal & self.verdicts.anomalous)

    def unknown_alarms(self) -> np.ndarray:
        """The beats of unknown class with an alarm, by their places, the highest score first: shape (n,)."""
        return self._highest(~self.known & self.verdicts.anomalous)

    def _highest(self, chosen: np.ndarray) -> np.ndarray:
        found = np.flatnonzero(chosen)
        return found[np.argsort(-self.verdicts.score[found], kind="stable")]

    def typical(self, chosen: np.ndarray, quantile: float = 0.5) -> int:
        """The place of the beat whose score is the median, or another quantile, of those that a bool array chooses."""
        places = np.flatnonzero(chosen)
        ordered = places[np.argsort(self.verdicts.score[places], kind="stable")]
        return int(ordered[int(quantile * len(ordered))])

    def typical_alarm(self) -> int:
        """The place of the typical anomalous beat that raises an alarm, or of the typical one if none does.

        Where no beat is known to be anomalous, of all beats.
        """
        of = self.anomalous if self.anomalous.any() else np.ones(len(self.beats), bool)
        alarms = of & self.verdicts.anomalous
        return self.typical(alarms if alarms.any() else of)

    def examples(self) -> list[Example]:
        """The typical beat of each class, the normal one first, then the worst miss and the worst false alarm.

        Typical is the beat whose score is the median of its class. Titles end in the score and the verdict.
        """
        alarms, classes = self.verdicts.anomalous, self.beats.classes
        chosen = [
            (self.dataset.class_name(label), self.typical(classes == label))
            for label in [*([self.normal_class] if self.normal.any() else []), *self.anomalous_classes]
        ]
        chosen += [("typical beat of unknown class", self.typical(~self.known))] if not self.known.all() else []
        chosen += [(f"worst miss ({self.dataset.class_name(int(classes[i]))})", i) for i in self.misses()[:1]]
        chosen += [("worst false alarm", i) for i in self.false_alarms()[:1]]
        chosen += [("largest alarm of unknown class", i) for i in self.unknown_alarms()[:1]]
        return [self.example(f"{title}, called {'anomalous' if alarms[i] else 'normal'}", i) for title, i in chosen]

    def kinds(self) -> list[Kind]:
        """Each anomalous class: what the steps contribute to its scores, and beats from low to high score."""
        found = []
        for label in self.anomalous_classes:
            of_class, name = self.beats.classes == label, self.dataset.class_name(label)
            examples = [self.example(name, self.typical(of_class, quantile)) for quantile in QUANTILES]
            found.append(Kind(name, contributions(self.verdicts.step_error[of_class]), examples))
        return found

    def worst(self, number: int) -> list[Example]:
        """As many misses, false alarms and alarms of unknown class, the worst of each first."""
        names = [self.dataset.class_name(label) for label in self.beats.classes.tolist()]
        found = [(f"miss, {names[i]}", i) for i in self.misses()[:number]]
        found += [("false alarm", i) for i in self.false_alarms()[:number]]
        found += [("alarm", i) for i in self.unknown_alarms()[:number]]
        return [self.example(title, i) for title, i in found]

    def example(self, title: str, i: int) -> Example:
        """Beat `i` to draw; its score is added to the title."""
        return Example(
            f"{title} (score {self.verdicts.score[i]:.3f})",
            self.beats.samples[i],
            self.verdicts.reconstruction[i],
            self.verdicts.step_error[i],
        )


def _followed(detector: Detector, score: np.ndarray) -> np.ndarray | None:
    """The verdicts of a stream's threshold on beats in their order; None if the calibration allows no stream."""
    try:
        return Stream.start(detector).update(score)[0]
    except InputError:
        return None
