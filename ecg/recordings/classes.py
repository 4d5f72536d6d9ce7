"""Annotated beats as classes of the AAMI (`ecg.data.aami`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecg.data.aami import UNLABELLED

TOLERANCE = 0.15  # seconds between an annotation and a detected R peak that are the same beat (EC57)

# The WFDB code of each kind of beat. Bundle branch block and escape beats count as normal, paced ones as unclassified.
_CODES = {1: "NLRBejn", 2: "AaJS", 3: "VEr", 4: "F", 5: "/fQ?"}
CLASS_OF: Mapping[str, int] = {code: label for label, codes in _CODES.items() for code in codes}


@dataclass(frozen=True)
class Annotations:
    """What a cardiologist, or a program, says of a recording.

    seconds : float ndarray of shape (n,), from the start of the recording
    symbols : the code of each in the WFDB alphabet, of which some stand for beats
    """

    seconds: np.ndarray
    symbols: list[str]


def beats(annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """The annotated beats, in their order: seconds, float of shape (n,), and classes, int of shape (n,)."""
    found = [
        (seconds, CLASS_OF[symbol])
        for seconds, symbol in zip(annotations.seconds.tolist(), annotations.symbols, strict=True)
        if symbol in CLASS_OF
    ]
    found.sort()
    return np.array([seconds for seconds, _ in found], float), np.array([label for _, label in found], int)


def matched(annotated: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Which detected beat each annotated one is: its place, or -1 for none; each detected beat is taken once.

    Parameters
    ----------
    annotated, detected : float ndarrays of shapes (n,) and (m,), seconds, rising

    Returns
    -------
    int ndarray of shape (n,)
    """
    places = np.full(len(annotated), -1)
    after = np.searchsorted(detected, annotated)
    pairs = []
    for i, j in enumerate(after.tolist()):
        pairs += [
            (abs(detected[k] - annotated[i]), i, k)
            for k in (j - 1, j)
            if 0 <= k < len(detected) and abs(detected[k] - annotated[i]) <= TOLERANCE
        ]
    taken: set[int] = set()
    for _, i, k in sorted(pairs):  # the closest pair first
        if places[i] < 0 and k not in taken:
            places[i] = k
            taken.add(k)
    return places


def labels(annotations: Annotations | None, detected: np.ndarray) -> np.ndarray:
    """The class of each detected beat, int of shape (n,); UNLABELLED where no annotated beat is close."""
    classes = np.full(len(detected), UNLABELLED)
    if annotations is not None:
        seconds, given = beats(annotations)
        places = matched(seconds, detected)
        classes[places[places >= 0]] = given[places >= 0]
    return classes
