"""Rebuild everything in a temporary clone and compare each hash with the committed dvc.lock: `make verify`.

`--everywhere` rebuilds it again under other thread counts, locales, time zones, hash seeds, vector instructions and
folder names. `--model` trains another architecture, and compares with its own first rebuild.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
import yaml

from benchmarks.clones import ROOT, environment, make_clone, output_hashes
from ecg.files import sha256


class Condition(NamedTuple):
    """What differs in a rebuild: environment variables, or the folder's name."""

    variables: dict[str, str]
    folder: str = "clone"

    def __str__(self) -> str:
        if self == DEFAULT:
            return "default conditions"
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return " ".join(variables) or f"in a folder named {self.folder!r}"


DEFAULT = Condition({})
OTHERS = [
    *(Condition({"OMP_NUM_THREADS": threads}) for threads in ("1", "4")),
    Condition({}, "Herz schläge, 心跳"),
    Condition({"LC_ALL": "C", "PYTHONUTF8": "0"}),  # text is ASCII where no encoding is named
    Condition({"TZ": "Pacific/Chatham"}),
    Condition({"PYTHONHASHSEED": "7"}),
    # Only Intel's processors follow these two.
    *(Condition({"MKL_ENABLE_INSTRUCTIONS": vectors}) for vectors in ("AVX2", "SSE4_2")),
    # `ecg.training` sets these two itself, and must do so also where the user has set another value.
    Condition({"ATEN_CPU_CAPABILITY": "default"}),
    Condition({"MKL_CBWR": "AVX2"}),
]


def main(
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Rebuild under other conditions, too.")] = False,
    model: Annotated[str | None, typer.Option(help="Train this architecture instead of the committed one.")] = None,
) -> None:
    """Rebuild everything in a temporary clone; status 1 if a file differs from the committed one."""
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode:
        print("changes that are not committed are left out")
    expected, failed = None, False
    with tempfile.TemporaryDirectory() as temporary:
        for condition in [DEFAULT, *(OTHERS if everywhere else [])]:
            folder = Path(temporary, condition.folder)
            if not folder.exists():
                make_clone(folder)
            if model:
                set_model(folder / "params.yaml", model)
            elif expected is None:
                expected = hashes(folder)  # as committed
            rebuild(folder, condition)
            rebuilt = hashes(folder)
            expected = expected or rebuilt
            differing = sorted(
                path for path in expected.keys() | rebuilt.keys() if expected.get(path) != rebuilt.get(path)
            )
            print(f"{condition}: {len(rebuilt)} files, {len(differing)} differ", *differing, sep="\n  ", flush=True)
            failed = failed or bool(differing)
    sys.exit(failed)


def set_model(path: Path, model: str) -> None:
    """Set train.model in a params.yaml."""
    record = yaml.safe_load(path.read_text(encoding="utf-8"))
    record["train"]["model"] = model
    path.write_text(yaml.safe_dump(record), encoding="utf-8")


def rebuild(folder: Path, condition: Condition) -> None:
    """Run every stage, also evaluate, whose outputs are in git and so in the clone already."""
    command, variables = ["dvc", "repro", "--force", "--quiet"], environment(**condition.variables)
    if subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"{condition}: the rebuild failed")


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each output in dvc.lock, by its path, and that of dvc.lock itself."""
    return output_hashes(folder) | {"dvc.lock": sha256((folder / "dvc.lock").read_bytes())}


if __name__ == "__main__":
    typer.run(main)
