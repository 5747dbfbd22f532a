"""The manifests for Kubernetes and compose: their schemas, their references and their rights."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.artefacts import FOLDER, Document, compose, of_kind, resources

VERSION = "1.34"
KEDA = "keda.sh/"
OURS = {
    name: each
    for name, each in compose()["services"].items()
    if each["image"].startswith("khronika/")
}
NATIVE = [each for each in resources() if not each["apiVersion"].startswith(KEDA)]
SINGLE = {"beat", "transcoder-beat", "flower"}
"""Processes that run once; a budget for them would only stop the drain of a node."""


def label(each: Document) -> str:
    return f"{each['kind']} {each['metadata']['name']}"


def pods() -> dict[str, Document]:
    """The pod of each Deployment and Job, by name."""
    found = {**of_kind("Deployment"), **of_kind("Job")}
    return {name: each["spec"]["template"] for name, each in found.items()}


@pytest.mark.parametrize("resource", NATIVE, ids=label)
def test_a_resource_has_the_form_that_kubernetes_publishes(resource: Document) -> None:
    kubernetes_validate.validate(dict(resource), VERSION, strict=True)


def test_an_unknown_field_would_be_found() -> None:
    wrong = {**of_kind("Service")["web"], "spec": {"port": 8080}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_compose_has_the_form_that_its_specification_publishes() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    schema = "--builtin-schema", "vendor.compose-spec"
    done = subprocess.run(
        [program, *schema, FOLDER / "compose.yaml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_file_of_the_folder_is_listed() -> None:
    folder = FOLDER / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    files = {path.name for path in folder.iterdir()} - {"kustomization.yaml", "migrate.yaml"}
    assert sorted(listed) == sorted(files)


@pytest.mark.parametrize(("name", "pod"), pods().items(), ids=list(pods()))
def test_a_pod_has_no_right_that_it_does_not_need(name: str, pod: Document) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    # Docker's and containerd's own profile allows Landlock and seccomp, which isolate ffmpeg.
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_compose_has_no_right_that_it_does_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]  # and no `unconfined`
    assert service["user"] == "10001:10001"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_what_compose_names_exists() -> None:
    document = compose()
    for name, service in document["services"].items():
        assert set(service.get("secrets", ())) <= document["secrets"].keys(), name
        volumes = {each.split(":")[0] for each in service.get("volumes", ())}
        assert volumes <= document["volumes"].keys(), name
        assert set(service["networks"]) <= document["networks"].keys(), name
        assert set(service.get("depends_on", ())) <= document["services"].keys(), name
    used = {
        each for service in document["services"].values() for each in service.get("secrets", ())
    }
    assert used == set(document["secrets"])


@pytest.mark.parametrize("name", of_kind("Service"))
def test_a_service_leads_to_a_port_of_a_pod(name: str) -> None:
    spec = of_kind("Service")[name]["spec"]
    ports = ports_of(spec["selector"]["app.kubernetes.io/component"])
    assert {each["targetPort"]: each["port"] for each in spec["ports"]}.items() <= ports.items()


@pytest.mark.parametrize("name", of_kind("NetworkPolicy"))
def test_a_network_policy_opens_ports_that_exist_to_pods_that_exist(name: str) -> None:
    spec = of_kind("NetworkPolicy")[name]["spec"]
    component = spec["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/component")
    for rule in spec.get("ingress", ()):
        assert {each["port"] for each in rule["ports"]} <= set(ports_of(component).values())
        for pod in components_in(rule["from"]):
            assert pod in pods()


def components_in(peers: list[dict[str, Any]]) -> Iterator[str]:
    for peer in peers:
        for each in peer.get("podSelector", {}).get("matchExpressions", ()):
            yield from each["values"]


def ports_of(component: str) -> dict[str, int]:
    [container] = pods()[component]["spec"]["containers"]
    return {each["name"]: each["containerPort"] for each in container.get("ports", ())}


@pytest.mark.parametrize("name", of_kind("Deployment"))
def test_a_deployment_names_volumes_ports_and_labels_that_exist(name: str) -> None:
    deployment = of_kind("Deployment")[name]["spec"]
    pod = deployment["template"]
    assert deployment["selector"]["matchLabels"] == pod["metadata"]["labels"]
    [container] = pod["spec"]["containers"]
    volumes = {each["name"] for each in pod["spec"]["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in container:
            assert container[probe]["httpGet"]["port"] in ports_of(name)


def test_each_deployment_of_several_pods_has_a_budget_that_lets_a_node_be_drained() -> None:
    budgets = of_kind("PodDisruptionBudget")
    assert budgets.keys() == of_kind("Deployment").keys() - SINGLE
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"]["matchLabels"] == pods()[name]["metadata"]["labels"]


def test_a_process_that_runs_once_never_runs_twice() -> None:
    for name in SINGLE:
        spec = of_kind("Deployment")[name]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_number_of_pods_is_set_by_the_manifest_or_by_keda_and_never_by_both() -> None:
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind("ScaledObject").values()}
    deployments = of_kind("Deployment")
    assert scaled == {name for name, each in deployments.items() if "replicas" not in each["spec"]}
    assert scaled == {"submit", "reconcile", "transcode"}
    for each in of_kind("ScaledObject").values():
        assert 0 < each["spec"]["minReplicaCount"] <= each["spec"]["maxReplicaCount"]
