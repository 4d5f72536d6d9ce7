"""Load a detector and serve it, in one process or several."""

import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from ecg.detector.detector import Detector
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError
from ecg.service.app import make_app
from ecg.service.connections import GuardedConfig
from ecg.service.limits import KEEP_ALIVE_SECONDS, SPARE_FILES, STOPPING_SECONDS, Limits
from ecg.service.monitoring import SHARED

_LOG = logging.getLogger("uvicorn.error")


@dataclass(frozen=True)
class Service:
    """What is served: enough to make the application in each worker.

    folder : of the model
    bounds : limits of a request
    keys : API keys, one of which requests need; none for a service without
    """

    folder: Path
    bounds: Limits
    keys: tuple[str, ...]

    def application(self) -> Any:
        """Load the model and make the application; InputError if the model is missing or damaged."""
        detector = Detector.load(self.folder)
        metrics = dict(Provenance.load(self.folder).metrics) if (self.folder / PROVENANCE).exists() else {}
        return make_app(detector, metrics, self.bounds, self.keys)


def serve(service: Service, host: str, port: int, workers: int, *, access_log: bool) -> None:
    """Serve a detector until the process is stopped.

    Parameters
    ----------
    host, port : to listen at
    workers : processes that answer
    access_log : whether to print a line for each request

    Raises
    ------
    InputError
        if the model is missing or damaged, or if the port is not free.
    """
    app = service.application()  # once here, so that an error is one line
    config = GuardedConfig(
        app if workers == 1 else service.application,
        _connections(service.bounds.connections),
        factory=workers > 1,
        host=host,
        port=port,
        workers=workers,
        access_log=access_log,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOPPING_SECONDS,
    )
    _LOG.info(_about_keys(len(service.keys)))
    try:
        if workers == 1:
            uvicorn.Server(config).run()
        else:
            _serve_by_several(config)
    except SystemExit as end:
        if not isinstance(end.code, int) or end.code >= 128:  # ended by a signal
            raise
        raise InputError(f"the service could not start at {host}, port {port}") from None  # uvicorn logged why


def _about_keys(number: int) -> str:
    if not number:
        return "No API key is set: whoever reaches this address may use the service"
    return "Requests need the API key" if number == 1 else f"Requests need one of {number} API keys"


def _serve_by_several(config: GuardedConfig) -> None:
    with tempfile.TemporaryDirectory(prefix="ecg-metrics-") as shared:
        os.environ[SHARED] = shared
        Multiprocess(config, [config.bind_socket()]).run()


def _connections(most: int) -> int:
    """At most this many connections, and at least so few that other files can be opened."""
    if sys.platform == "win32":
        return most
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(min(most, soft - SPARE_FILES), 1)
