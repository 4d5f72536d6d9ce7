"""The provenance of a model: provenance.json beside it, and the commit in git.

A file that DVC tracks may only hold what is equal in equal builds. It cannot hold the commit, which contains the file's
own hash: `recorded_by` finds the commit by that hash in dvc.lock. The version of Python is left out, because it changes
no result.
"""

import hashlib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, run
from typing import TYPE_CHECKING, Any

from ecg.data.datasets import recording_metadata
from ecg.detector.detector import CALIBRATION
from ecg.detector.model import MODEL
from ecg.exceptions import InputError
from ecg.files import FLOAT64_DIGITS, md5, read_bytes, read_json, rounded, sha256, write_json
from ecg.schema import Strict, check

if TYPE_CHECKING:  # it imports the architectures, which reading a provenance does not need
    from ecg.params import Params

PROVENANCE = "provenance.json"
# The packages whose versions may change the bytes of an output
PACKAGES = ("matplotlib", "numpy", "onnx", "onnxruntime", "pandas", "safetensors", "scikit-learn", "scipy", "torch")


class Provenance(Strict):
    """The data, parameters and packages that made a model, and its metrics."""

    # The sections of params.yaml; of `models` the trained architecture, of `fetch` the dataset without its sources
    params: dict[str, Any]
    data: dict[str, str]  # the SHA-256 of each file of raw beats, by file name
    model: dict[str, str]  # the SHA-256 of the ONNX file and of its calibration, by file name
    packages: dict[str, str]  # the versions of the packages in `PACKAGES`
    beats: dict[str, dict[str, int]]  # how many beats of each class the parts `fit` and `test` have
    metrics: dict[str, int | float]  # as in metrics/evaluate.json and metrics/details.json
    intervals: dict[str, dict[str, float]]  # the 95% intervals, as in metrics/intervals.json

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
        """The provenance of the model in `folder`, made from these settings and raw beats in this environment."""
        return cls(
            params=_params(settings),
            data={path.name: _sha256(path) for path in data},
            model={name: sha256(read_bytes(folder / name)) for name in (MODEL, CALIBRATION)},
            packages={name: version for name in PACKAGES if (version := installed(name))},
            beats={part: dict(counts) for part, counts in beats.items()},
            metrics=rounded(metrics),
            intervals=rounded(intervals),
        )

    def save(self, folder: Path) -> None:
        """Write provenance.json beside the model, the parameters in full precision."""
        write_json(folder / PROVENANCE, self.model_dump(), FLOAT64_DIGITS)

    @classmethod
    def load(cls, folder: Path) -> "Provenance":
        """Read provenance.json; InputError if it is invalid, or if it describes other files than those in `folder`."""
        path = folder / PROVENANCE
        provenance = check(cls, read_json(path), str(path))
        if set(provenance.model) != {MODEL, CALIBRATION}:
            raise InputError(f"{path}: model should name {MODEL} and {CALIBRATION}; run `dvc repro`")
        for name, expected in provenance.model.items():
            if sha256(read_bytes(folder / name)) != expected:
                raise InputError(f"{folder / name} is not the file that {path} describes; run `dvc repro`")
        return provenance


def installed(package: str) -> str | None:
    """The installed version of a package, without the suffix of CPU or CUDA builds; None if it is not installed."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def recorded_by(folder: Path) -> str | None:
    """The first commit, as "hash date", whose dvc.lock contains the model in `folder`.

    None if the model is not committed, or if this is not a git repository.
    """
    for history in ("HEAD", "--all"):  # experiments are on no branch
        added = ["-S", md5(folder / PROVENANCE), "--", ":(top)dvc.lock"]
        commits = _git(folder, "log", history, "--reverse", "--format=%H %cs", *added)
        if commits:
            return commits.splitlines()[0]
    return None


def _sha256(path: Path) -> str:
    """The SHA-256 of a file, which may be larger than memory."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; `dvc repro` makes it") from None


def _params(settings: "Params") -> dict[str, Any]:
    fetch: dict[str, Any] = {"dataset": settings.fetch.dataset}
    if settings.fetch.source == "recording":
        fetch |= {"source": "recording", "recording": recording_metadata(settings.fetch.recording.model_dump())}
    model = settings.train.model
    return settings.model_dump() | {"fetch": fetch, "models": {model: settings.models[model]}}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return run(command, stdout=PIPE, stderr=DEVNULL, text=True, check=False).stdout.strip()
    except OSError:  # there is no git
        return ""
