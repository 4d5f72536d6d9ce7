import pytest

from ecg.evaluation.card import METRICS, card
from ecg.evaluation.provenance import Provenance
from ecg.params import Params

COUNTS = {"fit": {"normal": 292}, "test": {"normal": 2627, "PVC": 86}}


def made(committed: Params, dataset: str = "ECG5000", **calibrate: object) -> Provenance:
    settings = committed.model_dump() | {"fetch": {"dataset": dataset}}
    settings["calibrate"] = settings["calibrate"] | calibrate
    metrics = {name: 0.9 + i / 100 for i, (name, _) in enumerate(METRICS)} | {"recall_pvc": 0.8123, "threshold": 0.0521}
    if dataset != "ECG5000":
        metrics["recall_class_3"] = 0.5
    return Provenance(
        params=settings,
        data={"X_TRAIN.tsv": "5" * 64},
        model={"autoencoder.onnx": "a" * 64, "calibration.json": "c" * 64},
        packages={},
        beats=COUNTS if dataset == "ECG5000" else {"fit": {"class 1": 9}, "test": {"class 1": 7, "class 3": 2}},
        metrics=metrics,
        intervals={"auc": {"ci95_low": 0.8765, "ci95_high": 0.9876}, "recall_pvc": {"ci95_low": 0.7, "ci95_high": 0.9}},
    )


def test_every_figure_comes_from_what_is_recorded(committed: Params) -> None:
    lines = card(made(committed)).splitlines()
    assert "| area under the ROC curve | 0.9000 | 0.8765 to 0.9876 |" in lines
    assert "| average precision | 0.9100 |  |" in lines
    assert "| normal | 2,627 | 0.9500 |  |" in lines
    assert "| PVC | 86 | 0.8123 | 0.7000 to 0.9000 |" in lines
    assert "| training | normal | 292 |" in lines
    assert f"| autoencoder.onnx | {'a' * 64} |" in lines


def test_it_says_what_a_score_is(committed: Params) -> None:
    assert card(made(committed)).splitlines()[2].startswith("An ensemble of 5 autoencoders of architecture `dense` (")
    record = made(committed).model_dump()
    record["params"]["train"] |= {"folds": 1, "model": "vae"}
    record["params"]["models"]["vae"]["score"] = "elbo"
    (said,) = [line for line in card(Provenance(**record)).splitlines() if line.startswith("One autoencoder of")]
    assert "A beat's score is its negative evidence lower bound" in said


def test_it_says_what_the_model_is_for_and_what_not(committed: Params) -> None:
    text = card(made(committed))
    for said in ("not a medical device", "must not be used to diagnose", "one patient and one lead", "automated"):
        assert said in text


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("conformal", "A beat raises an alarm if its p-value is at most alpha, 0.05"),
        ("percentile", "if its score is at least 0.0521. The method promises no false-alarm rate"),
    ],
)
def test_it_says_what_the_threshold_means(committed: Params, method: str, said: str) -> None:
    assert said in card(made(committed, method=method))


def test_a_dataset_that_nothing_is_known_of_has_a_card_without_its_origin(committed: Params) -> None:
    text = card(made(committed, "MINE"))
    assert "| class 3 | 2 | 0.5000 |  |" in text
    assert "one patient" not in text
    assert "It scores each beat separately" in text
