"""The pipeline on a recording of one's own, as docs/how-to/one-patient.md says it: real DVC in a clone, then a scan."""

import json
from pathlib import Path

import numpy as np
import yaml

from tests.conftest import STAGES, Run, metrics_in, ran, set_param


def test_a_recording_goes_through_the_pipeline_and_is_scanned(
    clone: Path, run: Run, toy: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "mine.npy", toy)
    recording = yaml.safe_load((clone / "params.yaml").read_text())["fetch"]["recording"]
    own = {"path": "mine.npy", "rate": 360.0, "minutes": 3.0}
    set_param(clone, "fetch", "folder", str(tmp_path))
    set_param(clone, "fetch", "recording", recording | own)
    set_param(clone, "fetch", "source", "recording")
    set_param(clone, "fetch", "dataset", "mine")
    output = run(clone, "dvc", "repro")
    assert ran(output) == STAGES
    assert "normal training beats:" in output
    metrics = metrics_in(clone, "evaluate")
    assert "auc" not in metrics
    assert 0 < metrics["alarms"] < metrics["beats"]
    assert metrics["alarms_per_hour"] > metrics["alarms"]
    card = (clone / "metrics" / "card.md").read_text()
    assert f"{metrics['alarms']:,} of {metrics['beats']:,} test beats raise an alarm." in card
    assert "recording mine" in card

    facts = json.loads(
        run(
            clone,
            *("python", "-m", "ecg", "scan", tmp_path / "mine.npy", "--rate", "360", "--json", "--quiet"),
            *("--model", "models"),
        )
    )
    assert facts["recording"] == "mine"
    assert facts["beats"] > metrics["beats"]
    assert facts["warnings"][0].startswith("The model was trained on the first 3 minutes of a recording of this name")
