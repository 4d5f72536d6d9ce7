"""Each room of ecg/ imports from those below it alone: `lint-imports` here, and in copies that break a rule."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ARROWS = "Arrows between rooms go one way"
CIRCLES = "No module imports one that imports it"
PIPELINE = "The package knows neither its pipeline nor its benchmarks and tests"
SHIPS = "What ships does without what makes it"
TORCH = "Only what trains needs torch, and what exports from it"


def broken(folder: Path) -> set[str]:
    """The contracts that the package in a folder breaks."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    ended = [line.rpartition(" ") for line in done.stdout.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert {name for name, *_ in ended} == {ARROWS, CIRCLES, PIPELINE, SHIPS, TORCH}, done.stdout + done.stderr
    found = {name for name, _, state in ended if state == "BROKEN"}
    assert done.returncode == bool(found)
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package."""
    shutil.copytree(ROOT / "ecg", tmp_path / "ecg", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_arrow_goes_down() -> None:
    assert broken(ROOT) == set()


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("data/beats.py", "from ecg.cli import main", ARROWS),
        ("data/beats.py", "def late(): from ecg.detector import model", ARROWS),  # a function hides nothing
        ("params.py", "from ecg.data import beats", ARROWS),
        ("service/middleware.py", "from ecg.dashboard import start", ARROWS),
        ("detector/verdicts.py", "from ecg.detector import detector", CIRCLES),
        ("detector/model.py", "from ecg.recordings import classes", SHIPS),
        ("evaluation/card.py", "import torch", TORCH),
        ("scanning/scan.py", "from ecg.training import fitting", TORCH),  # which imports it
        ("hearts/context.py", "from ecg.scanning import records", ARROWS),
        ("hearts/model.py", "from ecg.models import layers", TORCH),  # what ships of it
        ("data/sources.py", "import stages.fetch", PIPELINE),
        ("hearts/model.py", "from hearts import train", PIPELINE),
        ("training/fitting.py", "from benchmarks import speed", PIPELINE),
    ],
)
def test_what_breaks_a_rule_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    with (copy / "ecg" / module).open("a") as file:
        file.write(f"\n{line}\n")
    assert contract in broken(copy)


def test_a_module_outside_a_room_is_found(copy: Path) -> None:
    (copy / "ecg" / "stray.py").touch()
    assert broken(copy) == {ARROWS}
