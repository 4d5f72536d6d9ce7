"""Recordings with annotated beats, one patient each: `python -m benchmarks.recordings [--records FOLDER]`.

Six records of the MIT-BIH Arrhythmia Database (Moody & Mark 2001), from a folder or from PhysioNet. Four tables:

detection      R peak detectors: sensitivity and positive predictive value within 150 ms, and seconds
segmentation   how to cut beats, chosen on the first minutes alone: AUC of the abnormal beats there against held-out
               normal ones
settings       the same for the settings of params.yaml that are specific to recordings, one changed at a time
detectors      the default and nearest neighbour on the rest of each record: AUC and average precision, also of nearest
               neighbour on beats from R peak to R peak, and of the default without annotations; alarms an hour,
               false-alarm rate, and recall of annotated V and S beats, where undetected beats count as missed
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import neurokit2 as nk
import numpy as np
import pandas as pd
import typer
from sleepecg.heartbeats import detect_heartbeats
from tqdm import tqdm
from wfdb.processing import XQRS

from benchmarks.protocol.configuration import Classical, replaced
from benchmarks.protocol.detectors import Fitted, fit_architecture, fit_classical
from benchmarks.protocol.fits import auc_and_precision
from benchmarks.protocol.tables import print_table, spread
from ecg import params
from ecg.data import aami
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.stream import Stream
from ecg.params import Cutting, Params
from ecg.recordings import classes
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats, running_median
from ecg.recordings.patient import typical
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import process_lead

RECORDS = ("100", "106", "119", "200", "213", "233")
PHYSIONET = "physionet:mitdb/"
SEEDS = 3
ALPHAS = (0.01, 0.05)
WINDOWS = ([0.4, 0.3], [0.4, 0.5], [0.6, 0.4], [0.8, 0.4], [0.8, 0.5], [0.8, 0.6], [1.2, 0.5])  # in median RR
SETTINGS: tuple[dict[str, Any], ...] = (
    {},  # unchanged
    {"preprocess.scaling": "standard"},
    {"preprocess.scaling": "filter"},
    {"train.warp": 0.02},
    {"train.wander": 0.1},
    {"train.epochs": 200},
    {"models.dense.latent": 2},
    {"models.dense.latent": 4},
    {"models.dense.latent": 8},
    {"models.dense.latent": 12},
    {"models.dense.latent": 32},
)
WEIGHTS = (0.05, 0.1, 0.2, 0.5)  # of a beat's earliness, where timing is added to the score
NEAREST = Classical(kind="knn", scaling="none", size=1)
S, V = 2, 3  # classes of the AAMI
ALARMS = ("alarms/h", "false", "V", "S")  # alarms an hour, false-alarm rate, recall of V beats and of S beats

Detect = Callable[[np.ndarray, float], np.ndarray]  # samples and sampling rate -> R peaks, as indices of samples
Paths = Mapping[str, str]  # of the records, by their names


class Table(StrEnum):
    """The tables that can be printed."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    SETTINGS = "settings"
    DETECTORS = "detectors"


@dataclass(frozen=True)
class Record:
    """The beats of one record.

    cut, labels : the detected beats, and the annotated class of each, 0 without annotation
    first : bool ndarray of shape (n,), the beats of the first minutes
    earliness : float ndarray of shape (n,), logarithm of the running median RR interval over the beat's own, 0 if late
    undetected : number of annotated S and V beats after the first minutes that are not among the detected ones
    """

    cut: CutBeats
    labels: np.ndarray
    first: np.ndarray
    earliness: np.ndarray
    undetected: dict[int, int]

    @property
    def normal(self) -> np.ndarray:
        """The normal beats of the first minutes."""
        return self.cut.samples[self.first & (self.labels == aami.NORMAL)]


def main(
    tables: Annotated[list[Table], typer.Argument(help="Tables to print.")] = list(Table),  # noqa: B006
    records: Annotated[Path | None, typer.Option(help="Folder of the records.", show_default="PhysioNet")] = None,
) -> None:
    """Measure R peak detection, segmentation, settings and detectors on annotated recordings."""
    paths = {name: str(records / name) if records else PHYSIONET + name for name in RECORDS}
    print_functions: dict[Table, Callable[[Paths], None]] = {
        Table.DETECTION: detection,
        Table.SEGMENTATION: segmentation,
        Table.SETTINGS: changed_settings,
        Table.DETECTORS: detectors,
    }
    for table in tables:
        print_functions[table](paths)
        print()


def settings() -> Params:
    """The parameters of params.yaml for a recording."""
    record = params.read(params.PARAMS)
    record["fetch"]["source"] = "recording"
    return params.parse(record, str(params.PARAMS))


def detection(paths: Paths) -> None:
    """Print sensitivity and positive predictive value of R peak detectors."""
    cutting = settings().fetch.recording.beats
    detectors: dict[str, Detect | None] = {
        "this project: NeuroKit, filtered signal": None,
        "NeuroKit, default settings": lambda x, rate: nk.ecg_peaks(nk.ecg_clean(x, rate), rate)[1]["ECG_R_Peaks"],
        "sleepecg": lambda x, rate: detect_heartbeats(x, rate),
        "XQRS of wfdb": _xqrs,
    }
    rows = []
    for name, detect in tqdm(detectors.items(), disable=None):
        rates, duration = [], 0.0
        for path in paths.values():
            with open_lead(path) as lead:
                samples, annotations = lead.read(0, lead.length), lead.annotations
                start = time.perf_counter()
                if detect is None:
                    with process_lead(lead, cutting) as processed:
                        seconds = processed.r_peak_seconds
                else:
                    seconds = np.asarray(detect(samples, lead.rate)) / lead.rate
                duration += time.perf_counter() - start
            assert annotations is not None
            annotated, _ = classes.annotated_beats(annotations)
            hits = int((classes.match_beats(annotated, seconds) >= 0).sum())
            rates.append((hits / len(annotated), hits / len(seconds)))
        rates.append(np.mean(rates, axis=0))
        cells = (f"{sensitivity:.4f} / {predictive:.4f}" for sensitivity, predictive in rates)
        rows.append([name, *cells, f"{duration:.2f}"])
    print_table(pd.DataFrame(rows, columns=["detector", *paths, "mean", "seconds"]))


def _xqrs(samples: np.ndarray, rate: float) -> np.ndarray:
    detector = XQRS(samples, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds)


def segmentation(paths: Paths) -> None:
    """Print the development AUC by how beats are cut."""
    default = settings()
    cutting = default.fetch.recording.beats
    candidates = [cutting.model_copy(update={"segmentation": kind}) for kind in ("rr", "window")]
    candidates += [cutting.model_copy(update={"segmentation": "rhythm", "rhythm": window}) for window in WINDOWS]
    rows = []
    for candidate in tqdm(candidates, disable=None):
        records = [read(path, default, candidate) for path in paths.values()]
        nearest = [development_auc(record, fit_nearest(default, record.normal)) for record in records]
        fitted = [fit_default(default, record.normal, seed=0) for record in records]
        for weight in (0.0, *WEIGHTS) if candidate.segmentation != "rhythm" else (0.0,):
            aucs = [development_auc(record, fit, weight) for record, fit in zip(records, fitted, strict=True)]
            title = _title(candidate) + (f", and {weight:g} x how early" if weight else "")
            rows.append([title, *_decimals(*aucs, np.mean(aucs)), "" if weight else f"{np.mean(nearest):.4f}"])
    print_table(pd.DataFrame(rows, columns=["beats", *paths, "mean", "nearest neighbour, mean"]))


def changed_settings(paths: Paths) -> None:
    """Print the development AUC, mean and standard deviation over SEEDS, with one setting changed at a time."""
    default = settings()
    records = [read(path, default, default.fetch.recording.beats) for path in paths.values()]
    rows = []
    for change in tqdm(SETTINGS, disable=None):
        changed = replaced(default, change)
        aucs = np.array(
            [
                [development_auc(record, fit_default(changed, record.normal, seed)) for record in records]
                for seed in range(SEEDS)
            ]
        )
        title = " ".join(f"{name}={value}" for name, value in change.items()) or "default"
        rows.append([title, *_decimals(*aucs.mean(axis=0)), spread(pd.Series(aucs.mean(axis=1)))])
    print_table(pd.DataFrame(rows, columns=["setting", *paths, "mean"]))


def detectors(paths: Paths) -> None:
    """Print how well the default and nearest neighbour do on the rest of each record."""
    default = settings()
    cutting = default.fetch.recording.beats
    by_rr = cutting.model_copy(update={"segmentation": "rr"})
    names = ("default", "nearest neighbour", "nearest neighbour, R to R", "default, no annotations")
    figures, fits = {}, {}
    for name, path in tqdm(paths.items(), disable=None):
        record, record_by_rr = read(path, default, cutting), read(path, default, by_rr)
        defaults = [fit_default(default, record.normal, seed) for seed in range(SEEDS)]
        nearest = fit_nearest(default, record.normal)
        first = record.cut.samples[record.first]
        figures[name] = [
            *np.mean([rest_figures(record, fit) for fit in defaults], axis=0),
            *rest_figures(record, nearest),
            *rest_figures(record_by_rr, fit_nearest(default, record_by_rr.normal)),
            *rest_figures(record, fit_default(default, first[typical(first)], seed=0)),
        ]
        fits[name] = record, (defaults[0], nearest)
    columns = [f"{name}: {figure}" for name in names for figure in ("AUC", "AP")]
    table = pd.DataFrame.from_dict(figures, "index", columns=columns)
    table.loc["mean"] = table.mean()
    print_table(table.map("{:.4f}".format).rename_axis("record").reset_index())
    for adaptive in (True, False):
        print(f"\nthe default / nearest neighbour; threshold {'adaptive' if adaptive else 'as calibrated'}")
        rows = []
        for name, (record, pair) in fits.items():
            cells = [name]
            for alpha in ALPHAS:
                by_detector = [alarm_figures(default, record, fit, alpha, adaptive) for fit in pair]
                cells += [" / ".join(values) for values in zip(*by_detector, strict=True)]
            rows.append(cells)
        print_table(
            pd.DataFrame(rows, columns=["record", *(f"{alpha:g}: {name}" for alpha in ALPHAS for name in ALARMS)])
        )


def read(path: str, default: Params, cutting: Cutting) -> Record:
    """The beats of a record, cut in one way."""
    with open_lead(path) as lead, process_lead(lead, cutting) as processed:
        windows = BeatWindows.find(processed, cutting)
        cut = CutBeats.joined(list(cut_beats(processed, windows, cutting)))
        assert lead.annotations is not None
        labels = classes.beat_classes(lead.annotations, processed.r_peak_seconds)[windows.r_peaks]
        annotated, annotated_labels = classes.annotated_beats(lead.annotations)
        detected = np.isin(classes.match_beats(annotated, processed.r_peak_seconds), windows.r_peaks)
        until = 60 * default.fetch.recording.minutes
        undetected = ~detected & (annotated >= until)
        missing = {label: int((undetected & (annotated_labels == label)).sum()) for label in (S, V)}
    usual = running_median(cut.rr_before[1:], len(cut.rr_before))
    earliness = np.maximum(0, np.log(usual / np.where(np.isnan(cut.rr_before), usual, cut.rr_before)))
    return Record(cut, labels, cut.seconds < until, earliness, missing)


def fit_default(default: Params, normal: np.ndarray, seed: int) -> Fitted:
    train = default.train.model_copy(update={"seed": seed})
    return fit_architecture(train, default.preprocess, default.models, normal)


def fit_nearest(default: Params, normal: np.ndarray) -> Fitted:
    """Nearest neighbour by its squared distance, which has the unit of this project's scores."""
    fitted = fit_classical(NEAREST, default.preprocess, default.train.folds, 0, normal)
    squared = np.square(fitted.errors.calibrating)
    return Fitted(
        TrainingErrors(fitted.errors.fold, squared, squared),
        lambda beats: np.square(fitted.member_scores(beats)),
        lambda beats: np.square(fitted.score(beats)),
        fitted.seconds,
    )


def development_auc(record: Record, fitted: Fitted, weight: float = 0) -> float:
    """AUC of the abnormal beats of the first minutes against the held-out normal ones there.

    weight : of a beat's earliness, which is added to the square root of its score
    """
    normal = record.first & (record.labels == aami.NORMAL)
    abnormal = record.first & (record.labels > aami.NORMAL)
    abnormal_scores = fitted.member_scores(record.cut.samples[abnormal]).mean(axis=1)
    return auc_and_precision(
        np.sqrt(fitted.errors.calibrating) + weight * record.earliness[normal],
        np.sqrt(abnormal_scores) + weight * record.earliness[abnormal],
    )[0]


def rest_figures(record: Record, fitted: Fitted) -> tuple[float, float]:
    """AUC and average precision on the annotated beats after the first minutes."""
    score, labels = fitted.score(record.cut.samples[~record.first]), record.labels[~record.first]
    return auc_and_precision(score[labels == aami.NORMAL], score[labels > aami.NORMAL])


def alarm_figures(default: Params, record: Record, fitted: Fitted, alpha: float, adaptive: bool) -> list[str]:
    """ALARMS of one record after the first minutes."""
    samples, labels = record.cut.samples[~record.first], record.labels[~record.first]
    calibration = thresholds.calibrate(fitted.errors, default.calibrate.model_copy(update={"alpha": alpha}), "")
    score = fitted.score(samples)
    if adaptive:
        detector: Any = SimpleNamespace(calibration=calibration)  # a stream needs no more of a detector
        alarms, _ = Stream.start(detector, alpha).update(score)
    else:
        alarms = calibration.anomalous(score, calibration.p(score, fitted.member_scores(samples)))
    seconds = record.cut.seconds[~record.first]
    hourly = alarms.sum() / (seconds[-1] - seconds[0]) * 3600
    recalls = [_recall(alarms[labels == label], record.undetected[label]) for label in (V, S)]
    return [f"{hourly:.0f}", f"{alarms[labels == aami.NORMAL].mean():.3f}", *recalls]


def _recall(alarms: np.ndarray, undetected: int) -> str:
    beats = len(alarms) + undetected
    return f"{alarms.sum() / beats:.3f}" if beats else "-"


def _title(cutting: Cutting) -> str:
    if cutting.segmentation == "rr":
        return "R peak to R peak"
    before, after = cutting.window if cutting.segmentation == "window" else cutting.rhythm
    return f"-{before:g} to {after:g} {'s' if cutting.segmentation == 'window' else 'median RR'}"


def _decimals(*values: float | np.floating[Any]) -> list[str]:
    return [f"{value:.4f}" for value in values]


if __name__ == "__main__":
    typer.run(main)
