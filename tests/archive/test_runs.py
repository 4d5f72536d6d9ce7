"""Archives from the command line: what is printed, exit statuses, and what is refused before anything is done."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ecg.archive.manifest import MANIFEST
from tests import forked

Ecg = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def ecg(tmp_path: Path) -> Ecg:
    """Run `ecg` in a folder of its own; what it prints is text."""

    def run(*arguments: object) -> subprocess.CompletedProcess:
        done = forked.ecg(arguments, tmp_path, os.environ)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    return run


def test_a_scan_of_a_folder_says_what_it_found_and_what_failed(ecg: Ecg, recordings: Path, tmp_path: Path) -> None:
    done = ecg("scan", recordings, "--output", "results", "--reports", 0)
    assert done.returncode == 1  # one has no results
    assert re.fullmatch(
        r"3 recordings, \d+ beats, \d+ alarms, \d+ alarms in noise, \d+ minutes; 1 failed; wrote .*results\n",
        done.stdout,
    )
    assert re.fullmatch(r"failed: .*broken.edf.*\n", done.stderr)
    (tmp_path / "results" / "index.html").unlink()
    again = ecg("scan", recordings, "--output", "results", "--reports", 0, "--json")
    assert (again.returncode, json.loads(again.stdout)["recordings"]) == (1, 3)
    assert (tmp_path / "results" / "index.html").is_file()


def test_workers_do_the_same_and_name_the_dashboard(ecg: Ecg, tables: Path, shipped: Path) -> None:
    done = ecg("score", tables, "--output", "verdicts", "--models", shipped, "--workers", 1)
    assert done.returncode == 0
    assert re.fullmatch(r"3 parts, 1,800 beats, \d+ alarms; 0 failed; wrote .*verdicts\n", done.stdout)
    assert re.fullmatch(r"Dask's dashboard: http://127\.0\.0\.1:\d+/status\n", done.stderr)
    again = ecg("score", tables, "--output", "verdicts", "--models", shipped, "--workers", 1)
    assert "(3 done before)" in again.stdout
    assert again.stderr == ""  # no worker is started for nothing
    assert ecg("score", tables, "--output", "verdicts", "--models", shipped, "--quiet").stdout == ""


def test_a_dry_run_tells_how_much_there_is_to_do_and_how_long_it_takes(
    ecg: Ecg,
    recordings: Path,
    tmp_path: Path,
) -> None:
    done = ecg(
        "scan", recordings / "*.hea", recordings / "third.csv", "--output", "results", "--dry-run", "--workers", 2
    )
    assert done.returncode == 0
    first, second, third = done.stdout.splitlines()
    assert re.fullmatch(r"2 of 2 recordings to do, \d+ MB; 0 are done, and 0 cannot be read", first)
    assert re.fullmatch(r".* takes [\d.]+ s in this process; all, at the same rate per byte,", second)
    assert re.fullmatch(r"about .* with 2 at a time", third)
    assert not (tmp_path / "results").exists()


def test_what_is_learnt_of_an_archive_is_a_folder_for_each_patient(ecg: Ecg, recordings: Path, tmp_path: Path) -> None:
    done = ecg("learn", recordings / "first", recordings / "third.csv", "--out", "patients", "--to", "60")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 recordings, ")
    assert (tmp_path / "patients" / "first" / "patient.json").is_file()
    done = ecg("scan", recordings / "first", "--output", "scanned", "--model", "patients", "--reports", 0)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "scanned" / MANIFEST).read_text())["totals"]["recordings"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("scan a b", 1, "need a folder: --output FOLDER"),
        ("scan .", 1, "need a folder: --output FOLDER"),
        ("scan *.edf", 1, "need a folder: --output FOLDER"),
        ("scan a --workers 2", 1, "need a folder: --output FOLDER"),
        ("scan * --output results", 1, r"\* names no recordings"),
        ("scan a --output results --report r.html", 2, "cannot be combined with --output"),
        ("scan a --output results --workers 0", 2, "Invalid value for '--workers'"),
        ("scan a --output results --workers 2 --scheduler tcp://x:1", 2, "cannot be combined with --scheduler"),
        ("score a.csv b.csv --models {models}", 1, "are written to a folder: --output FOLDER"),
        ("score a.csv b.csv --output v.csv --models {models}", 1, "are written to a folder: --output FOLDER"),
        ("score . --output v --to csv --models {models}", 2, "become Parquet"),
        ("score nothing/ --output v --models {models}", 1, "nothing/ names no tables of beats"),
        ("score . --output v --models nowhere", 1, "autoencoder.onnx is missing"),
        ("learn a b --out patients", 1, "a names no recordings"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_done(
    ecg: Ecg, shipped: Path, tmp_path: Path, arguments: str, status: int, message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = ecg(*arguments.format(models=shipped).split())
    assert (done.returncode, done.stdout) == (status, "")
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
