import numpy as np
import pytest

from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector.detector import Detector
from ecg.detector.thresholds import LABELLED, METHODS, calibrate
from ecg.detector.verdicts import Verdicts
from ecg.evaluation import reliability
from ecg.evaluation.metrics import ConfusionMatrix
from tests.conftest import calibrating


@pytest.fixture(scope="module")
def verdicts(detector: Detector, test: Beats) -> Verdicts:
    return detector.score(test.samples)


@pytest.mark.parametrize("method", METHODS)
def test_the_rate_at_an_alpha_is_that_of_the_alarms_when_calibrated_for_it(
    errors: TrainingErrors, verdicts: Verdicts, method: str
) -> None:
    alphas = np.array([0.02, 0.05, 0.2])
    rates = reliability.alarm_rates(method, errors, calibrating(), verdicts.score, verdicts.member_score, alphas)
    for alpha, rate in zip(alphas, rates, strict=True):
        settings = calibrating(method=method, alpha=float(alpha), percentile=100 * (1 - float(alpha)))
        calibration = calibrate(errors, settings, "")
        p = calibration.p(verdicts.score, verdicts.member_score)
        assert rate == pytest.approx(calibration.anomalous(verdicts.score, p).mean(), abs=1e-3)


def test_every_method_has_a_curve_and_one_band(errors: TrainingErrors, verdicts: Verdicts) -> None:
    alphas = np.array([0.001, 0.05, 0.2])
    table = reliability.curves(errors, calibrating(), verdicts, alphas).to_dict("records")
    assert [row["method"] for row in table] == [m for m in METHODS for _ in alphas]
    for row in table:
        band = row["chance_low"], row["chance_high"]
        assert band == (0, 0) if row["alpha"] == 0.001 else band[0] < row["alpha"] < band[1]


def test_without_held_out_errors_the_percentile_is_left(errors: TrainingErrors, verdicts: Verdicts) -> None:
    fitted = TrainingErrors(errors.fold, errors.fitted, None)
    assert reliability.curves(fitted, calibrating(), verdicts, np.array([0.05]))["method"].tolist() == ["percentile"]
    anomalous = np.arange(len(verdicts.score)) % 2 == 0
    table = reliability.methods(fitted, calibrating(), verdicts.score, verdicts, anomalous)
    assert table["method"].tolist() == [*METHODS, *LABELLED]
    missing = table["method"][table["false_positive_rate"].isna()].tolist()
    assert missing == ["conformal", "conformal_conditional", "pot"]


def test_the_methods_are_compared_on_the_same_beats(
    errors: TrainingErrors, detector: Detector, train: Beats, test: Beats, verdicts: Verdicts
) -> None:
    anomalous = test.classes != 1
    development = detector.model.scores(train.samples[train.classes != 1])
    table = reliability.methods(errors, calibrating(), development, verdicts, anomalous)
    assert list(table) == reliability.METHOD_COLUMNS
    table = table.set_index("method").to_dict("index")
    matrix = ConfusionMatrix.of(verdicts.anomalous, anomalous)
    assert table["conformal"]["f1"] == matrix.f1
    assert table["conformal"]["false_positive_rate"] == matrix.false_positive_rate
    assert [name for name, row in table.items() if row["uses_labels"]] == ["f1"]
    assert [name for name, row in table.items() if np.isnan(row["promised_rate"])] == ["f1"]
    for row in table.values():
        assert row["ci95_low"] < row["false_positive_rate"] < row["ci95_high"]
    assert table["conformal_conditional"]["false_positive_rate"] < table["conformal"]["false_positive_rate"]
