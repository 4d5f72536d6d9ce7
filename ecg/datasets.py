"""What is known of a dataset beyond its bytes: the hashes of its files, the names of its classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    origin : where the beats come from
    hashes : SHA-256 of the canonical TRAIN and TEST text
    classes : the name of each class, for people
    segments : where the waves of a normal beat lie, as (name, first sample, the one after the last)
    limits : what a detector that was trained on it cannot be trusted with, a sentence each
    """

    origin: str = ""

    hashes: tuple[str, str] | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    segments: tuple[tuple[str, int, int], ...] = ()
    limits: tuple[str, ...] = ()

    def class_name(self, label: int) -> str:
        """The class's name in a title."""
        return self.classes.get(label, f"class {label}")

    def class_key(self, label: int) -> str:
        """The class's name in a metric's: lower case, underscores."""
        return key(self.class_name(label))

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
    ),
}


def key(name: str) -> str:
    """A name as part of a metric's: lower case, underscores."""
    return re.sub(r"\W+", "_", name.replace(" -", " minus ")).lower()


def known(name: str) -> Dataset:
    """What is known of the dataset `name`; an empty record if it is a stranger."""
    return _KNOWN.get(name, Dataset())
