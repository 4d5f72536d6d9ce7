"""Beats in Zarr arrays: what zarr writes comes back, and anything else in a store is refused."""

import copy
import gzip
import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numcodecs import LZ4, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from ecg.data.beats import Beats
from ecg.detector import tables, zarr_array
from ecg.detector.zarr_array import ZarrArray
from ecg.exceptions import InputError
from tests.forked import Reader

L, N = 140, 45
SHARDS = {"shards": (30, L)}


@pytest.fixture(scope="module")
def real(test: Beats) -> np.ndarray:
    return test.samples[:N].astype(np.float32)


@pytest.fixture
def quick_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the process that reads chunks, rather than start it anew for each case."""
    monkeypatch.setattr(subprocess, "Popen", Reader)


def write(url: str | Path, beats: np.ndarray, **options: Any) -> str:
    options = {"chunks": (10, beats.shape[1]), "dtype": beats.dtype, "shape": beats.shape} | options
    array = zarr.create_array(str(url), **options)
    array[:] = beats.astype(array.dtype)
    return str(url)


def read(url: str | Path, start: int = 0, stop: int = N) -> np.ndarray:
    batches = ZarrArray.open(str(url), L).batches(start, stop)
    return np.concatenate([np.empty((0, L)), *(batch.samples for batch in batches)])


STORED: list[dict[str, Any]] = [
    {},  # Zstandard
    {"zarr_format": 2},
    {"zarr_format": 2, "dtype": ">f4", "order": "F", "compressors": None},
    {"zarr_format": 2, "dtype": "float16", "compressors": Blosc()},
    {"zarr_format": 2, "dtype": ">i2", "compressors": LZ4(), "chunks": (10, 50)},
    {"zarr_format": 2, "dtype": "uint8", "compressors": Zlib(), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    {"dtype": "float64", "compressors": [GzipCodec(), Crc32cCodec()]},
    {"dtype": "int16", "compressors": None, "serializer": zarr.codecs.BytesCodec(endian="big")},
    {"compressors": BloscCodec(), "chunks": (100, 200), "chunk_key_encoding": {"name": "v2"}},
    SHARDS,
    {"shards": {"shape": (30, 280), "index_location": "start"}, "dtype": "float16", "chunks": (1, 70)},
]


@pytest.mark.usefixtures("quick_reading")
@pytest.mark.parametrize("options", STORED)
def test_beats_come_back_as_they_were_written(tmp_path: Path, real: np.ndarray, options: dict[str, Any]) -> None:
    values = 50 * real if np.dtype(options.get("dtype", "f4")).kind in "iu" else real
    url = write(tmp_path, np.abs(values) if options.get("dtype") == "uint8" else values, **options)
    np.testing.assert_array_equal(read(url), zarr.open_array(url, mode="r")[:])


@pytest.mark.parametrize(("options", "rows"), [({}, 10), (SHARDS, 30)])
def test_partitions_begin_and_end_anywhere(
    tmp_path: Path, real: np.ndarray, options: dict[str, Any], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_array, "BLOCK", 20 * L * 4)
    monkeypatch.setattr(tables, "ROWS", 16)
    array = ZarrArray.open(write(tmp_path, real, **options), L)
    assert (array.beats, array.rows, array.rows_at_a_time) == (N, rows, 20)
    for start, stop in ((0, N), (7, 41)):
        batches = list(array.batches(start, stop))
        np.testing.assert_array_equal(np.concatenate([batch.samples for batch in batches]), real[start:stop])
        assert {len(batch.samples) for batch in batches[:-1]} == {16}
        assert batches[-1].share_read == pytest.approx(1)


def test_no_rows_are_no_batches(tmp_path: Path) -> None:
    array = ZarrArray.open(write(tmp_path, np.empty((0, L)), chunks=(1, L)), L)
    assert array.beats == 0
    assert list(array.batches(0, 0)) == []
    with pytest.raises(ValueError, match="rows 0 to 1 of 0"):
        next(array.batches(0, 1))


def test_arrays_are_read_from_an_object_store(s3: str, real: np.ndarray) -> None:
    for name, options in {"two": {"zarr_format": 2}, "shards": SHARDS}.items():
        url = write(f"{s3}/{name}", real, **options)
        np.testing.assert_array_equal(read(url, 7, 41), real[7:41])
    with pytest.raises(InputError, match=rf"{s3}/none is not a Zarr array: it has neither zarr.json nor .zarray"):
        ZarrArray.open(f"{s3}/none", L)


@pytest.mark.parametrize(
    "url", ["relative", "/dev/null", "s3://", "nowhere://a", "http://127.0.0.1:9/a", "a\0", "a::b"]
)
def test_what_cannot_be_opened_is_refused_by_its_name(url: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read|is not a Zarr array"):
        ZarrArray.open(url, L)


@pytest.mark.parametrize("package", ["fsspec", "gcsfs"])
def test_a_missing_package_is_named_with_how_to_install_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    remedy = {"fsspec": r"'ecg-anomaly-detector\[archive\]'", "gcsfs": "gcsfs"}[package]
    with pytest.raises(InputError, match=f"pip install {remedy}"):
        ZarrArray.open("gs://bucket/beats", L)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((9, 139), "float32", r"holds an array of shape \(9, 139\); the model takes \(any number, 140\)"),
        ((L,), "float32", r"of shape \(140,\)"),
        ((), "float32", r"of shape \(\)"),
        ((9, L, 1), "float32", r"of shape \(9, 140, 1\)"),
        ((9, L), "complex64", "expected integers or floating-point numbers"),
        ((9, L), "bool", "expected integers or floating-point numbers"),
        ((9, L), "datetime64[s]", "expected integers or floating-point numbers"),
        ((9, L), [("a", "f4")], "expected integers or floating-point numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_arrays_of_something_else_are_refused(
    tmp_path: Path, zarr_format: int, shape: tuple[int, ...], dtype: Any, message: str
) -> None:
    zarr.create_array(tmp_path, shape=shape, dtype=np.dtype(dtype), zarr_format=zarr_format)
    with pytest.raises(InputError, match=message):
        ZarrArray.open(str(tmp_path), L)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_group_is_told_from_an_array(tmp_path: Path, zarr_format: int) -> None:
    zarr.create_group(tmp_path, zarr_format=zarr_format)
    with pytest.raises(InputError, match="is a Zarr group; name one of the arrays in it"):
        ZarrArray.open(str(tmp_path), L)


def metadata(**options: Any) -> dict[str, Any]:
    """What zarr writes of an array of 45 beats."""
    store: dict[str, Any] = {}
    zarr.create_array(store, **({"shape": (N, L), "chunks": (10, L), "dtype": "float32"} | options))
    return json.loads(store[".zarray" if options.get("zarr_format") == 2 else "zarr.json"].to_bytes())


TWO, THREE, SHARDED = metadata(zarr_format=2), metadata(), metadata(**SHARDS)
VALUES = [None, True, -1, 0, 3, 10**29, 1.5, "", "x", "pickle", [], [10, 140], {}, {"name": "bytes"}]


def put(folder: Path, record: Any) -> str:
    """Write the metadata of an array into a folder."""
    name = ".zarray" if isinstance(record, dict) and record.get("zarr_format") == 2 else "zarr.json"
    (folder / name).write_text(json.dumps(record))
    return str(folder)


@pytest.mark.parametrize(
    ("record", "path", "value", "message"),
    [
        (TWO, "compressor", {"id": "pickle"}, "the codec 'pickle' cannot be read; expected blosc, gzip, lz4"),
        (TWO, "compressor", {"id": "zfpy"}, "the codec 'zfpy' cannot be read"),
        (TWO, "filters", [{"id": "pickle"}], "the filter 'pickle' cannot be read; write the array without filters"),
        (TWO, "dtype", "|O", "it holds '.O'"),
        (TWO, "dimension_separator", "/../", "dimension_separator is '/../'"),
        (TWO, "chunks", [0, 140], "chunks.0 is 0: it should be greater than or equal to 1"),
        (TWO, "chunks", [10**6, 140], "560,000,000 bytes are unpacked at a time; .* write it with smaller chunks"),
        (TWO, "chunks", [10**7, 1], "5,600,000,000 bytes are unpacked at a time"),
        (TWO, "shape", [10**13, 140], "says that it holds 10,000,000,000,000 beats"),
        (THREE, "codecs.0.name", "numcodecs.pickle", "the codec 'numcodecs.pickle' cannot be read; expected bytes"),
        (THREE, "codecs.1.name", "numcodecs.pickle", "the codec 'numcodecs.pickle' cannot be read; expected blosc"),
        (THREE, "codecs.0", "bytes", "endian is missing"),
        (THREE, "data_type", {"name": "string"}, "expected integers or floating-point numbers"),
        (THREE, "chunk_grid.name", "rectilinear", "chunks of a 'rectilinear' grid cannot be read"),
        (THREE, "chunk_key_encoding.name", "fanout", "names of chunks in the form 'fanout' are not known"),
        (THREE, "chunk_key_encoding.configuration", {"separator": "../"}, "separator is '../'"),
        (THREE, "storage_transformers", [{"name": "elsewhere"}], "storage_transformers is "),
        (THREE, "elsewhere", {"url": "s3://other"}, "'elsewhere' is not known, and may change how"),
        (SHARDED, "codecs.0.configuration.codecs.1.name", "pickle", "the codec 'pickle' cannot be read"),
        (SHARDED, "codecs.0.configuration.codecs.0.name", "sharding_indexed", "'sharding_indexed' cannot be read"),
        (SHARDED, "codecs.0.configuration.index_codecs.1.name", "zstd", "the index of a shard is packed by 'zstd'"),
        (SHARDED, "codecs.0.configuration.chunk_shape", [7, 140], "do not hold whole chunks"),
        (SHARDED, "chunk_grid.configuration.chunk_shape", [10**8, 140], "a shard holds 10,000,000 chunks"),
        (SHARDED, "codecs.1", {"name": "zstd"}, "shards that are packed as a whole cannot be read"),
    ],
)
def test_metadata_that_cannot_be_read_as_they_say_are_refused(
    tmp_path: Path, record: dict[str, Any], path: str, value: Any, message: str
) -> None:
    changed = copy.deepcopy(record)
    *parents, last = path.split(".")
    inner: Any = changed
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    if isinstance(inner, list):
        inner[int(last) : int(last) + 1] = [value]
    else:
        inner[last] = value
    with pytest.raises(InputError, match=message):
        ZarrArray.open(put(tmp_path, changed), L)


def test_what_a_reader_need_not_know_is_left_aside(tmp_path: Path) -> None:
    more = {"attributes": {"a": {"b": 1}}, "notes": {"must_understand": False}, "dimension_names": ["beat", None]}
    assert ZarrArray.open(put(tmp_path, THREE | more), L).beats == N


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 10**5, b" " * (2**22 + 1), b'{"shape": NaN}'])
def test_what_is_not_json_of_a_fair_size_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "zarr.json").write_bytes(content)
    with pytest.raises(InputError, match=r"zarr.json (is not JSON|has more than)"):
        ZarrArray.open(str(tmp_path), L)


def places(record: Any) -> list[tuple[Any, Any]]:
    """Each list and object in a record, with each of its keys."""
    keys = list(record) if isinstance(record, dict) else list(range(len(record))) if isinstance(record, list) else []
    return [(record, key) for key in keys] + [place for key in keys for place in places(record[key])]


@given(st.sampled_from([TWO, THREE, SHARDED]), st.lists(st.tuples(st.integers(0), st.sampled_from(VALUES)), max_size=3))
def test_any_metadata_are_an_array_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any], changes: list[tuple[int, Any]]
) -> None:
    record = copy.deepcopy(record)
    for number, value in changes:
        known = places(record)
        inner, key = known[number % len(known)]
        inner[key] = copy.deepcopy(value)
    with suppress(InputError):
        array = ZarrArray.open(put(tmp_path_factory.mktemp("array"), record), L)
        assert array.beats == record["shape"][0]
        assert array.rows_at_a_time * L <= zarr_array.LARGEST_CHUNK


def test_metadata_that_change_after_they_were_checked_run_no_code(tmp_path: Path, real: np.ndarray) -> None:
    url = write(tmp_path / "beats", real, zarr_format=2, compressors=None)
    array, marker = ZarrArray.open(url, L), tmp_path / "marker"
    put(Path(url), TWO | {"compressor": {"id": "pickle"}})
    Path(url, "0.0").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    with pytest.raises(InputError, match="cannot be read in rows 0 to 44, or is damaged there"):
        list(array.batches(0, N))
    assert not marker.exists()


MANY_ZEROS = gzip.compress(bytes(2**26)) * 64  # 4 GB in 4 MB


def damaged(chunk: bytes) -> bytes:
    return chunk[: len(chunk) // 2]


@pytest.mark.usefixtures("quick_reading")
@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"zarr_format": 2, "compressors": GZip()}, lambda _: MANY_ZEROS, "MB of memory to unpack"),
        ({"compressors": GzipCodec()}, lambda _: MANY_ZEROS, "MB of memory to unpack"),
        ({"compressors": ZstdCodec()}, lambda _: Zstd().encode(bytes(2**30)), "MB of memory to unpack"),
        (
            {"zarr_format": 2, "compressors": LZ4()},
            lambda chunk: struct.pack("<I", 2**31 - 1) + chunk[4:],
            "MB of memory to unpack",
        ),
        (
            {"zarr_format": 2, "compressors": Blosc()},
            lambda chunk: chunk[:4] + struct.pack("<I", 2**31 - 100) + chunk[8:],
            "MB of memory to unpack",
        ),
        ({"compressors": ZstdCodec()}, damaged, "cannot be read in rows 0 to 44, or is damaged there"),
        ({"zarr_format": 2, "compressors": Blosc()}, damaged, "cannot be read in rows 0 to 44, or is damaged there"),
        ({"compressors": None}, lambda chunk: chunk + chunk, "cannot be read in rows 0 to 44, or is damaged there"),
        ({"compressors": None}, lambda _: b"", "cannot be read in rows 0 to 44, or is damaged there"),
        (SHARDS, damaged, "cannot be read in rows 0 to 44, or is damaged there"),
    ],
)
def test_chunks_that_are_not_what_they_should_be_are_refused(
    tmp_path: Path, real: np.ndarray, options: dict[str, Any], change: Callable[[bytes], bytes], message: str
) -> None:
    write(tmp_path, real, **options)
    chunk = tmp_path / ("0.0" if options.get("zarr_format") == 2 else "c/0/0")
    chunk.write_bytes(change(chunk.read_bytes()))
    with pytest.raises(InputError, match=message):
        read(tmp_path)


PACKED: list[dict[str, Any]] = [
    {"compressors": [ZstdCodec(), Crc32cCodec()]},
    {"shards": (N, L), "chunks": (15, L)},
    *({"zarr_format": 2, "compressors": codec} for codec in (Blosc(), Blosc("zstd", shuffle=2), GZip(), LZ4(), Zstd())),
]


@pytest.mark.usefixtures("quick_reading")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PACKED), st.integers(0), st.binary(max_size=8), st.integers(0, 8))
def test_any_chunk_is_beats_or_an_input_error(
    tmp_path: Path, real: np.ndarray, options: dict[str, Any], place: int, put_in: bytes, left_out: int
) -> None:
    url = write(tmp_path, real, overwrite=True, **({"chunks": (N, L)} | options))
    chunk = tmp_path / ("0.0" if options.get("zarr_format") == 2 else "c/0/0")
    content = chunk.read_bytes()
    place %= len(content)
    chunk.write_bytes(content[:place] + put_in + content[place + left_out :])
    with suppress(InputError):
        assert read(url).shape == (N, L)


@pytest.mark.usefixtures("quick_reading")
@pytest.mark.parametrize(
    "options",
    [{"zarr_format": 2}, {"fill_value": math.nan}, {"dtype": "int16", "fill_value": 7}, {"dtype": "uint8"}, SHARDS],
)
def test_beats_that_were_never_written_are_not_made_up(
    tmp_path: Path, real: np.ndarray, options: dict[str, Any]
) -> None:
    array = zarr.create_array(tmp_path, **({"shape": (N, L), "chunks": (10, L), "dtype": "float32"} | options))
    for rows in (slice(0, 20), slice(30, N)):
        array[rows] = (50 * np.abs(real[rows])).astype(array.dtype)
    with pytest.raises(InputError, match="has no chunk for beat 20; write every beat"):
        read(tmp_path)


@pytest.mark.usefixtures("quick_reading")
@pytest.mark.parametrize(("dtype", "value"), [("float32", math.nan), ("int16", -(2**15)), ("uint8", 255)])
def test_values_that_look_like_none_are_kept(tmp_path: Path, dtype: str, value: float) -> None:
    beats = np.zeros((N, L), dtype)
    beats[12, 7] = beats[40] = value
    write(tmp_path, beats, config={"write_empty_chunks": True})
    np.testing.assert_array_equal(read(tmp_path), beats)


def test_the_reading_process_ends_when_no_more_beats_are_wanted(
    tmp_path: Path, real: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = subprocess.Popen, []

    def popen(*args: Any, **options: Any) -> Any:
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(tables, "ROWS", 16)
    batches = ZarrArray.open(write(tmp_path, np.tile(real, (200, 1)), chunks=(9000, L)), L).batches(0, 200 * N)
    next(batches)
    (process,) = started
    assert process.poll() is None
    batches.close()
    assert process.returncode is not None


def test_a_crash_of_the_reading_process_is_an_input_error(
    tmp_path: Path, real: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = write(tmp_path / "beats", real)
    (tmp_path / "crash.py").write_text("import os; os.abort()")
    monkeypatch.setattr(zarr_array.zarr_chunks, "__file__", str(tmp_path / "crash.py"))
    with pytest.raises(InputError, match="beats is a damaged Zarr array"):
        read(url)
