"""What the evaluation says of a detector: the summary, the curves and the beats worth looking at."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from ecg import metrics
from ecg.beats import Beats
from ecg.calibration import benjamini_hochberg
from ecg.datasets import Dataset
from ecg.detector import Details, Detector
from ecg.explanation import contributions, deletion
from ecg.figures import Example, Kind
from ecg.files import Table
from ecg.metrics import Counts

QUANTILES = (0.25, 0.5, 0.75)  # of a class's scores: the beats there stand for it
DELETION = ("score_left_without_named_steps", "score_left_without_random_steps")


@dataclass(frozen=True)
class Evaluation:
    """Beats of known class, of which at least one is normal and one is not, with what a detector says of them.

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
    screened: np.ndarray | None = None
    deletion: tuple[float, float] | None = None

    @classmethod
    def of(cls, detector: Detector, beats: Beats, normal_class: int, dataset: Dataset) -> "Evaluation":
        """Score the beats, each by itself and all as one set, and check what explains the alarms."""
        verdicts, calibration = detector.score(beats.samples, details=True), detector.calibration
        p = verdicts.p_value
        caught = verdicts.anomalous & (beats.classes != normal_class)
        return cls(
            beats,
            verdicts,
            calibration.threshold,
            normal_class,
            dataset,
            screened=None if p is None else benjamini_hochberg(p, calibration.fdr),
            deletion=deletion(detector.model.scores, beats.samples[caught], verdicts.where(caught))
            if caught.any()
            else None,
        )

    @cached_property
    def anomalous(self) -> np.ndarray:
        """Which beats are of another class than the normal one: bool, shape (n_beats,)."""
        return self.beats.classes != self.normal_class

    @cached_property
    def anomalous_classes(self) -> list[int]:
        """The classes other than the normal one, in their order."""
        return np.unique(self.beats.classes[self.anomalous]).tolist()

    @cached_property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the normal and of the anomalous beats."""
        return self.verdicts.score[~self.anomalous], self.verdicts.score[self.anomalous]

    def summary(self) -> dict[str, float]:
        """The figures of metrics/evaluate.json."""
        alarms, classes = self.verdicts.anomalous, self.beats.classes
        counts = Counts.of(alarms, self.anomalous)
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
        counts = Counts.of(self.screened, self.anomalous)
        return {
            "screened_false_discoveries": counts.false_discovery_proportion,
            "screened_recall": counts.recall,
        }

    def intervals(self, resamples: int) -> dict[str, dict[str, float]]:
        """The ends of the 95% intervals in metrics/intervals.json, by the names that the summary has.

        AUC: DeLong. Rates: Wilson. Average precision and F1: percentiles of a stratified bootstrap, seeded.
        """
        alarms, classes = self.verdicts.anomalous, self.beats.classes
        counts = metrics.stratified_resamples(self.anomalous, resamples)
        precisions = metrics.resampled_average_precision(self.verdicts.score, self.anomalous, counts)
        found: dict[str, metrics.Interval] = {
            "auc": metrics.auc_with_interval(*self.scores)[1:],
            "average_precision": metrics.percentile_interval(precisions),
            "f1": metrics.percentile_interval(metrics.resampled_f1(alarms, self.anomalous, counts)),
            **Counts.of(alarms, self.anomalous).intervals(),
        }
        for label in self.anomalous_classes:
            of_class = alarms[classes == label]
            key = f"recall_{self.dataset.class_key(label)}"
            found[key] = metrics.wilson_interval(int(of_class.sum()), len(of_class))
        return {name: {"ci95_low": low, "ci95_high": high} for name, (low, high) in found.items()}

    def roc(self) -> Table:
        """The corners of the ROC curve."""
        return ["false_positive_rate", "true_positive_rate"], zip(*metrics.roc_curve(*self.scores), strict=True)

    def precision_recall(self) -> Table:
        """The precision-recall curve."""
        return ["precision", "recall"], zip(*metrics.precision_recall_curve(*self.scores), strict=True)

    def confusion(self) -> Table:
        """What each beat is and what it was called."""
        words = np.array(["normal", "anomalous"])
        actual, predicted = words[self.anomalous.astype(int)], words[self.verdicts.anomalous.astype(int)]
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
        found = np.flatnonzero(~self.anomalous & self.verdicts.anomalous)
        return found[np.argsort(-self.verdicts.score[found], kind="stable")]

    def typical(self, chosen: np.ndarray, quantile: float = 0.5) -> int:
        """The place of the beat whose score is the median, or another quantile, of those that a bool array chooses."""
        places = np.flatnonzero(chosen)
        ordered = places[np.argsort(self.verdicts.score[places], kind="stable")]
        return int(ordered[int(quantile * len(ordered))])

    def typical_alarm(self) -> int:
        """The place of the typical anomalous beat that raises an alarm, or of the typical one if none does."""
        alarms = self.anomalous & self.verdicts.anomalous
        return self.typical(alarms if alarms.any() else self.anomalous)

    def examples(self) -> list[Example]:
        """The typical beat of each class, the normal one first, then the worst miss and the worst false alarm.

        Typical is the beat whose score is the median of its class. Titles end in the score and the verdict.
        """
        alarms, classes = self.verdicts.anomalous, self.beats.classes
        chosen = [
            (self.dataset.class_name(label), self.typical(classes == label))
            for label in [self.normal_class, *self.anomalous_classes]
        ]
        chosen += [(f"worst miss ({self.dataset.class_name(int(classes[i]))})", i) for i in self.misses()[:1]]
        chosen += [("worst false alarm", i) for i in self.false_alarms()[:1]]
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
        """As many misses and false alarms, the worst of each first."""
        names = [self.dataset.class_name(label) for label in self.beats.classes.tolist()]
        found = [(f"miss, {names[i]}", i) for i in self.misses()[:number]]
        found += [("false alarm", i) for i in self.false_alarms()[:number]]
        return [self.example(title, i) for title, i in found]

    def example(self, title: str, i: int) -> Example:
        """Beat `i` to draw; its score is added to the title."""
        return Example(
            f"{title} (score {self.verdicts.score[i]:.3f})",
            self.beats.samples[i],
            self.verdicts.reconstruction[i],
            self.verdicts.step_error[i],
        )
