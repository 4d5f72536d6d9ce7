"""Two runs of a pipeline at once in one clone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

DVC = [str(Path(sys.executable).with_name("dvc")), "repro"]
WAITING = [sys.executable, "-m", "stages"]
PIPELINE = """
stages:
  slow:
    cmd: echo ran >> ran.log && until [ -e go ]; do sleep 0.05; done && echo done > slow.txt
    outs: [slow.txt]
  last:
    cmd: cp slow.txt last.txt
    deps: [slow.txt]
    outs: [last.txt]
"""


@pytest.fixture
def pipeline(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A pipeline of two stages, the first of which takes until there is a file named go."""
    subprocess.run([DVC[0], "init", "--quiet", "--no-scm"], cwd=tmp_path, env=environment, check=True, timeout=60)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    return tmp_path


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_it_runs(folder: Path) -> None:
    for _ in range(1200):
        if (folder / "ran.log").exists():
            return
        time.sleep(0.05)
    raise AssertionError("no stage has begun")


@pytest.mark.parametrize("first", [WAITING, DVC], ids=["python -m stages", "dvc repro"])
def test_the_second_run_waits_for_the_first_and_finds_its_work_done(
    first: list[str], pipeline: Path, environment: dict[str, str]
) -> None:
    with running(first, pipeline, environment) as one:
        wait_until_it_runs(pipeline)
        with running(WAITING, pipeline, environment) as other:
            assert "waiting for" in other.stdout.readline()
            (pipeline / "go").touch()
            printed = other.communicate(timeout=120)[0]
            assert other.returncode == 0, printed
        assert one.wait(60) == 0
    assert (pipeline / "ran.log").read_text() == "ran\n"
    assert (pipeline / "last.txt").read_text() == "done\n"


def test_without_waiting_the_second_run_names_the_process_that_is_at_work(
    pipeline: Path, environment: dict[str, str]
) -> None:
    with running(WAITING, pipeline, environment) as one:
        wait_until_it_runs(pipeline)
        with running(DVC, pipeline, environment) as other:
            printed = other.communicate(timeout=120)[0]
            assert other.returncode != 0
        assert "is busy, it is being blocked by" in printed
        (pipeline / "go").touch()
        assert one.wait(60) == 0


def test_an_error_of_a_stage_is_not_taken_for_another_run(pipeline: Path, environment: dict[str, str]) -> None:
    (pipeline / "dvc.yaml").write_text("stages:\n  fails:\n    cmd: echo ran >> ran.log && exit 3\n")
    with running(WAITING, pipeline, environment) as run:
        printed = run.communicate(timeout=120)[0]
    assert run.returncode != 0
    assert "failed to run" in printed
    assert (pipeline / "ran.log").read_text() == "ran\n"
