"""The topics of breakdowns: each is read into a store of its own, and a missing one keeps nothing else from being shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from dataflows.contract.breakdowns import Breakdown, topic_of
from dataflows.contract.schema import HEADERS, VERSION_HEADER, breakdown_codec, breakdown_key, encode
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from figures.feed.decode import Codec, UnreadableError
from figures.service import Service
from figures.store.rows import Values
from panel_app.api import stock
from panel_app.server.access import Access
from panel_app.server.dashboard import Dashboard
from tests.support.results import BEGIN, result
from tests.support.waiting import until

WHERE = Breakdown("where", ("country", "device"))


class Site:
    """A dashboard on `settings`, and a producer to the topic of `WHERE`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, breakdowns="where=country,device;keyword")
        self.dashboard = Dashboard(self.settings, Access(), clock=lambda: BEGIN + 120.0, look_seconds=0.3)
        self.service: Service = self.dashboard.service
        self._producer = make_producer(self.settings, "test")

    def send(self, values: Values, value: bytes | None = None, *, version: bytes = HEADERS[0][1], delete: bool = False) -> None:
        row = result()
        key = breakdown_key(row.window_start, row.campaign_id, row.channel, values, row.currency)
        body = None if delete else value or breakdown_codec(WHERE).encode(row, values)
        topic = topic_of(self.settings.results_topic, WHERE)
        self._producer.produce(topic, body, key, headers=[(VERSION_HEADER, version)])
        assert self._producer.flush(30) == 0


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    made = Site(settings)
    yield made
    made.service.stop()


def values_of(service: Service) -> set[Values]:
    snapshot = service.breakdowns["where"].snapshot()
    rows = snapshot.between(0, 2**40, 60, by=("country", "device"))
    columns = [snapshot.names[name].values(rows[name]) for name in ("country", "device")]
    return set(zip(*columns, strict=True))


def test_rows_of_a_breakdown_are_held_deleted_cleared_and_brought_back(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "adtally.feed"):
        site.send(("DE", None))
        site.send((True, True))
        site.send(("(other)", "x"))
        site.send(("FR", "tv"), version=b"9")
        site.send(("FR", "tv"), encode(result()))
        site.service.start()
        until(lambda: values_of(site.service) == {("DE", None), (True, True), ("(other)", "x")})
        feeds = site.service.breakdown_feeds
        until(lambda: feeds["where"].status.unread == 2 and feeds["keyword"].status.state == "waiting")
        site.send(("DE", None), delete=True)
        until(lambda: values_of(site.service) == {(True, True), ("(other)", "x")})
    assert sum("results" in line and ".keyword" in line for line in caplog.messages) == 1
    site.service.clear()
    assert values_of(site.service) == set()
    site.service.undo()
    assert len(values_of(site.service)) == 2
    held, missing = json.loads(stock.shown(site.dashboard, ""))["breakdowns"]
    assert (held["rows"], held["windows"], held["other_windows"], held["other_share"]) == (2, 1, 1, 0.5)
    assert (missing["name"], missing["state"], missing["rows"], missing["other_share"]) == ("keyword", "waiting", 0, None)
    content = site.dashboard.telemetry.served.answer("/metrics", "")[2].decode()
    assert 'adtally_dashboard_breakdown_rows{breakdown="where"} 2' in content
    assert 'adtally_dashboard_breakdown_other_ratio{breakdown="where"} 0.5' in content


@pytest.mark.parametrize(
    "value",
    [
        encode(result()),
        breakdown_codec(Breakdown("ad", ("ad_id",))).encode(result(), ("1",)),
        breakdown_codec(WHERE).encode(result(), ("DE", None)).replace(b'"DE"', b"false"),
        breakdown_codec(WHERE).encode(result(), ("DE", None)).replace(b'"DE"', b"5"),
        breakdown_codec(WHERE).encode(result(counts={"lead": 2**97}), ("DE", None)),
        b"[]",
    ],
)
def test_a_record_with_other_fields_is_not_a_row_of_the_breakdown(value: bytes) -> None:
    with pytest.raises(UnreadableError):
        Codec(WHERE).read(value, BEGIN)


@pytest.mark.parametrize(
    "key", [None, b"[]", b'["2026-01-01T00:00:00Z","c","s","USD"]', b'["2026-01-01T00:00:00Z","c","s",1,"x","USD"]']
)
def test_a_tombstone_needs_the_key_of_the_breakdown(key: bytes | None) -> None:
    with pytest.raises(UnreadableError):
        Codec(WHERE).read_key(key)


def test_a_key_with_null_and_true_is_read_as_it_was_written() -> None:
    every: list[Values] = [("(other)", None), (True, True), ("true", "null")]
    for values in every:
        key = breakdown_key("2026-01-01T00:00:00Z", "c", "s", values, "USD")
        assert Codec(WHERE).read_key(key)[1:] == ("c", "s", *values, "USD")
