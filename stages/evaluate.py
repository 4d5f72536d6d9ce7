"""Measure the shipped detector on the test beats: metrics with their uncertainty, curves, examples, explanations."""

import numpy as np

from ecg import beats, figures, metrics, params
from ecg.card import card
from ecg.datasets import dataset_of
from ecg.detector import Detector
from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.files import write_bytes, write_csv, write_json
from ecg.provenance import Provenance
from ecg.recordings import times
from ecg.report import Evaluation
from stages import METRICS, MODELS, PLOTS, PROCESSED, raw, run, timetable

ALPHAS = np.arange(1, 61) / 200  # at which promised and observed false-alarm rates are compared
WORST = 10  # misses to draw, and as many false alarms


def main() -> None:
    settings = params.load()
    name = settings.fetch.dataset
    normal_class, dataset = settings.preprocess.normal_class, dataset_of(settings.fetch.model_dump())
    detector, test = Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    if dataset.unlabelled is None and not 0 < (test.classes == normal_class).sum() < len(test):
        raise InputError(
            f"params.yaml: preprocess.normal_class is {normal_class}: the test beats hold that class only or not at all"
        )
    errors = Errors.load(MODELS / "errors.csv")
    development = detector.model.scores(beats.load(PROCESSED / "development.npz").samples)
    evaluation = Evaluation.of(detector, test, normal_class, dataset, times.hours_of_test(timetable(name)))
    summary = evaluation.summary() | development_auc(errors, development)
    write_json(METRICS / "evaluate.json", summary)
    intervals = evaluation.intervals(settings.evaluate.resamples)
    write_json(METRICS / "intervals.json", intervals)
    write_csv(METRICS / "methods.csv", *evaluation.methods(errors, settings.calibrate, development))
    write_csv(PLOTS / "reliability.csv", *evaluation.reliability(errors, settings.calibrate, ALPHAS))
    write_csv(PLOTS / "roc.csv", *evaluation.roc())
    write_csv(PLOTS / "precision_recall.csv", *evaluation.precision_recall())
    write_csv(PLOTS / "confusion.csv", *evaluation.confusion())
    write_csv(PLOTS / "scores.csv", *evaluation.histogram(settings.evaluate.histogram_bins))
    figures.draw_examples(PLOTS / "examples.png", evaluation.examples())
    figures.draw_examples(PLOTS / "worst.png", evaluation.worst(WORST), columns=5)
    figures.draw_kinds(PLOTS / "classes.png", evaluation.kinds(), dataset.segments)
    alarm = evaluation.typical_alarm()
    fit = beats.load(PROCESSED / "fit.npz")
    (explanation,) = detector.explain(test.samples[[alarm]], fit.samples)
    title = dataset.class_name(int(test.classes[alarm]))
    figures.draw_explanation(PLOTS / "alarm.png", title, explanation, dataset.segments)
    counts = {"fit": fit.counts(dataset.class_name), "test": test.counts(dataset.class_name)}
    made = Provenance.of(MODELS, settings, raw(name), counts, summary, intervals)
    made.save(MODELS)
    write_bytes(METRICS / "card.md", card(made).encode())


def development_auc(errors: Errors, anomalous: np.ndarray) -> dict[str, float]:
    """The AUC by which to choose parameters: held-out normal against anomalous training beats, if there are any."""
    if errors.held_out is None or not len(anomalous):
        return {}
    auc, low, high = metrics.auc_with_interval(errors.held_out, anomalous)
    return {"development_auc": auc, "development_auc_ci95_low": low, "development_auc_ci95_high": high}


if __name__ == "__main__":
    run(main)
