"""`ecg`: the detector on the command line.

Exit status: 0 done, 1 something given is wrong (one message on standard error), 2 wrong usage, 130 interrupted,
143 terminated. Verdicts and reports go to standard output, everything else to standard error. A file that is named with
--output is written whole or not at all.
"""

import argparse
import signal
import sys

from ecg.cli import beats, model, recordings, servers
from ecg.exceptions import reported


def main() -> None:
    """Run the command that is asked for; a mistake becomes a message and exit status 1."""
    arguments = parser().parse_args()
    if hasattr(signal, "SIGPIPE"):  # end without a word where a reader like `head` has enough
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of what cleans up
    try:
        with reported():
            arguments.run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    root = argparse.ArgumentParser(
        prog="ecg",
        description="Detect anomalous heartbeats. For research and teaching; not a medical device.",
        epilog="Exit status: 0 done, 1 something given is wrong, 2 wrong usage, 130 interrupted, 143 terminated.",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for module in (beats, recordings, model, servers):
        module.add_to(commands)
    return root
