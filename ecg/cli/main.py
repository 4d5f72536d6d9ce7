"""The `ecg` application.

Results go to standard output, everything else to standard error. A file named with --output is written whole or not at
all. Commands import what they need when they run, so that help and completion answer at once.
"""

import signal
import sys
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from ecg.cli import commands, servers
from ecg.exceptions import InputError, exit_on_error, printable

PACKAGE = "ecg-anomaly-detector"

app = typer.Typer(
    help="Detect anomalous heartbeats. For research and teaching; not a medical device.",
    epilog="Exit status: 0 done, 1 an input is wrong, 2 wrong usage, 130 interrupted, 143 terminated.",
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (commands.scan, commands.learn, commands.score, commands.explain, commands.info, *servers.COMMANDS):
    app.command()(command)


def main() -> None:
    """Run the command line; print an error that the user can correct as one message, with exit status 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # exit normally, so that cleanup runs
    with exit_on_error():
        try:
            sys.exit(app(prog_name="ecg", standalone_mode=False))
        except TyperException as wrong:  # usage, in a message that quotes an argument: perhaps the name of a file
            error: Any = wrong
            error.message = printable(error.message)
            error.show()
            sys.exit(error.exit_code)


def _print_version(requested: bool) -> None:
    from importlib import metadata

    if requested:
        try:
            print(PACKAGE, metadata.version(PACKAGE))
        except metadata.PackageNotFoundError:
            raise InputError(f"{PACKAGE} is not installed, so its version is not known: pip install -e .") from None
        raise typer.Exit


@app.callback()
def _prepare(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    # A command whose output is piped to `head` ends silently; a server outlives a client that closes its connection.
    if hasattr(signal, "SIGPIPE") and context.invoked_subcommand not in {
        command.__name__ for command in servers.COMMANDS
    }:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
