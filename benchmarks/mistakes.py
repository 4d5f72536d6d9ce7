"""Count what the shipped detector gets wrong: `python -m benchmarks.mistakes`, after `dvc repro`.

Prints how much of what the AUC lacks to 1 the highest-scoring normal test beats cost, and how many beats of each class
are misses. The worst of them are drawn in plots/worst.png.
"""

import numpy as np

from benchmarks.protocol import MODELS, PROCESSED
from ecg import params
from ecg.data import beats
from ecg.detector.detector import Detector
from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.examples import false_alarms, misses
from ecg.evaluation.metrics import Placements
from ecg.exceptions import InputError, reported

WORST = 20


def main() -> None:
    settings, detector, test = params.load(), Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    evaluation = Evaluation.of(detector, test, settings.preprocess.normal_class)
    if not evaluation.comparable:
        raise InputError("the test beats that somebody has labelled are not both normal and anomalous ones")
    below = 1 - Placements.of(*evaluation.scores).normal  # for each normal beat, the share of anomalous ones below it
    lost = np.sort(below)[::-1] / len(below)
    print(
        f"the AUC lacks {lost.sum():.4f} to 1; the {WORST} highest-scoring normal beats cost {lost[:WORST].sum():.4f}"
    )
    print(f"{len(false_alarms(evaluation))} false alarms")
    missed = test.classes[misses(evaluation)]
    for label in np.unique(missed).tolist():
        name = detector.dataset.class_name(label)
        print(f"{(missed == label).sum()} misses of {(test.classes == label).sum()}: {name}")


if __name__ == "__main__":
    with reported():
        main()
