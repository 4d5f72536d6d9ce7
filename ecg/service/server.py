"""Load a detector and serve it."""

from pathlib import Path

import uvicorn

from ecg.detector.detector import Detector
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError
from ecg.service.app import make_app
from ecg.service.limits import Limits

STARTUP_FAILURE = 3  # uvicorn's exit status


def serve(folder: Path, host: str, port: int, bounds: Limits, key: str | None, *, access_log: bool) -> None:
    """Serve the detector in a folder until the process is stopped.

    Parameters
    ----------
    host, port : to listen at
    bounds : limits of a request
    key : API key that requests need; None for a service without one
    access_log : whether to print a line for each request

    Raises
    ------
    InputError
        if the model is missing or damaged, or if the port is not free.
    """
    detector = Detector.load(folder)
    metrics = dict(Provenance.load(folder).metrics) if (folder / PROVENANCE).exists() else {}
    app = make_app(detector, metrics, bounds, key)
    try:
        uvicorn.run(app, host=host, port=port, access_log=access_log, server_header=False, ws="none")
    except SystemExit as end:
        if end.code != STARTUP_FAILURE:
            raise
        raise InputError(f"the service could not start at {host}, port {port}") from None  # uvicorn logged why
