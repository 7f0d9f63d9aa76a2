"""The Kubernetes manifests, as far as they can be checked without a cluster."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import yaml
from deploy_processes import ROOT

from dataflows.settings import Settings

FOLDER = ROOT / "deploy" / "kubernetes"
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (one["kind"], one["metadata"]["name"]): one
    for file in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(file.read_text())
}
WORKLOADS = (("StatefulSet", "adtally-dataflow"), ("Deployment", "adtally-dashboard"))


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


def test_the_dataflow_is_one_with_a_volume_and_time_to_stop() -> None:
    spec = OBJECTS["StatefulSet", "adtally-dataflow"]["spec"]
    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 30
    assert spec["template"]["spec"]["containers"][0]["command"] == ["run-dataflow"]


def test_the_service_reaches_the_dashboard() -> None:
    service = OBJECTS["Service", "adtally-dashboard"]["spec"]
    template = OBJECTS["Deployment", "adtally-dashboard"]["spec"]["template"]
    assert service["selector"] == template["metadata"]["labels"]
    command = template["spec"]["containers"][0]["command"]
    assert importlib.util.find_spec(command[2])
    assert command[-1] == str(service["ports"][0]["port"])
