"""deploy/kubernetes without a cluster: valid, safe, and in step with the package and with docker-compose.yml.

Each object is checked against the schema of its kind, strictly, for the oldest and the newest Kubernetes we support.
The kinds of KEDA and of Temporal's Worker Controller have no schema here: their fields are checked against a list.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from temporalio.envconfig import ClientConfigProfile
from typer.testing import CliRunner

import orderkit
from orderkit.api.guard import OPEN_PATHS
from orderkit.cli import app
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE
from orderkit.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
KUBERNETES = ("1.30", "1.37")
OVERLAYS = sorted(path.parent for path in FOLDER.glob("overlays/*/kustomization.yaml"))
COMPOSE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
# Of the kinds without a schema: what spec must have, and what it may.
CUSTOM: dict[str, tuple[set[str], set[str]]] = {
    "keda.sh/v1alpha1/ScaledObject": (
        {"scaleTargetRef", "triggers"},
        {"minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "advanced", "fallback"},
    ),
    "temporal.io/v1alpha1/Connection": ({"hostPort"}, {"mutualTLSSecretRef", "apiKeySecretRef", "tls"}),
    "temporal.io/v1alpha1/WorkerDeployment": (
        {"template", "rollout", "sunset", "workerOptions"},
        {"replicas", "minReadySeconds", "progressDeadlineSeconds"},
    ),
    "temporal.io/v1alpha1/WorkerResourceTemplate": ({"workerDeploymentRef", "template"}, set()),
}
Object = dict[str, Any]


def read(path: Path) -> list[Object]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


FILES = {path: read(path) for path in sorted(FOLDER.rglob("*.yaml")) if path.name != "kustomization.yaml"}
OBJECTS = [each for objects in FILES.values() for each in objects]
BY_NAME = {(each["kind"], each["metadata"]["name"]): each for each in OBJECTS}
SETTINGS = BY_NAME["ConfigMap", "orderkit"]["data"]


def check(found: Object) -> None:
    """Raises ValueError or kubernetes_validate.ValidationError."""
    kind = f"{found['apiVersion']}/{found['kind']}"
    if kind not in CUSTOM:
        for version in KUBERNETES:
            kubernetes_validate.validate(found, version, strict=True)
        return
    needed, optional = CUSTOM[kind]
    if wrong := (needed - found["spec"].keys()) | (found["spec"].keys() - needed - optional):
        raise ValueError(f"{kind}: {sorted(wrong)}")
    if kind.endswith("/WorkerDeployment"):  # what is in it is an ordinary pod
        check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": found["spec"]["template"]["spec"]})


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for each in objects:
        if "template" in each.get("spec", {}) and "containers" in each["spec"]["template"].get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


PODS = dict(pods(OBJECTS))


@pytest.mark.parametrize("name", BY_NAME, ids=" ".join)
def test_an_object_is_valid(name: tuple[str, str]) -> None:
    check(BY_NAME[name])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("replicas: 2", "replicas: two"),
        ("readinessProbe:", "readynessProbe:"),
        ("containerPort:", "containrPort:"),
        ("secretRef:", "secretref:"),
        ("maxUnavailable: 1", "maxUnavailble: 1"),
    ],
)
def test_a_typo_is_rejected(right: str, wrong: str) -> None:
    text = (FOLDER / "base/api.yaml").read_text()
    assert right in text
    with pytest.raises(kubernetes_validate.ValidationError):
        for each in yaml.safe_load_all(text.replace(right, wrong)):
            check(each)


def test_every_file_is_part_of_something() -> None:
    named = {
        (path.parent / resource).resolve()
        for path in FOLDER.rglob("kustomization.yaml")
        for resource in yaml.safe_load(path.read_text())["resources"]
    }
    assert [path for path in named if not path.exists()] == []
    apart = {path for path in FILES if path.parent.name == "examples"}
    assert apart == {FOLDER / "examples/secret.yaml"}
    assert FILES.keys() - apart == {path for path in named if path.is_file()}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on the PATH")
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_makes_valid_objects_of_this_version(overlay: Path) -> None:
    made = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    objects = [each for each in yaml.safe_load_all(made.stdout) if each]
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names)) > 8
    for each in objects:
        check(each)
        assert each["metadata"]["namespace"] == "orderkit"
    images = {container["image"] for _, pod in pods(objects) for container in pod["spec"]["containers"]}
    if overlay.name != "worker-controller":  # kustomize knows no images in kinds of others
        assert images == {f"registry.example.com/orderkit:{orderkit.__version__}"}
    for name, pod in pods(objects):
        kind, _, called = name.partition(" ")
        selector = next(each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, called))["spec"]
        wanted = selector.get("selector", {}).get("matchLabels", {})
        assert wanted.items() <= pod["metadata"]["labels"].items()
    if overlay.name == "blue-green":
        builds = [
            variable["value"]
            for _, pod in pods(objects)
            for variable in pod["spec"]["containers"][0]["env"]
            if variable["name"] == "ORDERKIT_BUILD_ID"
        ]
        assert len(set(builds)) == 2
        for build in builds:
            Settings(build_id=build)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_little_and_says_what_it_needs(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {spec['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == "orderkit"  # the overlay says from where, and which tag
        resources = container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"} and resources["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", PODS)
def test_a_command_exists(name: str) -> None:
    for container in PODS[name]["spec"]["containers"]:
        program, *arguments = [re.sub(r"\$\((\w+)\)", r"\1", word) for word in container["command"]]
        assert program == "orderkit"
        assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
        assert CliRunner().invoke(app, [*arguments, "--nonsense"]).exit_code == 2


def test_variables_are_settings_of_orderkit_or_temporal() -> None:
    ours = {f"ORDERKIT_{field.upper()}" for field in Settings.model_fields}
    secret = BY_NAME["Secret", "orderkit"]["stringData"]
    told = {*SETTINGS, *secret}
    for pod in PODS.values():
        for container in pod["spec"]["containers"]:
            told |= {each["name"] for each in container["env"]}
            for each in container["env"]:
                assert each.get("valueFrom", {}).get("secretKeyRef", {}).get("key", each["name"]) == each["name"]
            sources = [next(iter(each.values()))["name"] for each in container.get("envFrom", [])]
            assert set(sources) <= {"orderkit"}
    assert {name for name in told if name.startswith("ORDERKIT_")} <= ours
    assert told - ours == {"HOME", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    profile = ClientConfigProfile.load(disable_file=True, override_env_vars=SETTINGS)
    assert (profile.address, profile.namespace) == (SETTINGS["TEMPORAL_ADDRESS"], SETTINGS["TEMPORAL_NAMESPACE"])


def test_no_secret_is_in_a_file() -> None:
    secret = BY_NAME["Secret", "orderkit"]["stringData"]
    assert all("CHANGE-ME" in value or not value for value in secret.values())
    assert [each["metadata"]["name"] for each in OBJECTS if each["kind"] == "Secret"] == ["orderkit"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_pod_has_started_when_compose_would_call_it_healthy(name: str) -> None:
    """tests/packaging/test_compose_commands.py runs these commands."""
    container = PODS[f"Deployment orderkit-{name}"]["spec"]["containers"][0]
    kind, *words = (word.replace("$$", "$") for word in COMPOSE[name]["healthcheck"]["test"])
    shell = ["/bin/sh", "-c"] if kind == "CMD-SHELL" else []
    assert container["startupProbe"]["exec"]["command"] == [*shell, *words]
    grace = COMPOSE[name].get("stop_grace_period", "10s").removesuffix("s")
    assert PODS[f"Deployment orderkit-{name}"]["spec"]["terminationGracePeriodSeconds"] >= int(grace)


def test_a_probe_needs_no_key_and_asks_a_port_that_is_there() -> None:
    for pod in PODS.values():
        for container in pod["spec"]["containers"]:
            ports = {each["name"]: each["containerPort"] for each in container.get("ports", [])}
            told = {each["name"]: each.get("value") for each in container["env"]}
            assert {str(port) for port in ports.values()} <= set(told.values())
            for kind in ("readinessProbe", "livenessProbe"):
                if kind in container:
                    asked = container[kind]["httpGet"]
                    assert asked["port"] in ports
                    assert asked["path"] in (*OPEN_PATHS, "/metrics")
                    assert (asked["path"] == "/metrics") == (asked["port"] == "metrics")


def test_the_network_lets_in_what_is_served() -> None:
    opened = {
        port["port"]
        for each in OBJECTS
        if each["kind"] == "NetworkPolicy"
        for rule in each["spec"].get("ingress", [])
        for port in rule["ports"]
    }
    served = {
        port["containerPort"]
        for pod in PODS.values()
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert opened == served
    reached = BY_NAME["NetworkPolicy", "orderkit"]["spec"]["egress"]
    assert int(SETTINGS["TEMPORAL_ADDRESS"].rpartition(":")[2]) in {
        port["port"] for rule in reached for port in rule["ports"]
    }


def test_whoever_asks_temporal_asks_the_same_one() -> None:
    connection = BY_NAME["Connection", "temporal"]["spec"]
    deployment = BY_NAME["WorkerDeployment", "orderkit-worker"]["spec"]["workerOptions"]
    triggers = [each["metadata"] for each in BY_NAME["ScaledObject", "orderkit-worker"]["spec"]["triggers"]]
    addresses = {connection["hostPort"], *(each["endpoint"] for each in triggers)}
    namespaces = {deployment["temporalNamespace"], *(each["namespace"] for each in triggers)}
    assert (addresses, namespaces) == ({SETTINGS["TEMPORAL_ADDRESS"]}, {SETTINGS["TEMPORAL_NAMESPACE"]})
    assert deployment["connectionRef"]["name"] == "temporal"
    assert [each["taskQueue"] for each in triggers] == [ORDER_QUEUE, SHIPPING_QUEUE]
    assert {each["queueTypes"] for each in triggers} == {"workflow,activity"}
    target = BY_NAME["ScaledObject", "orderkit-worker"]["spec"]["scaleTargetRef"]["name"]
    assert ("Deployment", target) in BY_NAME


def test_the_worker_controller_runs_the_same_worker_with_the_build_that_it_names() -> None:
    def without_command(pod: Object) -> Object:
        container = {key: value for key, value in pod["spec"]["containers"][0].items() if key != "command"}
        return {**pod, "spec": {**pod["spec"], "containers": [container]}}

    plain, controlled = PODS["Deployment orderkit-worker"], PODS["WorkerDeployment orderkit-worker"]
    assert without_command(controlled) == without_command(plain)
    command = controlled["spec"]["containers"][0]["command"]
    assert command == [
        *plain["spec"]["containers"][0]["command"],
        *("--build-id", "$(TEMPORAL_WORKER_BUILD_ID)", "--deployment", "$(TEMPORAL_DEPLOYMENT_NAME)"),
    ]
    # As it makes them: the image's tag and a hash, and the namespace and the name.
    Settings(build_id=f"{orderkit.__version__}-1a2b", deployment="orderkit/orderkit-worker")


def test_temporals_chart_gets_the_clusters_settings_and_no_password() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/temporal-values.yaml").read_text())
    config = values["server"]["config"]
    assert values["server"]["dynamicConfig"] == yaml.safe_load(
        (ROOT / "deploy/temporal/dynamic-config.yaml").read_text()
    )
    stores = config["persistence"]["datastores"]
    assert {name: each["sql"]["databaseName"] for name, each in stores.items()} == {
        config["persistence"]["defaultStore"]: "temporal",
        config["persistence"]["visibilityStore"]: "temporal_visibility",
    }
    for store in stores.values():
        assert "password" not in store["sql"] and store["sql"]["existingSecret"] == "temporal-postgresql"
    shards = config["persistence"]["numHistoryShards"]
    assert shards & (shards - 1) == 0  # a power of two, as Temporal asks for
    assert [each["name"] for each in config["namespaces"]["namespace"]] == [SETTINGS["TEMPORAL_NAMESPACE"]]
    assert (
        f"(server {COMPOSE['cluster']['image'].rpartition(':')[2]})"
        in (ROOT / "deploy/helm/temporal-values.yaml").read_text()
    )
    assert SETTINGS["TEMPORAL_ADDRESS"] == "temporal-frontend.temporal.svc.cluster.local:7233"  # what the chart makes
