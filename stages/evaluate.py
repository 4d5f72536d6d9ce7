"""Measure the shipped detector on the test beats: metrics with confidence intervals, curves, figures, model card."""

import numpy as np

from ecg import params
from ecg.data import beats, times
from ecg.data.training_errors import TrainingErrors
from ecg.detector.detector import Detector
from ecg.evaluation import curves, examples, figures, summary
from ecg.evaluation.card import card
from ecg.evaluation.evaluation import Evaluation
from ecg.evaluation.provenance import Provenance
from ecg.exceptions import InputError
from ecg.files import write_bytes, write_csv, write_json
from stages import METRICS, MODELS, PLOTS, PROCESSED, raw, run, say_how_to_go_back, times_file

ALPHAS = np.arange(1, 61) / 200  # at which promised and observed false-alarm rates are compared
WORST = 10  # how many misses and how many false alarms are drawn


def main() -> None:
    settings = params.load()
    name = settings.fetch.dataset
    normal_class = settings.preprocess.normal_class
    detector, test = Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    if detector.dataset.unlabelled is None and not 0 < (test.classes == normal_class).sum() < len(test):
        raise InputError(
            f"params.yaml: preprocess.normal_class is {normal_class}: all test beats are of that class, or none is"
        )
    errors = TrainingErrors.load(MODELS / "errors.csv")
    development = detector.model.scores(beats.load(PROCESSED / "development.npz").samples)
    evaluation, dataset = Evaluation.of(detector, test, normal_class), detector.dataset
    hours, development_auc = times.hours_of_test(times_file(name)), summary.development_auc(errors, development)
    metrics = summary.summarize(evaluation, hours, development_auc)
    write_json(METRICS / "evaluate.json", metrics)
    details = summary.details(evaluation, hours)
    write_json(METRICS / "details.json", details)
    intervals = summary.intervals(evaluation, settings.evaluate.resamples, development_auc)
    write_json(METRICS / "intervals.json", intervals)
    write_csv(METRICS / "methods.csv", curves.methods(evaluation, errors, settings.calibrate, development))
    write_csv(PLOTS / "reliability.csv", curves.promised_rates(evaluation, errors, settings.calibrate, ALPHAS))
    write_csv(PLOTS / "roc.csv", curves.roc(evaluation))
    write_csv(PLOTS / "precision_recall.csv", curves.precision_recall(evaluation))
    write_csv(PLOTS / "confusion.csv", curves.confusion(evaluation))
    write_csv(PLOTS / "scores.csv", curves.histogram(evaluation, settings.evaluate.histogram_bins))
    figures.draw_examples(PLOTS / "examples.png", examples.typical_and_worst(evaluation))
    figures.draw_examples(PLOTS / "worst.png", examples.worst(evaluation, WORST), columns=5)
    figures.draw_classes(PLOTS / "classes.png", examples.class_profiles(evaluation), dataset.segments)
    alarm = examples.typical_alarm(evaluation)
    fit = beats.load(PROCESSED / "fit.npz")
    (explanation,) = detector.explain(test.samples[[alarm]], fit.samples)
    title = dataset.class_name(int(test.classes[alarm]))
    figures.draw_explanation(PLOTS / "alarm.png", title, explanation, dataset.segments)
    counts = {"fit": fit.counts(dataset.class_name), "test": test.counts(dataset.class_name)}
    made = Provenance.of(MODELS, settings, raw(name), counts, metrics | details, intervals)
    made.save(MODELS)
    write_bytes(METRICS / "card.md", card(made).encode())
    say_how_to_go_back()


if __name__ == "__main__":
    run(main)
