"""API keys: from the environment or a file, all usable or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.service.keys import read_keys
from tests.conftest import ROOT

USABLE = "ABCxyz019._~+/-"
keys = st.text(USABLE, min_size=1, max_size=20)


@given(st.lists(keys, min_size=1, max_size=4, unique=True), st.sampled_from(["", "\n", "\r\n"]))
def test_keys_are_read_as_they_were_written(written: list[str], end: str) -> None:
    assert read_keys({"ECG_API_KEY": ",".join(written) + end}) == tuple(written)


@given(st.text(max_size=20))
def test_a_key_is_usable_or_refused_without_being_shown(text: str) -> None:
    try:
        read = read_keys({"ECG_API_KEY": text})
    except InputError as refused:
        message = str(refused)
    else:
        message = "ECG_API_KEY, key"
        assert ",".join(dict.fromkeys(text.removesuffix("\n").removesuffix("\r").split(","))) == ",".join(read)
        assert all(key and key.strip("=") and key.isascii() and key.isprintable() and " " not in key for key in read)
    assert message.startswith("ECG_API_KEY, key")


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "\t", ",", "a,", "a, b", "a\nb", "a b", "a\0", "schlüssel", "=", '"a"']
)
def test_a_key_that_nobody_could_send_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ECG_API_KEY, key"):
        read_keys({"ECG_API_KEY": text})
    if "\n" not in text.strip() and "," not in text:
        (tmp_path / "keys").write_text(text)
        with pytest.raises(InputError, match="keys"):
            read_keys({"ECG_API_KEY_FILE": str(tmp_path / "keys")})


def test_a_file_has_a_key_in_each_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for content in (b"old\nnew", b"old\nnew\n", b"old\r\nnew\r\n"):
        file.write_bytes(content)
        assert read_keys({"ECG_API_KEY_FILE": str(file)}) == ("old", "new")
    assert read_keys({}) == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"old\n\nnew\n", "key 2 of 3 is empty"), (b"\xff", "in ASCII"), (b"a" * 70_000, "larger than 65,536 bytes")],
)
def test_a_file_with_something_else_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_keys({"ECG_API_KEY_FILE": str(tmp_path / "keys")})


def test_a_missing_file_and_two_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is missing; ECG_API_KEY_FILE names it"):
        read_keys({"ECG_API_KEY_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match="does not hold keys"):
        read_keys({"ECG_API_KEY_FILE": str(tmp_path)})
    with pytest.raises(InputError, match="both set"):
        read_keys({"ECG_API_KEY": "a", "ECG_API_KEY_FILE": "b"})


def test_the_service_does_not_start_with_an_empty_key(shipped: Path) -> None:
    command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", "0"]
    variables = os.environ | {"ECG_API_KEY": ""}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ECG_API_KEY, key 1 of 1 is empty; unset the variable")
