"""What is said while and after the pipeline runs."""

import json
import shutil
from pathlib import Path

import pytest

from stages.ending import ending, figures
from tests.conftest import ROOT

COUNTS = {"true_negatives": 2514, "false_positives": 113, "false_negatives": 15, "true_positives": 1858}
RATES = {"auc": 0.99586, "average_precision": 0.99212, "f1": 0.9667, "false_positive_rate": 0.04301}


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (
            COUNTS | RATES,
            "4,500 test beats: AUC 0.9959, average precision 0.9921, F1 0.9667, false alarms 4.3%",
        ),
        (
            {"beats": 1200, "alarms": 54, "alarm_rate": 0.045, "alarms_per_hour": 162.4},
            "1,200 test beats: 54 alarms (4.5%), 162 alarms an hour",
        ),
    ],
    ids=["with classes", "of a recording"],
)
def test_the_figures_are_told_in_a_line(metrics: dict[str, float], said: str) -> None:
    assert figures(metrics) == said


def test_a_run_ends_with_the_figures_the_plots_and_three_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ending() == ""  # before the first evaluation
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "evaluate.json").write_text(json.dumps(COUNTS | RATES))
    first, plots, *commands = ending().strip().splitlines()
    assert first.startswith("ECG5000, 4,500 test beats: AUC 0.9959")
    assert "plots/" in plots
    assert [line.split()[:2] for line in commands] == [["dvc", "plots"], ["ecg", "scan"], ["dvc", "exp"]]
