import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import cells, detectors, development, drift, figures
from benchmarks import configuration as configuration_module
from benchmarks.cells import Cell, Result
from benchmarks.configuration import Classical
from benchmarks.figures import Curve, Interval, Trace
from ecg import metrics, params
from ecg.beats import Beats
from ecg.exceptions import InputError
from ecg.params import Params
from tests.conftest import (
    DECIDE_NOTHING,
    ROOT,
    Run,
    assert_drawn_alike_whatever_matplotlib_is_set_to,
    metrics_in,
    set_param,
)


@pytest.fixture
def dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one file that a stage `work` depends on; cells go into a folder beside it."""
    path = tmp_path / "dependency.py"
    path.write_text("1")
    pipeline = tmp_path / "dvc.yaml"
    pipeline.write_text(yaml.safe_dump({"stages": {"work": {"deps": [str(path)]}}}))
    monkeypatch.setattr(cells, "PIPELINE", pipeline)
    monkeypatch.setattr(cells, "FOLDER", tmp_path / "cells")
    return path


class Work:
    """Counts its calls, and is interrupted at one of them."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self.done: list[int] = []
        self.interrupted_at = interrupted_at

    def __call__(self, cell: Cell) -> Result:
        if cell["n"] == self.interrupted_at:
            raise KeyboardInterrupt
        self.done.append(cell["n"])
        return {"square": np.array(cell["n"] ** 2), "row": np.arange(cell["n"])}


TASKS = [{"n": n} for n in (3, 1, 2, 1)]


@pytest.mark.usefixtures("dependency")
def test_results_come_in_the_order_of_their_cells_and_each_cell_is_computed_once() -> None:
    work = Work()
    results = cells.compute("work", TASKS, work)
    assert [int(result["square"]) for result in results] == [9, 1, 4, 1]
    np.testing.assert_array_equal(results[0]["row"], [0, 1, 2])
    assert work.done == [3, 1, 2]


@pytest.mark.usefixtures("dependency")
def test_an_interrupted_run_goes_on_where_it_stopped() -> None:
    first = Work(interrupted_at=2)
    with pytest.raises(KeyboardInterrupt):
        cells.compute("work", TASKS, first)
    second = Work()
    cells.compute("work", TASKS, second)
    assert (first.done, second.done) == ([3, 1], [2])


def test_a_changed_dependency_makes_every_cell_run_again(dependency: Path) -> None:
    cells.compute("work", TASKS, Work())
    dependency.write_text("2")
    work = Work()
    cells.compute("work", TASKS, work)
    assert work.done == [3, 1, 2]


def test_another_comment_or_docstring_runs_nothing(dependency: Path) -> None:
    dependency.write_text('"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n')
    cells.compute("work", TASKS, Work())
    dependency.write_text('"""Docs."""\n\ndef f():  # says 1\n    """Documentation."""\n\n    return 1\n')
    work = Work()
    cells.compute("work", TASKS, work)
    assert work.done == []


@pytest.mark.parametrize("scaling", ["none", "filter"])
@pytest.mark.parametrize(("kind", "size"), [("pca", 2), ("knn", 1), ("ocsvm", 0.1), ("lof", 20), ("iforest", 50)])
def test_classical_detectors_tell_anomalous_beats(
    normal: np.ndarray, train: Beats, committed: Params, kind: str, size: float, scaling: str
) -> None:
    settings = Classical(kind=kind, scaling=scaling, size=size)
    fitted = detectors.fit_classical(settings, committed.preprocess, 5, 0, normal)
    anomalous = train.samples[train.classes != 1].astype(np.float32)
    by_fold = fitted.member_scores(anomalous)
    assert by_fold.shape == (len(anomalous), 5)
    for score in (fitted.score(anomalous), by_fold.mean(axis=1)):
        assert metrics.auc_with_interval(fitted.errors.held_out, score)[0] > 0.9


def test_a_held_out_score_is_by_a_fit_that_did_not_see_the_beat(normal: np.ndarray, committed: Params) -> None:
    settings = Classical(kind="knn", scaling="none", size=1)
    fitted = detectors.fit_classical(settings, committed.preprocess, 5, 0, normal)
    np.testing.assert_allclose(fitted.score(normal), 0, atol=1e-2)  # each is its own nearest neighbour
    held_out, fold = fitted.errors.held_out, fitted.errors.fold
    assert (held_out > 1).all()
    np.testing.assert_allclose(held_out, fitted.member_scores(normal)[np.arange(len(normal)), fold], atol=1e-2)
    distances = np.linalg.norm(normal[:, None].astype(float) - normal, axis=2) + np.diag(np.full(len(normal), np.inf))
    assert (held_out >= distances.min(axis=1) - 1e-3).all()


def test_variations_are_none_and_then_every_combination() -> None:
    grids = [{"a.b": [1, 2]}, {"c": [3], "d": [4, 5]}]
    assert list(development.variations(grids)) == [
        {},
        {"a.b": 1},
        {"a.b": 2},
        {"c": 3, "d": 4},
        {"c": 3, "d": 5},
    ]


def test_a_replaced_parameter_leaves_the_original_alone() -> None:
    record = {"models": {"dense": {"latent": 2}}}
    assert development.replaced(record, {"models.dense.latent": 3}) == {"models": {"dense": {"latent": 3}}}
    assert record == {"models": {"dense": {"latent": 2}}}


@pytest.mark.parametrize(
    ("section", "change", "told"),
    [
        ("benchmark", {"seeds": 1}, "benchmark.seeds is 1: it should be greater than or equal to 2"),
        ("benchmark", {"classical": {"x": {"kind": "svm", "scaling": "none", "size": 1}}}, "x.kind is 'svm'"),
        ("coverage", {"rare": 0.0}, "coverage.rare is 0.0: it should be greater than 0"),
        ("coverage", {"redraws": {"dense": 1}}, "coverage.redraws.dense is 1"),
        ("drift", {"streams": 0}, "drift.streams is 0"),
        ("development", {"repeats": "5"}, "development.repeats is '5'"),
        ("development", {"architectures": {"dense": {"train.epochs": [1]}}}, "development.architectures.dense is"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path: Path, section: str, change: dict, told: str) -> None:
    record = yaml.safe_load((ROOT / "benchmarks" / "params.yaml").read_text())
    record[section] |= change
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(record))
    with pytest.raises(InputError) as refused:
        configuration_module.load(path)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "name", ["models.dense.latnt", "modles.dense.latent", "train.epochs.more", "train.epochs.a.b", "epochs"]
)
def test_a_candidate_with_an_unknown_parameter_is_told(name: str) -> None:
    record = yaml.safe_load((ROOT / "params.yaml").read_text())
    with pytest.raises(InputError, match=rf"benchmarks/params\.yaml: {name} is not a parameter in params\.yaml"):
        development.replaced(record, {name: 1})


def test_every_candidate_is_made_of_parameters_that_there_are() -> None:
    record = params.read(ROOT / "params.yaml")
    configuration = configuration_module.load(ROOT / "benchmarks" / "params.yaml")
    candidates = list(development.architectures(record, configuration))
    assert {name for name, _, _ in candidates} == set(record["models"])
    changes = [(name, change) for name, change, _ in candidates]
    assert len(changes) == len(set(changes))
    cells = [json.dumps(cell, sort_keys=True) for _, _, cell in candidates]
    assert len(cells) == len(set(cells))  # no setting comes under two names


def test_a_stage_of_the_benchmark_depends_on_every_module_it_imports(environment: dict[str, str]) -> None:
    def imported(module: str) -> set[str]:
        code = (
            f"import sys, {module}; print(*[m.__file__ for n, m in sys.modules.items()"
            " if n.split('.')[0] in ('ecg', 'benchmarks', 'stages')], sep='\\n')"
        )
        command = [sys.executable, "-c", code]
        told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        return {Path(line).relative_to(ROOT).as_posix() for line in told.splitlines()}

    stages = yaml.safe_load((ROOT / "benchmarks" / "dvc.yaml").read_text())["stages"].values()
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(imported, [stage["cmd"].split()[-1] for stage in stages]))
    for stage, modules in zip(stages, found, strict=True):
        declared = {path for path in stage["deps"] if path.endswith(".py")}
        if "ecg/models" in stage["deps"]:
            declared.add("ecg/models/__init__.py")
        assert modules - DECIDE_NOTHING - {"ecg/models/__init__.py"} <= declared
        assert declared - modules <= {"ecg/layers.py"}  # which the architectures import


def committed_table(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "metrics" / f"{name}.csv", keep_default_na=False)


def test_the_committed_benchmark_is_of_every_detector_under_every_seed() -> None:
    table = committed_table("benchmark")
    configuration = configuration_module.load(ROOT / "benchmarks" / "params.yaml").benchmark
    detectors = {*configuration.classical, *params.load(ROOT / "params.yaml").models}
    assert set(table["detector"]) == detectors
    assert (table.groupby("detector")["seed"].nunique() == configuration.seeds).all()


def test_the_default_detector_beats_every_classical_one_that_takes_beats_as_they_come() -> None:
    table, comparison = committed_table("benchmark"), committed_table("comparison").set_index("detector")
    default = params.load(ROOT / "params.yaml").train.model
    means = table[table["detector"] == default][["auc", "average_precision"]].mean()
    assert means["auc"] >= 0.995
    assert means["average_precision"] >= 0.990
    classical = configuration_module.load(ROOT / "benchmarks" / "params.yaml").benchmark.classical
    raw = [name for name, settings in classical.items() if settings.scaling == "none"]
    assert len(raw) == 5
    assert (comparison.loc[raw, "auc_ci95_low"] > 0).all()


def test_the_defaults_rank_first_in_development_but_for_those_that_the_readme_explains() -> None:
    table = committed_table("development")
    rank = table[table["chosen"] == "yes"].set_index("detector")["rank"]
    assert rank.drop(["conv1d", "vae"]).eq(1).all()
    assert rank["conv1d"] == rank["vae"] == 2


def test_every_architecture_is_above_the_best_published_unsupervised_figure() -> None:
    table = committed_table("benchmark")
    for name in params.load(ROOT / "params.yaml").models:
        assert table[table["detector"] == name]["auc"].mean() >= 0.988


def test_a_missing_configuration_is_told_with_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run from the root of the repository"):
        configuration_module.load(tmp_path / "params.yaml")


def committed_coverage(method: str) -> pd.DataFrame:
    table = committed_table("coverage")
    return table[table["method"] == method].set_index(["detector", "alpha"])


def test_over_redraws_the_conformal_rate_is_the_one_that_is_attainable() -> None:
    table = committed_coverage("conformal")
    assert (table["redraws"] >= 100).all()
    assert set(table.loc["dense"].index) == {0.01, 0.05, 0.1}
    assert table.loc[["dense", "nearest neighbour, filtered"], "ratio"].between(0.85, 1.05).all()
    assert (table["ratio"] <= 1.05).all()


def test_over_redraws_the_conditional_promise_is_broken_at_most_as_often_as_it_says() -> None:
    delta = params.load(ROOT / "params.yaml").calibrate.delta
    assert (committed_coverage("conformal_conditional")["share_above_alpha"] <= delta).all()


def test_over_redraws_a_rare_rate_of_the_default_detector_is_within_a_factor_of_two() -> None:
    assert 0.5 <= committed_coverage("pot").loc[("dense", 0.001), "ratio"] <= 2


def test_over_redraws_false_discoveries_stay_at_their_level() -> None:
    table = committed_table("discoveries")
    assert set(table["prevalence"]) == {0.01, 0.05, 0.3}
    assert (table["false_discoveries"] <= table["fdr"] + table["standard_error"]).all()


def test_under_drift_adaptive_thresholds_come_back_to_alpha_and_keep_their_recall() -> None:
    table = committed_table("drift").set_index("threshold")
    few = table[table["prevalence"] <= 0.1]
    adaptive, fixed = few.drop("fixed"), few.loc["fixed"]
    assert (fixed["false_alarm_rate_settled"] > 0.2).all()
    assert (adaptive["false_alarm_rate_settled"] - adaptive["alpha"]).abs().max() <= 0.02
    assert (adaptive["recall_steady"] - adaptive["recall_settled"]).max() <= 0.05


def test_drift_changes_a_beat_as_it_says(normal: np.ndarray) -> None:
    settings = configuration_module.load(ROOT / "benchmarks" / "params.yaml").drift
    none, plain = np.zeros(len(normal)), settings.model_copy(update={"warp": 0.0})
    np.testing.assert_allclose(drift.drifted(normal, none, settings), normal, rtol=1e-6)
    half = drift.drifted(normal, none + 0.5, plain)
    np.testing.assert_allclose(half, normal * (1 + settings.scale / 2) + settings.shift / 2, rtol=1e-5, atol=1e-5)
    ramp = np.tile(np.arange(140.0), (1, 1))
    stretched = drift.drifted(ramp, np.ones(1), settings.model_copy(update={"scale": 0.0, "shift": 0.0, "warp": 0.5}))
    np.testing.assert_allclose(stretched[0], 69.5 + (ramp[0] - 69.5) / 2, rtol=1e-6)


def test_figures_of_the_experiments_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    alpha = np.logspace(-3, -1, 9)
    draw = {
        "curves": lambda path: figures.draw_curves(path, {"a": [Curve("pot", alpha, alpha, alpha / 2, alpha * 2)]}),
        "traces": lambda path: figures.draw_traces(
            path, [Trace("fixed", alpha, alpha)], 0.05, {"steady": 0, "ramp": 4}
        ),
        "intervals": lambda path: figures.draw_intervals(path, [Interval("a", 0.9, 0.8, 0.95, ours=True)], "AUC"),
    }
    for figure in draw.values():
        assert_drawn_alike_whatever_matplotlib_is_set_to(figure, tmp_path)


def test_what_the_detector_gets_wrong_is_counted(clone: Path, run: Run) -> None:
    told = run(clone, "python", "-m", "benchmarks.errors")
    metrics = metrics_in(clone, "evaluate")
    assert f"the AUC lacks {1 - metrics['auc']:.4f} to 1" in told
    assert f"{metrics['false_positives']} false alarms" in told
    assert sum(map(int, re.findall(r"(\d+) misses of", told))) == metrics["false_negatives"]


def test_the_benchmark_is_a_pipeline_of_its_own_and_is_resumed(clone: Path, run: Run) -> None:
    set_param(clone, "train", "epochs", 2)
    assert "benchmarks/" not in run(clone, "dvc", "repro", "--dry")
    path = clone / "benchmarks" / "params.yaml"
    record = yaml.safe_load(path.read_text())
    classical = {"nearest neighbour": {"kind": "knn", "scaling": "none", "size": 1}}
    path.write_text(yaml.safe_dump(record | {"benchmark": {"seeds": 2, "classical": classical}}))
    command = ["dvc", "repro", "--single-item", "benchmarks/dvc.yaml:benchmark"]
    told = run(clone, *command)
    assert "| nearest neighbour | 0.9932 ± 0.0000 |" in told
    tables = [clone / "metrics" / "benchmark.csv", clone / "metrics" / "comparison.csv"]
    before = [table.read_text() for table in tables]
    assert [len(text.splitlines()) for text in before] == [1 + 5 * 2, 1 + 4]
    tables[0].unlink()
    run(clone, *command)  # had a cell been run again, its seconds would differ
    assert [table.read_text() for table in tables] == before
