"""Rebuild everything in a temporary clone and compare each hash with the committed dvc.lock: `make verify`.

`--everywhere` rebuilds it again under other thread counts, locales, time zones, hash seeds, vector instructions and
folder names, each of which would make a difference if the code did not see to it. `--model` does so with another
architecture, and compares with what it gives the first time.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.clones import ROOT, environment, make_clone, outputs
from ecg.files import sha256


class Condition(NamedTuple):
    """What is different where a rebuild takes place: environment variables, or the folder's name."""

    variables: dict[str, str]
    folder: str = "clone"

    def __str__(self) -> str:
        if self == HERE:
            return "as it is here"
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return " ".join(variables) or f"in a folder named {self.folder!r}"


HERE = Condition({})
EVERYWHERE = [
    *(Condition({"OMP_NUM_THREADS": threads}) for threads in ("1", "4")),
    Condition({}, "Herz schläge, 心跳"),
    Condition({"LC_ALL": "C", "PYTHONUTF8": "0"}),  # text is ASCII where no encoding is named
    Condition({"TZ": "Pacific/Chatham"}),
    Condition({"PYTHONHASHSEED": "7"}),
    *(Condition({"MKL_ENABLE_INSTRUCTIONS": vectors}) for vectors in ("AVX2", "SSE4_2")),  # Intel's processors heed it
    # What `ecg.training` sets must count also where the user has set something else, which sums in another order.
    Condition({"ATEN_CPU_CAPABILITY": "default"}),
    Condition({"MKL_CBWR": "AVX2"}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--everywhere", action="store_true", help="also under other conditions")
    parser.add_argument("--model", help="train this architecture in place of the committed one")
    arguments = parser.parse_args()
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode:
        print("changes that are not committed are left out")
    expected, failed = None, False
    with tempfile.TemporaryDirectory() as temporary:
        for condition in [HERE, *(EVERYWHERE if arguments.everywhere else [])]:
            folder = Path(temporary, condition.folder)
            if not folder.exists():
                make_clone(folder)
            if arguments.model:
                choose(folder / "params.yaml", arguments.model)
            elif expected is None:
                expected = hashes(folder)  # as committed
            rebuild(folder, condition)
            made = hashes(folder)
            expected = expected or made
            differing = sorted(path for path in expected.keys() | made.keys() if expected.get(path) != made.get(path))
            print(f"{condition}: {len(made)} files, {len(differing)} differ", *differing, sep="\n  ", flush=True)
            failed = failed or bool(differing)
    sys.exit(failed)


def choose(params: Path, model: str) -> None:
    """Set train.model."""
    record = yaml.safe_load(params.read_text(encoding="utf-8"))
    record["train"]["model"] = model
    params.write_text(yaml.safe_dump(record), encoding="utf-8")


def rebuild(folder: Path, condition: Condition) -> None:
    """Run every stage, also evaluate, whose outputs came with git."""
    command, variables = ["dvc", "repro", "--force", "--quiet"], environment(**condition.variables)
    if subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"{condition}: the rebuild failed")


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each output that dvc.lock tells of, by its path, and that of dvc.lock itself."""
    return outputs(folder) | {"dvc.lock": sha256((folder / "dvc.lock").read_bytes())}


if __name__ == "__main__":
    main()
