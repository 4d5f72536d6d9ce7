"""What is known of a dataset beyond its bytes: the hashes of its files, the names of its classes, how beats are cut."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from ecg.data.aami import NAMES, UNLABELLED
from ecg.exceptions import InputError
from ecg.params import Cutting
from ecg.schema import check


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    origin : where the beats come from
    hashes : SHA-256 of the canonical TRAIN and TEST text
    classes : the name of each class, for people
    unlabelled : the class of beats that nobody has labelled; None if there are none
    segments : where the waves of a normal beat lie, as (name, first sample, the one after the last)
    limits : what a detector that was trained on it cannot be trusted with, a sentence each
    beats : how its beats are cut from a recording; None if that is not known
    recording, lead, minutes : of the recording that it is from, its name, its lead, and how much of it is to train on;
        None if it is from an archive
    """

    origin: str = ""
    hashes: tuple[str, str] | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    unlabelled: int | None = None
    segments: tuple[tuple[str, int, int], ...] = ()
    limits: tuple[str, ...] = ()
    beats: Cutting | None = None
    recording: str | None = None
    lead: int | str | None = None
    minutes: float | None = None

    def class_name(self, label: int) -> str:
        """The class's name in a title."""
        return self.classes.get(label, f"class {label}")

    def class_key(self, label: int) -> str:
        """The class's name in a metric's: lower case, underscores."""
        return key(self.class_name(label))

    def labelled(self, classes: np.ndarray) -> np.ndarray:
        """Which of the beats of these classes somebody has labelled: bool of shape (n,)."""
        return np.full(len(classes), True) if self.unlabelled is None else classes != self.unlabelled

    def anomalous(self, classes: np.ndarray, normal_class: int) -> np.ndarray:
        """Which of the beats of these classes are of another known class than the normal one: bool of shape (n,)."""
        return (classes != normal_class) & self.labelled(classes)

    def segments_in(self, start: int, stop: int) -> tuple[str, ...]:
        """The names of the segments that samples `start` to `stop` (left out) touch, in their order, each once."""
        touched = (name for name, first, after in self.segments if start < after and first < stop)
        return tuple(dict.fromkeys(touched))


_KNOWN = {
    "ECG5000": Dataset(
        origin=(
            "One 20-hour recording of one lead at 250 Hz, record chf07 of the BIDMC Congestive Heart Failure Database "
            "(Goldberger et al. 2000), of one patient with severe congestive heart failure. Y. Chen and E. Keogh cut "
            "it into beats from one QRS complex to the next, interpolated each to 140 samples, z-normalised it and "
            "drew 5,000 at random (Chen et al. 2015, UCR archive)."
        ),
        hashes=(
            "df86ac15d7e283e731db6be7865f5004b65bc639014cb8b9753c26e24a9092a1",
            "0192997dd1793880633bfb34ae3ad5129c09a8e0f210c469225451b92cdd8548",
        ),
        classes={1: "normal", 2: "R-on-T PVC", 3: "PVC", 4: "SP or EB", 5: "unclassified"},
        # Read off the median normal training beat, which runs from the S wave of one QRS complex to the next complex.
        segments=(
            ("QRS", 0, 12),
            ("ST", 12, 24),
            ("T", 24, 48),
            ("TP", 48, 94),
            ("P", 94, 116),
            ("PR", 116, 127),
            ("QRS", 127, 140),
        ),
        limits=(
            "It has seen one patient and one lead. Another heart's normal beats may all look anomalous to it.",
            "It takes beats that are cut and scaled as these are: from one QRS complex to the next, 140 samples, mean "
            "0 and standard deviation 1. How long a beat lasted is lost, so early ones are found by their shape alone.",
            "Training and test beats come from the same hours. Performance on another day is unknown.",
            "The labels come from automated annotation, and some are wrong. So are some figures that rest on them.",
            "Few beats stand behind the figures of the rare classes; their intervals say how few.",
        ),
        beats=Cutting(highpass=0.5, lowpass=40, segmentation="rr", window=[0.25, 0.45], rhythm=[0.8, 0.5], length=140),
    ),
}


def key(name: str) -> str:
    """A name as part of a metric's: lower case, underscores."""
    return re.sub(r"\W+", "_", name.replace(" -", " minus ")).lower()


def known(name: str) -> Dataset:
    """What is known of the dataset `name`; an empty record if it is a stranger."""
    return _KNOWN.get(name, Dataset())


def dataset_of(fetch: Mapping[str, Any]) -> Dataset:
    """What is known of the beats that a fetch section of params.yaml brings, or of what a model remembers of one."""
    return _recorded(fetch["recording"]) if fetch.get("source") == "recording" else known(fetch["dataset"])


def dataset_of_model(facts: Mapping[str, str]) -> Dataset:
    """What is known of the dataset that a model was trained on, by the metadata of its file."""
    if "recording" not in facts:
        return known(facts.get("dataset", ""))
    try:
        return dataset_of({"source": "recording", "recording": json.loads(facts["recording"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the model's metadata do not say what recording it has seen ({error!r})") from None


def remembered(recording: Mapping[str, Any]) -> dict[str, Any]:
    """What a model and its provenance remember of the recording they are from: nothing of where it lies."""
    kept = {name: recording[name] for name in ("lead", "minutes", "beats")}
    return {"name": _name(recording), **kept}


def _recorded(recording: Mapping[str, Any]) -> Dataset:
    name, lead, minutes = _name(recording), recording["lead"], recording["minutes"]
    return Dataset(
        origin=(
            f"Lead {lead} of the recording {name}. Its first {minutes:g} minutes are to train on, the rest to test. R "
            "peaks were detected; beats were cut around them and z-normalised."
        ),
        classes=NAMES,
        unlabelled=UNLABELLED,
        limits=(
            f"It has seen {minutes:g} minutes of one patient and one lead. Another heart's normal beats, or the same "
            "heart's with electrodes elsewhere, may all look anomalous to it.",
            "Beats change with posture, rate and electrodes over hours. The promised rate of false alarms holds for "
            "beats like those of training; a scan's threshold follows slow change.",
        ),
        beats=check(Cutting, recording["beats"], "the recording's beats"),
        recording=name,
        lead=lead,
        minutes=minutes,
    )


def _name(recording: Mapping[str, Any]) -> str:
    return recording["name"] if "name" in recording else PurePath(recording["path"] or "").stem
