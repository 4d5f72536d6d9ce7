"""Single figures for sentences, each named by its place: `evaluate.auc:.4f` is `auc` of metrics/evaluate.json."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from docs import ROOT
from ecg.exceptions import InputError


def _json(path: str) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return record


def _benchmark() -> Mapping[str, Any]:
    """The mean of each measure over the seeds, by detector."""
    means = pd.read_csv(ROOT / "metrics" / "benchmark.csv").groupby("detector").mean()
    return {str(name): dict(row) for name, row in means.iterrows()}


SOURCES: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "benchmark": _benchmark,
    "details": partial(_json, "metrics/details.json"),
    "evaluate": partial(_json, "metrics/evaluate.json"),
    "intervals": partial(_json, "metrics/intervals.json"),
    "reporting": partial(_json, "hearts/reporting.json"),
}


def figure(name: str) -> str:
    """The figure of a name `source.key.key:format`; InputError if there is none."""
    address, _, form = name.partition(":")
    source, *keys = address.split(".")
    try:
        value: Any = SOURCES[source]()
        for key in keys:
            value = value[int(key)] if isinstance(value, list) else value[key]
        return format(value, form)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"there is no figure {name!r}: {error!r}") from None
