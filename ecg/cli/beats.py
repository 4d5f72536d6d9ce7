"""Beats in tables: score them, explain one."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ecg.cli.output import add_models
from ecg.detector.tables import INPUTS, OUTPUTS, kind_of
from ecg.exceptions import InputError, needed_for

STANDARD = Path("-")  # standard input or output


def add_to(commands: Any) -> None:
    """Declare `score` and `explain`."""
    score = commands.add_parser("score", help="score every beat of a table", description=score_beats.__doc__)
    score.add_argument("table", nargs="?", default=STANDARD, type=Path, help="CSV, TSV, NPY or Parquet; - for stdin")
    score.add_argument(
        "--output", "-o", default=STANDARD, type=Path, help="CSV, JSON lines or Parquet (default: stdout)"
    )
    score.add_argument(
        "--from", dest="kind", choices=[*INPUTS.values()], help="kind of the table, if its name is silent"
    )
    score.add_argument(
        "--to", choices=[*OUTPUTS.values()], help="kind of the output (default: as its name says, or csv)"
    )
    score.add_argument("--alpha", type=float, help="accepted false-alarm rate (default: as calibrated)")
    score.add_argument("--quiet", "-q", action="store_true", help="neither progress nor summary")
    score.set_defaults(run=score_beats)

    explain = commands.add_parser("explain", help="say why a beat has its score", description=explain_beat.__doc__)
    explain.add_argument("table", type=Path, help="CSV, TSV, NPY, Parquet or the pipeline's NPZ")
    explain.add_argument("--beat", type=int, default=0, help="which one, from 0 (default: 0)")
    explain.add_argument("--normal", type=Path, help="a table of normal beats, to find the nearest one among")
    explain.add_argument("--output", "-o", type=Path, help="draw a figure, too: FILE.png")
    explain.set_defaults(run=explain_beat)

    for command in (score, explain):
        add_models(command)


def score_beats(arguments: argparse.Namespace) -> None:
    """Score every beat of a table.

    Its last columns are the samples of a beat; one more may stand in front, a class or a name, which is carried along.
    """
    from ecg.detector.batch import Source, score_table
    from ecg.detector.detector import Detector

    detector = Detector.load(arguments.models)
    if arguments.table == STANDARD:
        source = Source(sys.stdin.buffer, arguments.kind or "csv", "standard input")
    else:
        source = Source.at(arguments.table, arguments.kind)
    to = arguments.to or ("csv" if arguments.output == STANDARD else kind_of(arguments.output, OUTPUTS))
    start = time.perf_counter()
    with _output(arguments.output) as file, _progress(arguments.quiet) as follow:
        tally = score_table(detector, source, file, to, arguments.alpha, follow)
    if not arguments.quiet:
        rate = tally.beats / (time.perf_counter() - start)
        print(f"{tally.beats:,} beats, {tally.alarms:,} anomalous; {rate:,.0f} beats/s", file=sys.stderr)


@contextmanager
def _output(path: Path) -> Iterator[BinaryIO]:
    """Standard output, or a file that is put in its place when all is written; a device or a pipe is written to."""
    from ecg.files import replacing

    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
    else:
        with replacing(path) as file:
            yield file


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; what it gives is told of beats and of the share they are."""
    from tqdm import tqdm

    with tqdm(unit=" beats", unit_scale=True, disable=True if quiet else None, file=sys.stderr) as bar:

        def follow(beats: int, share: float | None) -> None:
            bar.total = round(beats / share) if share else None
            bar.update(beats - bar.n)

        yield follow


def explain_beat(arguments: argparse.Namespace) -> None:
    """Say why a beat has its score: which samples carry it, and, as a figure, what a normal beat would have been."""
    from ecg.detector import tables
    from ecg.detector.detector import Detector

    if arguments.output is not None and arguments.output.suffix != ".png":
        raise InputError(f"{arguments.output}: a figure's name should end in .png")
    detector = Detector.load(arguments.models)
    beats = tables.read(arguments.table, detector.length)
    if not 0 <= arguments.beat < len(beats):
        raise InputError(f"{arguments.table} has the beats 0 to {len(beats) - 1}, not {arguments.beat}")
    (explanation,) = detector.explain(beats[[arguments.beat]], arguments.normal)
    print(explanation)
    if arguments.output is not None:
        with needed_for("drawing", "recordings"):
            from ecg.evaluation.figures import draw_explanation
        title = f"{arguments.table.name}, beat {arguments.beat}"
        draw_explanation(arguments.output, title, explanation, detector.dataset.segments)
