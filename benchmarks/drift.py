"""Measure what thresholds do when normal drifts: the stage `drift` of benchmarks/dvc.yaml.

Streams of test beats, normal ones and a few anomalies, in which the signal slowly changes: a larger amplitude, a
shifted baseline, a beat that is stretched in time. The shipped detector scores them, by its own fixed threshold and by
those that adapt (`ecg.detector.stream`). Prints the table of README.md.
"""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.protocol import METRICS, MODELS, PLOTS
from benchmarks.protocol.beats import LabelledBeats, labelled_test_beats, origin
from benchmarks.protocol.configuration import Drift
from benchmarks.protocol.configuration import load as configure
from benchmarks.protocol.figures import Trace, draw_traces
from ecg import params
from ecg.detector.detector import Detector
from ecg.detector.stream import KINDS, Stream
from ecg.exceptions import InputError, reported
from ecg.files import write_csv

THRESHOLDS = ("fixed", *KINDS)
PHASES = ("steady", "ramp", "settling", "settled")
HEADER = ["prevalence", "threshold", "alpha", "streams"]
HEADER += [f"{rate}_{phase}" for rate in ("false_alarm_rate", "recall") for phase in PHASES]
DRAWN = 1  # which of the prevalences
WINDOW = 100  # beats that a point of the figure is the mean of, in all streams


def main() -> None:
    pipeline, settings, detector = params.load(), configure().drift, Detector.load(MODELS)
    alpha = detector.calibration.alpha
    if alpha is None:
        raise InputError("params.yaml: calibrate.method promises no false-alarm rate, which drift is measured by")
    test = labelled_test_beats(origin(pipeline), pipeline.preprocess.normal_class)
    phases = [(name, getattr(settings, name)) for name in PHASES]
    phase = np.repeat([name for name, _ in phases], [length for _, length in phases])
    rows = []
    for i, prevalence in enumerate(settings.prevalences):
        alarms, anomalous = _streams(detector, test, prevalence, settings)
        for name in THRESHOLDS:
            parts = [(alarms[name][:, phase == part], anomalous[:, phase == part]) for part in PHASES]
            false = [float(called[~is_anomalous].mean()) for called, is_anomalous in parts]
            recall = [float(called[is_anomalous].mean()) for called, is_anomalous in parts]
            rows.append([prevalence, name, alpha, settings.streams, *false, *recall])
        if i == min(DRAWN, len(settings.prevalences) - 1):
            traces = [_trace(name, alarms[name], anomalous) for name in THRESHOLDS]
            starts = np.cumsum([0, *(length for _, length in phases)]).tolist()
            draw_traces(PLOTS / "drift.png", traces, alpha, dict(zip(PHASES, starts, strict=False)))
    write_csv(METRICS / "drift.csv", HEADER, rows)
    print("| prevalence | threshold | false alarms before | while it drifts | settled | recall before | settled |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        figures = dict(zip(HEADER, row, strict=True))
        shown = [figures[f"false_alarm_rate_{part}"] for part in ("steady", "ramp", "settled")]
        shown += [figures[f"recall_{part}"] for part in ("steady", "settled")]
        print(f"| {row[0]:.0%} | {row[1]} | {' | '.join(f'{x:.3f}' for x in shown)} |")


def drifted(samples: np.ndarray, amount: np.ndarray, settings: Drift) -> np.ndarray:
    """Raw beats (n, L), each changed by a share (n,) of the whole drift, 0 to 1."""
    steps = np.arange(samples.shape[1])
    middle = steps.mean()
    seen = middle + (steps - middle) * (1 - settings.warp * amount[:, None])  # (n, L)
    warped = np.stack([np.interp(at, steps, beat) for at, beat in zip(seen, samples, strict=True)])
    changed = warped * (1 + settings.scale * amount[:, None]) + settings.shift * amount[:, None]
    return changed.astype(np.float32)


def _streams(
    detector: Detector, test: LabelledBeats, prevalence: float, settings: Drift
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The alarms of each threshold on each stream, bool (streams, beats), and which beats are anomalous."""
    lengths = [getattr(settings, name) for name in PHASES]
    amount = np.clip((np.arange(sum(lengths)) - settings.steady) / settings.ramp, 0, 1)
    alarms: dict[str, list[np.ndarray]] = {name: [] for name in THRESHOLDS}
    anomalous = []
    for seed in tqdm(range(settings.streams), desc=f"drift, {prevalence:.0%}", unit="stream", disable=None):
        random = np.random.default_rng(seed)
        anomalous.append(random.random(len(amount)) < prevalence)
        drawn = [random.choice(np.flatnonzero(kind), len(amount)) for kind in (test.anomalous, ~test.anomalous)]
        stream = drifted(test.samples[np.where(anomalous[-1], *drawn)], amount, settings)
        verdicts = detector.score(stream)
        alarms["fixed"].append(verdicts.anomalous)
        for kind in KINDS:
            alarms[kind].append(Stream.start(detector, kind).update(verdicts.score)[0])
    return {name: np.array(of_streams) for name, of_streams in alarms.items()}, np.array(anomalous)


def _trace(name: str, alarms: np.ndarray, anomalous: np.ndarray) -> Trace:
    return Trace(name, _moving(alarms, ~anomalous), _moving(alarms, anomalous))


def _moving(alarms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The share of alarms among the chosen beats of all streams, in a window up to each beat: (beats,)."""
    counts: Sequence[np.ndarray] = [
        np.cumsum(np.concatenate([np.zeros(WINDOW), of.sum(axis=0)])) for of in (alarms & chosen, chosen)
    ]
    hits, there = (sums[WINDOW:] - sums[:-WINDOW] for sums in counts)
    return hits / np.maximum(there, 1)


if __name__ == "__main__":
    with reported():
        main()
