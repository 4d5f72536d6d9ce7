"""The HTTP service: in process, and as `ecg serve` starts it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.service import free_port
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import Detector
from ecg.service.app import make_app
from ecg.service.schemas import Limits
from tests.conftest import ROOT, calibrating

BINARY = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def client(detector: Detector) -> TestClient:
    return TestClient(make_app(detector, {"auc": 0.99}, Limits(beats=600, body=3_000_000)))


@pytest.fixture(scope="module")
def beats(test: Beats) -> np.ndarray:
    return test.samples[::15].astype(np.float32)


def refused(answer: Response, status: int, told: str, **place: int) -> None:
    """That an answer is a problem of this kind, which says this, of this place."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("status") == status
    assert re.search(told, problem.pop("detail")), answer.text
    assert problem.pop("title")
    assert problem == place


def test_one_beat_gets_its_verdict(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    verdicts = detector.score(beats)
    for i in (0, 200, 299):
        told = client.post("/score", json={"beat": beats[i].tolist()}).json()
        assert told["score"] == pytest.approx(float(verdicts.score[i]), rel=1e-5)
        assert told["anomalous"] == verdicts.anomalous[i]
        assert told["p_value"] == pytest.approx(float(verdicts.p_value[i]), abs=0.01)


def test_many_beats_get_the_detector_s_verdicts_in_json_and_in_binary(
    client: TestClient, detector: Detector, beats: np.ndarray
) -> None:
    verdicts = detector.score(beats)
    as_json = client.post("/score/batch", json={"beats": beats.tolist()})
    in_binary = client.post("/score/binary", content=beats.astype("<f4").tobytes(), headers=BINARY)
    assert as_json.json() == in_binary.json()
    told = in_binary.json()
    np.testing.assert_array_equal(np.array(told["score"], np.float32), verdicts.score)
    np.testing.assert_array_equal(told["p_value"], verdicts.p_value)
    np.testing.assert_array_equal(told["anomalous"], verdicts.anomalous)


def test_another_alpha_moves_the_verdict(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    p = detector.score(beats).p_value
    for alpha in (0.004, 0.3):
        told = client.post(f"/score/batch?alpha={alpha}", json={"beats": beats.tolist()}).json()
        np.testing.assert_array_equal(told["anomalous"], p <= alpha)
    refused(
        client.post("/score?alpha=0.001", json={"beat": [0] * 140}), 422, "alpha: .* greater than or equal to 0.003"
    )
    refused(client.post("/score?alpha=nan", json={"beat": [0] * 140}), 422, "alpha: .* finite")
    refused(client.post("/score?alhpa=0.1", json={"beat": [0] * 140}), 422, "alhpa: Extra inputs are not permitted")


def test_a_beat_is_explained(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    (explanation,) = detector.explain(beats[[250]])
    told = client.post("/explain", json={"beat": beats[250].tolist()}).json()
    assert sum(told["contribution"]) == pytest.approx(told["score"])
    np.testing.assert_allclose(told["reconstruction"], explanation.reconstruction)
    assert [run["segments"] for run in told["runs"]] == [list(run.segments) for run in explanation.runs]
    assert [(run["start"], run["stop"]) for run in told["runs"]] == [(run.start, run.stop) for run in explanation.runs]


def test_a_model_without_p_values_says_so(detector: Detector, errors: TrainingErrors, beats: np.ndarray) -> None:
    fitted = TrainingErrors(errors.fold, errors.fitted, None)
    calibration = thresholds.calibrate(fitted, calibrating(method="percentile"), detector.model.sha256)
    client = TestClient(make_app(Detector(detector.model, calibration)))
    assert client.post("/score", json={"beat": beats[0].tolist()}).json()["p_value"] is None
    assert client.post("/score/batch", json={"beats": beats[:3].tolist()}).json()["p_value"] is None
    assert client.get("/model").json()["smallest_alpha"] is None
    refused(client.post("/score?alpha=0.1", json={"beat": [0] * 140}), 422, "needs p-values")


def with_sample(beats: np.ndarray, place: tuple[int, int], value: Any) -> list[list[Any]]:
    rows = beats.tolist()
    rows[place[0]][place[1]] = value
    return rows


@pytest.mark.parametrize("value", ["1", None, True, [1], {}, 1e7, -1e300, float("nan"), float("inf")])
def test_a_sample_that_is_no_finite_number_is_refused_with_its_place(
    client: TestClient, beats: np.ndarray, value: object
) -> None:
    body = json.dumps({"beats": with_sample(beats[:5], (3, 12), value)})
    answer = client.post("/score/batch", content=body, headers={"content-type": "application/json"})
    refused(answer, 422, "^beat 3, sample 12: ", beat=3, sample=12)
    body = json.dumps({"beat": with_sample(beats[:1], (0, 7), value)[0]})
    for route in ("/score", "/explain"):
        answer = client.post(route, content=body, headers={"content-type": "application/json"})
        refused(answer, 422, "^beat 0, sample 7: ", beat=0, sample=7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7])
def test_a_binary_sample_that_is_no_finite_number_is_refused_with_its_place(
    client: TestClient, beats: np.ndarray, value: float
) -> None:
    wrong = beats[:5].copy()
    wrong[3, 12] = value
    answer = client.post("/score/binary", content=wrong.tobytes(), headers=BINARY)
    refused(answer, 422, "^beat 3, sample 12 is ", beat=3, sample=12)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("route", "body", "headers", "status", "told"),
    [
        ("/score", b"", JSON, 422, "body: Field required"),
        ("/score", b"{", JSON, 400, "the body is not JSON"),
        ("/score", b"\xff\xfe", JSON, 400, ""),
        ("/score", b"[" * 200_000, JSON, 400, ""),
        ("/score", b'{"beat": ' + b"9" * 5000 + b"}", JSON, 400, ""),
        ("/score", b"[]", JSON, 422, "^body: "),
        ("/score", b"{}", JSON, 422, "^body beat: Field required"),
        ("/score", b'{"beat": 1}', JSON, 422, "^beat 0: Input should be a valid list"),
        ("/score", b'{"beat": [1, 2]}', JSON, 422, "^beat 0: List should have at least 140 items"),
        ("/score", json.dumps({"beat": [0] * 141}).encode(), JSON, 422, "^beat 0: List should have at most 140 items"),
        ("/score", json.dumps({"beat": [0] * 140, "x": 1}).encode(), JSON, 422, "^body x: Extra inputs"),
        ("/score", b'{"\\ud800": 1}', JSON, 422, "^body"),
        ("/score", json.dumps({"beat": [0] * 140}).encode(), {"content-type": "text/plain"}, 415, "text/plain"),
        ("/score", json.dumps({"beat": [0] * 140}).encode(), {}, 415, "of no kind; this takes application/json"),
        ("/score/batch", b'{"beats": []}', JSON, 422, "^body beats: List should have at least 1 item"),
        ("/score/batch", json.dumps({"beats": [[0] * 140] * 601}).encode(), JSON, 422, "at most 600 items"),
        ("/score/batch", json.dumps({"beats": [[0] * 140, [0]]}).encode(), JSON, 422, "^beat 1: List should have"),
        ("/score/binary", b"", BINARY, 422, "the body holds 0 bytes; a beat has 560"),
        ("/score/binary", b"x" * 561, BINARY, 422, "the body holds 561 bytes"),
        ("/score/binary", bytes(560 * 601), BINARY, 422, "holds 601 beats; a request may hold 600"),
        ("/score/binary", bytes(560), JSON, 415, "this takes application/octet-stream"),
        ("/score/binary", bytes(3_000_001), BINARY, 413, "may hold 3,000,000 bytes; send fewer beats"),
        ("/score", b" " * 3_000_001, JSON, 413, "may hold 3,000,000 bytes"),
    ],
)
def test_a_request_that_is_none_is_refused(
    client: TestClient, route: str, body: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    answer = client.post(route, content=body, headers=headers)
    place = {"beat": answer.json()["beat"]} if told.startswith("^beat ") else {}
    refused(answer, status, told, **place)


def test_a_body_that_comes_in_pieces_is_limited_too(client: TestClient) -> None:
    pieces: Iterator[bytes] = iter([bytes(1_000_000)] * 4)
    refused(client.post("/score/binary", content=pieces, headers=BINARY), 413, "may hold 3,000,000 bytes")


def test_unknown_routes_and_methods_are_refused(client: TestClient) -> None:
    refused(client.get("/nothing"), 404, "Not Found")
    answer = client.get("/score")
    refused(answer, 405, "Method Not Allowed")
    assert answer.headers["allow"] == "POST"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=2000), route=st.sampled_from(["/score", "/score/batch", "/score/binary", "/explain"]))
def test_arbitrary_bytes_are_refused_and_nothing_breaks(client: TestClient, body: bytes, route: str) -> None:
    kind = BINARY if route == "/score/binary" else JSON
    answer = client.post(route, content=body, headers=kind)
    assert answer.status_code in (400, 422) or (route == "/score/binary" and answer.status_code == 200)


def test_the_model_is_told_of(client: TestClient, detector: Detector) -> None:
    told = client.get("/model").json()
    assert told["sha256"] == detector.model.sha256
    assert (told["length"], told["members"], told["dataset"]) == (140, 5, "ECG5000")
    assert (told["alpha"], told["threshold"]) == (detector.calibration.alpha, detector.calibration.threshold)
    assert told["metrics"] == {"auc": 0.99}
    assert "not a medical device" in told["intended_use"]
    assert any("one patient" in limit for limit in told["limits"])
    assert (told["largest_batch"], told["largest_body"]) == (600, 3_000_000)


def test_health_says_whether_beats_can_be_scored(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(make_app(detector))
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == {"status": "ready"}

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(detector.model, "run", broken)
    refused(client.get("/health/ready"), 503, "a beat cannot be scored")
    assert client.get("/health/live").status_code == 200


def series(client: TestClient, name: str) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def test_requests_beats_and_alarms_are_counted(detector: Detector, beats: np.ndarray) -> None:
    client = TestClient(make_app(detector))
    alarms = detector.score(beats).anomalous.sum()
    client.post("/score/binary", content=beats.tobytes(), headers=BINARY)
    client.post("/score/binary", content=beats.tobytes(), headers=BINARY)
    client.post("/score", content=b"no", headers=JSON)
    client.get("/a/secret/path")
    client.request("BREW", "/score")
    assert series(client, "ecg_beats_total") == 2 * len(beats)
    assert series(client, "ecg_alarms_total") == 2 * alarms
    assert series(client, 'ecg_requests_total{method="POST",route="/score/binary",status="200"}') == 2
    assert series(client, 'ecg_requests_total{method="POST",route="/score",status="400"}') == 1
    assert series(client, 'ecg_requests_total{method="GET",route="none",status="404"}') == 1
    assert series(client, 'ecg_requests_total{method="other",route="/score",status="405"}') == 1
    assert series(client, 'ecg_request_duration_seconds_count{route="/score/binary"}') == 2
    assert "secret" not in client.get("/metrics").text


def test_a_key_is_asked_for_where_there_is_one(detector: Detector, beats: np.ndarray) -> None:
    client = TestClient(make_app(detector, bounds=Limits(body=1000), key="s3cret"))
    beat = {"beat": beats[0].tolist()}
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "s3cret"},
        {"authorization": "Bearer é".encode()},
    ):
        answer = client.post("/score", content=bytes(2000), headers=headers | JSON)
        refused(answer, 401, "Authorization: Bearer <key>")
        assert answer.headers["www-authenticate"] == "Bearer"
    client = TestClient(make_app(detector, key="s3cret"), headers={"authorization": "Bearer s3cret"})
    assert client.post("/score", json=beat).status_code == 200
    stranger = TestClient(make_app(detector, key="s3cret"))
    refused(stranger.get("/model"), 401, "Bearer")
    for scheme in ("bearer", "BEARER"):
        assert stranger.get("/model", headers={"authorization": f"{scheme} s3cret"}).status_code == 200
    for route in ("/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        assert stranger.get(route).status_code == 200


def test_the_documentation_has_units_examples_and_every_error(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    one = document["components"]["schemas"]["Beat"]["properties"]["beat"]
    assert "z-normalised" in one["description"]
    assert (one["minItems"], one["maxItems"]) == (140, 140)
    (example,) = one["examples"]
    assert client.post("/score", json={"beat": example}).json()["anomalous"] is False
    for route in ("/score", "/score/batch", "/score/binary", "/explain"):
        operation = document["paths"][route]["post"]
        assert operation["description"]
        assert set(operation["responses"]) == {"200", "400", "413", "415", "422"}
    assert document["paths"]["/score"]["post"]["parameters"][0]["schema"]["minimum"] == pytest.approx(1 / 293)


def test_answers_keep_to_the_documentation(detector: Detector) -> None:
    """A short run of schemathesis; `python -m benchmarks.contract` is the long one."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(detector, bounds=Limits(beats=3)))
    found = 0
    for operation in schema.get_all_operations():
        if operation.ok().path == "/score/binary":
            continue  # what its bytes mean, the schema cannot say

        @settings(max_examples=15, suppress_health_check=list(HealthCheck))
        @given(case=operation.ok().as_strategy())
        def check(case: schemathesis.Case) -> None:
            nonlocal found
            case.call_and_validate()
            found += 1

        check()
    assert found > 40


@pytest.fixture
def served(shipped: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """The service as it is started: its address, its process, and the file with all that it says."""
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", str(port), "--access-log"]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            time.sleep(0.05)
            if b"Uvicorn running" in log.read_bytes() or process.poll() is not None:
                break
        yield address, process, log
        process.kill()


def post(address: str, body: bytes, kind: dict[str, str]) -> tuple[int, bytes]:
    request = urllib.request.Request(address, body, kind)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_no_beat_is_logged(served: tuple[str, subprocess.Popen[bytes], Path], beats: np.ndarray) -> None:
    address, process, log = served
    marked = beats[:2].tolist()
    marked[1][5] = 0.123456789
    assert post(f"{address}/score/batch", json.dumps({"beats": marked}).encode(), JSON)[0] == 200
    marked[1][6] = "0.123456789"
    status, told = post(f"{address}/score/batch", json.dumps({"beats": marked}).encode(), JSON)
    assert (status, b"0.123456789" in told) == (422, False)
    assert post(f"{address}/score/batch", b"0.123456789 {", JSON)[0] == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    said = log.read_text()
    assert '"POST /score/batch HTTP/1.1" 200' in said
    assert "0.1234" not in said
    assert "Traceback" not in said


def test_who_is_still_sending_a_body_that_is_too_large_gets_the_answer(
    served: tuple[str, subprocess.Popen[bytes], Path],
) -> None:
    status, told = post(f"{served[0]}/score/binary", bytes(40_000_000), BINARY)
    assert (status, json.loads(told)["status"]) == (413, 413)


@pytest.mark.parametrize("fault", ["missing model", "damaged model", "other calibration", "no calibration"])
def test_a_model_that_cannot_be_served_stops_the_start_with_one_line(
    shipped: Path, onnx_model: bytes, fault: str
) -> None:
    told = "belongs to another model, or the model is damaged; run `dvc repro`"
    if fault == "missing model":
        (shipped / "autoencoder.onnx").unlink()
        told = "autoencoder.onnx is missing; `dvc repro` makes it"
    elif fault == "damaged model":
        (shipped / "autoencoder.onnx").write_bytes(onnx_model[:-100])
    elif fault == "other calibration":
        other = onnx.load_from_string(onnx_model)
        other.producer_name = "somebody else"
        (shipped / "autoencoder.onnx").write_bytes(other.SerializeToString())
    else:
        (shipped / "calibration.json").write_text("{}")
        told = "calibration.json: "
    command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    if fault != "no calibration":
        assert done.stderr.count("\n") == 1


def test_a_port_where_another_program_listens_is_told(shipped: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: the service could not start at 127.0.0.1, port {port}"
