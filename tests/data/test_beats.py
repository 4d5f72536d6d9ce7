import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg.data import beats
from ecg.data.beats import Beats
from ecg.data.datasets import dataset_named
from ecg.exceptions import InputError


def as_txt(beats: Beats) -> bytes:
    """The older archive's form: fixed width, scientific, eight digits, the class a float as well."""
    table = np.column_stack([beats.classes, beats.samples])
    return "".join("".join(f"{x:16.7e}" for x in row) + "\n" for row in table).encode()


def test_the_published_files_are_canonical_already(raw: Path) -> None:
    for part, expected in zip(("TRAIN", "TEST"), dataset_named("ECG5000").hashes or (), strict=True):
        text = (raw / f"ECG5000_{part}.tsv").read_bytes()
        assert hashlib.sha256(text).hexdigest() == expected
        assert beats.canonical(beats.parse(text, part)) == text


def test_txt_and_tsv_have_one_canonical_form(train: Beats) -> None:
    assert beats.canonical(beats.parse(as_txt(train), "TXT")) == beats.canonical(train)


def test_line_ends_and_trailing_blank_lines_do_not_matter(train: Beats) -> None:
    text = beats.canonical(train)
    assert beats.canonical(beats.parse(text.replace(b"\n", b"\r\n") + b"\n \n", "TSV")) == text


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 6), st.integers(2, 6)),
        elements=st.floats(-3e38, 3e38),
    ),
    st.integers(1 - 2**31, 2**31 - 2),
)
def test_any_finite_beats_come_back_exactly(samples: np.ndarray, label: int) -> None:
    original = Beats(samples, np.array([label] + [label + 1] * (len(samples) - 1)))
    back = beats.parse(beats.canonical(original), "beats")
    np.testing.assert_array_equal(back.samples, original.samples)
    np.testing.assert_array_equal(back.classes, original.classes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "beats is empty"),
        (b"\n\n", "beats is empty"),
        (b"1 0.5 0.5\n2 0.5\n", "row 2: 1 samples, but row 1 has 2"),
        (b"1 0.5 0.5\n\n2 0.5 0.5\n", "row 2 is blank"),
        (b"1 0.5 0.5\n2 0.5 abc\n", "row 2, column 3: 'abc' is not a finite single-precision number"),
        (b"1 0.5 nan\n2 0.5 0.5\n", "row 1, column 3: 'nan'"),
        (b"1 0.5 0.5\n2 -inf 0.5\n", "row 2, column 2: '-inf'"),
        (b"1 0.5 1e39\n2 0.5 0.5\n", "row 1, column 3: '1e39'"),
        (b"1 0.5 1e999\n2 0.5 0.5\n", "row 1, column 3: '1e999'"),
        (b"1 0.5 1_000\n2 0.5 0.5\n", "row 1, column 3: '1_000'"),
        (b"1.5 0.5 0.5\n2 0.5 0.5\n", "row 1, column 1: the class must be an integer, not 1.5"),
        (b"1e30 0.5 0.5\n2 0.5 0.5\n", "row 1, column 1: the class must be an integer"),
        (b"1 0.5\n2 0.5\n", "at least 2 samples"),
        (b"\xff\xfe1\x00", "byte 1 is not ASCII"),
        (b"1 0.5 \x00\n2 0.5 0.5\n", "row 1, column 3"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_file_and_where(text: bytes, message: str) -> None:
    with pytest.raises(InputError, match="beats") as refusal:
        beats.parse(text, "beats")
    assert message in str(refusal.value)


@example(b"0\t0\t0")
@given(st.one_of(st.binary(max_size=80), st.text("0123456789.eE+-_naif\t \r\n", max_size=80).map(str.encode)))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    try:
        read = beats.parse(text, "beats")
    except InputError:
        return
    assert np.isfinite(read.samples).all()
    assert len(read.samples) == len(read.classes) >= 1
    assert read.samples.shape[1] >= 2


def test_beats_survive_saving_in_single_precision(tmp_path: Path, train: Beats) -> None:
    beats.save(tmp_path / "beats.npz", train)
    back = beats.load(tmp_path / "beats.npz")
    np.testing.assert_array_equal(back.samples, train.samples.astype(np.float32))
    np.testing.assert_array_equal(back.classes, train.classes)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path, train: Beats) -> None:
    for name in ("a.npz", "b.npz"):
        beats.save(tmp_path / name, train)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@given(st.binary(max_size=200))
def test_any_bytes_in_place_of_saved_beats_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("npz") / "beats.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"beats\.npz does not hold (arrays|samples)"):
        beats.load(path)


def test_pickled_objects_in_place_of_beats_are_refused(tmp_path: Path) -> None:
    objects = np.array([{"not": "a beat"}], dtype=object)
    np.savez(tmp_path / "beats.npz", samples=objects, classes=objects)
    with pytest.raises(InputError, match="does not hold arrays"):
        beats.load(tmp_path / "beats.npz")


def test_the_message_for_missing_beats_gives_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing; `dvc repro` makes it"):
        beats.load(tmp_path / "beats.npz")
