"""Look at what the shipped detector gets wrong: `python -m benchmarks.errors FILE.png`, after `dvc repro`.

Prints how much of what the AUC lacks to 1 the highest-scoring normal test beats cost, and how many beats of each class
are misses; draws the worst false alarms and misses over what the model takes them for.
"""

import argparse
from pathlib import Path

import numpy as np

from ecg import beats, params
from ecg.datasets import known
from ecg.detector import Detector
from ecg.figures import draw_examples
from ecg.metrics import Placements
from ecg.report import Evaluation
from stages import MODELS, PROCESSED

WORST = 20
DRAWN = 12  # of each kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", type=Path, help="where to draw the worst errors, as PNG")
    path = parser.parse_args().figure
    settings, detector, test = params.load(), Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    dataset, threshold = known(settings.fetch.dataset), detector.calibration.threshold
    evaluation = Evaluation(test, detector.score(test.samples), threshold, settings.preprocess.normal_class, dataset)
    below = 1 - Placements.of(*evaluation.scores).normal  # for each normal beat, the share of anomalous ones below it
    lost = np.sort(below)[::-1] / len(below)
    print(
        f"the AUC lacks {lost.sum():.4f} to 1; the {WORST} highest-scoring normal beats cost {lost[:WORST].sum():.4f}"
    )
    false_alarms, misses = evaluation.false_alarms(), evaluation.misses()
    print(f"{len(false_alarms)} false alarms")
    for label in np.unique(test.classes[misses]).tolist():
        missed, there = (test.classes[misses] == label).sum(), (test.classes == label).sum()
        print(f"{missed} misses of {there}: {dataset.class_name(label)}")
    worst = [*false_alarms[:DRAWN], *misses[:DRAWN]]
    draw_examples(
        path,
        [evaluation.example(f"test beat {i}, {dataset.class_name(int(test.classes[i]))}", i) for i in worst],
    )


if __name__ == "__main__":
    main()
