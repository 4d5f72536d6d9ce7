"""The audit of vulnerabilities: what is said of pip-audit's answers, and where its database cannot be reached."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.vulnerabilities import report
from ecg.exceptions import InputError
from tests.conftest import ROOT

SAFE = {"name": "safe", "version": "1.0", "vulns": []}
KNOWN = {"name": "known", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}]}
ABSENT = {"name": "absent", "skip_reason": "Dependency not found"}


def answer(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    summary, found = report(answer(SAFE, KNOWN), "Found 1 known vulnerability in 1 package")
    assert summary == "vulnerabilities: 1 known, in 2 packages looked up"
    assert found == ["known 2.0: PYSEC-1, mended in 2.1"]


def test_packages_that_the_database_does_not_know_are_named() -> None:
    assert report(answer(SAFE, ABSENT), "") == (
        "vulnerabilities: 0 known, in 1 packages looked up; not in the database: absent",
        [],
    )


def test_a_database_that_knows_nothing_is_not_one_that_finds_nothing() -> None:
    summary, found = report(answer(ABSENT, ABSENT), "No known vulnerabilities found")
    assert summary.startswith("vulnerabilities: skipped, the database could not be reached")
    assert not found


def test_another_failure_of_pip_audit_is_an_error() -> None:
    with pytest.raises(InputError, match=r"pip-audit failed: .*does not contain a hash"):
        report("", "ERROR:pip_audit._cli:requirement numpy==1.0 does not contain a hash\n")


def audit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the audit through a proxy that is not there, without what earlier runs may have cached."""
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    own = dict.fromkeys(("HOME", "PIP_CACHE_DIR", "XDG_CACHE_HOME"), str(folder)) | {"NO_PROXY": "", "no_proxy": ""}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.vulnerabilities", *arguments],
        cwd=ROOT,
        env=os.environ | closed | own,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_network_one_line_says_so(tmp_path: Path) -> None:
    done = audit(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vulnerabilities: skipped, the database could not be reached (")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_requirements_that_are_missing_are_an_error(tmp_path: Path) -> None:
    done = audit(tmp_path, "nowhere.txt")
    assert done.returncode == 1
    assert done.stderr.startswith("error: pip-audit failed: ")
    assert "nowhere.txt" in done.stderr
