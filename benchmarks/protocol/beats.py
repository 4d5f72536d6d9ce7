"""The prepared beats, and which of the test beats are anomalous."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.protocol import PROCESSED
from ecg.data import beats
from ecg.data.datasets import dataset_of
from ecg.exceptions import InputError
from ecg.params import Params


@dataclass(frozen=True)
class LabelledBeats:
    """Beats with a label.

    samples : float32 ndarray of shape (n, L)
    anomalous : bool ndarray of shape (n,)
    """

    samples: np.ndarray
    anomalous: np.ndarray


def samples(part: str) -> np.ndarray:
    """The beats of one of the parts that the preprocess stage writes: fit, development or test."""
    return beats.load(PROCESSED / f"{part}.npz").samples


def origin(settings: Params) -> dict[str, Any]:
    """Where the beats come from, as plain values; it decides which class means unlabelled."""
    return settings.fetch.model_dump(include={"source", "dataset", "recording"})


def labelled_test_beats(origin: Mapping[str, Any], normal_class: int) -> LabelledBeats:
    """The labelled test beats; InputError if they are not both normal and anomalous."""
    test = beats.load(PROCESSED / "test.npz")
    test = test.where(dataset_of(origin).labelled(test.classes))
    anomalous = test.classes != normal_class
    if anomalous.all() or not anomalous.any():
        raise InputError(
            f"{PROCESSED / 'test.npz'}: {int(anomalous.sum())} of {len(test)} labelled beats are anomalous; to measure "
            "a detector takes normal and anomalous ones"
        )
    return LabelledBeats(test.samples, anomalous)
