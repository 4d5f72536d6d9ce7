"""Count the mistakes of the shipped detector: `python -m benchmarks.mistakes`, after `dvc repro`.

Printed are how much the highest-scoring normal test beats reduce the AUC, and how many beats of each class are missed.
plots/worst.png shows the worst mistakes.
"""

import numpy as np
import typer

from benchmarks.protocol import MODELS, PROCESSED
from ecg import params
from ecg.data import beats
from ecg.detector.detector import Detector
from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.examples import false_alarms, misses
from ecg.evaluation.metrics import Placements
from ecg.exceptions import InputError, exit_on_error

WORST = 20


def main() -> None:
    """Count the mistakes of the shipped detector on the test beats."""
    settings, detector, test = params.load(), Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    evaluation = Evaluation.of(detector, test, settings.preprocess.normal_class)
    if not evaluation.comparable:
        raise InputError(f"{PROCESSED / 'test.npz'}: the labelled beats should be both normal and anomalous")
    not_above = 1 - Placements.of(*evaluation.scores).normal  # share of anomalous beats that score below a normal one
    losses = np.sort(not_above)[::-1] / len(not_above)  # of AUC
    print(
        f"the AUC is {losses.sum():.4f} below 1; the {WORST} highest-scoring normal beats cost "
        f"{losses[:WORST].sum():.4f} of it"
    )
    print(f"{len(false_alarms(evaluation))} false alarms")
    missed = test.classes[misses(evaluation)]
    for label, count in zip(*np.unique(missed, return_counts=True), strict=True):
        print(f"{count} of {(test.classes == label).sum()} missed: {detector.dataset.class_name(int(label))}")


if __name__ == "__main__":
    with exit_on_error():
        typer.run(main)
