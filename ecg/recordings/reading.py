"""One lead of a recording, read part by part: WFDB, EDF, CSV or NumPy.

The formats are read by wfdb, edfio, pandas and NumPy. Of a damaged or truncated file, what can be read is read, and the
other samples are missing; a file of which nothing can be read is an InputError.
"""

import os
import re
import sys
import tempfile
import warnings
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg.exceptions import InputError
from ecg.recordings.classes import CLASS_OF, Annotations

SAMPLING_RATES = (100, 20_000)  # Hz: below, R peaks are missed; above, it is not an ECG
MAX_SAMPLES_PER_BYTE = 20  # more than any format packs; a header that states more is wrong
MAX_LEADS = 64  # of an array; more columns are samples
CHUNK_ROWS = 200_000  # of a CSV file, read at a time
FORMATS = "a WFDB record (.hea), EDF (.edf), CSV (.csv, .tsv, .txt) or NumPy (.npy)"
SECONDS_COLUMNS = ("seconds", "time", "t", "s", "time_s", "time [s]", "time (s)")  # names of a CSV column of times
_NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_PHYSIONET = re.compile(rf"physionet:(?P<database>{_NAME})/(?P<folder>({_NAME}/)*)(?P<record>[A-Za-z0-9_-]+)")

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Lead:
    """One lead of a recording."""

    recording: str  # the recording's name
    name: str  # or the number of a lead without a name
    rate: float  # the sampling rate in Hz
    length: int  # the number of samples
    read: Read  # returns the samples from one index up to another, float64, NaN where they are missing
    annotations: Annotations | None = None
    unit: str = "unknown unit"
    read_as: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.length / self.rate

    def between(self, start: float, stop: float) -> "Lead":
        """The part from `start` to `stop`, in seconds, with its annotations."""
        first, last = round(start * self.rate), min(round(stop * self.rate), self.length)
        annotations = self.annotations
        if annotations is not None:
            inside = (annotations.seconds >= start) & (annotations.seconds < stop)
            symbols = [symbol for symbol, within in zip(annotations.symbols, inside, strict=True) if within]
            annotations = Annotations(annotations.seconds[inside] - start, symbols)
        return replace(
            self, length=last - first, read=lambda a, b: self.read(first + a, first + b), annotations=annotations
        )


@contextmanager
def open_lead(
    path: str, lead: int | str | None = None, rate: float | None = None, annotations: str | None = "atr"
) -> Iterator[Lead]:
    """Open one lead of a recording.

    Parameters
    ----------
    path : of a WFDB record (with or without .hea), an EDF, CSV or NPY file, or `physionet:DATABASE/RECORD`
    lead : its name, or its number from 0
    rate : the sampling rate in Hz; needed for a NPY file, and for a CSV file without a column of seconds
    annotations : the annotator (file extension) of the WFDB annotations, which may be absent; None to read none

    Raises
    ------
    InputError
        if there is no such file or lead, if the sampling rate is missing or wrong, or if nothing can be read.
    """
    lead = 0 if lead is None else lead
    local = nullcontext(Path(os.path.expanduser(path)))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    source = _downloaded(path, annotations) if path.startswith("physionet:") else local
    with source as file:
        ending = _ending(file)
        if ending == ".hea":
            opened = _open_wfdb(file, lead, annotations)
        elif ending == ".edf":
            opened = _open_edf(file, lead)
        elif ending == ".npy":
            opened = _open_npy(file, lead, rate)
        else:
            opened = _open_csv(file, lead, rate)
        low, high = SAMPLING_RATES
        if not low <= opened.rate <= high:
            raise InputError(f"{path} has a sampling rate of {opened.rate:g} Hz; it should be {low} to {high:,} Hz")
        _check_rate(path, opened.rate, rate, tolerance=1e-6)
        yield opened


def _check_rate(path: Path | str, stated: float, rate: float | None, tolerance: float) -> None:
    """InputError if the file states another sampling rate than the caller."""
    if rate is not None and abs(stated - rate) > tolerance * rate:
        raise InputError(f"{path} states a sampling rate of {stated:g} Hz, not {rate:g} Hz: leave rate out")


def _ending(path: Path) -> str:
    """The file's ending in lower case; .hea for each file of a WFDB record."""
    if path.name and path.with_name(f"{path.name}.hea").is_file():
        return ".hea"
    ending = path.suffix.lower()
    known = ending in (".hea", ".dat", ".edf", ".csv", ".tsv", ".txt", ".npy")
    if path.is_dir() or (path.is_file() and not known):
        raise InputError(f"{path} is not a recording in a known format; it should be {FORMATS}")
    if not path.is_file():
        header = "" if known else f", nor {path.name}.hea"
        raise InputError(f"there is no file {path}{header}; a recording is {FORMATS}")
    return ".hea" if ending == ".dat" else ending


@contextmanager
def _refused(message: str, remedy: str = "") -> Iterator[None]:
    """Turn any error into an InputError with this message: the libraries that read files raise many kinds."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{message} ({error}){remedy}") from None


def _lead_index(lead: int | str, names: list[str], path: Path | str) -> int:
    """The index of a lead that is given by its name or number."""
    if isinstance(lead, int) or (lead not in names and lead.isdecimal()):
        matching = [int(lead)] if 0 <= int(lead) < len(names) else []
    else:
        matching = [i for i, name in enumerate(names) if name.strip().lower() == lead.strip().lower()]
    if not matching:
        leads = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names))
        raise InputError(f"{path} has no lead {lead!r}; it has {leads}")
    return matching[0]


@contextmanager
def _downloaded(source: str, annotations: str | None) -> Iterator[Path]:
    """Download a record from PhysioNet into a temporary folder."""
    from wfdb.io.download import dl_files

    match = _PHYSIONET.fullmatch(source)
    if match is None:
        raise InputError(f"{source!r} should be physionet:DATABASE/RECORD, such as physionet:mitdb/100")
    with tempfile.TemporaryDirectory() as folder:

        def download(*names: str) -> None:
            with redirect_stdout(sys.stderr):  # wfdb prints its progress
                dl_files(match["database"], folder, [f"{match['folder']}{name}" for name in names], keep_subdirs=False)

        base = Path(folder, match["record"])
        with _refused(f"PhysioNet did not deliver {source}"):
            download(f"{base.name}.hea")
            download(*(file.name for file in _header(base)[1]))
        if annotations is not None:
            try:
                download(f"{base.name}.{annotations}")
            except Exception:  # the record has none
                base.with_name(f"{base.name}.{annotations}").unlink(missing_ok=True)
        yield base


def _header(base: Path) -> tuple[Any, list[Path]]:
    """The header of a WFDB record, and its signal files; InputError for one outside its folder."""
    import wfdb

    with _refused(f"{base}.hea is not a valid WFDB header"):
        header = wfdb.rdheader(str(base))
    if getattr(header, "seg_name", None) is not None:
        raise InputError(f"{base}.hea has several segments: scan or fetch each by itself: {', '.join(header.seg_name)}")
    names = sorted(set(header.file_name or []))
    if not names:
        raise InputError(f"{base}.hea names no signal file")
    for name in names:
        if not re.fullmatch(_NAME, name):
            raise InputError(f"{base}.hea is not safe to read: its signal file {name!r} is not a plain file name")
    return header, [base.with_name(name) for name in names]


def _open_wfdb(path: Path, lead: int | str, annotations: str | None) -> Lead:
    import wfdb

    base = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    if not base.with_name(f"{base.name}.hea").is_file():
        raise InputError(f"{base}.hea is missing: a WFDB record is a header and its signal file, side by side")
    header, files = _header(base)
    for file in files:
        if not file.is_file():
            raise InputError(f"{base}.hea names the signal file {file.name}, which is missing: put both side by side")
    index = _lead_index(lead, list(map(str, header.sig_name)), f"{base}.hea")
    length, rate = header.sig_len, float(header.fs)
    if not length:
        raise InputError(f"{base}.hea does not state the length of the recording")
    if length * header.n_sig > MAX_SAMPLES_PER_BYTE * sum(file.stat().st_size for file in files):
        raise InputError(f"{base}.hea states {length:,} samples per lead, far more than its signal files can hold")

    def read(start: int, stop: int) -> np.ndarray:
        record = wfdb.rdrecord(str(base), sampfrom=start, sampto=stop, channels=[index], return_res=32)
        return record.p_signal[:, 0].astype(float)

    beats, annotation_file = None, base.with_name(f"{base.name}.{annotations}")
    if annotations is not None and annotation_file.is_file():
        remedy = "; name another, or none (annotations: null)"
        with _refused(f"{annotation_file} is not a valid WFDB annotation file", remedy):
            notes = wfdb.rdann(str(base), annotations)
        beats = Annotations(np.asarray(notes.sample) / (notes.fs or rate), list(notes.symbol))
    samples = _tolerant(read, length, f"{base}.hea")
    return Lead(base.name, str(header.sig_name[index]), rate, int(length), samples, beats)


def _open_edf(path: Path, lead: int | str) -> Lead:
    from edfio import read_edf

    with _refused(f"{path} is not a valid EDF file"), warnings.catch_warnings(action="ignore"):  # of a truncated file
        file = read_edf(path, lazy_load_data=True)
        if not file.is_continuous:
            raise InputError(f"{path} is an EDF file with gaps (EDF+D): export it as a continuous one")
        if not file.signals:
            raise InputError(f"{path} has no signals")
        index = _lead_index(lead, [signal.label for signal in file.signals], path)
        signal = file.signals[index]
        rate, length = float(signal.sampling_frequency), round(file.num_data_records * signal.samples_per_data_record)
    beats = []
    with suppress(Exception):  # edfio raises many kinds; damaged annotations are as none
        beats = [(note.onset, code) for note in file.annotations if (code := note.text.strip()) in CLASS_OF]
    seconds, symbols = [onset for onset, _ in beats], [code for _, code in beats]
    annotations = Annotations(np.array(seconds, float), symbols) if beats else None
    samples = _tolerant(lambda a, b: np.asarray(signal.get_data_slice(a / rate, b / rate), float), length, str(path))
    return Lead(path.stem, signal.label, rate, length, samples, annotations)


def _open_npy(path: Path, lead: int | str, rate: float | None) -> Lead:
    with _refused(f"{path} is not a NumPy file of numbers"):
        array = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; it should be numbers of shape (samples,) or "
            "(samples, leads)"
        )
    columns = array if array.ndim == 2 else array[:, None]
    if columns.shape[1] > MAX_LEADS:
        raise InputError(f"{path} has {columns.shape[1]:,} columns; each should be a lead: transpose the array")
    index = _lead_index(lead, [""] * columns.shape[1], path)
    if rate is None:
        raise InputError(f"{path} does not state its sampling rate: give it in Hz (rate)")
    return Lead(path.stem, str(index), float(rate), len(columns), lambda a, b: columns[a:b, index].astype(float))


def _open_csv(path: Path, lead: int | str, rate: float | None) -> Lead:
    """Copy one lead of a table, which has a column for each and may begin with one of seconds, to a float32 file."""
    length, times = 0, list[float]()
    with tempfile.TemporaryFile() as file, _refused(f"{path} is not a table of numbers with a column for each lead"):
        options: dict[str, Any] = {"sep": _separator(path), "header": None, "encoding": "utf-8-sig"}
        row = pd.read_csv(path, nrows=1, dtype=str, **options).iloc[0]
        has_names = pd.to_numeric(row, errors="coerce").isna().all()
        names = row.astype(str).str.strip().tolist() if has_names else [""] * len(row)
        has_seconds = names[0].lower() in SECONDS_COLUMNS
        column = _lead_index(lead, names[has_seconds:], path) + has_seconds
        options |= {"dtype": float, "skiprows": int(has_names), "skip_blank_lines": False}
        options["usecols"] = [0, column] if has_seconds else [column]
        for chunk in pd.read_csv(path, chunksize=CHUNK_ROWS, **options):
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and counts as missing
                np.asarray(chunk[column], np.float32).tofile(file)
            length += len(chunk)
            times += chunk[0].iloc[[0, -1]].tolist() if has_seconds else []
        if not length:
            raise InputError(f"{path} is empty")
        file.flush()
        samples = np.memmap(file, np.float32, "r", shape=(length,))
    if has_seconds:
        stated = (length - 1) / (times[-1] - times[0]) if length > 1 and times[-1] > times[0] else float("nan")
        if not np.isfinite(stated):
            raise InputError(f"{path}: its column {names[0]!r} should rise from row to row, in seconds")
        _check_rate(path, stated, rate, tolerance=0.01)  # the seconds may be rounded
        rate = stated if rate is None else rate
    if rate is None:
        raise InputError(
            f"{path} does not state its sampling rate: give it in Hz (rate), or name its first column 'seconds'"
        )
    name = names[column] or str(column - has_seconds)
    return Lead(path.stem, name, float(rate), length, lambda a, b: samples[a:b].astype(float))


# Own code: csv.Sniffer fails on a single column, and pandas' own detection needs its slow parser.
def _separator(path: Path) -> str:
    """What separates the numbers of a row: semicolon, tab, comma or spaces."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline() + file.readline()
    return next((mark for mark in (";", "\t", ",") if mark in line), r"\s+" if " " in line.strip() else ",")


def _tolerant(read: Read, length: int, source: str) -> Read:
    """Make missing, NaN, what cannot be read of a damaged or truncated file; InputError if its start cannot."""
    with _refused(f"no samples of {source} could be read"):
        read(0, min(length, 100))

    def read_available(start: int, stop: int) -> np.ndarray:
        samples = np.full(stop - start, np.nan)

        def fails(end: int) -> bool:
            with suppress(Exception):  # the libraries raise many kinds
                part = read(start, end)
                if len(part) == end - start:
                    samples[: end - start] = part
                    return False
            return True

        if fails(stop):
            bisect(range(start + 1, stop), False, key=fails)  # reads up to where it begins to fail
        return samples

    return read_available
