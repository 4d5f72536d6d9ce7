"""Commands in processes of their own, forked from one that has imported what they need: tests run them many times.

DVC's command line, which a test runs up to twenty times, with the stages that it runs; `ecg scan` and `ecg learn`; and
what reads a Parquet file or a Zarr array, for each example of a property. The clone that tests share is rebuilt by
stages that are started as usual.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from dvc.cli import main
from dvc.stage import run
from dvc.stage.exceptions import StageCmdFailedError

from tests import collect_garbage

IMPORTED = [  # DVC imports these only in the commands that need them
    "dulwich.porcelain",
    "dvc.cli.parser",
    "dvc.repo.experiments.queue.celery",
    "dvc.scm",
    "dvc_render",
    "dvclive",
    "networkx",
    "pygit2",
    "pyparsing",
    "ruamel.yaml",
    # What stages import. How torch is set before that, ecg.training has said when conftest.py imported it.
    "onnxscript",
    "pooch",
    "scipy.stats",
    "sklearn.metrics",
    "torch._dynamo",  # the export to ONNX needs it
    "torch.onnx",
    # What `ecg` imports, but for ONNX Runtime and `ecg` itself.
    "altair",
    "edfio",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pydantic",
    "scipy.interpolate",
    "scipy.ndimage",
    "scipy.signal",
    "typer",
    "vl_convert",
    "wfdb",
    "zarr",
]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, *IMPORTED])


def dvc(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, fork: bool) -> tuple[int, str]:
    """The exit status of `dvc` with these arguments in a folder, and what it and its stages print.

    fork : whether its stages are forked, too, unless they belong to an experiment outside the folder
    """
    with tempfile.NamedTemporaryFile() as output:
        asks, asked = CONTEXT.Pipe()
        process = CONTEXT.Process(
            target=_dvc, args=(arguments, folder, environment, output.name, asks if fork else None)
        )
        with asked, _running(process):
            asks.close()
            while (stage := _received(asked)) is not None:
                with _running(CONTEXT.Process(target=_stage, args=(*stage, output.name))) as started:
                    started.join()
                    asked.send(started.exitcode)
            process.join()
            return process.exitcode, output.read().decode()


@contextmanager
def _running(process: Any) -> Iterator[Any]:
    """A process that is started, and killed if the test ends before it."""
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None


def _dvc(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: str, asks: Connection | None
) -> None:
    _begin(folder, environment, os.devnull, output, output)
    if asks is not None:
        run._run = partial(_run, run._run, asks)
    sys.exit(main(arguments))


def _begin(folder: Path | str, environment: Mapping[str, str], *files: str) -> None:
    """Go into a folder, with these files as standard input, output and error: after what others print to them."""
    collect_garbage()
    for number, path in enumerate(files):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


def _run(otherwise: Callable[..., None], asks: Connection, executable: str, command: str, **options: Any) -> None:
    """Run the command of a stage, as DVC does, in a process that is forked for it.

    The test forks it, and not this process, whose threads may hold a lock that the copy would wait for.
    """
    python, _, module = command.partition(" -m ")
    if python != "python" or not module.startswith("stages."):
        otherwise(executable, command, **options)
        return
    asks.send((module, options["cwd"], dict(options["env"])))
    if status := asks.recv():
        raise StageCmdFailedError(command, status)


def _stage(module: str, folder: str, environment: Mapping[str, str], output: str) -> None:
    _begin(folder, environment, os.devnull, output, output)
    sys.path.insert(0, folder)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def ecg(
    arguments: Sequence[object], folder: Path, environment: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m ecg` in a folder."""
    with (
        tempfile.NamedTemporaryFile() as given,
        tempfile.NamedTemporaryFile() as stdout,
        tempfile.NamedTemporaryFile() as stderr,
    ):
        given.write(stdin)
        given.flush()
        command, files = [*map(str, arguments)], (given.name, stdout.name, stderr.name)
        with _running(CONTEXT.Process(target=_ecg, args=(command, folder, dict(environment), files))) as process:
            process.join()
            return subprocess.CompletedProcess(command, process.exitcode, stdout.read(), stderr.read())


def _ecg(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], files: Sequence[str]) -> None:
    _begin(folder, environment, *files)
    _reopen_streams()
    sys.argv = ["ecg", *arguments]
    runpy.run_module("ecg", run_name="__main__", alter_sys=True)


def _reopen_streams() -> None:
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        setattr(sys, stream, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


class Reader:
    """As much of a `subprocess.Popen` of ecg/detector/{parquet,zarr_chunks}.py as those who start them use."""

    def __init__(self, command: Sequence[str], stdin: Any, stderr: Any, **_stdout: int) -> None:
        read, write = os.pipe()
        _python, _without_cwd, *arguments = command
        with open(os.devnull) as nothing:  # noqa: PTH123
            read_from = nothing if stdin == subprocess.DEVNULL else stdin
            files = [_Passed(descriptor) for descriptor in (read_from.fileno(), write, stderr.fileno())]
            self._process = CONTEXT.Process(target=_read, args=(arguments, files))
            self._process.start()
        os.close(write)
        self.stdout = open(read, "rb")  # noqa: PTH123, SIM115

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()
        self._process.close()


class _Passed:
    """A file descriptor that a forked process gets a copy of."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _Received, (reduction.DupFd(self.descriptor),)


class _Received:
    def __init__(self, passed: Any) -> None:
        self.descriptor = passed.detach()


def _read(arguments: Sequence[str], files: Sequence[Any]) -> None:
    collect_garbage()
    for number, file in enumerate(files):
        os.dup2(file.descriptor, number)
        os.close(file.descriptor)
    _reopen_streams()
    sys.argv = list(arguments)
    runpy.run_path(arguments[0], run_name="__main__")
