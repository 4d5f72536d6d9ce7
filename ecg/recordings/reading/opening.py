"""Opening a lead of a recording: what it is decides which module reads it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ecg.exceptions import InputError, printable
from ecg.recordings.reading.archive import unpacked
from ecg.recordings.reading.edf import open_edf
from ecg.recordings.reading.ishne import open_ishne
from ecg.recordings.reading.kinds import kind_of
from ecg.recordings.reading.lead import SAMPLING_RATES, Lead, check_rate, refused
from ecg.recordings.reading.memory import open_memory, open_npy
from ecg.recordings.reading.physionet import PREFIX, downloaded
from ecg.recordings.reading.table import open_text
from ecg.recordings.reading.wfdb_record import open_wfdb


@contextmanager
def open_lead(
    recording: Any, lead: int | str | None = None, rate: float | None = None, annotations: str | None = "atr"
) -> Iterator[Lead]:
    """Open one lead of a recording.

    Parameters
    ----------
    recording : the path of a WFDB record (with or without .hea), of an EDF, BDF, ISHNE or NPY file, of a table in text
        or of a zip with one of them; `physionet:DATABASE/RECORD`; or a recording in memory: an ndarray of shape
        (samples,) or (samples, leads), a pandas DataFrame with a column for each lead, a `wfdb.Record`, or an MNE Raw
    lead : its name, or its number from 0; a table's column of times does not count. If not given, the first that is
        named as an ECG, else the first that can be one
    rate : the sampling rate in Hz; needed for arrays, and for tables that neither state it nor have a column of times
    annotations : the annotator (file extension) of the WFDB annotations, which may be absent; None to read none

    Raises
    ------
    InputError
        if there is no such file or lead, if the sampling rate is missing or wrong, or if nothing can be read.

    Examples
    --------
    >>> import numpy as np
    >>> with open_lead(np.sin(np.arange(3600) / 50), rate=360) as opened:
    ...     opened.read_as
    'lead 0, column 1 of 1, 360 Hz as given, unknown unit, 10 s'
    """
    low, high = SAMPLING_RATES
    if rate is not None and not low <= rate <= high:
        raise InputError(f"the sampling rate (rate) is {rate:g} Hz; it should be {low} to {high:,} Hz")
    is_path = isinstance(recording, (str, os.PathLike))
    source = printable(os.fspath(recording)) if is_path else "the recording"
    with ExitStack() as stack:
        with _safe_to_print(), refused(f"{source} could not be read"), warnings.catch_warnings(action="ignore"):
            if is_path:
                opened = _open_path(stack, str(os.fspath(recording)), lead, rate, annotations)
            else:
                opened = open_memory(recording, lead, rate)
        if not low <= opened.rate <= high:
            raise InputError(f"{source} has a sampling rate of {opened.rate:g} Hz; it should be {low} to {high:,} Hz")
        check_rate(source, opened.rate, rate, tolerance=1e-6)
        yield opened


@contextmanager
def _safe_to_print() -> Iterator[None]:
    """Errors without what would steer a terminal: they name files, and quote what is in them."""
    try:
        yield
    except InputError as error:
        raise InputError(printable(error)) from None


def _open_path(
    stack: ExitStack, source: str, lead: int | str | None, rate: float | None, annotations: str | None
) -> Lead:
    if source.startswith(PREFIX):
        return open_wfdb(stack.enter_context(downloaded(source, annotations)), lead, annotations)
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    kind = kind_of(path)
    if kind != "zip":
        return _open_file(path, kind, lead, rate, annotations)
    member = stack.enter_context(unpacked(path))
    try:
        kind = kind_of(member)
        if kind == "zip":
            raise InputError(f"{member} is a zip within a zip: unzip it and name the recording")
        return _open_file(member, kind, lead, rate, annotations)
    except InputError as error:  # which should name the zip, not a folder that is gone
        raise InputError(str(error).replace(str(member.parent), str(path))) from None


def _open_file(path: Path, kind: str, lead: int | str | None, rate: float | None, annotations: str | None) -> Lead:
    if kind == "wfdb":
        return open_wfdb(path, lead, annotations)
    if kind in ("edf", "bdf"):
        return open_edf(path, lead, kind)
    if kind == "ishne":
        return open_ishne(path, lead)
    return open_npy(path, lead, rate) if kind == "npy" else open_text(path, lead, rate)
