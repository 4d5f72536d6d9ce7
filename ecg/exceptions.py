"""The errors that are meant for the person, not for the programmer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """Something from outside is wrong; the message says what, where, and what to do about it."""


class BeatError(InputError):
    """One of many beats is wrong.

    reason : what is wrong with it, a phrase that goes on from its name
    beat, sample : its place among the beats, and the place in it, or None if it is the whole beat; both from 0
    """

    def __init__(self, reason: str, beat: int, sample: int | None = None) -> None:
        super().__init__(f"beat {beat} {reason}" if sample is None else f"beat {beat}, sample {sample} {reason}")
        self.reason, self.beat, self.sample = reason, beat, sample

    def after(self, beats: int) -> "BeatError":
        """The same error where as many beats came before."""
        return BeatError(self.reason, self.beat + beats, self.sample)


@contextmanager
def reported() -> Iterator[None]:
    """End the program with a message and exit status 1, not with a traceback, where the person can mend what is wrong.

    Of the system's errors, that is a full disk or a read-only folder, for example.
    """
    try:
        yield
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


@contextmanager
def needed_for(purpose: str, extra: str) -> Iterator[None]:
    """Turn a package that is not installed into an InputError that says what it is for, and which extra brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{purpose} needs {error.name}: pip install 'ecg-anomaly-detector[{extra}]'") from None
