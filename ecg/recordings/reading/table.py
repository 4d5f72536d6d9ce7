"""Tables: a column for each lead, a row for each sample, and perhaps a column of times; in text or in a data frame.

Memory does not grow with the length of the recording: one lead and the times are copied to temporary files.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import LOOKED_AT, choose_lead, names_counter, why_no_lead
from ecg.recordings.reading.layout import MISSING, Layout, check_width, find_layout, lead_name, stated_rate, unit_in
from ecg.recordings.reading.lead import (
    ADC_UNITS,
    UNKNOWN_UNIT,
    Lead,
    Read,
    Unit,
    check_rate,
    cleaned,
    described,
    gaps_sentence,
    refused,
)
from ecg.recordings.reading.times import TimeColumn, Timeline, Unwrapping, find_time_column, find_timeline

CHUNK_ROWS = 200_000  # read at a time
MOST_UNREADABLE = 0.1  # of the cells of a column, from which on it holds no samples
RATE_TOLERANCE = 0.01  # times and stated rates may be rounded


@dataclass(frozen=True)
class Table:
    """A table, wherever it is."""

    source: str  # for messages
    recording: str
    names: list[str]  # of the columns, "" where they have none
    units: list[str]  # of the columns, "" where they are not stated
    rate: float | None  # as stated in the table, in Hz
    beginning: list[pd.Series]  # of each column
    chunks: Callable[[list[int]], Iterator[pd.DataFrame]]  # all rows of some columns, which are named by their numbers
    decimal: str = "."
    first_line: int = 1  # the line of the first row


def open_text(path: Path, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of a table in a text file; `open_lead` says how."""
    with refused(f"{path} is not a table of numbers with a column for each lead"):
        return open_table(_text_table(path), lead, rate)


def _text_table(path: Path) -> Table:
    layout = find_layout(path)
    columns = list(range(len(layout.names)))
    head = _parsed(io.StringIO("\n".join(layout.rows[: LOOKED_AT * 2])), layout, columns)

    def chunks(chosen: list[int]) -> Iterator[pd.DataFrame]:
        encoding = layout.encoding
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            for _ in range(layout.first_row):
                file.readline()
            yield from _parsed(file, layout, chosen, chunksize=CHUNK_ROWS)

    beginning = [_numbers_or_text(head[column], layout.decimal) for column in columns]
    source, first_line = str(path), layout.first_row + 1
    return Table(
        source, path.stem, layout.names, layout.units, layout.rate, beginning, chunks, layout.decimal, first_line
    )


def _parsed(file: Any, layout: Layout, columns: list[int], **options: Any) -> Any:
    """The rows of a text, by pandas: those with too few cells are filled with missing ones, cells too many left out."""
    return pd.read_csv(
        file,
        sep=r"\s+" if layout.delimiter == " " else layout.delimiter,
        header=None,
        names=range(len(layout.names)),
        usecols=columns,
        index_col=False,
        decimal=layout.decimal,
        na_values=[*MISSING, *(word.upper() for word in MISSING)],
        comment="#",
        skip_blank_lines=not layout.keeps_blank_lines,
        skipinitialspace=True,
        quotechar=layout.quote or '"',
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
        low_memory=False,
        **options,
    )


def _numbers_or_text(cells: pd.Series, decimal: str) -> pd.Series:
    """A column as numbers, if most of its cells are."""
    if cells.dtype != object:
        return cells
    numbers = _to_numbers(cells, decimal)
    return numbers if numbers.notna().sum() * 2 > cells.notna().sum() else cells


def _to_numbers(cells: pd.Series, decimal: str) -> pd.Series:
    if cells.dtype != object:
        return pd.to_numeric(cells, errors="coerce")
    text = cells.where(cells.isna(), cells.astype(str).str.strip("'\" "))
    return pd.to_numeric(text.str.replace(decimal, ".", regex=False), errors="coerce").astype(float)


def open_table(table: Table, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of a table."""
    width = len(table.names)
    check_width(table.source, width)
    if table.rate is not None and table.rate < 0:
        raise InputError(f"{table.source} states a sampling rate of {table.rate:g} Hz; it should be a positive number")
    known_rate = table.rate if rate is None else rate
    time = find_time_column(table.names, table.units, table.beginning, known_rate, table.source)
    columns = [column for column in range(width) if time is None or column != time.column]
    if not columns:
        raise InputError(f"{table.source} has a column of times and no other; it should have one for each lead")
    full_names = [table.names[column] for column in columns]
    names = [lead_name(name) for name in full_names]
    if isinstance(lead, str) and lead in full_names:
        lead = full_names.index(lead)
    index = choose_lead(lead, names, table.source, lambda i: _samples(table.beginning[columns[i]], table.decimal))
    column = columns[index]
    if names_counter(names[index]) and why_no_lead(_samples(table.beginning[column], table.decimal)) == "only rises":
        listed = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names) if i != index)
        raise InputError(
            f"{table.source}: {names[index]!r} counts the samples; name a lead: {listed or 'there is none'}"
        )
    if time is None:
        stated = table.rate
        if stated is not None:
            check_rate(table.source, stated, rate, RATE_TOLERANCE)
        if known_rate is None:
            counted = any(map(names_counter, table.names))
            remedy = "--rate 360 for MIT-BIH" if counted else "--rate"
            or_else = "" if counted else ", or name its first column 'seconds'"
            raise InputError(
                f"{table.source} does not state its sampling rate: give it in Hz (rate, {remedy}){or_else}"
            )
    unit = _unit(table, column)
    copied = _copied(table, column, time, unit)
    warnings = copied.warnings(table, column)
    gaps = 0, 0.0
    if time is None:
        assert known_rate is not None
        rate_used, length = float(known_rate), len(copied.samples)
        origin = "as given" if rate is not None else "as stated in the file"
        read: Read = lambda start, stop: copied.samples[start:stop].astype(float)  # noqa: E731
    else:
        source = f"{table.source}: its column {table.names[time.column] or time.column + 1!r}"
        timeline = find_timeline(copied.times, source, table.first_line, rate)
        rate_used, length, gaps = float(timeline.rate), timeline.length, timeline.gaps
        origin = "from the time column" if rate is None else "as given"
        read = _with_gaps(timeline, copied.samples)
        warnings += [time.doubt] if time.doubt else []
        if timeline.uneven:
            warnings.append("Its times are uneven; samples were placed at a constant rate.")
        warnings += [gaps_sentence("in its times", *gaps)] if gaps[0] else []
    name, place = names[index] or str(index), f"column {column + 1} of {width}"
    read_as = described(name, place, rate_used, origin, unit, length, gaps)
    return Lead(cleaned(table.recording), name, rate_used, length, read, None, unit.name, read_as, tuple(warnings))


def _with_gaps(timeline: Timeline, samples: np.ndarray) -> Read:
    return lambda start, stop: timeline.read(samples, start, stop)


def _samples(cells: pd.Series, decimal: str) -> np.ndarray:
    """Cells as samples, float64, NaN where they are no numbers."""
    if pd.api.types.is_datetime64_any_dtype(cells) or pd.api.types.is_timedelta64_dtype(cells):
        return np.full(len(cells), np.nan)
    return np.asarray(_to_numbers(cells, decimal), float)[:LOOKED_AT]


def _unit(table: Table, column: int) -> Unit:
    """The unit of a column: as stated, or ADC units in the CSV files of MIT-BIH, which count samples and state none."""
    unit = Unit.stated(table.units[column])
    counted = any(name.lower() == "sample #" for name in table.names)
    whole = table.beginning[column].dtype.kind in "iu"
    return Unit(ADC_UNITS) if unit.name == UNKNOWN_UNIT and counted and whole else unit


@dataclass
class _Copied:
    """One lead and the times of a table, in temporary files, and what could not be read of them."""

    samples: np.ndarray  # float32 memory map of shape (n,)
    times: np.ndarray  # float64 memory map of shape (n,), in seconds; empty without a time column
    rows: int
    unreadable: int  # cells of the lead that hold no number
    first_unreadable: tuple[int, str] = (0, "")  # its row, and what it holds
    without_time: int = 0

    def warnings(self, table: Table, column: int) -> list[str]:
        """Sentences about what could not be read; InputError if it is too much."""
        name = repr(table.names[column]) if table.names[column] else str(column + 1)
        row, cell = self.first_unreadable
        place = f"row {table.first_line + row}"
        if self.unreadable > MOST_UNREADABLE * self.rows:
            raise InputError(
                f"{table.source}: column {name} holds {cleaned(cell)!r} in {place}, and {self.unreadable:,} cells in "
                "all that are no number; name another lead, or correct them"
            )
        if self.without_time > MOST_UNREADABLE * self.rows:
            raise InputError(f"{table.source}: {self.without_time:,} of {self.rows:,} rows have no time; correct them")
        found = []
        if self.unreadable:
            cells = "1 cell" if self.unreadable == 1 else f"{self.unreadable:,} cells"
            found.append(
                f"{cells} of column {name} could not be read, the first in {place} ({cleaned(cell)!r}); samples are "
                "missing there."
            )
        if self.without_time:
            one = "1 row has no time that can be read; it was left out."
            several = f"{self.without_time:,} rows have no time that can be read; they were left out."
            found.append(one if self.without_time == 1 else several)
        return found


def _copied(table: Table, column: int, time: TimeColumn | None, unit: Unit) -> _Copied:
    unwrapping = None if time is None else Unwrapping(time)
    chosen = [column] if time is None else sorted([time.column, column])
    rows = length = unreadable = without_time = 0
    first = (0, "")
    with tempfile.TemporaryFile() as samples_file, tempfile.TemporaryFile() as times_file:
        for chunk in table.chunks(chosen):
            cells = chunk[column]
            samples = np.asarray(_to_numbers(cells, table.decimal), float)
            if cells.dtype == object:
                failed = np.isnan(samples) & cells.notna().to_numpy()
                if failed.any() and not unreadable:
                    at = int(np.argmax(failed))
                    first = rows + at, str(cells.iloc[at])
                unreadable += int(failed.sum())
            rows += len(chunk)
            if unwrapping is not None:
                times = unwrapping.seconds(chunk[unwrapping.column.column])
                known = np.isfinite(times)
                without_time += int((~known).sum())
                samples = samples[known]
                times[known].tofile(times_file)
            with np.errstate(over="ignore"):
                stored = unit.converted(samples).astype(np.float32)
            stored[~np.isfinite(stored)] = np.nan  # what is too large counts as missing
            stored.tofile(samples_file)
            length += len(stored)
        if not length:
            raise InputError(f"{table.source} is empty")
        samples_file.flush()
        times_file.flush()
        stored = np.memmap(samples_file, np.float32, "r", shape=(length,))
        kept = np.empty(0) if time is None else np.memmap(times_file, np.float64, "r", shape=(length,))
    return _Copied(stored, kept, rows, unreadable, first, without_time)


def open_frame(frame: pd.DataFrame, lead: int | str | None, rate: float | None) -> Lead:
    """Open a lead of a data frame: its columns are as those of a table, and its index may hold the times."""
    index = frame.index
    has_times = isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) or index.name is not None
    if has_times:
        frame = frame.reset_index()
    names = [cleaned(name) for name in frame.columns]
    if not len(frame) or not names:
        raise InputError("the data frame is empty")
    if isinstance(frame.columns, pd.RangeIndex):
        names = [""] * len(names)

    def chunks(chosen: list[int]) -> Iterator[pd.DataFrame]:
        for start in range(0, len(frame), CHUNK_ROWS):
            part = frame.iloc[start : start + CHUNK_ROWS, chosen]
            yield part.set_axis(chosen, axis=1).reset_index(drop=True)

    beginning = [
        _numbers_or_text(frame.iloc[: 2 * LOOKED_AT, i].reset_index(drop=True), ".") for i in range(len(names))
    ]
    units = [unit_in(name) for name in names]
    table = Table("the data frame", "data frame", names, units, stated_rate([], names), beginning, chunks, first_line=0)
    with refused("the data frame is not a table of numbers with a column for each lead"):
        return open_table(table, lead, rate)
