"""Recordings to tables of recordings, alarms and episodes, with an index whose first ones have a report each."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import ceil, isfinite
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote

import pyarrow as pa
from pyarrow import parquet

from ecg.archive import index, places
from ecg.archive.archive import Job, Workers, plan, run
from ecg.archive.inputs import Input, recordings
from ecg.archive.learning import learnt, with_learnt
from ecg.archive.manifest import Done, Settings
from ecg.archive.models import Files, Hearts
from ecg.detector.detector import CALIBRATION
from ecg.detector.model import MODEL
from ecg.hearts.learnt import BEATS, PATIENT, Learnt, is_learnt
from ecg.hearts.model import HeartModel
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import ProcessedLead, join_chunks, process_chunks, process_lead
from ecg.scanning import episodes, records
from ecg.scanning.findings import finding
from ecg.scanning.judges import Judge, judge_by, load_model
from ecg.scanning.kinds import NOISE
from ecg.scanning.records import Scan
from ecg.scanning.report import DIGITS
from ecg.scanning.scan import scan_by

ALARMS, EPISODES, REPORTS = "alarms", "episodes", "reports"  # folders
RECORDINGS, INDEX = "recordings.parquet", "index.html"
STRETCH = 2**25  # bytes of a recording that are worked on at a time, where a long one has several
MOST_STRETCHES = 16
READ_WHOLE = (".csv", ".tsv", ".txt", ".zip")  # endings of what is read from its start for each stretch

_TEXT = ("time", "why", "kind", "type")
_TYPES = dict.fromkeys(_TEXT, pa.string()) | dict.fromkeys(("anomalous", "anomalous_from_start"), pa.bool_())
_TYPES |= dict.fromkeys(("episode", "beats", "alarms"), pa.int64())
# Of the table of recordings; all but the first three are empty where there are no results.
COLUMNS = {
    "recording": ("the name, as in the other tables", pa.string()),
    "source": ("the file or address", pa.string()),
    "reason": ("why it has no results; empty if it has", pa.string()),
    "finding": ("what was found, in a sentence or two", pa.string()),
    "lead": ("that was scanned", pa.string()),
    "samples_per_second": ("the sampling rate", pa.float64()),
    "minutes": ("of the recording", pa.float64()),
    "usable_share": ("of the recording", pa.float64()),
    "beats": ("that were judged", pa.int64()),
    "alarms": ("among them", pa.int64()),
    "alarms_in_noise": ("of these, those that are set aside", pa.int64()),
    "alarms_from_start": ("if nothing followed slow change since the start", pa.int64()),
    "alarm_rate": ("alarms over beats", pa.float64()),
    "episodes": ("without those in noise", pa.int64()),
    "heart_rate": ("per minute, in the median", pa.float64()),
    "lowest_heart_rate": ("over some beats", pa.float64()),
    "highest_heart_rate": ("over some beats", pa.float64()),
    "quality": ("of the signal, in the median", pa.float64()),
    "judged_by": ("the model", pa.string()),
    "read_as": ("how the file was read", pa.string()),
    "warnings": ("reasons to doubt the alarms", pa.string()),
}


@dataclass(frozen=True)
class ScanRecordings(Job):
    """Scan recordings.

    hearts : the files of the model of normal hearts
    model : those of another model, or of what was learnt of the one patient; None for none
    lead, rate, alpha, adaptive, annotations : as `ecg.scan` takes them
    reports : recordings, the worst first, that have a report
    """

    hearts: Hearts
    model: Files | None = None
    lead: int | str | None = None
    rate: float | None = None
    alpha: float | None = None
    adaptive: bool = True
    annotations: str | None = None
    reports: int = 10

    unit: ClassVar[str] = "recordings"
    kept: ClassVar[tuple[str, ...] | None] = (ALARMS, EPISODES, REPORTS, RECORDINGS, INDEX)

    @cached_property
    def judge(self) -> Judge:
        """What judges recordings, loaded once in a process."""
        if self.model is None:
            return judge_by(self._hearts, self.alpha)
        with self.model.folder() as folder:
            return judge_by(load_model(folder), self.alpha)

    @cached_property
    def _hearts(self) -> HeartModel:
        return self.hearts.load()

    def load(self) -> None:
        """Load the models."""
        self.judge  # noqa: B018 - which keeps them

    def settings(self) -> Settings:
        """The models and what decides how recordings are read and judged."""
        options = ("lead", "rate", "alpha", "adaptive", "annotations")
        models = {"hearts": self.hearts.sha256, "model": self.model and self.model.sha256}
        return {"job": "scan"} | models | {name: getattr(self, name) for name in options}

    def results(self, name: str) -> list[str]:
        """The alarms and the episodes: partitions of two tables."""
        return [
            places.within(self.folder, table, f"recording={quote(name, safe='')}", f"{table}.parquet")
            for table in (ALARMS, EPISODES)
        ]

    def stretches(self, one: Input) -> int:
        """How many stretches a long recording has; one if it is not in files here that are read piece by piece."""
        if not one.files or places.is_remote(one.source) or one.source.lower().endswith(READ_WHOLE):
            return 1
        return min(ceil(one.size / STRETCH), MOST_STRETCHES)

    def stretch(self, one: Input, part: int, parts: int) -> Any:
        """The filtered lead of a stretch, with its R peaks."""
        lead = self.judge.lead if self.lead is None else self.lead
        with open_lead(one.source, lead, self.rate, None) as raw:
            return list(process_chunks(raw, self.judge.cutting, part, parts))

    def do(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> dict[str, Any]:
        """Scan a recording, and write its alarms and episodes."""
        scanned = self.scan(one, place, stretches)
        figures = _figures(scanned)
        for result, frame, columns in zip(
            self.results(one.name),
            (scanned.alarms, scanned.episodes),
            (records.COLUMNS, episodes.COLUMNS),
            strict=True,
        ):
            schema = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in columns])
            numbers = {name: frame[name].map(_rounded) for name in columns if schema.field(name).type == pa.float64()}
            with places.writing(result) as file:
                _write(file, pa.Table.from_pandas(frame.assign(**numbers), schema, preserve_index=False))
        places.remove(self.report(one.name))  # of an earlier content or model
        return figures

    def scan(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> Scan:
        """Scan a recording as `ecg.scan` does."""
        judge = self._judge(one)

        def process(lead: Lead) -> AbstractContextManager[ProcessedLead]:
            return join_chunks(chain.from_iterable(stretches)) if stretches else process_lead(lead, judge.cutting)

        return scan_by(
            judge, place, process, self.lead, self.rate, adaptive=self.adaptive, annotations=self.annotations
        )

    def _judge(self, one: Input) -> Judge:
        if not one.model:
            return self.judge
        with places.fetched([places.within(one.model, name) for name in (PATIENT, BEATS)]) as files:
            own = Learnt.load(files[0].parent, self._hearts.calibration.model_sha256)
        return judge_by(own, self.alpha, self._hearts)

    def report(self, name: str) -> str:
        """The place of the report of a recording."""
        return places.within(self.folder, REPORTS, f"{name}.html")

    def finish(self, inputs: Mapping[str, Input], done: Sequence[Done], workers: Workers) -> dict[str, Any]:
        """Write the table of recordings, the reports of the worst ones, and the index."""
        rows = [_row(one) for one in done]
        schema = pa.schema([(name, kind) for name, (_, kind) in COLUMNS.items()])
        with places.writing(places.within(self.folder, RECORDINGS)) as file:
            _write(file, pa.Table.from_pylist(rows, schema))
        worst = sorted((row for row in rows if row["reason"] is None), key=_rank)
        reports = ReportRecordings(**vars(replace(self, folder=places.within(self.folder, REPORTS))))
        run(reports, plan(reports, [inputs[row["recording"]] for row in worst[: self.reports]]), workers)
        written = {file.path for file in places.found(reports.folder)}
        links = {row["recording"] for row in worst if self.report(row["recording"]) in written}
        failed = [row for row in rows if row["reason"] is not None]
        totals = {"recordings": len(worst), "failed": len(failed)}
        totals |= {name: sum(row[name] for row in worst) for name in ("beats", "alarms", "alarms_in_noise", "minutes")}
        page = index.page(worst, failed, totals, links, self.settings())
        places.write(places.within(self.folder, INDEX), page.encode())
        return totals


@dataclass(frozen=True)
class ReportRecordings(ScanRecordings):
    """Write the report of recordings; those of other recordings stay."""

    kept: ClassVar[tuple[str, ...] | None] = None

    def results(self, name: str) -> list[str]:
        """The page."""
        return [places.within(self.folder, f"{name}.html")]

    def do(self, one: Input, place: str, stretches: Sequence[Any] = ()) -> dict[str, Any]:
        """Scan the recording again, and write its page."""
        from ecg.scanning.page import page

        (result,) = self.results(one.name)
        places.write(result, page(self.scan(one, place, stretches)).encode())
        return {}

    def finish(self, inputs: Mapping[str, Input], done: Sequence[Done], workers: Workers) -> dict[str, Any]:
        """How many there are."""
        del inputs, workers
        return {"reports": len(done)}


def _write(file: BinaryIO, table: pa.Table) -> None:
    parquet.write_table(table.replace_schema_metadata(), file)


def _rounded(number: float) -> float:
    """As in a report: the last digits of a float64 depend on the processor."""
    return float(f"{number:.{DIGITS}g}")


def _rank(row: Mapping[str, Any]) -> tuple[float, str]:
    """The worst first: the share of beats that raise an alarm outside noise."""
    return -(row["alarms"] - row["alarms_in_noise"]) / row["beats"], row["recording"]


def _figures(scanned: Scan) -> dict[str, Any]:
    """What the table of recordings tells of a scan."""
    summary = scanned.summary()
    low, high = summary["heart_rate_range"]
    figures = {name: summary[name] for name in COLUMNS if name in summary} | {
        "finding": finding(scanned),
        "episodes": int((scanned.episodes["type"] != NOISE).sum()),
        "lowest_heart_rate": low,
        "highest_heart_rate": high,
        "warnings": "\n".join(scanned.warnings),
    }
    del figures["recording"]
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value for name, value in figures.items()
    }


def _row(done: Done) -> dict[str, Any]:
    """A row of the table of recordings."""
    row = dict.fromkeys(COLUMNS) | done.figures
    return row | {"recording": done.name, "source": done.source, "reason": done.reason}


def archive(
    inputs: Sequence[str], output: str, model: Path | None = None, **options: Any
) -> tuple[ScanRecordings, list[Input]]:
    """What scans the recordings that inputs name, and those recordings.

    Parameters
    ----------
    inputs : files, records, folders, patterns and addresses
    output : a folder, or its address
    model : the folder of a model, of what was learnt of one patient, or of what was learnt of each recording of an
        archive, by the same names; None for the model of normal hearts alone
    options : of ScanRecordings

    Raises
    ------
    InputError
        if the model cannot be used, or no threshold at this alpha is possible; if an input names nothing.
    """
    of_each = None if model is None else learnt(places.absolute(str(model)))
    own = None if model is None or of_each is not None else _files(model)
    job = ScanRecordings(places.absolute(output), Hearts.shipped(), own, **options)
    job.load()  # it tells what is wrong with the model, before all else
    found = recordings(inputs, job.annotations, job.folder)
    return job, found if of_each is None else with_learnt(found, places.absolute(str(model)), of_each)


def _files(model: Path) -> Files:
    load_model(model)  # it tells what is wrong with the folder
    own = (PATIENT, BEATS) if is_learnt(model) else (MODEL, CALIBRATION)
    return Files.of(model, *own)
