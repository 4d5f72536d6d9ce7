"""WFDB records, of one segment or several, by wfdb: only files beside their header are read."""

import re
from bisect import bisect
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ecg.exceptions import InputError
from ecg.recordings.classes import Annotations
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
    gaps_sentence,
    refused,
    tolerant,
)

NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"  # of a file beside the header
EMPTY_SEGMENT = "~"
MAX_HEADER = 2**18  # bytes; it is parsed anew for each part that is read
MAX_HEADER_LINES = 4_000  # of a record and its segments together: wfdb parses about 2,000 per second
MAX_ANNOTATIONS = 2**20  # bytes of their file: about 500,000 beats
_NUMBER = r"(\d+\.?\d*|\.\d+)"
# What wfdb reads as missing, and replaces by a default, if it is written in another way.
_RATE, _LENGTH, _GAIN = re.compile(rf"{_NUMBER}(/.*)?"), re.compile(r"\d+"), re.compile(rf"-?{_NUMBER}.*")


@dataclass(frozen=True)
class Segment:
    """A record of one segment: its header and its signal files."""

    base: Path  # of the header, without .hea
    header: Any  # wfdb.Record

    @cached_property
    def files(self) -> list[Path]:
        """The signal files, which are beside the header; InputError if a name leads elsewhere."""
        names = sorted(set(self.header.file_name or []))
        if not names:
            raise InputError(f"{self.base}.hea names no signal file")
        for name in names:
            if not re.fullmatch(NAME, name):
                raise InputError(
                    f"{self.base}.hea is not safe to read: its signal file {cleaned(name)!r} is not a plain file name"
                )
        return [self.base.with_name(name) for name in names]

    @cached_property
    def names(self) -> list[str]:
        """The names of the leads."""
        return [cleaned(name or "") for name in self.header.sig_name or []]

    def check(self) -> int:
        """The number of samples per lead; InputError if a file is missing, or cannot hold them."""
        for file in self.files:
            if not file.is_file():
                raise InputError(
                    f"{self.base}.hea names the signal file {file.name}, which is missing: put both side by side"
                )
        length = self.header.sig_len
        if not length:
            raise InputError(f"{self.base}.hea does not state the length of the recording")
        skew = max((int(skew or 0) for skew in self.header.skew), default=0)
        if skew > max(self.header.fs, 1):
            raise InputError(
                f"{self.base}.hea states a skew of {skew:,} samples between leads; at most 1 s can be read"
            )
        per_frame = sum(int(number or 1) for number in self.header.samps_per_frame)
        if length * per_frame > MAX_SAMPLES_PER_BYTE * sum(file.stat().st_size for file in self.files):
            raise InputError(
                f"{self.base}.hea states {length:,} samples per lead, far more than its signal files can hold"
            )
        return int(length)

    def unit(self, index: int) -> Unit:
        """The unit of a lead."""
        return Unit.stated((self.header.units or [""] * (index + 1))[index] or "")

    def read(self, index: int) -> Read:
        """What reads a lead."""
        import wfdb

        unit = self.unit(index)

        def read(start: int, stop: int) -> np.ndarray:
            record = wfdb.rdrecord(str(self.base), sampfrom=start, sampto=stop, channels=[index], return_res=32)
            return unit.converted(record.p_signal[:, 0])

        return read


@dataclass(frozen=True)
class Part:
    """One lead's samples of a segment, from `start` to `stop` in the record."""

    start: int
    stop: int
    segment: Segment
    index: int  # of the lead in the segment

    @cached_property
    def _read(self) -> Read:  # when it is first read: a day may have thousands of segments
        return tolerant(self.segment.read(self.index), self.segment.check(), f"{self.segment.base}.hea")

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples by their indices in the record."""
        return self._read(start - self.start, stop - self.start)


def base_of(path: Path) -> Path:
    """The path of a record without its ending; InputError if there is no header."""
    base = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    if not base.with_name(f"{base.name}.hea").is_file():
        raise InputError(f"{base}.hea is missing: a WFDB record is a header and its signal file, side by side")
    return base


def read_header(base: Path) -> Any:
    """The header of a record: a wfdb.Record or a wfdb.MultiRecord."""
    import wfdb

    with refused(f"{base}.hea is not a valid WFDB header"):
        _check_header(base)
        return wfdb.rdheader(str(base))


def _check_header(base: Path) -> None:
    """InputError if a header is too large to be parsed, or states what wfdb would replace by a default in silence."""
    source = f"{base}.hea"
    with Path(source).open("rb") as file:
        content = file.read(MAX_HEADER + 1)
    if len(content) > MAX_HEADER:
        raise InputError(f"{source} has more than {MAX_HEADER:,} bytes, far more than a header needs")
    lines = [line.strip() for line in content.decode("ascii", "ignore").splitlines()]
    record, *rest = [line for line in lines if line and not line.startswith("#")] or [""]
    name, *cells = record.split()[:4] or [""]
    stated = zip(cells, ("number of signals", "sampling rate", "length"), (_LENGTH, _RATE, _LENGTH), strict=False)
    for cell, what, form in stated:
        if not form.fullmatch(cell):
            raise InputError(f"{source} states a {what} of {cleaned(cell)!r}; it should be a positive number")
    _, is_segmented, n_segments = name.partition("/")
    described, kind = (n_segments, "segments") if is_segmented else (cells[0] if cells else "", "signals")
    if _LENGTH.fullmatch(described) and described.lstrip("0") != str(len(rest) or ""):
        raise InputError(f"{source} states {cleaned(described)} {kind}, but describes {len(rest):,}")
    if not is_segmented and len(rest) > MAX_SIGNALS:
        raise InputError(f"{source} has {len(rest):,} signals; at most {MAX_SIGNALS:,} can be read")
    for line in [] if is_segmented else rest:
        if len(gain := line.split()[2:3]) and not _GAIN.fullmatch(gain[0]):
            raise InputError(f"{source} states a gain of {cleaned(gain[0])!r}; it should be a number")


def segment_names(base: Path, header: Any) -> list[str] | None:
    """The names of a record's segments; None if it has none. InputError for one outside the folder of its header."""
    names = getattr(header, "seg_name", None)
    if names is None:
        return None
    for name in names:
        if name != EMPTY_SEGMENT and not re.fullmatch("[A-Za-z0-9_-]+", name):
            raise InputError(f"{base}.hea is not safe to read: its segment {cleaned(name)!r} is not a plain file name")
    return list(names)


def segment_header(base: Path, name: str) -> Segment:
    """A segment of a record; InputError if it is missing, or has segments itself."""
    path = base.with_name(name)
    if not path.with_name(f"{name}.hea").is_file():
        raise InputError(f"{base}.hea names the segment {name}, but {name}.hea is missing: put both side by side")
    header = read_header(path)
    if getattr(header, "seg_name", None) is not None:
        raise InputError(f"{base}.hea: its segment {name} has segments itself; read that one")
    return Segment(path, header)


def open_wfdb(path: Path, lead: int | str | None, annotations: str | None) -> Lead:
    """Open a lead of a WFDB record; `open_lead` says how."""
    base = base_of(path)
    header = read_header(base)
    segments = segment_names(base, header)
    signal = _one_segment(Segment(base, header), lead) if segments is None else _several(base, header, segments, lead)
    rate, name = float(header.fs), signal.names[signal.index] or str(signal.index)
    place = f"signal {signal.index + 1} of {len(signal.names)}"
    return Lead(
        cleaned(base.name),
        name,
        rate,
        signal.length,
        signal.read,
        _annotations(base, annotations, rate),
        signal.unit.name,
        described(name, place, rate, "from the header", signal.unit, signal.length, signal.gaps),
        signal.warnings,
    )


@dataclass(frozen=True)
class Signal:
    """One lead of a record, before its annotations are read."""

    index: int
    names: list[str]  # of all leads
    unit: Unit
    length: int
    read: Read
    warnings: tuple[str, ...] = ()
    gaps: tuple[int, float] = (0, 0.0)  # how many, and their seconds together


def _one_segment(segment: Segment, lead: int | str | None) -> Signal:
    source = f"{segment.base}.hea"
    length, names = segment.check(), segment.names
    index = choose_lead(
        lead, names, source, lambda i: tolerant(segment.read(i), length, source)(0, min(LOOKED_AT, length))
    )
    read = segment.read(index)

    def fails(at: int) -> bool:
        with suppress(Exception):  # wfdb raises many kinds
            return len(read(at, at + 1)) != 1
        return True

    warnings = []
    if fails(length - 1):
        missing = length - bisect(range(length), False, key=fails)
        warnings.append(
            "The signal file is shorter than its header states: the last "
            f"{duration_text(missing / float(segment.header.fs))} are missing."
        )
    return Signal(index, names, segment.unit(index), length, tolerant(read, length, source), tuple(warnings))


def _several(base: Path, header: Any, names: list[str], lead: int | str | None) -> Signal:
    """A lead of a record of several segments, which all have the same leads, or each some of those of its layout."""
    source, rate = f"{base}.hea", float(header.fs)
    lengths = [max(int(length), 0) for length in header.seg_len]
    if sum(lengths) > MAX_DAYS * 86_400 * rate or not sum(lengths):
        raise InputError(
            f"{source} states {sum(lengths):,} samples per lead; it should be 1 to those of {MAX_DAYS} days"
        )
    variable = lengths[0] == 0
    layout, *rest = [name for name in names if name != EMPTY_SEGMENT] or [EMPTY_SEGMENT]
    if layout == EMPTY_SEGMENT or (variable and not rest):
        raise InputError(f"{source} has no segment with samples")
    lead_names = segment_header(base, layout).names
    stops = np.cumsum(lengths).tolist()
    if not lead_names:
        raise InputError(f"{base.with_name(layout)}.hea names no leads")
    held = _held(base, names, lengths, stops)

    def parts(index: int) -> Iterator[Part]:
        for start, stop, segment in held:
            own = segment.names
            if not variable and index < len(own):
                yield Part(start, stop, segment, index)
            elif variable and lead_names[index] in own:
                yield Part(start, stop, segment, own.index(lead_names[index]))

    def beginning(index: int) -> np.ndarray:
        for part in parts(index):
            return part.read(part.start, min(part.start + LOOKED_AT, part.stop))
        return np.empty(0)

    index = choose_lead(lead, lead_names, source, beginning)
    chosen = list(parts(index))
    if not chosen:
        raise InputError(f"{source}: lead {lead_names[index]} is in none of its segments; name another")
    unit, length = chosen[0].segment.unit(chosen[0].index), stops[-1]
    chosen = [part for part in chosen if part.segment.unit(part.index).name == unit.name]
    for part in chosen:
        part.segment.check()  # now, rather than when its samples are read
    starts = [part.start for part in chosen]
    borders = np.array([[0, *(part.stop for part in chosen)], [*starts, length]])
    missing = (borders[1] - borders[0])[borders[1] > borders[0]]

    def read(start: int, stop: int) -> np.ndarray:
        samples = np.full(stop - start, np.nan)
        for part in chosen[max(bisect(starts, start) - 1, 0) : bisect(starts, stop)]:
            first, last = max(start, part.start), min(stop, part.stop)
            if last > first:
                samples[first - start : last - start] = part.read(first, last)
        return samples

    gaps = len(missing), float(missing.sum()) / rate
    warnings = [] if not gaps[0] else [gaps_sentence(f"of lead {lead_names[index]}, between its segments", *gaps)]
    return Signal(index, lead_names, unit, length, read, tuple(warnings), gaps)


def _held(base: Path, names: list[str], lengths: list[int], stops: list[int]) -> list[tuple[int, int, Segment]]:
    """The segments with samples: where each starts and stops in the record."""
    segments, held = dict[str, Segment](), list[tuple[int, int, Segment]]()
    lines = len({name for name, length in zip(names, lengths, strict=True) if length and name != EMPTY_SEGMENT})
    for name, length, stop in zip(names, lengths, stops, strict=True):
        if name == EMPTY_SEGMENT or not length:
            continue
        if name not in segments and lines <= MAX_HEADER_LINES:
            segments[name] = segment_header(base, name)
            lines += len(segments[name].names)
        if lines > MAX_HEADER_LINES or len(held) == MAX_HEADER_LINES:
            raise InputError(
                f"{base}.hea has {len(names):,} segments; at most some {MAX_HEADER_LINES:,} with their signals can be "
                "read: name one of them"
            )
        held.append((stop - length, stop, segments[name]))
    return held


def _annotations(base: Path, annotator: str | None, rate: float) -> Annotations | None:
    import wfdb

    if annotator is None or not re.fullmatch(NAME, annotator):
        return None
    file = base.with_name(f"{base.name}.{annotator}")
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_ANNOTATIONS:
        raise InputError(f"{file} has more than {MAX_ANNOTATIONS:,} bytes; name another, or none (annotations: null)")
    with refused(f"{file} is not a valid WFDB annotation file", "; name another, or none (annotations: null)"):
        notes = wfdb.rdann(str(base), annotator)
    return Annotations(np.asarray(notes.sample) / (notes.fs or rate), list(notes.symbol))
