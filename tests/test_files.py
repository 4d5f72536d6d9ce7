import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg import files
from ecg.exceptions import InputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    files.write_bytes(path, b"old")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "new", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "old").chmod(mode)
    with files.replacing(tmp_path / "old") as file:
        (partial,) = tmp_path.glob(f".*{files.PARTIAL}")
        assert partial.stat().st_mode & 0o777 == mode  # before anything is in it
        file.write(b"new")
    assert (tmp_path / "old").read_bytes() == b"new"
    assert (tmp_path / "old").stat().st_mode & 0o777 == mode


def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / ("x" * 255), b"new")
    files.write_bytes(tmp_path / ("ü" * 127), b"new")


def test_an_error_names_the_file_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        files.write_bytes(tmp_path / "taken", b"new")
    assert str(refused.value) == f"[Errno 21] Is a directory: '{tmp_path / 'taken'}'"
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_of_files_that_belong_together_all_are_written_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    files.write_together(dict.fromkeys(paths, b"old"))
    with pytest.raises(TypeError):
        files.write_together({paths[0]: b"new", paths[1]: b"new", paths[2]: "text"})
    assert [path.read_bytes() for path in paths] == [b"old"] * 3
    assert sorted(tmp_path.iterdir()) == paths
    files.write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"new"] * 3


def write_folder(folder: Path, content: str) -> None:
    with files.replacing_folder(folder, {"a", "b"}.__contains__) as part:
        for name in ("a", "b"):
            (part / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        write_folder(tmp_path / "mine", content)
        assert contents(tmp_path / "mine") == {"a": content, "b": content}
    with pytest.raises(TypeError):
        write_folder(tmp_path / "mine", None)
    assert contents(tmp_path / "mine") == {"a": "new", "b": "new"}
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


KILLED = """
import os, signal, sys
from pathlib import Path
from ecg import files
from ecg.exceptions import InputError
rename = Path.rename
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "renaming":
    Path.rename = lambda path, target: kill() if path.name == "new" else rename(path, target)
with files.replacing_folder(Path(sys.argv[1]), {"a", "b"}.__contains__) as part:
    (part / "a").write_text("new")
    if sys.argv[2] == "writing":
        kill()
"""


@pytest.mark.parametrize(("when", "left"), [("writing", {"a": "old", "b": "old"}), ("renaming", None)])
def test_a_killed_program_leaves_the_old_folder_or_none(when: str, left: dict[str, str] | None, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_folder(folder, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, folder, when], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (contents(folder) if folder.exists() else None) == left
    write_folder(folder, "new")
    assert contents(folder) == {"a": "new", "b": "new"}
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["notes", ".hidden"])
def test_a_folder_with_files_of_others_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="has other files, such as"):
        write_folder(tmp_path, "new")
    assert contents(tmp_path) == {name: "mine"}


def test_a_folder_that_cannot_be_replaced_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "mine", "old")
    rename = Path.rename

    def busy(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(16, "Device or resource busy")  # as where a disk is mounted
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(InputError, match=r"cannot be replaced \(Device or resource busy\): name a folder within it"):
        write_folder(tmp_path / "mine", "new")
    assert contents(tmp_path / "mine") == {"a": "old", "b": "old"}


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_nine_digits_bring_a_float32_back(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    folder = tmp_path_factory.mktemp("files")
    files.write_json(folder / "a.json", {"x": value}, files.FLOAT32_DIGITS)
    files.write_csv(folder / "a.csv", pd.DataFrame({"x": np.float32([value])}), files.FLOAT32_DIGITS)
    assert np.float32(json.loads((folder / "a.json").read_text())["x"]) == np.float32(value)
    header, number, end = (folder / "a.csv").read_text().split("\n")
    assert (header, np.float32(number), end) == ("x", np.float32(value), "")


def test_a_table_is_written_with_rounded_floats_and_nothing_where_a_value_is_missing(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "name": ["a", "b,c", 'd"'],
            "rate": [1 / 3, np.nan, 1e-7 / 3],
            "count": [1234567, 0, -1],
            "size": np.float32([1234567, 1, 0.1]),
            "is": [True, False, True],
        }
    )
    files.write_csv(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "name,rate,count,size,is",
        "a,0.333333,1234567,1234570.0,True",
        '"b,c",,0,1.0,False',
        '"d""",3.33333e-08,-1,0.1,True',
    ]


def test_a_table_without_rows_is_its_header(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "a.csv", pd.DataFrame(columns=["a", "b"]))
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n"


def test_json_does_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1 / 3, "a": 2})
    files.write_json(tmp_path / "b.json", {"a": 2, "b": 1 / 3})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 2,\n  "b": 0.333333\n}\n'
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_not_a_number_is_never_written_as_a_metric(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is repeated"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": ' + "1" * 5000 + "}", "an integer has 5,000 digits"),
        ("[" * 100_000, "nested too deeply"),
        (" " * files.LARGEST_JSON + "1", "more than 4,194,304 bytes"),
    ],
)
def test_json_that_python_alone_would_read_is_refused(tmp_path: Path, content: str, printed: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=printed):
        files.read_json(tmp_path / "a.json")


def test_a_null_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\\x00b' is not the name of a file"):
        files.read_bytes(tmp_path / "a\0b")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:40],
        lambda content: content.replace(b"NUMPY", b"MUMPY"),
        lambda content: content.replace(b"'descr'", b"'descr("),
        lambda content: content.replace(
            b"PK\x01\x02" + content[content.rindex(b"PK\x01\x02") + 4 :][:4], b"PK\x01\x02\xff\x03\xff\0"
        ),
        lambda _: b"\x93NUMPY\x01\0",
    ],
)
def test_a_damaged_file_of_arrays_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.npz"
    files.write_arrays(path, x=np.arange(3))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match="does not hold arrays"):
        files.read_all_arrays(path)


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", b"text")
    with pytest.raises(InputError, match="does not hold arrays: 'x' is none"):
        files.read_all_arrays(tmp_path / "a.npz")


FORMULAS = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\tx", "\uff1d1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_written_as_text(text: str) -> None:
    table = pd.DataFrame({"name": [text, "normal"], "mixed": [1, text], "kind": pd.Categorical([text, "x"])})
    written = pd.read_csv(io.BytesIO(files.csv_bytes(table)))
    assert written["name"].tolist() == [f"'{text}", "normal"]
    assert written["mixed"].tolist() == ["1", f"'{text}"]
    assert written["kind"].tolist() == [f"'{text}", "x"]


@pytest.mark.parametrize("text", ["-1", "+2.5", "-1e-3", "normal", "", "a=b", "'=x"])
def test_other_text_is_written_as_it_is(text: str) -> None:
    assert files.text_in_csv(text) == text
