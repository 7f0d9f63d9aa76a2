from __future__ import annotations

from pathlib import Path

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import ELSEWHERE, Settings, table, unknown
from tests.support.docs.settings_page import OTHERS


def test_without_variables_every_setting_has_the_default_of_the_contract() -> None:
    settings = Settings.from_environment({})
    assert (settings.brokers, settings.window_seconds, settings.out_of_order_seconds) == ("127.0.0.1:9092", 60, 5.0)
    assert (settings.allowed_lateness_seconds, settings.max_ahead_seconds, settings.idle_seconds) == (600.0, 300.0, 5.0)
    assert (settings.idle_retention_seconds, settings.start, settings.emit_seconds) == (3600.0, "earliest", 0.2)
    assert (settings.logs_topic, settings.results_topic, settings.rejected_topic) == ("logs", "results", "rejected")
    assert settings.currency == "USD"


def test_a_variable_sets_its_setting_and_an_empty_one_does_not() -> None:
    settings = Settings.from_environment({"ADTALLY_WINDOW_SECONDS": "10", "ADTALLY_BROKERS": "", "ADTALLY_DEDUP": "false"})
    assert (settings.window_seconds, settings.brokers, settings.dedup) == (10, "127.0.0.1:9092", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADTALLY_WINDOW_SECONDS", "0"),
        ("ADTALLY_WINDOW_SECONDS", "a minute"),
        ("ADTALLY_EMIT_SECONDS", "nan"),
        ("ADTALLY_OUT_OF_ORDER_SECONDS", "-1"),
        ("ADTALLY_BROKERS", "localhost"),
        ("ADTALLY_BROKERS", "localhost:99999"),
        ("ADTALLY_LOGS_TOPIC", "ad events"),
        ("ADTALLY_START", "yesterday"),
        ("ADTALLY_CURRENCY", "dollars"),
    ],
)
def test_a_value_that_cant_be_used_is_refused_in_one_line_with_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value})
    assert name in str(caught.value)
    assert value in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_variable_is_refused_and_the_right_one_named() -> None:
    with pytest.raises(SettingsError, match="did you mean ADTALLY_BROKERS"):
        Settings.from_environment({"ADTALLY_BROKER": "a:1"})


def test_a_variable_that_is_far_from_any_setting_is_ignored_and_named() -> None:
    given = {
        "ADTALLY_WINDOW": "60",
        "ADTALLY_WINDOW_SECONDS": "10",
        "ADTALLY_CLIENT": "x",
        "ADTALLY_KAFKA": "x",
        "ADTALLY_EMPTY": "",
        "WINDOW": "60",
    }
    assert Settings.from_environment(given).window_seconds == 10
    assert unknown(given) == ["ADTALLY_WINDOW", "ADTALLY_CLIENT", "ADTALLY_KAFKA"]


def test_variables_of_other_parts_and_of_an_orchestrator_are_not_misspelt_settings() -> None:
    services = {
        "ADTALLY_SERVICE_HOST": "10.0.0.1",
        "ADTALLY_PORT": "tcp://10.0.0.1:8503",
        "ADTALLY_BROKER_SERVICE_HOST": "10.0.0.1",
        "ADTALLY_BROKER_SERVICE_PORT": "9092",
        "ADTALLY_BROKER_SERVICE_PORT_KAFKA": "9092",
        "ADTALLY_METRIC_PORT": "tcp://10.0.0.1:9100",
        "ADTALLY_BROKER_PORT_9092_TCP": "tcp://10.0.0.1:9092",
        "ADTALLY_BROKER_PORT_9092_TCP_ADDR": "10.0.0.1",
    }
    others = {name: "x" for name, _, _ in OTHERS if name.startswith("ADTALLY_")}
    given = services | others | {"ADTALLY_DASHBOARD_PASSWORD": "x", "ADTALLY_KAFKA_ACKS": "all"}
    assert unknown(given) == []
    assert Settings.from_environment(given).brokers == Settings().brokers
    assert set(others) == ELSEWHERE
    with pytest.raises(SettingsError, match="did you mean ADTALLY_METRICS_PORT"):
        Settings.from_environment({"ADTALLY_METRIC_PORT": "9100"})


def test_a_limit_ahead_that_reaches_the_allowed_lateness_is_refused() -> None:
    with pytest.raises(SettingsError, match="must be below"):
        Settings.from_environment({"ADTALLY_MAX_AHEAD_SECONDS": "60", "ADTALLY_ALLOWED_LATENESS_SECONDS": "60"})


def test_the_limit_ahead_follows_a_short_allowed_lateness_unless_it_is_given() -> None:
    assert Settings.from_environment({"ADTALLY_ALLOWED_LATENESS_SECONDS": "60"}).max_ahead_seconds == 30


@pytest.mark.parametrize("name", [".", "..", "a b", "ä", "x" * 250])
def test_a_name_that_kafka_takes_for_no_topic_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="ADTALLY_LOGS_TOPIC"):
        Settings.from_environment({"ADTALLY_LOGS_TOPIC": name})
    assert Settings.from_environment({"ADTALLY_LOGS_TOPIC": "a.b"}).logs_topic == "a.b"


def test_topics_that_coincide_are_refused() -> None:
    with pytest.raises(SettingsError, match="must differ"):
        Settings.from_environment({"ADTALLY_RESULTS_TOPIC": "logs"})


def test_rates_have_a_topic_of_their_own() -> None:
    assert Settings.from_environment({"ADTALLY_RATES_TOPIC": "rates"}).rates_topic == "rates"
    with pytest.raises(SettingsError, match="ADTALLY_RATES_TOPIC='results' is a topic of events or results"):
        Settings.from_environment({"ADTALLY_RATES_TOPIC": "results"})


def test_the_table_has_a_help_for_every_setting() -> None:
    rows = list(table())
    assert len(rows) == len(Settings.__struct_fields__)
    assert all(name.startswith("ADTALLY_") and words for name, _, words in rows)


def test_the_documentation_holds_the_table_as_it_is() -> None:
    documented = (Path(__file__).parents[3] / "docs" / "contract.md").read_text()
    for name, default, words in table():
        shown = f"`{default}`" if default else ""
        assert f"| `{name}` | {shown} | {words} |" in documented
