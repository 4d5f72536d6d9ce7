"""Measure the shipped detector on the test beats: metrics, curves and examples."""

from ecg import beats, metrics, params
from ecg.datasets import known
from ecg.detector import Detector
from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.figures import draw_examples
from ecg.files import write_csv, write_json
from ecg.report import Evaluation
from stages import METRICS, MODELS, PLOTS, PROCESSED, run


def main() -> None:
    settings = params.load()
    normal_class = settings.preprocess.normal_class
    detector, test = Detector.load(MODELS), beats.load(PROCESSED / "test.npz")
    if not 0 < (test.classes == normal_class).sum() < len(test):
        raise InputError(
            f"params.yaml: preprocess.normal_class is {normal_class}: the test beats hold that class only or not at all"
        )
    verdicts = detector.score(test.samples)
    threshold = detector.calibration.threshold
    evaluation = Evaluation(test, verdicts, threshold, normal_class, known(settings.fetch.dataset))
    write_json(METRICS / "evaluate.json", evaluation.summary() | development(detector))
    write_csv(PLOTS / "roc.csv", *evaluation.roc())
    write_csv(PLOTS / "precision_recall.csv", *evaluation.precision_recall())
    write_csv(PLOTS / "confusion.csv", *evaluation.confusion())
    write_csv(PLOTS / "scores.csv", *evaluation.histogram(settings.evaluate.histogram_bins))
    draw_examples(PLOTS / "examples.png", evaluation.examples())


def development(detector: Detector) -> dict[str, float]:
    """The AUC by which to choose parameters: held-out normal against anomalous training beats."""
    normal = Errors.load(MODELS / "errors.csv").held_out
    if normal is None:
        return {}
    anomalous = detector.score(beats.load(PROCESSED / "development.npz").samples).score
    auc, low, high = metrics.auc_with_interval(normal, anomalous)
    return {"development_auc": auc, "development_auc_ci95_low": low, "development_auc_ci95_high": high}


if __name__ == "__main__":
    run(main)
