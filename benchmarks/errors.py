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
from ecg.figures import Example, draw_examples
from ecg.metrics import Placements
from stages import MODELS, PROCESSED

WORST = 20
DRAWN = 12  # of each kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", type=Path, help="where to draw the worst errors, as PNG")
    path = parser.parse_args().figure
    settings, detector, test = params.load(), Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    verdicts, dataset = detector.score(test.samples), known(settings.fetch.dataset)
    anomalous = test.classes != settings.preprocess.normal_class
    lost = np.sort(1 - Placements.of(verdicts.score[~anomalous], verdicts.score[anomalous]).normal)[::-1] / sum(
        ~anomalous
    )
    print(
        f"the AUC lacks {lost.sum():.4f} to 1; the {WORST} highest-scoring normal beats cost {lost[:WORST].sum():.4f}"
    )
    false_alarms, misses = (
        np.flatnonzero(verdicts.anomalous & ~anomalous),
        np.flatnonzero(~verdicts.anomalous & anomalous),
    )
    print(f"{len(false_alarms)} false alarms")
    for label in np.unique(test.classes[misses]).tolist():
        missed, there = (test.classes[misses] == label).sum(), (test.classes == label).sum()
        print(f"{missed} misses of {there}: {dataset.class_name(label)}")
    worst = [
        *false_alarms[np.argsort(-verdicts.score[false_alarms], kind="stable")[:DRAWN]],
        *misses[np.argsort(verdicts.score[misses], kind="stable")[:DRAWN]],
    ]
    draw_examples(
        path,
        [
            Example(
                f"test beat {i}, {dataset.class_name(int(test.classes[i]))} (score {verdicts.score[i]:.3f})",
                test.samples[i],
                verdicts.reconstruction[i],
                verdicts.step_error[i],
            )
            for i in worst
        ],
    )


if __name__ == "__main__":
    main()
