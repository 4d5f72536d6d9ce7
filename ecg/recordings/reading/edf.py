"""EDF, EDF+ and BDF files, by edfio.

A file that is shorter than its header states keeps the stated length: its last samples are missing.
"""

import io
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ecg.exceptions import InputError
from ecg.recordings.classes import CLASS_OF, Annotations
from ecg.recordings.reading.choosing import LOOKED_AT, choose_lead
from ecg.recordings.reading.lead import (
    MAX_DAYS,
    MAX_SAMPLES_PER_BYTE,
    MAX_SIGNALS,
    Lead,
    Read,
    Unit,
    cleaned,
    described,
    duration_text,
    refused,
    tolerant,
)

_RECORDS = slice(236, 244)  # bytes of the header that state the number of data records; -1 where it was not known
_SECONDS = slice(244, 252)  # the duration of one
_SIGNALS = slice(252, 256)  # and the number of signals
_SAMPLES_AT = 216  # bytes before the numbers of samples per data record, for each signal
_ONSET = re.compile(rb"[+-]\d{1,20}(\.\d{1,20})?")  # of an annotation
ROUNDED = 1e-4  # seconds, of the times of data records
_BDF_BYTES = 3  # of a sample


def open_edf(path: Path, lead: int | str | None, kind: str) -> Lead:
    """Open a lead of an EDF or BDF file; `open_lead` says how."""
    called = kind.upper()
    with (
        refused(f"{path} is not a valid {called} file"),
        warnings.catch_warnings(action="ignore"),
    ):  # of truncated files
        _check_header(path)
        file, records = _read_bdf(path) if kind == "bdf" else _read_edf(path)
        if not file.signals:
            raise InputError(f"{path} has no signals")
        stated, note = _stated_records(path, called, records, float(file.data_record_duration))
    names = [cleaned(signal.label) for signal in file.signals]
    lengths = [round(records * signal.samples_per_data_record) for signal in file.signals]

    def read(index: int) -> Read:
        signal = file.signals[index]
        unit, rate = Unit.stated(signal.physical_dimension), float(signal.sampling_frequency)
        for what in ("digital", "physical"):
            low, high = getattr(signal, f"{what}_min"), getattr(signal, f"{what}_max")
            if not low != high:
                raise InputError(
                    f"{path}: the range of signal {names[index]} is {low:g} to {high:g} ({what}): correct it"
                )
        if kind == "bdf":
            with refused(f"{path} is not a valid BDF file"):
                digital = _bdf_samples(path, file, index)
            return lambda a, b: unit.converted(signal._calibrate(digital(a, b)))  # as edfio's own get_data_slice
        return lambda a, b: unit.converted(signal.get_data_slice(a / rate, b / rate))

    def beginning(index: int) -> np.ndarray:
        with suppress(InputError):  # another signal may be sound
            return tolerant(read(index), lengths[index], path)(0, min(LOOKED_AT, lengths[index]))
        return np.empty(0)

    index = choose_lead(lead, names, path, beginning)
    signal, held = file.signals[index], lengths[index]
    rate, unit = float(signal.sampling_frequency), Unit.stated(signal.physical_dimension)
    length = round(max(stated, records) * signal.samples_per_data_record)
    available = tolerant(read(index), held, path)

    def padded(start: int, stop: int) -> np.ndarray:
        samples = np.full(stop - start, np.nan)
        if start < held:
            samples[: min(stop, held) - start] = available(start, min(stop, held))
        return samples

    name, place = names[index] or str(index), f"signal {index + 1} of {len(names)}"
    return Lead(
        cleaned(path.stem),
        name,
        rate,
        length,
        padded if length > held else available,
        _annotations(file) if kind == "edf" else None,
        unit.name,
        described(name, place, rate, "from the header", unit, length),
        note,
    )


def _check_header(path: Path) -> None:
    """InputError if the header states a number that is not possible, or too many signals to read."""
    with path.open("rb") as file:
        header = file.read(256)
        signals, records, seconds = int(header[_SIGNALS]), int(header[_RECORDS]), float(header[_SECONDS])
        if not 1 <= signals <= MAX_SIGNALS:
            raise InputError(f"{path} states {signals:,} signals; 1 to {MAX_SIGNALS:,} can be read")
        if records < -1:
            raise InputError(
                f"{path} states {records:,} data records; it should be a positive number, or -1 if unknown"
            )
        if not 0 < seconds < np.inf:
            raise InputError(f"{path} states data records of {seconds:g} s; their duration should be a positive number")
        file.seek(256 + _SAMPLES_AT * signals)
        samples = [int(file.read(8)) for _ in range(signals)]
    if min(samples) < 1:
        raise InputError(f"{path} states {min(samples):,} samples per data record; it should be a positive number")


def _read_edf(path: Path) -> tuple[Any, int]:
    """The file, and how many data records it holds."""
    from edfio import read_edf

    file = read_edf(path, lazy_load_data=True, header_encoding="latin-1")  # headers with µV are common
    if not _is_continuous(file):
        raise InputError(f"{path} is an EDF file with gaps (EDF+D): export it as a continuous one")
    return file, file.num_data_records


# Own code for a BDF file's samples: edfio reads the whole file into memory, and a day has more than a gigabyte.
def _read_bdf(path: Path) -> tuple[Any, int]:
    """The file's header, without its samples, and how many data records it holds."""
    from edfio import read_bdf

    with path.open("rb") as opened:
        header = opened.read(256)
        header += opened.read(256 * int(header[_SIGNALS]))
    if header[192:236].startswith(b"BDF+D"):
        raise InputError(f"{path} is a BDF file with gaps (BDF+D): export it as a continuous one")
    file = read_bdf(io.BytesIO(header), header_encoding="latin-1")
    record = _BDF_BYTES * sum(signal.samples_per_data_record for signal in file._signals)
    return file, (path.stat().st_size - len(header)) // record


def _bdf_samples(path: Path, file: Any, index: int) -> Read:
    """What reads the digital samples of a signal."""
    before = file._signals.index(file.signals[index])
    widths = [signal.samples_per_data_record for signal in file._signals]
    start, width = _BDF_BYTES * sum(widths[:before]), widths[before]
    size, offset = _BDF_BYTES * sum(widths), 256 * (len(widths) + 1)
    shape = (path.stat().st_size - offset) // size, size
    records = np.memmap(path, np.uint8, "r", offset, shape)

    def read(first: int, last: int) -> np.ndarray:
        chosen = np.array(records[first // width : -(-last // width), start : start + _BDF_BYTES * width])
        low, middle, high = chosen.reshape(-1, _BDF_BYTES).astype(np.int32).T
        samples = low | middle << 8 | (high ^ 128) - 128 << 16  # little-endian, the highest bit is the sign
        return samples[first % width :][: last - first]

    return read


def _stated_records(path: Path, called: str, records: int, seconds: float) -> tuple[int, tuple[str, ...]]:
    """How many data records the header states, if the file can be trusted to lack them, and what to warn of."""
    with path.open("rb") as file:
        stated = int(file.read(256)[_RECORDS].decode("ascii"))
    if stated in (-1, records):
        return records, ()
    both = duration_text(stated * seconds), duration_text(records * seconds)
    holds = f"Its {called} header states {both[0]}, the file holds {both[1]}"
    if stated < records:
        return records, (f"{holds}: all of it was read.",)
    if stated * seconds > MAX_DAYS * 86_400 or stated > MAX_SAMPLES_PER_BYTE * max(records, 1):
        return records, (f"{holds}: the file's own length was taken.",)
    return stated, (f"{holds}: the rest is missing.",)


# Own code for annotations: on damaged ones, the time of edfio's pattern grows with the square of their length.
def _is_continuous(file: Any) -> bool:
    """Whether each data record begins when the one before it ends, by its first annotation, if there are any."""
    signal = next(iter(file._annotation_signals), None)
    if signal is None:
        return True
    content, width = signal.digital.tobytes(), signal._bytes_per_data_record
    onsets = [_ONSET.match(content, start) for start in range(0, len(content), width)]
    seconds = [float(onset[0]) for onset in onsets if onset is not None]
    if len(seconds) < len(onsets):
        raise InputError("an EDF file should have a time in each data record: export it anew")
    steps = np.diff(seconds)
    return bool((np.abs(steps - float(file.data_record_duration)) < ROUNDED).all())


def _annotations(file: Any) -> Annotations | None:
    """The beats among a file's annotations: each has an onset, perhaps a duration, and texts."""
    beats, started = [], None
    for signal in file._annotation_signals:
        for annotation in signal.digital.tobytes().split(b"\0"):
            onset = _ONSET.match(annotation)
            if onset is None:
                continue
            started = float(onset[0]) if started is None else started  # the time of the first data record
            codes = (text.decode("utf-8", "replace").strip() for text in annotation.split(b"\x14")[1:])
            beats += [(round(float(onset[0]) - started, 12), code) for code in codes if code in CLASS_OF]
    beats.sort()
    seconds, symbols = [onset for onset, _ in beats], [code for _, code in beats]
    return Annotations(np.array(seconds, float), symbols) if beats else None
