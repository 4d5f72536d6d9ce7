"""Recordings in memory: arrays, data frames, and records of wfdb and MNE."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecg.recordings.reading import open_lead
from tests.recordings.files import RATE, N, opened, refusal, write_wfdb


def test_an_array_is_a_recording(two: np.ndarray) -> None:
    lead, samples = opened(two, 1, RATE)
    assert (lead.name, lead.rate, lead.length, lead.unit) == ("1", RATE, N, "unknown unit")
    assert lead.read_as == "lead 1, column 2 of 2, 360 Hz as given, unknown unit, 20 s"
    np.testing.assert_array_equal(samples, two[:, 1])
    _, samples = opened(two[:, 0], rate=RATE)
    np.testing.assert_array_equal(samples, two[:, 0])
    assert "the array does not state its sampling rate: give it in Hz (rate)" in refusal(two)
    assert "transpose the array" in refusal(two.T, rate=RATE)
    assert "should be numbers" in refusal(np.array(["a"]), rate=RATE)


def test_a_counter_in_an_array_is_passed_over(two: np.ndarray) -> None:
    columns = np.column_stack([np.arange(N), np.zeros(N), two])
    assert opened(columns, rate=RATE)[0].name == "2"
    message = refusal(columns[:, :2], rate=RATE)
    assert "0 only rises in the beginning; 1 is constant in the beginning; name one (lead)" in message


@pytest.mark.parametrize("how", ["column", "index", "datetime", "timedelta", "moments", "text"])
def test_a_data_frame_is_read_as_a_table_is(how: str, two: np.ndarray) -> None:
    seconds = np.arange(N) / RATE
    frame = pd.DataFrame({"resp": two[:, 1], "II [uV]": two[:, 0] * 1000})
    if how == "column":
        frame.insert(0, "time", seconds)
    elif how == "index":
        frame.index = pd.Index(seconds, name="seconds")
    elif how == "datetime":
        frame.index = pd.Timestamp("2024-05-01 23:59:50", tz="Europe/Berlin") + pd.to_timedelta(seconds, unit="s")
    elif how == "timedelta":
        frame.index = pd.to_timedelta(seconds, unit="s")
    elif how == "moments":
        frame["when"] = pd.Timestamp("2024-05-01") + pd.to_timedelta(seconds, unit="s")
    else:
        frame["clock"] = [f"{int(s // 60)}:{s % 60:09.6f}" for s in seconds]
    lead, samples = opened(frame)
    assert (lead.name, lead.rate, lead.length, lead.unit) == ("II", RATE, N, "mV")
    assert "360 Hz from the time column, mV, 20 s" in lead.read_as
    np.testing.assert_allclose(samples, two[:, 0], atol=1e-6)


def test_a_data_frame_without_times_needs_a_rate(two: np.ndarray) -> None:
    assert "the data frame does not state its sampling rate" in refusal(pd.DataFrame(two))
    lead, samples = opened(pd.DataFrame(two), 1, RATE)
    assert lead.name == "1"
    np.testing.assert_allclose(samples, two[:, 1], atol=1e-6)
    assert "the data frame is empty" in refusal(pd.DataFrame())


def test_gaps_in_the_times_of_a_data_frame_are_missing(two: np.ndarray) -> None:
    seconds = np.arange(N) / RATE
    lead, samples = opened(pd.DataFrame({"time": seconds, "II": two[:, 0]}).drop(index=range(1000, 2000)))
    assert lead.length == N
    assert np.flatnonzero(np.isnan(samples)).tolist() == list(range(1000, 2000))


@pytest.mark.parametrize("physical", [True, False])
def test_a_record_of_wfdb_is_a_recording(physical: bool, two: np.ndarray, tmp_path) -> None:
    record = wfdb.rdrecord(str(write_wfdb(tmp_path, "mine", two)), physical=physical)
    lead, samples = opened(record, "v5")
    assert (lead.recording, lead.name, lead.rate, lead.unit) == ("mine", "V5", RATE, "mV")
    np.testing.assert_allclose(samples, two[:, 1], atol=2e-4)
    assert "states a sampling rate of 360 Hz, not 250 Hz" in refusal(record, 0, 250.0)


class Raw:
    """As an MNE Raw, which keeps volts."""

    def __init__(self, samples: np.ndarray, *names: str) -> None:
        self.samples, self.ch_names, self.info, self.n_times = samples.T, list(names), {"sfreq": 360.0}, len(samples)
        self.filenames = ("/data/mine_raw.fif",)

    def get_data(self, picks: list[int], start: int, stop: int) -> np.ndarray:
        return self.samples[picks, start:stop]

    def get_channel_types(self) -> list[str]:
        return ["eeg", "ecg"]


def test_a_raw_of_mne_is_a_recording_in_volts(two: np.ndarray) -> None:
    lead, samples = opened(Raw(two / 1000, "Fp1", "EXG3"))
    assert (lead.recording, lead.name, lead.rate, lead.unit) == ("mine_raw", "EXG3", RATE, "mV")
    np.testing.assert_allclose(samples, two[:, 1])


def test_names_in_memory_are_cleaned(two: np.ndarray) -> None:
    record = SimpleNamespace(
        fs=360, sig_name=["\x1b[31mII\u202e"], units=["mV"], p_signal=two[:, :1], record_name="a\nb"
    )
    with open_lead(record) as lead:
        assert (lead.recording, lead.name) == ("a b", "II")


@pytest.mark.parametrize("other", [None, 3, [1, 2, 3], {"a": 1}, b"mine.csv"])
def test_what_is_no_recording_is_refused(other: object) -> None:
    assert "a recording is a path, a NumPy array" in refusal(other)
