"""The command `ecg scan`, as the tests of scans run it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT
from tests.hearts.conftest import shape, toy_heart  # noqa: F401 - fixtures of hearts that are made


def scan_command(folder: Path, arguments: Sequence[object], *, text: bool = False) -> subprocess.CompletedProcess:
    """Run `ecg scan` in a folder; what it prints is bytes, or text."""
    return ecg_command(folder, ["scan", *arguments], text=text)


def ecg_command(folder: Path, arguments: Sequence[object], *, text: bool = False) -> subprocess.CompletedProcess:
    """Run `ecg` in a folder; what it prints is bytes, or text."""
    return subprocess.run(
        [sys.executable, "-m", "ecg", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=text,
        check=False,
    )
