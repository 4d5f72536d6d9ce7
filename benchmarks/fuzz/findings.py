"""What a case may not do: the rule that all targets share, and the smallest case of each finding."""

import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks.clones import ROOT
from ecg.exceptions import InputError

SECONDS = 5  # that a case may take
MEMORY = 2**31  # bytes that the process of a target may hold
LONGEST_MESSAGE = 20_000  # characters
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")  # what a terminal obeys or refuses


def problem_of(read: Callable[[bytes], object], case: bytes) -> str | None:
    """What is wrong with how a case ends, in one line that is equal for equal causes; None if nothing is."""
    try:
        read(case)
    except InputError as error:
        if _out_of_memory(error):
            return f"MemoryError {_place(error)}, refused too late"
        message = str(error)
        if len(message) > LONGEST_MESSAGE:
            return f"a message of more than {LONGEST_MESSAGE:,} characters {_place(error)}"
        if _UNSAFE.search(message):
            return f"a message with control characters {_place(error)}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"{type(error).__name__} {_place(error)}"
    return None


def limit_memory() -> None:
    """Limit what this process may allocate to MEMORY, where the operating system can."""
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(
            resource.RLIMIT_DATA, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard)
        )


def _out_of_memory(error: BaseException) -> bool:
    """Whether an error was raised while a MemoryError was handled."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MemoryError):
        cause = cause.__context__
    return cause is not None


def _place(error: BaseException) -> str:
    """Where in this project an error comes from: its innermost line there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(ROOT)]
    own = [frame for frame in frames if ".venv" not in Path(frame.filename).parts]
    if not own:
        return "in no line of this project"
    return f"at {Path(own[-1].filename).relative_to(ROOT)}:{own[-1].lineno} ({own[-1].name})"


def shrunk(case: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """A smaller case that fails, too: parts are left out, half of it at first, a byte at last."""
    size = max(len(case) // 2, 1)
    while size:
        start = 0
        while start < len(case):
            smaller = case[:start] + case[start + size :]
            if fails(smaller):
                case = smaller
            else:
                start += size
        size //= 2
    return case
