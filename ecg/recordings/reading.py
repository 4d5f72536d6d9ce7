"""One lead of a recording, read a part at a time, whatever the file: WFDB, EDF, CSV or NumPy.

Formats are read by the libraries that are made for them: wfdb, edfio, pandas, NumPy. What they cannot read of a file
that they know becomes missing samples; what makes no sense at all is an InputError.
"""

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecg.exceptions import InputError
from ecg.recordings.classes import CLASS_OF, Annotations

RATES = (100, 20_000)  # Hz: with fewer, R peaks are missed; more is no ECG
SAMPLES_A_BYTE = 20  # that no format packs; a header that tells of more is wrong
ROWS = 200_000  # of a CSV file at a time
FORMATS = "a WFDB record (.hea), EDF (.edf), CSV (.csv, .tsv, .txt) or NumPy (.npy)"
_NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_PHYSIONET = re.compile(rf"physionet:(?P<database>{_NAME})/(?P<folder>({_NAME}/)*)(?P<record>[A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Lead:
    """One lead of a recording.

    name : of the recording
    lead : the lead's name, or its number where it has none
    rate : samples a second
    length : samples
    read : samples from one number up to another, float64, NaN where there are none
    annotations : None if there are none
    """

    name: str
    lead: str
    rate: float
    length: int
    read: Callable[[int, int], np.ndarray]
    annotations: Annotations | None = None

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return self.length / self.rate


@contextmanager
def opened(
    path: str, lead: int | str = 0, rate: float | None = None, annotations: str | None = "atr"
) -> Iterator[Lead]:
    """Open one lead of a recording.

    Parameters
    ----------
    path : of a WFDB record (with or without .hea), an EDF, CSV or NPY file, or `physionet:DATABASE/RECORD`
    lead : its name, or its number from 0
    rate : samples a second; needed for a NPY file, and for a CSV file without a column of seconds
    annotations : the ending of the WFDB annotations, which may be absent; None to read none

    Raises
    ------
    InputError
        if there is no such file, lead or rate, or if the file is damaged from the start.
    """
    with ExitStack() as stack:
        if path.startswith("physionet:"):
            base = stack.enter_context(_downloaded(path, annotations))
            found = _wfdb(base, lead, annotations)
        elif (kind := _kind(file := Path(os.path.expanduser(path)))) == "wfdb":  # noqa: PTH111 - that raises nothing
            found = _wfdb(file, lead, annotations)
        elif kind == "edf":
            found = _edf(file, lead)
        elif kind == "npy":
            found = _npy(file, lead, rate)
        else:
            found = _csv(file, lead, rate, stack.enter_context(tempfile.TemporaryFile()))
        if not RATES[0] <= found.rate <= RATES[1]:
            raise InputError(f"{path} has {found.rate:g} samples a second; it should be {RATES[0]} to {RATES[1]:,}")
        if rate is not None and abs(found.rate - rate) > 1e-6 * rate:
            raise InputError(f"{path} says that it has {found.rate:g} samples a second, not {rate:g}: leave rate out")
        yield found


def _kind(path: Path) -> str:
    kinds = {".edf": "edf", ".npy": "npy", ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".hea": "wfdb", ".dat": "wfdb"}
    if path.name and path.with_name(f"{path.name}.hea").is_file():
        return "wfdb"
    kind = kinds.get(path.suffix.lower())
    if path.is_dir() or (path.is_file() and kind is None):
        raise InputError(f"{path} is no recording that can be read; it should be {FORMATS}")
    if not path.is_file():
        beside = f", nor {path.name}.hea" if kind is None else ""
        raise InputError(f"there is no file {path}{beside}; a recording is {FORMATS}")
    assert kind is not None
    return kind


def _chosen(lead: int | str, names: list[str], path: Path | str) -> int:
    """The place of the lead that is asked for among the names, from 0."""
    if isinstance(lead, int) or (lead not in names and lead.isdecimal()):
        place = int(lead)
        if 0 <= place < len(names):
            return place
    else:
        places = [i for i, name in enumerate(names) if name.strip().lower() == lead.strip().lower()]
        if places:
            return places[0]
    told = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names))
    raise InputError(f"{path} has no lead {lead!r}; it has {told}")


@contextmanager
def _downloaded(source: str, annotations: str | None) -> Iterator[Path]:
    """A record of PhysioNet's in a folder of its own, which is gone afterwards."""
    from wfdb.io.download import dl_files

    match = _PHYSIONET.fullmatch(source)
    if match is None:
        raise InputError(f"{source!r} should be physionet:DATABASE/RECORD, such as physionet:mitdb/100")
    with tempfile.TemporaryDirectory() as folder:

        def bring(*names: str) -> None:
            with redirect_stdout(sys.stderr):  # where wfdb says that it is at work
                dl_files(match["database"], folder, [f"{match['folder']}{name}" for name in names], keep_subdirs=False)

        base = Path(folder, match["record"])
        try:
            bring(f"{base.name}.hea")
            bring(*_signal_files(_header(base), base))
        except InputError:
            raise
        except Exception as error:  # wfdb raises whatever its parsing ran into
            raise InputError(f"PhysioNet did not deliver {source} ({error})") from None
        if annotations is not None:
            try:
                bring(f"{base.name}.{annotations}")
            except Exception:  # it has none
                base.with_name(f"{base.name}.{annotations}").unlink(missing_ok=True)
        yield base


def _header(base: Path) -> Any:
    import wfdb

    try:
        return wfdb.rdheader(str(base))
    except Exception as error:  # wfdb raises whatever its parsing ran into
        raise InputError(f"{base}.hea is no WFDB header ({error})") from None


def _signal_files(header: Any, base: Path) -> list[str]:
    """The files that a header names beside itself; InputError for one that would lie elsewhere."""
    if getattr(header, "seg_name", None) is not None:
        raise InputError(f"{base}.hea has several segments: scan or fetch each by itself: {', '.join(header.seg_name)}")
    names = sorted(set(header.file_name or []))
    if not names:
        raise InputError(f"{base}.hea names no signal file")
    for name in names:
        if not re.fullmatch(_NAME, name):
            raise InputError(f"{base}.hea is not to be trusted: it names the signal file {name!r}")
    return names


def _wfdb(path: Path, lead: int | str, annotations: str | None) -> Lead:
    import wfdb

    base = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    if not base.with_name(f"{base.name}.hea").is_file():
        raise InputError(f"{base}.hea is missing: a WFDB record is a header and its signal file, side by side")
    header = _header(base)
    files = [base.with_name(name) for name in _signal_files(header, base)]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{base}.hea names the signal file {file.name}, which is missing: put it beside the header"
            )
    place = _chosen(lead, [str(name) for name in header.sig_name], f"{base}.hea")

    def read(start: int, stop: int) -> np.ndarray:
        record = wfdb.rdrecord(str(base), sampfrom=start, sampto=stop, channels=[place], return_res=32)
        return record.p_signal[:, 0].astype(float)

    length = header.sig_len
    if not length:
        raise InputError(f"{base}.hea does not say how long the recording is")
    if length * header.n_sig > SAMPLES_A_BYTE * sum(file.stat().st_size for file in files):
        raise InputError(f"{base}.hea tells of {length:,} samples a lead, of which its signal files hold next to none")
    _first(read, length, f"{base}.hea")
    return Lead(
        base.name,
        str(header.sig_name[place]),
        float(header.fs),
        int(length),
        _what_there_is(read),
        _annotations(base, annotations, float(header.fs)),
    )


def _annotations(base: Path, ending: str | None, rate: float) -> Annotations | None:
    import wfdb

    if ending is None or not base.with_name(f"{base.name}.{ending}").is_file():
        return None
    try:
        found = wfdb.rdann(str(base), ending)
    except Exception as error:  # wfdb raises whatever its parsing ran into
        raise InputError(
            f"{base}.{ending} are no WFDB annotations ({error}); name others, or none (annotations: null)"
        ) from None
    return Annotations(np.asarray(found.sample) / (found.fs or rate), list(found.symbol))


def _edf(path: Path, lead: int | str) -> Lead:
    from edfio import read_edf

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a truncated file, what is there is read
            file = read_edf(path, lazy_load_data=True)
        signals, continuous = file.signals, file.is_continuous
        names = [signal.label for signal in signals]
        rates = [float(signal.sampling_frequency) for signal in signals]
    except Exception as error:  # edfio raises whatever its parsing ran into
        raise InputError(f"{path} is no EDF file ({error})") from None
    if not continuous:
        raise InputError(f"{path} is an EDF file with gaps (EDF+D): export it as a continuous one")
    if not signals:
        raise InputError(f"{path} holds no signal")
    place = _chosen(lead, names, path)
    signal, rate = signals[place], rates[place]
    length = round(file.num_data_records * signal.samples_per_data_record)

    def read(start: int, stop: int) -> np.ndarray:
        return np.asarray(signal.get_data_slice(start / rate, stop / rate), float)

    _first(read, length, str(path))
    return Lead(path.stem, names[place], rate, length, _what_there_is(read), _edf_annotations(file))


def _edf_annotations(file: Any) -> Annotations | None:
    """EDF+ has free text; what is a WFDB beat code is taken for one."""
    try:
        found = [(note.onset, note.text.strip()) for note in file.annotations]
    except Exception:  # edfio raises whatever its parsing ran into; a recording may do without annotations
        return None
    beats = [(onset, text) for onset, text in found if text in CLASS_OF]
    if not beats:
        return None
    return Annotations(np.array([onset for onset, _ in beats], float), [text for _, text in beats])


def _npy(path: Path, lead: int | str, rate: float | None) -> Lead:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # which unpickles nothing
    except Exception as error:  # numpy raises whatever its parsing ran into
        raise InputError(f"{path} is no NPY file of numbers ({error})") from None
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; it should be numbers of shape (samples,) or "
            "(samples, leads)"
        )
    columns = array if array.ndim == 2 else array[:, None]
    if columns.shape[1] > 64:
        raise InputError(f"{path} has {columns.shape[1]:,} columns; they are its leads: turn it round (transpose)")
    place = _chosen(lead, [""] * columns.shape[1], path)
    if rate is None:
        raise InputError(f"{path} does not say its rate: give samples a second (rate)")
    return Lead(path.stem, str(place), float(rate), len(columns), lambda a, b: columns[a:b, place].astype(float))


SECONDS = ("seconds", "time", "t", "s", "time_s", "time [s]", "time (s)")  # what a column of seconds may be called


def _csv(path: Path, lead: int | str, rate: float | None, file: Any) -> Lead:
    """A table with a column for each lead, with or without names, and maybe one of seconds in front."""
    import pandas as pd

    try:
        delimiter = _delimiter(path)
        first = pd.read_csv(path, sep=delimiter, header=None, nrows=1, dtype=str, encoding="utf-8-sig")
        named = pd.to_numeric(first.iloc[0], errors="coerce").isna().all()
        names = first.iloc[0].astype(str).str.strip().tolist() if named else [""] * first.shape[1]
        timed = names[0].lower() in SECONDS
        place = _chosen(lead, names[timed:], path) + timed
        chunks = pd.read_csv(
            path,
            sep=delimiter,
            header=None,
            skiprows=int(named),
            usecols=sorted({0, place} if timed else {place}),
            dtype=float,
            chunksize=ROWS,
            encoding="utf-8-sig",
            skip_blank_lines=False,
        )
        length, ends = 0, []
        for chunk in chunks:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and counts as missing
                np.asarray(chunk[place], np.float32).tofile(file)
            length += len(chunk)
            if timed:
                ends += [float(chunk[0].iloc[0]), float(chunk[0].iloc[-1])]
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise InputError(f"{path} is no table of numbers, a column for each lead ({error})") from None
    if not length:
        raise InputError(f"{path} is empty")
    if timed:
        told = (length - 1) / (ends[-1] - ends[0]) if length > 1 and ends[-1] > ends[0] else float("nan")
        if not np.isfinite(told):
            raise InputError(f"{path}: its column {names[0]!r} should rise from row to row, in seconds")
        if rate is not None and abs(told - rate) > 0.01 * rate:  # the seconds may be rounded
            raise InputError(f"{path} says that it has {told:g} samples a second, not {rate:g}: leave rate out")
        rate = told if rate is None else rate
    if rate is None:
        raise InputError(
            f"{path} does not say its rate: give samples a second (rate), or name its first column 'seconds'"
        )
    file.flush()
    samples = np.memmap(file, np.float32, "r", shape=(length,))
    return Lead(
        path.stem, names[place] or str(place - timed), float(rate), length, lambda a, b: samples[a:b].astype(float)
    )


def _delimiter(path: Path) -> str:
    """The character between two numbers of a row: comma, semicolon, tab or space."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline() + file.readline()
    return next((mark for mark in (";", "\t", ",") if mark in line), r"\s+" if " " in line.strip() else ",")


def _first(read: Callable[[int, int], np.ndarray], length: int, where: str) -> None:
    """InputError if not even the first samples can be read."""
    try:
        read(0, min(length, 100))
    except Exception as error:  # the libraries raise whatever they ran into
        raise InputError(f"nothing of the signal that {where} tells of could be read ({error})") from None


def _what_there_is(read: Callable[[int, int], np.ndarray]) -> Callable[[int, int], np.ndarray]:
    """Read what can be read of a damaged or truncated file; what cannot is missing, NaN."""

    def whole(start: int, stop: int) -> np.ndarray | None:
        try:
            found = read(start, stop)
        except Exception:  # the libraries raise whatever they ran into
            return None
        return found if len(found) == stop - start else None

    def whatever(start: int, stop: int) -> np.ndarray:
        found = whole(start, stop)
        if found is not None:
            return found
        low, high = start, stop  # up to `low` it can be read, up to `high` it cannot
        result = np.full(stop - start, np.nan)
        while high - low > 1:
            middle = (low + high) // 2
            part = whole(low, middle)
            if part is None:
                high = middle
            else:
                result[low - start : middle - start] = part
                low = middle
        return result

    return whatever
