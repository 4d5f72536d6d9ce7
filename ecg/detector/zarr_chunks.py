"""Send rows of a Zarr array to standard output, as an NPY file: zarr_array.py runs this.

In a process of its own, since what unpacks chunks has no limit on memory: 4 MB of gzip can unpack to 4 GB. No imports
from ecg.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

BASE = 256  # MB: the client of an object store, and threads


class RefusedError(Exception):
    """The array cannot be read; the message continues its URL."""


def main() -> None:
    """Read the array; the arguments are its URL, its metadata, the rows from and to, and how many to read at a time."""
    url, metadata, *numbers = sys.argv[1:]
    start, stop, at_a_time = map(int, numbers)
    try:
        _send(url, json.loads(metadata), start, stop, at_a_time)
        sys.stdout.flush()
    except RefusedError as error:
        _end(str(error))
    except ModuleNotFoundError as error:
        _end(f"cannot be read without {error.name}: pip install 'ecg-anomaly-detector[archive]'")


def _end(message: str) -> NoReturn:
    """End at once: what a library says as it ends would come after the message."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)


def _send(url: str, metadata: dict[str, Any], start: int, stop: int, at_a_time: int) -> None:
    import zarr

    zarr.config.set({"threading.max_workers": 1})
    dtype, length = np.dtype(metadata.get("dtype") or metadata["data_type"]), metadata["shape"][1]
    marked = _open(url, metadata | {"fill_value": "NaN" if dtype.kind == "f" else _rare(dtype)})
    zeroed = _open(url, metadata | {"fill_value": 0})
    memory = _limit_memory(at_a_time * length * dtype.itemsize)
    header = {"descr": dtype.str, "fortran_order": False, "shape": (stop - start, length)}
    np.lib.format.write_array_header_1_0(sys.stdout.buffer, header)
    while start < stop:
        end = min(stop, (start // at_a_time + 1) * at_a_time)
        rows = f"rows {start:,} to {end - 1:,}"
        try:
            block = marked[start:end]
            gap = _gap(block, zeroed, start, end)
        except MemoryError:
            raise RefusedError(
                f"takes more than {memory:,} MB of memory to unpack in {rows}: damaged, or of chunks that are too large"
            ) from None
        except Exception as error:  # whatever codecs and stores raise
            reason = (str(error) or type(error).__name__).partition("\n")[0][:200]
            raise RefusedError(f"cannot be read in {rows}, or is damaged there ({reason})") from None
        if gap is not None:
            raise RefusedError(
                f"has no chunk for beat {gap}; write every beat, those of zeros, too (zarr: write_empty_chunks)"
            )
        sys.stdout.buffer.write(np.ascontiguousarray(block, dtype).data)
        start = end


def _gap(block: np.ndarray, zeroed: Any, start: int, end: int) -> int | None:
    """The first beat of a block whose chunk is not in the store; None if there are all.

    Such a chunk reads as the fill value. Where one reading finds the one fill value, and a second the other, nothing
    else can be.
    """
    filled = np.isnan(block) if block.dtype.kind == "f" else block == _rare(block.dtype)
    if filled.any():
        filled &= zeroed[start:end] == 0
    return start + int(filled.any(axis=1).argmax()) if filled.any() else None


def _rare(dtype: np.dtype) -> int:
    """The fill value of integers: not 0, and rare in beats, since each block that has it is read twice."""
    limits = np.iinfo(dtype)
    return int(limits.min or limits.max)


def _open(url: str, metadata: dict[str, Any]) -> Any:
    """The array, without reading what the store says of it."""
    import fsspec
    import zarr
    from fsspec.implementations.local import LocalFileSystem
    from zarr.storage import FsspecStore, LocalStore, StorePath

    filesystem, path = fsspec.url_to_fs(url)
    local = isinstance(filesystem, LocalFileSystem)
    store = LocalStore(path, read_only=True) if local else FsspecStore.from_url(url, read_only=True)
    return zarr.Array.from_dict(StorePath(store), metadata)


def _limit_memory(block: int) -> int:
    """Limit what this process may allocate from now on, on Linux, for blocks of so many bytes; the limit in MB."""
    limit = BASE + 8 * block // 10**6  # gzip holds 5 times the block, and asks for some more
    if sys.platform == "linux":
        import resource

        allocated = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = allocated + limit * 10**6
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    return limit


if __name__ == "__main__":
    main()
