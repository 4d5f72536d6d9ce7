"""Fuzz one target in this process: `python -m benchmarks.fuzz.worker TARGET FOLDER SECONDS SEED`; the parent runs it.

The folder holds what is found: in `corpus` the cases that cover new code, in `findings` the smallest case of each
problem with its description, in `artifacts` the cases that ended the process, which libFuzzer writes.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ecg", "edfio", "wfdb", "yaml", "zipfile"]):
    from benchmarks.fuzz.findings import MEMORY, SECONDS, limit_memory, problem_of
    from benchmarks.fuzz.targets import TARGETS, reader
    from ecg.files import sha256, write_bytes


def main(name: str, folder: Path, seconds: str, seed: str) -> None:
    """Fuzz until the time is over, or until a case ends the process."""
    corpus, findings, artifacts = (folder / part for part in ("corpus", "findings", "artifacts"))
    for path in (corpus, findings, artifacts):
        path.mkdir(exist_ok=True)
    target = TARGETS[name]
    for case in [*target.seeds(), *(path.read_bytes() for path in target.cases(name))]:
        (corpus / sha256(case)).write_bytes(case)
    read = reader(
        name, Path(tempfile.mkdtemp(dir=folder), "files")
    )  # libFuzzer ends this process: the parent cleans up
    smallest: dict[str, int] = {}

    def run(case: bytes) -> None:
        problem = problem_of(read, case)
        if problem is not None and len(case) < smallest.get(problem, sys.maxsize):
            smallest[problem] = len(case)
            write_bytes(findings / sha256(problem.encode()), problem.encode() + b"\n" + case)

    limit_memory()
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEMORY >> 20}",
        f"-max_len={target.longest}",
        f"-artifact_prefix={artifacts}/",
        "-close_fd_mask=1",  # what libraries print is not read
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
