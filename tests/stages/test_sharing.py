"""What goes from one clone to another: by git, by remotes, through a shared cache, from the registry."""

import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecg.data import beats
from ecg.detector.detector import Detector
from tests.conftest import STAGES, Run, ran, set_param

ARTIFACT = "ecg-anomaly-detector"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


def clone_of(repository: Path, folder: Path, run: Run) -> Path:
    run(folder.parent, "git", "clone", "--quiet", str(repository), str(folder))
    return folder


def commit(folder: Path, run: Run, message: str) -> None:
    run(folder, "git", "commit", "--quiet", "--all", "--message", message)


def test_revisions_are_compared_without_cache_and_remote(clone: Path, run: Run, tmp_path: Path) -> None:
    run(clone, "git", "checkout", "--quiet", "-b", "wider")
    set_param(clone, "calibrate", "alpha", 0.1)
    run(clone, "dvc", "repro")
    commit(clone, run, "A larger alpha")
    run(clone, "git", "tag", "v2")
    run(clone, "dvc", "exp", "run", "--name", "widest", "-S", "calibrate.alpha=0.2")
    run(clone, "git", "checkout", "--quiet", "--force", "work")

    stranger = clone_of(clone, tmp_path / "stranger", run)
    run(stranger, "dvc", "exp", "pull", "--no-cache", "origin", "--rev", "origin/wider")
    for new, alpha in [("wider", 0.1), ("v2", 0.1), ("widest", 0.2)]:  # a branch, a tag, an experiment
        metrics = json.loads(run(stranger, "dvc", "metrics", "diff", "work", new, "--json"))["metrics/evaluate.json"]
        assert metrics["false_positive_rate"]["diff"] > 0
        assert "auc" not in metrics
        params = json.loads(run(stranger, "dvc", "params", "diff", "work", new, "--json"))["params.yaml"]
        assert params == {"calibrate.alpha": {"old": 0.05, "new": alpha, "diff": pytest.approx(alpha - 0.05)}}
    output = run(stranger, "dvc", "plots", "diff", "work", "widest", "--out", tmp_path / "plots")
    assert "failed" not in output
    page = (tmp_path / "plots" / "index.html").read_text()
    assert page.count("<img") >= 4
    assert '<section id="results">' in page  # our own
    assert not (stranger / "models").exists()
    assert not (stranger / ".dvc" / "cache").exists()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of an OpenSSH server of our own, and the key that it lets in."""
    if SSHD is None:
        pytest.skip("needs OpenSSH's server: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PasswordAuthentication": "no",
        "PidFile": "none",
        "StrictModes": "no",  # the folder's parents belong to everybody
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a server that root starts wants to be locked up
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=log)
        try:
            wait_until_it_listens(server, port, folder / "log")
            (folder / "store").mkdir()
            yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder / 'store'}", folder / "user"
        finally:
            server.terminate()
            server.wait()


def wait_until_it_listens(server: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(100):
        assert server.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def pushed_and_pulled(clone: Path, stranger: Path, run: Run) -> None:
    """Push from one, pull into the other, and see that nothing is left to run there."""
    assert "pushed" in run(clone, "dvc", "push")
    assert "fetched" in run(stranger, "dvc", "pull")
    assert ran(run(stranger, "dvc", "repro")) == []
    assert "up to date" in run(stranger, "dvc", "status", *STAGES)
    assert run(stranger, "git", "status", "--porcelain") == ""
    for path in sorted((clone / "models").iterdir()):
        assert (stranger / "models" / path.name).read_bytes() == path.read_bytes()


def test_a_folder_is_pushed_to_and_pulled_from(clone: Path, run: Run, tmp_path: Path) -> None:
    run(clone, "dvc", "remote", "add", "--default", "storage", tmp_path / "storage")
    commit(clone, run, "Where data and models are")
    pushed_and_pulled(clone, clone_of(clone, tmp_path / "stranger", run), run)


def test_a_server_is_pushed_to_and_pulled_from_by_ssh(
    clone: Path, run: Run, tmp_path: Path, ssh: tuple[str, Path]
) -> None:
    address, key = ssh
    run(clone, "dvc", "remote", "add", "--default", "storage", address)
    commit(clone, run, "Where data and models are")
    stranger = clone_of(clone, tmp_path / "stranger", run)
    for folder in (clone, stranger):  # a key is each person's own
        run(folder, "dvc", "remote", "modify", "--local", "storage", "keyfile", key)
    pushed_and_pulled(clone, stranger, run)


def test_clones_share_a_cache(clone: Path, run: Run, tmp_path: Path) -> None:
    one, other = (clone_of(clone, tmp_path / name, run) for name in ("one", "other"))
    shutil.copytree(clone / ".dvc" / "cache", tmp_path / "cache")
    for folder in (one, other):
        run(folder, "dvc", "cache", "dir", "--local", tmp_path / "cache")
        run(folder, "dvc", "config", "--local", "cache.type", "symlink")
        run(folder, "dvc", "checkout")
        assert ran(run(folder, "dvc", "repro")) == []
    assert (other / "models" / "calibration.json").is_symlink()
    before = (other / "models" / "calibration.json").read_bytes()
    run(one, "dvc", "exp", "run", "-S", "calibrate.alpha=0.1")
    assert (one / "models" / "calibration.json").read_bytes() != before
    assert (other / "models" / "calibration.json").read_bytes() == before  # nothing was written through a link
    for path in (tmp_path / "cache" / "files" / "md5").glob("*/*"):
        if path.suffix != ".dir":
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            assert md5 == path.parent.name + path.name


@pytest.fixture
def registry(clone: Path, run: Run, tmp_path: Path) -> Path:
    """A repository that has registered two versions of the detector, the second with a larger alpha."""
    run(clone, "dvc", "remote", "add", "--default", "storage", tmp_path / "storage")
    commit(clone, run, "Where data and models are")
    for version, alpha in [("v1.0.0", 0.05), ("v1.1.0", 0.1)]:
        set_param(clone, "calibrate", "alpha", alpha)
        run(clone, "dvc", "repro")
        commit(clone, run, f"alpha {alpha}")
        run(clone, "dvc", "push")
        run(clone, "gto", "register", ARTIFACT, "--version", version)
    run(clone, "gto", "assign", ARTIFACT, "--version", "v1.0.0", "--stage", "prod")
    published = clone_of(clone, tmp_path / "published", run)
    for tag in run(clone, "git", "tag", "--list", f"{ARTIFACT}*").split():
        run(clone, "git", "tag", "--delete", tag)
    return published


def test_another_project_takes_the_detector_from_the_registry(
    registry: Path, clone: Path, run: Run, tmp_path: Path
) -> None:
    assert "v1.1.0" in run(registry, "gto", "show")
    other = tmp_path / "other"
    other.mkdir()
    run(other, "git", "init", "--quiet")
    run(other, "dvc", "init", "--quiet")
    first = f"{ARTIFACT}@v1.0.0"
    run(other, "dvc", "artifacts", "get", registry, ARTIFACT, "--out", "latest")
    run(other, "dvc", "artifacts", "get", registry, ARTIFACT, "--rev", "v1.0.0", "--out", "first")
    run(other, "dvc", "artifacts", "get", registry, ARTIFACT, "--stage", "prod", "--out", "prod")
    run(other, "dvc", "get", registry, "models", "--rev", first, "--out", "got")
    run(other, "dvc", "import", registry, "models", "--rev", first, "--out", "imported")
    alphas = {
        name: Detector.load(other / name).calibration.alpha for name in ("latest", "first", "prod", "got", "imported")
    }
    assert alphas == {"latest": 0.1, "first": 0.05, "prod": 0.05, "got": 0.05, "imported": 0.05}

    run(other, "dvc", "update", "imported.dvc", "--rev", f"{ARTIFACT}@v1.1.0")
    assert Detector.load(other / "imported").calibration.alpha == 0.1

    code = f"import dvc.api; print(dvc.api.read('models/calibration.json', repo={str(registry)!r}, rev={first!r}))"
    assert json.loads(run(other, "python", "-c", code))["alpha"] == 0.05

    test = beats.load(clone / "data" / "processed" / "test.npz").samples[:100]
    theirs, ours = (Detector.load(folder).score(test) for folder in (other / "latest", clone / "models"))
    np.testing.assert_array_equal(theirs.anomalous, ours.anomalous)
    np.testing.assert_array_equal(theirs.score, ours.score)


def test_the_artifact_says_what_it_is(clone: Path) -> None:
    artifact = yaml.safe_load((clone / "dvc.yaml").read_text())["artifacts"][ARTIFACT]
    assert artifact["type"] == "model"
    assert artifact["path"] == "models"
    assert "not a medical device" in artifact["desc"]
    assert "ecg" in artifact["labels"]
