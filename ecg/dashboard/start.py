"""Start the dashboard as `streamlit run` does."""

import os
from pathlib import Path

from streamlit.web import cli

APP = Path(__file__).with_name("app.py")


def start(folder: Path, beats: Path, port: int) -> None:
    """Serve the pages until the process is stopped.

    Parameters
    ----------
    folder : of the model
    beats : the file of the test beats, as the pipeline writes it
    port : to listen at, on this machine alone
    """
    os.environ |= {"ECG_MODELS": str(folder), "ECG_TEST_BEATS": str(beats)}
    cli.main_run([str(APP), "--server.port", str(port)])
