"""ISHNE Holter files: 16-bit samples of up to 12 leads, interleaved, behind a header of 522 bytes and a block of text.

Own code: no library that is kept up reads them.

References
----------
Badilini 1998, "The ISHNE Holter standard output file format", Annals of Noninvasive Electrocardiology 3: 263-266.
"""

import binascii
import struct
from pathlib import Path

import numpy as np

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import LOOKED_AT, choose_lead
from ecg.recordings.reading.lead import (
    ADC_UNITS,
    MAX_SAMPLES_PER_BYTE,
    MILLIVOLTS,
    Lead,
    Unit,
    cleaned,
    described,
    duration_text,
)

MAX_LEADS = 12
_CHECKED_FROM = 10  # the byte after the magic and the checksum
_HEADER = 522  # bytes: the magic, the checksum, and the block of fixed length
_MISSING_SAMPLE = -32768
_UNKNOWN = -9  # for a number
_NANOVOLTS = 1e-6  # in millivolts

# Codes of leads, from Table 1.
_LEADS = {2: "X", 3: "Y", 4: "Z", 5: "I", 6: "II", 7: "III", 8: "aVR", 9: "aVL", 10: "aVF"}
_LEADS |= {10 + number: f"V{number}" for number in range(1, 7)} | {17: "ES", 18: "AS", 19: "AI"}


def open_ishne(path: Path, lead: int | str | None) -> Lead:
    """Open a lead of an ISHNE Holter file; `open_lead` says how."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            raise InputError(f"{path} ends within its ISHNE header: copy the file anew")
        checksum, text_size, samples, text_at, samples_at = struct.unpack_from("<Hiiii", header, 8)
        n_leads, *leads = struct.unpack_from("<h12h12h12h", header, 156)
        codes, resolutions = leads[:12], leads[24:36]
        (rate,) = struct.unpack_from("<h", header, 272)
        size = path.stat().st_size
        if not 1 <= n_leads <= MAX_LEADS or rate <= 0:
            raise InputError(f"{path} is not a valid ISHNE file: it states {n_leads} leads at {rate} Hz")
        if samples < 0 and samples != _UNKNOWN:
            raise InputError(f"{path} is not a valid ISHNE file: it states {samples:,} samples")
        if not _HEADER <= samples_at < size:
            raise InputError(
                f"{path} is not a valid ISHNE file: its samples would begin at byte {samples_at:,} of {size:,}"
            )
        checked = header[_CHECKED_FROM:]
        if text_size > 0 and text_at == _HEADER and text_size <= samples_at - _HEADER:
            checked += file.read(text_size)
    held = (size - samples_at) // (2 * n_leads)
    if not held:
        raise InputError(f"{path} holds no samples")
    length, warnings = _length(samples, held, n_leads, rate)
    if binascii.crc_hqx(checked, 0xFFFF) != checksum:
        warnings.append("The checksum of its header is wrong: it may be damaged, or its writer computes another one.")
    recorded = np.memmap(path, "<i2", "r", samples_at, (held, n_leads))

    def unit(index: int) -> Unit:
        known = resolutions[index] > 0  # _UNKNOWN where it is not
        return Unit(MILLIVOLTS, resolutions[index] * _NANOVOLTS) if known else Unit(ADC_UNITS)

    def read(index: int, start: int, stop: int) -> np.ndarray:
        found = np.full(stop - start, np.nan)
        digital = recorded[start:stop, index]
        found[: len(digital)] = np.where(digital == _MISSING_SAMPLE, np.nan, unit(index).converted(digital))
        return found

    names = [_LEADS.get(code, "") for code in codes[:n_leads]]
    are_ecg = [True] * n_leads  # there are no others in such a file
    index = choose_lead(lead, names, path, lambda i: read(i, 0, min(LOOKED_AT, held)), are_ecg)
    name, place = names[index] or str(index), f"signal {index + 1} of {n_leads}"
    return Lead(
        cleaned(path.stem),
        name,
        float(rate),
        length,
        lambda start, stop: read(index, start, stop),
        None,
        unit(index).name,
        described(name, place, rate, "from the header", unit(index), length),
        tuple(warnings),
    )


def _length(stated: int, held: int, n_leads: int, rate: int) -> tuple[int, list[str]]:
    """The samples per lead, and what to warn of. Some writers state the samples of one lead, others those of all."""
    if stated <= 0 or stated == held or stated == held * n_leads:
        return held, []
    if stated < held:
        return stated, []  # other blocks may follow
    whole = stated if stated % n_leads or stated < n_leads * held else stated // n_leads
    if whole > MAX_SAMPLES_PER_BYTE * held:
        return held, ["Its header states far more samples than it holds: the file's own length was taken."]
    lost = duration_text((whole - held) / rate)
    return whole, [f"The file is shorter than its header states: the last {lost} are missing."]
