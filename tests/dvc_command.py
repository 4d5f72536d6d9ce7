"""DVC's command line, in a process of its own that has imported DVC already: a test runs it up to twenty times."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvc.cli import main

IMPORTED = [  # DVC imports these only in the commands that need them
    "dulwich.porcelain",
    "dvc.cli.parser",
    "dvc.repo.experiments.queue.celery",
    "dvc.scm",
    "dvc_render",
    "networkx",
    "pygit2",
    "pyparsing",
    "ruamel.yaml",
]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, *IMPORTED])


def dvc(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of `dvc` with these arguments in a folder, and what it and its stages print."""
    with tempfile.NamedTemporaryFile() as output:
        process = CONTEXT.Process(target=_dvc, args=(arguments, folder, environment, output.name))
        process.start()
        process.join()
        return process.exitcode, output.read().decode()


def _dvc(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: str) -> None:
    descriptor = os.open(output, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(main(arguments))
