"""Annotated beats, and their classes by the AAMI (`ecg.data.aami`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecg.data.aami import UNLABELLED

MATCH_SECONDS = 0.15  # largest distance between an annotated beat and its detected R peak (ANSI/AAMI EC57)

# WFDB codes by class. Bundle branch block and escape beats count as normal (N), paced beats as unclassified (Q).
_CODES = {1: "NLRBejn", 2: "AaJS", 3: "VEr", 4: "F", 5: "/fQ?"}
CLASS_OF: Mapping[str, int] = {code: label for label, codes in _CODES.items() for code in codes}


@dataclass(frozen=True)
class Annotations:
    """The annotations of a recording, for beats and for other events, such as noise or a change of rhythm."""

    seconds: np.ndarray  # float, of shape (n,), from the start of the recording
    symbols: list[str]  # their WFDB codes, n


def annotated_beats(annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, float of shape (n,), and classes, int of shape (n,), of the annotated beats, sorted by time.

    Examples
    --------
    >>> annotated_beats(Annotations(np.array([0.4, 0.1, 0.9]), ["V", "+", "N"]))
    (array([0.4, 0.9]), array([3, 1]))
    """
    labels = np.array([CLASS_OF.get(symbol, UNLABELLED) for symbol in annotations.symbols], int)
    order = np.lexsort((labels, annotations.seconds))
    order = order[labels[order] != UNLABELLED]
    return np.asarray(annotations.seconds, float)[order], labels[order]


# Own code: wfdb's compare_annotations can match one detected beat with two annotated ones.
def match_beats(annotated: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Match annotated beats with detected ones: the closest pair first, each beat once.

    Parameters
    ----------
    annotated, detected : float ndarrays of shapes (n,) and (m,), times in seconds, ascending

    Returns
    -------
    int ndarray of shape (n,), the detected beat within MATCH_SECONDS of each annotated one; -1 where there is none

    Examples
    --------
    >>> match_beats(np.array([1.0, 2.0, 3.0]), np.array([1.1, 2.5, 2.98]))
    array([ 0, -1,  2])
    """
    pairs = sorted(
        (abs(detected[j] - annotated[i]), i, j)
        for i, after in enumerate(np.searchsorted(detected, annotated).tolist())
        for j in (after - 1, after)
        if 0 <= j < len(detected)
    )
    matches, taken = np.full(len(annotated), -1), set()
    for distance, i, j in pairs:
        if distance <= MATCH_SECONDS and matches[i] < 0 and j not in taken:
            matches[i] = j
            taken.add(j)
    return matches


def beat_classes(annotations: Annotations | None, detected: np.ndarray) -> np.ndarray:
    """The class of each beat detected at these seconds, int of shape (n,); UNLABELLED where no annotation matches."""
    classes = np.full(len(detected), UNLABELLED)
    if annotations is not None:
        seconds, labels = annotated_beats(annotations)
        matches = match_beats(seconds, detected)
        classes[matches[matches >= 0]] = labels[matches >= 0]
    return classes
