"""The command `ecg scan`, as the tests of scans run it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests import forked
from tests.hearts.conftest import shape, toy_heart  # noqa: F401 - fixtures of hearts that are made


def scan_command(folder: Path, arguments: Sequence[object], *, text: bool = False) -> subprocess.CompletedProcess:
    """Run `ecg scan` in a folder; what it prints is bytes, or text."""
    return ecg_command(folder, ["scan", *arguments], text=text)


def ecg_command(folder: Path, arguments: Sequence[object], *, text: bool = False) -> subprocess.CompletedProcess:
    """Run `ecg` in a folder; what it prints is bytes, or text."""
    done = forked.ecg(arguments, folder, os.environ)
    if text:
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done
