"""A model's folder as what is sent to other processes: its files, so that no folder need be shared."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from ecg.files import read_bytes, sha256
from ecg.hearts.model import CALIBRATION, MODEL, SHIPPED, HeartModel


@dataclass(frozen=True)
class Files:
    """The content of a model's files, by their names."""

    content: Mapping[str, bytes]

    @classmethod
    def of(cls, folder: Path, *names: str) -> Self:
        """Read those files of a folder; InputError if one is missing."""
        return cls({name: read_bytes(folder / name) for name in names})

    @cached_property
    def sha256(self) -> dict[str, str]:
        """The SHA-256 of each file; computed once, as it is asked for with every input."""
        return {name: sha256(content) for name, content in self.content.items()}

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A temporary folder that holds them."""
        with tempfile.TemporaryDirectory(prefix="ecg-") as folder:
            for name, content in self.content.items():
                Path(folder, name).write_bytes(content)
            yield Path(folder)


class Hearts(Files):
    """The files of the model of normal hearts."""

    @classmethod
    def shipped(cls) -> Self:
        """Those that ship with the package."""
        return cls.of(SHIPPED, MODEL, CALIBRATION)

    def load(self) -> HeartModel:
        """The model."""
        with self.folder() as folder:
            return HeartModel.load(folder)
