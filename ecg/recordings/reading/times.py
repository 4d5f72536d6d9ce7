"""The time column of a table: what its cells mean, the sampling rate that they imply, and the gaps between them.

Times may be coarser than samples, as milliseconds at 360 Hz are, or clock times of whole seconds: a step longer than
usual is a gap only where rounding does not explain it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import names_counter, names_ecg, names_other, names_time, words
from ecg.recordings.reading.lead import MAX_DAYS, SAMPLING_RATES, duration_text

LONGEST_STEP = 1.5  # usual steps; a longer one, by more than the rounding of times, is a gap
MAX_GAPS = 100_000
CHUNK_TIMES = 2**20  # looked at together
UNEVEN = 0.25  # of a step, from which on times are uneven
_BLOCK = 50  # steps whose mean is taken
_JITTERED = 0.98  # quantile of steps that are shorter than usual
FEWEST_ROWS = 20  # that show a time column by its content
NANOSECOND = 1e-9  # in seconds
_MIDNIGHT = 43_200  # seconds: clock times that go back by more have passed midnight
_UNITS = {  # of numbers without a stated unit, those of seconds and less are tried
    1.0: ("s", "sec", "secs", "second", "seconds"),
    1e-3: ("ms", "msec", "millis", "millisecond", "milliseconds"),
    1e-6: ("us", "µs", "μs", "usec", "microsecond", "microseconds"),
    1e-9: ("ns", "nsec", "nanosecond", "nanoseconds"),
}
_LONG_UNITS = {60.0: ("min", "minute", "minutes"), 3600.0: ("h", "hour", "hours")}
_FACTORS = {name: factor for factor, names in (_UNITS | _LONG_UNITS).items() for name in names}

How = Literal["number", "clock", "moment", "duration"]


@dataclass(frozen=True)
class TimeColumn:
    """A column of times."""

    column: int
    name: str
    how: How  # its cells are numbers, clock times, dates with times, or pandas durations
    factor: float = 1.0  # of its times, to seconds: numbers have a unit, dates and durations are in nanoseconds
    doubt: str = ""  # a sentence, where its unit is guessed

    def times(self, cells: pd.Series) -> np.ndarray:
        """The times of cells, of shape (n,), NaN where a cell holds none; `factor` makes them seconds."""
        if pd.api.types.is_timedelta64_dtype(cells):
            return _nanoseconds(cells)
        if pd.api.types.is_datetime64_any_dtype(cells):
            return _nanoseconds(cells - pd.Timestamp(0, tz=cells.dt.tz))
        if self.how == "number":
            if cells.dtype == object:
                cells = pd.to_numeric(cells.astype(str).str.replace(",", "."), errors="coerce")
            return np.asarray(cells, np.int64 if cells.dtype.kind in "iu" else float)
        plain = _clock_times if self.how == "clock" else _moments
        times = plain(cells, as_written=True)
        return plain(cells, as_written=False) if np.isnan(times).any() else times


def _nanoseconds(durations: pd.Series) -> np.ndarray:
    """Durations as integers, which are exact; as floats if some are missing."""
    values = durations.astype("timedelta64[ns]").to_numpy()
    missing = np.isnat(values)
    return np.where(missing, np.nan, values.astype(np.int64)) if missing.any() else values.astype(np.int64)


def _tidied(cells: pd.Series) -> pd.Series:
    """Text without quotes and brackets around it, and with decimal points."""
    return cells.astype(str).str.strip("'\"[] ").str.replace(",", ".")


def _moments(cells: pd.Series, as_written: bool) -> np.ndarray:
    """Dates with times, in nanoseconds; tidying them first takes most of the time, and few files need it."""
    text = cells if as_written else _tidied(cells)
    moments = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    return _nanoseconds(moments - pd.Timestamp(0, tz="UTC"))


def _clock_times(cells: pd.Series, as_written: bool) -> np.ndarray:
    """Clock times, with or without a date, in seconds of the day.

    As written, they are read if they are all as in 09:05:00.5: pandas reads those ten times as fast as others.
    """
    if as_written:
        if cells.dtype != object or not (cells.str.len() >= len("09:05:00")).all():
            return np.full(len(cells), np.nan)
        return _moments("1970-01-01T" + cells, as_written=True) / 1e9
    text = _tidied(cells)
    half = None
    if text.str.contains("[-/ ]", regex=True).any():  # a date, or AM and PM
        parts = text.str.extract(r"(\d{1,3}:\d{1,2}(?::\d{1,2})?(?:\.\d+)?)\s*([AaPp])?")
        text, half = parts[0].fillna(""), parts[1].str.lower()
    text = text.where(text.str.count(":") == 2, "0:" + text)
    text = text.where(text.str.fullmatch(r"[\d:.]+"))  # pandas also knows durations such as 5H
    seconds = _nanoseconds(pd.to_timedelta(text, errors="coerce")) / 1e9
    if half is not None and half.notna().any():
        twelve = seconds >= 43_200  # 12:30 AM is half past midnight
        seconds = np.where(half == "a", np.where(twelve, seconds - 43_200, seconds), seconds)
        seconds = np.where((half == "p") & ~twelve, seconds + 43_200, seconds)
    return seconds


@dataclass
class Unwrapping:
    """Times in seconds from the first one, chunk by chunk: clock times go on after midnight."""

    column: TimeColumn
    first: float | int | None = None
    last: float = 0.0
    days: float = 0.0

    def seconds(self, cells: pd.Series) -> np.ndarray:
        """Float64 of shape (n,); NaN where a cell holds no time."""
        times = self.column.times(cells)
        known = np.isfinite(times)
        if not known.any():
            return np.full(len(times), np.nan)
        if self.first is None:
            self.first = times[known][0].item()
        with np.errstate(over="ignore"):
            seconds = (times - self.first) * self.column.factor
        if self.column.how == "clock":
            steps = np.diff(seconds[known], prepend=self.last)
            passed = np.cumsum(steps < -_MIDNIGHT) * 86_400.0
            self.last = float(seconds[known][-1])
            seconds[known] += passed + self.days
            self.days += float(passed[-1])
        return seconds


def typical_step(times: np.ndarray) -> tuple[float, float]:
    """The usual step between times, and what they are rounded to, both in seconds.

    Parameters
    ----------
    times : float ndarray of shape (n,), n > 1, not falling

    Examples
    --------
    >>> step, rounding = typical_step(np.round(np.arange(1000) / 360, 3))
    >>> round(1 / step), rounding
    (360, 0.001)
    """
    steps = np.diff(times)
    positive = steps[steps > 0]
    if not len(positive):
        return 0.0, 0.0
    rounding = _rounding(times)
    step = float(np.median(positive))
    if np.median(steps) == 0:  # several rows share a time
        rounding = max(rounding, step)
    elif uneven(steps, rounding):
        step = float(np.median(steps[: len(steps) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).mean(1)))
        rounding = float(np.quantile(step - steps, _JITTERED))  # gaps make no step shorter
    for _ in range(4):
        usual = steps[steps <= LONGEST_STEP * step + rounding]
        if not len(usual) or usual.mean() <= 0:
            break
        step = float(usual.mean())
    return step, rounding


def uneven(steps: np.ndarray, rounding: float) -> bool:
    """Whether steps between times vary by more than rounding, as those of a clock that is read late now and then.

    Examples
    --------
    >>> uneven(np.tile([0.002, 0.006], 100), 1e-6), uneven(np.tile([0.002, 0.003], 100), 1e-3)
    (True, False)
    """
    middle = np.median(steps)
    return len(steps) >= 2 * _BLOCK and bool(np.quantile(middle - steps, _JITTERED) > UNEVEN * middle + rounding)


def _rounding(times: np.ndarray) -> float:
    for digits in range(8):
        scaled = times * 10**digits
        if (np.abs(scaled - np.rint(scaled)) < 5e-3).all():
            return 10.0**-digits
    return 1e-9


@dataclass(frozen=True)
class Timeline:
    """Where the rows of a table stand in its recording: in stretches without a gap."""

    rate: float
    rows: np.ndarray  # int, of shape (m,): the first row of each stretch
    positions: np.ndarray  # int, of shape (m,): the sample at which it begins
    length: int  # samples, those missing in gaps among them
    missing: np.ndarray  # int, of shape (m - 1,): samples in each gap
    uneven: bool = False  # whether times vary around a constant rate

    @property
    def gaps(self) -> tuple[int, float]:
        """How many gaps there are, and how many seconds they last together."""
        return len(self.missing), float(self.missing.sum() / self.rate)

    def read(self, samples: np.ndarray, start: int, stop: int) -> np.ndarray:
        """The samples from one index up to another, float64, NaN in gaps; `samples` are those of the rows."""
        found = np.full(stop - start, np.nan)
        first = max(int(np.searchsorted(self.positions, start, side="right")) - 1, 0)
        for i in range(first, int(np.searchsorted(self.positions, stop))):
            row, at = int(self.rows[i]), int(self.positions[i])
            end = int(self.rows[i + 1]) if i + 1 < len(self.rows) else len(samples)
            low, high = max(start, at), min(stop, at + end - row)
            if high > low:
                found[low - start : high - start] = samples[row + low - at : row + high - at]
        return found


def find_timeline(times: np.ndarray, source: str, first_line: int, rate: float | None) -> Timeline:
    """Find the sampling rate and the gaps of a recording from the times of its rows.

    The rate is the usual number of rows per time, outside gaps; it is a round number where the times allow it.

    Parameters
    ----------
    times : float ndarray or memory map of shape (n,), in seconds
    source : of the times, for messages, such as "mine.csv: its column 'time'"
    first_line : the number of the first row's line in the file, for messages
    rate : in Hz, as given by the caller; None if it is not

    Raises
    ------
    InputError
        if the times run backwards or do not rise, or if they state a recording longer than MAX_DAYS, or another rate
        than the caller.
    """
    n = len(times)
    step, rounding = typical_step(np.asarray(times[: min(n, CHUNK_TIMES)])) if n > 1 else (0.0, 0.0)
    before: list[np.ndarray] = []  # the rows before which there is a gap
    for start in range(0, n - 1, CHUNK_TIMES):
        steps = np.diff(times[start : start + CHUNK_TIMES + 1])
        if (steps < 0).any():
            row = start + int(np.argmax(steps < 0)) + 1
            raise InputError(
                f"{source} runs backwards in row {first_line + row}, by "
                f"{duration_text(-float(steps[row - 1 - start]))}: sort the rows by time, or split the file there"
            )
        before.append(np.flatnonzero(steps > LONGEST_STEP * step + rounding * (1 + 1e-6)) + start + 1)
        if sum(map(len, before)) > MAX_GAPS:
            raise InputError(f"{source} has more than {MAX_GAPS:,} gaps: write the recording with a constant rate")
    if not step > 0:
        raise InputError(f"{source} should rise from row to row, in seconds")
    rows = np.concatenate([[0], *before]).astype(int)
    stops = np.append(rows[1:], n)
    coarse = rounding > step
    stated = _rate(times, rows, stops, coarse, rounding, step)
    if rate is not None and abs(stated - rate) > 0.01 * rate:  # times may be rounded
        raise InputError(f"{source} states a sampling rate of {stated:g} Hz, not {rate:g} Hz: leave rate out")
    rate = stated if rate is None else rate
    starts = np.array([_start(times, a, b, coarse, rounding, rate) for a, b in zip(rows, stops, strict=True)])
    wanted = np.rint(np.minimum((starts - starts[0]) * rate, 2.0**53)).astype(np.int64)
    positions = np.maximum.accumulate(wanted - rows) + rows  # a stretch never begins before the one before it ends
    length = int(positions[-1] + n - rows[-1])
    missing = np.diff(positions - rows)
    if length > MAX_DAYS * 86_400 * rate:
        row = int(rows[1 + np.argmax(missing)]) if len(missing) else 0
        raise InputError(
            f"{source} jumps by {duration_text(float(times[row] - times[row - 1]))} in row {first_line + row}: a "
            f"recording of more than {MAX_DAYS} days cannot be read; correct that time, or split the file there"
        )
    real = np.concatenate([[True], missing > 0])
    first = np.asarray(times[: min(n, CHUNK_TIMES)])
    is_uneven = not coarse and uneven(np.diff(first), _rounding(first))
    return Timeline(rate, rows[real], positions[real], length, missing[missing > 0], is_uneven)


def _rate(times: np.ndarray, rows: np.ndarray, stops: np.ndarray, coarse: bool, rounding: float, step: float) -> float:
    """The sampling rate: rows over time in all stretches, and a round number if it fits the times as well."""
    counted, seconds = 0, 0.0
    for a, b in zip(rows.tolist(), stops.tolist(), strict=True):
        first, last = a, b - 1
        if coarse:  # where the time changes, it is exact
            first = a + int(np.searchsorted(times[a:b], times[a], side="right"))
            last = a + int(np.searchsorted(times[a:b], times[b - 1], side="left"))
        if last > first:
            counted += last - first
            seconds += float(times[last] - times[first])
    if not counted or not seconds > 0:
        counted, seconds = 1, step
    rate = counted / seconds
    errors = min(
        len(rows), 3 * np.sqrt(len(rows))
    )  # of each stretch: they add up at worst, and cancel if they are many
    tolerance = (2 * step if coarse else max(rounding, 1e-9)) * errors
    for digits in (0, 1):
        round_rate = round(rate, digits)
        if round_rate and abs(counted / round_rate - seconds) <= tolerance:
            return float(round_rate)
    return rate


def _start(times: np.ndarray, first: int, stop: int, coarse: bool, rounding: float, rate: float) -> float:
    """When a stretch begins. Coarse times tell it where they change first: rows before that are counted back."""
    if not coarse:
        return float(times[first])
    change = first + int(np.searchsorted(times[first:stop], times[first], side="right"))
    if change == stop:
        return float(times[first])
    return float(times[change] - min((change - first) / rate, rounding))


def find_time_column(
    names: Sequence[str], units: Sequence[str], cells: Sequence[pd.Series], rate: float | None, source: object
) -> TimeColumn | None:
    """The column of times of a table, by its name or its content; the finest, if it has several.

    Parameters
    ----------
    names, units : of the columns, "" where they are not stated
    cells : the beginning of each column: numbers, times or text
    rate : in Hz, as given by the caller or stated in the file, which tells units of times apart; None if unknown
    source : of the table, for messages
    """
    found: list[tuple[float, TimeColumn]] = []
    rises = True
    for column, (name, unit, beginning) in enumerate(zip(names, units, cells, strict=True)):
        candidate = _as_times(column, name, beginning)
        if candidate is None:
            continue
        times = Unwrapping(candidate).seconds(beginning)
        times = times[np.isfinite(times)]
        named = names_time(name) or candidate.how != "number"
        if len(times) < 2 or (np.diff(times) < 0).any() or times[-1] <= times[0]:
            rises = rises and not named
            if named and len(times) > 1 and (np.diff(times) >= 0).mean() > 0.9:  # it is refused with the row
                found.append((np.inf, _in_unit(candidate, unit, 0.0, rate) or candidate))
            continue
        if not named and (len(times) < FEWEST_ROWS or not _is_regular(times)):
            continue
        step, _ = typical_step(times)
        known = _in_unit(candidate, unit, step, rate) if candidate.how == "number" else candidate
        if known is not None and not named and rate is not None and abs(1 / (step * known.factor) - rate) > 0.01 * rate:
            continue  # a count by some other number
        if known is not None and (named or known.factor * step * SAMPLING_RATES[0] <= 1.01):
            found.append((float(np.abs(np.diff(times) - step).mean() / step), known))
    if not found and not rises:
        raise InputError(f"{source}: its column of times should rise from row to row, in seconds")
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _as_times(column: int, name: str, cells: pd.Series) -> TimeColumn | None:
    """How a column may be read as times; None if it cannot."""
    if pd.api.types.is_timedelta64_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        return TimeColumn(column, name, "duration", NANOSECOND)
    if cells.dtype != object:
        by_content = column == 0 and not names_ecg(name) and not names_other(name)
        return TimeColumn(column, name, "number") if names_time(name) or by_content else None
    text = cells.dropna().astype(str).str.strip("'\"[] ")
    if not len(text) or not text.str.contains(":").mean() > 0.9:
        return None
    iso = text.str.match(r"\d{4}-\d\d-\d\d[T ]").mean() > 0.9
    return TimeColumn(column, name, "moment", NANOSECOND) if iso else TimeColumn(column, name, "clock")


def _is_regular(times: np.ndarray) -> bool:
    """Whether times of a column without a name are no count, and rise by equal steps, but for a few gaps."""
    step, rounding = typical_step(times)
    steps = np.diff(times)
    return step != 1 and bool((np.abs(steps - step) <= 0.02 * step + rounding * (step != np.rint(step))).mean() > 0.95)


def _in_unit(candidate: TimeColumn, unit: str, step: float, rate: float | None) -> TimeColumn | None:
    """A column of numbers with its unit: the stated one, or the one that makes sense; None if it is a count."""
    column, name = candidate.column, candidate.name
    parts = [unit.lower().strip("()[] '\""), *words(name)]
    stated = next((_FACTORS[part] for part in parts if part in _FACTORS), None)
    if stated is not None:
        return TimeColumn(column, name, "number", stated)
    if step <= 0:
        return candidate
    low, high = SAMPLING_RATES
    possible = [factor for factor in _UNITS if low * 0.99 <= 1 / (step * factor) <= high * 1.01]
    if rate is not None:
        agreeing = [factor for factor in _UNITS if abs(1 / (step * factor) - rate) <= 0.01 * rate]
        if agreeing:
            return TimeColumn(column, name, "number", agreeing[0])
        if step == 1:
            return None
    factor = possible[0] if possible else 1.0
    doubt = ""
    if step == 1:
        doubt = f"The column {name!r} counts by 1: its numbers were read as milliseconds."
    return None if step == 1 and names_counter(name) else TimeColumn(column, name, "number", factor, doubt)
