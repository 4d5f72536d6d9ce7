"""Counters of a worker for Prometheus, which Dask's own /metrics shows beside its own, where they are installed."""

from functools import cache
from typing import Any

from ecg.archive.manifest import Done


@cache
def _counters() -> tuple[Any, Any, Any] | None:
    try:
        from prometheus_client import Counter
    except ModuleNotFoundError:
        return None
    return (
        Counter("ecg_inputs", "Recordings or tables of beats that were worked on", ["unit"]),
        Counter("ecg_input_failures", "Those of them that have no results", ["unit"]),
        Counter("ecg_beats", "Beats that were judged", ["unit"]),
    )


def count(unit: str, done: Done) -> None:
    """Count what came of an input."""
    counters = _counters()
    if counters is not None:
        inputs, failures, beats = counters
        inputs.labels(unit).inc()
        failures.labels(unit).inc(done.reason is not None)
        beats.labels(unit).inc(done.figures.get("beats", 0))
