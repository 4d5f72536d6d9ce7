"""Recordings as strangers have them: each is scanned at the first try, and finds the same heart."""

from pathlib import Path

import pytest

from benchmarks.deployment import strangers
from ecg.scanning.records import Scan
from ecg.scanning.scan import SHORT, scan

READ_AS = {
    "208": "lead MLII, signal 1 of 1, 360 Hz from the header, mV, 5:00 min",
    "watch.csv": "lead I, column 1 of 1, 512 Hz as stated in the file, mV, 30 s",
    "night.edf": "lead ECG II, signal 2 of 2, 360 Hz from the header, mV, 5:00 min",
    "zipped.zip": "lead MLII, signal 1 of 1, 360 Hz from the header, mV, 5:00 min",
    "clock.csv": "lead EKG, column 2 of 2, 360 Hz from the time column, mV, 5:00 min",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    assert [name for name, *_ in strangers(folder)] == list(READ_AS)
    return folder


@pytest.fixture(scope="module")
def clean(folder: Path) -> Scan:
    return scan(folder / "208")


@pytest.mark.parametrize("name", READ_AS)
def test_each_is_read_as_what_it_is_and_finds_the_same_heart(name: str, folder: Path, clean: Scan) -> None:
    found = scan(folder / name)
    assert found.recording.read_as == READ_AS[name]
    assert found.recording.unit == "mV"
    low, median, high = found.heart_rates
    assert low < median < high
    assert median == pytest.approx(clean.heart_rates[1], rel=0.2)
    assert 0.05 < found.beats["anomalous"].mean() < 0.35
    if name != "watch.csv":
        assert len(found.beats) == pytest.approx(len(clean.beats), abs=2)
        assert len(found.alarms) == pytest.approx(len(clean.alarms), rel=0.1)


def test_a_strip_of_30_seconds_says_what_it_cannot_say(folder: Path, clean: Scan) -> None:
    strip = scan(folder / "watch.csv")
    assert any("A rhythm that is the same throughout, a rare beat" in warning for warning in strip.warnings)
    assert strip.recording.duration < SHORT < clean.recording.duration
    assert not any("cannot be seen in it" in warning for warning in clean.warnings)
