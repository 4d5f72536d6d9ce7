"""The stages development and benchmark: which settings to choose, and which detector is better."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare, coverage, development
from benchmarks.protocol.beats import origin
from benchmarks.protocol.configuration import Configuration, replaced
from benchmarks.protocol.fits import architecture_task, detector_task
from benchmarks.protocol.tasks import Result, Task
from ecg import params
from ecg.data.beats import Beats
from ecg.evaluation.metrics import Placements
from ecg.params import Params
from tests.benchmarks.conftest import prepare, with_unlabelled
from tests.conftest import ROOT

PUBLISHED = 0.9879  # the best AUC of a detector without labels (Matias et al. 2021)


def test_variations_are_none_and_then_every_combination() -> None:
    grids = [{"a.b": [1, 2]}, {"c": [3], "d": [4, 5]}]
    assert list(development.variations(grids)) == [
        {},
        {"a.b": 1},
        {"a.b": 2},
        {"c": 3, "d": 4},
        {"c": 3, "d": 5},
    ]


@pytest.mark.parametrize("source", ["archive", "recording"])
def test_every_candidate_changes_known_parameters(configuration: Configuration, source: str) -> None:
    record = params.read(ROOT / "params.yaml")
    record["fetch"]["source"] = source
    candidates = list(development.architectures(params.parse(record, "params.yaml"), configuration))
    assert {candidate.detector for candidate in candidates} == set(record["models"])
    changes = [(candidate.detector, candidate.change) for candidate in candidates]
    assert len(changes) == len(set(changes))
    tasks = [json.dumps(candidate.task, sort_keys=True) for candidate in candidates]
    assert len(tasks) == len(set(tasks))  # no setting has two names


@pytest.mark.parametrize("main", [development.main, coverage.main])
def test_as_many_tasks_are_computed_at_once_as_there_are_cores_that_this_process_may_use(
    main: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_stage: str, _tasks: list[Task], _work: object, workers: int) -> None:
        raise SystemExit(f"{workers} workers")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(f"{main.__module__}.compute", compute)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with pytest.raises(SystemExit, match=r"^1 workers$"):
            main()
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture(scope="module")
def measured(archive: Path, committed: Params, configuration: Configuration) -> Callable[[str], Result]:
    """The comparison's figures of a detector, with the settings as committed and the committed seed."""
    done: dict[str, Result] = {}

    def measured(name: str) -> Result:
        if name not in done:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(archive)
                done[name] = compare.measure(comparison_task(name, committed, configuration))
        return done[name]

    return measured


def comparison_task(name: str, settings: Params, configuration: Configuration) -> Task:
    work = {"calibrate": settings.calibrate.model_dump(), "origin": origin(settings), "seed": settings.train.seed}
    return detector_task(name, settings, configuration) | work


def test_the_default_detector_beats_every_classical_one_that_takes_beats_as_they_come(
    measured: Callable[[str], Result], committed: Params, configuration: Configuration, test: Beats
) -> None:
    ours, anomalous = measured(committed.train.model), test.classes != 1
    assert ours["auc"] >= 0.995
    assert ours["average_precision"] >= 0.990
    raw = [name for name, settings in configuration.benchmark.classical.items() if settings.scaling == "none"]
    assert len(raw) == 5
    placements = Placements.of(ours["score"][~anomalous], ours["score"][anomalous])
    for name in raw:
        score = measured(name)["score"]
        theirs = Placements.of(score[~anomalous], score[anomalous])
        _, low, _ = Placements(placements.normal - theirs.normal, placements.anomalous - theirs.anomalous).interval()
        assert low > 0, name


def test_dense_architectures_are_above_the_best_published_unsupervised_figure(
    measured: Callable[[str], Result],
) -> None:
    """So are conv1d and lstm, which take too long to fit here: metrics/benchmark.csv."""
    assert min(measured("dense")["auc"], measured("vae")["auc"]) > PUBLISHED


def test_in_development_the_chosen_settings_beat_those_without_the_filter_or_without_variation(
    archive: Path, committed: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(archive)
    changes = [{}, {"preprocess.scaling": "none"}, {"train.warp": 0.0, "train.wander": 0.0}]
    tasks = [architecture_task(replaced(committed, change)) | {"seed": 0} for change in changes]
    chosen, *others = [float(development.measure(task)["auc"]) for task in tasks]
    assert chosen > 0.998
    assert max(others) < chosen - 0.001


def test_unlabelled_beats_change_nothing_in_the_comparison(
    tmp_path: Path,
    train: Beats,
    test: Beats,
    configuration: Configuration,
    committed_for_recordings: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = comparison_task("pca", committed_for_recordings, configuration)
    results = []
    for name, beats in (("labelled", test), ("both", with_unlabelled(test))):
        monkeypatch.chdir(prepare(tmp_path / name, train, beats, source="recording"))
        results.append(compare.measure(task))
    labelled, both = results
    assert both["auc"] > 0.98
    for figure in ("development_auc", "auc", "average_precision", "f1", "false_positive_rate", "score"):
        np.testing.assert_array_equal(both[figure], labelled[figure])
