"""Beats in Zarr arrays, formats 2 and 3, in a folder or in an object store: any rows of them, chunk by chunk.

What an array says of itself is checked here, and described anew to the library that reads it, by names of this file and
checked numbers alone: a name from a store never chooses the code that runs. A process of its own reads the chunks
(zarr_chunks.py).
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal, Self, cast

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field

from ecg.detector import zarr_chunks
from ecg.detector.tables import BeatBatch, BeatTable, reading_process
from ecg.exceptions import InputError, needed_for
from ecg.files import LARGEST_JSON, parse_json
from ecg.schema import Strict, check

FORMAT_3, FORMAT_2, GROUP_2 = "zarr.json", ".zarray", ".zgroup"  # files of an array or a group
MOST_BEATS = 10**12  # above, zarr's own arithmetic of chunks is not exact
LARGEST_CHUNK = 256 * 10**6  # bytes, unpacked
MOST_CHUNKS = 10**6  # in a shard: its index is read anew for each block
BLOCK = 16 * 10**6  # bytes that are unpacked at a time where chunks are smaller
# What opens the addresses of each store, by protocol.
STORES = dict.fromkeys(("s3", "s3a"), "s3fs") | dict.fromkeys(("gs", "gcs"), "gcsfs")
STORES |= dict.fromkeys(("az", "abfs", "abfss"), "adlfs")

# How each codec is described to the library. The rest of its settings are of use only to who writes.
_PACKED_2 = {name: {"id": name} for name in ("blosc", "gzip", "lz4", "zlib", "zstd")}
_BLOSC = {"typesize": 1, "cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0}
_PACKED_3 = {
    "blosc": {"name": "blosc", "configuration": _BLOSC},
    "crc32c": {"name": "crc32c"},
    "gzip": {"name": "gzip", "configuration": {"level": 5}},
    "zstd": {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
}
_NUMBERS_2 = re.compile(r"\|[iu]1|[<>](?:[iu][248]|f[248])")
_NUMBERS_3 = re.compile(r"u?int(?:8|16|32|64)|float(?:16|32|64)")

Chunk = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]


class _Known(Strict):
    """A part of the metadata; what else it has is left aside."""

    model_config = ConfigDict(extra="ignore")


class _Shape(_Known):
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=32)]


class _Compressor(_Known):
    id: str


class _Format2(_Shape):
    zarr_format: Literal[2]
    chunks: Chunk
    dtype: Any  # a list for structured types
    compressor: _Compressor | None
    order: Literal["C", "F"]
    filters: list[_Compressor] | None
    dimension_separator: Literal[".", "/"] = "."


class _Named(_Known):
    name: str
    configuration: dict[str, Any] = Field(default_factory=dict)


Named = Annotated[_Named, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)]
Codecs = Annotated[list[Named], Field(min_length=1, max_length=10)]


class _Format3(_Shape):
    zarr_format: Literal[3]
    node_type: Literal["array"]
    data_type: Any  # an object for types of extensions
    chunk_grid: Named
    chunk_key_encoding: Named
    codecs: Codecs
    fill_value: Any
    attributes: Any = None
    dimension_names: Any = None
    storage_transformers: list[Any] = Field(default_factory=list, max_length=0)


class _Grid(_Known):
    chunk_shape: Chunk


class _Keys(_Known):
    separator: Literal["/", "."]


class _Endian(_Known):
    endian: Literal["little", "big"]


class _Shards(_Known):
    chunk_shape: Chunk
    codecs: Codecs
    index_codecs: Codecs
    index_location: Literal["start", "end"] = "end"


@dataclass(frozen=True)
class ZarrArray:
    """A Zarr array of beats, whose metadata has been checked; its chunks are not read yet.

    url : of the array, or the path of its folder
    length : samples in a beat
    beats : rows of the array
    rows : of a chunk; of a shard, if there are shards. To start at a multiple of it reads nothing twice
    rows_at_a_time : that are unpacked together, whole chunks
    metadata : the array as it is described to the library, without a fill value; JSON
    """

    url: str
    length: int
    beats: int
    rows: int
    rows_at_a_time: int
    metadata: str

    @classmethod
    def open(cls, url: str, length: int) -> Self:
        """Read and check the metadata of an array.

        Parameters
        ----------
        url : of an array, as fsspec takes it, or the path of a folder; credentials come from the environment
        length : samples in a beat of the model

        Raises
        ------
        InputError
            if it cannot be read, or is not an array of shape (n, length) that can be.
        """
        name, content = _metadata_of(url)
        where = f"{url}, {name}"
        try:
            record = parse_json(content)
        except ValueError as error:
            raise InputError(f"{where} is not JSON ({error}); write the array anew") from None
        if isinstance(record, dict) and (name == GROUP_2 or record.get("node_type") == "group"):
            raise InputError(f"{url} is a Zarr group; name one of the arrays in it")
        shape = check(_Shape, record, where).shape
        if len(shape) != 2 or shape[1] != length:
            raise InputError(f"{url} holds an array of shape {tuple(shape)}; the model takes (any number, {length})")
        stored = (_format_3 if name == FORMAT_3 else _format_2)(record, where)
        beats, (rows, columns) = shape[0], stored.chunk
        if beats > MOST_BEATS:
            raise InputError(f"{url} says that it holds {beats:,} beats; at most {MOST_BEATS:,} can be read")
        size = rows * -(-length // columns) * columns * stored.itemsize  # chunks may be as wide as a part of a beat
        if size > LARGEST_CHUNK:
            raise InputError(
                f"{url} has chunks of which {size:,} bytes are unpacked at a time; at most {LARGEST_CHUNK:,} can be: "
                "write it with smaller chunks"
            )
        at_a_time = rows * max(BLOCK // size, 1)
        return cls(url, length, beats, stored.shard[0], at_a_time, json.dumps(stored.metadata))

    def batches(self, start: int, stop: int) -> Iterator[BeatBatch]:
        """The beats of rows from `start` to before `stop`, in batches as those of `BeatTable`, without labels.

        Raises
        ------
        InputError
            if a chunk is damaged or missing, or takes more memory than its size says.
        """
        if not 0 <= start <= stop <= self.beats:
            raise ValueError(f"rows {start} to {stop} of {self.beats}")
        if start == stop:
            return
        request = [self.url, self.metadata, start, stop, self.rows_at_a_time]
        damage = None
        with reading_process([zarr_chunks.__file__, *map(str, request)], self.url, "a damaged Zarr array") as output:
            try:
                yield from BeatTable(cast(BinaryIO, output), "npy", self.url).batches(self.length)
            except InputError as error:  # the process ended early; its exit status tells
                damage = error
        if damage:
            raise damage


def _metadata_of(url: str) -> tuple[str, bytes]:
    """The name and the content of the file that describes an array or a group."""
    with needed_for("reading Zarr arrays", "archive"):
        import fsspec

    if "::" in url:  # fsspec would take it for a chain of file systems, and a name in a folder may have it
        raise InputError(f"{url} cannot be read: names with two colons are not known")
    refused = None
    try:
        filesystem, path = fsspec.url_to_fs(url)
        for name in (FORMAT_3, FORMAT_2, GROUP_2):
            try:
                content = filesystem.cat_file(f"{path.rstrip('/')}/{name}", start=0, end=LARGEST_JSON + 1)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError as error:  # S3 refuses to say that there is no file to who may not list them
                refused = error
                continue
            if len(content) > LARGEST_JSON:
                raise InputError(f"{url}, {name} has more than {LARGEST_JSON:,} bytes, which no array needs")
            return name, content
    except InputError:
        raise
    except ImportError as error:  # of what opens URLs of this protocol
        package = STORES.get(url.partition("://")[0])
        remedy = f"; pip install {package}" if package else ""
        raise InputError(f"{url} cannot be read: {error}{remedy}") from None
    except Exception as error:  # whatever a store raises: of its own kinds, of its client's or the operating system's
        raise InputError(f"{url} cannot be read: {str(error) or type(error).__name__}") from None
    if refused:
        raise InputError(f"{url} cannot be read: {refused}")
    raise InputError(f"{url} is not a Zarr array: it has neither {FORMAT_3} nor {FORMAT_2}")


@dataclass(frozen=True)
class _Stored:
    """How an array is stored.

    shard, chunk : rows and columns of what is one file or object, and of what is unpacked in one piece
    itemsize : bytes of a sample
    metadata : for the library
    """

    shard: list[int]
    chunk: list[int]
    itemsize: int
    metadata: dict[str, Any]


def _format_2(record: Any, where: str) -> _Stored:
    read = check(_Format2, record, where)
    if not (isinstance(read.dtype, str) and _NUMBERS_2.fullmatch(read.dtype)):
        raise _not_numbers(read.dtype, where)
    if read.filters:
        raise InputError(f"{where}: the filter {read.filters[0].id!r} cannot be read; write the array without filters")
    if read.compressor and read.compressor.id not in _PACKED_2:
        raise _unknown_codec(read.compressor.id, _PACKED_2, where)
    metadata = {
        "zarr_format": 2,
        "shape": read.shape,
        "chunks": read.chunks,
        "dtype": read.dtype,
        "compressor": _PACKED_2[read.compressor.id] if read.compressor else None,
        "order": read.order,
        "filters": None,
        "dimension_separator": read.dimension_separator,
    }
    return _Stored(read.chunks, read.chunks, np.dtype(read.dtype).itemsize, metadata)


def _format_3(record: Any, where: str) -> _Stored:
    read = check(_Format3, record, where)
    for name in sorted(set(record) - set(_Format3.model_fields)):
        if not (isinstance(record[name], dict) and record[name].get("must_understand") is False):
            raise InputError(f"{where}: {name[:100]!r} is not known, and may change how the array is to be read")
    if not (isinstance(read.data_type, str) and _NUMBERS_3.fullmatch(read.data_type)):
        raise _not_numbers(read.data_type, where)
    if read.chunk_grid.name != "regular":
        raise InputError(f"{where}: chunks of a {read.chunk_grid.name!r} grid cannot be read; expected a regular one")
    if read.chunk_key_encoding.name not in ("default", "v2"):
        raise InputError(f"{where}: names of chunks in the form {read.chunk_key_encoding.name!r} are not known")
    separator = {"separator": "/" if read.chunk_key_encoding.name == "default" else "."}
    keys = check(_Keys, separator | read.chunk_key_encoding.configuration, f"{where}, chunk_key_encoding")
    grid = check(_Grid, read.chunk_grid.configuration, f"{where}, chunk_grid")
    shard = chunk = grid.chunk_shape
    itemsize = np.dtype(read.data_type).itemsize
    if read.codecs[0].name == "sharding_indexed":
        chunk, codecs = _shards(read.codecs, shard, itemsize, where)
    else:
        codecs = _codecs(read.codecs, itemsize, where)
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": read.shape,
        "data_type": read.data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        "chunk_key_encoding": {"name": read.chunk_key_encoding.name, "configuration": keys.model_dump()},
        "codecs": codecs,
    }
    return _Stored(shard, chunk, itemsize, metadata)


def _shards(named: list[_Named], shard: list[int], itemsize: int, where: str) -> tuple[list[int], list[Any]]:
    """The chunks in a shard, and the codecs for the library."""
    if len(named) > 1:
        raise InputError(f"{where}: shards that are packed as a whole cannot be read; write them without")
    read = check(_Shards, named[0].configuration, f"{where}, sharding_indexed")
    chunk = read.chunk_shape
    if shard[0] % chunk[0] or shard[1] % chunk[1]:
        raise InputError(f"{where}: shards of {shard} do not hold whole chunks of {chunk}; write the array anew")
    chunks = shard[0] // chunk[0] * (shard[1] // chunk[1])
    if chunks > MOST_CHUNKS:
        raise InputError(f"{where}: a shard holds {chunks:,} chunks; at most {MOST_CHUNKS:,} can be read")
    if {codec.name for codec in read.index_codecs[1:]} - {"crc32c"}:
        raise InputError(f"{where}: the index of a shard is packed by {read.index_codecs[1].name!r}; expected crc32c")
    configuration = {
        "chunk_shape": chunk,
        "codecs": _codecs(read.codecs, itemsize, where),
        "index_codecs": _codecs(read.index_codecs, np.dtype(np.uint64).itemsize, where),
        "index_location": read.index_location,
    }
    return chunk, [{"name": "sharding_indexed", "configuration": configuration}]


def _codecs(named: list[_Named], itemsize: int, where: str) -> list[Any]:
    """Codecs for the library: numbers to bytes, and what packs these."""
    first, *others = named
    if first.name != "bytes":
        raise _unknown_codec(first.name, ["bytes"], where)
    for codec in others:
        if codec.name not in _PACKED_3:
            raise _unknown_codec(codec.name, _PACKED_3, where)
    endian = check(_Endian, first.configuration, f"{where}, bytes").endian if itemsize > 1 else "little"
    return [{"name": "bytes", "configuration": {"endian": endian}}, *(_PACKED_3[codec.name] for codec in others)]


def _not_numbers(dtype: Any, where: str) -> InputError:
    return InputError(f"{where}: it holds {str(dtype)[:100]!r}; expected integers or floating-point numbers")


def _unknown_codec(name: str, known: Collection[str], where: str) -> InputError:
    return InputError(f"{where}: the codec {name[:100]!r} cannot be read; expected {', '.join(known)}")
