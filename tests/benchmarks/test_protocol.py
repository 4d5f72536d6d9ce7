"""What the stages of benchmarks/dvc.yaml share: tasks, configuration, detectors, labelled beats, figures."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.protocol import configuration as configuration_module
from benchmarks.protocol import detectors, figures, tasks
from benchmarks.protocol.beats import labelled_test_beats, origin
from benchmarks.protocol.configuration import Classical, replaced
from benchmarks.protocol.figures import Curve, Interval, Trace
from benchmarks.protocol.tasks import Result, Task
from ecg import params
from ecg.data.beats import Beats
from ecg.evaluation import metrics
from ecg.exceptions import InputError
from ecg.params import Params
from tests.benchmarks.conftest import prepare
from tests.conftest import ROOT, assert_drawn_alike_whatever_matplotlib_is_set_to


@pytest.fixture
def dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one file that a stage `work` depends on, beside a folder; results go into another folder beside it."""
    path = tmp_path / "dependency.py"
    path.write_text("1")
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "module.py").write_text("1")
    pipeline = tmp_path / "dvc.yaml"
    pipeline.write_text(yaml.safe_dump({"stages": {"work": {"deps": [str(path), str(folder)]}}}))
    monkeypatch.setattr(tasks, "PIPELINE", pipeline)
    monkeypatch.setattr(tasks, "FOLDER", tmp_path / "tasks")
    return path


class Work:
    """Counts its calls, and is interrupted at one of them."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self.done: list[int] = []
        self.interrupted_at = interrupted_at

    def __call__(self, task: Task) -> Result:
        if task["n"] == self.interrupted_at:
            raise KeyboardInterrupt
        self.done.append(task["n"])
        return {"square": np.array(task["n"] ** 2), "row": np.arange(task["n"])}


TASKS = [{"n": n} for n in (3, 1, 2, 1)]


def recomputed() -> list[int]:
    work = Work()
    tasks.compute("work", TASKS, work)
    return work.done


@pytest.mark.usefixtures("dependency")
def test_results_come_in_the_order_of_their_tasks_and_each_task_is_computed_once() -> None:
    work = Work()
    results = tasks.compute("work", TASKS, work)
    assert [int(result["square"]) for result in results] == [9, 1, 4, 1]
    np.testing.assert_array_equal(results[0]["row"], [0, 1, 2])
    assert work.done == [3, 1, 2]


@pytest.mark.usefixtures("dependency")
def test_an_interrupted_run_continues_where_it_stopped() -> None:
    first = Work(interrupted_at=2)
    with pytest.raises(KeyboardInterrupt):
        tasks.compute("work", TASKS, first)
    assert (first.done, recomputed()) == ([3, 1], [2])


@pytest.mark.parametrize(
    "path",
    ["dependency.py", "folder/inner/module.py", "folder/new.py", "folder/table.csv", "folder/inner/deeper/new.py"],
)
def test_a_changed_dependency_makes_every_task_run_again(dependency: Path, path: str) -> None:
    tasks.compute("work", TASKS, Work())
    changed = dependency.parent / path
    changed.parent.mkdir(exist_ok=True)
    changed.write_text("2")
    assert recomputed() == [3, 1, 2]


def test_compiled_python_files_run_nothing_again(dependency: Path) -> None:
    tasks.compute("work", TASKS, Work())
    compiled = dependency.parent / "folder" / "inner" / "__pycache__"
    compiled.mkdir()
    (compiled / "module.cpython-311.pyc").write_bytes(b"\x00")
    assert recomputed() == []


def test_a_changed_comment_or_docstring_runs_nothing_again(dependency: Path) -> None:
    dependency.write_text('"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n')
    tasks.compute("work", TASKS, Work())
    dependency.write_text('"""Docs."""\n\ndef f():  # says 1\n    """Documentation."""\n\n    return 1\n')
    assert recomputed() == []


@pytest.mark.parametrize("scaling", ["none", "filter"])
@pytest.mark.parametrize(("kind", "size"), [("pca", 2), ("knn", 1), ("ocsvm", 0.1), ("lof", 20), ("iforest", 50)])
def test_classical_detectors_separate_anomalous_beats(
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


@pytest.mark.parametrize(
    ("section", "change", "message"),
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
def test_a_wrong_configuration_is_refused_with_the_parameter(
    tmp_path: Path, section: str, change: dict, message: str
) -> None:
    record = yaml.safe_load((ROOT / "benchmarks" / "params.yaml").read_text())
    record[section] |= change
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(record))
    with pytest.raises(InputError) as refused:
        configuration_module.load(path)
    assert message in str(refused.value)


def test_a_missing_configuration_is_refused_with_the_folder_to_run_in(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run from the root of the repository"):
        configuration_module.load(tmp_path / "params.yaml")


def test_replacing_changes_the_named_settings_alone_and_not_the_old_object(committed: Params) -> None:
    before = committed.model_dump()
    changed = replaced(committed, {"models.dense.latent": 7, "train.warp": 0.5})
    assert committed.model_dump() == before
    after = changed.model_dump()
    assert (after["models"]["dense"].pop("latent"), after["train"].pop("warp")) == (7, 0.5)
    del before["models"]["dense"]["latent"], before["train"]["warp"]
    assert after == before


def test_replaced_settings_take_precedence_over_the_overrides_for_recordings(committed_for_recordings: Params) -> None:
    before = committed_for_recordings
    assert (before.preprocess.scaling, before.train.warp, before.models["dense"]["latent"]) == ("none", 0.0, 16)
    changed = replaced(before, {"preprocess.scaling": "standard", "models.dense.latent": 3})
    assert (changed.preprocess.scaling, changed.train.warp, changed.models["dense"]["latent"]) == ("standard", 0.0, 3)


@pytest.mark.parametrize(
    "name", ["models.dense.latnt", "modles.dense.latent", "train.epochs.more", "train.epochs.a.b", "epochs"]
)
def test_an_unknown_parameter_is_refused(committed: Params, name: str) -> None:
    with pytest.raises(InputError, match=rf"^benchmarks/params\.yaml: {name} is not a parameter in params\.yaml$"):
        replaced(committed, {name: 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train.model": "densee"}, "train.model is 'densee': it should be one of conv1d, dense, lstm, rocket, vae"),
        ({"train.epochs": 0}, "train.epochs is 0: it should be greater than or equal to 1"),
        ({"train.model": "vae", "models.vae.beta": -1.0}, "models.vae: beta is -1.0: it should be greater"),
    ],
)
def test_a_value_that_is_not_accepted_is_refused_with_the_name_of_its_file(
    committed: Params, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        replaced(committed, change)
    assert str(refused.value).startswith(f"benchmarks/params.yaml: {message}")


def test_unlabelled_beats_of_a_recording_are_left_out(
    tmp_path: Path, train: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = np.array([1, 0, 2, 0, 3, 1], np.int32)
    samples = np.arange(6.0)[:, None] * np.ones(140)
    monkeypatch.chdir(prepare(tmp_path / "prepared", train, Beats(samples, classes), source="recording"))
    labelled = labelled_test_beats(origin(params.load()), 1)
    assert labelled.samples[:, 0].tolist() == [0, 2, 4, 5]
    assert labelled.anomalous.tolist() == [False, True, True, False]


def test_in_an_archive_class_0_is_a_class_like_others(
    tmp_path: Path, train: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = Beats(np.zeros((3, 140)), np.array([1, 0, 1], np.int32))
    monkeypatch.chdir(prepare(tmp_path / "prepared", train, test))
    assert labelled_test_beats(origin(params.load()), 1).anomalous.tolist() == [False, True, False]


@pytest.mark.parametrize(("classes", "counted"), [([1, 0, 1], "0 of 2"), ([2, 0, 2], "2 of 2"), ([0, 0, 0], "0 of 0")])
def test_without_labelled_beats_of_both_kinds_nothing_is_measured(
    tmp_path: Path, train: Beats, monkeypatch: pytest.MonkeyPatch, classes: list[int], counted: str
) -> None:
    test = Beats(np.zeros((3, 140)), np.array(classes, np.int32))
    monkeypatch.chdir(prepare(tmp_path / "prepared", train, test, source="recording"))
    with pytest.raises(InputError, match=f"^data/processed/test.npz: {counted} labelled beats are anomalous"):
        labelled_test_beats(origin(params.load()), 1)


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
