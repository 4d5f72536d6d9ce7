"""Errors whose messages are written for the user, and how programs print them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_MESSAGE = 10_000  # characters


class InputError(Exception):
    """An input is wrong; the message says what is wrong, where, and what to do.

    A message may quote the input: what cannot be printed is escaped, and a long message is cut.
    """

    def __init__(self, message: str) -> None:
        cut = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} ..."
        printed = (c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in cut)
        super().__init__("".join(printed))


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


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with status 1 and one message instead of a traceback, if the user can correct the error.

    That is every InputError, and what the operating system refuses: a full disk or a read-only folder, for example.
    """
    try:
        yield
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


@contextmanager
def needed_for(purpose: str, extra: str) -> Iterator[None]:
    """Turn a missing package into an InputError that says what needs it and which extra installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{purpose} needs {error.name}: pip install 'ecg-anomaly-detector[{extra}]'") from None
