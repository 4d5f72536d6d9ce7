"""Single figures for sentences, each named by its place: `evaluate.auc:.4f` is `auc` of metrics/evaluate.json."""

import json
from typing import Any

from docs import ROOT
from ecg.exceptions import InputError

SOURCES = {
    "details": "metrics/details.json",
    "evaluate": "metrics/evaluate.json",
    "intervals": "metrics/intervals.json",
    "reporting": "hearts/reporting.json",
}


def figure(name: str) -> str:
    """The figure of a name `source.key.key:format`; InputError if there is none."""
    address, _, form = name.partition(":")
    source, *keys = address.split(".")
    try:
        value: Any = json.loads((ROOT / SOURCES[source]).read_text(encoding="utf-8"))
        for key in keys:
            value = value[int(key)] if isinstance(value, list) else value[key]
        return format(value, form)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"there is no figure {name!r}: {error!r}") from None
