"""The command line, run as a shell runs it, in a folder that contains a model."""

import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.service import free_port
from ecg.cli import commands
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.detector.tables import INPUTS, OUTPUTS, ROWS
from tests import forked
from tests.conftest import ROOT

Ecg = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def ecg(shipped: Path) -> Ecg:
    """Run a command in a folder with a model, outside the repository."""

    def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return forked.ecg(arguments, shipped.parent, os.environ, stdin)

    return run


@pytest.fixture
def beats(tmp_path: Path, test: Beats) -> np.ndarray:
    """Some beats, also saved beside the model as beats.csv and as beats.npy."""
    np.savetxt(tmp_path / "beats.csv", test.samples[::15], delimiter=",")
    np.save(tmp_path / "beats.npy", test.samples[::15])
    return test.samples[::15]


def rows(csv: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(csv), float_precision="round_trip")


@pytest.mark.parametrize("table", ["beats.csv", "beats.npy"])
@pytest.mark.slow
def test_the_output_has_the_scores_of_the_detector(ecg: Ecg, detector: Detector, beats: np.ndarray, table: str) -> None:
    done, verdicts = ecg("score", table), detector.score(beats)
    assert done.returncode == 0, done.stderr
    output = rows(done.stdout)
    assert list(output) == ["beat", "score", "p_value", "anomalous"]
    np.testing.assert_array_equal(output["beat"], np.arange(len(beats)))
    np.testing.assert_array_equal(output["score"].astype(np.float32), verdicts.score)
    np.testing.assert_array_equal(output["p_value"], verdicts.p_value)
    np.testing.assert_array_equal(output["anomalous"], verdicts.anomalous)
    assert f"{len(beats)} beats, {verdicts.anomalous.sum()} anomalous".encode() in done.stderr


@pytest.mark.usefixtures("beats")
@pytest.mark.slow
def test_all_output_formats_have_equal_content(ecg: Ecg, tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        assert ecg("score", "beats.npy", "--output", f"out.{suffix}", "--quiet").stderr == b""
    expected = rows((tmp_path / "out.csv").read_bytes())
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    pd.testing.assert_frame_equal(pd.DataFrame(lines), expected)
    table = pd.read_parquet(tmp_path / "out.parquet")
    for name in expected:
        dtype = np.float32 if name == "score" else expected[name].dtype
        np.testing.assert_array_equal(table[name].to_numpy(), expected[name].astype(dtype))


def test_a_table_read_in_parts_gets_the_verdicts_of_one_array(
    ecg: Ecg, detector: Detector, test: Beats, tmp_path: Path
) -> None:
    many = np.resize(test.samples, (2 * ROWS + 100, 140))
    np.save(tmp_path / "many.npy", many)
    output, verdicts = rows(ecg("score", "many.npy").stdout), detector.score(many)
    np.testing.assert_array_equal(output["beat"], np.arange(len(many)))
    np.testing.assert_array_equal(output["score"].astype(np.float32), verdicts.score)
    np.testing.assert_array_equal(output["p_value"], verdicts.p_value)


def test_labels_are_copied_to_the_output(ecg: Ecg, raw: Path, test: Beats) -> None:
    done = ecg("score", raw / "ECG5000_TEST.tsv")
    assert list(rows(done.stdout)) == ["beat", "label", "score", "p_value", "anomalous"]
    np.testing.assert_array_equal(rows(done.stdout)["label"], test.classes)


@pytest.mark.usefixtures("beats")
@pytest.mark.slow
def test_beats_are_read_from_standard_input(ecg: Ecg, tmp_path: Path) -> None:
    expected = ecg("score", "beats.npy").stdout
    assert ecg("score", "--from", "npy", stdin=(tmp_path / "beats.npy").read_bytes()).stdout == expected
    assert ecg("score", "-", stdin=(tmp_path / "beats.csv").read_bytes()).stdout == expected


@pytest.mark.usefixtures("beats")
@pytest.mark.slow
def test_another_alpha_changes_the_verdicts_only(ecg: Ecg) -> None:
    as_calibrated, strict = (rows(ecg("score", "beats.npy", *more).stdout) for more in ([], ["--alpha", "0.01"]))
    pd.testing.assert_series_equal(strict["p_value"], as_calibrated["p_value"])
    np.testing.assert_array_equal(strict["anomalous"], strict["p_value"] <= 0.01)
    assert 0 < strict["anomalous"].sum() < as_calibrated["anomalous"].sum()


def test_a_table_without_beats_has_no_verdicts(ecg: Ecg, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, 140)))
    assert ecg("score", "none.npy").stdout == b"beat,score,p_value,anomalous\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory"),
        (["score", "beats.xls"], "beats.xls has an unknown format; its name should end in .csv, .tsv, .npy, .parquet"),
        (["score", "beats.csv", "--alpha", "0.0001"], "alpha is 0.0001; it should be below 1, and 0.00341 at least"),
        (
            ["score", "beats.csv", "--output", "out.txt"],
            "out.txt has an unknown format; its name should end in .csv, .jsonl, .parquet",
        ),
        (["score", "wrong.csv"], "wrong.csv, row 2, column 2: double: invalid value 'x'"),
        (["score", "wrong.npy"], "wrong.npy: beat 20001, sample 7 is nan; beats must be finite"),
        (["score", "beats.csv", "--models", "nowhere"], "autoencoder.onnx is missing; `dvc repro` makes it"),
        (["explain", "beats.csv", "--beat", "300"], "beats.csv has the beats 0 to 299, not 300"),
        (["explain", "beats.csv", "--output", "why.svg"], "why.svg: the name of a figure should end in .png"),
        (["explain", "beats.csv", "--normal", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
@pytest.mark.slow
def test_an_input_error_is_one_message_with_status_1_and_leaves_no_output(
    ecg: Ecg, beats: np.ndarray, tmp_path: Path, arguments: list[str], message: str
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
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: ecg [OPTIONS] COMMAND"),
        (["guess"], "No such command 'guess'"),
        (["score", "--alpha", "much"], "Invalid value for '--alpha'"),
        (["score", "--from", "xls"], "Invalid value for '--from'"),
        (["explain"], "Missing argument 'table'"),
        (["info", "--json", "--card"], "Invalid value for --card: it cannot be combined with --json"),
        (["serve", "--max-beats", "0"], "Invalid value for '--max-beats'"),
    ],
)
def test_wrong_usage_is_status_2(ecg: Ecg, arguments: list[str], message: str) -> None:
    done = ecg(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert message in done.stderr.decode()


def test_the_port_of_the_service_comes_from_the_environment(ecg: Ecg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "65536")
    done = ecg("serve")
    assert done.returncode == 2
    assert b"Invalid value for '--port' (env var: 'PORT')" in done.stderr


def test_the_formats_are_those_that_tables_can_have(ecg: Ecg) -> None:
    text = ecg("score", "--help").stdout.decode()
    assert f"--from <{'|'.join(INPUTS.values())}>" in text
    assert f"--to <{'|'.join(OUTPUTS.values())}>" in text


def test_help_states_the_intended_use_the_defaults_and_the_exit_statuses(ecg: Ecg) -> None:
    text = " ".join(ecg("--help").stdout.decode().split())
    assert "For research and teaching; not a medical device." in text
    assert "Exit status: 0 done, 1 an input is wrong, 2 wrong usage, 130 interrupted, 143 terminated." in text
    text = " ".join(ecg("serve", "--help").stdout.decode().split())
    for default in ("127.0.0.1", "PORT; default: 8000", "default: 5000", "default: 16777216", "default: models"):
        assert default in text


@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR", "PY_COLORS"])
@pytest.mark.slow
def test_help_is_plain_text(ecg: Ecg, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    for output in (ecg("score", "--help").stdout, ecg("score", "--alpha", "much").stderr):
        assert output.isascii()
        assert b"\x1b" not in output


def run_after(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that runs some code first."""
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom ecg.cli.main import main\nmain()", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_and_completion_import_nothing_heavy(ecg: Ecg, shipped: Path) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'fastapi', 'numpy', 'onnxruntime', 'pandas', 'pyarrow', 'rich', 'scipy', 'streamlit', 'torch'}\n"
        "atexit.register(lambda: print(*heavy & sys.modules.keys(), file=sys.stderr))"
    )
    done = run_after(code, shipped.parent, "--help")
    assert done.stdout == ecg("--help").stdout.decode()
    assert done.stderr == "\n"


def test_the_version_is_that_of_the_installed_package(ecg: Ecg) -> None:
    assert ecg("--version").stdout.decode() == f"ecg-anomaly-detector {metadata.version('ecg-anomaly-detector')}\n"


def test_without_an_installed_package_its_version_is_an_error(shipped: Path) -> None:
    code = (
        "from importlib import metadata\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = version"
    )
    done = run_after(code, shipped.parent, "--version")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ecg-anomaly-detector is not installed, ")


def bash(script: str) -> str:
    """Run a script in bash where `ecg` is a command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    command = ["bash", "--norc", "-c", f"{script}\ntrue"]  # bash would replace itself by the last command
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("sc", {"score", "scan"}),
        ("score --from ", {"csv", "tsv", "npy", "parquet"}),
        ("serve --max", {"--max-beats", "--max-body", "--max-connections"}),
    ],
)
def test_bash_completes_commands_and_options(words: str, completions: set[str]) -> None:
    script = bash("ecg --show-completion")
    assert script.endswith("complete -o default -F _ecg_completion ecg\n")
    array = " ".join(shlex.quote(word) for word in f"ecg {words}".split(" "))
    call = (
        f'COMP_WORDS=({array}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ecg_completion ecg; echo "${{COMPREPLY[@]}}"'
    )
    assert set(bash(script + call).split()) == completions


def test_the_commands_are_functions_with_plain_arguments(
    shipped: Path, detector: Detector, beats: np.ndarray, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    commands.score([str(tmp_path / "beats.npy")], str(output), alpha=0.1, quiet=True, models=shipped)
    np.testing.assert_array_equal(rows(output.read_bytes())["anomalous"], detector.score(beats, 0.1).anomalous)


def test_a_bug_shows_a_plain_traceback(shipped: Path) -> None:
    code = "from ecg.detector.detector import Detector\nDetector.load = lambda *_: 1 / 0"
    done = run_after(code, shipped.parent, "score")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert done.stderr.isascii()


@pytest.mark.usefixtures("beats")
@pytest.mark.parametrize(("signal_sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
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
        # A process that a shell starts in the background ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        text = (tmp_path / "beats.csv").read_bytes()
        for _ in range(60):  # more text than is read at once; the end of the input never comes
            process.stdin.write(text)
        process.stdin.flush()
        while not list(tmp_path.glob(".out.csv.*")):
            time.sleep(0.02)
        process.send_signal(signal_sent)
        _, stderr = process.communicate()
    assert process.returncode == status
    assert b"Traceback" not in stderr
    assert (tmp_path / "out.csv").read_text() == "what was there before\n"
    assert not list(tmp_path.glob(".out.csv.*"))


def test_it_ends_silently_when_the_reader_closes_the_pipe(shipped: Path, raw: Path) -> None:
    score = [sys.executable, "-m", "ecg", "score", str(raw / "ECG5000_TEST.tsv"), "--quiet"]
    done = subprocess.run(  # noqa: S602 - the pipe of a shell is what is tested
        f"{shlex.join(score)} | head -2",
        shell=True,
        cwd=shipped.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert done.stdout.count(b"\n") == 2
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["serve", "dashboard"])
@pytest.mark.slow
def test_a_client_that_closes_its_connection_does_not_end_a_server(shipped: Path, command: str) -> None:
    """Writing to a closed connection raises SIGPIPE, which ends a process that does not ignore it."""
    port = free_port()
    settings = {"STREAMLIT_SERVER_HEADLESS": "true", "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"}
    with subprocess.Popen(
        [sys.executable, "-m", "ecg", command, "--port", str(port)],
        cwd=shipped.parent,
        env=os.environ | settings | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(port, process)
            process.send_signal(signal.SIGPIPE)
            wait_for(port, process)
        finally:
            process.terminate()
    assert process.returncode != -signal.SIGPIPE


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a connection to the port is accepted."""
    for _ in range(300):
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"nothing listens on port {port}")


@pytest.mark.usefixtures("beats")
@pytest.mark.slow
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
def test_without_matplotlib_the_text_is_printed_and_the_figure_is_an_error(shipped: Path) -> None:
    (shipped.parent / "matplotlib.py").write_text("raise ModuleNotFoundError(name='matplotlib')\n")
    done = run_after("", shipped.parent, "explain", "beats.csv", "--output", "why.png")
    assert done.stdout.startswith(("normal: ", "anomalous: "))
    assert done.stderr == "error: drawing needs matplotlib: pip install 'ecg-anomaly-detector[recordings]'\n"


@pytest.mark.usefixtures("beats")
def test_scoring_imports_nothing_that_only_training_needs(shipped: Path) -> None:
    code = (
        "import sys; from ecg import Detector; from ecg.evaluation import card; import ecg.__main__, ecg.service.app\n"
        "detector = Detector.load('models'); detector.explain('beats.csv')\n"
        "heavy = {'torch', 'dvc', 'matplotlib', 'pandas', 'scipy', 'sklearn', 'onnx'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=shipped.parent, env=environment, check=True)
