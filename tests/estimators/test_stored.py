"""An estimator's content as bytes: what goes in comes out, and nothing of it is code."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ecg.estimators.stored import JSON, packed, unpacked

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda name: name != JSON)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text(), VALUES, max_size=4)
TYPES = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_])
ARRAYS = st.dictionaries(NAMES, arrays(TYPES, array_shapes(min_dims=1, min_side=0, max_side=4)), max_size=3)


@given(RECORDS, ARRAYS)
def test_what_is_packed_is_unpacked(record: dict, given_arrays: dict[str, np.ndarray]) -> None:
    again, again_arrays = unpacked(packed(record, given_arrays))
    assert again == record
    assert again_arrays.keys() == given_arrays.keys()
    for name, array in given_arrays.items():
        assert again_arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(again_arrays[name], array)


@given(RECORDS, ARRAYS)
def test_the_bytes_are_numbers_behind_a_header_and_json(record: dict, given_arrays: dict[str, np.ndarray]) -> None:
    content = packed(record, given_arrays)
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert header.keys() == {JSON, *given_arrays}
    for entry in header.values():
        assert entry.keys() == {"dtype", "shape", "data_offsets"}
        assert entry["dtype"] in {"F32", "F64", "I64", "U8", "BOOL"}
    assert len(content) - start == sum(math.prod(np.diff(entry["data_offsets"])) for entry in header.values())
    first, last = header[JSON]["data_offsets"]
    assert json.loads(content[start + first : start + last]) == record


def test_the_same_content_gives_the_same_bytes() -> None:
    record, array = {"b": 1, "a": [2.5, None]}, np.arange(6.0).reshape(2, 3)
    assert packed(record, {"x": array}) == packed(record, {"x": array.copy()})


def test_an_array_is_stored_as_it_is_read_not_as_it_lies_in_memory() -> None:
    array = np.arange(12.0).reshape(3, 4)
    for view in (array.T, array[::2], array[:, ::-1]):
        np.testing.assert_array_equal(unpacked(packed({}, {"x": view}))[1]["x"], view)


@given(arrays(TYPES, array_shapes(min_dims=0, max_side=4)))
def test_numpys_numbers_and_arrays_in_a_record_become_jsons(array: np.ndarray) -> None:
    (value,) = unpacked(packed({"value": array}, {}))[0].values()
    np.testing.assert_array_equal(np.array(value, array.dtype), array)


@pytest.mark.parametrize(
    "value",
    [
        print,
        object(),
        {1, 2},
        b"bytes",
        1j,
        np.complex64(1j),
        np.random.RandomState(0),
        np.array([print]),
        [{"a": len}],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(
        TypeError, match="cannot be stored with the estimator: parameters should be numbers, text or li"
    ):
        packed({"value": value}, {})
