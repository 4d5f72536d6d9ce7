"""`python -m serve`: start the HTTP service."""

import argparse
import os
import sys
from pathlib import Path

from ecg.detector import Detector
from ecg.exceptions import InputError
from ecg.provenance import PROVENANCE, Provenance
from serve.schemas import Limits

KEY = "ECG_API_KEY"


def main() -> None:
    """Load the detector and serve it; a model that cannot be served becomes one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m serve",
        description="Score heartbeats over HTTP. For research and teaching; not a medical device.",
        epilog=f"If the environment has {KEY}, requests must bear it: Authorization: Bearer <key>.",
    )
    parser.add_argument("--models", default="models", type=Path, help="folder of the model (default: models)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1; 0.0.0.0 for all)"
    )
    parser.add_argument("--port", default=os.environ.get("PORT", "8000"), type=int, help="default: $PORT, or 8000")
    parser.add_argument(
        "--max-beats", default=Limits.beats, type=_positive, help="in one request (default: %(default)s)"
    )
    parser.add_argument(
        "--max-body", default=Limits.body, type=_positive, help="bytes in one request (default: %(default)s)"
    )
    parser.add_argument("--access-log", action="store_true", help="a line for each request: address, path and status")
    arguments = parser.parse_args()
    try:
        detector = Detector.load(arguments.models)
        beside = arguments.models / PROVENANCE
        metrics = dict(Provenance.load(arguments.models).metrics) if beside.exists() else {}
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")

    import uvicorn

    from serve.app import make_app

    uvicorn.run(
        make_app(detector, metrics, Limits(arguments.max_beats, arguments.max_body), os.environ.get(KEY) or None),
        host=arguments.host,
        port=arguments.port,
        access_log=arguments.access_log,
        server_header=False,
        ws="none",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} should be 1 at least")
    return number


if __name__ == "__main__":
    main()
