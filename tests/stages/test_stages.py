"""What all stages have in common: one at a time, whole files or none, messages instead of tracebacks."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

import stages
from ecg.data.sources import PARTS
from stages import LOCK
from tests.conftest import ROOT, Run, ran, set_param


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


START = """
import atexit, runpy, sys
heavy = {"matplotlib", "onnx", "pandas", "pooch", "requests", "scipy", "sklearn", "torch"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
runpy.run_module("stages.STAGE", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("stage", "used"),
    [
        ("fetch", []),
        ("preprocess", []),
        ("train", ["onnx", "pandas", "requests", "torch"]),  # DVCLive brings pandas and requests
        ("calibrate", []),
        ("evaluate", ["matplotlib", "pandas", "scipy", "sklearn"]),
    ],
)
def test_a_stage_imports_only_what_it_uses_and_says_where_it_should_be_run(
    stage: str, used: list[str], run: Run, tmp_path: Path
) -> None:
    code = START.replace("STAGE", stage)
    output = run(tmp_path, sys.executable, "-c", code, fails=True, PYTHONPATH=str(ROOT))
    error = f"error: {tmp_path} is not the root of the repository: run the stages from there\n"
    assert output == f"{error}{used}\n"
    assert not list(tmp_path.iterdir())


def test_data_may_be_a_link_to_another_disk(clone: Path, run: Run, tmp_path: Path) -> None:
    before = files(clone / "data" / "processed")
    elsewhere = (clone / "data").rename(tmp_path / "data")
    (clone / "data").symlink_to(elsewhere)
    shutil.rmtree(elsewhere / "processed")
    try:
        run(clone, "python", "-m", "stages.preprocess")
        assert files(clone / "data" / "processed") == before
        shutil.rmtree(elsewhere / "processed")
        # DVC looks for a .gitignore beside what it keeps, and takes none outside the repository.
        run(clone, "dvc", "config", "--local", "core.no_scm", "true")
        assert ran(run(clone, "dvc", "repro", "--force", "--single-item", "preprocess")) == ["preprocess"]
        assert (clone / "data").is_symlink()
        assert files(elsewhere / "processed") == before
    finally:
        (clone / "data").unlink()
        elsewhere.rename(clone / "data")


def test_a_stage_says_what_a_link_to_another_disk_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    (repository / ".dvc" / "tmp").mkdir(parents=True)
    monkeypatch.chdir(repository)
    stages.run(lambda: None)
    assert capsys.readouterr().err == ""
    (elsewhere / "data" / "raw").mkdir(parents=True)
    (repository / "data").symlink_to(elsewhere / "data")
    stages.run(lambda: None)
    said = capsys.readouterr().err
    assert f"data/raw is a link out of the repository, to {elsewhere / 'data' / 'raw'}: " in said
    assert "`dvc config --local core.no_scm true`" in said
    (repository / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    stages.run(lambda: None)
    assert capsys.readouterr().err == ""


def test_git_ignores_links_in_place_of_what_it_ignores(clone: Path, run: Run, tmp_path: Path) -> None:
    for name in (".venv", ".venv-peers"):
        (clone / name).symlink_to(tmp_path)
    assert run(clone, "git", "status", "--porcelain") == ""
    for name in (".venv", ".venv-peers"):
        (clone / name).unlink()


def limited(clone: Path, stage: str, environment: dict[str, str], size: int) -> str:
    """What a stage says that may not write files above a size, as if the disk were full."""
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert done.returncode == 1
    return done.stderr


def test_a_pair_that_cannot_be_written_whole_leaves_the_old_pair(
    clone: Path, raw: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The new TRAIN file would find room, the new TEST file does not."""
    for part in PARTS:
        shutil.copy(raw / f"ECG5000_{part}.tsv", tmp_path)
    set_param(clone, "fetch", "folder", str(tmp_path))
    set_param(clone, "fetch", "sources", ["."])
    for part in PARTS:
        (clone / "data" / "raw" / f"ECG5000_{part}.tsv").unlink()  # it may be a link into DVC's cache
        (clone / "data" / "raw" / f"ECG5000_{part}.tsv").write_text("good and old\n")
    before = files(clone / "data" / "raw")
    output = limited(clone, "fetch", environment, 1_000_000)
    assert output == "error: [Errno 27] File too large: 'data/raw/ECG5000_TEST.tsv'\n"
    assert files(clone / "data" / "raw") == before


def test_a_file_for_which_there_is_no_room_is_named_and_the_old_one_stays(
    clone: Path, environment: dict[str, str]
) -> None:
    before = files(clone / "data" / "processed")
    output = limited(clone, "preprocess", environment, 1_000_000)
    assert output == "error: [Errno 27] File too large: 'data/processed/test.npz'\n"
    assert files(clone / "data" / "processed") == before


def test_a_read_only_folder_is_reported(clone: Path, environment: dict[str, str]) -> None:
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
