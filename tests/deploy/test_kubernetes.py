"""The Kubernetes manifests, as far as they can be checked without a cluster."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from dataflows.contract.settings import Settings
from dataflows.process.stop import STOP_SECONDS
from panel_app.server.access import PREFIX, TABLE
from tests.support.deploy.manifests import Manifest, Objects, merged, objects
from tests.support.deploy.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
CLUSTER = ROOT / "deploy" / "kubernetes-cluster"
OBJECTS, MEMBERS = objects(FOLDER), objects(CLUSTER)
SCHEMAS = "1.34"
"""The version of Kubernetes whose schemas they are held against."""

WORKLOADS = (("StatefulSet", "adtally-dataflow"), ("Deployment", "adtally-dashboard"))


@pytest.mark.parametrize("key", MEMBERS)
@pytest.mark.parametrize("found", [OBJECTS, MEMBERS], ids=["one pod", "several pods"])
def test_every_object_fits_the_schema_of_kubernetes_and_has_no_field_that_it_does_not_know(
    found: Objects, key: tuple[str, str]
) -> None:
    if key in found:
        kubernetes_validate.validate(found[key], SCHEMAS, strict=True)
    else:
        assert key == ("NetworkPolicy", "adtally-members")


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


def test_the_kustomizations_name_every_file_and_the_image() -> None:
    members, kustomization = (yaml.safe_load((folder / "kustomization.yaml").read_text()) for folder in (CLUSTER, FOLDER))
    assert set(kustomization["resources"]) == {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    named = {"kustomization.yaml", *members["resources"], *(patch["path"] for patch in members["patches"])}
    assert named == {file.name for file in CLUSTER.glob("*.yaml")} | {"../kubernetes"}
    images = {OBJECTS[key]["spec"]["template"]["spec"]["containers"][0]["image"] for key in WORKLOADS}
    assert images == {f"{one['name']}:{one['newTag']}" for one in kustomization["images"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed here")
@pytest.mark.parametrize("folder", [FOLDER, CLUSTER], ids=["one pod", "several pods"])
def test_kustomize_makes_the_same_objects_of_them(folder: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    made = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    assert {key: ordered(one) for key, one in made.items()} == {key: ordered(one) for key, one in objects(folder).items()}


def ordered(found: Any) -> Any:
    """The same with what has a name in the order of its names, which kustomize need not keep."""
    if isinstance(found, dict):
        return {key: ordered(value) for key, value in cast(Manifest, found).items()}
    if isinstance(found, list):
        return sorted(map(ordered, cast(list[Any], found)), key=lambda one: one.get("name", "") if isinstance(one, dict) else "")
    return found


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
    assert spec["template"]["spec"]["containers"][0]["command"] == ["adtally", "run"]


def dataflow(found: Objects) -> tuple[Manifest, Manifest, dict[str, Any]]:
    """The StatefulSet's spec, its container, and that one's own environment."""
    spec = found["StatefulSet", "adtally-dataflow"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    return spec, container, {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_several_pods_are_as_many_members_which_start_and_stop_together() -> None:
    spec, container, given = dataflow(MEMBERS)
    assert given["ADTALLY_MEMBERS"] == str(spec["replicas"])
    assert 1 < spec["replicas"] <= 8
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert container["command"] == ["adtally", "run"]
    # Were the claims of members that are scaled away deleted, that of the first would be with a scale to 0.
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_only_members_find_each_other_by_their_names_before_they_are_ready() -> None:
    spec, container, given = dataflow(MEMBERS)
    service = MEMBERS["Service", spec["serviceName"]]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"], service["selector"]) == ("None", True, labels)
    name, _, port = given["ADTALLY_MEMBER_ADDRESS"].partition(":")
    assert name == f"adtally-dataflow-{{}}.{spec['serviceName']}"
    assert {"name": "members", "containerPort": int(port)} in container["ports"]
    assert given["ADTALLY_MEMBER"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert given["ADTALLY_MEMBER_LISTEN"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    opened = [
        (rule["from"], one["port"])
        for (kind, _), policy in MEMBERS.items()
        if kind == "NetworkPolicy" and policy["spec"]["podSelector"]["matchLabels"] == labels
        for rule in policy["spec"]["ingress"]
        for one in rule["ports"]
        if one["port"] <= int(port) <= one.get("endPort", one["port"])
    ]
    assert opened == [([{"podSelector": {"matchLabels": labels}}], int(port))]


def test_several_pods_have_the_volume_of_the_one_and_what_cannot_be_changed_is_the_same() -> None:
    one, several = dataflow(OBJECTS)[0], dataflow(MEMBERS)[0]
    changed = {key for key in one.keys() | several.keys() if one.get(key) != several.get(key)}
    # Kubernetes lets no other fields of a StatefulSet be changed that matter here.
    assert changed == {"replicas", "template", "updateStrategy"}


def test_one_pod_is_one_member_so_that_a_second_one_refuses_itself() -> None:
    _, _, given = dataflow(OBJECTS)
    assert (given["ADTALLY_MEMBERS"], given["ADTALLY_MEMBER"]) == ("1", {"fieldRef": {"fieldPath": "metadata.name"}})


@pytest.mark.parametrize("page", ["deploy/kubernetes/README.md", "docs/operations.md"])
def test_the_patch_that_the_docs_give_changes_both_numbers_and_nothing_else(page: str) -> None:
    (patch,) = re.findall(r"kubectl patch statefulset adtally-dataflow -p '(.*)'", (ROOT / page).read_text())
    before = MEMBERS["StatefulSet", "adtally-dataflow"]
    spec, _, given = dataflow({("StatefulSet", "adtally-dataflow"): merged(before, yaml.safe_load(patch))})
    assert (spec["replicas"], given["ADTALLY_MEMBERS"]) == (4, "4")
    assert given | {"ADTALLY_MEMBERS": "2"} == dataflow(MEMBERS)[2]


def test_a_drain_takes_one_member_at_a_time() -> None:
    budget = MEMBERS["PodDisruptionBudget", "adtally-dataflow"]["spec"]
    assert "minAvailable" not in budget
    assert budget["maxUnavailable"] == 1


def test_the_service_reaches_the_dashboard() -> None:
    service = OBJECTS["Service", "adtally-dashboard"]["spec"]
    template = OBJECTS["Deployment", "adtally-dashboard"]["spec"]["template"]
    assert service["selector"] == template["metadata"]["labels"]
    command = template["spec"]["containers"][0]["command"]
    assert command[:2] == ["adtally", "dashboard"]
    assert command[-1] == str(service["ports"][0]["port"])


@pytest.mark.parametrize("key", WORKLOADS)
def test_every_pod_has_probes_and_limits(key: tuple[str, str]) -> None:
    (container,) = OBJECTS[key]["spec"]["template"]["spec"]["containers"]
    assert {"readinessProbe", "livenessProbe"} <= set(container)
    assert container["resources"]["limits"]["memory"]
    for probe, path in (("readinessProbe", "ready"), ("livenessProbe", "live")):
        asked = container[probe]
        assert asked.get("exec", {}).get("command") == ["adtally", "probe", path] or asked["httpGet"]["path"] == f"/{path}z"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_budget_and_network_policies_mean_the_pods_that_there_are() -> None:
    labels = {key: OBJECTS[key]["spec"]["template"]["metadata"]["labels"] for key in WORKLOADS}
    flow, dashboard = (labels[key] for key in WORKLOADS)
    assert OBJECTS["PodDisruptionBudget", "adtally-dataflow"]["spec"]["selector"]["matchLabels"] == flow
    policy = OBJECTS["NetworkPolicy", "adtally-dataflow"]["spec"]
    assert policy["podSelector"]["matchLabels"] == flow
    (only,) = policy["ingress"]  # only from readers of metrics
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
