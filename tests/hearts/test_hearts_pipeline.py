"""The stage that makes the model of normal hearts, on small records; a whole rebuild takes minutes."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from distributed import LocalCluster

from ecg.exceptions import InputError
from ecg.hearts.beats import NormalBeats
from ecg.hearts.context import LENGTH, SHIFT
from ecg.hearts.model import CALIBRATION, MODEL, HeartModel
from ecg.hearts.params import Collect, File
from ecg.schema import check
from hearts import train
from stages import cluster
from tests.conftest import ROOT
from tests.hearts.conftest import DATABASE, PATIENTS


@pytest.fixture
def stage(tmp_path: Path, records: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stage in a folder, with few steps, on the records of a folder; where it writes."""
    file = yaml.safe_load((ROOT / "hearts" / "params.yaml").read_text())
    settings = file["hearts"]
    settings["collect"] |= {"records": {DATABASE: [str(i) for i in range(PATIENTS)]}, "beats": 40}
    settings["train"] |= {"folds": 2, "repeats": 1, "steps": 4, "batch_size": 16, "simulations": 1}
    settings["train"]["network"] |= {"hidden": 6, "latent": 2}
    (tmp_path / "hearts").mkdir()
    (tmp_path / "hearts" / "params.yaml").write_text(yaml.safe_dump(file))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(train.RECORDS, str(records))
    monkeypatch.setattr(train, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(train, "cpu_count", lambda: 1)  # processes take longer to start
    (tmp_path / "shipped").mkdir()
    return tmp_path / "shipped"


def test_the_stage_writes_a_model_with_its_calibration_the_same_every_time(stage: Path) -> None:
    train.main()
    files = {path.name: path.read_bytes() for path in stage.iterdir()}
    assert files.keys() == {MODEL, CALIBRATION}
    model = HeartModel.load(stage)
    assert [patient.name for patient in model.calibration.patients] == [f"{DATABASE}/{i}" for i in range(PATIENTS)]
    assert {patient.beats for patient in model.calibration.patients} == {40}
    assert model.model.metadata["patients"].split(", ")[-1] == f"{DATABASE}/{PATIENTS - 1}"
    torch.rand(3)  # what others draw does not matter
    np.random.rand(3)  # noqa: NPY002
    train.main()
    assert {path.name: path.read_bytes() for path in stage.iterdir()} == files


def test_if_the_model_cannot_be_exported_the_files_stay_as_they_were(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage / CALIBRATION).write_text("earlier")

    def fails(*_: object) -> bytes:
        raise InputError("cannot be exported")

    monkeypatch.setattr(train, "to_onnx", fails)
    with pytest.raises(InputError, match="cannot be exported"):
        train.main()
    assert [(path.name, path.read_text()) for path in stage.iterdir()] == [(CALIBRATION, "earlier")]


@pytest.mark.usefixtures("stage")
def test_a_record_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(train.RECORDS, str(tmp_path))
    with pytest.raises(InputError, match=f"{DATABASE}/0"):
        train.main()


def test_the_patients_may_be_read_by_a_cluster(
    records: Path, beats: NormalBeats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(records / DATABASE / str(i)) for i in range(PATIENTS)]
    settings = Collect(records={DATABASE: ["0"]}, lead=0, beats=60)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as local:
        monkeypatch.setenv(cluster.SCHEDULER, local.scheduler_address)
        collected = train.collect(settings, paths, tmp_path).where(slice(None))
        assert local.scheduler.transition_log  # what the cluster has done
    for field in fields(beats):
        np.testing.assert_array_equal(getattr(collected, field.name), getattr(beats, field.name))


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("collect", {"beats": 3}, "collect.beats is 3"),
        ("collect", {"records": {DATABASE: []}}, "collect.records"),
        ("train", {"folds": 1}, "train.folds is 1"),
        ("train", {"steps": 0}, "train.steps is 0"),
        ("train", {"more": 0}, "train.more"),
        ("train", {"device": "gpu"}, "train.device is 'gpu': it should be 'cpu' or 'cuda'"),
        ("calibrate", {"alpha": 1.0}, "calibrate.alpha is 1"),
    ],
)
@pytest.mark.usefixtures("stage")
def test_a_wrong_setting_is_named(section: str, change: dict, message: str) -> None:
    file = yaml.safe_load(train.PARAMS.read_text())
    file["hearts"][section] |= change
    train.PARAMS.write_text(yaml.safe_dump(file))
    with pytest.raises(InputError, match=message):
        train.main()


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Path:
    """A folder with all records that the shipped model was trained on, where there is one."""
    folder = Path(os.environ.get(train.RECORDS) or request.getfixturevalue("mitdb").parent)
    settings = check(File, yaml.safe_load((ROOT / "hearts" / "params.yaml").read_text()), "hearts/params.yaml")
    for database, records in settings.hearts.collect.records.items():
        if not all((folder / database / f"{record}.atr").is_file() for record in records):
            pytest.skip(f"not all records of hearts/params.yaml are in {folder}; {train.RECORDS} names a folder")
    return folder


@pytest.mark.parametrize("record", ["mitdb/116", "svdb/800"])
def test_the_records_of_the_shipped_model_have_enough_normal_beats(record: str, real: Path) -> None:
    """A whole rebuild is `dvc repro hearts/dvc.yaml`, a minute and a half."""
    beats = NormalBeats.of_recording(str(real / record), 0, 1000)
    assert beats.window.shape == (1000, LENGTH + 2 * SHIFT)
    inputs = beats.in_context()
    assert all(np.isfinite(values).all() for values in vars(inputs).values())
    scores = HeartModel.load()
    p_value = scores.calibration.p(scores.score(inputs, record), record)
    assert (p_value <= scores.calibration.alpha).mean() < 5 * scores.calibration.alpha
