"""The beats worth drawing: the typical ones and the worst mistakes."""

from collections.abc import Sequence

import numpy as np

from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.figures import ClassProfile, Example

QUANTILES = (0.25, 0.5, 0.75)  # of a class's scores: the beats there stand for it


def misses(evaluation: Evaluation) -> np.ndarray:
    """The anomalous beats without an alarm, by their places, the lowest score first: shape (n_misses,)."""
    return _ordered(evaluation, evaluation.anomalous & ~evaluation.verdicts.anomalous)


def false_alarms(evaluation: Evaluation) -> np.ndarray:
    """The normal beats with an alarm, by their places, the highest score first: shape (n_false_alarms,)."""
    return _ordered(evaluation, evaluation.normal & evaluation.verdicts.anomalous, -1)


def unknown_alarms(evaluation: Evaluation) -> np.ndarray:
    """The beats of unknown class with an alarm, by their places, the highest score first: shape (n,)."""
    return _ordered(evaluation, ~evaluation.known & evaluation.verdicts.anomalous, -1)


def typical(evaluation: Evaluation, chosen: np.ndarray, quantile: float = 0.5) -> int:
    """The place of the beat whose score is the median, or another quantile, of those that a bool array chooses."""
    ordered = _ordered(evaluation, chosen)
    return int(ordered[int(quantile * len(ordered))])


def typical_alarm(evaluation: Evaluation) -> int:
    """The place of the typical anomalous beat that raises an alarm, or of the typical one if none does.

    Where no beat is known to be anomalous, of all beats.
    """
    of = evaluation.anomalous if evaluation.anomalous.any() else np.ones(len(evaluation.beats), bool)
    alarms = of & evaluation.verdicts.anomalous
    return typical(evaluation, alarms if alarms.any() else of)


def typical_and_worst(evaluation: Evaluation) -> list[Example]:
    """The typical beat of each class, the normal one first, then the worst miss and the worst false alarm.

    Typical is the beat whose score is the median of its class. Titles end in the score and the verdict.
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
    """As many misses, false alarms and alarms of unknown class, the worst of each first."""
    missed, false, unknown = (of(evaluation)[:number] for of in (misses, false_alarms, unknown_alarms))
    labels = evaluation.beats.classes[missed].tolist()
    titles = [f"miss, {evaluation.dataset.class_name(label)}" for label in labels]
    titles += ["false alarm"] * len(false) + ["alarm"] * len(unknown)
    return _examples(evaluation, titles, np.concatenate([missed, false, unknown]))


def class_profiles(evaluation: Evaluation) -> list[ClassProfile]:
    """Each anomalous class: what the steps contribute to its scores, and beats from low to high score."""
    profiles = []
    for label in evaluation.anomalous_classes:
        of_class, name = evaluation.beats.classes == label, evaluation.dataset.class_name(label)
        places = [typical(evaluation, of_class, quantile) for quantile in QUANTILES]
        step_error = evaluation.details(np.flatnonzero(of_class)).step_error
        profiles.append(ClassProfile.of(name, step_error, _examples(evaluation, [name] * len(places), places)))
    return profiles


def _ordered(evaluation: Evaluation, chosen: np.ndarray, sign: int = 1) -> np.ndarray:
    """The places that a bool array of shape (n_beats,) chooses, in the order of the score, or with -1 against it."""
    places = np.flatnonzero(chosen)
    return places[np.argsort(sign * evaluation.verdicts.score[places], kind="stable")]


def _examples(evaluation: Evaluation, titles: Sequence[str], places: Sequence[int] | np.ndarray) -> list[Example]:
    """The beats at these places to draw; their scores are added to the titles."""
    details = evaluation.details(np.asarray(places, int))
    return [
        Example(f"{title} (score {details.score[row]:.3f})", beat, details.reconstruction[row], details.step_error[row])
        for row, (title, beat) in enumerate(zip(titles, evaluation.beats.samples[np.asarray(places, int)], strict=True))
    ]
