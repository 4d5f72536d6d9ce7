"""Keep what commands print: `python -m docs.measure NAME ...` runs them and writes docs/measured/NAME.txt.

The site shows each output below its command, so that anyone can run it again.
"""

import re
import shlex
import subprocess
import sys
from typing import Annotated

import typer

from docs import ROOT
from ecg.exceptions import InputError, exit_on_error
from ecg.files import write_bytes

TABLE = re.compile(r"\n(?=\|.*\n\| --- )")  # the end of the line before another table
MEASURED = ROOT / "docs" / "measured"
RECORDS = "--records FOLDER --patients reporting"  # FOLDER has the databases of PhysioNet, each in a folder of its name
# Of the detectors of series, those that take a minute for a long one, and those that take some.
QUICK = "--detector SeriesDetector --detector SpectralResidual --detector 'nearest normal window'"
AFFORDABLE = f"{QUICK} --detector 'nearest normal window, 100' --detector discord --detector PCA --detector IForest"

# By name. FOLDER stands for what `--records` names.
COMMANDS = {
    "anomaly_archive": f".venv-peers/bin/python -m benchmarks.archive FOLDER/ucr_anomaly {AFFORDABLE}",
    "attack": "python -m benchmarks.attack",
    "day": "python -m benchmarks.day",
    "deployment": "python -m benchmarks.deployment",
    "estimators": "python -m benchmarks.estimators",
    "kills": "python -m benchmarks.kills",
    "load": "python -m benchmarks.load",
    "memory": "python -m benchmarks.memory",
    "million": "python -m benchmarks.million",
    "mistakes": "python -m benchmarks.mistakes",
    "one_class": ".venv-peers/bin/python -m benchmarks.one_class",
    "peers": ".venv-peers/bin/python -m benchmarks.peers",
    "population": "python -m benchmarks.population",
    "r_peaks": f"python -m benchmarks.r_peaks {RECORDS}",
    "replicas": "python -m benchmarks.replicas",
    "scale": "python -m benchmarks.scale --records FOLDER/mitdb",
    "scans": f"python -m benchmarks.scans {RECORDS} --noise FOLDER/nstdb/em --noise FOLDER/nstdb/ma",
    "speed": "python -m benchmarks.speed",
    "tsb_ad": f".venv-peers/bin/python -m benchmarks.tsb_ad benchmarks/.sets/tsb_ad --records FOLDER {QUICK}",
    "verify": "python -m benchmarks.verify --everywhere",
}


def output(name: str) -> str:
    """A command and what it printed when it was last run, as Markdown."""
    command, path = COMMANDS[name], MEASURED / f"{name}.txt"
    if not path.is_file():
        raise InputError(f"{path} is missing: python -m docs.measure {name}")
    printed = TABLE.sub("\n\n", path.read_text(encoding="utf-8").rstrip())
    shown = f"```sh\n{command}\n```\n"
    return f"{shown}\n{printed}\n" if printed.startswith("|") else f"{shown}\n```text\n{printed}\n```"


def main(
    names: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(COMMANDS)}.")],
    records: Annotated[
        str, typer.Option(help="Folder with databases of PhysioNet, for r_peaks, scale and scans.")
    ] = "",
) -> None:
    """Run commands and keep what they print."""
    with exit_on_error():
        for name in names:
            if name not in COMMANDS:
                raise InputError(f"there is no {name}: it should be one of {', '.join(COMMANDS)}")
            if "FOLDER" in COMMANDS[name] and not records:
                raise InputError(f"{name} needs --records FOLDER")
            print(f"$ {COMMANDS[name]}", flush=True)
            program, *arguments = shlex.split(COMMANDS[name].replace("FOLDER", records))
            if program == "python":
                program = sys.executable
            done = subprocess.run([program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
            print(done.stdout)
            if done.returncode:
                raise InputError(f"it ended with status {done.returncode}: {MEASURED / name}.txt stays as it was")
            write_bytes(MEASURED / f"{name}.txt", done.stdout.encode())


if __name__ == "__main__":
    typer.run(main)
