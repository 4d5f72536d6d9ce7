"""A Dask cluster whose workers and scheduler are killed: a short form of benchmarks.kills."""

import random
from pathlib import Path

from benchmarks.kills import Archive, kill_scheduler
from benchmarks.workload import write_recordings

RECORDINGS, SECONDS, KILLS = 10, 20.0, 1


def test_kills_of_workers_and_of_the_scheduler_change_no_byte_of_what_a_second_run_completes(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings", RECORDINGS, SECONDS)
    archive = Archive.of("recordings", tmp_path / "recordings", RECORDINGS, "scan", "--reports", "1")
    archive.clear()
    what, problem = kill_scheduler(tmp_path / "cluster", random.Random(0), archive, KILLS)  # noqa: S311
    assert problem == ""
    assert "were done before" in what
    assert archive.differences() == ""
