"""What all stages have in common: one at a time, whole files or none, messages instead of tracebacks."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from stages import LOCK
from tests.conftest import Run


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stage_waits_for_another_that_is_still_at_work(clone: Path, environment: dict[str, str]) -> None:
    before = files(clone / "models")
    (clone / "models" / "calibration.json").unlink()
    with FileLock(clone / LOCK):
        command = [sys.executable, "-m", "stages.calibrate"]
        stage = subprocess.Popen(command, cwd=clone, env=environment, stderr=subprocess.PIPE, text=True)
        assert stage.stderr is not None
        assert stage.stderr.readline() == "waiting for another stage that is still at work here\n"
        time.sleep(0.5)
        assert stage.poll() is None
        assert not (clone / "models" / "calibration.json").exists()
    assert stage.communicate()[1] == ""
    assert files(clone / "models") == before


def test_what_a_killed_stage_left_half_written_is_removed(clone: Path, run: Run) -> None:
    half = [clone / folder / ".x.json.k2a.partial" for folder in ("data/processed", "models", "metrics", "plots")]
    for path in half:
        path.write_text("{")
    run(clone, "python", "-m", "stages.calibrate")
    assert not any(path.exists() for path in half)
    assert run(clone, "git", "status", "--porcelain") == ""


def test_a_file_for_which_there_is_no_room_is_named_and_the_old_one_stays(
    clone: Path, environment: dict[str, str]
) -> None:
    before = files(clone / "data" / "processed")
    done = subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 27] File too large: 'data/processed/test.npz'\n"
    assert files(clone / "data" / "processed") == before


def test_a_read_only_folder_is_told(clone: Path, environment: dict[str, str]) -> None:
    """Root may write anywhere but on a file system that is mounted read-only."""
    before = files(clone / "data" / "raw")
    stage, folder = [sys.executable, "-m", "stages.fetch"], clone / "data" / "raw"
    if os.getuid() == 0:
        mount = 'mount --bind data data && mount -o remount,ro,bind data && exec "$@"'
        stage = ["unshare", "--mount", "sh", "-c", mount, "sh", *stage]
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
            pytest.skip("root may write anywhere, and may not mount here")
    folder.chmod(0o555)
    try:
        done = subprocess.run(stage, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.startswith("error: [Errno ")
    assert "data/raw/ECG5000_TRAIN.tsv" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(folder) == before
