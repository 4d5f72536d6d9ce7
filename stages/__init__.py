"""The pipeline's steps, one script each, as dvc.yaml calls them: `python -m stages.<name>`."""

import sys
from collections.abc import Callable
from pathlib import Path

from ecg.exceptions import InputError

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")


def run(main: Callable[[], None]) -> None:
    """Run a stage; what the user can mend becomes a message and exit status 1, not a traceback."""
    try:
        main()
    except (InputError, OSError) as error:  # of the system's errors, a full disk or a read-only folder
        sys.exit(f"error: {error}")
