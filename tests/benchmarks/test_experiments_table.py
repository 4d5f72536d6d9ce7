"""The table of `make experiments`: what it lists, what it leaves out, and how wide it is."""

import pandas as pd
import pytest

from benchmarks import experiments


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A commit and its experiments, as `dvc exp show` tells them."""
    figures = ("auc", "average_precision", "f1", "false_positive_rate", "development_auc")
    rows = [
        ("main", "baseline", "", "ECG5000", "100", "[64]", *("0.99", "0.98", "0.97", "0.05", "0.96")),
        ("fewer-steps", "branch_commit", "", "ECG5000", "5", "[64]", *("0.95", "0.94", "0.93", "0.07", "0.92")),
        ("a-larger-one", "branch_commit", "", "ECG5000", "200", "[64, 16, 8]", *("0.98", "0.9", "0.9", "0.1", "0.97")),
        ("another-heart", "branch_commit", "", "ECG200", "100", "[64]", *("0.5",) * 5),
        ("wrong", "branch_commit", "Failed", "ECG5000", "-5", "[64]", *("",) * 5),
        ("waiting", "branch_base", "Queued", "ECG5000", "7", "[64]", *("",) * 5),
    ]
    params = ("fetch.dataset", "train.epochs", "models.dense.hidden")
    table = pd.DataFrame(rows, columns=["Experiment", "typ", "State", *params, *figures])
    table["rev"] = table["Experiment"]
    monkeypatch.setattr(experiments, "read", lambda: table)
    return table


@pytest.mark.usefixtures("shown")
def test_experiments_on_the_commits_own_beats_are_listed_best_first_with_what_differs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiments.main()
    lines = capsys.readouterr().out.splitlines()
    larger = ["a-larger-one", "0.9800", "0.9000", "0.9000", "0.1000", "0.9700", "train.epochs=200,"]
    assert [line.split()[:7] for line in lines[2:] if line.split()[1].startswith("0.")] == [
        larger,
        ["main", "0.9900", "0.9800", "0.9700", "0.0500", "0.9600", "as"],
        ["fewer-steps", "0.9500", "0.9400", "0.9300", "0.0700", "0.9200", "train.epochs=5"],
    ]
    assert "Left out: 1 on ECG200; --dataset ECG200 lists them." in lines
    assert {"Left out: 1 failed.", "Left out: 1 queued."} <= set(lines)


@pytest.mark.usefixtures("shown")
def test_those_on_another_dataset_are_listed_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    experiments.main("ECG200")
    output = capsys.readouterr().out
    assert "another-heart" in output
    assert "fewer-steps" not in output
    assert "Left out: 3 on ECG5000" in output


def test_the_table_fits_a_hundred_columns_and_cuts_nothing(
    shown: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    shown.loc[1, "models.dense.hidden"] = str([64] * 40)
    experiments.main()
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= experiments.WIDTH
    assert "".join(lines).count("64") == 40 + 1
