"""R-peak detectors on annotated recordings: `python -m benchmarks.r_peaks --records FOLDER [--noise RECORD]`.

Sensitivity and positive predictive value within 150 ms, over all beats of all recordings, and the shares of V and S
beats that are found; as in ANSI/AAMI EC57, without ventricular flutter. The other detectors have the cleaning that
their authors give them, and the lead upright, which one of them needs.

this project                     all R peaks of the filtered lead
this project, usable signal      those that beats are cut at, beside the annotated beats in usable signal
NeuroKit2                        its own method
Pan-Tompkins (NeuroKit2)         as NeuroKit2 has it
sleepecg
XQRS (wfdb)                      with --slow
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import neurokit2 as nk
import numpy as np
import pandas as pd
import typer
from joblib import Parallel, cpu_count, delayed
from sleepecg.heartbeats import detect_heartbeats
from tqdm import tqdm
from wfdb.processing import XQRS

from benchmarks.protocol.tables import print_table
from benchmarks.recordings.noise import Noise
from benchmarks.recordings.records import Patients, Record, in_folder, outside_flutter
from ecg.data.aami import NAMES
from ecg.exceptions import exit_on_error
from ecg.hearts.context import CUTTING
from ecg.recordings.classes import annotated_beats, match_beats
from ecg.recordings.r_peaks import detect_r_peaks
from ecg.recordings.reading import Lead, open_lead
from ecg.recordings.signals import SAMPLING_RATE, overlapping, process_lead

RATIOS = (24.0, 18.0, 12.0, 6.0, 0.0)  # signal to noise, in decibels
OWN, USABLE = "this project", "this project, usable signal"
SLOW = "XQRS (wfdb)"

Counts = dict[str, float]
Detect = Callable[[np.ndarray, float], np.ndarray]  # samples and sampling rate -> R peaks, as indices of samples


def main(
    records: Annotated[Path, typer.Option(help="Folder of annotated WFDB records, or of folders of them.")],
    patients: Annotated[Patients, typer.Option(help="Those of a list in hearts/patients.yaml.")] = Patients.ALL,
    noise: Annotated[str | None, typer.Option(help="Recording of noise to add.", show_default=False)] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="With XQRS of wfdb, which takes some seconds a recording.")
    ] = False,
) -> None:
    """Print how well R-peak detectors find annotated beats."""
    with exit_on_error():
        chosen = in_folder(records, patients)
    noises = [None] if noise is None else [Noise(noise, ratio) for ratio in RATIOS]
    tasks = [(record, added) for added in noises for record in chosen]
    results = Parallel(cpu_count(), return_as="generator")(delayed(_count)(*task, slow) for task in tasks)
    rows = [
        {"noise": added, "detector": detector, **counts}
        for (_, added), by_detector in tqdm(zip(tasks, results, strict=True), total=len(tasks), disable=None)
        for detector, counts in by_detector.items()
    ]
    print_table(summarised(pd.DataFrame(rows)))


def summarised(counts: pd.DataFrame) -> pd.DataFrame:
    """A row for each detector and ratio: shares over all recordings."""
    is_noisy = counts["noise"].notna().any()
    counts["dB"] = [f"{added.ratio:g}" if is_noisy else "" for added in counts.pop("noise")]
    total = counts.groupby(["dB", "detector"], sort=False).sum().reset_index()
    shares = {
        "sensitivity": total["found"] / total["beats"],
        "positive predictive value": total["found"] / total["detected"],
        "V found": total["v_found"] / total["v"],
        "S found": total["s_found"] / total["s"],
    }
    table = total[["dB", "detector", "beats"]].assign(**{name: x.map("{:.4f}".format) for name, x in shares.items()})
    return table.assign(seconds=total["seconds"].round(1)).drop(columns=[] if is_noisy else "dB")


def by_neurokit(method: str) -> Detect:
    """A method of NeuroKit2, after the cleaning that belongs to it."""

    def detect(samples: np.ndarray, rate: float) -> np.ndarray:
        cleaned = nk.ecg_clean(samples, sampling_rate=int(rate), method=method)
        return np.asarray(nk.ecg_findpeaks(cleaned, sampling_rate=int(rate), method=method)["ECG_R_Peaks"], int)

    return detect


def by_xqrs(samples: np.ndarray, rate: float) -> np.ndarray:
    """XQRS of wfdb."""
    detector = XQRS(samples, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds, int)


OTHERS: dict[str, Detect] = {
    "NeuroKit2": by_neurokit("neurokit"),
    "Pan-Tompkins (NeuroKit2)": by_neurokit("pantompkins1985"),
    "sleepecg": detect_heartbeats,
    SLOW: by_xqrs,
}


def _count(record: Record, noise: Noise | None, slow: bool) -> dict[str, Counts]:
    """The counts of each detector on a recording."""
    with open_lead(record.path) as clean, warnings.catch_warnings(action="ignore"):  # of others' detectors
        lead = clean if noise is None else noise.added(clean)
        start = time.perf_counter()
        with process_lead(lead, CUTTING) as signal:
            seconds, unusable = time.perf_counter() - start, signal.unusable
            r_peaks = detect_r_peaks(np.array(signal.samples, float), SAMPLING_RATE) / SAMPLING_RATE
            counts = {
                OWN: _counts(lead, r_peaks, seconds, _everywhere),
                USABLE: _counts(lead, signal.r_peak_seconds, seconds, lambda at: ~overlapping(unusable, at, at)),
            }
        samples = np.nan_to_num(lead.read(0, lead.length)) * (-1 if signal.inverted else 1)
        for name, detect in OTHERS.items():
            if slow or name != SLOW:
                start = time.perf_counter()
                r_peaks = np.asarray(detect(samples, lead.rate)) / lead.rate
                counts[name] = _counts(lead, r_peaks, time.perf_counter() - start, _everywhere)
    return counts


def _counts(lead: Lead, r_peaks: np.ndarray, seconds: float, usable: Callable[[np.ndarray], np.ndarray]) -> Counts:
    """Annotated beats, those that are found, and detected R peaks, where the signal is usable."""
    assert lead.annotations is not None
    annotated, classes = annotated_beats(lead.annotations)
    compared = outside_flutter(lead.annotations, annotated) & usable(annotated)
    annotated, classes = annotated[compared], np.array([NAMES[label] for label in classes[compared].tolist()])
    r_peaks = r_peaks[outside_flutter(lead.annotations, r_peaks) & usable(r_peaks)]
    found, v, s = match_beats(annotated, r_peaks) >= 0, classes == "V", classes == "S"
    return {
        "beats": len(found),
        "found": found.sum(),
        "detected": len(r_peaks),
        "v": v.sum(),
        "v_found": (v & found).sum(),
        "s": s.sum(),
        "s_found": (s & found).sum(),
        "seconds": seconds,
    }


def _everywhere(seconds: np.ndarray) -> np.ndarray:
    return np.full(len(seconds), True)


if __name__ == "__main__":
    typer.run(main)
