"""What is fuzzed: for each format, a function that reads bytes as a person's file or request is read."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED

import numpy as np

from benchmarks.clones import ROOT
from benchmarks.fuzz import seeds
from benchmarks.fuzz.seeds import LENGTH, RATE
from ecg import params
from ecg.data import beats, sources, times
from ecg.data.datasets import dataset_of_model
from ecg.data.training_errors import TrainingErrors
from ecg.detector import calibration, tables
from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL, Model
from ecg.detector.stream import Stream
from ecg.detector.zarr_array import ZarrArray
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError
from ecg.files import read_all_arrays, sha256, write_json
from ecg.hearts import context, learnt
from ecg.hearts import model as hearts
from ecg.recordings.reading import Lead, open_lead
from ecg.scanning.display import parse_time
from ecg.service.app import make_app
from ecg.service.keys import KEY_FILE, read_keys
from ecg.service.limits import Limits

CORPUS = ROOT / "tests" / "corpus"
DATASET = "Tiny"
READ_AT_ONCE = 100_000  # samples of a recording: reading all of a long one is no parsing
KEY = "correct horse"

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    make : makes, in an empty folder, what reads a case
    seeds : makes the first cases, all of which are read without an error
    longest : bytes of a case
    """

    make: Callable[[Path], Read]
    seeds: Callable[[], Sequence[bytes]]
    longest: int = 4096

    def cases(self, name: str) -> list[Path]:
        """The cases that found something, which are kept."""
        return sorted((CORPUS / name).glob("*"))


def _file(name: str, read: Callable[[Path], object], beside: Mapping[str, bytes] | None = None) -> Any:
    """Make what writes a case to a file of this name, beside other files, and reads it from there."""

    def make(folder: Path) -> Read:
        for other, content in (beside or {}).items():
            (folder / other).write_bytes(content)
        path = folder / name

        def read_case(case: bytes) -> object:
            path.write_bytes(case)
            return read(path)

        return read_case

    return make


def _lead(name: str, *rates: float | None, beside: Callable[[], Mapping[str, bytes]] = dict) -> Any:
    """Make what reads a case as a recording, at each of some sampling rates: where the first does not do, the next."""

    def read(path: Path) -> object:
        for rate in rates[:-1]:
            try:
                return _opened(path, rate)
            except InputError as error:
                if "does not state its sampling rate" not in str(error):
                    raise
        return _opened(path, rates[-1])

    return lambda folder: _file(name, read, beside())(folder)


def _opened(path: Path, rate: float | None) -> Lead:
    """A lead of a recording, of which the first and the last samples are read."""
    opened: str | Path = path.with_suffix("") if path.suffix == ".atr" else path
    with open_lead(opened, rate=rate) as lead:
        first = lead.read(0, min(lead.length, READ_AT_ONCE))
        last = lead.read(max(lead.length - READ_AT_ONCE, 0), lead.length)
        for part in (first, last):
            assert part.dtype == np.float64
            assert part.shape == (min(lead.length, READ_AT_ONCE),)
        if lead.annotations is not None:
            assert len(lead.annotations.symbols) == len(lead.annotations.seconds)
        return lead


def _beats(file_format: str) -> Any:
    """Make what reads a case as a table of beats."""
    return _file(f"case.{file_format}", lambda path: tables.read(path, LENGTH))


def _beat_tables(delimiter: str) -> list[bytes]:
    rows = [["1", "0.5", "-0.25", "1e-3", "2"], ["N", "1", "2", "3", "4"]]
    named = [["class", "a", "b", "c", "d"], *rows]
    texts = [rows, named, [row[1:] for row in rows]]
    return ["".join(delimiter.join(row) + "\n" for row in text).encode() for text in texts]


def _parquet() -> list[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {str(i): [0.5, -0.25, 1e-3] for i in range(LENGTH)}
    labelled = pa.table({"class": ["N", "V", "N"], **columns})
    return [
        seeds.written(partial(parquet.write_table, labelled, compression="snappy"), "seed.parquet"),
        seeds.written(partial(parquet.write_table, pa.table(columns), compression="none"), "seed.parquet"),
    ]


def _zarr(name: str) -> Any:
    """Make what reads a case as the metadata of a Zarr array."""
    return _file(name, lambda path: ZarrArray.open(str(path.parent), LENGTH))


def _zarr_metadata(name: str, *options: Mapping[str, Any]) -> list[bytes]:
    import zarr

    def write(path: Path, chosen: Mapping[str, Any]) -> None:
        array: dict[str, Any] = {"shape": (3, LENGTH), "chunks": (2, LENGTH), "dtype": "float32", **chosen}
        zarr.create_array(path.parent, **array)

    return [seeds.written(partial(write, chosen=chosen), name) for chosen in options]


def _model(case: bytes) -> object:
    model = Model(case)
    model.scores(np.zeros((1, model.length), np.float32))
    return model.members, dataset_of_model(model.metadata)


def _calibration(path: Path) -> object:
    """A calibration, and what it says of some beats."""
    known = Detector(seeds.detector().model, calibration.Calibration.load(path))
    known.score(np.arange(3 * LENGTH, dtype=float).reshape(3, LENGTH))
    return known.calibration.smallest_p, known.calibration.threshold_at(0.2)


def _hearts_calibration() -> list[bytes]:
    shares = [1.0, 0.5, 0.1]
    patients = [hearts.Patient(name=f"mitdb/10{i}", fold=i, beats=40, shares=shares) for i in range(2)]
    made = hearts.Calibration(model_sha256="0" * 64, alpha=0.1, folds=2, scores=[0.1, 0.2, 0.3], patients=patients)
    return [made.content()]


def _stream() -> list[bytes]:
    return [seeds.written(Stream.start(seeds.detector()).save, "stream.json")]


def _provenance() -> list[bytes]:
    made = Provenance(
        params={"train": {"epochs": 3, "model": "dense"}},
        data={"Tiny_TRAIN.tsv": "0" * 64},
        model={name: sha256(content) for name, content in _model_files().items()},
        packages={"numpy": "2.4.6"},
        beats={"fit": {"1": 292}},
        metrics={"auc": 0.99},
        intervals={"auc": {"low": 0.98, "high": 1.0}},
    )
    return [seeds.written(lambda path: made.save(path.parent), PROVENANCE)]


@cache
def _model_files() -> dict[str, bytes]:
    saved = seeds.written(seeds.detector().calibration.save, CALIBRATION)
    return {MODEL: seeds.onnx_model(), CALIBRATION: saved}


@cache
def _patient_files() -> dict[str, bytes]:
    width = 2 * (context.LENGTH // context.STEP) + len(context.RHYTHM) + len(context.SURROUNDINGS)
    shapes = {"normal": (context.LENGTH,), "beats": (1, width), "scores": (30,)}
    files = seeds.arrays(**{name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    source = {"version": 1, "recording": "100", "lead": "MLII", "start": 0.0, "stop": 300.0, "beats": 30, "usual": 0.5}
    source |= {"annotated": False, "model_sha256": "0" * 64, "beats_sha256": sha256(files)}
    return {learnt.PATIENT: seeds.written(lambda path: write_json(path, source), learnt.PATIENT), learnt.BEATS: files}


def _patient(name: str, other: str) -> Any:
    def make(folder: Path) -> Read:
        read: Callable[[Path], object] = lambda path: learnt.Learnt.load(path.parent, "0" * 64)  # noqa: E731
        made: Read = _file(name, read, {other: _patient_files()[other]})(folder)
        return made

    return make


def _datasets() -> list[bytes]:
    texts = {f"{DATASET}_{part}.tsv": b"1\t0.5\t0.25\n2\t0.5\t-0.25\n" * 8 for part in sources.PARTS}
    return [seeds.zipped(texts, method) for method in (ZIP_STORED, ZIP_DEFLATED)]


def _params() -> list[bytes]:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    lines = [line.partition(" #")[0].rstrip() for line in text.splitlines()]
    return ["\n".join(line for line in lines if line and not line.lstrip().startswith("#")).encode()]


def _tables_of_leads() -> list[bytes]:
    utf16 = seeds.table("time;ECG [mV]", ";", "clock", rows=60).decode()
    return [
        seeds.table("time,MLII,V5", time="seconds"),
        seeds.table("'Elapsed time','MLII','V5'\n'hh:mm:ss.mmm','mV','mV'", time="clock"),
        seeds.table("Zeit;I [uV];II [uV]", ";", "milliseconds", decimal=","),
        seeds.table("timestamp,ecg", time="moment", rows=100),
        seeds.table("Name,Ada\nSample Rate,200 hertz\nUnit,µV\n\nI,II"),
        seeds.table("'sample #','MLII','V5'", time="number"),
        seeds.table("# 200 Hz", "\t"),
        seeds.table("", " "),
        b"\xff\xfe" + utf16.encode("utf-16-le"),
    ]


def _headers() -> list[bytes]:
    header = seeds.wfdb_files()["case.hea"]
    fixed = b"case/2 2 200 300 12:00:00 01/05/2024\npart 150\n~ 150\n"
    variable = b"case/3 2 200 300\nlayout 0\npart 150\n~ 150\n"
    others = [header.replace(b" 16 ", b" %s " % fmt) for fmt in (b"212", b"80", b"24", b"310")]
    return [header, header + b"# a comment\n", fixed, variable, *others]


@cache
def _beside_header() -> dict[str, bytes]:
    files = seeds.wfdb_files()
    part = seeds.wfdb_files("part", rows=150)
    layout = b"layout 2 200 0\n~ 0 200/mV 16 0 0 0 0 MLII\n~ 0 200/mV 16 0 0 0 0 V5\n"
    return {"case.dat": files["case.dat"], **part, "layout.hea": layout}


def _zips() -> list[bytes]:
    record = {f"folder/{name}": content for name, content in seeds.wfdb_files(rows=100).items()}
    text = {"ecg.csv": seeds.table("time,MLII", time="seconds", rows=60)}
    return [seeds.zipped(record), *(seeds.zipped(text, method) for method in (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2))]


def _service(*routes: str, media_type: str = "application/json") -> Callable[[Path], Read]:
    """Make what posts a case to routes of the service; an answer of an error in the service is an error."""

    def make(_folder: Path) -> Read:
        post, headers = _poster(), [(b"content-type", media_type.encode())]

        def read_case(case: bytes) -> list[int]:
            return [post(route, b"alpha=0.2", headers, case) for route in routes]

        return read_case

    return make


def _service_headers(_folder: Path) -> Read:
    """What posts a beat with a query and headers, which are the lines of the case."""
    post = _poster(KEY)

    def read_case(case: bytes) -> int:
        query, *lines = case.replace(b"\r", b"").replace(b"\0", b"").split(b"\n")
        pairs = [line.partition(b":")[::2] for line in lines]
        return post(
            "/score", query, [(name.lower(), value.strip()) for name, value in pairs], b'{"beat": [0, 1, 0, 0]}'
        )

    return read_case


def _poster(*keys: str) -> Callable[[str, bytes, list[tuple[bytes, bytes]], bytes], int]:
    """What posts to the service, in this process; the status of its answer."""
    app = make_app(seeds.detector(), bounds=Limits(beats=8, body=4096), keys=keys)

    def post(route: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": route, "root_path": ""}
        scope |= {"query_string": query, "headers": headers, "http_version": "1.1", "scheme": "http"}
        scope |= {"asgi": {"version": "3.0"}, "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "state": {}}
        statuses: list[int] = []
        incoming = itertools.chain(
            [{"type": "http.request", "body": body, "more_body": False}], itertools.repeat({"type": "http.disconnect"})
        )

        async def receive() -> Any:
            return next(incoming)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        asyncio.run(app(scope, receive, send))
        assert len(statuses) == 1
        assert statuses[0] < 500, f"status {statuses[0]}"
        return statuses[0]

    return post


TARGETS: dict[str, Target] = {
    "data.beats": Target(
        lambda _: lambda case: beats.parse(case, "case.tsv"),
        lambda: [b"1\t0.5\t0.25\n2\t0.5\t-0.25\n", b"  1.0000000e+00  5.0000000e-01 -2.5000000e-01\r\n"],
    ),
    "data.zip": Target(_file("case.zip", lambda path: sources._from_zip(path, DATASET)), _datasets),
    "data.times": Target(
        _file("case.csv", times.hours_of_test),
        lambda: [b"part,row,class,seconds\nTRAIN,1,normal,0.5\nTEST,1,normal,1.5\nTEST,2,normal,2.5\n"],
    ),
    "data.training_errors": Target(
        _file("errors.csv", TrainingErrors.load),
        lambda: [b"fold,fitted,held_out\n0,0.5,0.25\n1,0.125,1e-3\n", b"fold,fitted\n0,0.5\n"],
    ),
    "params": Target(_file("params.yaml", params.load), _params),
    "params.yaml": Target(
        _file("params.yaml", params.read),
        lambda: [b"a: [0x1f, 2024-05-01, 1e-3, 1:30, .inf, ~]\nb: {c: d, e: !!int '3'}\nf: |\n  g\n"],
        longest=512,
    ),
    "files.arrays": Target(
        _file("case.npz", read_all_arrays),
        lambda: [seeds.arrays(samples=np.zeros((2, 4), np.float32), classes=np.ones(2, np.int32))],
    ),
    "detector.csv": Target(_beats("csv"), lambda: _beat_tables(",")),
    "detector.tsv": Target(_beats("tsv"), lambda: _beat_tables("\t")),
    "detector.npy": Target(
        _beats("npy"),
        lambda: [seeds.npy(np.ones((3, LENGTH))), seeds.npy(np.ones((1, LENGTH), np.int16))],
    ),
    "detector.parquet": Target(_beats("parquet"), _parquet),
    "detector.zarr2": Target(
        _zarr(".zarray"), lambda: _zarr_metadata(".zarray", {"zarr_format": 2}, {"zarr_format": 2, "compressors": None})
    ),
    "detector.zarr3": Target(
        _zarr("zarr.json"), lambda: _zarr_metadata("zarr.json", {"compressors": None}, {"shards": (2, LENGTH)})
    ),
    "detector.model": Target(
        lambda _: _model, lambda: [seeds.onnx_model(), seeds.onnx_model((("dataset", "ECG5000"),))]
    ),
    "detector.calibration": Target(_file(CALIBRATION, _calibration), lambda: [_model_files()[CALIBRATION]]),
    "detector.stream": Target(_file("stream.json", lambda path: Stream.load(path, seeds.detector())), _stream),
    "evaluation.provenance": Target(
        lambda folder: _file(PROVENANCE, lambda path: Provenance.load(path.parent), _model_files())(folder),
        _provenance,
    ),
    "hearts.calibration": Target(_file("calibration.json", hearts.Calibration.load), _hearts_calibration),
    "hearts.patient": Target(_patient(learnt.PATIENT, learnt.BEATS), lambda: [_patient_files()[learnt.PATIENT]]),
    "hearts.beats": Target(_patient(learnt.BEATS, learnt.PATIENT), lambda: [_patient_files()[learnt.BEATS]]),
    "recordings.table": Target(_lead("case.csv", None, RATE), _tables_of_leads),
    "recordings.wfdb": Target(_lead("case.hea", None, beside=_beside_header), _headers),
    "recordings.annotations": Target(
        _lead("case.atr", None, beside=lambda: seeds.wfdb_files()),
        lambda: [seeds.wfdb_files()["case.atr"]],
    ),
    "recordings.edf": Target(_lead("case.edf", None), lambda: [seeds.edf("edf")]),
    "recordings.bdf": Target(_lead("case.bdf", None), lambda: [seeds.edf("bdf")]),
    "recordings.ishne": Target(_lead("case.ecg", None), lambda: [seeds.ishne()]),
    "recordings.npy": Target(
        _lead("case.npy", RATE), lambda: [seeds.npy(seeds.leads()[:, 0]), seeds.npy(seeds.leads()[:150])]
    ),
    "recordings.zip": Target(_lead("case.zip", None, RATE), _zips, longest=8192),
    "recordings.any": Target(  # without an ending: its content says what it is
        _lead("case", None, RATE), lambda: [seeds.ishne(), seeds.edf("edf"), seeds.table("time,I", time="seconds")]
    ),
    "scanning.time": Target(
        lambda _: lambda case: parse_time(case.decode(errors="surrogateescape")),
        lambda: [b"0:12:30", b"5:00", b"7.5"],
        longest=64,
    ),
    "service.keys": Target(
        _file("keys", lambda path: read_keys({KEY_FILE: str(path)})), lambda: [b"old\nnew\n"], longest=512
    ),
    "service.json": Target(
        _service("/score", "/score/batch", "/explain"),
        lambda: [b'{"beat": [0.5, 1, -0.25, 2e-1]}', b'{"beats": [[0.5, 1, -0.25, 2e-1], [0, 1, 0, 1]]}'],
    ),
    "service.binary": Target(
        _service("/score/binary", media_type="application/octet-stream"),
        lambda: [np.ones((2, LENGTH), "<f4").tobytes()],
    ),
    "service.headers": Target(
        _service_headers,
        lambda: [
            f"alpha=0.2\nAuthorization: Bearer {KEY}\nContent-Type: application/json\nContent-Length: 22".encode()
        ],
    ),
}


def reader(name: str, folder: Path) -> Read:
    """What reads the cases of a target, in a folder of its own that is made."""
    folder.mkdir()
    return TARGETS[name].make(folder)
