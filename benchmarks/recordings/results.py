"""Results of single recordings, kept in files, so that an interrupted run continues where it stopped."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from benchmarks.protocol.tasks import FOLDER, Result, Task, _content, _files
from ecg.files import read_all_arrays, sha256, write_arrays


def compute(
    name: str, tasks: Sequence[Task], work: Callable[[Task], Result], dependencies: Sequence[str]
) -> list[Result]:
    """The result of each task, in their order, from its file or computed, by one process for each core.

    A file is used only if the task and all dependencies, files and folders, are unchanged, comments and docstrings
    aside.
    """
    content = sha256(b"".join(_content(path) for one in dependencies for path in _files(Path(one))))
    paths = [FOLDER / f"{name}-{sha256(json.dumps([content, task], sort_keys=True).encode())}.npz" for task in tasks]
    missing = {path: task for path, task in zip(paths, tasks, strict=True) if not path.exists()}
    results = Parallel(cpu_count(), return_as="generator")(delayed(work)(task) for task in missing.values())
    with tqdm(total=len(tasks), initial=len(tasks) - len(missing), desc=name, unit="recording", disable=None) as bar:
        for path, result in zip(missing, results, strict=True):
            write_arrays(path, **result)
            bar.update()
    return [read_all_arrays(path) for path in paths]
