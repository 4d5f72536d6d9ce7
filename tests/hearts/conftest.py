"""Hearts: of a real record, made of its normal beat, and as annotated records of several patients."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg.hearts.beats import NormalBeats
from ecg.hearts.context import BEFORE, CUTTING, LENGTH, Heart, follow
from ecg.hearts.params import Train
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import SAMPLING_RATE, process_lead

RATE = 360.0
PATIENTS = 6
DATABASE = "toydb"
NORMAL_RR = 0.8  # seconds, of hearts that are made
# How each patient's lead is made of the record: the share of it that is skipped, the tempo, the weight of its slope.
MADE_BY = [(0.0, 1.0, 0.0), (0.2, 0.9, 0.0), (0.4, 1.1, 0.0), (0.1, 0.95, 4.0), (0.3, 1.0, -4.0), (0.5, 1.05, 8.0)]


def heart_of(path: str, lead: int | str = 0, rate: float | None = None) -> Heart:
    """The usable beats of a recording."""
    with open_lead(path, lead, rate, annotations=None) as raw, process_lead(raw, CUTTING) as processed:
        heart = Heart.of(processed, BeatWindows.find(processed, CUTTING))
        return Heart(np.array(heart.samples), heart.r_peaks, heart.rr_before, heart.rr_after)


def heart_of_samples(samples: np.ndarray, folder: Path) -> Heart:
    """The usable beats of a lead at RATE."""
    np.save(folder / "lead.npy", samples)
    return heart_of(str(folder / "lead.npy"), rate=RATE)


@pytest.fixture(scope="session")
def toy_heart(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Heart:
    return heart_of_samples(toy, tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def shape(toy_heart: Heart) -> np.ndarray:
    """The normal beat of the real record, which fades at its ends: (LENGTH,), its largest sample is 1."""
    normal = np.median(follow(toy_heart).normals, axis=0)
    fade = np.clip(np.minimum(np.arange(LENGTH), np.arange(LENGTH)[::-1]) / 20, 0, 1)
    faded = (normal - np.median(normal)) * fade
    return faded / np.abs(faded).max()


def made_of(shapes: np.ndarray, rr: np.ndarray, noise: float = 0.01) -> Heart:
    """A heart whose beats have these shapes (n, LENGTH), at these intervals before them, in seconds: (n,)."""
    r_peaks = 2 * LENGTH + np.round(np.cumsum(rr) * SAMPLING_RATE).astype(int)
    samples = np.random.default_rng(0).normal(0, noise, r_peaks[-1] + 2 * LENGTH)
    for peak, shape in zip(r_peaks.tolist(), shapes, strict=True):
        samples[peak - BEFORE : peak - BEFORE + LENGTH] += shape
    known = np.diff(r_peaks) / SAMPLING_RATE
    return Heart(samples.astype(np.float32), r_peaks, np.append(np.nan, known), np.append(known, np.nan))


def stretched(shape: np.ndarray, times: float) -> np.ndarray:
    """A shape that lasts longer, from its R peak to both sides, and fades at its end."""
    at = (np.arange(LENGTH) - BEFORE) / times + BEFORE
    return np.interp(at, np.arange(LENGTH), shape) * np.clip(np.arange(LENGTH)[::-1] / 20, 0, 1)


def in_time(n: int, rr: float = NORMAL_RR) -> np.ndarray:
    """RR intervals of a regular rhythm."""
    return rr * np.exp(np.random.default_rng(1).normal(0, 0.02, n))


@pytest.fixture(scope="session")
def records(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of annotated records, of PATIENTS patients that are made of the real record.

    A beat that a deep, wide trough follows is annotated as ventricular.
    """
    folder = tmp_path_factory.mktemp("records")
    (folder / DATABASE).mkdir()
    for i, (skipped, tempo, slope) in enumerate(MADE_BY):
        part = toy[int(skipped * len(toy)) :][: int(0.45 * len(toy))]
        lead = np.interp(np.arange(0, len(part) - 1, tempo), np.arange(len(part)), part + slope * np.gradient(part))
        annotate(folder / DATABASE, str(i), lead)
    return folder


def annotate(folder: Path, name: str, lead: np.ndarray) -> None:
    """Write a lead at RATE as a WFDB record, with an annotation at each R peak."""
    heart = heart_of_samples(lead, folder)
    (folder / "lead.npy").unlink()
    wide = np.array([is_ventricular(lead, peak) for peak in np.round(heart.seconds * RATE).astype(int)])
    options = {"fs": RATE, "units": ["mV"], "sig_name": ["II"], "fmt": ["16"], "write_dir": str(folder)}
    wfdb.wrsamp(name, p_signal=lead[:, None], **options)
    symbols = np.where(wide, "V", "N").tolist()
    wfdb.wrann(name, "atr", np.round(heart.seconds * RATE).astype(int), symbols, fs=RATE, write_dir=str(folder))


def is_ventricular(lead: np.ndarray, peak: int) -> bool:
    return lead[peak + 40 : peak + 110].min() - np.median(lead[peak - 60 : peak]) < -0.4


@pytest.fixture(scope="session")
def beats(records: Path) -> NormalBeats:
    """The normal beats of the patients."""
    return NormalBeats.joined(
        [NormalBeats.of_recording(str(records / DATABASE / str(i)), 0, 60) for i in range(PATIENTS)]
    )


@pytest.fixture(scope="session")
def quick() -> Train:
    """Settings of a fit that takes a second."""
    network = {"hidden": 8, "latent": 2, "noise": 0.3}
    weights = {"shape_weight": 1.0, "discriminator_weight": 0.3, "excess_weight": 1.0, "timing_weight": 12.0}
    sizes = {"seed": 0, "folds": 2, "repeats": 2, "steps": 6, "batch_size": 32, "simulations": 1, "device": "cpu"}
    return Train.model_validate(sizes | {"learning_rate": 0.002, "weight_decay": 0.01, "network": network | weights})
