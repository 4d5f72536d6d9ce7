"""What stays up until it is stopped: the HTTP service and the dashboard."""

import argparse
import os
from pathlib import Path
from typing import Any

from ecg.cli.output import add_models
from ecg.exceptions import needed_for
from ecg.service.schemas import Limits

KEY = "ECG_API_KEY"


def add_to(commands: Any) -> None:
    """Declare `serve` and `dashboard`."""
    serve = commands.add_parser(
        "serve",
        help="start the HTTP service",
        description=start_service.__doc__,
        epilog=f"If the environment has {KEY}, requests must bear it: Authorization: Bearer <key>.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1; 0.0.0.0 for all)")
    serve.add_argument("--port", default=os.environ.get("PORT", "8000"), type=_port, help="default: $PORT, or 8000")
    serve.add_argument(
        "--max-beats", default=Limits.beats, type=_positive, help="in one request (default: %(default)s)"
    )
    serve.add_argument(
        "--max-body", default=Limits.body, type=_positive, help="bytes in one request (default: %(default)s)"
    )
    serve.add_argument("--access-log", action="store_true", help="a line for each request: address, path and status")
    serve.set_defaults(run=start_service)

    dashboard = commands.add_parser("dashboard", help="start the dashboard", description=start_dashboard.__doc__)
    dashboard.add_argument(
        "--beats", default="data/processed/test.npz", type=Path, help="file of test beats (default: %(default)s)"
    )
    dashboard.add_argument("--port", default=8501, type=_port, help="default: %(default)s")
    dashboard.set_defaults(run=start_dashboard)

    for command in (serve, dashboard):
        add_models(command)


def start_service(arguments: argparse.Namespace) -> None:
    """Score heartbeats over HTTP. For research and teaching; not a medical device."""
    with needed_for("the service", "service"):
        from ecg.service.server import serve
    bounds, key = Limits(arguments.max_beats, arguments.max_body), os.environ.get(KEY) or None
    serve(arguments.models, arguments.host, arguments.port, bounds, key, access_log=arguments.access_log)


def start_dashboard(arguments: argparse.Namespace) -> None:
    """Look at beats, thresholds and recordings in a browser. For research and teaching; not a medical device."""
    with needed_for("the dashboard", "dashboard"):
        from ecg.dashboard.start import start
    start(arguments.models, arguments.beats, arguments.port)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text} should be a port, 0 to 65535")
    return int(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} should be 1 at least")
    return number
