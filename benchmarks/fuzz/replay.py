"""Read cases in a process of its own, which a case may end or keep busy."""

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from benchmarks.fuzz.findings import SECONDS, limit_memory, problem_of
from benchmarks.fuzz.targets import Read, reader

Make = Callable[[str, Path], Read]
_CONTEXT = multiprocessing.get_context("spawn")


class Replay:
    """A process that reads cases one by one, and is started anew where one ends it; a context manager.

    Parameters
    ----------
    make : what reads the cases of a target, by its name, in a folder that it makes
    seconds : that a case may take
    """

    def __init__(self, make: Make = reader, seconds: float = SECONDS) -> None:
        self._make, self._seconds = make, seconds
        self._folder: Any = None
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def problem(self, name: str, case: bytes) -> str | None:
        """What is wrong with how a target reads a case; None if nothing is."""
        if self._process is None:
            self._start()
        self._pipe.send((name, None))
        self._pipe.recv()  # when the target is ready
        self._pipe.send((name, case))
        try:
            if self._pipe.poll(self._seconds):
                problem: str | None = self._pipe.recv()
                return problem
        except (EOFError, ConnectionError):
            self._end()
            return "the end of the process"
        self._end()
        return f"more than {self._seconds:g} s"

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._pipe, theirs = _CONTEXT.Pipe()
        arguments = self._make, Path(self._folder.name), theirs
        self._process = _CONTEXT.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._folder.cleanup()
            self._process = None


def _serve(make: Make, folder: Path, pipe: Any) -> None:
    limit_memory()
    made: dict[str, Read] = {}
    while True:
        try:
            name, case = pipe.recv()
        except EOFError:  # the parent has ended
            return
        if name not in made:
            made[name] = make(name, folder / name)
        pipe.send(None if case is None else problem_of(made[name], case))
