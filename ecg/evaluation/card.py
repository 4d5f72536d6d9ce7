"""The model card: the model's intended use, data, performance and limits.

After Mitchell et al. 2019, "Model cards for model reporting". Every figure comes from provenance.json.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ecg.data.datasets import Dataset, dataset_of, metric_key
from ecg.evaluation.provenance import Provenance

INTENDED_USE = (
    "Research and teaching: to study anomaly detection on single heartbeats, and to compare methods. "
    "It is not a medical device. It must not be used to diagnose, to monitor or to treat anyone."
)
LIMITS = (
    "It detects beats that differ from the normal beats of its training data. It does not say what is wrong with them, "
    "and noise or a loose electrode makes beats differ, too.",
    "It scores each beat separately. It does not analyse the rhythm.",
)
METRICS = (
    ("auc", "area under the ROC curve"),
    ("average_precision", "average precision"),
    ("f1", "F1"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("false_positive_rate", "false-alarm rate"),
    ("accuracy", "accuracy"),
)


def card(made: Provenance) -> str:
    """The card of a model, as Markdown."""
    dataset = dataset_of(made.params["fetch"])
    paragraphs = [
        f"# Model card: anomalous heartbeats, {made.params['fetch']['dataset']}",
        _model(made),
        "## Intended use",
        INTENDED_USE,
        "## Data",
        *([dataset.origin] if dataset.origin else []),
        _table(("beats", "class", "number"), _beats(made)),
        "Training and scaling use normal beats only. So does the threshold, unless its method is `f1`.",
        "## Performance",
        *_performance(made, dataset),
        "## Threshold",
        _threshold(made),
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in limits(dataset)),
        "## Files",
        _table(("file", "SHA-256"), sorted((made.data | made.model).items())),
        "`python -m ecg info` shows the commit, parameters and packages that made the model.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def limits(dataset: Dataset) -> tuple[str, ...]:
    """The limits of a detector that was trained on a dataset, one or two sentences each."""
    return (*dataset.limits, *LIMITS)


def _performance(made: Provenance, dataset: Dataset) -> list[str]:
    """The paragraphs on performance."""
    if "auc" not in made.metrics:
        alarms, beats = (f"{made.metrics[name]:,}" for name in ("alarms", "beats"))
        return [f"{alarms} of {beats} test beats raise an alarm. Too few beats are of known class for other figures."]
    metrics = [(title, f"{made.metrics[metric]:.4f}", _interval(made, metric)) for metric, title in METRICS]
    paragraphs = [
        "On the test beats, with 95% intervals:",
        _table(("metric", "value", "95% interval"), metrics),
        "The share of beats of each class that raise an alarm:",
        _table(("class", "beats", "share with an alarm", "95% interval"), _classes(made, dataset)),
    ]
    if "adaptive_recall" in made.metrics:
        rate, recall = (made.metrics[f"adaptive_{name}"] for name in ("false_positive_rate", "recall"))
        paragraphs += [f"With an adaptive threshold: false-alarm rate {rate:.4f}, recall {recall:.4f}."]
    return paragraphs


def _model(made: Provenance) -> str:
    train, name = made.params["train"], made.params["train"]["model"]
    settings = made.params["models"][name]
    section = ", ".join(f"{key} {value}" for key, value in sorted(settings.items()))
    autoencoders = "One autoencoder" if train["folds"] == 1 else f"An ensemble of {train['folds']} autoencoders"
    score = "negative evidence lower bound" if settings.get("score") == "elbo" else "squared reconstruction error"
    return (
        f"{autoencoders} of architecture `{name}` ({section}), trained on normal beats only. A beat's score is its "
        f"{score}, averaged over the ensemble members and the samples. A higher score is more anomalous. The scaling, "
        f"`{made.params['preprocess']['scaling']}`, is part of the ONNX file."
    )


def _beats(made: Provenance) -> list[tuple[str, str, str]]:
    parts = {"fit": "training", "test": "test"}
    return [(title, name, f"{n:,}") for part, title in parts.items() for name, n in made.beats[part].items()]


def _classes(made: Provenance, dataset: Dataset) -> Iterable[tuple[str, str, str, str]]:
    label = made.params["preprocess"]["normal_class"]
    for name, number in made.beats["test"].items():
        normal = name == dataset.class_name(label)
        metric = "false_positive_rate" if normal else f"recall_{metric_key(name)}"
        if metric in made.metrics:  # it is not there if the class is unknown
            yield name, f"{number:,}", f"{made.metrics[metric]:.4f}", _interval(made, metric)


def _interval(made: Provenance, metric: str) -> str:
    interval = made.intervals.get(metric)
    return f"{interval['ci95_low']:.4f} to {interval['ci95_high']:.4f}" if interval else ""


def _threshold(made: Provenance) -> str:
    settings, threshold = made.params["calibrate"], made.metrics["threshold"]
    if settings["method"] in ("percentile", "f1"):
        return (
            f"Method `{settings['method']}`: a beat raises an alarm if its score is at least {threshold:.4g}. "
            "The method promises no false-alarm rate."
        )
    rate = made.metrics.get("false_positive_rate")
    observed = "" if rate is None else f" The false-alarm rate on the test beats is {rate:.4f}."
    return (
        f"Method `{settings['method']}`: a beat's p-value is about the share of normal beats with a score at least as "
        f"high. A beat raises an alarm if its p-value is at most alpha, {settings['alpha']:g}. About this share of "
        "normal beats raises a false alarm, if they are like the normal training beats. If all ensemble members agree, "
        f"the threshold is a score of {threshold:.4g}.{observed}"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
