"""Tasks whose results are kept in files, so that an interrupted run continues where it stopped.

Not joblib.Memory, which keeps results as pickles and knows nothing of the dependencies in dvc.yaml.
"""

import ast
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from joblib import Parallel, delayed
from tqdm import tqdm

from ecg.files import read_all_arrays, sha256, write_arrays
from stages import cluster

PIPELINE = Path("benchmarks/dvc.yaml")
FOLDER = Path("benchmarks/.tasks")

Task = dict[str, Any]  # what decides the result, as plain values; equal tasks have the same result
Result = dict[str, np.ndarray]


def compute(
    name: str,
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    workers: int = 1,
    dependencies: Iterable[Path] | None = None,
) -> list[Result]:
    """The result of each task, in their order, from its file or computed, by `workers` processes side by side.

    Tasks that may run side by side do so on a Dask cluster, if there is one (`stages.cluster`). A file is used only if
    the task and every dependency are unchanged, comments and docstrings aside.

    Parameters
    ----------
    name : of the kind of task
    dependencies : files and folders; by default those of the DVC stage `name`
    """
    content = _hash(_dependencies(name) if dependencies is None else dependencies)
    paths = [FOLDER / f"{name}-{sha256(json.dumps([content, task], sort_keys=True).encode())}.npz" for task in tasks]
    missing = {path: task for path, task in zip(paths, tasks, strict=True) if not path.exists()}
    with cluster.joined() if workers > 1 else nullcontext():
        results = Parallel(workers, return_as="generator")(delayed(work)(task) for task in missing.values())
        with tqdm(
            total=len(tasks), initial=len(tasks) - len(missing), desc=name, unit="task", disable=None
        ) as progress:
            for path, result in zip(missing, results, strict=True):
                write_arrays(path, **result)
                progress.update()
    return [read_all_arrays(path) for path in paths]


def _dependencies(stage: str) -> list[Path]:
    return list(map(Path, yaml.safe_load(PIPELINE.read_text())["stages"][stage]["deps"]))


def _hash(dependencies: Iterable[Path]) -> str:
    return sha256(b"".join(_content(path) for dependency in dependencies for path in _files(dependency)))


def _files(dependency: Path) -> list[Path]:
    """The file, or all files in the folder but those that Python compiled, as DVC sees them."""
    if not dependency.is_dir():
        return [dependency]
    return sorted(path for path in dependency.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _content(path: Path) -> bytes:
    """The content of a file; of Python without comments and docstrings, which change no result."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree).encode()
