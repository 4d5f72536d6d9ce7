"""The view in which alpha is chosen."""

import re
from pathlib import Path

import numpy as np
import pytest

from ecg.dashboard import threshold
from ecg.data import beats
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import CALIBRATION, Detector
from ecg.evaluation.metrics import ConfusionMatrix
from ecg.evaluation.provenance import PROVENANCE
from tests.conftest import calibrating
from tests.dashboard.conftest import Open, drawn, messages, switched, with_errors_of_fitted_beats


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.5])
def test_the_figures_are_those_of_the_chosen_alpha(opened: Open, detector: Detector, test: Beats, alpha: float) -> None:
    verdicts, anomalous = detector.score(test.samples), test.classes != 1
    alarms = verdicts.p_value <= alpha * (1 + 1e-12)
    counts = ConfusionMatrix.of(alarms, anomalous)
    app = opened("Threshold")
    drawn(app.select_slider(key="alpha").set_value(alpha).run())
    (matrix,) = [text.value for text in app.markdown if text.value.startswith("| | alarm")]
    cells = re.findall(r"\[\*\*([\d,]+)\*\* ([\w ]+)\]", matrix)
    assert cells == [
        (f"{counts.true_positives:,}", "true positives"),
        (f"{counts.false_negatives:,}", "misses"),
        (f"{counts.false_positives:,}", "false alarms"),
        (f"{counts.true_negatives:,}", "true negatives"),
    ]
    assert {metric.label: metric.value for metric in app.metric} == {
        "False-alarm rate": f"{counts.false_positive_rate:.2%}",
        "Recall": f"{counts.recall:.4f}",
        "Precision": f"{counts.precision:.4f}",
        "F1": f"{counts.f1:.4f}",
    }
    assert app.metric[0].delta == f"promised {int(alpha * 293 + 1e-9) / 293:.2%}"
    false, missed = (set(table.value["test beat"]) for table in app.dataframe)
    assert false == set(np.flatnonzero(alarms & ~anomalous))
    assert missed == set(np.flatnonzero(~alarms & anomalous))
    assert [heading.value for heading in app.subheader][2:] == [
        f"False alarms: {len(false):,}",
        f"Misses: {len(missed):,}",
    ]


def test_the_worst_false_alarms_and_misses_come_first(opened: Open) -> None:
    false, missed = (table.value["score"].to_numpy() for table in opened("Threshold").dataframe)
    assert (np.diff(false) <= 0).all()
    assert (np.diff(missed) >= 0).all()


def test_alpha_holds_for_all_views(opened: Open, detector: Detector, test: Beats) -> None:
    app = opened("Threshold")
    assert "at most 0.05 (as calibrated)" in app.caption[0].value
    app.select_slider(key="alpha").set_value(0.2).run()
    app = switched(app, "Beats")
    assert "at most 0.2 (calibrated: at most 0.05)" in app.caption[0].value
    app.segmented_control(key="verdict").set_value("Alarms").run()
    alarms = detector.score(test.samples, 0.2).anomalous.sum()
    assert f"{alarms:,} of 4,500 test beats" in [caption.value for caption in app.caption]
    assert switched(app, "Threshold").select_slider(key="alpha").value == 0.2


def test_without_p_values_the_verdicts_are_as_calibrated_and_a_message_says_so(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors, test: Beats
) -> None:
    with_errors_of_fitted_beats(models, detector, errors)
    app = opened("Threshold")
    assert not app.select_slider
    assert "Alpha is fixed: the model was calibrated without held-out beats" in messages(app)
    alarms = Detector.load(models).score(test.samples).anomalous
    assert app.subheader[2].value == f"False alarms: {(alarms & (test.classes == 1)).sum():,}"
    assert app.metric[0].delta == "none promised"


def test_where_the_method_has_no_alpha_the_slider_starts_as_calibrated(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors, test: Beats
) -> None:
    calibration = thresholds.calibrate(errors, calibrating(method="percentile"), detector.model.sha256)
    calibration.save(models / CALIBRATION)
    (models / PROVENANCE).unlink()
    app = opened("Threshold")
    assert app.select_slider(key="alpha").value is None
    for alpha in (None, 0.1):
        drawn(app.select_slider(key="alpha").set_value(alpha).run())
        alarms = Detector(detector.model, calibration).score(test.samples, alpha).anomalous
        assert app.subheader[2].value == f"False alarms: {(alarms & (test.classes == 1)).sum():,}"


def test_an_alpha_that_a_new_model_cannot_have_gives_way_to_its_own(
    opened: Open, models: Path, detector: Detector, errors: TrainingErrors
) -> None:
    app = opened("Threshold")
    app.select_slider(key="alpha").set_value(threshold.alphas(detector.calibration)[0]).run()
    settings = calibrating(method="conformal_conditional", alpha=0.1)
    thresholds.calibrate(errors, settings, detector.model.sha256).save(models / CALIBRATION)
    assert "at most 0.1 (as calibrated)" in drawn(app.run()).caption[0].value
    assert app.select_slider(key="alpha").value == 0.1


@pytest.mark.parametrize("method", ["percentile", "conformal", "conformal_conditional", "pot"])
def test_a_verdict_is_possible_at_every_step_of_the_slider(errors: TrainingErrors, method: str) -> None:
    calibration = thresholds.calibrate(errors, calibrating(method=method), "0" * 64)
    steps = [alpha for alpha in threshold.alphas(calibration) if alpha is not None]
    for alpha in steps:
        calibration.check_alpha(alpha)
    assert steps == sorted(set(steps))
    assert steps[0] == pytest.approx(calibration.smallest_p, rel=0.01)
    assert steps[-1] == 0.5
    assert calibration.alpha is None or calibration.alpha in steps


def test_the_promised_rate_is_the_attainable_one(errors: TrainingErrors) -> None:
    def promised(method: str, alpha: float | None) -> float | None:
        calibration = thresholds.calibrate(errors, calibrating(method=method), "0" * 64)
        return calibration.promised(alpha)

    assert promised("conformal", None) == 14 / 293
    assert promised("conformal", 0.1) == 29 / 293
    assert promised("pot", 0.1) == 0.1
    assert promised("percentile", None) is None


def test_normal_beats_alone_have_no_roc_curve(opened: Open, data: Path, test: Beats) -> None:
    beats.save(data, test.where(test.classes == 1))
    assert "The labelled test beats are all normal: there is no recall" in messages(opened("Threshold"))
