"""The stages coverage and drift: whether thresholds keep their promise."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import coverage, drift
from benchmarks.protocol.configuration import Configuration
from benchmarks.protocol.tasks import Result, Task
from ecg import models
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.params import Params
from ecg.training import fitting
from ecg.training.export import to_onnx
from ecg.training.scaling import Scaling
from tests.benchmarks.conftest import configure, prepare, ship, with_unlabelled
from tests.conftest import FACTS

REDRAWN = "pca, filtered"


def one_by_one(_stage: str, tasks: Sequence[Task], work: Callable[[Task], Result], workers: int) -> list[Result]:
    assert workers >= 1
    return [work(task) for task in tasks]


def measured_coverage(folder: Path, redraws: int) -> Path:
    """Run the stage in a folder, for filtered principal components alone."""
    configure(folder, coverage={"redraws": {REDRAWN: redraws}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(coverage, "compute", one_by_one)
        coverage.main()
    return folder / "metrics"


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory, train: Beats, test: Beats) -> Path:
    return measured_coverage(prepare(tmp_path_factory.mktemp("redrawn") / "folder", train, test), redraws=40)


def by_alpha(metrics: Path, method: str) -> pd.DataFrame:
    table = pd.read_csv(metrics / "coverage.csv")
    assert (table["redraws"] == 40).all()
    return table[table["method"] == method].set_index("alpha")


def test_over_redraws_the_conformal_rate_is_about_the_one_that_is_attainable_and_not_above(redrawn: Path) -> None:
    table = by_alpha(redrawn, "conformal")
    assert list(table.index) == [0.01, 0.05, 0.1]
    assert table.loc[0.01, "promised"] == pytest.approx(2 / 293, rel=1e-5)
    assert table["ratio"].between(0.7, 1.05).all()


def test_over_redraws_the_conditional_promise_is_broken_at_most_as_often_as_it_says(
    redrawn: Path, committed: Params
) -> None:
    delta, conditional = committed.calibrate.delta, by_alpha(redrawn, "conformal_conditional")
    by_chance = 2 * np.sqrt(delta * (1 - delta) / conditional["redraws"])
    assert (conditional["share_above_alpha"] <= delta + by_chance).all()
    assert (by_alpha(redrawn, "conformal")["share_above_alpha"] > delta + by_chance).all()  # it promises a mean only


def test_over_redraws_a_rare_rate_is_within_a_factor_of_three_and_a_frequent_one_near(redrawn: Path) -> None:
    ratio = by_alpha(redrawn, "pot")["ratio"]
    assert 1 / 3 <= ratio[0.001] <= 3
    assert 0.8 <= ratio[0.05] <= 1.2


def test_over_redraws_false_discoveries_stay_at_their_level(redrawn: Path) -> None:
    table = pd.read_csv(redrawn / "discoveries.csv").set_index(["p_values", "prevalence"])
    assert set(table.index) == {(p, share) for p in ("conformal", "pot") for share in (0.01, 0.05, 0.3)}
    assert (table["false_discoveries"] <= table["fdr"] + table["standard_error"]).all()
    assert (table["power"].xs(0.3, level="prevalence") > 0.6).all()


Shipped = tuple[bytes, TrainingErrors]  # the model's file, and the errors for its calibration


@pytest.fixture(scope="module")
def shipped(normal: np.ndarray, committed: Params) -> Shipped:
    """The output of the train stage with the committed parameters."""
    build = partial(models.build, committed.train.model, committed.models)
    fit = fitting.fit(normal, Scaling.fit(normal, committed.preprocess), build, committed.train)
    return to_onnx(fit.ensemble, normal, FACTS), TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error)


def measured_drift(folder: Path, shipped: Shipped, **changes: object) -> pd.DataFrame:
    """Run the stage in a folder."""
    ship(folder, *shipped)
    configure(folder, drift=changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drift.main()
    return pd.read_csv(folder / "metrics" / "drift.csv").set_index("threshold")


def test_under_drift_the_adaptive_threshold_returns_to_alpha_and_keeps_its_recall(
    tmp_path: Path, train: Beats, test: Beats, shipped: Shipped
) -> None:
    folder = prepare(tmp_path / "folder", train, test)
    table = measured_drift(folder, shipped, streams=5, prevalences=[0.1])
    assert list(table.index) == ["fixed", "conformal"]
    fixed, adaptive = table.loc["fixed"], table.loc["conformal"]
    assert fixed["false_alarm_rate_settled"] > 0.2
    assert abs(adaptive["false_alarm_rate_settled"] - adaptive["alpha"]) <= 0.02
    assert adaptive["recall_steady"] - adaptive["recall_settled"] <= 0.05
    assert (folder / "plots" / "drift.png").is_file()


def test_drift_scales_shifts_and_stretches_a_beat(normal: np.ndarray, configuration: Configuration) -> None:
    settings = configuration.drift
    none, plain = np.zeros(len(normal)), settings.model_copy(update={"warp": 0.0})
    np.testing.assert_allclose(drift.drifted(normal, none, settings), normal, rtol=1e-6)
    half = drift.drifted(normal, none + 0.5, plain)
    np.testing.assert_allclose(half, normal * (1 + settings.scale / 2) + settings.shift / 2, rtol=1e-5, atol=1e-5)
    ramp = np.tile(np.arange(140.0), (1, 1))
    stretched = drift.drifted(ramp, np.ones(1), settings.model_copy(update={"scale": 0.0, "shift": 0.0, "warp": 0.5}))
    np.testing.assert_allclose(stretched[0], 69.5 + (ramp[0] - 69.5) / 2, rtol=1e-6)


def test_unlabelled_beats_change_no_measured_rate(tmp_path: Path, train: Beats, test: Beats, shipped: Shipped) -> None:
    tables = []
    for name, beats in (("labelled", test), ("both", with_unlabelled(test))):
        folder = prepare(tmp_path / name, train, beats, source="recording")
        short = {"steady": 50, "ramp": 50, "settling": 50, "settled": 50}
        streams = measured_drift(folder, shipped, streams=2, prevalences=[0.3], **short)
        redrawn = pd.read_csv(measured_coverage(folder, redraws=2) / "coverage.csv")
        tables.append((streams, redrawn))
    (streams, redrawn), (streams_of_both, redrawn_of_both) = tables
    pd.testing.assert_frame_equal(streams_of_both, streams)
    pd.testing.assert_frame_equal(redrawn_of_both, redrawn)
