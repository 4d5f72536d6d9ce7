"""Datasets and their metadata: hashes of the files, names of the classes, waves of a beat, how beats are cut."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from ecg.data.aami import NAMES, UNLABELLED
from ecg.exceptions import InputError
from ecg.files import parse_json
from ecg.params import Cutting
from ecg.schema import check


@dataclass(frozen=True)
class Dataset:
    """The metadata of a dataset.

    Parameters
    ----------
    origin : where the beats come from
    hashes : SHA-256 of the canonical TRAIN and TEST text; None if none are published
    classes : the name of each class
    unlabelled : the class of beats without a label; None if every beat has one
    segments : the waves of a normal beat, as (name, first sample, one after the last sample)
    limits : what a detector trained on this dataset should not be used for, a sentence each
    beats : how beats are cut from a recording; None if unknown
    recording, lead, minutes : the name of the recording that the beats are from, its lead, and how much of it is the
        training part; None for a dataset from an archive
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
        """The name of a class in titles."""
        return self.classes.get(label, f"class {label}")

    def class_key(self, label: int) -> str:
        """The name of a class in the keys of metrics."""
        return metric_key(self.class_name(label))

    def labelled(self, classes: np.ndarray) -> np.ndarray:
        """Which beats have a label, by their classes: bool of shape (n,)."""
        return np.full(len(classes), True) if self.unlabelled is None else classes != self.unlabelled

    def anomalous(self, classes: np.ndarray, normal_class: int) -> np.ndarray:
        """Which beats have a label other than the normal one, by their classes: bool of shape (n,)."""
        return (classes != normal_class) & self.labelled(classes)

    def segments_in(self, start: int, stop: int) -> tuple[str, ...]:
        """The names of the segments that overlap samples `start` to `stop - 1`, in their order, each once.

        Examples
        --------
        >>> dataset_named("ECG5000").segments_in(20, 30)
        ('ST', 'T')
        """
        overlapping = (name for name, first, after in self.segments if start < after and first < stop)
        return tuple(dict.fromkeys(overlapping))


_DATASETS = {
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
        # From the median normal training beat, which lasts from the S wave of one QRS complex to the next complex.
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
            "0 and standard deviation 1. Their duration is lost, so premature beats are found by their shape alone.",
            "Training and test beats come from the same hours. Performance on another day is unknown.",
            "The labels come from automated annotation, and some are wrong, which affects all figures.",
            "The rare classes have few test beats; the wide intervals of their recall show it.",
        ),
        beats=Cutting(highpass=0.5, lowpass=40, segmentation="rr", window=[0.25, 0.45], rhythm=[0.8, 0.5], length=140),
    ),
}


def metric_key(name: str) -> str:
    """A name as part of a metric's key: lower case, underscores.

    Examples
    --------
    >>> metric_key("R-on-T PVC")
    'r_on_t_pvc'
    """
    return re.sub(r"\W+", "_", name.replace(" -", " minus ")).lower()


def dataset_named(name: str) -> Dataset:
    """The metadata of the dataset `name`; empty if this project does not know it."""
    return _DATASETS.get(name, Dataset())


def dataset_of(fetch: Mapping[str, Any]) -> Dataset:
    """The metadata of the beats that a fetch section delivers: that of params.yaml, or the one stored with a model."""
    if fetch.get("source") == "recording":
        return _from_recording(fetch["recording"])
    return dataset_named(fetch["dataset"])


def dataset_of_model(metadata: Mapping[str, str]) -> Dataset:
    """The metadata of the dataset that a model was trained on, from the metadata of its ONNX file."""
    if "recording" not in metadata:
        return dataset_named(metadata.get("dataset", ""))
    try:
        return _from_recording(parse_json(metadata["recording"]))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the model's metadata do not describe the recording it was trained on ({error!r})") from None


def recording_metadata(recording: Mapping[str, Any]) -> dict[str, Any]:
    """What a model and its provenance store of their recording: its name but not its path, how it was read and cut."""
    return {"name": _name(recording), **{name: recording[name] for name in ("lead", "minutes", "beats")}}


def _from_recording(recording: Mapping[str, Any]) -> Dataset:
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
            "beats like those of training; a scan adapts its threshold to slow changes.",
        ),
        beats=check(Cutting, recording["beats"], "the recording's beats"),
        recording=name,
        lead=lead,
        minutes=minutes,
    )


def _name(recording: Mapping[str, Any]) -> str:
    return recording["name"] if "name" in recording else PurePath(recording["path"] or "").stem
