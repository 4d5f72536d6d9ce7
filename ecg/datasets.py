"""What is known of a dataset beyond its bytes: the hashes of its files, the names of its classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dataset:
    """hashes : SHA-256 of the canonical TRAIN and TEST text; classes : the name of each class, for people."""

    hashes: tuple[str, str] | None = None
    classes: Mapping[int, str] = field(default_factory=dict)

    def class_name(self, label: int) -> str:
        """The class's name in a title."""
        return self.classes.get(label, f"class {label}")

    def class_key(self, label: int) -> str:
        """The class's name in a metric's: lower case, underscores."""
        return re.sub(r"\W+", "_", self.class_name(label).replace(" -", " minus ")).lower()


_KNOWN = {
    "ECG5000": Dataset(
        hashes=(
            "df86ac15d7e283e731db6be7865f5004b65bc639014cb8b9753c26e24a9092a1",
            "0192997dd1793880633bfb34ae3ad5129c09a8e0f210c469225451b92cdd8548",
        ),
        classes={1: "normal", 2: "R-on-T PVC", 3: "PVC", 4: "SP or EB", 5: "unclassified"},
    ),
}


def known(name: str) -> Dataset:
    """What is known of the dataset `name`; an empty record if it is a stranger."""
    return _KNOWN.get(name, Dataset())
