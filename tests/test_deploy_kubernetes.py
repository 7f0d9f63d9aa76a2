"""The Kubernetes manifests, as far as they can be checked without a cluster."""

from __future__ import annotations

import copy
import importlib.util
import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deploy_processes import ROOT

from dataflows.runtime import STOP_SECONDS
from dataflows.settings import Settings
from panel_app.access import PREFIX, TABLE

FOLDER = ROOT / "deploy" / "kubernetes"
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (one["kind"], one["metadata"]["name"]): one
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for one in yaml.safe_load_all(file.read_text())
}
SCHEMAS = "1.34"
"""The version of Kubernetes whose schemas they are held against."""

WORKLOADS = (("StatefulSet", "adtally-dataflow"), ("Deployment", "adtally-dashboard"))


@pytest.mark.parametrize("key", OBJECTS)
def test_every_object_fits_the_schema_of_kubernetes_and_has_no_field_that_it_does_not_know(key: tuple[str, str]) -> None:
    kubernetes_validate.validate(OBJECTS[key], SCHEMAS, strict=True)


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        (("StatefulSet", "adtally-dataflow"), ("spec", "replicas"), "one"),
        (("StatefulSet", "adtally-dataflow"), ("spec", "template", "spec", "terminationGracePeriodSecond"), 75),
        (("Deployment", "adtally-dashboard"), ("spec", "selector"), "adtally"),
    ],
)
def test_the_schema_would_find_what_is_wrong(key: tuple[str, str], path: tuple[str, ...], value: object) -> None:
    bad = copy.deepcopy(OBJECTS[key])
    within = bad
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, SCHEMAS, strict=True)


def test_the_kustomization_names_every_file_and_the_image() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    images = {OBJECTS[key]["spec"]["template"]["spec"]["containers"][0]["image"] for key in WORKLOADS}
    assert images == {f"{one['name']}:{one['newTag']}" for one in kustomization["images"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed here")
def test_kustomize_makes_the_same_objects_of_them() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    assert {(one["kind"], one["metadata"]["name"]) for one in yaml.safe_load_all(done.stdout)} == set(OBJECTS)


def test_the_settings_are_settings() -> None:
    data = OBJECTS["ConfigMap", "adtally"]["data"]
    assert Settings.from_environment(data).brokers == data["ADTALLY_BROKERS"]


@pytest.mark.parametrize("key", WORKLOADS)
def test_a_pod_runs_without_privileges_and_its_selector_fits(key: tuple[str, str]) -> None:
    spec = OBJECTS[key]["spec"]
    pod = spec["template"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
    assert mounts == {volume["name"] for volume in pod["volumes"]} | claims


@pytest.mark.parametrize("key", WORKLOADS)
def test_no_variable_that_kubernetes_makes_of_a_service_can_be_taken_for_a_setting(key: tuple[str, str]) -> None:
    assert OBJECTS[key]["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_dataflow_is_one_with_a_volume_and_time_to_stop() -> None:
    spec = OBJECTS["StatefulSet", "adtally-dataflow"]["spec"]
    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > STOP_SECONDS + 10
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert spec["serviceName"] == OBJECTS["Service", "adtally-dataflow"]["metadata"]["name"]
    assert spec["template"]["spec"]["containers"][0]["command"] == ["run-dataflow"]


def test_the_service_reaches_the_dashboard() -> None:
    service = OBJECTS["Service", "adtally-dashboard"]["spec"]
    template = OBJECTS["Deployment", "adtally-dashboard"]["spec"]["template"]
    assert service["selector"] == template["metadata"]["labels"]
    command = template["spec"]["containers"][0]["command"]
    assert importlib.util.find_spec(command[2])
    assert command[-1] == str(service["ports"][0]["port"])


@pytest.mark.parametrize("key", WORKLOADS)
def test_every_pod_has_probes_and_limits(key: tuple[str, str]) -> None:
    (container,) = OBJECTS[key]["spec"]["template"]["spec"]["containers"]
    assert {"readinessProbe", "livenessProbe"} <= set(container)
    assert container["resources"]["limits"]["memory"]
    for probe, path in (("readinessProbe", "ready"), ("livenessProbe", "live")):
        asked = container[probe]
        assert asked.get("exec", {}).get("command") == ["run-dataflow", path] or asked["httpGet"]["path"] == f"/{path}z"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_budget_and_network_policies_mean_the_pods_that_there_are() -> None:
    labels = {key: OBJECTS[key]["spec"]["template"]["metadata"]["labels"] for key in WORKLOADS}
    flow, dashboard = (labels[key] for key in WORKLOADS)
    assert OBJECTS["PodDisruptionBudget", "adtally-dataflow"]["spec"]["selector"]["matchLabels"] == flow
    policy = OBJECTS["NetworkPolicy", "adtally-dataflow"]["spec"]
    assert policy["podSelector"]["matchLabels"] == flow
    (only,) = policy["ingress"]  # from nobody but who reads metrics
    (ports,) = only["ports"]
    assert str(ports["port"]) == OBJECTS["ConfigMap", "adtally"]["data"]["ADTALLY_METRICS_PORT"]
    assert ports["endPort"] - ports["port"] == 7  # for 8 processes
    assert only["from"] == [{"podSelector": {"matchLabels": {"adtally-metrics": "allowed"}}}]
    assert OBJECTS["NetworkPolicy", "adtally-dashboard"]["spec"]["podSelector"]["matchLabels"] == dashboard


def test_the_dashboard_finds_its_password_where_the_secret_is_mounted() -> None:
    pod = OBJECTS["Deployment", "adtally-dashboard"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (variable,) = [one for one in container["env"] if one["name"].startswith(PREFIX)]
    assert variable["name"].removeprefix(PREFIX).removesuffix("_FILE") in TABLE
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "login"]
    assert variable["value"] == f"{mount['mountPath']}/password"
    assert "--open-to-everyone" not in container["command"]
