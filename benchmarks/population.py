"""What more patients cost the training of the model of normal hearts: `python -m benchmarks.population`.

Patients are made of real ones: each beat of a made patient is a mean, weighted at random, of a beat of each of two
patients of hearts/params.yaml (from PhysioNet, or from the folder ECG_RECORDS). Two members are trained on them, with
one simulated anomaly for each beat and with few steps, since these cost the same for any number of patients. Printed
are, for each number of patients, the seconds that it takes to write the beats, to simulate anomalies, to take the steps
and to score all beats; the peak memory of a process that does all this, and the size of its temporary files. It ends
with status 1 if memory is not flat.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.usage import measure
from ecg.exceptions import exit_on_error
from ecg.files import read_arrays, write_arrays
from ecg.hearts.beats import NormalBeats, StoredBeats
from hearts.train import collect, load, patients_of

PATIENTS = (50, 500, 5000)
REAL = 16  # real patients: every third
BEATS = 250  # of each patient
STEPS = 50
ALIKE = 1.2  # memory for the most patients at most, over that for the second most
NAMES = ("patient", "window", "normal", "rhythm", "surroundings")


def main(made_of: Annotated[Path | None, typer.Option(hidden=True)] = None, patients: int = 0) -> None:
    """Print what the training costs by the number of patients."""
    with exit_on_error():
        if made_of is not None:  # this is the process that is measured
            print(json.dumps(train(made_of, patients)))
            return
        print(f"aim: memory for {PATIENTS[-1]:,} patients at most {ALIKE} times that for {PATIENTS[-2]:,}")
        print(f"{'patients':>8}{'beats':>11}{'write s':>9}{'simulate s':>12}{'steps s':>9}{'score s':>9}", end="")
        print(f"{'peak MB':>9}{'files MB':>10}")
        peaks = []
        with tempfile.TemporaryDirectory() as folder:
            real = Path(folder, "real.npz")
            write_real(real)
            for number in PATIENTS:
                options = ("--made-of", real, "--patients", str(number))
                _, peak, output = measure(sys.executable, "-m", "benchmarks.population", *options)
                write, simulate, steps, score, size = json.loads(output)
                peaks.append(peak)
                print(f"{number:>8,}{number * BEATS:>11,}{write:>9.1f}{simulate:>12.1f}{steps:>9.1f}", end="")
                print(f"{score:>9.1f}{peak:>9,.0f}{size / 1e6:>10,.0f}", flush=True)
        if peaks[-1] > ALIKE * peaks[-2]:
            sys.exit("more patients take more memory")


def write_real(path: Path) -> None:
    """Write BEATS normal beats of REAL patients."""
    settings = load().collect.model_copy(update={"beats": BEATS})
    _, paths = patients_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        beats = collect(settings, paths[:: len(paths) // REAL], Path(folder)).where(slice(None))
    write_arrays(path, **{name: getattr(beats, name) for name in NAMES})


def made(path: Path, number: int) -> Iterator[NormalBeats]:
    """So many patients, each made of two real ones."""
    real = NormalBeats(*read_arrays(path, *NAMES))
    of = [real.where(real.patient == i) for i in range(int(real.patient.max()) + 1)]
    random = np.random.default_rng(0)
    for _ in range(number):
        one, other = random.choice(len(of), 2, replace=False)
        first, second = (of[i].where(random.integers(len(of[i]), size=BEATS)) for i in (one, other))
        weight = random.random((BEATS, 1), np.float32)
        mixed = (weight * getattr(first, x) + (1 - weight) * getattr(second, x) for x in NAMES[1:])
        yield NormalBeats(np.zeros(BEATS, int), *mixed)


def train(path: Path, number: int) -> list[float]:
    """Seconds of writing, simulating, stepping and scoring, and the largest size of the files in bytes."""
    from ecg.hearts import fitting

    few = {"folds": 2, "repeats": 1, "simulations": 1, "steps": STEPS}
    settings = load().train.model_copy(update=few)
    with tempfile.TemporaryDirectory() as temporary:
        folder, stepped, sizes = Path(temporary), list[float](), list[int]()
        tempfile.tempdir = temporary  # all files are written there

        def on_step() -> None:
            stepped.append(time.perf_counter())
            if not sizes:  # from the first step on, there is nothing more to write
                sizes.append(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))

        times = [time.perf_counter()]
        beats = StoredBeats.written(folder / "beats", made(path, number))
        times.append(time.perf_counter())
        fitting.fit(beats, settings, on_step)
        times += [stepped[0], stepped[-1], time.perf_counter()]
        tempfile.tempdir = None
    return [*np.diff(times).tolist(), sizes[0]]


if __name__ == "__main__":
    typer.run(main)
