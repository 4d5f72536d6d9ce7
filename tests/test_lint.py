"""The linter refuses what runs code that stands in a file, as SECURITY.md promises, and other insecure calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def refused(code: str) -> set[str]:
    """The rules of security that a module of the package with this code breaks."""
    command = [Path(sys.executable).with_name("ruff"), "check", "--no-cache", "--output-format=concise"]
    command += ["--select=S,TID251", "--stdin-filename=ecg/data/example.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("ecg/")}


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import pickle", "TID251"),
        ("from marshal import loads", "TID251"),
        ("import torch\ntorch.load('model.pt')", "TID251"),
        ("import torch as th\nth.save({}, 'model.pt')", "TID251"),
        ("from joblib import Memory", "TID251"),
        ("import joblib\njoblib.load('model.joblib')", "TID251"),
        ("import pandas as pd\npd.read_pickle('beats.pkl')", "S301"),
        ("import yaml\nyaml.load('a: 1', yaml.Loader)", "S506"),
        ("eval(input())", "S307"),
        ("import subprocess\nsubprocess.run(input(), shell=True)", "S602"),
        ("import jinja2\njinja2.Environment()", "S701"),
    ],
)
def test_code_that_runs_data_is_refused(code: str, rule: str) -> None:
    assert rule in refused(f"{code}\n")


def test_what_is_safe_passes() -> None:
    assert refused("import json\nfrom joblib import Parallel\n\nprint(json.loads('{}'), Parallel)\n") == set()
