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
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.service import free_port
from ecg.data.beats import Beats
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.detector import Detector
from ecg.service import limits, schemas
from ecg.service.app import make_app
from ecg.service.limits import Limits
from tests.conftest import ROOT, calibrating

BINARY = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(detector: Detector) -> TestClient:
    return TestClient(make_app(detector, {"auc": 0.99}, Limits(beats=600, body=3_000_000)))


@pytest.fixture(scope="module")
def beats(test: Beats) -> np.ndarray:
    return test.samples[::15].astype(np.float32)


def assert_problem(response: Response, status: int, detail: str, **position: int) -> None:
    """That a response is problem details with this status, a detail that matches, and this position."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.pop("status") == status
    assert re.search(detail, problem.pop("detail")), response.text
    assert problem.pop("title")
    assert problem == position


def test_one_beat_gets_its_verdict(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    verdicts = detector.score(beats)
    for i in (0, 200, 299):
        verdict = client.post("/score", json={"beat": beats[i].tolist()}).json()
        assert verdict["score"] == pytest.approx(float(verdicts.score[i]), rel=1e-5)
        assert verdict["anomalous"] == verdicts.anomalous[i]
        assert verdict["p_value"] == pytest.approx(float(verdicts.p_value[i]), abs=0.01)


def test_many_beats_get_the_detector_s_verdicts_in_json_and_in_binary(
    client: TestClient, detector: Detector, beats: np.ndarray
) -> None:
    verdicts = detector.score(beats)
    as_json = client.post("/score/batch", json={"beats": beats.tolist()})
    in_binary = client.post("/score/binary", content=beats.astype("<f4").tobytes(), headers=BINARY)
    assert as_json.json() == in_binary.json()
    columns = in_binary.json()
    np.testing.assert_array_equal(np.array(columns["score"], np.float32), verdicts.score)
    np.testing.assert_array_equal(columns["p_value"], verdicts.p_value)
    np.testing.assert_array_equal(columns["anomalous"], verdicts.anomalous)


def test_another_alpha_moves_the_verdict(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    p = detector.score(beats).p_value
    for alpha in (0.004, 0.3):
        columns = client.post(f"/score/batch?alpha={alpha}", json={"beats": beats.tolist()}).json()
        np.testing.assert_array_equal(columns["anomalous"], p <= alpha)
    assert_problem(
        client.post("/score?alpha=0.001", json={"beat": [0] * 140}), 422, "alpha: .* greater than or equal to 0.003"
    )
    assert_problem(client.post("/score?alpha=nan", json={"beat": [0] * 140}), 422, "alpha: .* finite")
    assert_problem(
        client.post("/score?alhpa=0.1", json={"beat": [0] * 140}), 422, "alhpa: Extra inputs are not permitted"
    )


def test_a_beat_is_explained(client: TestClient, detector: Detector, beats: np.ndarray) -> None:
    (explanation,) = detector.explain(beats[[250]])
    verdict = client.post("/explain", json={"beat": beats[250].tolist()}).json()
    assert sum(verdict["contribution"]) == pytest.approx(verdict["score"])
    np.testing.assert_allclose(verdict["reconstruction"], explanation.reconstruction)
    assert [region["segments"] for region in verdict["regions"]] == [
        list(region.segments) for region in explanation.regions
    ]
    assert [(region["start"], region["stop"]) for region in verdict["regions"]] == [
        (region.start, region.stop) for region in explanation.regions
    ]


def test_a_model_without_p_values_says_so(detector: Detector, errors: TrainingErrors, beats: np.ndarray) -> None:
    fitted = TrainingErrors(errors.fold, errors.fitted, None)
    calibration = thresholds.calibrate(fitted, calibrating(method="percentile"), detector.model.sha256)
    client = TestClient(make_app(Detector(detector.model, calibration)))
    assert client.post("/score", json={"beat": beats[0].tolist()}).json()["p_value"] is None
    assert client.post("/score/batch", json={"beats": beats[:3].tolist()}).json()["p_value"] is None
    assert client.get("/model").json()["smallest_alpha"] is None
    assert_problem(client.post("/score?alpha=0.1", json={"beat": [0] * 140}), 422, "needs p-values")


def with_sample(beats: np.ndarray, position: tuple[int, int], value: Any) -> list[list[Any]]:
    rows = beats.tolist()
    rows[position[0]][position[1]] = value
    return rows


def bodies_with(beats: np.ndarray, value: Any) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Routes, bodies with this value at one sample, and where that is."""
    yield "/score/batch", json.dumps({"beats": with_sample(beats[:5], (3, 12), value)}), {"beat": 3, "sample": 12}
    for route in ("/score", "/explain"):
        yield route, json.dumps({"beat": with_sample(beats[:1], (0, 7), value)[0]}), {"beat": 0, "sample": 7}


@pytest.mark.parametrize("value", ["1", "", None, True, False, [1], [], {}, 1e7, -1e300, 2**60, 10**100])
def test_a_sample_that_is_not_a_finite_number_is_refused_with_its_position(
    client: TestClient, beats: np.ndarray, value: object
) -> None:
    for route, body, position in bodies_with(beats, value):
        response = client.post(route, content=body, headers=JSON)
        where = "^beat {beat}, sample {sample}: ".format(**position)
        assert_problem(response, 422, where, **position)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_not_json(client: TestClient, beats: np.ndarray, value: float) -> None:
    for route, body, _ in bodies_with(beats, value):
        assert_problem(client.post(route, content=body, headers=JSON), 400, "^the body is not JSON: ")


@given(
    rows=st.lists(
        st.lists(st.floats(-2e6, 2e6) | st.integers(-2, 2) | st.integers(), min_size=2, max_size=2), max_size=4
    )
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=2),
        lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=2), values, max_size=2),
    )
)
@example(rows=[[0, True]])
@example(rows=[[1.0, 2], [False, 1.0]])
@example(rows=[[1e6, -1e6]] * 3)
@example(rows=[[np.nextafter(1e6, 2e6), 0.0]])
@example(rows=["ab"])
def test_reading_beats_into_an_array_accepts_what_the_schema_accepts(rows: Any) -> None:
    one, many = schemas.request_bodies(2, 3, [0.0, 0.0])

    def read() -> np.ndarray | None:
        try:
            return many(beats=rows).beats
        except ValidationError:
            return None

    def by_schema() -> list[list[float]] | None:
        try:
            return [one(beat=row).beat for row in rows] if isinstance(rows, list) and 1 <= len(rows) <= 3 else None
        except ValidationError:
            return None

    beats, expected = read(), by_schema()
    assert (beats is None) == (expected is None)
    if beats is not None:
        np.testing.assert_array_equal(beats, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7])
def test_a_binary_sample_that_is_not_a_finite_number_is_refused_with_its_position(
    client: TestClient, beats: np.ndarray, value: float
) -> None:
    wrong = beats[:5].copy()
    wrong[3, 12] = value
    response = client.post("/score/binary", content=wrong.tobytes(), headers=BINARY)
    assert_problem(response, 422, "^beat 3, sample 12 is ", beat=3, sample=12)


@pytest.mark.parametrize(
    ("route", "body", "headers", "status", "detail"),
    [
        ("/score", b"", JSON, 422, "body: Field required"),
        ("/score", b"{", JSON, 400, "the body is not JSON"),
        ("/score", b"\xff\xfe", JSON, 400, ""),
        ("/score", b"[" * 200_000, JSON, 422, r"^body: it has 200,000 times '\['"),
        ("/score", b"[" * 600, JSON, 400, ""),
        ("/score", b'{"beat": ' + b"[" * 600 + b"]" * 600 + b"}", JSON, 422, "^beat 0, sample 0: "),
        ("/score", b"[" * 600 + b'{"a": 1, "b": 2}' + b"]" * 600, JSON, 422, "^body: "),
        (
            "/score/batch",
            b"{" + b",".join(b'"%d": 1' % i for i in range(1000)) + b"}",
            JSON,
            422,
            "^body: it has 1,000 times ':'",
        ),
        (
            "/score/batch",
            b'{"beats": [' + b",".join([b"[]"] * 1000) + b"]}",
            JSON,
            422,
            r"^body: it has 1,001 times '\['",
        ),
        (
            "/score/batch",
            b'{"beats": [' + b",".join([b"0"] * 100_000) + b"]}",
            JSON,
            422,
            "^body: it has 99,999 times ','",
        ),
        ("/score", b'{"beat": [1], "beat": [2]}', JSON, 422, "^body: the key 'beat' is repeated"),
        ("/score", b'{"beat": [1], "b\\u0065at": [2]}', JSON, 422, "^body: the key 'beat' is repeated"),
        ("/score", b'{"beat": {"a": 1, "a": 1}}', JSON, 422, "^body: the key 'a' is repeated"),
        (
            "/score?alpha=0.1&alpha=0.2",
            json.dumps({"beat": [0] * 140}).encode(),
            JSON,
            422,
            "^alpha: it is given 2 times",
        ),
        ("/score/binary?alpha=0.1&alpha=0.1", bytes(560), BINARY, 422, "^alpha: it is given 2 times"),
        ("/explain?alpha=0.1", json.dumps({"beat": [0] * 140}).encode(), JSON, 422, "alpha: Extra inputs"),
        ("/score", b'{"beat": ' + b"9" * 5000 + b"}", JSON, 400, ""),
        ("/score", b"[]", JSON, 422, "^body: "),
        ("/score", b"{}", JSON, 422, "^body beat: Field required"),
        ("/score", b'{"beat": 1}', JSON, 422, "^beat 0: Input should be a valid list"),
        ("/score", b'{"beat": [1, 2]}', JSON, 422, "^beat 0: List should have at least 140 items"),
        ("/score", json.dumps({"beat": [0] * 141}).encode(), JSON, 422, "^beat 0: List should have at most 140 items"),
        ("/score", json.dumps({"beat": [0] * 140, "x": 1}).encode(), JSON, 422, "^body x: Extra inputs"),
        ("/score", b'{"\\ud800": 1}', JSON, 400, "the body is not JSON"),
        ("/score/batch", b"", JSON, 422, "^body: Field required"),
        ("/score/batch", b"no", JSON, 400, "^the body is not JSON: "),
        ("/score/batch", b'{"beats": [[1]]} x', JSON, 400, "the body is not JSON"),
        ("/score/batch", b'{"beats": [[01]]}', JSON, 400, "the body is not JSON"),
        ("/score/batch", b'{"beats": 1}', JSON, 422, "^body beats: Input should be a valid list"),
        ("/score/batch", b'{"beats": {"0": [1]}}', JSON, 422, "^body beats: Input should be a valid list"),
        ("/score/batch", b'{"beats": ["a"]}', JSON, 422, "^beat 0: Input should be a valid list"),
        ("/score/batch", json.dumps({"beats": [[0] * 140], "x": 1}).encode(), JSON, 422, "^body x: Extra inputs"),
        ("/score/batch", json.dumps({"beats": [[[0]] * 140]}).encode(), JSON, 422, "^beat 0, sample 0: Input should"),
        ("/score", json.dumps({"beat": [0] * 140}).encode(), {"content-type": "text/plain"}, 415, "text/plain"),
        (
            "/score",
            json.dumps({"beat": [0] * 140}).encode(),
            {},
            415,
            "the content type is missing; it should be application/json",
        ),
        ("/score/batch", b'{"beats": []}', JSON, 422, "^body beats: List should have at least 1 item"),
        ("/score/batch", json.dumps({"beats": [[0] * 140] * 601}).encode(), JSON, 422, "at most 600 items"),
        ("/score/batch", json.dumps({"beats": [[0] * 140, [0]]}).encode(), JSON, 422, "^beat 1: List should have"),
        ("/score/binary", b"", BINARY, 422, "the body holds 0 bytes; a beat has 560"),
        ("/score/binary", b"x" * 561, BINARY, 422, "the body holds 561 bytes"),
        ("/score/binary", bytes(560 * 601), BINARY, 422, "holds 601 beats; a request may hold 600"),
        ("/score/binary", bytes(560), JSON, 415, "it should be application/octet-stream"),
        ("/score/binary", bytes(3_000_001), BINARY, 413, "may hold 3,000,000 bytes; send fewer beats"),
        ("/score", b" " * 3_000_001, JSON, 413, "may hold 3,000,000 bytes"),
    ],
)
def test_an_invalid_request_is_refused(
    client: TestClient, route: str, body: bytes, headers: dict[str, str], status: int, detail: str
) -> None:
    response = client.post(route, content=body, headers=headers)
    position = {name: int(index) for name, index in re.findall(r"(beat|sample) (\d+)", detail)}
    assert_problem(response, status, detail, **position)


def test_a_body_that_comes_in_pieces_is_limited_too(client: TestClient) -> None:
    pieces: Iterator[bytes] = iter([bytes(1_000_000)] * 4)
    assert_problem(client.post("/score/binary", content=pieces, headers=BINARY), 413, "may hold 3,000,000 bytes")


def test_unknown_routes_and_methods_are_refused(client: TestClient) -> None:
    assert_problem(client.get("/nothing"), 404, "Not Found")
    response = client.get("/score")
    assert_problem(response, 405, "Method Not Allowed")
    assert response.headers["allow"] == "POST"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=2000), route=st.sampled_from(["/score", "/score/batch", "/score/binary", "/explain"]))
def test_arbitrary_bytes_are_refused_and_nothing_breaks(client: TestClient, body: bytes, route: str) -> None:
    kind = BINARY if route == "/score/binary" else JSON
    response = client.post(route, content=body, headers=kind)
    assert response.status_code in (400, 422) or (route == "/score/binary" and response.status_code == 200)


def test_the_model_is_described(client: TestClient, detector: Detector) -> None:
    model = client.get("/model").json()
    assert model["sha256"] == detector.model.sha256
    assert (model["length"], model["members"], model["dataset"]) == (140, 5, "ECG5000")
    assert (model["alpha"], model["threshold"]) == (detector.calibration.alpha, detector.calibration.threshold)
    assert model["metrics"] == {"auc": 0.99}
    assert "not a medical device" in model["intended_use"]
    assert any("one patient" in limit for limit in model["limits"])
    assert (model["largest_batch"], model["largest_body"]) == (600, 3_000_000)


def test_health_says_whether_beats_can_be_scored(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(make_app(detector))
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == {"status": "ready"}

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(detector.model, "run", broken)
    assert_problem(client.get("/health/ready"), 503, "a beat cannot be scored")
    assert client.get("/health/live").status_code == 200


def series(client: TestClient, name: str) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def requests(client: TestClient, method: str, route: str, status: int) -> float:
    labels = f'http_request_method="{method}",http_response_status_code="{status}",http_route="{route}"'
    return series(client, f"http_server_request_duration_seconds_count{{{labels}}}")


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
    assert requests(client, "POST", "/score/binary", 200) == 2
    assert requests(client, "POST", "/score", 400) == 1
    assert requests(client, "GET", "", 404) == 1
    assert requests(client, "_OTHER", "/score", 405) == 1
    assert series(client, 'http_server_active_requests{http_request_method="POST"}') == 0
    text = client.get("/metrics").text
    assert 'http_response_status_code="200",http_route="/score/binary",le="0.0025"}' in text
    assert "process_resident_memory_bytes" in text
    assert "secret" not in text
    assert "BREW" not in text


def test_requests_that_are_refused_before_their_body_is_read_are_counted(detector: Detector) -> None:
    key = {"authorization": "Bearer s3cret"}
    client = TestClient(make_app(detector, bounds=Limits(body=1000), keys=["s3cret"]))
    client.get("/model")
    client.post("/score", content=bytes(2000), headers=key | JSON)
    client.post("/score", content=iter([bytes(2000)]), headers=key | JSON)
    assert requests(client, "GET", "", 401) == 1
    assert requests(client, "POST", "", 413) == 1
    assert requests(client, "POST", "/score", 413) == 1


def test_services_in_one_process_count_apart(detector: Detector) -> None:
    first, second = TestClient(make_app(detector)), TestClient(make_app(detector))
    first.get("/model")
    second.get("/health/live")
    assert requests(first, "GET", "/model", 200) == 1
    assert "/model" not in second.get("/metrics").text


def test_a_service_with_a_key_requires_it(detector: Detector, beats: np.ndarray) -> None:
    client = TestClient(make_app(detector, bounds=Limits(body=1000), keys=["s3cret"]))
    beat = {"beat": beats[0].tolist()}
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "s3cret"},
        {"authorization": "Bearer é".encode()},
    ):
        response = client.post("/score", content=bytes(2000), headers=headers | JSON)
        assert_problem(response, 401, "Authorization: Bearer <key>")
        assert response.headers["www-authenticate"] == "Bearer"
    client = TestClient(make_app(detector, keys=["s3cret"]), headers={"authorization": "Bearer s3cret"})
    assert client.post("/score", json=beat).status_code == 200
    stranger = TestClient(make_app(detector, keys=["s3cret"]))
    assert_problem(stranger.get("/model"), 401, "Bearer")
    for scheme in ("bearer", "BEARER"):
        assert stranger.get("/model", headers={"authorization": f"{scheme} s3cret"}).status_code == 200
    for route in (
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/",
        "/documentation/swagger-ui.css",
    ):
        assert stranger.get(route).status_code == 200
    twice = [("authorization", "Bearer s3cret"), ("authorization", "Bearer s3cret")]
    assert_problem(stranger.get("/model", headers=twice), 401, "Bearer")


def test_each_of_several_keys_is_accepted(detector: Detector) -> None:
    client = TestClient(make_app(detector, keys=["old", "new"]))
    for key, status in {"old": 200, "new": 200, "ol": 401, "old,new": 401, "": 401}.items():
        assert client.get("/model", headers={"authorization": f"Bearer {key}"}).status_code == status


def test_head_is_get_without_a_body(detector: Detector) -> None:
    client = TestClient(make_app(detector))
    for route in ("/model", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        head, whole = client.head(route), client.get(route)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
    response = client.head("/score")
    assert (response.status_code, response.headers["allow"], response.content) == (405, "POST", b"")
    assert requests(client, "HEAD", "/model", 200) == 1


def test_the_documentation_needs_no_network(client: TestClient) -> None:
    assert client.get("/", follow_redirects=False).headers["location"] == "docs"
    page = client.get("/docs").text
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", page)
    for asset in re.findall(r"(?:src|href)=[\"']([^\"']+)", page):
        assert client.get(asset).status_code == 200


def test_the_documentation_has_units_examples_and_every_error(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    one = document["components"]["schemas"]["Beat"]["properties"]["beat"]
    assert "z-normalised" in one["description"]
    assert (one["minItems"], one["maxItems"]) == (140, 140)
    body = document["paths"]["/score/batch"]["post"]["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Beats"
    many = document["components"]["schemas"]["Beats"]["properties"]["beats"]
    assert (many["minItems"], many["maxItems"]) == (1, 600)
    assert many["items"] == {name: one[name] for name in ("type", "items", "minItems", "maxItems")}
    assert many["items"]["items"] == {"type": "number", "minimum": -1e6, "maximum": 1e6}
    (example,) = one["examples"]
    assert client.post("/score", json={"beat": example}).json()["anomalous"] is False
    for route in ("/score", "/score/batch", "/score/binary", "/explain"):
        operation = document["paths"][route]["post"]
        assert operation["description"]
        assert set(operation["responses"]) == {"200", "400", "408", "413", "415", "422"}
        for status, response in operation["responses"].items():
            if status != "200":
                shown = response["content"]["application/problem+json"]["example"]
                assert (shown["status"], shown["title"]) == (int(status), HTTPStatus(int(status)).phrase)
    assert document["paths"]["/score"]["post"]["parameters"][0]["schema"]["minimum"] == pytest.approx(1 / 293)
    verdict = client.post("/score", json={"beat": example}).json()
    assert 0.05 < verdict["p_value"] < 0.95


def test_the_documentation_tells_the_limits() -> None:
    stated = [
        f"| {limits.HEAD_BYTES >> 10} KiB, {limits.HEADERS} headers, a URL of {limits.URL_BYTES >> 10} KiB; ",
        f"whole within {limits.HEAD_SECONDS:g} s |",
        f"`--max-body` ({Limits.body >> 20} MiB), `--max-beats` ({Limits.beats:,}); ",
        f"never {limits.BODY_SECONDS:g} s behind {limits.BODY_RATE >> 10} KiB/s |",
        f"| bodies above {limits.SMALL_BODY >> 10} KiB, together | {limits.BODIES_ON_THEIR_WAY} times `--max-body` ",
        f"the others wait for {limits.ROOM_SECONDS:g} s |",
        f"| {limits.KEEP_ALIVE_SECONDS} s between requests, {limits.WRITE_SECONDS:g} s for an answer to be read, ",
        f"{limits.PIPELINED} requests in advance |",
        f"`--max-connections` ({Limits.connections:,}), and so few that {limits.SPARE_FILES} file descriptors are left",
        f"accepts connections for {limits.LEAVING_SECONDS:g} s",
    ]
    page = (ROOT / "docs" / "how-to" / "serve.md").read_text()
    assert [text for text in stated if text not in page] == []
    assert limits.LEAVING_SECONDS + limits.LAST_BODY_SECONDS < limits.LEAVING_SECONDS + limits.STOPPING_SECONDS < 10


def test_responses_match_the_documentation(detector: Detector) -> None:
    """A short run of schemathesis; `python -m benchmarks.contract` is the long one."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(detector, bounds=Limits(beats=3)))
    cases = 0
    for operation in schema.get_all_operations():
        if operation.ok().path == "/score/binary":
            continue  # what its bytes mean, the schema cannot say

        @settings(max_examples=15, suppress_health_check=list(HealthCheck))
        @given(case=operation.ok().as_strategy())
        def check(case: schemathesis.Case) -> None:
            nonlocal cases
            case.call_and_validate()
            cases += 1

        check()
    assert cases > 40


@pytest.fixture
def served(shipped: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """The service as it is started: its address, its process, and the file with its output."""
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
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_no_beat_is_logged(served: tuple[str, subprocess.Popen[bytes], Path], beats: np.ndarray) -> None:
    address, process, log = served
    marked = beats[:2].tolist()
    marked[1][5] = 0.123456789
    assert post(f"{address}/score/batch", json.dumps({"beats": marked}).encode(), JSON)[0] == 200
    marked[1][6] = "0.123456789"
    status, response = post(f"{address}/score/batch", json.dumps({"beats": marked}).encode(), JSON)
    assert (status, b"0.123456789" in response) == (422, False)
    assert post(f"{address}/score/batch", b"0.123456789 {", JSON)[0] == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    output = log.read_text()
    assert '"POST /score/batch HTTP/1.1" 200' in output
    assert "No API key is set: whoever reaches this address may use the service" in output
    assert "0.1234" not in output
    assert "Traceback" not in output


def test_a_client_that_is_still_sending_a_body_over_the_limit_gets_the_response(
    served: tuple[str, subprocess.Popen[bytes], Path],
) -> None:
    status, response = post(f"{served[0]}/score/binary", bytes(40_000_000), BINARY)
    assert (status, json.loads(response)["status"]) == (413, 413)


@pytest.mark.parametrize("fault", ["missing model", "damaged model", "other calibration", "no calibration"])
def test_a_model_that_cannot_be_served_stops_the_start_with_one_line(
    shipped: Path, onnx_model: bytes, fault: str
) -> None:
    message = "belongs to another model, or the model is damaged; run `dvc repro`"
    if fault == "missing model":
        (shipped / "autoencoder.onnx").unlink()
        message = "autoencoder.onnx is missing; `dvc repro` makes it"
    elif fault == "damaged model":
        (shipped / "autoencoder.onnx").write_bytes(onnx_model[:-100])
    elif fault == "other calibration":
        other = onnx.load_from_string(onnx_model)
        other.producer_name = "somebody else"
        (shipped / "autoencoder.onnx").write_bytes(other.SerializeToString())
    else:
        (shipped / "calibration.json").write_text("{}")
        message = "calibration.json: "
    command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if fault != "no calibration":
        assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_an_error(shipped: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "ecg", "serve", "--models", str(shipped), "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: the service could not start at 127.0.0.1, port {port}"
