"""What the service counts, for Prometheus."""

import time

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Counts:
    """Requests, beats, alarms, and what the process uses."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        names = ["method", "route", "status"]
        self.requests = Counter("ecg_requests", "Requests, by what became of them.", names, registry=self.registry)
        self.seconds = Histogram(
            "ecg_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self.under_way = Gauge("ecg_requests_under_way", "Requests that are being answered.", registry=self.registry)
        self.beats = Counter("ecg_beats", "Beats scored.", registry=self.registry)
        self.alarms = Counter("ecg_alarms", "Beats that raised an alarm.", registry=self.registry)

    def scored(self, anomalous: np.ndarray) -> None:
        """Count the beats of a request, by their verdicts: bool of shape (n,)."""
        self.beats.inc(len(anomalous))
        self.alarms.inc(int(anomalous.sum()))


class Meter:
    """Counts and times every request."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app, self.counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self.counts.under_way.track_inprogress():
            try:
                await self.app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", "none")  # an unknown path is no name for a series
                self.counts.seconds.labels(route).observe(time.perf_counter() - start)
                method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
                self.counts.requests.labels(method, route, status).inc()
