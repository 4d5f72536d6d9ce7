"""The commands that read beats, recordings or a model, and print what they find."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from ecg.cli.archives import DryRun, How, Scheduler, WorkerCount, is_archive, run_archive
from ecg.exceptions import InputError, needed_for, printable

if TYPE_CHECKING:
    from ecg.detector.detector import Detector
    from ecg.scanning.records import Scan

STANDARD = "-"  # standard input or output
MODELS = Path("models")
CHANGES = 5  # the longest ones, that are printed

Models = Annotated[Path, typer.Option(help="Folder of the model.")]
Alpha = Annotated[
    float | None, typer.Option(help="Accepted false-alarm rate among normal beats.", show_default="as calibrated")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def score(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="CSV, TSV, NPY or Parquet file; - for standard input. Several, folders, patterns, Zarr arrays or "
            "s3://, gs:// and az:// addresses, with a folder for the output.",
            show_default="standard input",
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="CSV, JSON lines or Parquet file; - for standard output. A folder for many inputs."
        ),
    ] = STANDARD,
    input_format: Annotated[
        Literal["csv", "tsv", "npy", "parquet"] | None,
        typer.Option("--from", help="Format of the table.", show_default="from the file name; csv for standard input"),
    ] = None,
    output_format: Annotated[
        Literal["csv", "jsonl", "parquet"] | None,
        typer.Option("--to", help="Format of the output.", show_default="from the file name; csv for standard output"),
    ] = None,
    alpha: Alpha = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print neither progress nor a summary.")] = False,
    models: Models = MODELS,
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="What computes: the processor, or an NVIDIA GPU.")
    ] = "cpu",
    scheduler: Scheduler = None,
    workers: WorkerCount = None,
    dry_run: DryRun = False,
) -> None:
    """Score every beat of a table, or of any number of tables.

    The last columns of a table are the samples of a beat. One column may stand before them, a class or a name; it is
    copied to the output. Of many tables, the output is a folder of Parquet files of the same names; a second run does
    what is not done yet.
    """
    how, tables = How(scheduler, workers, dry_run, quiet), inputs or [STANDARD]
    if how.asked_for or is_archive(tables) or _is_folder(output, output_format):
        if input_format or output_format:
            raise typer.BadParameter(
                "many tables have the formats of their names and become Parquet", param_hint="--to"
            )
        if STANDARD in tables or not _is_folder(output, None):
            raise InputError("many tables, or one that workers score, are written to a folder: --output FOLDER")
        with needed_for("scoring archives", "archive"):
            from ecg.archive import beats
        run_archive(*beats.archive(tables, output, models, alpha, device), how)
        return
    from ecg.detector.detector import Detector

    detector = Detector.load(models, device)
    _score_table(detector, tables[0], output, input_format, output_format, alpha, quiet=quiet)


def _is_folder(output: str, output_format: str | None) -> bool:
    path = Path(output)
    return "://" in output or path.is_dir() or not (output == STANDARD or output_format or path.suffix or path.exists())


def _score_table(
    detector: "Detector",
    table: str,
    output: str,
    input_format: str | None,
    output_format: str | None,
    alpha: float | None,
    *,
    quiet: bool,
) -> None:
    from ecg.detector.batch import score_table
    from ecg.detector.tables import OUTPUTS, BeatTable, format_of

    if table == STANDARD:
        beats = BeatTable(sys.stdin.buffer, input_format or "csv", "standard input")
    else:
        beats = BeatTable.open(Path(table), input_format)
    with beats.file:
        to = output_format or ("csv" if output == STANDARD else format_of(Path(output), OUTPUTS))
        start = time.perf_counter()
        with _open_output(output) as file, _beat_progress(quiet) as on_progress:
            tally = score_table(detector, beats, file, to, alpha, on_progress)
    if not quiet:
        rate = tally.beats / (time.perf_counter() - start)
        print(f"{tally.beats:,} beats, {tally.alarms:,} anomalous; {rate:,.0f} beats/s", file=sys.stderr)


@contextmanager
def _open_output(output: str) -> Iterator[BinaryIO]:
    """Open standard output, a device, a pipe, or a file that appears only when it is complete."""
    from ecg.files import replacing

    if output == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        path = Path(output)
        device = path.exists() and not path.is_file()
        with path.open("wb") if device else replacing(path) as file:
            yield file


@contextmanager
def _beat_progress(quiet: bool) -> Iterator[Callable[[int, float | None], None]]:
    """Show a progress bar if standard error is a terminal; update it by the number of beats and their share of all."""
    from tqdm import tqdm

    with tqdm(unit=" beats", unit_scale=True, disable=True if quiet else None, file=sys.stderr) as bar:

        def on_progress(beats: int, share: float | None) -> None:
            bar.total = round(beats / share) if share else None
            bar.update(beats - bar.n)

        yield on_progress


def explain(
    table: Annotated[Path, typer.Argument(help="CSV, TSV, NPY or Parquet file, or NPZ file of the pipeline.")],
    beat: Annotated[int, typer.Option(help="Row of the beat, counted from 0.")] = 0,
    normal: Annotated[
        Path | None, typer.Option(help="Table of normal beats; the figure shows the nearest of them.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="PNG file for a figure.")] = None,
    models: Models = MODELS,
) -> None:
    """Explain the score of one beat.

    Prints the verdict and the samples that contribute most to the score. The figure shows the beat, its reconstruction
    and the contribution of each sample.
    """
    from ecg.detector import tables
    from ecg.detector.detector import Detector

    if output is not None and output.suffix != ".png":
        raise InputError(f"{output}: the name of a figure should end in .png")
    detector = Detector.load(models)
    beats = tables.read(table, detector.length)
    if not 0 <= beat < len(beats):
        raise InputError(f"{table} has the beats 0 to {len(beats) - 1}, not {beat}")
    (explanation,) = detector.explain(beats[[beat]], normal)
    print(explanation)
    if output is not None:
        with needed_for("drawing", "recordings"):
            from ecg.evaluation.figures import draw_explanation
        draw_explanation(output, f"{table.name}, beat {beat}", explanation, detector.dataset.segments)


Recordings = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="WFDB record, EDF, BDF, ISHNE, CSV, NPY or zip file, or physionet:DATABASE/RECORD. Several, folders, "
        "patterns, or s3://, gs:// and az:// addresses, with a folder for the output.",
        show_default=False,
    ),
]
Lead = Annotated[
    str | None,
    typer.Option(help="Name of the lead, or its number from 0.", show_default="the model's, or the first ECG"),
]
SamplingRate = Annotated[
    float | None, typer.Option(help="Sampling rate in Hz, for files that do not contain it.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")]


def scan(
    inputs: Recordings,
    lead: Lead = None,
    rate: SamplingRate = None,
    alpha: Alpha = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Do not follow slow change: compare with the recording's start.")
    ] = False,
    annotations: Annotated[
        str | None,
        typer.Option(
            help="Suffix of WFDB annotations; beats of the first 5 minutes that they call normal are learnt from.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", "-r", help="Folder for the page, tables and annotations; or FILE.html, for the page."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `ecg learn` made, or of a model that was trained on this patient.",
            show_default="the model of normal hearts",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Folder for the tables of any number of recordings.", show_default=False),
    ] = None,
    reports: Annotated[
        int, typer.Option(min=0, help="Recordings of --output that have a report, the worst first.")
    ] = 10,
    scheduler: Scheduler = None,
    workers: WorkerCount = None,
    dry_run: DryRun = False,
) -> None:
    """Find the alarms in a recording, or in any number of recordings.

    The model of normal hearts needs no training on the patient: it compares each beat with the patient's own normal
    beat and rhythm. A model of your own cuts and scores beats as those that it was trained on.

    With --output, there is a table of recordings, of alarms and of episodes, and a page with the worst first; a second
    run does what is not done yet.

    For research and teaching; not a medical device.
    """
    how = How(scheduler, workers, dry_run, quiet, as_json)
    if output is not None:
        if report is not None:
            raise typer.BadParameter("it cannot be combined with --output, which has --reports", param_hint="--report")
        options = {"lead": lead, "rate": rate, "alpha": alpha, "adaptive": not fixed, "annotations": annotations}
        with needed_for("scanning archives", "archive"):
            from ecg.archive import recordings
        run_archive(*recordings.archive(inputs, output, model, reports=reports, **options), how)
        return
    if how.asked_for or is_archive(inputs):
        raise InputError("the results of many recordings, or of workers, need a folder: --output FOLDER")
    (recording,) = inputs
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.report import check_folder, write_page, write_report
        from ecg.scanning.scan import scan as scan_recording
    is_page = report is not None and report.suffix.lower() in (".html", ".htm")
    if report is not None and not is_page:
        check_folder(report)
    with _share_progress(quiet) as on_progress:
        scanned = scan_recording(
            recording,
            model,
            lead,
            rate,
            alpha,
            adaptive=not fixed,
            annotations=annotations,
            on_progress=on_progress,
        )
    if report is not None and is_page:
        write_page(scanned, report)
        print(printable(f"wrote {report}"), file=sys.stderr)
    elif report is not None:
        for path in write_report(scanned, report):
            print(printable(f"wrote {path}"), file=sys.stderr)
    if as_json:
        print(json.dumps(scanned.summary(), indent=2, sort_keys=True))
    else:
        _print_scan(scanned)


@contextmanager
def _share_progress(quiet: bool) -> Iterator[Callable[[float], object]]:
    """Show a progress bar if standard error is a terminal; update it by the share of the work that is done."""
    from tqdm import tqdm

    bar_format = "{l_bar}{bar}| {elapsed}<{remaining}"
    with tqdm(total=1, bar_format=bar_format, disable=True if quiet else None, file=sys.stderr) as bar:
        yield lambda now: bar.update(now - bar.n)


def _print_scan(scanned: "Scan") -> None:
    from ecg.params import flat
    from ecg.scanning.findings import finding

    print(finding(scanned))
    print(f"read as: {scanned.recording.read_as}")
    for warning in scanned.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    longest = sorted(scanned.changes, key=lambda change: change.start - change.stop)[:CHANGES]
    for change in sorted(longest, key=lambda change: change.start):
        print(f"finding: {change}", file=sys.stderr)
    if len(scanned.changes) > CHANGES:
        print(f"finding: {len(scanned.changes) - CHANGES} shorter stretches like these (--json)", file=sys.stderr)
    apart = ("changes", "kinds", "read_as", "warnings")
    summary = flat({name: value for name, value in scanned.summary().items() if name not in apart})
    _print_aligned({name: _written(value) for name, value in summary.items()})
    for kind in scanned.kinds.itertuples():
        print(f"{kind.alarms:>6,} alarms of kind {kind.kind}: {kind.why}")


def _written(value: Any) -> Any:
    """A value of a summary, with few digits."""
    if isinstance(value, list):
        return " to ".join(str(_written(each)) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else value


def learn(
    inputs: Recordings,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to write; `ecg scan --model` reads it.")],
    lead: Lead = None,
    rate: SamplingRate = None,
    start: Annotated[str, typer.Option("--from", help="Start of the part to learn from: seconds or H:MM:SS.")] = "0",
    stop: Annotated[str, typer.Option("--to", help="End of that part.")] = "5:00",
    annotations: Annotated[
        str | None,
        typer.Option(
            help="Suffix of WFDB annotations, which say what is normal.", show_default="beats that look normal"
        ),
    ] = None,
    quiet: Quiet = False,
    scheduler: Scheduler = None,
    workers: WorkerCount = None,
    dry_run: DryRun = False,
) -> None:
    """Learn a patient's normal beats from a part of a recording; of many recordings, those of each patient.

    The model of normal hearts stays as it is; `ecg scan --model FOLDER` compares this patient's beats with the learnt
    ones, too. It takes seconds, and needs no torch.
    """
    first, last = _seconds(start, "--from"), _seconds(stop, "--to")
    how = How(scheduler, workers, dry_run, quiet)
    if how.asked_for or is_archive(inputs):
        with needed_for("learning from archives", "archive"):
            from ecg.archive import learning
        options = {"lead": lead, "rate": rate, "start": first, "stop": last, "annotations": annotations}
        run_archive(*learning.archive(inputs, out, **options), how)
        return
    (recording,) = inputs
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.learning import learn as learn_patient
    with _share_progress(quiet) as on_progress:
        learnt = learn_patient(
            recording, lead, rate, start=first, stop=last, annotations=annotations, on_progress=on_progress
        )
    learnt.save(Path(out))
    print(f"learnt {learnt.source}")
    print(printable(f"wrote {out}; ecg scan RECORDING --model {out}"), file=sys.stderr)


def _seconds(text: str, option: str) -> float:
    from ecg.scanning.display import parse_time

    try:
        return parse_time(text)
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def info(
    folder: Annotated[Path, typer.Argument(help="Folder of the model.")] = MODELS,
    as_json: Json = False,
    card: Annotated[bool, typer.Option("--card", help="Print the model card, in Markdown.")] = False,
) -> None:
    """Describe a model.

    Prints the commit, parameters, data and packages that made it, its metrics, its intended use and its limits.
    """
    from ecg.data.datasets import dataset_of
    from ecg.evaluation import card as cards
    from ecg.evaluation.provenance import Provenance, installed, recorded_by
    from ecg.params import flat

    if as_json and card:
        raise typer.BadParameter("it cannot be combined with --json", param_hint="--card")
    provenance = Provenance.load(folder)
    if card:
        print("\n".join(map(printable, cards.card(provenance).splitlines())))
        return
    limits = cards.limits(dataset_of(provenance.params["fetch"]))
    commit, record = recorded_by(folder), provenance.model_dump()
    if as_json:
        description = {"commit": commit and commit.split()[0], "intended_use": cards.INTENDED_USE, "limits": limits}
        print(json.dumps(description | record, indent=2, sort_keys=True))
        return
    print(f"commit\n  {commit or 'none: no dvc.lock in a git history here names this model'}")
    record["packages"] = {
        name: _version_note(version, installed(name)) for name, version in provenance.packages.items()
    }
    for title, section in record.items():
        print(title)
        _print_aligned(flat(section), "  ")
    print("\n  ".join(["intended use", cards.INTENDED_USE]))
    print("\n  ".join(["limits", *limits]))


def _version_note(built_with: str, here: str | None) -> str:
    return built_with if built_with == here else f"{built_with} ({f'here {here}' if here else 'not installed here'})"


def _print_aligned(section: dict[str, Any], indent: str = "") -> None:
    """Print names and values in two columns."""
    width = max(map(len, section), default=0)
    for name, value in section.items():
        print(indent + printable(f"{name:<{width}}  {value}"))
