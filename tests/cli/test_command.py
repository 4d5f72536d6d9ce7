"""`python -m ecg` as a shell uses it, on a folder with a model and nothing else."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arro3.io import read_parquet

from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.detector.tables import ROWS
from tests.conftest import ROOT

Ecg = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def ecg(shipped: Path) -> Ecg:
    """Run a command in a folder with a model, from anywhere but the repository."""

    def run(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "ecg", *map(str, arguments)],
            cwd=shipped.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            input=given,
            capture_output=True,
            check=False,
        )

    return run


@pytest.fixture
def beats(tmp_path: Path, test: Beats) -> np.ndarray:
    """Some beats, beside the model as beats.csv and as beats.npy."""
    np.savetxt(tmp_path / "beats.csv", test.samples[::15], delimiter=",")
    np.save(tmp_path / "beats.npy", test.samples[::15])
    return test.samples[::15]


def rows(csv: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(csv), float_precision="round_trip")


@pytest.mark.parametrize("table", ["beats.csv", "beats.npy"])
def test_scores_come_out_as_the_detector_gives_them(
    ecg: Ecg, detector: Detector, beats: np.ndarray, table: str
) -> None:
    done, verdicts = ecg("score", table), detector.score(beats)
    assert done.returncode == 0, done.stderr
    told = rows(done.stdout)
    assert list(told) == ["beat", "score", "p_value", "anomalous"]
    np.testing.assert_array_equal(told["beat"], np.arange(len(beats)))
    np.testing.assert_array_equal(told["score"].astype(np.float32), verdicts.score)
    np.testing.assert_array_equal(told["p_value"], verdicts.p_value)
    np.testing.assert_array_equal(told["anomalous"], verdicts.anomalous)
    assert f"{len(beats)} beats, {verdicts.anomalous.sum()} anomalous".encode() in done.stderr


@pytest.mark.usefixtures("beats")
def test_every_output_says_the_same(ecg: Ecg, tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        assert ecg("score", "beats.npy", "--output", f"out.{suffix}", "--quiet").stderr == b""
    expected = rows((tmp_path / "out.csv").read_bytes())
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    pd.testing.assert_frame_equal(pd.DataFrame(lines), expected)
    table = read_parquet(tmp_path / "out.parquet").read_all()
    for name in expected:
        dtype = np.float32 if name == "score" else expected[name].dtype
        np.testing.assert_array_equal(table[name].to_numpy(), expected[name].astype(dtype))


def test_a_table_of_several_blocks_gets_the_verdicts_of_one_array(
    ecg: Ecg, detector: Detector, test: Beats, tmp_path: Path
) -> None:
    many = np.resize(test.samples, (2 * ROWS + 100, 140))
    np.save(tmp_path / "many.npy", many)
    told, verdicts = rows(ecg("score", "many.npy").stdout), detector.score(many)
    np.testing.assert_array_equal(told["beat"], np.arange(len(many)))
    np.testing.assert_array_equal(told["score"].astype(np.float32), verdicts.score)
    np.testing.assert_array_equal(told["p_value"], verdicts.p_value)


def test_labels_are_carried_along(ecg: Ecg, raw: Path, test: Beats) -> None:
    done = ecg("score", raw / "ECG5000_TEST.tsv")
    assert list(rows(done.stdout)) == ["beat", "label", "score", "p_value", "anomalous"]
    np.testing.assert_array_equal(rows(done.stdout)["label"], test.classes)


@pytest.mark.usefixtures("beats")
def test_beats_come_by_standard_input(ecg: Ecg, tmp_path: Path) -> None:
    expected = ecg("score", "beats.npy").stdout
    assert ecg("score", "--from", "npy", given=(tmp_path / "beats.npy").read_bytes()).stdout == expected
    assert ecg("score", "-", given=(tmp_path / "beats.csv").read_bytes()).stdout == expected


@pytest.mark.usefixtures("beats")
def test_another_alpha_moves_the_verdicts_alone(ecg: Ecg) -> None:
    as_calibrated, strict = (rows(ecg("score", "beats.npy", *more).stdout) for more in ([], ["--alpha", "0.01"]))
    pd.testing.assert_series_equal(strict["p_value"], as_calibrated["p_value"])
    np.testing.assert_array_equal(strict["anomalous"], strict["p_value"] <= 0.01)
    assert 0 < strict["anomalous"].sum() < as_calibrated["anomalous"].sum()


def test_a_table_without_beats_has_no_verdicts(ecg: Ecg, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, 140)))
    assert ecg("score", "none.npy").stdout == b"beat,score,p_value,anomalous\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["score", "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory"),
        (["score", "beats.xls"], "beats.xls is of no known kind"),
        (["score", "beats.csv", "--alpha", "0.0001"], "alpha is 0.0001; it should be below 1, and 0.00341 at least"),
        (["score", "beats.csv", "--output", "out.txt"], "out.txt is of no known kind"),
        (["score", "wrong.csv"], "wrong.csv, line 2, column 2: 'x' is not a finite number"),
        (["score", "wrong.npy"], "wrong.npy: beat 20001, sample 7 is nan; beats must be finite"),
        (["score", "beats.csv", "--models", "nowhere"], "autoencoder.onnx is missing; `dvc repro` makes it"),
        (["explain", "beats.csv", "--beat", "300"], "beats.csv has the beats 0 to 299, not 300"),
        (["explain", "beats.csv", "--output", "why.svg"], "why.svg: a figure's name should end in .png"),
        (["explain", "beats.csv", "--normal", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_a_mistake_is_one_message_and_status_1_and_leaves_no_output(
    ecg: Ecg, beats: np.ndarray, tmp_path: Path, arguments: list[str], told: str
) -> None:
    line = b",".join([b"1"] * 140)
    (tmp_path / "wrong.csv").write_bytes(line + b"\n" + line.replace(b"1,1", b"1,x", 1) + b"\n")
    wrong = np.resize(beats, (20_010, 140))
    wrong[20_001, 7] = np.nan
    np.save(tmp_path / "wrong.npy", wrong)
    before = set(tmp_path.iterdir())
    if arguments[0] == "score" and "--output" not in arguments:
        arguments = [*arguments, "--output", "out.csv"]
    done = ecg(*arguments)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: ")
    assert told in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_wrong_usage_is_status_2(ecg: Ecg) -> None:
    assert ecg("guess").returncode == 2
    assert ecg("score", "--alpha", "much").returncode == 2


@pytest.mark.usefixtures("beats")
@pytest.mark.parametrize(("signal_sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_that_looks_complete(
    shipped: Path, tmp_path: Path, signal_sent: int, status: int
) -> None:
    (tmp_path / "out.csv").write_text("what was there before\n")
    command = [sys.executable, "-m", "ecg", "score", "--from", "csv", "--output", "out.csv", "--models", str(shipped)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What runs in the background ignores SIGINT, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        text = (tmp_path / "beats.csv").read_bytes()
        for _ in range(60):  # more than a block of text, and of beats; the end never comes
            process.stdin.write(text)
        process.stdin.flush()
        while not list(tmp_path.glob(".out.csv.*")):
            time.sleep(0.02)
        process.send_signal(signal_sent)
        _, told = process.communicate()
    assert process.returncode == status
    assert b"Traceback" not in told
    assert (tmp_path / "out.csv").read_text() == "what was there before\n"
    assert not list(tmp_path.glob(".out.csv.*"))


def test_a_reader_that_has_enough_ends_it_without_a_word(shipped: Path, raw: Path) -> None:
    score = [sys.executable, "-m", "ecg", "score", str(raw / "ECG5000_TEST.tsv"), "--quiet"]
    done = subprocess.run(
        f"{shlex.join(score)} | head -2",
        shell=True,
        cwd=shipped.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert done.stdout.count(b"\n") == 2
    assert done.stderr == b""


@pytest.mark.usefixtures("beats")
def test_a_device_is_written_to_and_not_replaced(ecg: Ecg) -> None:
    assert ecg("score", "beats.npy", "--output", os.devnull, "--to", "csv").returncode == 0
    assert not Path(os.devnull).is_file()


def test_a_beat_is_explained_in_words_and_as_a_figure(
    ecg: Ecg, beats: np.ndarray, detector: Detector, tmp_path: Path
) -> None:
    done = ecg("explain", "beats.csv", "--beat", 200, "--normal", "beats.npy", "--output", "why.png")
    assert done.stdout.decode() == f"{detector.explain(beats[[200]])[0]}\n"
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("beats")
def test_without_matplotlib_a_figure_is_refused_and_words_are_not(ecg: Ecg, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(name='matplotlib')\n")
    done = ecg("explain", "beats.csv", "--output", "why.png")
    assert done.stdout.startswith((b"normal: ", b"anomalous: "))
    assert done.stderr == b"error: drawing needs matplotlib: pip install 'ecg-anomaly-detector[recordings]'\n"


@pytest.mark.usefixtures("beats")
def test_nothing_that_training_needs_is_imported(shipped: Path) -> None:
    code = (
        "import sys; from ecg import Detector; from ecg.evaluation import card; import ecg.__main__, ecg.service.app\n"
        "detector = Detector.load('models'); detector.explain('beats.csv')\n"
        "heavy = {'torch', 'dvc', 'matplotlib', 'pandas', 'scipy', 'sklearn', 'onnx'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=shipped.parent, env=environment, check=True)
