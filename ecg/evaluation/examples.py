"""The beats that the figures show: typical ones and the worst errors of the detector."""

from collections.abc import Sequence

import numpy as np

from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.figures import ClassProfile, Example

QUANTILES = (0.25, 0.5, 0.75)  # of a class's scores, at which example beats are taken


def misses(evaluation: Evaluation) -> np.ndarray:
    """The positions of the anomalous beats without an alarm, the lowest score first: shape (n_misses,)."""
    return _ordered(evaluation, evaluation.anomalous & ~evaluation.verdicts.anomalous)


def false_alarms(evaluation: Evaluation) -> np.ndarray:
    """The positions of the normal beats with an alarm, the highest score first: shape (n_false_alarms,)."""
    return _ordered(evaluation, evaluation.normal & evaluation.verdicts.anomalous, -1)


def unknown_alarms(evaluation: Evaluation) -> np.ndarray:
    """The positions of the beats of unknown class with an alarm, the highest score first: shape (n,)."""
    return _ordered(evaluation, ~evaluation.known & evaluation.verdicts.anomalous, -1)


def typical(evaluation: Evaluation, chosen: np.ndarray, quantile: float = 0.5) -> int:
    """The position of the beat at the median, or another quantile, of the scores of the chosen beats (bool array)."""
    ordered = _ordered(evaluation, chosen)
    return int(ordered[int(quantile * len(ordered))])


def typical_alarm(evaluation: Evaluation) -> int:
    """The position of the anomalous beat with an alarm whose score is the median of all such beats.

    Without an anomalous beat, all beats are considered; without an alarm, also beats that raise none.
    """
    candidates = evaluation.anomalous if evaluation.anomalous.any() else np.ones(len(evaluation.beats), bool)
    alarms = candidates & evaluation.verdicts.anomalous
    return typical(evaluation, alarms if alarms.any() else candidates)


def typical_and_worst(evaluation: Evaluation) -> list[Example]:
    """The typical beat of each class, the normal class first, then the worst miss and the worst false alarm.

    The typical beat of a class is the one with the median score. Titles end in the verdict and the score.
    """
    alarms, classes, name = evaluation.verdicts.anomalous, evaluation.beats.classes, evaluation.dataset.class_name
    labels = [*([evaluation.normal_class] if evaluation.normal.any() else []), *evaluation.anomalous_classes]
    chosen = [(name(label), typical(evaluation, classes == label)) for label in labels]
    if not evaluation.known.all():
        chosen += [("typical beat of unknown class", typical(evaluation, ~evaluation.known))]
    chosen += [(f"worst miss ({name(int(classes[i]))})", i) for i in misses(evaluation)[:1]]
    chosen += [("worst false alarm", i) for i in false_alarms(evaluation)[:1]]
    chosen += [("largest alarm of unknown class", i) for i in unknown_alarms(evaluation)[:1]]
    titles = [f"{title}, called {'anomalous' if alarms[i] else 'normal'}" for title, i in chosen]
    return _examples(evaluation, titles, [i for _, i in chosen])


def worst(evaluation: Evaluation, number: int) -> list[Example]:
    """Up to `number` misses, false alarms and alarms on beats of unknown class each, the worst of each first."""
    missed, false, unknown = (find(evaluation)[:number] for find in (misses, false_alarms, unknown_alarms))
    labels = evaluation.beats.classes[missed].tolist()
    titles = [f"miss, {evaluation.dataset.class_name(label)}" for label in labels]
    titles += ["false alarm"] * len(false) + ["alarm"] * len(unknown)
    return _examples(evaluation, titles, np.concatenate([missed, false, unknown]))


def class_profiles(evaluation: Evaluation) -> list[ClassProfile]:
    """For each anomalous class, what the samples contribute to its scores, and examples from low to high score."""
    profiles = []
    for label in evaluation.anomalous_classes:
        of_class, name = evaluation.beats.classes == label, evaluation.dataset.class_name(label)
        index = [typical(evaluation, of_class, quantile) for quantile in QUANTILES]
        step_error = evaluation.details(np.flatnonzero(of_class)).step_error
        profiles.append(ClassProfile.of(name, step_error, _examples(evaluation, [name] * len(index), index)))
    return profiles


def _ordered(evaluation: Evaluation, chosen: np.ndarray, sign: int = 1) -> np.ndarray:
    """The positions of the chosen beats (bool array), by ascending score, or descending with sign -1."""
    index = np.flatnonzero(chosen)
    return index[np.argsort(sign * evaluation.verdicts.score[index], kind="stable")]


def _examples(evaluation: Evaluation, titles: Sequence[str], index: Sequence[int] | np.ndarray) -> list[Example]:
    """The beats at these positions as examples; their scores are added to the titles."""
    index = np.asarray(index, int)
    details = evaluation.details(index)
    return [
        Example(f"{title} (score {details.score[row]:.3f})", beat, details.reconstruction[row], details.step_error[row])
        for row, (title, beat) in enumerate(zip(titles, evaluation.beats.samples[index], strict=True))
    ]
