"""Count what the shipped detector gets wrong: `python -m benchmarks.errors`, after `dvc repro`.

Prints how much of what the AUC lacks to 1 the highest-scoring normal test beats cost, and how many beats of each class
are misses. The worst of them are drawn in plots/worst.png.
"""

import numpy as np

from ecg import beats, params
from ecg.datasets import known
from ecg.detector import Detector
from ecg.metrics import Placements
from ecg.report import Evaluation
from stages import MODELS, PROCESSED

WORST = 20


def main() -> None:
    settings, detector, test = params.load(), Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    dataset = known(settings.fetch.dataset)
    evaluation = Evaluation.of(detector, test, settings.preprocess.normal_class, dataset)
    below = 1 - Placements.of(*evaluation.scores).normal  # for each normal beat, the share of anomalous ones below it
    lost = np.sort(below)[::-1] / len(below)
    print(
        f"the AUC lacks {lost.sum():.4f} to 1; the {WORST} highest-scoring normal beats cost {lost[:WORST].sum():.4f}"
    )
    misses = evaluation.misses()
    print(f"{len(evaluation.false_alarms())} false alarms")
    for label in np.unique(test.classes[misses]).tolist():
        missed, there = (test.classes[misses] == label).sum(), (test.classes == label).sum()
        print(f"{missed} misses of {there}: {dataset.class_name(label)}")


if __name__ == "__main__":
    main()
