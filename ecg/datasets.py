"""What is known of a dataset beyond its bytes: the hashes of its files, the names of its classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    hashes : SHA-256 of the canonical TRAIN and TEST text
    classes : the name of each class, for people
    segments : where the waves of a normal beat lie, as (name, first sample, the one after the last)
    """

    hashes: tuple[str, str] | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    segments: tuple[tuple[str, int, int], ...] = ()

    def class_name(self, label: int) -> str:
        """The class's name in a title."""
        return self.classes.get(label, f"class {label}")

    def class_key(self, label: int) -> str:
        """The class's name in a metric's: lower case, underscores."""
        return re.sub(r"\W+", "_", self.class_name(label).replace(" -", " minus ")).lower()

    def segments_in(self, start: int, stop: int) -> tuple[str, ...]:
        """The names of the segments that samples `start` to `stop` (left out) touch, in their order, each once."""
        touched = (name for name, first, after in self.segments if start < after and first < stop)
        return tuple(dict.fromkeys(touched))


_KNOWN = {
    "ECG5000": Dataset(
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
    ),
}


def known(name: str) -> Dataset:
    """What is known of the dataset `name`; an empty record if it is a stranger."""
    return _KNOWN.get(name, Dataset())
