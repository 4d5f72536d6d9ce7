"""A patient's own normal beats: split a recording into a training part and a test part."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import median_abs_deviation
from tqdm import tqdm

from ecg.data.aami import NORMAL, UNLABELLED
from ecg.data.beats import Beats
from ecg.exceptions import InputError
from ecg.params import Recording
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows, CutBeats, cut_beats
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import process_lead, unusable_seconds

CORE_SHARE = 0.5  # of the beats, from which normal is estimated: up to as many others may be abnormal
COMPONENTS = 2  # principal components of normal beats
MAX_DEVIATION = 4.0  # robust standard deviations of the residual up to which a beat counts as normal
MAX_ITERATIONS = 10
DECIMALS = 6  # of a sample in the canonical text: beats are z-normalised, so samples are about 1


@dataclass(frozen=True)
class RecordingSplit:
    """A recording as training and test beats."""

    train: Beats
    test: Beats
    beats: CutBeats  # the same beats, those of training first, with their times
    messages: list[str]  # about the recording, for people


def split_recording(settings: Recording) -> RecordingSplit:
    """Split a recording into the beats of its first minutes, to train on, and the rest, to test.

    Classes are the annotated ones. Without annotations, the training beats that are `typical` count as normal, and all
    others are unlabelled.

    Raises
    ------
    InputError
        if the recording cannot be read or has too few usable beats, or if either part would be empty.
    """
    if settings.path is None:
        raise InputError("params.yaml: fetch.recording.path is null; it should name a recording")
    with (
        open_lead(settings.path, settings.lead, settings.rate, settings.annotations) as lead,
        tqdm(total=(seconds := round(lead.seconds)), unit="s", desc=lead.recording, disable=None) as bar,
        process_lead(lead, settings.beats, lambda share: bar.update(round(share * seconds) - bar.n)) as processed,
    ):
        windows = BeatWindows.find(processed, settings.beats)
        beats = CutBeats.joined(list(cut_beats(processed, windows, settings.beats)))
        classes = beat_classes(lead.annotations, processed.r_peak_seconds)[windows.r_peaks]
    first, minutes = beats.seconds < 60 * settings.minutes, lead.seconds / 60
    if first.all() or not first.any():
        raise InputError(
            f"params.yaml: fetch.recording.minutes is {settings.minutes:g}: of {len(first)} usable beats in "
            f"{minutes:.1f} minutes, {int(first.sum())} are for training and {int((~first).sum())} for the test; both "
            "need some"
        )
    samples = beats.samples.astype(float).round(DECIMALS)
    annotated = bool((classes != UNLABELLED).any())
    if not annotated:
        classes[first] = np.where(typical(beats.samples[first]), NORMAL, UNLABELLED)
    left_out, lost = windows.left_out, unusable_seconds(processed.unusable)
    messages = [
        f"read as: {lead.read_as}",
        *lead.warnings,
        f"{len(first)} beats in {minutes:.1f} minutes of lead {lead.name}; left out: {left_out.in_unusable_signal} in "
        f"or next to unusable signal, {left_out.at_the_ends} at the ends of the recording",
        *(f"unusable signal: {duration:.1f} s {kind}" for kind, duration in lost.items() if duration),
        *(["the lead was inverted, because most of its QRS complexes are negative"] if processed.inverted else []),
        f"normal training beats: {int((classes[first] == NORMAL).sum())} of {int(first.sum())}, "
        + ("as annotated" if annotated else "those that are like most others, as there are no annotations"),
    ]
    train, test = (Beats(samples[part], classes[part].astype(np.int32)) for part in (first, ~first))
    return RecordingSplit(train, test, beats, messages)


def typical(samples: np.ndarray) -> np.ndarray:
    """Which beats are like most others: robust principal components by concentration steps.

    The core is half of the beats: at first those closest to the median beat, then, until it no longer changes, those
    with the smallest residual after projection on the principal components of the core. A beat is typical if its
    residual is not larger than is usual in the core.

    Parameters
    ----------
    samples : float ndarray of shape (n, L), each beat z-normalised

    Returns
    -------
    bool ndarray of shape (n,), at least half of it true

    References
    ----------
    Rousseeuw & Van Driessen 1999, "A fast algorithm for the minimum covariance determinant estimator"; Hubert,
    Rousseeuw, Vanden Branden 2005, "ROBPCA: a new approach to robust principal component analysis".
    """
    half = max(int(np.ceil(CORE_SHARE * len(samples))), 2)
    residual = np.square(samples - np.median(samples, axis=0)).mean(1)
    core = np.sort(np.argsort(residual, kind="stable")[:half])
    for _ in range(MAX_ITERATIONS):
        centred = samples - samples[core].mean(0)
        _, _, axes = np.linalg.svd(centred[core], full_matrices=False)
        axes = axes[: min(COMPONENTS, half // 5 + 1)]  # (C, L)
        residual = np.square(centred - centred @ axes.T @ axes).mean(1)
        nearest = np.sort(np.argsort(residual, kind="stable")[:half])
        if np.array_equal(nearest, core):
            break
        core = nearest
    size = np.log(np.maximum(residual, np.finfo(np.float32).tiny))
    limit = np.median(size[core]) + MAX_DEVIATION * median_abs_deviation(size[core], scale="normal")
    return (size <= limit) | np.isin(np.arange(len(samples)), core)
