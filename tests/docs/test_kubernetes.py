"""The manifests for Kubernetes: valid by its own schemas, and in agreement with the service and its image."""

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from ecg.detector.detector import Detector
from ecg.service import keys, limits
from ecg.service.app import make_app
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "how-to" / "kubernetes"
VERSIONS = ("1.30", "1.37")  # the first in which every field works, and one of today

Resource = dict[str, Any]


def resources(name: str) -> dict[str, Resource]:
    """By kind, each of which a manifest has once."""
    found = list(yaml.safe_load_all((FOLDER / name).read_text()))
    by_kind = {resource["kind"]: resource for resource in found}
    assert len(by_kind) == len(found)
    return by_kind


def pod(component: Resource) -> Resource:
    """The pod that the operator of Dask makes of a component of a cluster."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "made"}, "spec": component["spec"]}


SERVICE, CLUSTER = resources("service.yaml"), resources("cluster.yaml")
DASK = CLUSTER["DaskCluster"]["spec"]
PODS = {"service": SERVICE["Deployment"]["spec"]["template"]["spec"]} | {
    component: DASK[component]["spec"] for component in ("worker", "scheduler")
}
CHECKED = [
    *SERVICE.values(),
    *(resource for kind, resource in CLUSTER.items() if kind != "DaskCluster"),
    *(pod(DASK[component]) for component in ("worker", "scheduler")),
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "made"}, "spec": DASK["scheduler"]["service"]},
]


def container(name: str = "service") -> Resource:
    (only,) = PODS[name]["containers"]
    return only


@pytest.mark.parametrize("version", VERSIONS)
def test_each_resource_is_valid_by_the_schema_of_kubernetes(version: str) -> None:
    for resource in CHECKED:
        assert kubernetes_validate.validate(resource, version, strict=True) == version


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec/template/spec/containers/0/readynessProbe", {}),
        ("Deployment", "spec/template/spec/containers/0/ports/0/containerPort", "8000"),
        ("Deployment", "spec/template/spec/terminationGracePeriodSeconds", "20 s"),
        ("Service", "spec/ports", {"http": 80}),
        ("HorizontalPodAutoscaler", "spec/maxReplicas", None),
        ("NetworkPolicy", "spec/ingress", [{"port": 8000}]),
    ],
)
def test_a_mistake_in_a_manifest_is_found(kind: str, path: str, value: object) -> None:
    resource = copy.deepcopy(SERVICE[kind])
    place: Any = resource
    *steps, last = path.split("/")
    for step in steps:
        place = place[int(step) if step.isdecimal() else step]
    place[last] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights_that_it_does_not_need(name: str) -> None:
    assert PODS[name]["automountServiceAccountToken"] is False
    assert PODS[name]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container(name)["resources"]["requests"].keys()
    assert "memory" in container(name)["resources"]["limits"]


def test_a_pod_runs_the_image_as_it_is_built() -> None:
    image = (ROOT / "Dockerfile").read_text()
    command = json.loads(re.search(r"^CMD (\[.*\])$", image, re.MULTILINE)[1])
    assert not {"command", "args"} & container().keys()
    assert command[:2] == ["ecg", "serve"]
    (mount,) = container()["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == (command[command.index("--models") + 1], True)
    (port,) = container()["ports"]
    assert str(port["containerPort"]) == re.search(r"PORT=(\d+)", image)[1]
    assert str(PODS["service"]["securityContext"]["runAsUser"]) == re.search(r"^USER (\d+)$", image, re.MULTILINE)[1]


def test_the_keys_come_as_the_service_reads_them() -> None:
    (variable,) = container()["env"]
    assert variable["name"] == keys.KEY
    assert "secretKeyRef" in variable["valueFrom"]


def test_the_service_has_time_to_end_by_itself() -> None:
    wait = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    own = limits.LEAVING_SECONDS + limits.LAST_BODY_SECONDS + limits.STOPPING_SECONDS
    assert PODS["service"]["terminationGracePeriodSeconds"] >= wait + own


def test_probes_succeed_with_a_model_as_a_volume_shows_it(shipped: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"  # of a ConfigMap: links to links
    volume.mkdir()
    shutil.copytree(shipped, volume / "..2026_01_02")
    (volume / "..data").symlink_to("..2026_01_02")
    for file in list((volume / "..data").iterdir()):
        (volume / file.name).symlink_to(Path("..data") / file.name)
    client = TestClient(make_app(Detector.load(volume), keys=("secret",)))
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        request = container()[probe]["httpGet"]
        assert request["port"] == container()["ports"][0]["name"]
        assert client.get(request["path"]).status_code == 200, probe
    assert client.get("/model").status_code == 401


def test_what_selects_replicas_selects_these() -> None:
    template = SERVICE["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        SERVICE["Deployment"]["spec"]["selector"]["matchLabels"],
        SERVICE["Service"]["spec"]["selector"],
        SERVICE["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        SERVICE["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        PODS["service"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector == template for selector in selectors)
    target = SERVICE["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", SERVICE["Deployment"]["metadata"]["name"])
    named = {port["name"] for port in container()["ports"]}
    assert SERVICE["Service"]["spec"]["ports"][0]["targetPort"] in named
    assert SERVICE["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] in named


def test_the_autoscaler_alone_decides_on_the_number_of_replicas() -> None:
    assert "replicas" not in SERVICE["Deployment"]["spec"]
    assert SERVICE["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    assert "cpu" in container()["resources"]["requests"]  # of which its target is a share


def test_a_cluster_is_selected_by_its_own_name() -> None:
    name = CLUSTER["DaskCluster"]["metadata"]["name"]
    assert DASK["scheduler"]["service"]["selector"] == {
        "dask.org/cluster-name": name,
        "dask.org/component": "scheduler",
    }
    policy = CLUSTER["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"dask.org/cluster-name": name}
    named = {port["name"]: port["containerPort"] for port in container("scheduler")["ports"]}
    assert named == {"tcp-comm": 8786, "http-dashboard": 8787}  # by which the operator looks for them
    assert {port["targetPort"] for port in DASK["scheduler"]["service"]["ports"]} == named.keys()


def test_all_parts_of_a_cluster_run_one_image() -> None:
    assert container("worker")["image"] == container("scheduler")["image"]
