"""Which lead is read when none is named, and what a file is, by its content."""

from pathlib import Path

import numpy as np
import pytest

from ecg.exceptions import InputError
from ecg.recordings.reading.choosing import choose_lead, names_ecg, names_other, why_no_lead
from ecg.recordings.reading.lead import cleaned, duration_text
from tests.recordings.files import refusal

WAVES = np.sin(np.arange(2000) / 10)
OF_AN_ECG = (
    "I,II,III,aVR,AVL,avf,V1,V6,MLI,MLII,MLIII,ECG,ekg,ECG I,Lead I,lead ii,ECG1,EKG II-Ref,MCL1,CM5,"
    "ECG1-ECG2,ES,V5 (mV),ecg_mV,mod. V5,V4R,DII,Ableitung II,Electrocardiogram,ML2,MV2"
)
OF_OTHERS = (
    "resp,Respiration,Resp Rate,EEG C3-A2,EOG left,EMG chin,SpO2,PLETH,PPG,BP,ABP,ART,Temp,acc_x,"
    "Accelerometer Y,marker,Annotations,event,Status,HR,RR,battery,sample #,index,counter,time,"
    "Phone timestamp,ECG quality,time [s],sample no.,EDF Annotations,heart rate"
)


@pytest.mark.parametrize(
    "label",
    OF_AN_ECG.split(","),
)
def test_labels_of_an_ecg_are_known(label: str) -> None:
    assert names_ecg(label)
    assert not names_other(label)


@pytest.mark.parametrize(
    "label",
    OF_OTHERS.split(","),
)
def test_labels_of_other_signals_are_known(label: str) -> None:
    assert names_other(label)
    assert not names_ecg(label)


@pytest.mark.parametrize("label", ["", "A", "signal", "channel 1", "X", "EXG3", "raw", "value"])
def test_other_labels_may_be_those_of_a_lead(label: str) -> None:
    assert not names_ecg(label)
    assert not names_other(label)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (WAVES, None),
        (np.arange(2000), "only rises"),
        (-np.arange(2000), "only falls"),
        (np.ones(2000), "is constant"),
        (np.full(2000, np.nan), "has no samples"),
        (np.arange(2000) % 16, "counts"),
        (np.arange(50), None),  # too few to tell
    ],
)
def test_a_counter_and_a_constant_are_no_lead(samples: np.ndarray, reason: str | None) -> None:
    assert why_no_lead(samples) == reason


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["resp", "V5", "II"], 1),
        (["A", "B"], 0),
        (["EEG", "A", "I"], 2),
        (["sample #", "MLII", "V5"], 1),
        ([""], 0),
    ],
)
def test_labels_decide_rather_than_positions(names: list[str], chosen: int) -> None:
    assert choose_lead(None, names, "mine", lambda _: WAVES) == chosen


def test_a_lead_that_is_constant_in_the_beginning_is_passed_over() -> None:
    def beginning(index: int) -> np.ndarray:
        return np.zeros(2000) if index == 0 else WAVES

    assert choose_lead(None, ["I", "II"], "mine", beginning) == 1
    assert choose_lead("I", ["I", "II"], "mine", beginning) == 0
    assert choose_lead(None, ["I"], "mine", beginning) == 0  # there is no other; its beats tell


def test_if_no_column_can_be_a_lead_the_error_lists_why() -> None:
    with pytest.raises(InputError) as refused:
        choose_lead(None, ["resp", "A", "B"], "mine", lambda i: np.arange(2000) if i == 1 else np.zeros(2000))
    assert str(refused.value) == (
        "mine has no lead that can be an ECG: 0 resp is named as something else; 1 A only rises in the beginning; 2 B "
        "is constant in the beginning; name one (lead) to read it all the same"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("MLII", "MLII"),
        ("\x1b[2J\x1b[31mII\x1b[0m", "II"),
        ("a\r\nb\tc", "a b c"),
        ("\u202egpj.exe\u2066", "gpj.exe"),
        ("\x1b]0;title\x07II", "II"),
        ("x" * 200, "x" * 80),
        ("µV ä 心電図", "µV ä 心電図"),
        ("\x00\x07\u200b", ""),
        ("\x9b31mII", "31mII"),
    ],
)
def test_names_are_safe_to_print(text: str, shown: str) -> None:
    assert cleaned(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30, "30 s"),
        (59.4, "59 s"),
        (59.7, "1:00 min"),
        (1805, "30:05 min"),
        (3599.9, "1:00:00 h"),
        (86_400, "24:00:00 h"),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("mine.mat", b"MATLAB 5.0 MAT-file", "export the signal as CSV"),
        ("mine.csv", b"\x89HDF\r\n\x1a\n", "an HDF5 or MATLAB 7.3 file: export the signal as CSV"),
        ("export.xml", b'<?xml version="1.0"?>\n<!DOCTYPE HealthData [', "export the electrocardiogram as CSV"),
        ("mine.xml", b'<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3">', "an HL7 aECG file"),
        ("mine.dcm", b"\0" * 128 + b"DICM", "a DICOM file"),
        ("mine.pdf", b"%PDF-1.7", "export the recording as CSV or EDF"),
        ("mine.png", b"\x89PNG\r\n", "a picture"),
        ("mine.jpg", b"\xff\xd8\xff\xe0", "a picture"),
        ("mine.scp", b"\0" * 16 + b"SCPECG", "an SCP-ECG file"),
        ("mine.parquet", b"PAR1", "write the table as CSV"),
        ("mine.xls", b"\xd0\xcf\x11\xe0", "save the sheet as CSV"),
        ("mine.csv.gz", b"\x1f\x8b\x08", "gunzip"),
        ("mine.json", b'{"ecg": [1, 2]}', "a JSON file"),
        ("mine.pkl", b"\x80\x04", "a pickle"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_remedy(
    name: str, content: bytes, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert remedy in message
    assert name in message
    assert "\n" not in message
