"""Metrics of the service, for Prometheus: requests, their durations, beats, alarms, and what each process uses.

Own middleware: FastAPI measures requests by OpenTelemetry, which cannot add up what several processes have measured.
The names are those of OpenTelemetry's semantic conventions.
"""

import os
import re
import time
from collections.abc import Iterator
from functools import partial
from http import HTTPMethod
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The folder in which several processes count; set before prometheus_client is imported.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)  # seconds


class ServiceMetrics:
    """What this process counts, and the text that adds up what all processes of the service have counted."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._beats = Counter("ecg_beats", "Beats scored.", registry=registry)
        self._alarms = Counter("ecg_alarms", "Beats that raised an alarm.", registry=registry)
        self._durations = Histogram(
            "http_server_request_duration_seconds",
            "Duration of requests.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=DURATIONS,
            registry=registry,
        )
        self._active = Gauge(
            "http_server_active_requests",
            "Requests that are being answered.",
            ("http_request_method",),
            multiprocess_mode="livesum",
            registry=registry,
        )
        if SHARED not in os.environ:
            ProcessCollector(registry=registry)
            return
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry)
        self._registry.register(_Processes())
        for process in _processes() - _running():  # killed ones, whose requests are no longer active
            mark_process_dead(process)

    def count(self, anomalous: np.ndarray) -> None:
        """Count the beats of a request, by their verdicts: bool of shape (n,)."""
        self._beats.inc(len(anomalous))
        self._alarms.inc(int(anomalous.sum()))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def measuring(self, app: ASGIApp) -> ASGIApp:
        """The application, with its requests counted and timed."""

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = "500"

            async def send_and_note(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            method = scope["method"] if scope["method"] in HTTPMethod.__members__ else "_OTHER"
            active, start = self._active.labels(method), time.perf_counter()
            active.inc()
            try:
                await app(scope, receive, send_and_note)
            finally:
                active.dec()
                route = getattr(scope.get("route"), "path", "")  # not the path, which may be anything
                self._durations.labels(method, route, status).observe(time.perf_counter() - start)

        return measured


class _Processes(Collector):
    """What each process of the service uses, by its number."""

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for process in sorted(_running()):
            for family in ProcessCollector(pid=partial(int, process), registry=None).collect():
                samples, family.samples = family.samples, []
                together = families.setdefault(family.name, family)
                for sample in samples:
                    together.add_sample(sample.name, {"pid": str(process)}, sample.value)
        yield from families.values()


def _processes() -> set[int]:
    """The processes that have counted."""
    files = Path(os.environ[SHARED]).glob("counter_*.db")
    return {int(found[1]) for file in files if (found := re.fullmatch(r"counter_(\d+)\.db", file.name))}


def _running() -> set[int]:
    """Those that still run, where the system tells."""
    known = Path("/proc/self").exists()
    return {process for process in _processes() if not known or Path(f"/proc/{process}").exists()}
