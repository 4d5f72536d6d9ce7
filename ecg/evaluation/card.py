"""The model card: what a model is for, what it learned from, how well it does, and what it cannot be trusted with.

After Mitchell et al. 2019, "Model cards for model reporting". Every figure comes from provenance.json.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ecg.data.datasets import Dataset, dataset_of, key
from ecg.evaluation.provenance import Provenance

INTENDED_USE = (
    "Research and teaching: to study anomaly detection on single heartbeats, and to compare methods. "
    "It is not a medical device. It must not be used to diagnose, to monitor or to treat anyone."
)
LIMITS = (
    "It finds beats that are unlike the normal ones it has seen. It does not say what is wrong with them, and noise or "
    "a loose electrode is unlike them, too.",
    "It looks at one beat at a time, not at the rhythm.",
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
    return "\n".join(
        [
            f"# Model card: anomalous heartbeats, {made.params['fetch']['dataset']}",
            "",
            _model(made),
            "",
            "## Intended use",
            "",
            INTENDED_USE,
            "",
            "## Data",
            "",
            *([dataset.origin, ""] if dataset.origin else []),
            *_table(("beats", "class", "number"), _beats(made)),
            "",
            "No anomalous beat reaches a weight, the scaling or, unless the threshold's method says so, the threshold.",
            "",
            "## Performance",
            "",
            *_performance(made, dataset),
            "",
            "## Threshold",
            "",
            _threshold(made),
            "",
            "## Limits",
            "",
            *(f"- {sentence}" for sentence in limits(dataset)),
            "",
            "## Where it comes from",
            "",
            *_table(("file", "SHA-256"), sorted((made.data | made.model).items())),
            "",
            "`python -m ecg info` says which commit, parameters and packages made it.",
            "",
        ]
    )


def limits(dataset: Dataset) -> tuple[str, ...]:
    """What a detector that was trained on a dataset cannot be trusted with, a sentence each."""
    return (*dataset.limits, *LIMITS)


def _performance(made: Provenance, dataset: Dataset) -> list[str]:
    if "auc" not in made.metrics:
        alarms, beats = (f"{made.metrics[name]:,}" for name in ("alarms", "beats"))
        return [f"Of {beats} test beats {alarms} raise an alarm. Too few are of known class to say more."]
    told = [
        "On the test beats, with 95% intervals:",
        "",
        *_table(("metric", "value", "95% interval"), _metrics(made)),
        "",
        "By class, the share of beats that raise an alarm:",
        "",
        *_table(("class", "beats", "alarms", "95% interval"), _classes(made, dataset)),
    ]
    if "adaptive_recall" in made.metrics:
        rate, recall = (made.metrics[f"adaptive_{name}"] for name in ("false_positive_rate", "recall"))
        told += ["", f"With a threshold that follows slow change: false-alarm rate {rate:.4f}, recall {recall:.4f}."]
    return told


def _model(made: Provenance) -> str:
    train, name = made.params["train"], made.params["train"]["model"]
    settings = made.params["models"][name]
    section = ", ".join(f"{key} {value}" for key, value in sorted(settings.items()))
    many = "One autoencoder" if train["folds"] == 1 else f"An ensemble of {train['folds']} autoencoders"
    score = "negative evidence lower bound" if settings.get("score") == "elbo" else "squared reconstruction error"
    return (
        f"{many} of architecture `{name}` ({section}), trained on normal beats alone. A beat's score is its {score}, "
        f"the mean over the members and over its samples, after the scaling `{made.params['preprocess']['scaling']}`, "
        "which is part of the ONNX file. Higher is more anomalous."
    )


def _beats(made: Provenance) -> list[tuple[str, str, str]]:
    parts = {"fit": "training", "test": "test"}
    return [(title, name, f"{n:,}") for part, title in parts.items() for name, n in made.beats[part].items()]


def _metrics(made: Provenance) -> list[tuple[str, str, str]]:
    return [(title, f"{made.metrics[metric]:.4f}", _interval(made, metric)) for metric, title in METRICS]


def _classes(made: Provenance, dataset: Dataset) -> Iterable[tuple[str, str, str, str]]:
    label = made.params["preprocess"]["normal_class"]
    for name, number in made.beats["test"].items():
        normal = name == dataset.class_name(label)
        metric = "false_positive_rate" if normal else f"recall_{key(name)}"
        if metric not in made.metrics:  # of unknown class
            continue
        yield name, f"{number:,}", f"{made.metrics[metric]:.4f}", _interval(made, metric)


def _interval(made: Provenance, metric: str) -> str:
    interval = made.intervals.get(metric)
    return f"{interval['ci95_low']:.4f} to {interval['ci95_high']:.4f}" if interval else ""


def _threshold(made: Provenance) -> str:
    settings, threshold = made.params["calibrate"], made.metrics["threshold"]
    if settings["method"] in ("percentile", "f1"):
        return (
            f"Method `{settings['method']}`: a beat raises an alarm from a score of {threshold:.4g} on. No rate of "
            "false alarms is promised."
        )
    return (
        f"Method `{settings['method']}`: a beat's p-value is about the share of normal beats that look as anomalous. "
        f"It raises an alarm at a p-value of at most alpha, {settings['alpha']:g}; about that share of normal beats "
        f"does, as long as they are like those of training. Where all members agree, that is from a score of "
        f"{threshold:.4g} on.{_observed(made)}"
    )


def _observed(made: Provenance) -> str:
    rate = made.metrics.get("false_positive_rate")
    return "" if rate is None else f" On the test beats the share is {rate:.4f}."


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
