"""What checks the rebuild notices what it should: benchmarks.verify and benchmarks.interruptions."""

import json
from pathlib import Path

from benchmarks.interruptions import differences
from benchmarks.verify import OTHERS
from tests.conftest import ROOT, Run, set_param


def test_verify_names_each_file_that_comes_out_otherwise(clone: Path, run: Run) -> None:
    set_param(clone, "train", "epochs", 2)
    run(clone, "git", "commit", "--quiet", "--all", "--message", "Another training, and the old dvc.lock")
    output = run(clone, "python", "-m", "benchmarks.verify", fails=True)
    differing = output[output.index(" differ\n") :].split()[1:]
    assert {"dvc.lock", "models/autoencoder.onnx", "models/calibration.json", "metrics/evaluate.json"} <= set(differing)
    assert not any(path.startswith("data/") for path in differing)


def test_conditions_set_otherwise_what_training_sets_itself(run: Run) -> None:
    code = "import os; before = dict(os.environ); import ecg.training; import json; print(json.dumps({n: v for n, v in "
    code += "os.environ.items() if before.get(n) != v}))"
    unset = {name: "" for condition in OTHERS for name in condition.variables if name != "PYTHONHASHSEED"}
    own = json.loads(run(ROOT, "python", "-c", code, **unset))
    tried = [(name, value) for condition in OTHERS for name, value in condition.variables.items() if name in own]
    assert {"ATEN_CPU_CAPABILITY", "MKL_CBWR"} <= {name for name, _ in tried}
    assert all(own[name] != value for name, value in tried)
    for name, value in tried:
        assert json.loads(run(ROOT, "python", "-c", code, **unset | {name: value}))[name] == own[name]


def test_a_clone_as_it_was_committed_is_in_order(clone: Path) -> None:
    assert differences(clone) == []


def test_files_that_are_stale_half_or_left_over_are_found(clone: Path) -> None:
    errors = clone / "models" / "errors.csv"
    whole = errors.read_bytes()
    errors.unlink()  # it may be a link into DVC's cache
    errors.write_bytes(whole[:1000])
    (clone / "data" / "raw" / ".ECG5000_TEST.tsv.x.partial").write_text("1")
    (clone / "plots" / "alarm.png").unlink()
    assert differences(clone) == [
        "git says  D plots/alarm.png",
        "models/errors.csv does not have the hash in dvc.lock",
        "plots/alarm.png is missing",
        "data/raw/.ECG5000_TEST.tsv.x.partial is left over",
    ]
    (clone / "data" / "raw" / ".ECG5000_TEST.tsv.x.partial").unlink()
