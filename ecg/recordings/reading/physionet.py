"""Records on PhysioNet, downloaded by wfdb into a temporary folder."""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from ecg.exceptions import InputError
from ecg.recordings.reading.lead import refused
from ecg.recordings.reading.wfdb_record import EMPTY_SEGMENT, NAME, Segment, read_header, segment_header, segment_names

PREFIX = "physionet:"
_RECORD = re.compile(rf"{PREFIX}(?P<database>{NAME})/(?P<folder>({NAME}/)*)(?P<record>[A-Za-z0-9_-]+)")


@contextmanager
def downloaded(source: str, annotations: str | None) -> Iterator[Path]:
    """Download a record `physionet:DATABASE/RECORD`, with its segments and annotations; its path without an ending."""
    from wfdb.io.download import dl_files

    match = _RECORD.fullmatch(source)
    if match is None:
        raise InputError(f"{source!r} should be physionet:DATABASE/RECORD, such as physionet:mitdb/100")
    with tempfile.TemporaryDirectory() as folder:

        def download(*names: str) -> None:
            with redirect_stdout(sys.stderr):  # wfdb prints its progress
                dl_files(match["database"], folder, [f"{match['folder']}{name}" for name in names], keep_subdirs=False)

        base = Path(folder, match["record"])
        with refused(f"PhysioNet did not deliver {source}"):
            download(f"{base.name}.hea")
            header = read_header(base)
            segments = segment_names(base, header)
            if segments is None:
                download(*(file.name for file in Segment(base, header).files))
            else:
                names = [name for name in dict.fromkeys(segments) if name != EMPTY_SEGMENT]
                download(*(f"{name}.hea" for name in names))
                own = [segment_header(base, name) for name in names]
                with_samples = own[1:] if header.seg_len[0] == 0 else own  # the first is a layout without samples
                download(*dict.fromkeys(file.name for segment in with_samples for file in segment.files))
        if annotations is not None:
            try:
                download(f"{base.name}.{annotations}")
            except Exception:  # the record has none
                base.with_name(f"{base.name}.{annotations}").unlink(missing_ok=True)
        yield base
