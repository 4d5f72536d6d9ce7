"""Start the dashboard as `streamlit run` does."""

import os
from pathlib import Path

from streamlit.web import cli

APP = Path(__file__).with_name("app.py")


def start(folder: Path, beats: Path, port: int) -> None:
    """Serve the page for a model's folder and a file of test beats, to this machine alone, until it is stopped."""
    os.environ |= {"ECG_MODELS": str(folder), "ECG_TEST_BEATS": str(beats)}
    cli.main_run([str(APP), "--server.port", str(port)])
