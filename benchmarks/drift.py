"""Measure thresholds on streams whose normal beats drift: the stage `drift` of benchmarks/dvc.yaml.

Streams of test beats, normal ones and a few anomalies, in which the signal changes slowly: a larger amplitude, a
shifted baseline, a beat that is stretched in time. The shipped detector scores them, by its own fixed threshold and by
the adaptive one (`ecg.detector.stream`). `make readme` makes the table of docs/results/promises.md from what it writes.
"""

import numpy as np
import pandas as pd
import typer
from tqdm import tqdm

from benchmarks.protocol import METRICS, MODELS, PLOTS
from benchmarks.protocol.beats import LabelledBeats, labelled_test_beats, origin
from benchmarks.protocol.configuration import Drift
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Trace, draw_traces
from ecg import params
from ecg.detector.detector import Detector
from ecg.detector.stream import Stream
from ecg.exceptions import InputError, exit_on_error
from ecg.files import write_csv

THRESHOLDS = ["fixed", "conformal"]
PHASES = ["steady", "ramp", "settling", "settled"]
RATES = {False: "false_alarm_rate", True: "recall"}  # the share of alarms among normal and among anomalous beats
DRAWN = 1  # index of the prevalence in the figure
WINDOW = 100  # beats that a point of the figure is the mean of, over all streams


def main() -> None:
    """Score drifting streams by a fixed and by an adaptive threshold, and compare their alarms."""
    pipeline, settings, detector = params.load(), configure().drift, Detector.load(MODELS)
    alpha = detector.calibration.alpha
    if alpha is None:
        raise InputError("params.yaml: calibrate.method promises no false-alarm rate, by which drift is measured")
    test = labelled_test_beats(origin(pipeline), pipeline.preprocess.normal_class)
    tables = []
    for i, prevalence in enumerate(settings.prevalences):
        beats = _score_streams(detector, test, prevalence, settings)
        table = _rates(beats)
        table.insert(0, "prevalence", prevalence)
        table.insert(2, "alpha", alpha)
        table.insert(3, "streams", settings.streams)
        tables.append(table)
        if i == min(DRAWN, len(settings.prevalences) - 1):
            lengths = [getattr(settings, phase) for phase in PHASES]
            starts = dict(zip(PHASES, np.cumsum([0, *lengths]).tolist(), strict=False))
            draw_traces(PLOTS / "drift.png", [_trace(beats, name) for name in THRESHOLDS], alpha, starts)
    write_csv(METRICS / "drift.csv", pd.concat(tables))


def drifted(samples: np.ndarray, amount: np.ndarray, settings: Drift) -> np.ndarray:
    """Raw beats (n, L), each changed by a share (n,) of the whole drift, 0 to 1."""
    steps = np.arange(samples.shape[1])
    middle = steps.mean()
    positions = middle + (steps - middle) * (1 - settings.warp * amount[:, None])  # (n, L)
    warped = np.stack([np.interp(at, steps, beat) for at, beat in zip(positions, samples, strict=True)])
    changed = warped * (1 + settings.scale * amount[:, None]) + settings.shift * amount[:, None]
    return changed.astype(np.float32)


def _score_streams(detector: Detector, test: LabelledBeats, prevalence: float, settings: Drift) -> pd.DataFrame:
    """The alarms of both thresholds on random streams, a row for each beat: beat, phase, anomalous, THRESHOLDS."""
    phase = np.repeat(PHASES, [getattr(settings, phase) for phase in PHASES])
    amount = np.clip((np.arange(len(phase)) - settings.steady) / settings.ramp, 0, 1)
    streams = []
    for seed in tqdm(range(settings.streams), desc=f"drift, {prevalence:.0%}", unit="stream", disable=None):
        random = np.random.default_rng(seed)
        anomalous = random.random(len(amount)) < prevalence
        drawn = [random.choice(np.flatnonzero(kind), len(amount)) for kind in (test.anomalous, ~test.anomalous)]
        verdicts = detector.score(drifted(test.samples[np.where(anomalous, *drawn)], amount, settings))
        adaptive, _ = Stream.start(detector).update(verdicts.score)
        alarms = dict(zip(THRESHOLDS, (verdicts.anomalous, adaptive), strict=True))
        streams.append(pd.DataFrame({"beat": range(len(phase)), "phase": phase, "anomalous": anomalous, **alarms}))
    return pd.concat(streams)


def _rates(beats: pd.DataFrame) -> pd.DataFrame:
    """A row for each threshold: the share of alarms among normal and among anomalous beats, in each phase."""
    rates = beats.groupby(["anomalous", "phase"])[THRESHOLDS].mean()
    order = [(kind, phase) for kind in RATES for phase in PHASES]
    table = rates.reindex(order).T.set_axis([f"{RATES[kind]}_{phase}" for kind, phase in order], axis=1)
    return table.rename_axis("threshold").reset_index()


def _trace(beats: pd.DataFrame, threshold: str) -> Trace:
    """The share of alarms among normal and among anomalous beats of all streams, in a window up to each beat."""
    counts = beats.groupby(["beat", "anomalous"])[threshold].agg(["sum", "count"]).unstack(fill_value=0)
    sums = counts.rolling(WINDOW, min_periods=1).sum()
    rates = sums["sum"] / sums["count"].clip(lower=1)
    return Trace(threshold, *(rates[kind].to_numpy() for kind in RATES))


if __name__ == "__main__":
    with exit_on_error():
        typer.run(main)
