"""Where a model comes from: what stands beside it in provenance.json, and the commit that git knows.

Only what is alike in equal builds may stand in a file that DVC tracks. A commit cannot: the file's hash is part of it.
It is found the other way round, by the hash in dvc.lock. Nor can the version of Python, which changes no result.
"""

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg.data.datasets import remembered
from ecg.detector.detector import CALIBRATION
from ecg.detector.model import MODEL
from ecg.exceptions import InputError
from ecg.files import FLOAT64_DIGITS, md5, read_bytes, read_json, rounded, sha256, write_json
from ecg.schema import Strict, check

if TYPE_CHECKING:  # it knows the architectures, which whoever only asks need not have
    from ecg.params import Params

PROVENANCE = "provenance.json"
PACKAGES = ("matplotlib", "numpy", "onnx", "onnxruntime", "safetensors", "scipy", "torch")  # they decide bytes


class Provenance(Strict):
    """What made a model, and what came of it.

    params : the sections of params.yaml, of `models` that of the trained architecture; not where beats were
        fetched
    data : SHA-256 of each file of raw beats, by its name
    model : SHA-256 of the ONNX file and its calibration, by their names
    packages : the versions of the packages that decide what comes out
    beats : how many of each class there were to fit and to test, by its name
    metrics : what the evaluation found
    intervals : the 95% intervals of some of them, as metrics/intervals.json has them
    """

    params: dict[str, Any]
    data: dict[str, str]
    model: dict[str, str]
    packages: dict[str, str]
    beats: dict[str, dict[str, int]]
    metrics: dict[str, int | float]
    intervals: dict[str, dict[str, float]]

    @classmethod
    def of(
        cls,
        folder: Path,
        settings: "Params",
        data: Iterable[Path],
        beats: Mapping[str, Mapping[str, int]],
        metrics: Mapping[str, float],
        intervals: Mapping[str, Mapping[str, float]],
    ) -> "Provenance":
        """Of the model in `folder`, which these settings made of these raw beats in this environment."""
        return cls(
            params=_chosen(settings),
            data={path.name: _sha256(path) for path in data},
            model={name: sha256(read_bytes(folder / name)) for name in (MODEL, CALIBRATION)},
            packages={name: version for name in PACKAGES if (version := installed(name))},
            beats={part: dict(counts) for part, counts in beats.items()},
            metrics=rounded(metrics),
            intervals=rounded(intervals),
        )

    def save(self, folder: Path) -> None:
        """Write provenance.json beside the model, the parameters to their last digit."""
        write_json(folder / PROVENANCE, self.model_dump(), FLOAT64_DIGITS)

    @classmethod
    def load(cls, folder: Path) -> "Provenance":
        """Read what `save` wrote; InputError if it is anything else, or if it is about other files than those here."""
        path = folder / PROVENANCE
        provenance = check(cls, read_json(path), str(path))
        for name, expected in provenance.model.items():
            if sha256(read_bytes(folder / name)) != expected:
                raise InputError(f"{folder / name} is not the file that {path} tells of; run `dvc repro`")
        return provenance


def installed(package: str) -> str | None:
    """The version of a package here, without the mark of CPU or CUDA builds; None if it is not installed."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def recorded_by(folder: Path) -> str | None:
    """The commit, as "hash date", whose dvc.lock first told of the model in `folder`.

    None if there is none, be it that the model is not committed or that this is no git repository.
    """
    for history in ("HEAD", "--all"):  # experiments are on no branch
        commits = _git(
            folder,
            "log",
            history,
            "--reverse",
            "--format=%H %cs",
            "-S",
            md5(folder / PROVENANCE),
            "--",
            ":(top)dvc.lock",
        )
        if commits:
            return commits.splitlines()[0]
    return None


def _sha256(path: Path) -> str:
    """The hash of a file that may be larger than memory."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; `dvc repro` makes it") from None


def _chosen(settings: "Params") -> dict[str, Any]:
    fetch: dict[str, Any] = {"dataset": settings.fetch.dataset}
    if settings.fetch.source == "recording":
        fetch |= {"source": "recording", "recording": remembered(settings.fetch.recording.model_dump())}
    model = settings.train.model
    return settings.model_dump() | {"fetch": fetch, "models": {model: settings.models[model]}}


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        ).stdout.strip()
    except OSError:  # there is no git
        return ""
