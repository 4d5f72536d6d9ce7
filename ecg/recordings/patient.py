"""The beats of one's own normal: which of a recording's first minutes to learn from, and what is left to test."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ecg.data.aami import NORMAL, UNLABELLED
from ecg.data.beats import Beats
from ecg.exceptions import InputError
from ecg.params import Recording
from ecg.recordings.classes import labels
from ecg.recordings.cutting import Cut, Plan, cut
from ecg.recordings.reading import opened
from ecg.recordings.signals import gone_through

CORE = 0.5  # the share of beats that are taken for alike, so that almost as many may be abnormal
COMPONENTS = 2  # along which alike beats may differ
REACH = 4.0  # robust standard deviations of what is left over, up to which a beat is taken for normal
ROUNDS = 10
DECIMALS = 6  # of a sample in the canonical text: z-normalised, it is about 1


@dataclass(frozen=True)
class Parts:
    """A recording as two sets of beats.

    train, test : its beats in their order
    cut : the same beats, those of training first, with their times
    told : what was found, a line each, for people
    """

    train: Beats
    test: Beats
    cut: Cut
    told: list[str]


def parted(settings: Recording) -> Parts:
    """Read a recording; part its beats into those of the first minutes and the rest.

    Where beats are annotated, their classes are the annotated ones. Otherwise those of training that `typical` picks
    are taken for normal, and all others are unlabelled.

    Raises
    ------
    InputError
        if it cannot be read, if it has too few usable beats, or if nothing is left to train on or to test.
    """
    if settings.path is None:
        raise InputError("params.yaml: fetch.recording.path is null; it should name a recording")
    with (
        opened(settings.path, settings.lead, settings.rate, settings.annotations) as lead,
        tqdm(total=(seconds := round(lead.seconds)), unit="s", desc=lead.name, disable=None) as bar,
        gone_through(lead, settings.beats, lambda share: bar.update(round(share * seconds) - bar.n)) as signal,
    ):
        plan = Plan.of(signal, settings.beats)
        found = Cut.joined(list(cut(signal, plan, settings.beats)))
        classes = labels(lead.annotations, signal.seconds)[plan.beats]
        lost, inverted = signal.lost(), signal.inverted
    first = found.seconds < 60 * settings.minutes
    if first.all() or not first.any():
        raise InputError(
            f"params.yaml: fetch.recording.minutes is {settings.minutes:g}: of {len(first)} usable beats in "
            f"{lead.seconds / 60:.1f} minutes, {int(first.sum())} are to train on, {int((~first).sum())} to test; both "
            "need some"
        )
    samples = found.samples.astype(float).round(DECIMALS)
    annotated = bool((classes != UNLABELLED).any())
    if not annotated:
        classes[first] = np.where(typical(found.samples[first]), NORMAL, UNLABELLED)
    return Parts(
        Beats(samples[first], classes[first].astype(np.int32)),
        Beats(samples[~first], classes[~first].astype(np.int32)),
        found,
        [
            f"{len(first)} beats in {lead.seconds / 60:.1f} minutes of lead {lead.lead}; {plan.spoilt} beside what is "
            f"no ECG and {plan.edge} at the ends are left out",
            *(f"{seconds:.1f} s are {kind}" for kind, seconds in lost.items() if seconds),
            *(["the lead was turned over: most of its beats reach further down than up"] if inverted else []),
            f"normal beats to train on: {int((classes[first] == NORMAL).sum())} of {int(first.sum())}, "
            + ("by annotation" if annotated else "those like most others: nobody has annotated them"),
        ],
    )


def typical(samples: np.ndarray) -> np.ndarray:
    """Which beats look like most others: bool of shape (n,), at least half of them.

    Half of the beats, at first those closest to the median beat, span a space of few components; then those that it
    leaves least of, until the half stays the same. Beats of which more is left than is usual in the half are not
    typical. So are the steps of robust principal components by concentration (Rousseeuw & Van Driessen 1999, "A fast
    algorithm for the minimum covariance determinant estimator"; Hubert, Rousseeuw, Vanden Branden 2005, "ROBPCA").

    Parameters
    ----------
    samples : float ndarray of shape (n, L), each beat z-normalised
    """
    half = max(int(np.ceil(CORE * len(samples))), 2)
    left = np.square(samples - np.median(samples, axis=0)).mean(1)
    core = np.sort(np.argsort(left, kind="stable")[:half])
    for _ in range(ROUNDS):
        mean = samples[core].mean(0)
        _, _, axes = np.linalg.svd(samples[core] - mean, full_matrices=False)
        axes = axes[: min(COMPONENTS, half // 5 + 1)]  # (C, L)
        centred = samples - mean
        left = np.square(centred - centred @ axes.T @ axes).mean(1)
        nearest = np.sort(np.argsort(left, kind="stable")[:half])
        if np.array_equal(nearest, core):
            break
        core = nearest
    size = np.log(np.maximum(left, np.finfo(np.float32).tiny))
    middle = np.median(size[core])
    spread = 1.4826 * np.median(np.abs(size[core] - middle))
    return (size <= middle + REACH * spread) | np.isin(np.arange(len(samples)), core)
