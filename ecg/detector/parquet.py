"""Send the beats of the Parquet file on standard input to standard output, as an Arrow stream: tables.py runs this.

In a process of its own, since pyarrow has no limit on memory: a page of 16 kB can unpack to 2 GB. No imports from ecg.
"""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAGIC = b"PAR1"  # at both ends of a file
ROWS = 4096  # in a batch; more take more memory and no less time


class RefusedError(Exception):
    """The file is not a table of beats; the message continues the name of the file."""


def main() -> None:
    """Read the file; the arguments are the number of samples in a beat and of characters in the longest label."""
    length, longest = map(int, sys.argv[1:])
    try:
        memory = _limit_memory(columns=length + 1)
        file = pq.ParquetFile(sys.stdin.buffer)
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]  # pandas' index
        if len(names) not in (length, length + 1):
            raise RefusedError(
                f"has {len(names)} columns; the model takes {length} samples, and at most one column before"
            )
        types = [file.schema_arrow.field(name).type for name in names]
        for name, column_type in zip(names[-length:], types[-length:], strict=True):
            if not (pa.types.is_floating(column_type) or pa.types.is_integer(column_type)):
                raise RefusedError(f"has a column {name!r} of type {column_type}; expected numbers")
        label = names[0] if len(names) > length else None
        if label is not None and not _holds_labels(types[0]):
            raise RefusedError(f"has a column {label!r} of type {types[0]}; expected a class or a name")
        _refuse_several()
        file = pq.ParquetFile(
            sys.stdin.buffer,
            metadata=file.metadata,
            read_dictionary=None if label is None else [label],  # long labels are noticed before each row has a copy
            pre_buffer=False,
            buffer_size=2**16,  # columns are read page by page
        )
        _send(file, names, label, longest)
    except RefusedError as error:
        sys.exit(str(error))
    except MemoryError:
        sys.exit(f"takes more than {memory:,} MB of memory to read; write it with smaller pages and shorter labels")
    except Exception as error:  # whatever pyarrow raises for a damaged file
        sys.exit(f"is not a Parquet file, or is damaged ({str(error).partition(chr(10))[0][:200]})")


def _refuse_several() -> None:
    """Refuse files of which one was appended to the other: the last one's footer would be used for the first's data."""
    sys.stdin.buffer.seek(0)
    end = b""
    while block := sys.stdin.buffer.read(2**20):
        if MAGIC + MAGIC in end + block:
            raise RefusedError("holds several Parquet files, one after another; write one")
        end = block[1 - 2 * len(MAGIC) :]


def _limit_memory(columns: int) -> int:
    """Limit what this process may allocate from now on, on Linux; the limit in MB."""
    limit = 64 + 3 * columns  # a page and a dictionary of each column, of 1 MB by default, are in memory at a time
    if sys.platform == "linux":
        import resource

        allocated = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = allocated + limit * 10**6
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        pa.set_memory_pool(pa.system_memory_pool())  # the others allocate more than they use
    return limit


def _holds_labels(column_type: Any) -> bool:
    if pa.types.is_dictionary(column_type):
        column_type = column_type.value_type
    return any(is_type(column_type) for is_type in (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string))


def _send(file: Any, names: list[str], label: str | None, longest: int) -> None:
    samples = names[label is not None :]
    fields = [pa.field(name, pa.float64()) for name in samples]
    schema = pa.schema(fields if label is None else [pa.field(label, pa.string()), *fields])
    beats = 0
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
        for batch in file.iter_batches(batch_size=ROWS, use_threads=False):
            columns = [batch.column(name) for name in samples]
            for name, column in zip(samples, columns, strict=True):
                if column.null_count:
                    beat = beats + pc.indices_nonzero(column.is_null())[0].as_py()
                    raise RefusedError(f"has no value in column {name!r} of beat {beat}")
            columns = [column.cast(pa.float64()) for column in columns]
            if label is not None:
                columns.insert(0, _labels(batch.column(label), longest))
            stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            beats += batch.num_rows


def _labels(column: Any, longest: int) -> Any:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts = encoded.dictionary.cast(pa.string())
    if (pc.max(pc.utf8_length(texts)).as_py() or 0) > longest:
        raise RefusedError(f"has a label of more than {longest:,} characters")
    return texts.take(encoded.indices)


if __name__ == "__main__":
    main()
