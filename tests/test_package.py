"""The package as it is installed: what `import ecg` gives and brings, and what a command says that lacks an extra."""

import os
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import edfio
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ecg
from tests.conftest import ROOT

NAME = "ecg-anomaly-detector"
COMMANDS = ("score", "explain", "scan", "info", "serve", "dashboard")


def python(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter outside the repository."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ecg.__all__)
def test_what_is_public_is_there_and_says_what_it_is(name: str) -> None:
    public = getattr(ecg, name)
    assert public.__name__ == name
    assert public is getattr(import_module(public.__module__), name)
    assert public.__doc__
    assert name in dir(ecg)


def test_nothing_else_is_public() -> None:
    with pytest.raises(AttributeError, match="no attribute 'thresholds_of'"):
        _ = ecg.thresholds_of


def test_importing_it_brings_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = (
        "import sys; before = {*sys.modules}; import ecg; print(*{name.split('.')[0] for name in sys.modules} - before)"
    )
    done = python(tmp_path, "-c", code)
    assert set(done.stdout.split()) - sys.stdlib_module_names == {"ecg"}, done.stderr


def test_opening_a_model_leaves_nothing_in_the_home_folder(shipped: Path, tmp_path: Path) -> None:
    """ONNX Runtime stores a device number and a list of models there for its manufacturer, unless telemetry is off."""
    code = "import sys; from ecg import Detector; print(Detector.load(sys.argv[1]).length)"
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", code, str(shipped)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"HOME": str(home)}, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "140\n"
    assert not list(home.rglob("*"))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_its_help(tmp_path: Path, command: str) -> None:
    done = python(tmp_path, "-m", "ecg", *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ecg {command}".rstrip())
    assert command or all(re.search(rf"^  {name}\s", done.stdout, re.MULTILINE) for name in COMMANDS)


RUN_WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from ecg.cli.main import main
main()
"""
SCAN = "scan lead.csv --rate 360"


@pytest.fixture
def folder(shipped: Path, toy: np.ndarray) -> Path:
    """A folder with a model, a beat and recordings; the empty ones are opened by what can read such."""
    np.savetxt(shipped.parent / "beats.csv", toy[None, :140], delimiter=",")
    np.save(shipped.parent / "beats.npy", toy[None, :140])
    np.savetxt(shipped.parent / "lead.csv", toy, "%.4f", header="II", comments="")
    edfio.Edf([edfio.EdfSignal(toy, 360, label="ECG")]).write(shipped.parent / "lead.edf")
    for name in ("lead.hea", "beats.parquet"):
        (shipped.parent / name).touch()
    return shipped.parent


def run_without(packages: set[str], folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as if these packages were not installed."""
    return python(folder, "-c", RUN_WITHOUT.format(packages=packages), *command.split())


@pytest.mark.parametrize(
    ("extra", "package", "command", "purpose"),
    [
        ("service", "uvicorn", "serve", "the service"),
        ("service", "fastapi", "serve", "the service"),
        ("dashboard", "streamlit", "dashboard", "the dashboard"),
        ("recordings", "scipy", SCAN, "reading recordings"),
        ("recordings", "pandas", SCAN, ".+"),
        ("recordings", "wfdb", "scan lead.hea", ".+"),
        ("recordings", "edfio", "scan lead.edf", ".+"),
        ("recordings", "vl_convert", f"{SCAN} --report report", "the report"),
        ("recordings", "matplotlib", "explain beats.csv --output why.png", "drawing"),
        ("tables", "pyarrow", "explain beats.csv", "reading CSV and TSV files"),
        ("tables", "pyarrow", "explain beats.parquet", "reading Parquet files"),
        ("tables", "pyarrow", "score beats.npy", "writing tables"),
    ],
)
@pytest.mark.slow
def test_a_command_that_lacks_an_extra_names_it(
    folder: Path, extra: str, package: str, command: str, purpose: str
) -> None:
    done = run_without({package}, folder, f"{command}")
    printed = rf"error: {purpose} needs {package}: pip install '{NAME}\[{extra}\]'\n"
    assert re.fullmatch(printed, done.stderr), done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["explain beats.npy", "info --help"])
def test_the_base_does_without_every_extra(folder: Path, command: str) -> None:
    extras = metadata.metadata(NAME).get_all("Provides-Extra") or []
    brought = set().union(*(brought_by(extra) for extra in extras)) - brought_by("")
    assert {"torch", "scipy", "fastapi", "streamlit", "pytest"} < brought
    done = run_without({name.replace("-", "_") for name in brought}, folder, command)
    assert done.returncode == 0, done.stderr


def brought_by(extra: str, name: str = NAME) -> set[str]:
    """The packages that one needs with an extra, by their canonical names."""
    requirements = map(Requirement, metadata.requires(name) or [])
    return {canonicalize_name(r.name) for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})}


def test_a_service_without_a_model_ends_with_one_line(tmp_path: Path) -> None:
    done = python(tmp_path, "-m", "ecg", "serve", "--port", "0")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"error: models/autoencoder.onnx is missing.*\n", done.stderr)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
@pytest.mark.parametrize("command", ["serve", "dashboard"])
def test_an_invalid_port_is_wrong_usage(tmp_path: Path, command: str, port: str) -> None:
    done = python(tmp_path, "-m", "ecg", command, "--port", port)
    assert done.returncode == 2
    assert "Invalid value for '--port'" in done.stderr


def pinned(file: str) -> dict[str, str]:
    """The version of each package that a file of requirements pins for this Python, by canonical name."""
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / file).read_text(), re.MULTILINE)
    here = [found for line in lines if not (found := Requirement(line)).marker or found.marker.evaluate()]
    return {canonicalize_name(found.name): str(found.specifier).removeprefix("==") for found in here}


def closure(*extras: str) -> set[str]:
    """All packages that this one needs with these extras, by their canonical names."""
    found, new = {NAME}, set().union(*(brought_by(extra) for extra in ("", *extras))) - {NAME}
    while new:
        found |= new
        new = set().union(*(brought_by("", name) for name in new)) - found
    return found - {NAME}


def test_everything_that_is_installed_for_it_is_pinned() -> None:
    pins = pinned("constraints.txt")
    extras = metadata.metadata(NAME).get_all("Provides-Extra") or []
    here = {name: metadata.version(name).partition("+")[0] for name in closure(*extras)}
    assert len(here) > 100
    assert {name: pins.get(name) for name in here} == here


def test_all_that_the_service_needs_is_pinned_as_elsewhere_and_with_hashes() -> None:
    service, pins = pinned("requirements-service.txt"), pinned("constraints.txt")
    assert closure("service") <= set(service)
    assert service == {name: pins.get(name) for name in service}
    text = (ROOT / "requirements-service.txt").read_text()
    entries = re.split(r"\n(?=\w)", text)[1:]
    assert len(entries) >= len(service)  # some are for other systems
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)
    assert "://" not in text  # the same for everybody, wherever they get their packages


def test_the_image_installs_nothing_but_those() -> None:
    instructions = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    installations = re.findall(r"pip --python \S+ install (.*)", instructions)
    assert [re.sub(r"--no-cache-dir ", "", line) for line in installations] == [
        "--require-hashes --requirement requirements-service.txt",
        "--no-deps .",
    ]
