"""Long work in cells: each result is a file, so that an interrupted run goes on where it stopped."""

import ast
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from ecg.files import read_all_arrays, sha256, write_arrays

PIPELINE = Path("benchmarks/dvc.yaml")
FOLDER = Path("benchmarks/.cells")

Cell = dict[str, Any]  # what to do, as plain values; two equal cells have the same result
Result = dict[str, np.ndarray]


def compute(stage: str, cells: Sequence[Cell], work: Callable[[Cell], Result], workers: int = 1) -> list[Result]:
    """The result of each cell, in their order: from its file, or else computed, by `workers` processes side by side.

    A file is used only if the cell and every dependency of the DVC stage are what they were, comments aside.
    """
    inputs = _inputs(stage)
    paths = [FOLDER / f"{stage}-{sha256(json.dumps([inputs, cell], sort_keys=True).encode())}.npz" for cell in cells]
    missing = {path: cell for path, cell in zip(paths, cells, strict=True) if not path.exists()}
    with tqdm(total=len(cells), initial=len(cells) - len(missing), desc=stage, unit="cell", disable=None) as progress:
        for path, result in zip(missing, _results(work, list(missing.values()), workers), strict=True):
            write_arrays(path, **result)
            progress.update()
    return [read_all_arrays(path) for path in paths]


def _results(work: Callable[[Cell], Result], cells: Sequence[Cell], workers: int) -> Iterator[Result]:
    if workers == 1:
        yield from map(work, cells)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:  # torch does not survive a fork
        try:
            yield from pool.map(work, cells)
        finally:
            pool.shutdown(cancel_futures=True)


def _inputs(stage: str) -> str:
    """A fingerprint of the stage's dependencies."""
    deps = map(Path, yaml.safe_load(PIPELINE.read_text())["stages"][stage]["deps"])
    return sha256(b"".join(_content(path) for dep in deps for path in _files(dep)))


def _files(dep: Path) -> list[Path]:
    """The file, or all files in the folder, as DVC sees them: without those that Python compiled."""
    if not dep.is_dir():
        return [dep]
    return sorted(path for path in dep.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _content(path: Path) -> bytes:
    """A file's content; of Python, what it does, so that another word in a comment does not cost an hour."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree).encode()
