"""Errors whose messages are written for the user, and how programs print them."""

import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_MESSAGE = 10_000  # characters

_ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-_])")


class InputError(Exception):
    """An input is wrong; the message says what is wrong, where, and what to do.

    A message may quote the input: it is made `printable`, line by line, and cut if it is long.
    """

    def __init__(self, message: str) -> None:
        cut = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."
        super().__init__(_printable_lines(cut))


class BeatError(InputError):
    """One of several beats is wrong.

    Parameters
    ----------
    reason : what is wrong; a phrase that continues "beat 3" or "beat 3, sample 7", such as "is nan"
    beat, sample : index of the beat and of the sample in it, from 0; None if the whole beat is wrong
    """

    def __init__(self, reason: str, beat: int, sample: int | None = None) -> None:
        super().__init__(f"beat {beat} {reason}" if sample is None else f"beat {beat}, sample {sample} {reason}")
        self.reason, self.beat, self.sample = reason, beat, sample

    def after(self, beats: int) -> "BeatError":
        """The same error, with the index of the beat increased by the number of beats that came before."""
        return BeatError(self.reason, self.beat + beats, self.sample)


def printable(text: object) -> str:
    r"""A text that may hold names from outside, in one line and without what would steer a terminal.

    That is escape sequences, control characters, and marks that turn the direction of writing.

    Examples
    --------
    >>> printable("\x1b[31mmine\u202e.csv\nis empty")
    'mine.csv is empty'
    """
    visible = _ESCAPE_SEQUENCE.sub("", str(text))
    kept = (c for c in visible if c.isspace() or unicodedata.category(c)[0] != "C")
    return "".join(" " if c.isspace() else c for c in kept)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with status 1 and one message instead of a traceback, if the user can correct the error.

    That is every InputError, and what the operating system refuses: a full disk or a read-only folder, for example.
    """
    try:
        yield
    except (InputError, OSError) as error:
        sys.exit(_printable_lines(f"error: {error}"))  # the system's messages have names of files, too


@contextmanager
def needed_for(purpose: str, extra: str) -> Iterator[None]:
    """Turn a missing package into an InputError that says what needs it and which extra installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{purpose} needs {error.name}: pip install 'ecg-anomaly-detector[{extra}]'") from None
