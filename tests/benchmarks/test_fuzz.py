"""Fuzzing: the cases that once found something, and what counts as a finding."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz.findings import LONGEST_MESSAGE, problem_of, shrunk
from benchmarks.fuzz.replay import Replay
from benchmarks.fuzz.targets import CORPUS, TARGETS, Read, reader
from ecg.exceptions import InputError
from tests.conftest import ROOT

CASES = [pytest.param(name, path, id=f"{name}/{path.name}") for name in TARGETS for path in TARGETS[name].cases(name)]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as replay:
        yield replay


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_case_that_found_something_is_read_or_refused(name: str, path: Path, replay: Replay) -> None:
    assert replay.problem(name, path.read_bytes()) is None


def test_each_case_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_the_files_that_fuzzing_starts_from_are_read(name: str, tmp_path: Path) -> None:
    read = reader(name, tmp_path / "files")
    for case in TARGETS[name].seeds():
        assert len(case) <= TARGETS[name].longest
        read(case)


def raises(error: BaseException) -> Read:
    def read(_case: bytes) -> None:
        raise error

    return read


class RawError(InputError):
    """An error whose message is as it was given."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


def too_large(_case: bytes) -> None:
    try:
        raise MemoryError
    except MemoryError:
        raise InputError("it is too large") from None


def test_a_value_and_a_refusal_are_no_findings() -> None:
    assert problem_of(bytes.decode, b"a") is None
    assert problem_of(raises(InputError("row 3\nis not a number: 'µ'")), b"a") is None


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (raises(KeyError("a")), "KeyError at tests/benchmarks/test_fuzz.py:"),
        (raises(SystemExit(1)), "SystemExit at tests/benchmarks/test_fuzz.py:"),
        (raises(RawError("\x1b[31m")), "a message with control characters at"),
        (raises(RawError("\ud800")), "a message with control characters at"),
        (raises(RawError("a" * (LONGEST_MESSAGE + 1))), "a message of more than 20,000 characters at"),
        (too_large, "MemoryError at tests/benchmarks/test_fuzz.py:"),
    ],
)
def test_all_else_is_a_finding(read: Read, problem: str) -> None:
    found = problem_of(read, b"a")
    assert found is not None
    assert found.startswith(problem)


def test_a_case_is_made_as_small_as_it_can_be() -> None:
    assert shrunk(b"abc(def)ghi" * 20, lambda case: b"(" in case and b")" in case) == b"()"


def planted(_name: str, _folder: Path) -> Read:
    def read(case: bytes) -> None:
        while case == b"hang":
            pass
        if case == b"abort":
            os.abort()

    return read


def test_a_hang_and_the_end_of_the_process_are_findings() -> None:
    with Replay(planted, seconds=1) as replay:
        ends = [replay.problem("planted", case) for case in (b"read", b"hang", b"abort")]
    assert ends == [None, "more than 1 s", "the end of the process"]


def test_a_target_is_fuzzed(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "benchmarks.fuzz", "--only=scanning.time", "--seconds=1", f"--out={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    name, cases, _rate, _corpus, findings = done.stdout.splitlines()[1].split()
    assert (name, findings) == ("scanning.time", "0")
    assert int(cases.replace(",", "")) > 100
