"""Benchmarks as people run them: processes in a clone, beside the pipeline that they measure."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock

from benchmarks import experiments, mistakes, seeds
from ecg.data.beats import Beats
from ecg.data.datasets import recording_metadata
from ecg.data.training_errors import TrainingErrors
from ecg.exceptions import InputError
from ecg.params import Params
from ecg.training import fitting
from ecg.training.export import to_onnx
from tests.benchmarks.conftest import configure, prepare, ship, with_unlabelled
from tests.conftest import Run, metrics_in, set_param

EXPERIMENTS = [
    ("baseline", 0.9, 0, 0.0),
    ("branch_commit", 1.0, 1, 0.0),
    ("branch_base", 0.8, 0, 0.01),
]  # kind of row, AUC, seed, warp
LOCK = Path(".dvc/tmp/stages.lock")  # held by a running stage


def test_the_mistakes_of_the_detector_are_counted(clone: Path, run: Run) -> None:
    output = run(clone, "python", "-m", "benchmarks.mistakes")
    metrics = metrics_in(clone, "evaluate")
    assert f"the AUC is {1 - metrics['auc']:.4f} below 1" in output
    assert f"{metrics['false_positives']} false alarms" in output
    assert sum(map(int, re.findall(r"(\d+) of \d+ missed", output))) == metrics["false_negatives"]


def test_unlabelled_beats_do_not_count_as_mistakes(
    tmp_path: Path,
    fit: fitting.Fit,
    normal: np.ndarray,
    errors: TrainingErrors,
    train: Beats,
    test: Beats,
    committed_for_recordings: Params,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = recording_metadata(committed_for_recordings.fetch.recording.model_dump())
    model = to_onnx(fit.ensemble, normal, {"dataset": "mine", "recording": json.dumps(recording)})

    def printed(name: str, beats: Beats) -> str:
        folder = prepare(tmp_path / name, train, beats, source="recording")
        ship(folder, model, errors)
        monkeypatch.chdir(folder)
        mistakes.main()
        return capsys.readouterr().out

    labelled = printed("labelled", test)
    assert " of 86 missed: V" in labelled
    assert printed("both", with_unlabelled(test)) == labelled
    with pytest.raises(InputError, match="should be both normal and anomalous"):
        printed("normal", with_unlabelled(test.where(test.classes == 1)))


def test_a_benchmark_runs_beside_a_stage_and_keeps_its_unfinished_files(
    clone: Path, environment: dict[str, str]
) -> None:
    """The lock stands for a stage that is running, which may take long."""
    unfinished = clone / "models" / ".errors.csv.x.partial"
    unfinished.write_text("1")
    (clone / "metrics" / "drift.csv").unlink()
    configure(clone, drift={"streams": 2, "prevalences": [0.1]})
    command = [sys.executable, "-m", "benchmarks.drift"]
    with FileLock(clone / LOCK):
        subprocess.run(command, cwd=clone, env=environment, capture_output=True, check=True, timeout=300)
    assert (clone / "metrics" / "drift.csv").is_file()
    assert unfinished.read_text() == "1"
    unfinished.unlink()


def test_outside_the_repository_a_benchmark_only_says_where_to_run_it(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / LOCK).parent.mkdir(parents=True)
    with FileLock(tmp_path / LOCK):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.drift"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (1, "error: params.yaml is missing; run from the root of the repository\n")
    assert list(tmp_path.iterdir()) == [tmp_path / ".dvc"]


def test_experiments_that_differ_in_the_overrides_for_recordings_are_summarised_separately(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "rev,typ,auc,train.seed,recording.overrides.train.warp\n"
    table += "".join(f"{i},{kind},{auc},{seed},{warp}\n" for i, (kind, auc, seed, warp) in enumerate(EXPERIMENTS))
    monkeypatch.setattr(experiments.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=table))
    seeds.main(["auc"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| as committed | 2 | 0.9500 ± 0.0707 |",
        "| recording.overrides.train.warp=0.01 | 1 | 0.8000 |",
    ]


def test_the_benchmark_is_a_pipeline_of_its_own_and_is_resumed(clone: Path, run: Run) -> None:
    set_param(clone, "train", "epochs", 2)
    set_param(clone, "models", "lstm", {"hidden": 8, "patch": 70, "latent": 2})  # whose export is quick, as the next's
    set_param(clone, "models", "conv1d", {"channels": [3], "kernel": 3, "latent": 2})
    assert "benchmarks/" not in run(clone, "dvc", "repro", "--dry")
    path = clone / "benchmarks" / "params.yaml"
    record = yaml.safe_load(path.read_text())
    classical = {"nearest neighbour": {"kind": "knn", "scaling": "none", "size": 1}}
    path.write_text(yaml.safe_dump(record | {"benchmark": {"seeds": 2, "classical": classical}}))
    command = ["dvc", "repro", "--single-item", "benchmarks/dvc.yaml:benchmark"]
    run(clone, *command)
    tables = [clone / "metrics" / "benchmark.csv", clone / "metrics" / "comparison.csv"]
    before = [table.read_text() for table in tables]
    benchmark, comparison = map(pd.read_csv, tables)
    detectors = {"conv1d", "dense", "lstm", "rocket", "vae", "nearest neighbour"}
    assert set(zip(benchmark["detector"], benchmark["seed"], strict=True)) == {
        (d, s) for d in detectors for s in (0, 1)
    }
    assert len(benchmark) == 12
    assert benchmark.loc[benchmark["detector"] == "nearest neighbour", "auc"].tolist() == pytest.approx(
        [0.9932] * 2, abs=1e-4
    )
    assert sorted(comparison["detector"]) == sorted(detectors - {"dense"})
    assert np.isfinite(comparison.drop(columns="detector")).all(axis=None)
    tables[0].unlink()
    run(clone, *command)  # if a task were run again, its seconds would differ
    assert [table.read_text() for table in tables] == before
