"""Recordings with annotated beats, each its own patient: `python -m benchmarks.recordings [--records FOLDER]`.

Six records of the MIT-BIH Arrhythmia Database (Moody & Mark 2001), from a folder or from PhysioNet. Four tables:

detection      R peak detectors: sensitivity and positive predictive value within 150 ms, seconds
segmentation   how to cut beats, by a development protocol on the first minutes alone: held-out normal beats against
               the abnormal ones
settings       the same for the settings of params.yaml that are a recording's own, one changed at a time
detectors      the default beside nearest neighbour, on the rest of each record: AUC and average precision, also of
               nearest neighbour on beats from R peak to R peak, and of the default without any annotation; alarms an
               hour, and recall of annotated V and S beats, undetected ones among the missed
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import neurokit2 as nk
import numpy as np
from sleepecg.heartbeats import detect_heartbeats
from tqdm import tqdm
from wfdb.processing import XQRS

from benchmarks.protocol.configuration import Classical, replaced
from benchmarks.protocol.detectors import Fitted, fit_architecture, fit_classical
from ecg import params
from ecg.data import aami
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.stream import Stream
from ecg.evaluation import metrics
from ecg.params import Cutting, Params
from ecg.recordings import classes
from ecg.recordings.cutting import Cut, Plan, cut, running_median
from ecg.recordings.patient import typical
from ecg.recordings.reading import opened
from ecg.recordings.signals import gone_through

RECORDS = ("100", "106", "119", "200", "213", "233")
PHYSIONET = "physionet:mitdb/"
SEEDS = 3
ALPHAS = (0.01, 0.05)
WINDOWS = ([0.4, 0.3], [0.4, 0.5], [0.6, 0.4], [0.8, 0.4], [0.8, 0.5], [0.8, 0.6], [1.2, 0.5])  # in median RR
SETTINGS: tuple[dict[str, Any], ...] = (
    {},  # as they are
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
EARLY = (0.05, 0.1, 0.2, 0.5)  # weights of how early a beat comes, where timing is added to the score
NEAREST = Classical(kind="knn", scaling="none", size=1)
S, V = 2, 3
ALARMS = ("alarms/h", "false", "V", "S")  # alarms an hour, false-alarm rate, recall of V beats and of S beats

Detect = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True)
class Record:
    """The beats of one record.

    cut, labels : the detected beats, and the annotated class of each, 0 where nobody has annotated one
    first : bool ndarray of shape (n,), those of the first minutes
    early : float ndarray of shape (n,), how much earlier than the running median they come, as a logarithm
    missed : annotated S and V beats after the first minutes that are not among the detected ones
    """

    cut: Cut
    labels: np.ndarray
    first: np.ndarray
    early: np.ndarray
    missed: dict[int, int]

    @property
    def normal(self) -> np.ndarray:
        """The normal beats of the first minutes."""
        return self.cut.samples[self.first & (self.labels == aami.NORMAL)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="the folder of the records (default: PhysioNet)")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {chr(44).join(TABLES)} (default: all)")
    arguments = parser.parse_args()
    places = {name: str(arguments.records / name) if arguments.records else PHYSIONET + name for name in RECORDS}
    for name in arguments.tables or TABLES:
        TABLES[name](places)
        print()


def settings() -> Params:
    """params.yaml as it is for a recording."""
    record = params.read(params.PARAMS)
    record["fetch"]["source"] = "recording"
    return params.parse(record, str(params.PARAMS))


def detection(places: dict[str, str]) -> None:
    """Print how well R peaks are detected."""
    beats = settings().fetch.recording.beats
    print_row("detector", *places, "mean", "seconds")
    detectors: dict[str, Detect | None] = {
        "this project's: NeuroKit, filtered": None,
        "NeuroKit, as it comes": lambda x, rate: nk.ecg_peaks(nk.ecg_clean(x, rate), rate)[1]["ECG_R_Peaks"],
        "sleepecg": lambda x, rate: detect_heartbeats(x, rate),
        "XQRS of wfdb": xqrs,
    }
    for name, detect in detectors.items():
        found, spent = [], 0.0
        for place in places.values():
            with opened(place) as lead:
                samples, annotations = lead.read(0, lead.length), lead.annotations
                start = time.perf_counter()
                if detect is None:
                    with gone_through(lead, beats) as signal:
                        seconds = signal.seconds
                else:
                    seconds = np.asarray(detect(samples, lead.rate)) / lead.rate
                spent += time.perf_counter() - start
            assert annotations is not None
            annotated, _ = classes.beats(annotations)
            hits = int((classes.matched(annotated, seconds) >= 0).sum())
            found.append((hits / len(annotated), hits / len(seconds)))
        print_row(name, *(both(*pair) for pair in found), both(*np.mean(found, axis=0)), f"{spent:.2f}")


def xqrs(samples: np.ndarray, rate: float) -> np.ndarray:
    detector = XQRS(samples, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds)


def segmentation(places: dict[str, str]) -> None:
    """Print how well normal and abnormal beats of the first minutes are told apart, by how they are cut."""
    default = settings()
    start = default.fetch.recording.beats
    candidates = [start.model_copy(update={"segmentation": kind}) for kind in ("rr", "window")]
    candidates += [start.model_copy(update={"segmentation": "rhythm", "rhythm": window}) for window in WINDOWS]
    print_row("beats", *places, "mean", "nearest neighbour, mean")
    for beats in tqdm(candidates, disable=None):
        records = [read(place, default, beats) for place in places.values()]
        nearest = np.mean([development(record, fit_nearest(default, record.normal), 0) for record in records])
        fitted = [fit_default(default, record.normal, seed=0) for record in records]
        weights = (0.0, *EARLY) if beats.segmentation != "rhythm" else (0.0,)
        for weight in weights:
            aucs = [development(record, of, weight) for record, of in zip(records, fitted, strict=True)]
            title = named(beats) + (f", and {weight:g} x how early" if weight else "")
            shown = f"{nearest:.4f}" if not weight else ""
            print_row(title, *(f"{auc:.4f}" for auc in aucs), f"{np.mean(aucs):.4f}", shown)


def changes(places: dict[str, str]) -> None:
    """Print the same, mean and standard deviation over SEEDS, for settings of params.yaml, one changed at a time."""
    default = settings()
    records = [read(place, default, default.fetch.recording.beats) for place in places.values()]
    print_row("setting", *places, "mean")
    for change in tqdm(SETTINGS, disable=None):
        changed = replaced(default, change)
        aucs = np.array(
            [
                [development(record, fit_default(changed, record.normal, seed), 0) for record in records]
                for seed in range(SEEDS)
            ]
        )
        title = " ".join(f"{name}={value}" for name, value in change.items()) or "default"
        spread = f"{aucs.mean():.4f} ± {aucs.mean(axis=1).std(ddof=1):.4f}"
        print_row(title, *(f"{auc:.4f}" for auc in aucs.mean(axis=0)), spread)


def detectors(places: dict[str, str]) -> None:
    """Print how well the default and nearest neighbour do on the rest of each record."""
    default = settings()
    beats = default.fetch.recording.beats
    records = {name: read(place, default, beats) for name, place in places.items()}
    shape = {
        name: read(place, default, beats.model_copy(update={"segmentation": "rr"})) for name, place in places.items()
    }
    fits = {
        name: [fit_default(default, record.normal, seed) for seed in range(SEEDS)] for name, record in records.items()
    }
    which = ("default", "nearest neighbour", "nearest neighbour, R to R", "default, no annotations")
    print_row("record", *(f"{name}: {metric}" for name in which for metric in ("AUC", "AP")))
    rows = []
    for name, record in records.items():
        mean = np.mean([ranked(record, of) for of in fits[name]], axis=0)
        nearest = ranked(record, fit_nearest(default, record.normal))
        by_shape = ranked(shape[name], fit_nearest(default, shape[name].normal))
        first = record.cut.samples[record.first]
        unlabelled = ranked(record, fit_default(default, first[typical(first)], seed=0))
        rows.append([*mean, *nearest, *by_shape, *unlabelled])
        print_row(name, *(f"{value:.4f}" for value in rows[-1]))
    print_row("mean", *(f"{value:.4f}" for value in np.mean(rows, axis=0)))
    nearest_fits = {name: fit_nearest(default, record.normal) for name, record in records.items()}
    for adaptive in (True, False):
        print(f"\nthe default / nearest neighbour; threshold {'adaptive' if adaptive else 'as calibrated'}")
        print_row("record", *(f"{alpha:g}: {name}" for alpha in ALPHAS for name in ALARMS))
        for name, record in records.items():
            cells = []
            for alpha in ALPHAS:
                pair = [alarms(default, record, of, alpha, adaptive) for of in (fits[name][0], nearest_fits[name])]
                cells += [" / ".join(values) for values in zip(*pair, strict=True)]
            print_row(name, *cells)


def read(place: str, default: Params, beats: Cutting) -> Record:
    """The beats of a record, cut in one way."""
    with opened(place) as lead, gone_through(lead, beats) as signal:
        plan = Plan.of(signal, beats)
        found = Cut.joined(list(cut(signal, plan, beats)))
        assert lead.annotations is not None
        labels = classes.labels(lead.annotations, signal.seconds)[plan.beats]
        annotated, given = classes.beats(lead.annotations)
        seen = np.isin(classes.matched(annotated, signal.seconds), plan.beats)
        until = 60 * default.fetch.recording.minutes
        missed = {label: int((~seen & (given == label) & (annotated >= until)).sum()) for label in (S, V)}
    usual = running_median(found.rr_before[1:], len(found.rr_before))
    early = np.maximum(0, np.log(usual / np.where(np.isnan(found.rr_before), usual, found.rr_before)))
    return Record(found, labels, found.seconds < until, early, missed)


def fit_default(default: Params, normal: np.ndarray, seed: int) -> Fitted:
    train = default.train.model_copy(update={"seed": seed})
    return fit_architecture(train, default.preprocess, default.models, normal)


def fit_nearest(default: Params, normal: np.ndarray) -> Fitted:
    """Nearest neighbour by its squared distance, which is in the unit that this project's scores are."""
    fitted = fit_classical(NEAREST, default.preprocess, default.train.folds, 0, normal)
    squared = np.square(fitted.errors.calibrating)
    return Fitted(
        TrainingErrors(fitted.errors.fold, squared, squared),
        lambda beats: np.square(fitted.member_scores(beats)),
        lambda beats: np.square(fitted.score(beats)),
        fitted.seconds,
    )


def development(record: Record, fitted: Fitted, weight: float) -> float:
    """AUC of held-out normal beats of the first minutes against the abnormal ones there.

    weight : of how early a beat comes, which is added to the root of its score
    """
    normal = record.first & (record.labels == aami.NORMAL)
    abnormal = record.first & (record.labels > aami.NORMAL)
    held_out = np.sqrt(fitted.errors.calibrating) + weight * record.early[normal]
    others = np.sqrt(fitted.member_scores(record.cut.samples[abnormal]).mean(axis=1)) + weight * record.early[abnormal]
    return metrics.auc_with_interval(held_out, others)[0]


def ranked(record: Record, fitted: Fitted) -> tuple[float, float]:
    """AUC and average precision on the annotated beats after the first minutes."""
    score, labels = fitted.score(record.cut.samples[~record.first]), record.labels[~record.first]
    normal, abnormal = score[labels == aami.NORMAL], score[labels > aami.NORMAL]
    return metrics.auc_with_interval(normal, abnormal)[0], metrics.average_precision(normal, abnormal)


def alarms(default: Params, record: Record, fitted: Fitted, alpha: float, adaptive: bool) -> list[str]:
    """ALARMS of one record after the first minutes."""
    samples, labels = record.cut.samples[~record.first], record.labels[~record.first]
    calibration = thresholds.calibrate(fitted.errors, default.calibrate.model_copy(update={"alpha": alpha}), "")
    score = fitted.score(samples)
    if adaptive:
        stand_in: Any = SimpleNamespace(calibration=calibration)  # a stream asks a detector for no more
        raised, _ = Stream.start(stand_in, "conformal", alpha).update(score)
    else:
        raised = calibration.anomalous(score, calibration.p(score, fitted.member_scores(samples)))
    seconds = record.cut.seconds[~record.first]
    hourly = raised.sum() / (seconds[-1] - seconds[0]) * 3600
    recalls = [recall(raised[labels == label], record.missed[label]) for label in (V, S)]
    false = raised[labels == aami.NORMAL].mean()
    return [f"{hourly:.0f}", f"{false:.3f}", *recalls]


def recall(raised: np.ndarray, missed: int) -> str:
    beats = len(raised) + missed
    return f"{raised.sum() / beats:.3f}" if beats else "-"


def named(beats: Cutting) -> str:
    if beats.segmentation == "rr":
        return "R peak to R peak"
    before, after = beats.window if beats.segmentation == "window" else beats.rhythm
    return f"-{before:g} to {after:g} {'s' if beats.segmentation == 'window' else 'median RR'}"


def both(sensitivity: float, predictive: float) -> str:
    return f"{sensitivity:.4f} / {predictive:.4f}"


def print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


TABLES: dict[str, Callable[[dict[str, str]], None]] = {
    "detection": detection,
    "segmentation": segmentation,
    "settings": changes,
    "detectors": detectors,
}

if __name__ == "__main__":
    main()
