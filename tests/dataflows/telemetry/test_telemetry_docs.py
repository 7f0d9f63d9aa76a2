"""Metrics are named as Prometheus wants it, written down in docs/metrics.md, and what rules and dashboard ask for exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.telemetries import described, registries

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = {
    *("AdtallyDown", "AdtallyNotReady", "AdtallyConservation", "AdtallyConsumerLag", "AdtallyWatermarkStalled"),
    *("AdtallyDeliveryFailures", "AdtallyNoSnapshot", "AdtallyRejectedShare", "AdtallyLateShare", "AdtallyEndToEndLatency"),
    *("AdtallyMemory", "AdtallyDashboardStale", "AdtallyGeneratorFailures", "AdtallyBreakdownBound"),
}
REGISTRIES = registries()
OURS = {part: described(registry) for part, registry in REGISTRIES.items()}
EXISTING = {name for found in OURS.values() for name in found} | {
    f"{name}{end}"
    for found in OURS.values()
    for name, (kind, _, _) in found.items()
    if kind == "histogram"
    for end in ("_bucket", "_sum", "_count")
}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"] for rule in group["rules"]]


def grafana() -> list[dict[str, Any]]:
    return json.loads((MONITORING / "grafana.json").read_text())["panels"]


def queries() -> list[str]:
    panels = [target["expr"] for panel in grafana() for target in panel.get("targets", ())]
    return panels + [rule["expr"] for rule in rules()]


@pytest.mark.parametrize("part", OURS)
def test_the_document_has_a_row_for_every_metric_as_it_is_and_for_no_other(part: str) -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    (section,) = re.findall(rf"^## Metrics of the {part}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = set(re.findall(r"^\| `adtally.*$", section, re.MULTILINE))
    assert rows == {f"| `{name}` | {kind} | {labels} | {words} |" for name, (kind, labels, words) in OURS[part].items()}


def test_names_have_base_units_and_counters_end_in_total() -> None:
    for found in OURS.values():
        for name, (kind, _, words) in found.items():
            assert re.fullmatch(r"adtally_[a-z_]+", name), name
            assert (kind == "counter") == name.endswith("_total"), name
            assert not re.search(r"_(ms|millis|micros|minutes|kb|mb)(_|$)", name), name
            assert words.endswith("."), name


def test_labels_are_bounded_and_none_comes_with_an_event() -> None:
    labels = {label for found in OURS.values() for _, given, _ in found.values() for label in re.findall(r"`(\w+)`", given)}
    assert labels == {"partition", "outcome", "reason", "topic", "kind", "version", "part", "quantile", "breakdown"}


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {name for query in queries() for name in re.findall(r"\badtally_\w+", query)}
    assert asked
    assert asked <= EXISTING


def test_every_metric_of_ours_is_in_a_picture_or_a_rule() -> None:
    asked = {re.sub(r"_bucket$", "", name) for query in queries() for name in re.findall(r"\badtally_\w+", query)}
    assert {name for found in OURS.values() for name in found} == asked


def test_every_label_value_that_a_query_names_is_one_that_there_is() -> None:
    given = {
        "outcome": {"counted", "duplicate", "late", "malformed"},
        "reason": {"late", "malformed", "too_far_ahead", "oversize"},
        "quantile": {"0.5", "0.99"},
    }
    for query in queries():
        for label, value in re.findall(r'(\w+)!?="([^"]*)"', query):
            assert value in given[label], query


def test_pictures_have_a_title_a_meaning_and_a_place_of_their_own() -> None:
    cells: set[tuple[int, int]] = set()
    panels = grafana()
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"].endswith(".")
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_there_is_a_rule_for_each_alert_and_it_says_what_and_where_to_read_on() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert set(found) == ALERTS
    for name, rule in found.items():
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
        assert rule["annotations"]["runbook"] == f"docs/operations.md#alert-{kebab}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_every_rule_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((MONITORING / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == ALERTS
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == ALERTS


@pytest.mark.promtool
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_prometheus_takes_them_and_the_rules_do_what_they_should(command: tuple[str, str, str]) -> None:
    done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.promtool
def test_a_rule_that_fires_too_late_would_be_noticed(tmp_path: Path) -> None:
    shutil.copytree(MONITORING, tmp_path / "copy")
    text = (tmp_path / "copy" / "rules.yml").read_text()
    (tmp_path / "copy" / "rules.yml").write_text(
        text.replace("adtally_conservation_difference != 0", "adtally_conservation_difference > 1")
    )
    done = subprocess.run(
        ["promtool", "test", "rules", "rules_test.yml"], cwd=tmp_path / "copy", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "AdtallyConservation" in done.stdout + done.stderr


@pytest.mark.promtool
@pytest.mark.parametrize("part", REGISTRIES)
def test_promtool_has_nothing_to_say_against_the_names(part: str) -> None:
    from prometheus_client import generate_latest

    text = generate_latest(REGISTRIES[part]).decode()
    # What the client library adds of its own is not ours to name.
    own = "".join(
        line for line in text.splitlines(keepends=True) if " adtally_" in f" {line.split(' ')[2] if line[0] == '#' else line}"
    )
    done = subprocess.run(["promtool", "check", "metrics"], input=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
