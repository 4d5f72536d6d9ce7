"""Runs over archives from the command line: what there is to do, progress, and what came of it."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg.exceptions import needed_for, printable

if TYPE_CHECKING:
    from ecg.archive.archive import Job, Outcome, Plan, Workers
    from ecg.archive.inputs import Input
    from ecg.archive.manifest import Done

SHOWN_FAILURES = 10

Scheduler = Annotated[
    str | None, typer.Option(help="Address of a running Dask cluster that does the work.", show_default=False)
]
WorkerCount = Annotated[
    int | None, typer.Option(min=1, help="Processes on this machine that do the work.", show_default="this one")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and how long it would take.")]


@dataclass(frozen=True)
class How:
    """How a run is done: where, and what is printed."""

    scheduler: str | None
    workers: int | None
    dry_run: bool
    quiet: bool
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.workers is not None:
            raise typer.BadParameter("it cannot be combined with --scheduler", param_hint="--workers")

    @property
    def asked_for(self) -> bool:
        """Whether anything is asked for that only a run over an archive has."""
        return self.scheduler is not None or self.workers is not None or self.dry_run


def run_archive(job: "Job", inputs: "Sequence[Input]", how: How) -> None:
    """Run, or tell what would be run; exit status 1 if an input has no results."""
    from ecg.archive.archive import plan, run

    planned = plan(job, inputs)
    if how.dry_run:
        _print_plan(job, planned, how)
        return
    with _team(how, planned) as team, _progress(job, planned, how.quiet) as on_done:
        outcome = run(job, planned, team, on_done)
    _print_outcome(job, outcome, how)
    if outcome.failures:
        raise typer.Exit(1)


@contextmanager
def _team(how: How, planned: "Plan") -> Iterator["Workers | None"]:
    """What does the work: a cluster, processes of this machine, or None for this process."""
    if not planned.tasks or (how.scheduler is None and how.workers is None):
        yield None
        return
    with needed_for("working side by side", "archive"):
        from ecg import cluster
        from ecg.archive.workers import Cluster

    def say(sentence: str) -> None:
        print(printable(f"warning: {sentence}"), file=sys.stderr)

    scheduler, workers = how.scheduler, how.workers or 1
    with cluster.started(workers) if scheduler is None else cluster.connected(scheduler) as client:
        team = Cluster(client, say)
        if not how.quiet:
            print(f"Dask's dashboard: {client.dashboard_link}", file=sys.stderr)
        if not team.threads:
            say(f"the scheduler at {how.scheduler} has no workers yet: the work begins when there is one")
        yield team


@contextmanager
def _progress(job: "Job", planned: "Plan", quiet: bool) -> Iterator[Callable[["Done"], None]]:
    """Show a progress bar if standard error is a terminal: inputs, beats and their rate, failures, the time left."""
    from tqdm import tqdm

    beats, failures, start = 0, 0, time.perf_counter()
    total, hidden = len(planned.tasks), True if quiet else None
    with tqdm(total=total, unit=f" {job.unit}", disable=hidden, file=sys.stderr) as bar:

        def on_done(done: "Done") -> None:
            nonlocal beats, failures
            beats += done.figures.get("beats", 0)
            failures += done.reason is not None
            rate = beats / (time.perf_counter() - start)
            bar.set_postfix_str(f"{beats:,} beats, {rate:,.0f} beats/s, {failures:,} failed", refresh=False)
            bar.update()

        yield on_done


def _print_plan(job: "Job", planned: "Plan", how: How) -> None:
    from ecg.archive.archive import measured
    from ecg.recordings.reading.lead import duration_text

    failed = sum(done.reason is not None for done in planned.done)
    print(
        f"{len(planned.tasks):,} of {len(planned.inputs):,} {job.unit} to do, {planned.size / 1e6:,.0f} MB; "
        f"{len(planned.done) - failed:,} are done, and {failed:,} cannot be read"
    )
    if not planned.tasks:
        return
    one, seconds = measured(job, planned)
    side_by_side = how.workers or 1
    if how.scheduler is not None:
        with _team(how, planned) as team:
            side_by_side = max(getattr(team, "threads", 1), 1)
    share = planned.size / one.size if one.size else len(planned.tasks)
    print(printable(f"{one.source} takes {seconds:.3g} s in this process; all, at the same rate per byte,"))
    print(f"about {duration_text(seconds * share / side_by_side)} with {side_by_side} at a time")


def _print_outcome(job: "Job", outcome: "Outcome", how: How) -> None:
    for done in outcome.failures[:SHOWN_FAILURES]:
        print(printable(f"failed: {done.source}: {done.reason}"), file=sys.stderr)
    if len(outcome.failures) > SHOWN_FAILURES:
        print(f"and {len(outcome.failures) - SHOWN_FAILURES:,} more: see _manifest.json", file=sys.stderr)
    if how.as_json:
        print(json.dumps(outcome.totals, indent=2, sort_keys=True))
        return
    if how.quiet:
        return
    totals = ", ".join(
        f"{value:,.0f} {name.replace('_', ' ')}" for name, value in outcome.totals.items() if name != "failed"
    )
    before = f" ({outcome.before:,} done before)" if outcome.before else ""
    print(printable(f"{totals}; {len(outcome.failures):,} failed{before}; wrote {job.folder}"))


def is_archive(inputs: Sequence[str]) -> bool:
    """Whether inputs are more than one file: several, a folder, a pattern or an address."""
    if len(inputs) != 1:
        return True
    (place,) = inputs
    is_pattern = ("*" in place or "?" in place) and not Path(place).exists()  # brackets are in names of files, too
    return "://" in place or Path(place).is_dir() or is_pattern
