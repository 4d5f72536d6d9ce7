import json
import tracemalloc
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ecg.detector.detector import CALIBRATION, Detector
from ecg.detector.model import MODEL
from ecg.evaluation import provenance
from ecg.evaluation.provenance import PROVENANCE, Provenance
from ecg.exceptions import InputError
from ecg.files import sha256
from ecg.params import Params
from tests.conftest import Run, metrics_in, set_param


@pytest.fixture
def folder(tmp_path: Path, onnx_model: bytes, detector: Detector) -> Path:
    """A model with its calibration."""
    (tmp_path / MODEL).write_bytes(onnx_model)
    detector.calibration.save(tmp_path / CALIBRATION)
    return tmp_path


def output(folder: Path, settings: Params) -> Provenance:
    beats = folder / "SOME_TRAIN.tsv"
    beats.write_text("1\t0.5\n")
    counts = {"fit": {"normal": 2}, "test": {"normal": 3, "PVC": 1}}
    intervals = {"auc": {"ci95_low": 0.981234567, "ci95_high": 0.99}}
    metrics = {"auc": np.float64(0.98765432), "false_positives": 7}
    return Provenance.of(folder, settings, [beats], counts, metrics, intervals)


def test_it_comes_back_as_it_was_saved(folder: Path, committed: Params) -> None:
    saved = output(folder, committed)
    saved.save(folder)
    assert Provenance.load(folder) == saved
    assert saved.data == {"SOME_TRAIN.tsv": sha256(b"1\t0.5\n")}
    assert saved.metrics == {"auc": 0.987654, "false_positives": 7}
    assert saved.intervals == {"auc": {"ci95_low": 0.981235, "ci95_high": 0.99}}
    assert saved.beats["test"] == {"normal": 3, "PVC": 1}
    assert saved.packages.keys() == set(provenance.PACKAGES)


def test_missing_beats_is_reported_with_what_makes_them(folder: Path, committed: Params) -> None:
    with pytest.raises(InputError, match=r"MY_TRAIN\.tsv is missing; `dvc repro` makes it"):
        Provenance.of(folder, committed, [folder / "MY_TRAIN.tsv"], {}, {}, {})


def test_beats_are_not_read_into_memory_to_be_known_again(folder: Path, committed: Params) -> None:
    content = b"1\t0.5\n" * 5_000_000
    (folder / "MY_TRAIN.tsv").write_bytes(content)
    tracemalloc.start()
    try:
        made = Provenance.of(folder, committed, [folder / "MY_TRAIN.tsv"], {}, {}, {})
        assert tracemalloc.get_traced_memory()[1] < len(content) / 5
    finally:
        tracemalloc.stop()
    assert made.data == {"MY_TRAIN.tsv": sha256(content)}


def test_it_has_the_parameters_that_decide_the_model_and_no_others(folder: Path, committed: Params) -> None:
    params = output(folder, committed).params
    assert params["fetch"] == {"dataset": "ECG5000"}
    assert params["models"] == {"dense": committed.models["dense"]}
    assert params["train"] == committed.train.model_dump()
    assert params.keys() == {"fetch", "preprocess", "train", "models", "calibrate", "evaluate"}


def test_parameters_come_back_to_the_last_digit(folder: Path, committed: Params) -> None:
    rate = 1 / 3000
    settings = committed.model_copy(update={"train": committed.train.model_copy(update={"learning_rate": rate})})
    output(folder, settings).save(folder)
    assert Provenance.load(folder).params["train"]["learning_rate"] == rate


@pytest.mark.parametrize("name", [MODEL, CALIBRATION])
def test_it_is_refused_beside_another_model(folder: Path, committed: Params, name: str) -> None:
    output(folder, committed).save(folder)
    (folder / name).write_bytes(b"another")
    with pytest.raises(InputError, match=rf"{name} is not the file that .*{PROVENANCE} describes"):
        Provenance.load(folder)


@pytest.mark.parametrize(
    ("content", "match"), [("{", "is not JSON"), ("{}", "params is missing"), (None, "is missing")]
)
def test_a_damaged_file_is_reported(folder: Path, content: str | None, match: str) -> None:
    if content is not None:
        (folder / PROVENANCE).write_text(content)
    with pytest.raises(InputError, match=match):
        Provenance.load(folder)


def test_builds_for_cpu_and_gpu_are_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "2.13.0+cpu")
    assert provenance.installed("torch") == "2.13.0"


def test_what_is_not_installed_has_no_version() -> None:
    assert provenance.installed("no-such-package") is None


def test_a_model_outside_git_has_no_commit(folder: Path, committed: Params) -> None:
    output(folder, committed).save(folder)
    assert provenance.recorded_by(folder) is None


def test_without_git_there_is_no_commit(folder: Path, committed: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    output(folder, committed).save(folder)
    monkeypatch.setenv("PATH", str(folder))
    assert provenance.recorded_by(folder) is None


def test_info_tells_commit_parameters_data_packages_and_metrics(clone: Path, run: Run) -> None:
    record = json.loads(run(clone, "python", "-m", "ecg", "info", "--json"))
    first = run(clone, "git", "log", "--format=%H", "--", "dvc.lock").split()
    assert record["commit"] in first
    assert "models/provenance.json" in run(clone, "git", "show", f"{record['commit']}:dvc.lock")
    assert record["metrics"] == metrics_in(clone, "evaluate") | metrics_in(clone, "details")
    assert record["data"]["ECG5000_TRAIN.tsv"].startswith("df86ac15")
    assert record["beats"]["test"]["R-on-T PVC"] == 1590
    assert "not a medical device" in record["intended_use"]
    assert any("one patient" in limit for limit in record["limits"])
    output = run(clone, "python", "-m", "ecg", "info")
    for said in (
        record["commit"],
        "train.seed",
        "0192997dd",
        f"torch         {provenance.installed('torch')}\n",
        "auc",
    ):
        assert said in output


def test_info_ends_without_a_word_where_its_reader_has_enough(clone: Path, run: Run) -> None:
    assert run(clone, "sh", "-c", "python -m ecg info | head -1") == "commit\n"


def test_the_commit_of_a_model_is_the_first_that_tells_of_it(clone: Path, run: Run) -> None:
    def commit() -> str | None:
        return json.loads(run(clone, "python", "-m", "ecg", "info", "--json"))["commit"]

    set_param(clone, "calibrate", "alpha", 0.07)
    run(clone, "dvc", "repro")
    assert commit() is None
    assert "none: no dvc.lock" in run(clone, "python", "-m", "ecg", "info")
    run(clone, "git", "commit", "--quiet", "--all", "--message", "Another alpha")
    first = run(clone, "git", "rev-parse", "HEAD").strip()
    assert commit() == first
    run(clone, "git", "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert commit() == first
    run(clone, "dvc", "exp", "run", "-S", "calibrate.alpha=0.08", "--name", "wider")
    refs = dict(reversed(line.split()) for line in run(clone, "git", "show-ref").splitlines())
    assert commit() in [sha for ref, sha in refs.items() if ref.startswith("refs/exps/") and ref.endswith("/wider")]


def test_a_folder_without_a_model_is_reported_without_a_traceback(clone: Path, run: Run) -> None:
    output = run(clone, "python", "-m", "ecg", "info", "data", fails=True)
    assert output == "error: data/provenance.json is missing; `dvc repro` makes it\n"


def test_the_model_itself_says_what_made_it(clone: Path) -> None:
    facts = onnxruntime.InferenceSession(clone / "models" / MODEL).get_modelmeta().custom_metadata_map
    params = json.loads(facts["params"])
    record = Provenance.load(clone / "models")
    made_by = {name: record.params[name] for name in ("models", "train")}
    assert made_by["train"].pop("device") == "cpu"  # which leaves the model's bytes as they are
    assert params == made_by
    assert json.loads(facts["data_sha256"])["fit.npz"] == sha256((clone / "data/processed/fit.npz").read_bytes())
    assert "Not a medical device" in facts["intended_use"]
