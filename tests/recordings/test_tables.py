"""Tables in any dialect: what is written is read, with its rate, its unit and its gaps."""

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.exceptions import InputError
from ecg.recordings.reading import open_lead, table
from ecg.recordings.reading.layout import encoding_of, stated_rate
from ecg.recordings.reading.times import typical_step
from tests.recordings.files import opened, refusal

N = 1200
START = datetime(2024, 5, 1, 23, 59, 58)  # shortly before midnight
SAMPLES = np.round(np.random.default_rng(0).normal(0, 0.4, (N, 2)), 3)
PREAMBLES = {
    "none": [],
    "apple": ["Name,Ada", 'Recorded Date,"2024-05-01 10:00:00 +0100"', "Device,Watch", "", ""],
    "keys": ["Patient: Ada", "Filter: 0.5-40 Hz", "Heart rate: 72 bpm", ""],
    "comments": ["# made by a test", "# for a test"],
}


def written_time(seconds: float, how: str) -> str:
    """A time in one of the formats, from START."""
    moment = START + timedelta(seconds=seconds)
    clock = f"{moment:%H:%M:%S}"
    millisecond = f"{moment.microsecond // 1000:03d}"
    return {
        "seconds": f"{seconds:.6f}",
        "rounded": f"{seconds:.3f}",
        "milliseconds": f"{seconds * 1000:.3f}",
        "whole ms": f"{seconds * 1000:.0f}",
        "microseconds": f"{seconds * 1e6:.0f}",
        "epoch": f"{1_714_600_000 + seconds:.4f}",
        "epoch ms": f"{1_714_600_000_000 + seconds * 1000:.0f}",
        "clock": f"{clock}.{moment.microsecond:06d}",
        "clock ms": f"{clock}.{millisecond}",
        "clock s": clock,
        "minutes": f"{int(seconds // 60)}:{seconds % 60:06.3f}",
        "iso": f"{moment:%Y-%m-%d}T{clock}.{moment.microsecond:06d}Z",
        "iso space": f"{moment:%Y-%m-%d} {clock}.{millisecond}",
        "iso offset": f"{moment:%Y-%m-%d}T{clock}.{millisecond}+02:00",
        "german": f"{moment:%d.%m.%Y} {clock}.{millisecond}",
        "american": f"{moment:%m/%d/%Y %I:%M:%S}.{millisecond} {moment:%p}",
    }[how]


TIMES = {  # the name and the unit of each kind of time
    "seconds": ("time", "s"),
    "rounded": ("Elapsed time", "sec"),
    "milliseconds": ("time", "ms"),
    "whole ms": ("timestamp", "ms"),
    "microseconds": ("time", "us"),
    "epoch": ("time", "s"),
    "epoch ms": ("unix time", "ms"),
    "minutes": ("Elapsed time", "hh:mm:ss.mmm"),
} | dict.fromkeys(
    ("clock", "clock ms", "clock s", "iso", "iso space", "iso offset", "german", "american"), ("Time", "date")
)


@dataclass(frozen=True)
class Dialect:
    """How a test writes a table."""

    encoding: str
    delimiter: str
    decimal: str
    preamble: str
    header: bool
    units: str  # "row", "names" or "none"
    times: str | None
    quoted: bool

    def write(self, path: Path, seconds: np.ndarray, samples: np.ndarray, rate: float) -> None:
        mark = "'" if self.quoted and self.decimal == "." else '"' if self.quoted else ""
        join = "   " if self.delimiter == " " else self.delimiter

        def cell(text: str) -> str:
            return f"{mark}{text}{mark}"

        lines = list(PREAMBLES[self.preamble])
        lines += [f"Sampling rate: {rate:g} Hz"] if self.times is None else []
        columns = [TIMES[self.times]] if self.times else []
        columns += [("resp", "mV"), ("II", "mV")]
        if self.header:
            in_names = self.units == "names"
            lines.append(join.join(cell(f"{name} ({unit})" if in_names else name) for name, unit in columns))
            lines += [join.join(cell(f"({unit})") for _, unit in columns)] if self.units == "row" else []
        for at, row in zip(seconds, samples, strict=True):
            cells = [cell(written_time(at, self.times).replace(".", self.point))] if self.times else []
            lines.append(join.join([*cells, *(f"{value:.3f}".replace(".", self.decimal) for value in row)]))
        path.write_bytes("\n".join([*lines, ""]).encode(self.encoding))

    @property
    def point(self) -> str:
        dated = self.times in ("german", "american", "iso", "iso space", "iso offset")
        return "." if dated else self.decimal

    @property
    def is_possible(self) -> bool:
        return not (
            (self.delimiter == "," and self.decimal == ",")
            or (self.delimiter == " " and (self.quoted or self.units == "names" or self.times in SPACED))
            or (self.delimiter == " " and self.header and self.times in ("rounded", "epoch ms", "minutes"))
            or (self.units != "none" and not self.header)
            or (not self.header and self.times in (None, "whole ms", "epoch", "epoch ms"))
        )


SPACED = ("iso space", "german", "american")
dialects = st.builds(
    Dialect,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]),
    delimiter=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    preamble=st.sampled_from(list(PREAMBLES)),
    header=st.booleans(),
    units=st.sampled_from(["row", "names", "none"]),
    times=st.sampled_from([None, *TIMES]),
    quoted=st.booleans(),
).filter(lambda dialect: dialect.is_possible)


@settings(max_examples=100)
@given(
    dialect=dialects,
    rate=st.sampled_from([125.0, 128.0, 250.0, 300.0, 360.0, 500.0, 512.0]),
    gaps=st.lists(st.tuples(st.integers(150, N - 150), st.floats(2, 5000)), max_size=3),
)
def test_what_any_dialect_writes_is_read(
    dialect: Dialect, rate: float, gaps: list[tuple[int, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    if dialect.times == "clock s":  # they tell the rate of stretches of some seconds alone
        rate, gaps = 125.0, [(400 if row < N / 2 else 800, length) for row, length in gaps]
    indices = np.arange(N)
    if dialect.times is not None:
        for row, length in gaps:
            indices[row:] += round(length * rate)
    dialect.write(path, indices / rate, SAMPLES, rate)
    lead, samples = opened(path, None if dialect.header else 1)
    assert lead.rate == pytest.approx(rate, rel=2e-4)
    assert lead.unit == ("mV" if dialect.units != "none" else "unknown unit")
    close = 1 if dialect.times == "clock s" else 0  # whole seconds tell where a gap ends to a sample
    assert abs(lead.length - indices[-1] - 1) <= close * (1 + len(gaps))
    known = np.isfinite(samples)
    np.testing.assert_allclose(samples[known], SAMPLES[:, 1], atol=1e-6)
    shifts = np.abs(np.flatnonzero(known) - indices)
    assert shifts.max() <= close * (1 + len(gaps))
    distinct = len({row for row, _ in gaps}) if dialect.times is not None else 0
    assert ("gap" in lead.read_as) == (distinct > 0)
    assert len(lead.warnings) == (distinct > 0)


def test_the_csv_of_an_apple_watch_is_read(tmp_path: Path) -> None:
    preamble = [
        "Name,Ada Lovelace",
        '"Date of Birth","Dec 10, 1985"',
        "Recorded Date,2024-01-12 11:20:09 +0100",
        "Classification,Sinus Rhythm",
        "Symptoms,",
        "Software Version,1.90",
        'Device,"Watch6,2"',
        "Sample Rate,512 hertz",
        "",
        "",
        "Lead,Lead I",
        "Unit,µV",
        "",
    ]
    path = tmp_path / "ecg_2024-01-12.csv"
    path.write_text("\n".join([*preamble, *(f"{value * 1000:.3f}" for value in SAMPLES[:, 0])]) + "\n")
    lead, samples = opened(path)
    assert (lead.name, lead.rate, lead.unit, lead.warnings) == ("I", 512, "mV", ())
    assert lead.read_as == "lead I, column 1 of 1, 512 Hz as stated in the file, mV, 2.3 s"
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


@pytest.mark.parametrize("quoted", [True, False])
def test_the_csv_of_a_german_apple_watch_is_read(quoted: bool, tmp_path: Path) -> None:
    join, mark = (",", '"') if quoted else (";", "")
    facts = [
        ("Name", "Ada"),
        ("Abtastrate", f"{mark}511,8 Hertz{mark}"),
        ("Ableitung", "Ableitung I"),
        ("Einheit", "µV"),
    ]
    lines = [f"{key}{join}{value}" for key, value in facts]
    lines += ["", *(mark + f"{value * 1000:.3f}".replace(".", ",") + mark for value in SAMPLES[:, 0])]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    lead, samples = opened(tmp_path / "mine.csv")
    assert (lead.name, lead.rate, lead.unit) == ("Ableitung I", 511.8, "mV")
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


def kaggle(path: Path) -> Path:
    rows = [f"{i},{a},{b}" for i, (a, b) in enumerate(np.rint(SAMPLES * 200 + 1024).astype(int))]
    path.write_text("\n".join(["'sample #','MLII','V5'", *rows]) + "\n")
    return path


def test_the_csv_files_of_mit_bih_on_kaggle_need_a_rate_alone(tmp_path: Path) -> None:
    path = kaggle(tmp_path / "100.csv")
    assert "100.csv does not state its sampling rate: give it in Hz (rate, --rate 360 for MIT-BIH)" in refusal(path)
    lead, samples = opened(path, rate=360)
    assert lead.read_as == "lead MLII, column 2 of 3, 360 Hz as given, ADC units, 3.3 s"
    np.testing.assert_array_equal(samples, np.rint(SAMPLES[:, 0] * 200 + 1024))
    assert "'sample #' counts the samples; name a lead: 1 MLII, 2 V5" in refusal(path, 0, 360.0)


@pytest.mark.parametrize("tabs", [True, False])
def test_what_rdsamp_prints_is_read(tabs: bool, tmp_path: Path) -> None:
    if tabs:
        lines = ["   Elapsed time\t   MLII\t   V5", "     (seconds)\t   (mV)\t   (mV)"]
        lines += [f"{i / 360:14.3f}\t{a:7.3f}\t{b:7.3f}" for i, (a, b) in enumerate(SAMPLES)]
    else:
        lines = ["'Elapsed time','MLII','V5'", "'hh:mm:ss.mmm','mV','mV'"]
        lines += [f"'{i // 21600}:{i / 360 % 60:06.3f}',{a:.3f},{b:.3f}" for i, (a, b) in enumerate(SAMPLES)]
    (tmp_path / "mine.txt").write_text("\n".join(lines) + "\n")
    lead, samples = opened(tmp_path / "mine.txt")
    assert (lead.name, lead.rate, lead.unit) == ("MLII", 360, "mV")
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


def test_of_several_columns_of_times_the_finest_is_used(tmp_path: Path) -> None:
    lines = ["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]"]
    for i, value in enumerate(np.rint(SAMPLES[:, 0] * 1000).astype(int)):
        packet = f"{START + timedelta(seconds=i // 73 * 73 / 130):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
        lines.append(f"{packet};{599_616_341_987_654_321 + round(i * 1e9 / 130)};{i * 1000 / 130:.4f};{value}")
    (tmp_path / "polar.txt").write_text("\n".join(lines) + "\n")
    lead, samples = opened(tmp_path / "polar.txt")
    assert (lead.name, lead.rate, lead.unit, lead.warnings) == ("ecg", 130, "mV", ())
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)
    assert opened(tmp_path / "polar.txt", "ecg [uV]")[0].name == "ecg"


@pytest.mark.parametrize(
    ("lines", "rate"),
    [
        (["Sampling frequency (Hz),360"], 360),
        (["# fs=250"], 250),
        (["Sample Rate: 512 hertz"], 512),
        (["Sample rate: 0.5 kHz"], 500),
        (["Frecuencia de muestreo;511,8 hercios"], 511.8),
        (["Samples per second: 300"], 300),
        (["Recorded at 300 Hz", "Mains filter: 50 Hz"], 300),
        (["Heart rate: 72 bpm", "Notch: 50 Hz", "Bandpass 0.5-150 Hz"], None),
        (["Name,Ada"], None),
    ],
)
def test_a_stated_rate_is_found_and_filters_are_none(lines: list[str], rate: float | None) -> None:
    assert stated_rate(lines, []) == rate


def write(folder: Path, *lines: str) -> Path:
    (folder / "mine.csv").write_text("\n".join(lines) + "\n")
    return folder / "mine.csv"


def rows(seconds: np.ndarray) -> list[str]:
    return [f"{at:.4f},{value:.3f}" for at, (value, _) in zip(seconds, SAMPLES, strict=False)]


def test_a_stated_rate_that_contradicts_the_callers_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "# fs=250", *(f"{a},{b}" for a, b in SAMPLES))
    assert "states a sampling rate of 250 Hz, not 360 Hz: leave rate out" in refusal(path, 0, 360.0)
    assert opened(path, 0, 250.0)[0].rate == 250


def test_times_that_run_backwards_are_refused_with_their_row(tmp_path: Path) -> None:
    seconds = np.arange(N) / 250
    seconds[700:] -= 0.5
    message = refusal(write(tmp_path, "time,II", *rows(seconds)))
    assert "its column 'time' runs backwards in row 702, by 0.5 s: sort the rows by time" in message


def test_a_time_that_is_wrong_by_years_is_refused_with_its_row(tmp_path: Path) -> None:
    seconds = np.arange(N) / 250
    seconds[700:] += 10**8
    message = refusal(write(tmp_path, "time,II", *rows(seconds)))
    assert "in row 702: a recording of more than 31 days cannot be read" in message


def test_a_gap_of_days_takes_no_memory(tmp_path: Path) -> None:
    seconds = np.arange(N) / 250
    seconds[700:] += 86_400 * 20
    with open_lead(write(tmp_path, "time,II", *rows(seconds))) as lead:
        assert lead.length == N + 20 * 86_400 * 250
        assert np.isnan(lead.read(10**8, 10**8 + 1000)).all()
        np.testing.assert_allclose(lead.read(lead.length - 500, lead.length), SAMPLES[700:, 0], atol=1e-6)
        assert "1 gap of 480:00:00 h" in lead.read_as


def test_times_without_a_constant_rate_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecg.recordings.reading import times

    monkeypatch.setattr(times, "MAX_GAPS", 100)
    steps = np.where(np.arange(N) % 3 == 0, 1.0, 0.004)
    assert "has more than 100 gaps" in refusal(write(tmp_path, "time,II", *rows(np.cumsum(steps))))


def test_a_count_named_time_is_read_as_milliseconds_with_a_warning_or_by_the_callers_rate(tmp_path: Path) -> None:
    path = write(tmp_path, "time,II", *(f"{i},{a}" for i, (a, _) in enumerate(SAMPLES)))
    lead, _ = opened(path)
    assert lead.rate == 1000
    assert lead.warnings == ("The column 'time' counts by 1: its numbers were read as milliseconds.",)
    lead, _ = opened(path, "II", 360.0)
    assert (lead.rate, lead.warnings) == (360, ())


def test_cells_that_are_no_number_are_missing_and_a_warning_counts_them(tmp_path: Path) -> None:
    lines = rows(np.arange(N) / 250)
    lines[10], lines[20], lines[30] = "0.0400,oops", "0.0800,-", "0.1200"
    lead, samples = opened(write(tmp_path, "time,II", *lines))
    assert np.flatnonzero(np.isnan(samples)).tolist() == [10, 20, 30]
    assert lead.warnings == (
        "1 cell of column 'II' could not be read, the first in row 12 ('oops'); samples are missing there.",
    )


def test_a_column_of_text_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    lines = [f"{line},{'beat' if i % 2 else 'none of it'}" for i, line in enumerate(rows(np.arange(N) / 250))]
    message = refusal(write(tmp_path, "time,II,symbol", *lines), "symbol")
    assert "column 'symbol' holds 'none of it' in row 2" in message


def test_rows_without_a_time_are_left_out_with_a_warning(tmp_path: Path) -> None:
    lines = rows(np.arange(N) / 250)
    lines[10] = "oops,0.5"
    lead, samples = opened(write(tmp_path, "time,II", *lines))
    assert lead.length == N
    assert np.flatnonzero(np.isnan(samples)).tolist() == [10]
    assert "1 row has no time that can be read; it was left out." in lead.warnings


def test_blank_lines_and_comments_between_rows_are_skipped(tmp_path: Path) -> None:
    lines = [part for line in rows(np.arange(N) / 250) for part in (line, "", "# a comment")]
    lead, samples = opened(write(tmp_path, "time,II", *lines))
    assert lead.length == N
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


@pytest.mark.parametrize(("delimiter", "end"), list(itertools.product([",", "\t", ";"], ["\n", "\r\n", "\r"])))
def test_all_ends_of_lines_and_delimiters_at_their_ends_are_read(delimiter: str, end: str, tmp_path: Path) -> None:
    lines = [delimiter.join(["time", "II", "V5", ""])]
    lines += [delimiter.join([f"{i / 250:.3f}", str(a), str(b), ""]) for i, (a, b) in enumerate(SAMPLES)]
    (tmp_path / "mine.csv").write_bytes(end.join([*lines, ""]).encode())
    lead, samples = opened(tmp_path / "mine.csv")
    assert (lead.rate, lead.length) == (250, N)
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


def test_names_are_cleaned_at_the_door(tmp_path: Path) -> None:
    path = write(tmp_path, "time,\x1b[31mII\u202e" + "x" * 100, *rows(np.arange(N) / 250))
    lead, _ = opened(path)
    assert lead.name == "II" + "x" * 78


def test_a_table_with_samples_in_one_row_is_refused(tmp_path: Path) -> None:
    assert "transpose the table" in refusal(write(tmp_path, ",".join(map(str, SAMPLES[:, 0]))), 0, 250.0)


def test_a_text_without_a_table_is_refused(tmp_path: Path) -> None:
    assert "holds no rows of numbers" in refusal(write(tmp_path, "Dear doctor,", "I feel fine.", "Ada"))


def test_gaps_are_where_they_are_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK_ROWS", 100)
    seconds = np.arange(N) / 250
    seconds[100:] += 10
    seconds[555:] += 10
    lines = [
        f"{START + timedelta(seconds=at):%H:%M:%S.%f},{value}" for at, (value, _) in zip(seconds, SAMPLES, strict=True)
    ]
    lead, samples = opened(write(tmp_path, "time,II", *lines))
    assert lead.length == N + 5000
    missing = np.flatnonzero(np.isnan(samples))
    assert missing.tolist() == [*range(100, 2600), *range(3055, 5555)]


def test_times_that_are_read_late_now_and_then_have_no_gaps(tmp_path: Path) -> None:
    late = np.random.default_rng(1).uniform(0, 0.0039, N)
    lead, samples = opened(write(tmp_path, "time,II", *rows(np.arange(N) / 250 + late)))
    assert lead.rate == 250
    assert lead.warnings == ("Its times are uneven; samples were placed at a constant rate.",)
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


def test_samples_that_share_the_time_of_their_packet_are_read_with_the_gaps_between_packets(tmp_path: Path) -> None:
    seconds = np.arange(N) // 10 * 10 / 250
    seconds[500:] += 4
    lead, samples = opened(write(tmp_path, "time,II", *rows(seconds)))
    assert (lead.rate, lead.length) == (250, N + 1000)
    assert np.flatnonzero(np.isnan(samples)).tolist() == list(range(500, 1500))


def test_single_rows_that_are_lost_leave_the_others_at_their_times(tmp_path: Path) -> None:
    lines = rows(np.arange(N) / 250)
    lost = list(range(99, N - 1, 100))
    lead, samples = opened(write(tmp_path, "time,II", *(line for i, line in enumerate(lines) if i not in lost)))
    assert (lead.rate, lead.length) == (250, N)
    assert np.flatnonzero(np.isnan(samples)).tolist() == lost


@pytest.mark.parametrize(
    ("name", "factor"), [("time (min)", 60), ("hours", 3600), ("Zeit [s]", 1), ("t_ms", 1e-3), ("timestamp [ns]", 1e-9)]
)
def test_times_are_read_in_the_unit_that_their_name_states(name: str, factor: float, tmp_path: Path) -> None:
    lines = [f"{i / 250 / factor:.9g},{value:.3f}" for i, (value, _) in enumerate(SAMPLES)]
    lead, samples = opened(write(tmp_path, f"{name},II", *lines))
    assert lead.rate == pytest.approx(250)
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


def test_a_column_without_a_name_is_no_time_if_the_rate_is_another(tmp_path: Path) -> None:
    path = write(tmp_path, *(f"{4 * i},{a}" for i, (a, _) in enumerate(SAMPLES)))
    assert opened(path)[0].rate == 250
    lead, samples = opened(path, rate=360)
    assert (lead.name, lead.rate) == ("1", 360)
    np.testing.assert_allclose(samples, SAMPLES[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("ecg [uV]", "mV", 1e-3),
        ("ecg_mV", "mV", 1),
        ("ECG (V)", "mV", 1e3),
        ("ECG (ADC)", "ADC units", 1),
        ("II", "unknown unit", 1),
    ],
)
def test_voltages_are_read_in_millivolts(name: str, unit: str, factor: float, tmp_path: Path) -> None:
    lead, samples = opened(write(tmp_path, f"time,{name}", *rows(np.arange(N) / 250)))
    assert lead.unit == unit
    np.testing.assert_allclose(samples, SAMPLES[:, 0] * factor, rtol=1e-6)


def test_names_with_units_between_spaces_are_read(tmp_path: Path) -> None:
    lead, _ = opened(write(tmp_path, "Time (s) ECG (mV)", *(row.replace(",", " ") for row in rows(np.arange(N) / 250))))
    assert (lead.name, lead.unit, lead.rate) == ("ECG", "mV", 250)


@pytest.mark.parametrize(
    "line", ["\t" * 400_000, "sampl" + "x" * 400_000, "a" + " " * 400_000, "[" * 400_000, "," * 400_000]
)
def test_a_long_line_takes_no_long_time(line: str, tmp_path: Path) -> None:
    lines = [line, "time,II", *rows(np.arange(N) / 250)]
    assert opened(write(tmp_path, *lines))[0].rate == 250


@settings(max_examples=60)
@given(rate=st.sampled_from([100, 128, 250, 360, 500, 1000, 2000]), digits=st.integers(2, 6), first=st.floats(0, 1e5))
def test_the_usual_step_is_found_whatever_times_are_rounded_to(rate: int, digits: int, first: float) -> None:
    times = np.round(first + np.arange(20_000) / rate, digits)
    step, rounding = typical_step(times - times[0])
    assert 1 / step == pytest.approx(rate, rel=1e-3)
    assert (np.diff(times) <= 1.5 * step + rounding * (1 + 1e-6)).all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_the_encoding_is_found(encoding: str) -> None:
    text = "Zeit;Ableitung II (µV)\n" + "0,001;12,5\n" * 50
    assert text.encode(encoding).decode(encoding_of(text.encode(encoding))) == text


@settings(max_examples=100)
@given(
    dialect=dialects,
    data=st.data(),
)
def test_a_damaged_table_is_read_or_refused(
    dialect: Dialect, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    dialect.write(path, np.arange(300) / 250, SAMPLES[:300], 250)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[position] = data.draw(st.integers(0, 255) | st.sampled_from(list(b"0123456789.,;\t\n\r\"'#:-+eE \0")))
    start = data.draw(st.integers(0, len(content) - 1)) if data.draw(st.booleans()) else 0
    path.write_bytes(content[start:])
    for lead in (None, 1):
        try:
            with open_lead(path, lead) as found:
                assert found.read(0, min(found.length, 1000)).shape == (min(found.length, 1000),)
        except InputError as error:
            message = str(error)
        else:
            message = found.read_as
        assert message.isprintable()
