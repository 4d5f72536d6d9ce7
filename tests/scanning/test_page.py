"""The page of a report: what is on it, that it is the same again, and that names in files stay text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from ecg.recordings.signals import SAMPLING_RATE
from ecg.scanning import page as pages
from ecg.scanning.drawing import Drawing, Scale
from ecg.scanning.episodes import TYPES
from ecg.scanning.findings import doubts, finding
from ecg.scanning.page import figures, hourly, listed, page, telling
from ecg.scanning.records import Scan, Strip
from ecg.scanning.scan import scan

RATE = 360
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}</script><script>alert(2)</script>"


class Text(HTMLParser):
    """The text of a page without its styles and scripts, and the names of its elements."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text, self.elements, self._inside = "", list[str](), ""
        self.feed(markup)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.elements.append(tag)
        self._inside = tag

    def handle_endtag(self, _: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("style", "script"):
            self.text += data + " "


@pytest.fixture(scope="module")
def scanned(toy: np.ndarray) -> Scan:
    return scan(toy, rate=RATE)


@pytest.fixture(scope="module")
def markup(scanned: Scan) -> str:
    return page(scanned)


def test_the_page_says_what_was_found_and_what_speaks_against_it(scanned: Scan, markup: str) -> None:
    text = " ".join(Text(markup).text.split())
    for sentence in (finding(scanned), *doubts(scanned), *scanned.warnings, *scanned.made, scanned.recording.read_as):
        assert " ".join(sentence.split()) in text
    assert "Not a medical device" in text
    for name, value, means in figures(scanned):
        assert f"{name} {value} {means}" in text
    assert [name for name, *_ in figures(scanned)] == ["Beats", "Alarms", "Episodes", "Heart rate", "Usable"]


def test_equal_recordings_give_equal_pages(toy: np.ndarray, markup: str) -> None:
    assert page(scan(toy.copy(), rate=RATE)) == markup


def test_the_page_asks_for_nothing_from_any_server(markup: str) -> None:
    assert "default-src 'none'" in markup
    without_scripts = re.sub(r"<script>.*?</script>", "", markup, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?(http|//)""", without_scripts)
    assert not {"link", "img", "iframe", "object"} & set(Text(markup).elements)


def test_names_in_files_stay_text(scanned: Scan, markup: str) -> None:
    info = replace(scanned.recording, name=HOSTILE, lead=HOSTILE, read_as=HOSTILE, unit=HOSTILE)
    hostile = page(replace(scanned, recording=info, warnings=[HOSTILE], judged_by=HOSTILE, made=[HOSTILE]))
    assert "img" not in Text(hostile).elements
    assert Text(hostile).elements.count("script") == Text(markup).elements.count("script")
    assert hostile.count(str(escape(HOSTILE))) >= 5
    assert HOSTILE not in hostile


def test_every_kind_has_its_strip_and_the_letters_their_mean_beat(scanned: Scan, markup: str) -> None:
    section = markup.split("<h2>Kinds of alarm</h2>")[1].split("<h2>")[0]
    assert section.count('class="strip"') == len(scanned.kinds)
    assert section.count('class="shape"') == len(scanned.shapes) > 0
    for row in scanned.kinds.itertuples():
        assert row.why in section


def test_telling_strips_are_of_alarms_of_each_kind_and_apart(scanned: Scan) -> None:
    times = telling(scanned)
    alarms = scanned.alarms.set_index("seconds")["kind"]
    shown = {alarms[at] for at in times}
    assert shown >= set(scanned.kinds["kind"][~scanned.kinds["set_aside"]][:3])
    assert all(abs(a - b) > pages.MARGIN for i, a in enumerate(times) for b in times[:i])
    assert 0 < len(times) <= pages.TELLING_STRIPS


def test_a_page_lists_all_episodes_or_the_most_telling_and_some_of_each_part() -> None:
    n = 3 * pages.LISTED_EPISODES
    types = np.array(TYPES)[np.random.default_rng(0).choice(len(TYPES), n, p=[0.01, 0.02, 0.02, 0.1, 0.8, 0.05])]
    many = pd.DataFrame({"type": types, "alarms": 1, "start": np.arange(n) * 60.0})
    few = many[: pages.LISTED_EPISODES]
    assert listed(few) is few
    chosen = listed(many)
    assert len(chosen) == pages.LISTED_EPISODES
    assert chosen["start"].is_monotonic_increasing
    runs = many["type"].isin(["sustained change", "run", "bigeminy"])
    assert chosen["type"].isin(["sustained change", "run", "bigeminy"]).sum() == runs.sum()
    assert np.diff(chosen["start"]).max() < 20 * 60


def test_the_hours_add_up(toy: np.ndarray) -> None:
    found = scan(np.tile(toy, 15), rate=RATE)
    hours = hourly(found)
    assert hours["from"].tolist() == ["0:00:00", "1:00:00"]
    assert hours["beats"].sum() == len(found.beats)
    assert hours["alarms"].sum() == len(found.alarms)
    assert hours["episodes"].sum() == (found.episodes["type"] != "noise").sum()
    assert (hours["lowest"] <= hours["heart_rate"]).all()
    assert (hours["heart_rate"] <= hours["highest"]).all()


def test_a_page_of_many_intervals_and_kinds_is_drawn(scanned: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Altair takes a DataFrame of 5,000 rows at most: five days have more."""
    monkeypatch.setattr("ecg.scanning.charts.INTERVALS", ((np.inf, 5),))
    times = 100
    copies = [scanned.beats.assign(seconds=scanned.beats["seconds"] + 300.0 * i) for i in range(times)]
    info = replace(scanned.recording, length=scanned.recording.length * times)
    chart = pages._specification(replace(scanned, beats=pd.concat(copies), recording=info))
    assert chart.count('"low": ') > 5000
    assert "NaN" not in chart


def test_a_scan_without_alarms_has_a_page(scanned: Scan) -> None:
    none = replace(
        scanned,
        beats=scanned.beats.assign(anomalous=False, why="", kind="", episode=0),
        episodes=scanned.episodes[:0],
        kinds=scanned.kinds[:0],
        shapes={},
    )
    text = Text(page(none)).text
    assert f"None of {len(scanned.beats)} beats" in text
    assert "Kinds of alarm" not in text


# Drawings.


@given(st.lists(st.integers(-70, 70), min_size=2, max_size=300))
def test_a_path_goes_through_every_sample(tenths: list[int]) -> None:
    samples = np.array(tenths, float) / 100  # mV: a tenth of a millimetre each
    strip = Strip(0.0, samples.astype(np.float32), np.empty(0), np.empty(0))
    drawing = Drawing.of_strip(strip, Scale(10.0, ""))
    start, moves = re.fullmatch(r"M0 (\d+)l?(.*)", drawing.paths[0]).groups()
    steps = np.array(moves.split(), int).reshape(-1, 2)
    x = np.concatenate(([0], np.cumsum(steps[:, 0])))
    y = int(start) + np.concatenate(([0], np.cumsum(steps[:, 1])))
    at = np.arange(len(samples))  # 250 samples a second and 25 mm/s: a tenth of a millimetre each
    drawn = np.interp(at, x, y)
    assert np.abs(np.diff(drawn) + np.diff(tenths)).max() <= 1 + 1e-9
    assert (drawn >= 0).all()
    assert (drawn <= drawing.height).all()


def test_a_strip_of_a_lead_in_millivolts_has_the_scale_of_paper(toy: np.ndarray) -> None:
    in_millivolts = scan(pd.DataFrame({"II [mV]": toy}), rate=RATE)
    assert Scale.of(in_millivolts) == Scale(10.0, "25 mm/s, 10 mm/mV")
    assert Scale.of(scan(toy, rate=RATE)).text == "25 mm/s, amplitude not calibrated"
    drawing = Drawing.of_strip(in_millivolts.strip(100), Scale.of(in_millivolts))
    assert drawing.width == 2500
    assert drawing.height % 100 == 0


def test_a_strip_is_inside_the_recording_and_marks_its_beats(scanned: Scan) -> None:
    for at in (0.0, 150.0, 299.9):
        strip = scanned.strip(at)
        assert len(strip.samples) == 10 * SAMPLING_RATE
        assert 0 <= strip.start <= 290
        inside = scanned.beats[scanned.beats["seconds"].between(strip.start, strip.start + 10, inclusive="left")]
        assert strip.beats.tolist() == inside["seconds"].tolist()
        assert strip.alarms.tolist() == inside["seconds"][inside["anomalous"]].tolist()


def test_an_inverted_lead_is_drawn_as_it_was_recorded(toy: np.ndarray, scanned: Scan) -> None:
    inverted = scan(-toy, rate=RATE)
    assert inverted.recording.inverted != scanned.recording.inverted
    np.testing.assert_allclose(inverted.strip(100).samples, -scanned.strip(100).samples, atol=1e-5)
    for kind in set(inverted.shapes) & set(scanned.shapes):
        assert inverted.shapes[kind].normal @ scanned.shapes[kind].normal < 0
