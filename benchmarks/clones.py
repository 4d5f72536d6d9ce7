"""Temporary clones of the last commit, for measurements that must not change the workspace."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def environment(**changes: str) -> dict[str, str]:
    """Environment variables with which `dvc` and the `python` of its stages are those of this process."""
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])} | changes


def make_clone(folder: Path) -> None:
    """Clone the last commit of this repository into a new folder."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)


def output_hashes(folder: Path) -> dict[str, str]:
    """The hash of each output in a clone's dvc.lock, by its path."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
