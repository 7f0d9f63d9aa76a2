"""The dashboard's telemetry: the age of events on arrival, metrics behind its login, probes before it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from dataflows.contract.schema import WindowResult, encode, result_key
from dataflows.contract.settings import Settings
from dataflows.telemetry.ages import EVENT_TIME
from panel_app.server.access import Access
from panel_app.server.bridge import Bridge
from panel_app.server.dashboard import Dashboard
from tests.support.dashboards import run as command
from tests.support.feeds import World
from tests.support.flows import environment, free_port
from tests.support.results import BEGIN, result
from tests.support.telemetries import Found, ask, by, names, samples, scraped, total
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
NOW = 1_800_000_000.0


def answer(desk: Desk) -> Found:
    return samples(generate_latest(desk.dashboard.telemetry.registry()).decode())


class Desk:
    """A service on a stopped clock, and a producer of results whose events have known ages."""

    def __init__(self, settings: Settings) -> None:
        self.world = World(settings)
        self.now = NOW
        self.dashboard = Dashboard(settings, Access(), lambda: self.now, look_seconds=0.2)
        self.one = self.dashboard.service

    def put(self, *ages: float | bytes | None, window: WindowResult | None = None) -> None:
        """A result for each of `ages`: of an event of that age in seconds, without a header (None), or with this text in it."""
        one = window or result()
        for revision, age in enumerate(ages, self.one.feed.records + 1):
            told = age if isinstance(age, bytes) or age is None else str(round((self.now - age) * 1000)).encode()
            value = encode(replace(one, revision=revision))
            self.world.producer.produce(
                self.world.settings.results_topic,
                value,
                result_key(one.window_start, one.campaign_id, one.channel, one.currency),
                headers=[] if told is None else [(EVENT_TIME, told)],
            )
        assert self.world.producer.flush(30) == 0

    def read(self, records: int) -> None:
        until(lambda: self.one.feed.records == records)


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    made = Desk(settings)
    yield made
    made.one.stop()


def test_the_age_of_an_event_is_from_its_time_to_when_its_result_is_held(desk: Desk) -> None:
    desk.put(None)
    desk.one.feed.start()
    until(lambda: desk.one.feed.status.state == "live")
    desk.put(*([0.4] * 98), 3.0, 20.0)
    desk.read(101)
    until(lambda: desk.one.ages.recent().measured == 100)
    found = desk.one.ages.recent()
    assert (found.p50, found.p99) == (pytest.approx(0.4, rel=0.0101), pytest.approx(3.0, rel=0.0101))
    told = answer(desk)
    assert by(told, "adtally_dashboard_event_age_recent_seconds", "quantile") == {"0.5": found.p50, "0.99": found.p99}
    assert total(told, "adtally_dashboard_event_age_seconds_count") == 100
    assert total(told, "adtally_dashboard_event_age_seconds_sum") == pytest.approx(98 * 0.4 + 23.0)


def test_what_stood_on_the_topic_before_is_not_measured_however_young_it_is(desk: Desk) -> None:
    desk.put(0.1, 0.2, 0.3)
    desk.one.feed.start()
    desk.read(3)
    until(lambda: desk.one.feed.status.state == "live")
    assert desk.one.ages.recent().measured == 0
    desk.put(0.7)
    until(lambda: desk.one.ages.recent().measured == 1)
    assert desk.one.ages.recent().p50 == pytest.approx(0.7, rel=0.0101)


def test_a_backfill_does_not_pretend_to_be_a_latency(desk: Desk) -> None:
    desk.put(None)
    desk.one.feed.start()
    until(lambda: desk.one.feed.status.state == "live")
    desk.put(*([1800.0] * 50), 86_400.0 * 365)
    until(lambda: desk.one.ages.recent().catching_up == 51)
    found = desk.one.ages.recent()
    assert (found.p50, found.p99, found.measured) == (None, None, 0)
    told = answer(desk)
    assert "adtally_dashboard_event_age_recent_seconds" not in names(told)
    assert total(told, "adtally_dashboard_catching_up_results_total") == 51


@pytest.mark.parametrize("junk", [b"", b"soon", b"-5", b"1e3", b"9" * 400, "٣".encode(), b"\xff"])
def test_a_header_that_is_not_a_time_is_ignored(desk: Desk, junk: bytes) -> None:
    desk.put(None)
    desk.one.feed.start()
    until(lambda: desk.one.feed.status.state == "live")
    desk.put(junk, 1.0)
    desk.read(3)
    until(lambda: desk.one.ages.recent().measured == 1)


def test_rows_and_their_freshness_are_reported(desk: Desk) -> None:
    desk.world.send(result(), result(minute=1), b"no result")
    desk.now = BEGIN + 60 + 60 + 25.0
    assert "adtally_dashboard_newest_minute_age_seconds" not in names(answer(desk))
    desk.one.feed.start()
    until(lambda: desk.one.feed.status.state == "live" and desk.one.feed.unread == 1)
    desk.one.store.snapshot()
    told = answer(desk)
    assert total(told, "adtally_dashboard_rows") == 2
    assert total(told, "adtally_dashboard_records_total") == 2
    assert total(told, "adtally_dashboard_unread_records_total") == 1
    assert total(told, "adtally_dashboard_newest_minute_age_seconds") == 25
    until(lambda: total(answer(desk), "adtally_dashboard_consumer_lag_messages") == 0)
    assert (total(told, "adtally_dashboard_feed_up"), total(told, "adtally_ready")) == (1, 1)


def test_the_time_of_each_message_of_a_page_is_measured_also_if_it_fails(desk: Desk) -> None:
    def fail(_number: int, _data: dict[str, Any]) -> str:
        raise ValueError

    bridge = Bridge(desk.dashboard, {"fail": fail, "well": lambda _number, _data: "{}"})
    for kind in ("fail", "well", "well", "unknown"):
        bridge._handle_msg({"kind": kind, "id": 1})  # pyright: ignore[reportPrivateUsage]  # what Panel calls
    assert total(answer(desk), "adtally_dashboard_refresh_seconds_count") == 4


def test_it_is_ready_once_its_topic_is_read_and_alive_before(desk: Desk) -> None:
    one = desk.dashboard.telemetry
    assert one.not_ready_reason() == "it has not reached the broker yet"
    assert one.not_live_reason() == "its feed has ended"
    desk.put(None)
    desk.one.feed.start()
    assert one.not_live_reason() == ""
    until(lambda: one.not_ready_reason() == "")
    desk.one.feed.stop()
    assert one.not_live_reason() == "its feed has ended"


class Running:
    """The dashboard's command on two ports."""

    def __init__(self, settings: Settings, *flags: str, **given: str) -> None:
        self.port = free_port()
        self.settings = replace(settings, metrics_port=free_port())
        env = environment(self.settings) | given
        command = [sys.executable, "-m", "panel_app", "--port", str(self.port), *flags]
        self.child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(lambda: ask(self.port, "/livez")[0] == 200)

    def end(self) -> str:
        self.child.terminate()
        return self.child.communicate(timeout=60)[1]


@pytest.fixture
def run(settings: Settings) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*flags: str, **given: str) -> Running:
        started.append(Running(settings, *flags, **given))
        return started[-1]

    yield start
    for one in started:
        one.child.kill()
        one.child.wait()


def test_metrics_are_behind_the_login_of_the_pages_and_probes_are_not(run: Callable[..., Running]) -> None:
    one = run(ADTALLY_DASHBOARD_PASSWORD="a password of many words")
    assert ask(one.port, "/metrics")[0] == 401
    assert ask(one.port, "/livez") == (200, "live\n")
    until(lambda: ask(one.port, "/readyz") == (200, "ready\n"))
    # The separate port is for readers of metrics and has no login.
    found = scraped(one.settings.metrics_port)
    assert total(found, "adtally_dashboard_viewers") == 0
    until(lambda: ask(one.settings.metrics_port, "/readyz") == (200, "ready\n"))
    said = one.end()
    assert "password of many words" not in said
    assert f"metrics on http://127.0.0.1:{one.settings.metrics_port}/metrics" in said


def test_without_a_login_its_own_machine_sees_metrics_on_either_port(run: Callable[..., Running]) -> None:
    one = run()
    # Some are there only once the broker has answered.
    until(lambda: names(scraped(one.port)) == names(scraped(one.settings.metrics_port)) != set())
    assert ask(one.port, "/metrics", "HEAD")[0] == 200


def test_a_taken_port_for_metrics_is_one_line(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        given = {"ADTALLY_BROKERS": settings.brokers, "ADTALLY_METRICS_PORT": str(port)}
        ended = command("--port", str(free_port()), **given)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"adtally: port {port} on 127.0.0.1, for metrics, is already in use")


def test_metrics_on_the_dashboards_own_port_are_refused_in_one_line() -> None:
    port = str(free_port())
    ended = command("--port", port, ADTALLY_METRICS_PORT=port)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"adtally: ADTALLY_METRICS_PORT={port} is the dashboard's own port")


def test_a_scrape_does_not_query_the_broker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(desk.one.watch, "pipeline", lambda: asked.append("progress"))
    assert "adtally_dashboard_newest_minute_age_seconds" not in names(answer(desk))  # no window is held: a page would ask why
    desk.one.store.apply([result()])
    assert total(answer(desk), "adtally_dashboard_newest_minute_age_seconds") == NOW - BEGIN - 60
    assert not asked
