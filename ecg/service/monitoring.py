"""Metrics of the service, for Prometheus: FastAPI counts and times requests; beats and alarms are added here."""

import numpy as np
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from prometheus_client import CollectorRegistry, Counter, ProcessCollector

DURATIONS = View(
    instrument_name="http.server.request.duration",
    attribute_keys={"http.request.method", "http.route", "http.response.status_code"},
    aggregation=ExplicitBucketHistogramAggregation([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]),
)


class ServiceMetrics:
    """Requests, their durations, beats, alarms, and what the process uses.

    Attributes
    ----------
    registry : all of it, for Prometheus
    meter_provider : takes what FastAPI measures, under the names of OpenTelemetry's semantic conventions
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=self.registry)
        self.meter_provider = MeterProvider([reader], views=[DURATIONS])
        self._beats = Counter("ecg_beats", "Beats scored.", registry=self.registry)
        self._alarms = Counter("ecg_alarms", "Beats that raised an alarm.", registry=self.registry)

    def count(self, anomalous: np.ndarray) -> None:
        """Count the beats of a request, by their verdicts: bool of shape (n,)."""
        self._beats.inc(len(anomalous))
        self._alarms.inc(int(anomalous.sum()))
