"""The commands that run until they are stopped: the HTTP service and the dashboard."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ecg.cli.commands import MODELS, Models
from ecg.exceptions import needed_for
from ecg.service.keys import read_keys
from ecg.service.limits import Limits


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port to listen on.")] = 8000,
    max_beats: Annotated[int, typer.Option(min=1, help="Most beats in one request.")] = Limits.beats,
    max_body: Annotated[int, typer.Option(min=1, help="Most bytes in the body of one request.")] = Limits.body,
    max_connections: Annotated[int, typer.Option(min=1, help="Most connections at a time.")] = Limits.connections,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log each request: address, path and status.")
    ] = False,
    models: Models = MODELS,
) -> None:
    """Start the HTTP service.

    If the environment variable ECG_API_KEY is set, each request must contain the header "Authorization: Bearer KEY".
    It may hold several keys, with commas between them; or ECG_API_KEY_FILE names a file with a key in each line.

    For research and teaching; not a medical device.
    """
    with needed_for("the service", "service"):
        from ecg.service import server
    service = server.Service(models, Limits(max_beats, max_body, max_connections), read_keys(os.environ))
    server.serve(service, host, port, workers, access_log=access_log)


def dashboard(
    beats: Annotated[Path, typer.Option(help="File of test beats.")] = Path("data/processed/test.npz"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8501,
    models: Models = MODELS,
) -> None:
    """Start the dashboard.

    It shows beats, thresholds and recordings in a browser.

    For research and teaching; not a medical device.
    """
    with needed_for("the dashboard", "dashboard"):
        from ecg.dashboard.start import start
    start(models, beats, port)


COMMANDS = (serve, dashboard)
