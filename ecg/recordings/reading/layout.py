"""How a table of numbers is written: its encoding, delimiter, decimal mark, header, units, and what stands before it.

Own code: csv.Sniffer fails on a single column, on preambles and on decimal commas; pandas' own detection needs its slow
parser, and knows none of them.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import words
from ecg.recordings.reading.lead import MAX_LEADS, SAMPLING_RATES, Unit, cleaned

HEAD_BYTES = 2**19  # of the file, which its layout is found from
MAX_LINE = 300  # characters of a line before the table that are searched: patterns take longer than that is long
MAX_PREAMBLE = 200  # lines before the table that are searched
MAX_ROW = 2**15  # characters: a row has a number for each of MAX_LEADS
ROWS_LOOKED_AT = 200  # at the end of them, where the table has begun
MISSING = ("-", "--", "---", "?", "*", "missing", "nan", "null", "none", "na", "n/a", "inf", "-inf", "+inf", "infinity")

_CLOCK = r"\d{1,3}:\d{1,2}(:\d{1,2})?([.,]\d+)?( ?[AaPp]\.?[Mm]\.?)?"
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_MOMENT = re.compile(rf"({_DATE}([T ]+{_CLOCK})?|{_CLOCK}([T ]+{_DATE})?) ?(Z|UTC|[+-]\d\d:?\d\d)?")
_NUMBERS = {
    mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in (".", ",")
}
# In the order of preference, where several fit: a decimal comma is only read where a decimal point is not.
_DIALECTS = [(delimiter, mark) for mark in (".", ",") for delimiter in (";", "\t", "|", ",", " ")]
_UNIT_CELL = re.compile(
    r"[\[({'\"]*(m|u|µ|μ|n|k)?v(olts?)?[\])}'\"]*|[\[({'\"]*(millivolts?|microvolts?|adu|adc|lsb|nu|mmhg|bpm|%|g|pm|a\.?u\.?|"
    r"°?c|(m|u|µ|μ|n)?s|secs?|seconds?|msec|hz|hh?:mm:ss(\.m+)?|date|no\.?|counts?|sample #)[\])}'\"]*|-|"
)
_STATES_RATE = re.compile(
    r"(sampl\w*+|abtast\w*+|mess|fs|sps|acquisition|muestreo|échantillonnage|amostragem|campionamento)"
    r"[^\d\n]*+(?P<number>\d+(?:[.,]\d+)?)\s*(?P<kilo>k(?:hz|sps))?",
    re.IGNORECASE,
)
_IN_HERTZ = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<kilo>k)?(?:hz|hertz|hercios|ヘルツ|赫兹|Гц)\b", re.IGNORECASE
)
_MINUS = re.compile(r"(?<!\w)[-\u2212]$")  # which is neither a hyphen nor the middle of a range
_NO_RATE_OF_SAMPLES = re.compile(r"filter|notch|pass|cut|band|mains|bpm|heart|line freq|netz", re.IGNORECASE)
_STATES_UNIT = re.compile(
    r"^[\W_]*(?:units?|einheit|unité|unidad(?:es)?|unità|unidade|eenheid|単位|单位)\W+(?P<unit>[^\s,;\"']+)",
    re.IGNORECASE,
)
_STATES_LEAD = re.compile(
    r"^[\W_]*(?:lead|ableitung|dérivation|derivación|derivazione|derivação|afleiding|channel|kanal)[\"']?\s*[,;:=\t]\s*[\"']?"
    r"(?P<lead>[^,;\"']+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """How a table is written, and what stands before its rows of numbers."""

    encoding: str
    delimiter: str  # a space for any whitespace
    decimal: str
    quote: str  # the mark around cells of rows; "" if there is none
    first_row: int  # the number of lines before the first row of numbers
    names: list[str]  # of the columns, "" where they have none
    units: list[str]  # of the columns, "" where they are not stated
    rate: float | None  # in Hz, as stated before the rows
    rows: list[str]  # the lines of the beginning
    keeps_blank_lines: bool  # a blank line among single numbers is a missing one


def encoding_of(head: bytes) -> str:
    """The encoding of a text, from its beginning."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    if max(even, odd) > len(head[:2000]) // 4:  # every second byte of most texts
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def split_row(line: str, delimiter: str, quote: str) -> list[str]:
    """The cells of a row, without their quotes."""
    if delimiter == " ":
        cells = line.split()
    elif quote and quote in line:
        cells = next(csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True), [])
    else:
        cells = line.split(delimiter)
    return [cell.strip().strip("'\"").strip() for cell in cells]


def is_number(cell: str, decimal: str) -> bool:
    """Whether a cell holds a number, or says that there is none."""
    return bool(_NUMBERS[decimal].fullmatch(cell)) or cell.lower() in MISSING


def is_moment(cell: str) -> bool:
    """Whether a cell holds a clock time or a date.

    Examples
    --------
    >>> [is_moment(cell) for cell in ("0:00.000", "2024-05-01T12:00:00.5Z", "1.5")]
    [True, True, False]
    """
    return bool(_MOMENT.fullmatch(cell.strip("[] ")))


def _fits(cell: str, decimal: str) -> bool:
    return not cell or is_number(cell, decimal) or is_moment(cell)


def _score(lines: Sequence[str], delimiter: str, decimal: str, quote: str) -> float:
    """How well a dialect fits: the share of cells that hold numbers or times, in rows of equal width."""
    rows = [split_row(line, delimiter, quote) for line in lines]
    width = _width(rows)
    rows, number = [row for row in rows if len(row) == width], len(rows)
    fitting = sum(sum(_fits(cell, decimal) for cell in row) / width for row in rows)
    return round(fitting / len(rows) * (0.5 + 0.5 * len(rows) / number), 6)


def _width(rows: Sequence[Sequence[str]]) -> int:
    """How many columns most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0]


def check_width(source: object, width: int) -> None:
    """InputError if a table has too many columns for leads."""
    if width > MAX_LEADS:
        raise InputError(f"{source} has {width:,} columns; each should be a lead: transpose the table")


def _quote(lines: Sequence[str]) -> str:
    """The mark around cells; "" if there is none."""
    return next((mark for mark in "\"'" if any(re.search(rf"(^|[,;\t|]) *{mark}", line) for line in lines)), "")


def find_layout(path: Path) -> Layout:
    """Find the layout of a table; InputError if its beginning has no rows of numbers."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        whole = not file.read(1)
    encoding = encoding_of(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    lines = re.split(r"\r\n|\r|\n", text)
    if not whole and len(lines) > 1:
        lines.pop()  # which may be a part of a line
    filled = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not filled:
        raise InputError(f"{path} is empty")
    sample = filled[-min(-(-len(filled) // 2), ROWS_LOOKED_AT) :]
    if (longest := max(map(len, sample))) > MAX_ROW:
        raise InputError(
            f"{path} has rows of {longest:,} characters; each column should be a lead: transpose the table"
        )
    quote = _quote(sample) or _quote(filled)
    scores = [_score(sample, delimiter, mark, quote) for delimiter, mark in _DIALECTS]
    if max(scores) <= 0:
        raise InputError(
            f"{path} holds no rows of numbers: it should have a column for each lead, and a row for each sample"
        )
    delimiter, decimal = _DIALECTS[scores.index(max(scores))]
    if (delimiter, decimal) == (",", ".") and _has_decimal_commas(filled, sample):
        delimiter, decimal = ";", ","
    width = _width([split_row(line, delimiter, quote) for line in sample])
    check_width(path, width)
    first, numeric = _first_row(lines, sample, width, delimiter, decimal, quote)
    if first is None:
        raise InputError(
            f"{path} holds no rows of numbers: it should have a column for each lead, and a row for each sample"
        )
    names, units, before = _header(lines[:first], width, delimiter, quote)
    if not numeric:
        raise InputError(f"{path} has no column of numbers")
    blank = [i for i in range(first, len(lines) - 1) if not lines[i].strip()]
    layout = Layout(
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal,
        quote=_quote(sample),  # a mark in the header alone is none around numbers
        first_row=first,
        names=[cleaned(name) for name in names],
        units=units,
        rate=stated_rate(before, names),
        rows=lines[first:],
        keeps_blank_lines=width == 1 and len(blank) < (len(lines) - first) // 3,
    )
    return _with_stated_lead(layout, before)


def _has_decimal_commas(filled: Sequence[str], sample: Sequence[str]) -> bool:
    """Whether rows such as 12,05 are one number each, rather than two."""
    if not all(re.fullmatch(r"[+-]?\d+,\d+", line.strip()) for line in sample):
        return False
    before = [line for line in filled if not re.fullmatch(r"[\s+\d,-]*", line)]
    if any(";" in line for line in before):
        return True
    if before and before[-1].count(",") == 1 and not re.search(r"\d,\d", before[-1]):
        return False  # a header of two names
    fractions = [line.strip().split(",")[1] for line in sample]
    return any(len(part) > 1 and part.startswith("0") for part in fractions)


def _first_row(
    lines: Sequence[str], sample: Sequence[str], width: int, delimiter: str, decimal: str, quote: str
) -> tuple[int | None, list[int]]:
    """The index of the first row of numbers, and which columns hold numbers or times."""
    rows = [split_row(line, delimiter, quote) for line in sample]
    columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
    numeric = []
    for i, column in enumerate(columns):
        filled = [cell for cell in column if cell]
        if filled and sum(_fits(cell, decimal) for cell in filled) >= len(filled) / 2:
            numeric.append(i)

    @cache  # it is asked for each line, and for those before it
    def is_row(line: str) -> bool:
        cells = split_row(line, delimiter, quote)
        found = [cells[i] for i in numeric if i < len(cells)]
        return (
            len(found) == len(numeric)
            and len(cells) <= width + 1
            and any(found)
            and all(_fits(cell, decimal) for cell in found)
        )

    for i, line in enumerate(lines):
        if line.strip() and is_row(line):
            following = [
                later for later in lines[i + 1 : i + 12] if later.strip() and not later.lstrip().startswith("#")
            ]
            if sum(map(is_row, following)) >= len(following) * 0.5:
                # Blank cells before it, too, are samples: a table may begin with missing ones.
                while i and lines[i - 1].strip() and not any(split_row(lines[i - 1], delimiter, quote)):
                    i -= 1
                return i, numeric
    return None, numeric


def _header(before: Sequence[str], width: int, delimiter: str, quote: str) -> tuple[list[str], list[str], list[str]]:
    """The names and units of the columns, from the lines before the rows, and what else stands there."""
    lines = [line for line in before if line.strip()]
    names, units = [""] * width, [""] * width

    def cells_of(line: str) -> list[str] | None:
        text = line.strip().lstrip("#").strip() if not quote or not line.strip().startswith(quote) else line.strip()
        joined = re.sub(r"(?<=\w)\s+(?=[\[(])", "", text[:MAX_LINE])  # ECG (mV) is one name between spaces, too
        for cells in (split_row(text, delimiter, quote), re.split(r"\s{2,}|\t", text), joined.split()):
            cells = cells[:-1] if len(cells) == width + 1 and not cells[-1] else cells
            if len(cells) == width and any(cells):
                return cells
        return None

    cells = cells_of(lines[-1]) if lines else None
    if cells is not None and len(lines) > 1 and all(_UNIT_CELL.fullmatch(cell.lower()) for cell in cells):
        above = cells_of(lines[-2])
        if above is not None and not _is_preamble(lines[-2], above):
            units, cells = cells, above
            lines.pop()
    if cells is not None and not _is_preamble(lines[-1], cells):
        names = cells
        lines.pop()
    return names, [stated or unit_in(name) for name, stated in zip(names, units, strict=True)], lines


def _is_preamble(line: str, cells: Sequence[str]) -> bool:
    """Whether a line before the rows says something of the recording, rather than naming columns."""
    line = line[:MAX_LINE]
    if len(cells) > 2:
        return False
    if _STATES_UNIT.match(line) or _STATES_LEAD.match(line):
        return True
    if len(cells) == 1:
        return bool(re.search(r"\w\s*[:=]\s*\S", line)) or stated_rate([line], []) is not None
    return any(is_number(cell, ".") for cell in cells)


def unit_in(name: str) -> str:
    """The unit in the name of a column.

    Examples
    --------
    >>> unit_in("ecg [uV]"), unit_in("MLII_mV"), unit_in("MLII")
    ('uV', 'mV', '')
    """
    name = name[:MAX_LINE]
    bracket = re.search(r"[\[({]\s*([^\])}]*?)\s*[\])}]\s*$", name)
    if bracket:
        return bracket[1]
    last = re.search(
        r"[\s_,/-]+((m|u|µ|μ|n)?v|(milli|micro)volts?|m?s|us|adc|adu|seconds|ms|ns)$", name.strip(), re.IGNORECASE
    )
    return last[1] if last else ""


def stated_rate(before: Sequence[str], names: Sequence[str]) -> float | None:
    """The sampling rate in Hz that the lines before the rows, or the names of columns, state; None if they do not.

    A negative one is returned as such, to be refused.

    Examples
    --------
    >>> stated_rate(["Name,Ada", "Sample Rate,512 hertz"], [])
    512.0
    """
    texts = [line[:MAX_LINE] for line in (*before[:MAX_PREAMBLE], *names)]
    texts = [line for line in texts if not _NO_RATE_OF_SAMPLES.search(line)]
    for pattern in (_STATES_RATE, _IN_HERTZ):
        for text in texts:
            if match := pattern.search(text):
                rate = float(match["number"].replace(",", ".")) * (1000 if match["kilo"] else 1)
                if SAMPLING_RATES[0] / 4 <= rate <= 4 * SAMPLING_RATES[1]:  # others are refused with their number
                    return -rate if _MINUS.search(text[: match.start("number")]) else rate
    return None


def _with_stated_lead(layout: Layout, before: Sequence[str]) -> Layout:
    """The unit of the columns, and the name of a single one, where the lines before the rows state them."""
    before = [line[:MAX_LINE] for line in before[:MAX_PREAMBLE]]
    unit = next((match["unit"] for line in before if (match := _STATES_UNIT.match(line))), "")
    lead = next((match["lead"] for line in before if (match := _STATES_LEAD.match(line))), "")
    names = [cleaned(lead)] if layout.names == [""] and words(lead) else layout.names
    return replace(layout, names=names, units=[own or unit for own in layout.units])


def lead_name(column: str) -> str:
    """The name of a column without the word "lead", and without a voltage, since samples are converted to another.

    Examples
    --------
    >>> lead_name("ecg [uV]"), lead_name("Lead I"), lead_name("MLII")
    ('ecg', 'I', 'MLII')
    """
    name = re.sub(r"^lead[ _](?=\S)", "", column, flags=re.IGNORECASE)
    unit = unit_in(name)
    if not unit or not Unit.stated(unit).is_voltage:
        return name
    return name[: name.rindex(unit)].rstrip(" _,/-([{") or name
