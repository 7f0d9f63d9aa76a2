"""The container files, as far as they can be checked without an engine: what they name exists, and nothing runs as root."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from dataflows.contract.client_properties import CLIENT_PREFIX
from dataflows.contract.settings import table
from deploy import demo
from tests.support.deploy.processes import ROOT
from tests.support.docs.commands_page import commands, flags

DEPLOY = ROOT / "deploy"
OURS = ("topics", "producer", "dataflow", "dashboard")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def test_the_services_are_those_that_the_documentation_names(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"redpanda", *OURS}


def test_every_command_and_health_check_is_one_of_adtally_with_flags_that_it_takes(compose: dict[str, Any]) -> None:
    taken = {path: flags(program) for path, program, _ in commands()}
    for name in OURS:
        service = compose["services"][name]
        for command in (service["command"], service.get("healthcheck", {}).get("test", ["CMD", "adtally", "probe"])[1:]):
            path = max((one for one in taken if " ".join(command).startswith(one)), key=len)
            assert path != "adtally", name
            assert {word for word in command if word.startswith("-")} <= taken[path], name


def test_redpanda_is_on_9092_and_the_dashboard_on_8503_of_this_machine_only(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"redpanda": ["127.0.0.1:9092:9092"], "dashboard": ["127.0.0.1:8503:8503"]}


def test_every_image_has_a_pinned_version(compose: dict[str, Any], dockerfile: str) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += [line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")]
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image


def test_every_setting_reaches_every_part(compose: dict[str, Any]) -> None:
    wanted = {name for name, _, _ in table() if not name.startswith(CLIENT_PREFIX)}
    for name in OURS:
        assert set(compose["services"][name]["environment"]) == wanted, name
        assert compose["services"][name]["environment"]["ADTALLY_BROKERS"] == "redpanda:29092"


def test_the_containers_have_the_breakdowns_and_event_types_of_the_demo(compose: dict[str, Any]) -> None:
    for name in OURS:
        given = compose["services"][name]["environment"]
        assert {key: given[key] for key in demo.SETTINGS} == {key: f"${{{key}-{value}}}" for key, value in demo.SETTINGS.items()}


def test_every_part_waits_for_the_topics_and_they_for_the_broker(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["topics"]["depends_on"] == {"redpanda": {"condition": "service_healthy"}}
    assert services["redpanda"]["healthcheck"]["test"]
    for name in ("producer", "dataflow", "dashboard"):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_named_volumes_are_declared_and_the_dataflow_has_one_for_recovery(compose: dict[str, Any]) -> None:
    used = {mount.partition(":")[0] for service in compose["services"].values() for mount in service.get("volumes", ())}
    assert used == set(compose["volumes"])
    assert compose["services"]["dataflow"]["volumes"] == ["recovery:/recovery"]


def test_every_part_restarts_and_has_time_to_stop(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["restart"] == ("on-failure" if name == "topics" else "unless-stopped")
    for name in ("producer", "dataflow"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) >= 20


def test_the_parts_run_without_privileges(compose: dict[str, Any], dockerfile: str) -> None:
    users = [line for line in dockerfile.splitlines() if line.startswith("USER ")]
    assert users
    assert users[-1] == "USER 10001:10001"
    for name in OURS:
        service = compose["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert "user" not in service


def test_packages_are_installed_with_hashes_only(dockerfile: str) -> None:
    installs = re.findall(r"pip install (?:.*?)(?=\n|$)", dockerfile)
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_what_the_image_copies_passes_the_ignore_file(dockerfile: str) -> None:
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY ") and "--from" not in line]
    sources = {word for words in copies for word in words if not word.startswith("--")}
    assert {source.partition("/")[0] for source in sources} <= allowed
