"""A lead of a recording, and what each format needs to make one: units, safe names, and how the lead was read."""

from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np

from ecg.exceptions import InputError, printable
from ecg.recordings.classes import Annotations

SAMPLING_RATES = (100, 20_000)  # Hz: below, R peaks are missed; above, it is not an ECG
MAX_SAMPLES_PER_BYTE = 20  # more than any format packs; a header that states more is wrong
MAX_LEADS = 64  # of an array; more columns are samples
MAX_SIGNALS = 1_000  # of a recording that states how many it has
MAX_DAYS = 31  # of the longest recording; a longer one comes from a time or a length that is wrong
MAX_NAME = 80  # characters of a name
MILLIVOLTS, ADC_UNITS, UNKNOWN_UNIT = "mV", "ADC units", "unknown unit"

_IN_MILLIVOLTS = {
    1e-6: ("nv", "nanovolt", "nanovolts"),
    1e-3: ("uv", "µv", "μv", "microvolt", "microvolts", "mikrovolt"),  # with the micro sign, and with the Greek mu
    1.0: ("mv", "millivolt", "millivolts"),
    1e3: ("v", "volt", "volts"),
}
_FACTORS = {name: factor for factor, names in _IN_MILLIVOLTS.items() for name in names}
_ADC_UNITS = ("adc", "adu", "adu's", "lsb", "adc units", "raw", "counts", "digital")

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Lead:
    """One lead of a recording.

    Names are safe to print: they have no control characters, and at most MAX_NAME characters.
    """

    recording: str  # the recording's name
    name: str  # or the number of a lead without a name
    rate: float  # the sampling rate in Hz
    length: int  # the number of samples
    read: Read  # returns the samples from one index up to another, float64, NaN where they are missing
    annotations: Annotations | None = None
    unit: str = UNKNOWN_UNIT  # of the samples: mV wherever the recording states a voltage
    read_as: str = ""  # one line: which lead, its place, the rate and where it comes from, the unit, the duration
    warnings: tuple[str, ...] = ()  # sentences about what was lost, or is doubtful

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


@dataclass(frozen=True)
class Unit:
    """A unit of samples, and the factor that converts to it."""

    name: str
    factor: float = 1.0

    @classmethod
    def stated(cls, text: str) -> "Unit":
        """The unit that a recording states, in millivolts if it is a voltage.

        Examples
        --------
        >>> Unit.stated("uV"), Unit.stated("mmHg")
        (Unit(name='mV', factor=0.001), Unit(name='mmHg', factor=1.0))
        """
        text = cleaned(text).strip("()[]{}'\" ")
        if text.lower() in _FACTORS:
            return cls(MILLIVOLTS, _FACTORS[text.lower()])
        return cls(ADC_UNITS if text.lower() in _ADC_UNITS else text or UNKNOWN_UNIT)

    @property
    def is_voltage(self) -> bool:
        """Whether samples are converted to millivolts."""
        return self.name == MILLIVOLTS

    def converted(self, samples: np.ndarray) -> np.ndarray:
        """Samples as float64, in this unit."""
        samples = np.asarray(samples, float)
        return samples if self.factor == 1 else samples * self.factor


def cleaned(text: object) -> str:
    r"""A text from outside as one that is safe to print: without control characters, and not too long.

    Examples
    --------
    >>> cleaned("\x1b[31mMLII\x07\u202e  left\n")
    'MLII left'
    """
    return " ".join(printable(str(text)[: 100 * MAX_NAME]).split())[:MAX_NAME].strip()


def duration_text(seconds: float) -> str:
    """A duration for people.

    Examples
    --------
    >>> [duration_text(seconds) for seconds in (30, 1805, 86_400, 0.25)]
    ['30 s', '30:05 min', '24:00:00 h', '0.25 s']
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if seconds > MAX_DAYS * 86_400:  # from a time or a length that is wrong
        return f"{seconds / 86_400:.3g} days"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def gaps_sentence(where: str, number: int, seconds: float) -> str:
    """A warning of gaps.

    Examples
    --------
    >>> gaps_sentence("in its times", 2, 65.0)
    'There are 2 gaps in its times, of 1:05 min in all; samples are missing there.'
    """
    one = f"There is 1 gap {where}, of {duration_text(seconds)}"
    several = f"There are {number:,} gaps {where}, of {duration_text(seconds)} in all"
    return f"{one if number == 1 else several}; samples are missing there."


def described(
    name: str, place: str, rate: float, origin: str, unit: Unit, length: int, gaps: tuple[int, float] = (0, 0.0)
) -> str:
    """How a lead was read, in one line (`Lead.read_as`).

    Parameters
    ----------
    name : of the lead
    place : of the lead in the recording, such as "column 2 of 3"
    rate : the sampling rate in Hz
    origin : where the sampling rate comes from, such as "from the header"
    unit, length : of the samples
    gaps : how many there are, and how many seconds they last together
    """
    number, seconds = gaps
    lost = "" if not number else f"1 gap of {duration_text(seconds)}"
    if number > 1:
        lost = f"{number:,} gaps of {duration_text(seconds)} in all"
    parts = (
        f"lead {name}",
        place,
        f"{rate:.6g} Hz {origin}",
        unit.name,
        duration_text(length / rate if rate > 0 else 0),
        lost,
    )
    return ", ".join(part for part in parts if part)


def check_rate(source: object, stated: float, rate: float | None, tolerance: float) -> None:
    """InputError if the recording states another sampling rate than the caller."""
    if rate is not None and abs(stated - rate) > tolerance * rate:
        raise InputError(f"{source} states a sampling rate of {stated:g} Hz, not {rate:g} Hz: leave rate out")


@contextmanager
def refused(message: str, remedy: str = "") -> Iterator[None]:
    """Turn any error into an InputError with this message: the libraries that read files raise many kinds."""
    try:
        yield
    except (InputError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise InputError(f"{message} ({cleaned(error)}){remedy}") from None


def tolerant(read: Read, length: int, source: object) -> Read:
    """Make missing, NaN, what cannot be read of a damaged or truncated file; InputError if its start cannot."""
    with refused(f"no samples of {source} could be read"):
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
