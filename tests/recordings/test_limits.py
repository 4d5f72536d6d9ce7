"""Hostile recordings: what they state is bounded before it is parsed, no sign is lost, and errors can be printed."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import edfio
import numpy as np
import pytest

from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
from tests.conftest import ROOT
from tests.recordings.files import RATE, N, opened, refusal, write_wfdb
from tests.scanning.conftest import ecg_command

SIGNAL = "mine.dat 16 200 16 0 0 0 0 MLII\n"
HANG = 240  # seconds in which all of the files below are refused, also on a busy machine


def header(lines: str) -> Callable[[Path], None]:
    return lambda path: path.with_suffix(".hea").write_text(lines.replace("NAME", path.stem)) and None


def annotated(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        header(f"NAME 1 360 {N}\n{SIGNAL}")(path)
        path.with_suffix(".atr").write_bytes(content)

    return write


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.with_suffix(".csv").write_text(content) and None


def edf(*labels: str, samples: tuple[int, ...], data: bytes, seconds: str = "1", records: str = "-1") -> bytes:
    """A file with a header of these labels and numbers of samples per data record."""
    k = len(labels)
    head = f"{0:<8}{'x':<80}{'x':<80}01.01.2401.01.24{256 * (k + 1):<8}{'':44}{records:<8}{seconds:<8}{k:<4}"
    fields = ((labels, 16), ("", 80), ("mV", 8), ("-1", 8), ("1", 8), ("-32768", 8), ("32767", 8), ("", 80))
    for value, width in (*fields, (samples, 8), ("", 32)):
        head += "".join(f"{each:<{width}}" for each in (value if isinstance(value, tuple) else (value,) * k))
    return head.encode() + data


def in_edf(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.with_suffix(".edf").write_bytes(content) and None


def zipped(members: dict[str, str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


DAMAGED = b"\1\2" * 360 + (b"+0\x14\x14\0+" + b"1" * 30_000).ljust(40_000, b"\0")

# Each took from 6 s to minutes, or gigabytes, before there was a bound.
SLOW: dict[str, tuple[Callable[[Path], None], str]] = {
    "signals.hea": (header(f"NAME 100000 360 {N}\n{SIGNAL * 100_000}"), "has more than 262,144 bytes"),
    "many_signals.hea": (header(f"NAME 1001 360 {N}\n{SIGNAL * 1001}"), "has 1,001 signals; at most 1,000"),
    "segments.hea": (header("NAME/9000 1 360 90000\n" + "one 10\n" * 9000), "has 9,000 segments; at most some"),
    "comments.hea": (header(f"NAME 1 360 {N}\n{SIGNAL}" + "# more\n" * 100_000), "has more than 262,144 bytes"),
    "skew.hea": (
        header(f"NAME 1 360 {N}\n{SIGNAL.replace('16', '16:9999999999', 1)}"),
        "states a skew of 9,999,999,999",
    ),
    "frames.hea": (
        header(f"NAME 1 360 {N}\n{SIGNAL.replace('16', '16x100000000', 1)}"),
        "than its signal files can hold",
    ),
    "zeros.hea": (annotated(bytes(5 * 10**6)), "has more than 1,048,576 bytes; name another, or none"),
    "columns.csv": (text(",".join(["1"] * 10**6) + "\n"), "has rows of 524,288 characters"),
    "names.csv": (
        text(",".join(f"c{i}" for i in range(10**6)) + "\n" + "1," * 10**6),
        "has rows of 524,288 characters",
    ),
    "rows.csv": (text(("1.5," * 10_000 + "\n") * 10), "has rows of 40,000 characters"),
    "wide.csv": (text(("1.5," * 1000 + "\n") * 1000), "has 1,001 columns; each should be a lead: transpose"),
    "preamble.csv": (
        text(("Sample Rate " + "x" * 280 + "\n") * 1700 + "1\n2\n" * 100),
        "has no lead that can be an ECG",
    ),
    "quote.csv": (text("a,b\n" + '"1,2\n' * 200_000), "holds"),
    "signals.edf": (
        in_edf(edf(*["ECG"] * 9999, samples=(1,) * 9999, data=bytes(10_000))),
        "states 9,999 signals; 1 to 1,000 can be read",
    ),
    "annotations.edf": (
        in_edf(edf("ECG", "EDF Annotations", samples=(360, 20_000), data=DAMAGED * 100)),
        "is an EDF file with gaps",
    ),
    "headers.zip": (
        zipped({f"a{i}.hea": f"a{i}/3 1 360 5\n" + "x 1\n" * 250_000 for i in range(60)}),
        "holds 60 recordings",
    ),
    "bomb.zip": (
        zipped({"a.hea": f"a 1 360 {N}\n{SIGNAL}"} | {f"z{i}": "\0" * 10**6 for i in range(300)}),
        "is not safe: it would unpack from",
    ),
}
CHILD = """
import json, sys, time
from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead
found = {}
for name in sys.argv[1:]:
    try:
        with open_lead(name, rate=None if name.endswith((".hea", ".edf")) else 250):
            found[name] = "read"
    except InputError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each of the slow files, in a child process that can be stopped."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "mine.dat").write_bytes(bytes(2 * N))
    (folder / "one.hea").write_text(f"one 1 360 10\n{SIGNAL}")
    for name, (write, _) in SLOW.items():
        write(folder / name)
    command = [sys.executable, "-c", CHILD, *SLOW]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=HANG, check=True
    )
    assert done.stderr == b""
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SLOW)
def test_a_file_that_would_take_minutes_is_refused_before_it_is_parsed(name: str, answers: dict[str, str]) -> None:
    assert SLOW[name][1] in answers[name]


# A sign, or a number, that is lost.


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (f"mine 2 -250 {N}", "states a sampling rate of '-250'; it should be a positive number"),
        (f"mine 2 fast {N}", "states a sampling rate of 'fast'"),
        (f"mine -2 360 {N}", "states a number of signals of '-2'"),
        (f"mine 2 360 -{N}", f"states a length of '-{N}'"),
        (f"mine 3 360 {N}", "states 3 signals, but describes 2"),
        (f"mine/3 2 360 {N}", "states 3 segments, but describes 2"),
    ],
)
def test_what_a_header_states_is_not_replaced_in_silence(
    lines: str, message: str, two: np.ndarray, tmp_path: Path
) -> None:
    path = write_wfdb(tmp_path, "mine", two).with_suffix(".hea")
    _, *signals = path.read_text().splitlines()
    path.write_text("\n".join([lines, *signals, ""]))
    assert message in refusal(path)


@pytest.mark.parametrize("gain", ["nan", "inf", "+200/mV", "mV"])
def test_a_gain_that_is_no_number_is_refused(gain: str, two: np.ndarray, tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, "mine", two).with_suffix(".hea")
    path.write_text(f"mine 1 360 {N}\n" + SIGNAL.replace("200", gain))
    assert f"states a gain of '{gain}'; it should be a number" in refusal(path)


@pytest.mark.parametrize(
    "line", ["Sample Rate,-250", "Sampling rate: -250 Hz", "fs=-250", "Recorded at -250 Hz", "Sample rate: -0.25 kHz"]
)
def test_a_negative_rate_of_a_table_is_refused_with_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{line}\n\n" + "1\n2\n3\n" * 500)
    assert "states a sampling rate of -250 Hz; it should be a positive number" in refusal(path)


@pytest.mark.parametrize("line", ["Sampling rate - 250", "Sampling-250 Hz", "Sample-Rate: 250"])
def test_a_hyphen_is_no_sign(line: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{line}\n\n" + "1\n2\n3\n" * 500)
    assert opened(path)[0].rate == 250


@pytest.mark.parametrize(
    ("where", "number", "message"),
    [
        (236, b"-5", "states -5 data records"),
        (244, b"-1", "states data records of -1 s"),
        (244, b"0", "states data records of 0 s"),
        (244, b"nan", "states data records of nan s"),
        (252, b"-1", "states -1 signals; 1 to 1,000 can be read"),
        (252, b"0", "states 0 signals"),
        (256 + 216, b"-360", "states -360 samples per data record"),
        (256 + 216, b"9" * 8, "has a sampling rate of 1e+08 Hz"),
    ],
)
def test_an_impossible_number_of_an_edf_file_is_refused(
    where: int, number: bytes, message: str, two: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "mine.edf"
    edfio.Edf([edfio.EdfSignal(two[:, 0], RATE, label="ECG")]).write(path)
    content, width = bytearray(path.read_bytes()), 4 if where == 252 else 8
    content[where : where + width] = number.ljust(width)
    path.write_bytes(content)
    assert message in refusal(path)


@pytest.mark.parametrize(("what", "at"), [("physical", 104), ("digital", 120)])
def test_a_signal_without_a_range_is_refused_and_others_are_read(
    what: str, at: int, two: np.ndarray, tmp_path: Path
) -> None:
    """`at` is where the range is in the header of one signal."""
    path = tmp_path / "mine.edf"
    edfio.Edf([edfio.EdfSignal(lead, RATE, label="ECG") for lead in two.T]).write(path)
    content = bytearray(path.read_bytes())
    for place in (256 + 2 * at, 256 + 2 * (at + 8)):  # of the first of two signals
        content[place : place + 8] = b"5       "
    path.write_bytes(content)
    assert f"the range of signal ECG is 5 to 5 ({what})" in refusal(path, 0)
    lead, samples = opened(path)
    assert "signal 2 of 2" in lead.read_as
    np.testing.assert_allclose(samples, two[:, 1], atol=1e-3)


# Leads that are asked for, and names that steer a terminal.


@pytest.mark.parametrize("asked", ["9" * 5000, "x" * 100_000, "\ud800", "a\0b", "\x1b[31mx\u202e", "²"])
def test_a_lead_that_cannot_be_is_none_of_the_recording(asked: str, two: np.ndarray, tmp_path: Path) -> None:
    message = refusal(write_wfdb(tmp_path, "mine", two), asked)
    assert "mine.hea has no lead '" in message
    assert message.isprintable()
    assert len(message) < 500


def test_of_many_leads_a_message_lists_some(tmp_path: Path) -> None:
    (tmp_path / "mine.dat").write_bytes(bytes(200 * 100 * 2))
    (tmp_path / "mine.hea").write_text("mine 200 360 100\n" + SIGNAL * 200)
    assert refusal(tmp_path / "mine", "V9").endswith("63 MLII, and 136 more")


@pytest.mark.parametrize(
    "path", ["no\0pe.csv", "no\ud800pe.csv", "x" * 5000, "\x1b]0;mine\x07.csv", "\x9b31m\u2066.csv"]
)
def test_a_path_that_cannot_be_is_refused_in_words_that_can_be_printed(path: str) -> None:
    assert refusal(path).isprintable()


def test_what_a_file_holds_does_not_steer_a_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[31m\x9bA\u202e\u2066\x7f"
    folder = tmp_path / f"a\nb{hostile}"
    folder.mkdir()
    for name, content in {
        "a.csv": f"{hostile},b\n" + f"{hostile},1\n" * 200,
        "b.hea": f"b 1 {hostile} 10\n",
        "c.hea": f"c/2 1 360 10\n{hostile} 5\nx 5\n",
        "d.hea": f"d 1 360 10\n{hostile}.dat 16\n",
        f"e{hostile}.csv": "none\n",
    }.items():
        (folder / name).write_text(content)
        assert refusal(folder / name).isprintable()


def test_the_command_prints_nothing_that_steers_a_terminal(toy: np.ndarray, tmp_path: Path) -> None:
    """By names of folders, files and leads, of a report that is written, and of what was learnt by somebody else."""
    hostile = "\x1b[31m\x9bA\u202e\u2066\x7f"
    folder = tmp_path / f"a\nb{hostile}"
    folder.mkdir()
    write_wfdb(folder, "mine", np.column_stack([toy, toy]))
    head = folder / "mine.hea"
    head.write_text(head.read_text().replace("MLII", f"{hostile}MLII"))
    (folder / "patient").mkdir()
    (folder / "patient" / hostile).touch()
    for arguments in (
        ["scan", str(folder / "mine"), "--report", str(folder / f"report{hostile}")],
        ["scan", str(folder / "mine"), "--report", str(folder / "patient")],
        ["scan", str(folder / "mine"), "--lead", hostile],
        ["scan", str(folder / f"none{hostile}.csv")],
        ["scan", str(folder / "mine"), "--model", str(folder / hostile)],
        ["learn", str(folder / "mine"), "--out", str(folder / f"learnt{hostile}")],
        ["learn", str(folder / "mine"), "--out", str(folder / "patient")],
        ["scan", str(folder / "mine"), str(folder / f"more{hostile}")],
        ["scan", f"--{hostile}"],
    ):
        done = ecg_command(tmp_path, arguments)
        printed = (done.stdout + done.stderr).decode()
        assert printed
        assert "Traceback" not in printed
        assert all(line.isprintable() for line in printed.split("\n")), printed
    report = folder / f"report{hostile}"
    for path in report.iterdir():
        if path.suffix != ".alarm":
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", path.read_text()), path.name


def test_warnings_of_libraries_are_not_printed(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("1e999,2\n" * 300 + "x,3\n" * 20)
    with pytest.raises(InputError), open_lead(path, 0, RATE):
        pass
    assert not recwarn.list
