"""The pipeline as people run it: real DVC, real git, in a temporary clone of this repository."""

import csv
import json
import platform
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecg import AutoencoderDetector
from ecg.data import beats
from tests.conftest import STAGES, Run, metrics_in, ran, set_param

RECIPE = {
    "preprocess.scaling": "standard",
    "train.model": "dense",
    "models.dense.hidden": "[64,16]",
    "models.dense.latent": "4",
    "train.folds": "1",
    "train.epochs": "20",
    "train.batch_size": "128",
    "train.learning_rate": "0.001",
    "train.warp": "0",
    "train.wander": "0",
    "calibrate.method": "percentile",
    "calibrate.percentile": "95",
}

BENCHMARKS = {"benchmark.png", "one_class.png"}  # outputs of benchmarks that are no plots of the pipeline


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="elsewhere, sums round differently in the last bit",
)
def test_a_rebuild_gives_what_is_committed_to_the_bit(project: Path, run: Run) -> None:
    assert run(project, "git", "status", "--porcelain") == ""
    assert "up to date" in run(project, "dvc", "status")
    assert ran(run(project, "dvc", "repro")) == []


def test_the_estimator_makes_the_detector_of_the_pipeline(project: Path, tmp_path: Path) -> None:
    fitted = AutoencoderDetector(kind="ecg5000").fit(beats.load(project / "data/processed/fit.npz").samples)
    fitted.save(tmp_path)
    for name in ("autoencoder.safetensors", "errors.csv"):
        assert (tmp_path / name).read_bytes() == (project / "models" / name).read_bytes()
    test = beats.load(project / "data/processed/test.npz").samples
    pretrained = AutoencoderDetector.from_pretrained(project / "models")
    np.testing.assert_array_equal(pretrained.score_samples(test), fitted.score_samples(test))
    np.testing.assert_array_equal(pretrained.predict(test), fitted.predict(test))


def test_the_default_beats_the_starting_recipe(clone: Path) -> None:
    metrics = metrics_in(clone, "evaluate")
    assert metrics["auc"] >= 0.995
    assert metrics["average_precision"] >= 0.990
    assert metrics["f1"] >= 0.960


@pytest.mark.parametrize("method", ["pot", "f1"])
def test_another_threshold_is_a_parameter_away(clone: Path, run: Run, method: str) -> None:
    before, auc = metrics_in(clone, "calibrate"), metrics_in(clone, "evaluate")["auc"]
    set_param(clone, "calibrate", "method", method)
    log = run(clone, "dvc", "repro")
    assert ran(log) == ["calibrate", "evaluate"]
    assert ("uses labels" in log) == (method == "f1")
    after = metrics_in(clone, "calibrate")
    assert after["uses_labels"] == (method == "f1")
    assert after["threshold"] != before["threshold"]
    metrics = metrics_in(clone, "evaluate")
    assert metrics["auc"] == auc
    with (clone / "metrics" / "methods.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["method"] == method]
    assert float(row["f1"]) == metrics["f1"]
    assert float(row["false_positive_rate"]) == metrics["false_positive_rate"]


@pytest.mark.parametrize(
    ("method", "log"),
    [
        ("conformal", "999 beats would do, or a larger alpha, or calibrate.method 'pot'"),
        ("conformal_conditional", "2302 beats would do"),
    ],
)
def test_an_alpha_out_of_reach_is_reported_with_what_would_do(clone: Path, run: Run, method: str, log: str) -> None:
    set_param(clone, "calibrate", "alpha", 0.001)
    set_param(clone, "calibrate", "method", method)
    assert log in run(clone, "dvc", "repro", fails=True)


def test_a_section_of_a_model_that_is_not_chosen_runs_nothing(clone: Path, run: Run) -> None:
    set_param(clone, "models", "spare", {"layers": 3})
    assert "up to date" in run(clone, "dvc", "status")
    assert ran(run(clone, "dvc", "repro")) == []


def test_anomalous_training_beats_and_test_beats_cannot_reach_a_weight(clone: Path, run: Run) -> None:
    model = (clone / "models" / "autoencoder.onnx").read_bytes()
    paths = [clone / "data" / "raw" / f"ECG5000_{part}.tsv" for part in ("TRAIN", "TEST")]
    for path in paths:
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        other = [row if row[0] == "1" and "TRAIN" in path.name else [row[0], *("9" for _ in row[1:])] for row in rows]
        path.unlink()  # it may be a link into DVC's cache
        path.write_text("".join("\t".join(row) + "\n" for row in other))
    assert ran(run(clone, "dvc", "repro", "--single-item", "preprocess")) == ["preprocess"]
    assert ran(run(clone, "dvc", "repro", "--single-item", "train")) == []  # nothing that training reads has changed
    (clone / "models" / "autoencoder.onnx").unlink()
    run(clone, "python", "-m", "stages.train")
    assert (clone / "models" / "autoencoder.onnx").read_bytes() == model


def plots_shown(clone: Path, run: Run, out: Path) -> list[dict]:
    """The Vega-Lite specifications that `dvc plots show` puts on its page; as images, all that there are."""
    log = run(clone, "dvc", "plots", "show", "--out", str(out))
    assert "WARNING" not in log
    assert "ERROR" not in log
    assert "failed to load" not in log
    page = (out / "index.html").read_text()
    assert len(re.findall("<img", page)) == len({path.name for path in (clone / "plots").rglob("*.png")} - BENCHMARKS)
    return [json.loads(found) for found in re.findall(r"var spec = (\{.*?\});\s*vegaEmbed", page, re.DOTALL)]


def test_every_plot_is_shown_with_its_data(clone: Path, run: Run, tmp_path: Path) -> None:
    shown = {
        spec["title"]["text"] if isinstance(spec["title"], dict) else spec["title"]: spec
        for spec in plots_shown(clone, run, tmp_path)
    }
    defined = [plot for plot in yaml.safe_load((clone / "dvc.yaml").read_text())["plots"] if isinstance(plot, dict)]
    titles = [properties["title"] for plot in defined for properties in plot.values() if "title" in properties]
    assert sorted(shown) == sorted(titles)
    assert "vegaEmbed" in (clone / "plots" / "vega.js").read_text()
    for spec in shown.values():
        assert len(spec["data"]["values"]) > 10
        assert "<DVC" not in json.dumps(spec)


def test_the_starting_recipe_is_reached_by_parameters(clone: Path, run: Run, tmp_path: Path) -> None:
    run(clone, "dvc", "exp", "run", *[word for name, value in RECIPE.items() for word in ("-S", f"{name}={value}")])
    metrics = metrics_in(clone, "evaluate")
    assert 0.97 <= metrics["auc"] <= 0.99
    assert 0.93 <= metrics["f1"] <= 0.975
    assert all(spec["data"]["values"] for spec in plots_shown(clone, run, tmp_path))  # the loss has one curve less
    set_param(clone, "calibrate", "method", "conformal")
    assert "set train.folds to 2 or more" in run(clone, "dvc", "repro", fails=True)


@pytest.mark.parametrize(
    ("section", "name", "value", "log"),
    [
        (
            "train",
            "model",
            "transformer",
            "train.model is 'transformer': it should be one of conv1d, dense, lstm, rocket, vae",
        ),
        (
            "models",
            "dense",
            {"hidden": [64], "latent": 0, "noise": 0.0},
            "models.dense: latent is 0: it should be greater",
        ),
        (
            "models",
            "dense",
            {"hidden": [64], "width": 2, "latent": 2, "noise": 0.0},
            "models.dense: width is not a known",
        ),
    ],
)
def test_a_wrong_model_is_reported_before_anything_is_made(
    clone: Path, run: Run, section: str, name: str, value: object, log: str
) -> None:
    set_param(clone, section, name, value)
    assert log in run(clone, "dvc", "repro", fails=True)  # where only train would run
    shutil.rmtree(clone / "data" / "raw")
    shutil.rmtree(clone / "models")
    assert log in run(clone, "python", "-m", "stages.fetch", fails=True)
    assert not (clone / "data" / "raw").exists()
    assert not (clone / "models").exists()


def test_another_architecture_goes_through_the_same_pipeline(clone: Path, run: Run) -> None:
    """The one of which a graph is largest; a sweep in test_experiments.py takes the others."""
    set_param(clone, "train", "model", "lstm")
    set_param(clone, "train", "epochs", 12)
    assert ran(run(clone, "dvc", "repro")) == ["preprocess", "train", "calibrate", "evaluate"]
    metrics = metrics_in(clone, "evaluate")
    assert metrics["auc"] > 0.9
    assert metrics["development_auc"] > 0.9


def test_a_folder_that_cannot_be_written_is_reported_without_a_traceback(clone: Path, run: Run) -> None:
    shutil.rmtree(clone / "data" / "processed")
    (clone / "data" / "processed").write_text("in the way")
    log = run(clone, "python", "-m", "stages.preprocess", fails=True)
    assert "error: " in log
    assert "data/processed" in log
    assert "Traceback" not in log
    (clone / "data" / "processed").unlink()


def test_another_ucr_dataset_comes_by_name(clone: Path, run: Run) -> None:
    for section, name, value in (("fetch", "dataset", "ECG200"), ("train", "epochs", 5), ("train", "folds", 3)):
        set_param(clone, section, name, value)
    log = run(clone, "dvc", "repro")
    assert "no published hash is known" in log
    assert "recall_class_minus_1" in metrics_in(clone, "details")
    assert run(clone, "git", "status", "--porcelain", "--untracked-files=all", "data").strip() == ""


def test_normal_beats_alone_will_do_to_train_on(clone: Path, run: Run, tmp_path: Path) -> None:
    train, test = ((clone / "data" / "raw" / f"ECG5000_{part}.tsv").read_text() for part in ("TRAIN", "TEST"))
    normal = [line for line in train.splitlines(keepends=True) if line.startswith("1\t")]
    (tmp_path / "mine_TRAIN.tsv").write_text("".join(normal))
    (tmp_path / "mine_TEST.tsv").write_text("".join(test.splitlines(keepends=True)[::10]))
    for name, value in (("folder", str(tmp_path)), ("sources", ["."]), ("dataset", "mine")):
        set_param(clone, "fetch", name, value)
    set_param(clone, "train", "epochs", 5)
    assert ran(run(clone, "dvc", "repro")) == STAGES
    metrics = metrics_in(clone, "evaluate")
    assert metrics["auc"] > 0.95
    assert "development_auc" not in metrics


def test_a_deleted_output_comes_back_from_the_cache(clone: Path, run: Run) -> None:
    shutil.rmtree(clone / "models")
    run(clone, "dvc", "checkout")
    outputs = yaml.safe_load((clone / "dvc.lock").read_text())["stages"].values()
    tracked = {out["path"] for stage in outputs for out in stage["outs"] if out["path"].startswith("models/")}
    assert {f"models/{path.name}" for path in (clone / "models").iterdir()} == tracked
    assert ran(run(clone, "dvc", "repro")) == []
