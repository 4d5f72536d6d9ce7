"""What the evaluation says of a detector: the summary, the curves and the beats worth looking at."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ecg import metrics
from ecg.beats import Beats
from ecg.datasets import Dataset
from ecg.detector import Verdicts
from ecg.figures import Example

Table = tuple[list[str], Iterable[Sequence[Any]]]  # header and rows


@dataclass(frozen=True)
class Evaluation:
    """Beats of known class, of which at least one is normal and one is not, with what a detector says of them."""

    beats: Beats
    verdicts: Verdicts
    threshold: float
    normal_class: int
    dataset: Dataset

    @cached_property
    def anomalous(self) -> np.ndarray:
        """Which beats are of another class than the normal one: bool, shape (n_beats,)."""
        return self.beats.classes != self.normal_class

    @cached_property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the normal and of the anomalous beats."""
        return self.verdicts.score[~self.anomalous], self.verdicts.score[self.anomalous]

    def summary(self) -> dict[str, float]:
        """The figures of metrics/evaluate.json."""
        alarms, classes = self.verdicts.anomalous, self.beats.classes
        counts = metrics.Counts.of(alarms, self.anomalous)
        auc, low, high = metrics.auc_with_interval(*self.scores)
        recalls = {
            f"recall_{self.dataset.class_key(label)}": float(alarms[classes == label].mean())
            for label in np.unique(classes[self.anomalous]).tolist()
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
        }

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

    def examples(self) -> list[Example]:
        """The typical beat of each class, the normal one first, then the worst miss and the worst false alarm.

        Typical is the beat whose score is the median of its class. Titles end in the score and the verdict.
        """
        score, alarms, classes = self.verdicts.score, self.verdicts.anomalous, self.beats.classes
        others = [label for label in np.unique(classes).tolist() if label != self.normal_class]
        chosen = []
        for label in [self.normal_class, *others]:
            members = np.flatnonzero(classes == label)
            typical = members[np.argsort(score[members], kind="stable")[len(members) // 2]]
            chosen.append((self.dataset.class_name(label), typical))
        chosen += [(f"worst miss ({self.dataset.class_name(int(classes[i]))})", i) for i in self.misses()[:1]]
        chosen += [("worst false alarm", i) for i in self.false_alarms()[:1]]
        return [self.example(f"{title}, called {'anomalous' if alarms[i] else 'normal'}", i) for title, i in chosen]

    def example(self, title: str, i: int) -> Example:
        """Beat `i` to draw; its score is added to the title."""
        return Example(
            f"{title} (score {self.verdicts.score[i]:.3f})",
            self.beats.samples[i],
            self.verdicts.reconstruction[i],
            self.verdicts.step_error[i],
        )
