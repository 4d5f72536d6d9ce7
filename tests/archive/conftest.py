"""An archive of short real recordings, one of them damaged, and one of tables of beats."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg.archive.archive import Outcome, Workers, plan, run
from ecg.archive.recordings import archive as scanning
from ecg.data.beats import Beats

RATE = 360
DAMAGED = "later/broken"
SCANNED = ("first", "later/second", "third")


@pytest.fixture(scope="session")
def recordings(toy: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts of a real lead, as two WFDB records and a table, one of them in a folder; and a damaged one there."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "later").mkdir()
    first, second, third = toy[: 90 * RATE], toy[90 * RATE : 180 * RATE], toy[180 * RATE : 270 * RATE]
    write_record(folder, "first", first)
    write_record(folder / "later", "second", second)
    (folder / "third.csv").write_text("seconds,ECG (mV)\n" + rows(third))
    (folder / "later" / "broken.edf").write_bytes(b"0       " + bytes(300))
    (folder / "notes.txt").write_text("Recorded on a Monday.")
    (folder / ".hidden.csv").write_text("seconds,ECG (mV)\n" + rows(third))
    return folder


def write_record(folder: Path, name: str, lead: np.ndarray) -> None:
    options = {"fs": RATE, "units": ["mV"], "sig_name": ["II"], "fmt": ["16"], "write_dir": str(folder)}
    wfdb.wrsamp(name, p_signal=lead[:, None], **options)


def rows(lead: np.ndarray) -> str:
    return "".join(f"{i / RATE:.5f},{sample:.4f}\n" for i, sample in enumerate(lead.tolist()))


@pytest.fixture(scope="session")
def tables(test: Beats, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real beats as an NPY, a CSV and a Zarr array of two parts' length, one of them in a folder."""
    import zarr

    folder = tmp_path_factory.mktemp("tables")
    (folder / "more").mkdir()
    np.save(folder / "one.npy", test.samples[:700])
    np.savetxt(folder / "more" / "two.csv", test.samples[700:800], "%.9g", delimiter=",")
    array = zarr.create_array(folder / "three.zarr", shape=(1000, test.samples.shape[1]), chunks=(250, 140), dtype="f4")
    array[:] = test.samples[800:1800]
    return folder


def scan_all(inputs: list[str], output: Path | str, workers: Workers | None = None, **options: object) -> Outcome:
    """Scan an archive, with no reports unless asked for."""
    job, found = scanning(inputs, str(output), **{"reports": 0} | options)
    return run(job, plan(job, found), workers)


def held(folder: Path) -> dict[str, str]:
    """All files of a folder: the hash of each, by its name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
