"""Experiments as people run and compare them: real DVC, in a temporary clone of this repository."""

import csv
import io
import json
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from ecg import params
from tests.conftest import STAGES, Run, metrics_in, ran, set_param

MODELS = ["conv1d", "vae"]
SHORT = ["-S", "train.epochs=4", "-S", "evaluate.resamples=100"]


@pytest.fixture
def queue(clone: Path, run: Run) -> Path:
    """The clone without experiments of other tests, nor a worker, which lives on for some seconds after its last."""
    run(clone, "dvc", "queue", "stop")
    wait_for(clone, run, "Worker status: (?!0 active, 0 idle)")
    run(clone, "dvc", "exp", "remove", "--all-commits")
    run(clone, "dvc", "queue", "remove", "--all")
    return clone


def start_workers(clone: Path, environment: dict[str, str], jobs: int) -> None:
    """Without a pipe to them: they hold it open for as long as they live."""
    command = ["dvc", "queue", "start", "--quiet", "--jobs", str(jobs)]
    subprocess.run(
        command, cwd=clone, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )


def wait_for(clone: Path, run: Run, pattern: str, seconds: float = 240) -> str:
    """What `dvc queue status` says once none of its lines contains `pattern`."""
    end = time.monotonic() + seconds
    while re.search(pattern, output := run(clone, "dvc", "queue", "status")):
        assert time.monotonic() < end, output
        time.sleep(2)  # each look takes a second of the processor
    return output


def wait_for_experiments(clone: Path, run: Run, number: int, seconds: float = 240) -> None:
    """Until there are so many that are done. Git is asked, whose answer costs nothing, unlike that of DVC's queue."""
    end = time.monotonic() + seconds
    while len(run(clone, "git", "for-each-ref", "refs/exps/*/*/*").splitlines()) < number:
        assert time.monotonic() < end, failures(clone, run)
        time.sleep(0.5)


def failures(clone: Path, run: Run) -> str:
    """What `dvc queue status` says, and the logs of experiments that failed."""
    output = run(clone, "dvc", "queue", "status")
    failed = [line.split()[0] for line in output.splitlines() if line.endswith("Failed")]
    return "\n".join([output, *(run(clone, "dvc", "queue", "logs", name) for name in failed)])


def shown(clone: Path, run: Run, *options: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(run(clone, "dvc", "exp", "show", "--csv", *options))))


def test_a_sweep_of_models_and_seeds_by_two_workers_leaves_a_table_and_the_workspace(
    queue: Path, run: Run, environment: dict[str, str]
) -> None:
    before = metrics_in(queue, "evaluate")
    grid = ["-S", f"train.model={','.join(MODELS)}", "-S", "train.seed=range(0,2)"]
    run(queue, "dvc", "exp", "run", "--queue", *grid, *SHORT)
    start_workers(queue, environment, 2)
    wait_for_experiments(queue, run, 4)
    output = wait_for(queue, run, "Queued|Running")
    assert output.count("Success") == 4, output
    table = [row for row in shown(queue, run, "--precision", "9") if row["typ"].startswith("branch")]
    assert sorted((row["train.model"], row["train.seed"]) for row in table) == [(m, s) for m in MODELS for s in "01"]
    assert {row["train.epochs"] for row in table} == {"4"}
    assert len({row["auc"] for row in table}) == 4
    assert all(float(row[metric]) > 0.9 for row in table for metric in ("auc", "development_auc"))
    logs = run(queue, "dvc", "queue", "logs", table[0]["Experiment"])
    assert re.search(r"^epoch 4 of 4: error 0\.\d+ fitted, 0\.\d+ held out$", logs, re.MULTILINE)
    for row in table:
        committed = run(queue, "git", "show", f"{row['rev']}:metrics/evaluate.json")
        assert float(row["auc"]) == json.loads(committed)["auc"]
    assert run(queue, "git", "status", "--porcelain") == ""
    assert metrics_in(queue, "evaluate") == before
    assert "up to date" in run(queue, "dvc", "status", *STAGES)

    rows = run(queue, "python", "-m", "benchmarks.seeds", "f1", "auc").splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    short = [row for row in cells if "train.epochs=4" in row[0]]
    assert [any(f"train.model={model}" in row[0] for row in short) for model in MODELS] == [True, True]
    assert [row[1] for row in short] == ["2", "2"]
    assert all(re.fullmatch(r"0\.\d{4} ± 0\.\d{4}", row[2]) for row in short)
    assert ["as committed", "1"] in [row[:2] for row in cells]

    lines = run(queue, "python", "-m", "benchmarks.experiments").splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("train.epochs=4" in line for line in lines) == 4


def test_one_number_is_one_parameter_and_one_column(queue: Path, run: Run) -> None:
    run(queue, "dvc", "exp", "run", "--queue", "--name", "four", "-S", "models.dense.latent=4")
    (row,) = [row for row in shown(queue, run) if row["Experiment"] == "four"]
    assert {name: value for name, value in row.items() if name.startswith("models.dense.latent")} == {
        "models.dense.latent": "4"
    }
    changed = json.loads(run(queue, "dvc", "params", "diff", "HEAD", row["rev"], "--json"))["params.yaml"]
    assert changed == {"models.dense.latent": {"old": 2, "new": 4, "diff": 2}}


def test_an_experiment_in_the_repositorys_own_folder_is_undone_as_it_says(clone: Path, run: Run) -> None:
    wrong = ["-S", "train.epochs=-5"]
    assert "undo" not in run(clone, "dvc", "exp", "run", "--temp", *wrong, fails=True)  # there is nothing to undo
    log = run(clone, "dvc", "exp", "run", *wrong, fails=True)
    assert "error: params.yaml: train.epochs is -5" in log
    assert "Traceback" not in log
    (undo,) = re.findall("^params.yaml still differs from the last commit; to undo it: (.+)$", log, re.MULTILINE)
    printed = run(clone, *shlex.split(undo))
    assert re.search(r"^-  epochs: 100 .*\n\+  epochs: -5 ", printed, re.MULTILINE)
    assert run(clone, "git", "status", "--porcelain") == ""

    size = ["-S", "models.dense.hidden=[32]", "-S", "train.epochs=3"]
    log = run(clone, "dvc", "exp", "run", "--name", "narrow", *size)
    assert ran(log) == ["train", "calibrate", "evaluate"]
    changed = json.loads(run(clone, "dvc", "metrics", "diff", "HEAD", "narrow", "--json"))
    assert changed["metrics/evaluate.json"]["auc"]["diff"] < 0
    (undo,) = re.findall("^Back to the last commit: (.+)$", log, re.MULTILINE)
    printed = run(clone, *shlex.split(undo))
    assert run(clone, "git", "status", "--porcelain") == ""
    assert "up to date" in run(clone, "dvc", "status", *STAGES)
    (again,) = re.findall("^To have back what was undone last: (.+) && make repro$", printed, re.MULTILINE)
    run(clone, *shlex.split(again))
    assert params.load(clone / "params.yaml").train.epochs == 3


def test_an_experiment_is_compared_applied_branched_and_saved(queue: Path, run: Run) -> None:
    before = metrics_in(queue, "evaluate")
    output = run(queue, "dvc", "exp", "run", "--temp", "--name", "wide", "-S", "calibrate.alpha=0.1")
    assert ran(output) == ["calibrate", "evaluate"]
    assert "Back to the last commit" not in output
    assert run(queue, "git", "status", "--porcelain") == ""
    assert metrics_in(queue, "evaluate") == before

    difference = json.loads(run(queue, "dvc", "exp", "diff", "HEAD", "wide", "--json"))
    assert difference["params"]["params.yaml"]["calibrate.alpha"] == {"old": 0.05, "new": 0.1, "diff": 0.05}
    assert difference["metrics"]["metrics/evaluate.json"]["false_positive_rate"]["diff"] > 0
    assert list(difference["metrics"]) == ["metrics/evaluate.json"]

    run(queue, "dvc", "exp", "branch", "wide", "wide-one")
    run(queue, "dvc", "exp", "apply", "wide")
    assert metrics_in(queue, "evaluate")["false_positive_rate"] > before["false_positive_rate"]
    assert ran(run(queue, "dvc", "repro")) == []
    assert run(queue, "git", "diff", "--name-only", "wide-one") == ""

    set_param(queue, "calibrate", "alpha", 0.2)
    run(queue, "dvc", "repro")
    run(queue, "dvc", "exp", "save", "--name", "widest")
    names = [row["Experiment"] for row in shown(queue, run)]
    assert {"wide", "widest"} <= set(names)
    run(queue, "git", "branch", "--delete", "--force", "wide-one")
