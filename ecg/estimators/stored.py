"""An estimator as the content of a safetensors file: JSON and arrays, which hold no code.

Pickle is how scikit-learn's tools move an estimator to other processes. What they get of these estimators is the name
of a function and the bytes that it reads.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load, save

JSON = "json"  # the array that holds the JSON, as bytes


def packed(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """A record and arrays as safetensors; TypeError if a value of the record is none of JSON's."""
    text = json.dumps(record, default=_plain)
    return save(
        {JSON: np.frombuffer(text.encode(), np.uint8), **{n: np.ascontiguousarray(a) for n, a in arrays.items()}}
    )


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `packed` was given."""
    arrays = load(content)
    return json.loads(arrays.pop(JSON).tobytes()), arrays


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be stored with the estimator: parameters should be numbers, text or lists")
