"""What is wrong with disks and clusters is said in one line, by real processes on a real file system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.workload import cluster
from ecg.archive.manifest import MANIFEST

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ecg":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def scan_on(mount: str, recordings: Path, folder: Path) -> tuple[int, str, list[str]]:
    """The status of a scan to a file system in memory, what it says, and the files that it leaves there."""
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    if os.getuid() != 0 or not allowed:
        pytest.skip("only root may mount, and not everywhere")
    folder.mkdir()
    then = 'mkdir "$0/out"; ' + mount + '; shift 0; "$@"; status=$?; find "$0/out" -type f; exit $status'
    script = 'mount -t tmpfs -o size=32k none "$0" && { ' + then + "; }"
    command = [sys.executable, "-m", "ecg", "scan", recordings, "--output", folder / "out", "--quiet"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, folder, *command], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr, [Path(line).name for line in done.stdout.splitlines()]


def test_a_full_disk_is_told_and_no_part_looks_finished(recordings: Path, tmp_path: Path) -> None:
    status, said, left = scan_on("true", recordings, tmp_path / "disk")
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith(f"error: [Errno 28] No space left on device: '{tmp_path}/disk/out/")
    assert MANIFEST not in left
    assert [name for name in left if name.startswith(".")] == []


def test_a_folder_that_may_not_be_written_to_is_told(recordings: Path, tmp_path: Path) -> None:
    status, said, left = scan_on('mount -o remount,ro "$0"', recordings, tmp_path / "disk")
    assert (status, left) == (1, [])
    assert said.startswith("error: [Errno 30] Read-only file system: ")


def test_a_worker_without_this_package_is_told_rather_than_waited_for(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    with cluster(tmp_path / "cluster", 1, PYTHONPATH=str(tmp_path)) as processes:
        command = [sys.executable, "-m", "ecg", "scan", recordings, "--output", tmp_path / "out", "--quiet"]
        done = subprocess.run(
            [*command, "--scheduler", processes.address], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "cannot read the work (ModuleNotFoundError" in done.stderr
    assert "install ecg-anomaly-detector[archive] of this version" in done.stderr
    assert not (tmp_path / "out").exists()
