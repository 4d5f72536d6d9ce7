"""What the pages of docs/ show in Python, run in a temporary clone of this repository."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Run, metrics_in, ran, set_param

LOADING = 'detector = Detector.load("models")'


def code_in(page: str, mark: str) -> str:
    """The one Python block of a page that contains `mark`."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if mark in block]
    return block


def test_the_detector_is_used_as_its_page_says(clone: Path, run: Run) -> None:
    output = run(clone, "python", "-c", code_in("python.md", LOADING) + "\nprint(int(verdicts.anomalous.sum()))")
    metrics = metrics_in(clone, "evaluate")
    assert int(output) == metrics["true_positives"] + metrics["false_positives"]


@pytest.mark.parametrize("mark", ["details=True", "detector.screen", "detector.explain(", "Stream.start"])
def test_what_else_that_page_shows_runs(clone: Path, run: Run, mark: str) -> None:
    assert run(clone, "python", "-c", code_in("python.md", LOADING) + code_in("python.md", mark)).strip()
    (clone / "models" / "stream.json").unlink(missing_ok=True)  # which one of them saves


def test_a_recording_is_scanned_as_its_page_says(clone: Path, run: Run, toy: np.ndarray) -> None:
    np.savetxt(clone / "ecg.csv", toy, "%.5f", header="II", comments="")
    output = run(clone, "python", "-c", code_in("scan.md", "scanned = ecg.scan("))
    assert "kind" in output
    assert int(output.splitlines()[-1]) > 50
    (clone / "ecg.csv").unlink()


def test_a_model_is_added_as_its_page_says(clone: Path, run: Run) -> None:
    (clone / "ecg" / "models" / "gelu.py").write_text(code_in("add-a-model.md", "class Autoencoder"))
    set_param(clone, "models", "gelu", {"hidden": 64, "latent": 2})
    output = run(clone, "dvc", "exp", "run", "-S", "train.model=gelu", "-S", "train.epochs=5")
    assert ran(output) == ["preprocess", "train", "calibrate", "evaluate"]
    assert metrics_in(clone, "train/metrics")["parameters"] == 5 * (2 * 140 * 64 + 2 * 64 * 2 + 64 + 2 + 64 + 140)
    assert metrics_in(clone, "evaluate")["auc"] > 0.9
    (clone / "ecg" / "models" / "gelu.py").unlink()
