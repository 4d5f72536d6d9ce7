"""An installation that cannot succeed ends before it begins, with what to do: `make install` and preinstall.py."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import preinstall
from tests.conftest import ROOT


def make_install(folder: Path, *programs: str, python: str = "") -> str:
    """What `make install` says where there are only these programs, and `python3` is this script; it has to fail."""
    (folder / "bin").mkdir()
    for name in ("sh", *programs):
        (folder / "bin" / name).symlink_to(shutil.which(name) or name)
    if python:
        (folder / "bin" / "python3").write_text(f"#!/bin/sh\n{python}\n")
        (folder / "bin" / "python3").chmod(0o755)
    command = [shutil.which("make") or "make", f"VENV={folder / 'venv'}", "install"]
    environment = {"PATH": str(folder / "bin")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert [path.name for path in folder.iterdir()] == ["bin"]
    return done.stderr


def test_without_git_nothing_is_installed(tmp_path: Path) -> None:
    assert "error: git is needed" in make_install(tmp_path, python="exit 0")


@pytest.mark.parametrize("python", ["", "exit 1"], ids=["none", "older"])
def test_without_a_python_that_is_new_enough_nothing_is_installed(tmp_path: Path, python: str) -> None:
    said = make_install(tmp_path, "git", python=python)
    assert "error: Python 3.11 or newer is needed, and python3 is none: make PYTHON=python3.11" in said


@pytest.mark.parametrize(
    ("free", "cpu", "stops"), [(20, False, False), (5, False, True), (5, True, False), (1, True, True)]
)
def test_too_little_disk_for_the_pytorch_that_will_come_stops_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free: int, cpu: bool, stops: bool
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)  # PyTorch is not here yet
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free * 1e9))
    monkeypatch.setattr(preinstall.sys, "platform", "linux")
    monkeypatch.delenv(preinstall.ANYWAY, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://example.org/whl/cpu" if cpu else "https://example.org/simple")
    if stops:
        with pytest.raises(SystemExit, match="not enough room"):
            preinstall.main()
        monkeypatch.setenv(preinstall.ANYWAY, "1")
    preinstall.main()
    said = capsys.readouterr().out
    assert f"0.4 GB to download, 3 GB on disk; {free} GB are free" in said
    assert ("PyTorch's CPU build is enough" in said) != cpu


def test_where_pytorch_is_there_no_room_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    preinstall.main()
    assert "Installing what is new" in capsys.readouterr().out
