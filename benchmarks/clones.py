"""Temporary clones of the last commit, for whatever must not touch the workspace."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def environment(**changes: str) -> dict[str, str]:
    """An environment in which `dvc` and the `python` of its stages are those that run this."""
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])} | changes


def make_clone(folder: Path) -> None:
    """Clone the last commit of this repository into a new folder."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)


def outputs(folder: Path) -> dict[str, str]:
    """The hash of each output that a clone's dvc.lock tells of, by its path."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
