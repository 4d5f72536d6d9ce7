"""`python -m ecg`: the detector on the command line.

Exit status: 0 done, 1 something given is wrong (one message on standard error), 2 wrong usage, 130 interrupted,
143 terminated. Verdicts and reports go to standard output, everything else to standard error. A file that is named with
--output is written whole or not at all.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ecg.exceptions import InputError

MODELS = Path("models")
STANDARD = Path("-")  # standard input or output


def main() -> None:
    """Run the command that is asked for; a mistake becomes a message and exit status 1."""
    arguments = _parser().parse_args()
    if hasattr(signal, "SIGPIPE"):  # end without a word where a reader like `head` has enough
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of what cleans up
    try:
        arguments.run(arguments)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    from ecg.tables import INPUTS, OUTPUTS

    parser = argparse.ArgumentParser(
        prog="python -m ecg",
        description="Detect anomalous heartbeats. For research and teaching; not a medical device.",
        epilog="Exit status: 0 done, 1 something given is wrong, 2 wrong usage, 130 interrupted, 143 terminated.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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

    scan = commands.add_parser("scan", help="find the alarms in a recording", description=scan_recording.__doc__)
    scan.add_argument("recording", help="WFDB record, EDF, CSV or NPY; or physionet:DATABASE/RECORD")
    scan.add_argument("--lead", help="its name, or its number from 0 (default: the model's, or the first)")
    scan.add_argument("--rate", type=float, help="samples a second, for files that do not say")
    scan.add_argument("--alpha", type=float, help="accepted false-alarm rate (default: as calibrated)")
    scan.add_argument("--fixed", action="store_true", help="threshold as calibrated; it does not follow slow change")
    scan.add_argument("--output", "-o", type=Path, help="folder for alarms, timeline and WFDB annotations")
    scan.add_argument("--json", action="store_true", help="print JSON")
    scan.add_argument("--quiet", "-q", action="store_true", help="no progress")
    scan.set_defaults(run=scan_recording)

    info = commands.add_parser("info", help="say what a model is", description=print_info.__doc__)
    info.add_argument("folder", nargs="?", default=MODELS, type=Path, help="of the model (default: models)")
    form = info.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--card", action="store_true", help="print the model card, in Markdown")
    info.set_defaults(run=print_info)

    for command in (score, explain, scan):
        command.add_argument("--models", default=MODELS, type=Path, help="folder of the model (default: models)")
    return parser


def score_beats(arguments: argparse.Namespace) -> None:
    """Score every beat of a table.

    Its last columns are the samples of a beat; one more may stand in front, a class or a name, which is carried along.
    """
    from ecg.detector import Detector
    from ecg.tables import OUTPUTS, kind_of
    from serve.batch import Source, score_table

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
    from ecg import tables
    from ecg.datasets import dataset_of_model
    from ecg.detector import Detector

    if arguments.output is not None and arguments.output.suffix != ".png":
        raise InputError(f"{arguments.output}: a figure's name should end in .png")
    detector = Detector.load(arguments.models)
    beats = tables.read(arguments.table, detector.length)
    if not 0 <= arguments.beat < len(beats):
        raise InputError(f"{arguments.table} has the beats 0 to {len(beats) - 1}, not {arguments.beat}")
    (explanation,) = detector.explain(beats[[arguments.beat]], arguments.normal)
    print(explanation)
    if arguments.output is not None:
        try:
            from ecg.figures import draw_explanation
        except ModuleNotFoundError as error:
            raise InputError(f"drawing needs {error.name}, which requirements.txt brings") from None
        dataset = dataset_of_model(detector.model.facts)
        draw_explanation(
            arguments.output, f"{arguments.table.name}, beat {arguments.beat}", explanation, dataset.segments
        )


def scan_recording(arguments: argparse.Namespace) -> None:
    """Find the alarms in a recording: its beats are cut as the model's were, and scored in their order."""
    from tqdm import tqdm

    from ecg.detector import Detector

    detector = Detector.load(arguments.models)
    try:
        from serve.scan import clock, scan, write
    except ModuleNotFoundError as error:
        raise InputError(f"reading recordings needs {error.name}, which requirements-recordings.txt brings") from None
    form = "{l_bar}{bar}| {elapsed}<{remaining}"
    with tqdm(total=1, bar_format=form, disable=True if arguments.quiet else None, file=sys.stderr) as bar:
        scanned = scan(
            detector,
            arguments.recording,
            arguments.lead,
            arguments.rate,
            arguments.alpha,
            adaptive=not arguments.fixed,
            follow=lambda share: bar.update(share - bar.n),
        )
    facts = scanned.facts()
    if arguments.output is not None:
        for path in write(scanned, arguments.output):
            print(f"wrote {path}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(facts, indent=2, sort_keys=True))
        return
    for warning in scanned.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    names = _flat({name: value for name, value in facts.items() if name != "warnings"})
    width = max(map(len, names))
    for name, value in names.items():
        print(f"{name:<{width}}  {f'{value:.4g}' if isinstance(value, float) else value}")
    if scanned.strips:
        print(f"furthest above the threshold  {', '.join(clock(scanned.seconds[s.beat]) for s in scanned.strips)}")


def print_info(arguments: argparse.Namespace) -> None:
    """Say what a model is: the commit, parameters, data and packages that made it, its metrics and its limits."""
    from ecg.card import INTENDED_USE, card, limits
    from ecg.datasets import dataset_of
    from ecg.provenance import Provenance, installed, recorded_by

    made = Provenance.load(arguments.folder)
    if arguments.card:
        print(card(made), end="")
        return
    cannot = limits(dataset_of(made.params["fetch"]))
    commit = recorded_by(arguments.folder)
    if arguments.json:
        told = {"commit": commit and commit.split()[0], "intended_use": INTENDED_USE, "limits": cannot}
        print(json.dumps(told | made.model_dump(), indent=2, sort_keys=True))
        return
    print(f"commit\n  {commit or 'none: no dvc.lock in a git history here tells of this model'}")
    record = made.model_dump()
    record["packages"] = {name: _beside(version, installed(name)) for name, version in made.packages.items()}
    for title, section in record.items():
        print(title)
        names = _flat(section)
        width = max(map(len, names), default=0)
        for name, value in names.items():
            print(f"  {name:<{width}}  {value}")
    print("\n  ".join(["intended use", INTENDED_USE]))
    print("\n  ".join(["limits", *cannot]))


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _beside(built_with: str, here: str | None) -> str:
    return built_with if built_with == here else f"{built_with} ({f'here {here}' if here else 'not installed here'})"


if __name__ == "__main__":
    main()
