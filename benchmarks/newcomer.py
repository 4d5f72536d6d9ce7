"""The first minutes of a newcomer, by the clock: `python -m benchmarks.newcomer`.

Everything happens in a temporary folder, with an empty home and with no environment variables but those that let pip
reach its index, so that nothing is there yet: no cache, no settings, no virtual environment.

- reproduce: `git clone`, then `make repro`, until the figures are there
- dashboard: `make dashboard` in that clone, until its first page is drawn in a browser
- report: the wheel with its extra `recordings` in a new environment, then `ecg scan FILE --report FOLDER`

The clone is one of the last commit, from this disk: its size says what it would take over a network.
"""

import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import expect

from benchmarks.browser import DESKTOP, PATIENCE, chromium, window
from benchmarks.clones import ROOT
from benchmarks.deployment import Installation, build_wheel, megabytes, strangers
from benchmarks.service import PATIENCE as END
from ecg.files import write_json

DIGITS = 3  # significant ones, of seconds and megabytes
PORT = 8501  # of `make dashboard`
EXTRA = "recordings"
OWN = "watch.csv"  # the recording that is scanned: 30 seconds as a watch exports them
# What an installation may need on this machine: settings of pip, proxies and certificates.
_KEPT = re.compile(
    r"PIP_\w+|(HTTPS?|NO|ALL)_PROXY|SSL_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO", re.IGNORECASE
)
_DOWNLOADED = re.compile(r" Downloading (\S+) \(([\d.]+) (bytes|kB|MB)\)")
_FROM_DISK = re.compile(r" Processing (/\S+\.(?:whl|tar\.gz|zip))(?= |$)", re.MULTILINE)
_UNITS = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0}


class Door(StrEnum):
    """A way to begin."""

    REPRODUCE = "reproduce"
    DASHBOARD = "dashboard"
    REPORT = "report"


@dataclass(frozen=True)
class Step:
    """What one step took.

    seconds : from its start to its end
    downloaded : megabytes that pip fetched in it, counted also where the wheel lies on this disk
    disk : megabytes that it left on the disk
    """

    seconds: float
    downloaded: float = 0.0
    disk: float = 0.0


def variables(home: Path) -> dict[str, str]:
    """The environment of a newcomer: this Python's own, without a virtual environment, and an empty home."""
    path = [f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    own = Path.home() / ".config" / "pip" / "pip.conf"
    settings = {"PIP_CONFIG_FILE": str(own)} if own.is_file() else {}
    return (
        settings
        | kept
        | {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join(path),
            "PIP_LOG": str(home / "pip.log"),
            "STREAMLIT_SERVER_HEADLESS": "true",  # no window of a browser opens on this machine
        }
    )


def downloaded(log: str) -> float:
    """Megabytes of the packages in a log of pip, each once: from its index, or from a folder of this disk."""
    sizes = {name: float(number) * _UNITS[unit] for name, number, unit in _DOWNLOADED.findall(log)}
    sizes |= {path: Path(path).stat().st_size / 1e6 for path in _FROM_DISK.findall(log)}
    return sum(sizes.values())


class Newcomer:
    """A person with an empty home, who runs commands in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.clone = folder / "clone"
        self.home.mkdir()
        self.variables = variables(self.home)

    def run(self, *command: str, folder: Path | None = None) -> None:
        """Run a command; exit with what it printed if it fails."""
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")

    def timed(self, action: Callable[[], None], *folders: Path) -> Step:
        """What an action takes, and what it leaves in folders."""
        before, bytes_before = self.pip_log(), megabytes(*folders)
        start = time.perf_counter()
        action()
        seconds = time.perf_counter() - start
        return Step(seconds, downloaded(self.pip_log()[len(before) :]), megabytes(*folders) - bytes_before)

    def pip_log(self) -> str:
        """What pip has logged so far."""
        log = self.home / "pip.log"
        return log.read_text(encoding="utf-8") if log.is_file() else ""


def reproduce(person: Newcomer) -> dict[str, Step]:
    """From `git clone` to the figures."""
    clone = person.clone
    steps = {
        "clone": person.timed(lambda: person.run("git", "clone", "--quiet", f"file://{ROOT}", str(clone)), clone),
        "install": person.timed(lambda: person.run("make", "install", folder=clone), clone / ".venv"),
        "pipeline": person.timed(
            lambda: person.run("make", "repro", folder=clone),
            clone / "data",
            clone / "models",
            clone / ".dvc" / "cache",
        ),
    }
    if not (clone / "metrics" / "evaluate.json").is_file() or not (clone / "models" / "calibration.json").is_file():
        sys.exit("make repro left no figures")
    return steps


def open_dashboard(person: Newcomer) -> dict[str, Step]:
    """From the figures to the dashboard's first page, with its charts."""
    if _answers():
        sys.exit(f"something listens at port {PORT} already, where make dashboard would")
    return {"dashboard": person.timed(lambda: _draw_dashboard(person), person.clone / ".venv")}


def _draw_dashboard(person: Newcomer) -> None:
    log = person.folder / "dashboard.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["make", "dashboard"],
            cwd=person.clone,
            env=person.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # so that make and all that it started can be ended
        ) as process,
    ):
        try:
            while not _answers():
                if process.poll() is not None:
                    sys.exit(f"make dashboard failed:\n{log.read_text(encoding='utf-8')}")
                time.sleep(0.1)
            with chromium() as browser, window(browser, DESKTOP) as opened:
                page = opened.page()
                page.goto(f"http://localhost:{PORT}")
                charts = page.get_by_test_id("stVegaLiteChart").locator("svg.marks")
                expect(charts).to_have_count(2, timeout=PATIENCE)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{PORT}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def report(person: Newcomer) -> dict[str, Step]:
    """From the wheel to the report of a recording."""
    folder = person.folder / "own"
    folder.mkdir()
    build_wheel(folder)
    strangers(folder)
    wheel = Installation(folder, folder / "venv", person.variables)
    written = folder / "report" / "report.html"
    steps = {
        "install": person.timed(lambda: wheel.install(EXTRA), wheel.environment),
        "scan": person.timed(lambda: _scan(wheel), written.parent),
    }
    if not written.is_file():
        sys.exit(f"ecg scan {OWN} wrote no report")
    return steps


def _scan(wheel: Installation) -> None:
    print(wheel.run("ecg", "scan", OWN, "--report", "report").stdout.splitlines()[0])


def pytorch(clone: Path) -> str:
    """Which build of PyTorch the clone has: `CPU` or `CUDA`."""
    code = "import torch; print('CUDA' if torch.version.cuda else 'CPU')"
    return subprocess.run(
        [clone / ".venv" / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def measure(person: Newcomer, only: Door | None) -> tuple[dict[str, dict[str, Step]], dict[str, str | int]]:
    """The steps through each door, and what the figures depend on.

    The dashboard needs what `reproduce` makes: that door comes before it, and is measured, too.
    """
    steps: dict[str, dict[str, Step]] = {}
    facts: dict[str, str | int] = {"cores": os.cpu_count() or 1, "python": platform.python_version()}
    if only is not Door.REPORT:
        steps[Door.REPRODUCE.value] = reproduce(person)
        facts["pytorch"] = pytorch(person.clone)
    if only in (None, Door.DASHBOARD):
        steps[Door.DASHBOARD.value] = open_dashboard(person)
    if only in (None, Door.REPORT):
        steps[Door.REPORT.value] = report(person)
    return steps, facts


def table(steps: dict[str, dict[str, Step]]) -> str:
    """The steps as a Markdown table, each with the seconds since its door was opened."""
    rows = ["| door | step | seconds | since the start | MB downloaded | MB on disk |", "|---|---|---|---|---|---|"]
    reproduced = sum(step.seconds for step in steps.get(Door.REPRODUCE.value, {}).values())
    for door, parts in steps.items():
        since = reproduced if door == Door.DASHBOARD.value else 0.0  # it goes on in the same clone
        for name, step in parts.items():
            since += step.seconds
            rows.append(
                f"| {door} | {name} | {step.seconds:.1f} | {since:.1f} | {step.downloaded:.0f} | {step.disk:.0f} |"
            )
    return "\n".join(rows)


def main(
    only: Annotated[Door | None, typer.Option(help="Go through this door alone.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")] = None,
) -> None:
    """Measure the first minutes of a newcomer; exit with a message if a step fails."""
    with tempfile.TemporaryDirectory() as temporary:
        steps, facts = measure(Newcomer(Path(temporary)), only)
    print(table(steps))
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    if output is not None:
        doors = {door: {name: asdict(step) for name, step in parts.items()} for door, parts in steps.items()}
        write_json(output, {"machine": facts, "doors": doors}, digits=DIGITS)


if __name__ == "__main__":
    typer.run(main)
