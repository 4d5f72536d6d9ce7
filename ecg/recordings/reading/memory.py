"""Recordings in memory: NumPy arrays, data frames, and the records of wfdb and MNE; and NPY files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import LOOKED_AT, choose_lead
from ecg.recordings.reading.lead import (
    ADC_UNITS,
    MAX_LEADS,
    MILLIVOLTS,
    Lead,
    Unit,
    check_rate,
    cleaned,
    described,
    refused,
)
from ecg.recordings.reading.table import open_frame

_VOLTAGES = ("ecg", "eeg", "eog", "emg", "bio", "seeg", "ecog", "dbs")  # kinds of channels that MNE keeps in volts


def open_memory(recording: Any, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of a recording in memory; InputError if it is of no known type."""
    if isinstance(recording, np.ndarray):
        return open_array(recording, "the array", "array", lead, rate)
    if isinstance(recording, pd.DataFrame):
        return open_frame(recording, lead, rate)
    if isinstance(recording, pd.Series):
        return open_frame(recording.to_frame(), lead, rate)
    if all(hasattr(recording, name) for name in ("fs", "sig_name", "units")):
        return _open_record(recording, lead, rate)
    if all(hasattr(recording, name) for name in ("info", "ch_names", "get_data")):
        return _open_raw(recording, lead, rate)
    raise InputError(
        "a recording is a path, a NumPy array, a pandas DataFrame, a wfdb.Record or an MNE Raw, not "
        f"{type(recording).__name__}"
    )


def open_npy(path: Path, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of a NPY file; `open_lead` says how."""
    with refused(f"{path} is not a NumPy file of numbers"):
        array = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    return open_array(array, str(path), path.stem, lead, rate)


def open_array(array: np.ndarray, source: str, recording: str, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of an array of shape (samples,) or (samples, leads)."""
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise InputError(
            f"{source} holds {array.dtype} of shape {array.shape}; it should be numbers of shape (samples,) or "
            "(samples, leads)"
        )
    columns = array if array.ndim == 2 else array[:, None]
    if columns.shape[1] > MAX_LEADS:
        raise InputError(f"{source} has {columns.shape[1]:,} columns; each should be a lead: transpose the array")
    names = [""] * columns.shape[1]
    index = choose_lead(lead, names, source, lambda i: columns[:LOOKED_AT, i].astype(float))
    if rate is None:
        raise InputError(f"{source} does not state its sampling rate: give it in Hz (rate)")
    place, unit = f"column {index + 1} of {len(names)}", Unit.stated("")
    return Lead(
        cleaned(recording),
        str(index),
        float(rate),
        len(columns),
        lambda start, stop: columns[start:stop, index].astype(float),
        read_as=described(str(index), place, float(rate), "as given", unit, len(columns)),
    )


def _open_record(record: Any, lead: int | str | None, rate: float | None) -> Lead:
    """A lead of a `wfdb.Record`: physical samples, or digital ones, which its gain and baseline convert."""
    source = "the record"
    physical, digital = getattr(record, "p_signal", None), getattr(record, "d_signal", None)
    samples = digital if physical is None else physical
    if samples is None or np.ndim(samples) != 2 or not np.size(samples):
        raise InputError(f"{source} holds no samples: read it by wfdb.rdrecord")
    names, stated = [cleaned(name or "") for name in record.sig_name], float(record.fs)
    if len(names) != samples.shape[1]:
        raise InputError(f"{source} has {len(names)} names for {samples.shape[1]} leads")
    check_rate(source, stated, rate, 1e-6)
    index = choose_lead(lead, names, source, lambda i: np.asarray(samples[:LOOKED_AT, i], float))
    gain, baseline = 1.0, 0.0
    unit = Unit.stated((record.units or [""] * len(names))[index] or "")
    if physical is None:
        gains, baselines = getattr(record, "adc_gain", None), getattr(record, "baseline", None)
        if gains is None or baselines is None or not gains[index]:
            unit = Unit(ADC_UNITS)
        else:
            gain, baseline = float(gains[index]), float(baselines[index])

    def read(start: int, stop: int) -> np.ndarray:
        return unit.converted((np.asarray(samples[start:stop, index], float) - baseline) / gain)

    name, place = names[index] or str(index), f"signal {index + 1} of {len(names)}"
    read_as = described(name, place, stated, "from the header", unit, len(samples))
    recording = cleaned(getattr(record, "record_name", None) or "record")
    return Lead(recording, name, stated, len(samples), read, None, unit.name, read_as)


def _open_raw(raw: Any, lead: int | str | None, rate: float | None) -> Lead:
    """A lead of an MNE Raw: its channels of voltages are in volts."""
    source, stated = "the MNE Raw", float(raw.info["sfreq"])
    check_rate(source, stated, rate, 1e-6)
    names = [cleaned(name) for name in raw.ch_names]
    kinds = list(raw.get_channel_types()) if hasattr(raw, "get_channel_types") else []
    are_ecg = [kind == "ecg" for kind in kinds] if "ecg" in kinds else None
    length = int(getattr(raw, "n_times", 0)) or int(np.shape(raw.get_data())[1])

    def volts(index: int, start: int, stop: int) -> np.ndarray:
        try:
            found = raw.get_data(picks=[index], start=start, stop=stop)
        except TypeError:  # not MNE's own, which reads parts
            found = raw.get_data()[[index], start:stop]
        return np.asarray(found, float)[0]

    index = choose_lead(lead, names, source, lambda i: volts(i, 0, min(LOOKED_AT, length)), are_ecg)
    unit = Unit(MILLIVOLTS, 1000.0) if not kinds or kinds[index] in _VOLTAGES else Unit.stated("")
    name, place = names[index] or str(index), f"channel {index + 1} of {len(names)}"
    read_as = described(name, place, stated, "from its info", unit, length)
    files = [file for file in getattr(raw, "filenames", None) or () if file]
    recording = cleaned(Path(str(files[0])).stem if files else "raw")

    def read(start: int, stop: int) -> np.ndarray:
        return unit.converted(volts(index, start, stop))

    return Lead(recording, name, stated, length, read, None, unit.name, read_as)
