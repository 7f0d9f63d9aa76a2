"""What a test puts on the topics for a page, reads from it and presses on it."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from typing import Any

import msgspec
from confluent_kafka import Producer, TopicPartition
from playwright.sync_api import Locator, Page

from dataflows.contract.schema import Reason, Rejected, WindowResult, encode, rejected_key, rfc3339
from dataflows.flow.progress import CommittedCounters
from dataflows.kafka.clients import make_consumer
from dataflows.kafka.topics import Topics
from tests.support.browser.site import Site
from tests.support.flows import ANSWER_SECONDS
from tests.support.results import result

SECOND = 1000


@functools.cache
def this_minute(_test: str) -> int:
    """The minute in which a test first asks for it (seconds since 1970); the same for all of a test, whenever the next one begins."""
    return int(time.time()) // 60 * 60


def recent(minutes_ago: int, **given: Any) -> WindowResult:
    """A result of a minute that is not long ago; of one to come, below 0: the page does not find it late, however slow the machine is."""
    start = this_minute(os.environ["PYTEST_CURRENT_TEST"]) - 60 * minutes_ago
    return msgspec.structs.replace(result(**given), window_start=rfc3339(start), window_end=rfc3339(start + 60))


def tile(page: Page, measure: str) -> str:
    return page.locator(f'[data-measure="{measure}"] .tile-value').inner_text()


def exact(page: Page, measure: str) -> float:
    """The figure behind a tile, before it was rounded for people."""
    return float(page.locator(f'[data-measure="{measure}"] .tile-value').get_attribute("title") or "nan")


def choose_zone(page: Page, search: str) -> None:
    """Choose the first time zone that the picker finds, with the keyboard."""
    press_menu(page, re.compile("^Time zone"))
    page.get_by_label("Search time zones").fill(search)
    page.keyboard.press("Enter")


def press_menu(page: Page, text: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name=text).click()


HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "</script><svg onload=alert(1)>",
    '=HYPERLINK("http://evil.example","x")',
    "\u202egnitekram\u202c",
    "\u200b",
    "{{7*7}} ${alert(1)} {c|x} $$\\alert{}$$",
    "tab\tnew\nline\u0000null",
    "x" * 10_000,
    "javascript:alert(1)",
    "'; DROP TABLE results; --",
    "&lt;b&gt;&#x3c;script",
    " ",
    "__proto__",  # and other names that every object has a property of
    "constructor",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "__defineGetter__",
    "prototype",
    "length",
    "All others",
    "\u3164",  # a letter of Hangul that is a blank
    "الحملة الصيفية",
    "עברית mixed with English (2026)",
    "👩\u200d👩\u200d👧 🎉",
    "Z\u0338\u0322\u0354a\u0334l\u0337g\u0308o",
    "line\u2028separator\u2029paragraph",
    "\u001b[31mred\u001b[0m",
    "a&b=c#d?e/../%0A%00",
    "sale;=1+1",
]


def reject(site: Site, *texts: str | None, reason: Reason = "malformed", first: int = 0) -> None:
    """Put rejected events with these payloads on their topic, at successive offsets of partition 0 of the logs."""
    settings = site.world.settings
    for at, text in enumerate(texts, first):
        one = Rejected(
            reason, text or "the message has no value", settings.logs_topic, 0, at, f"2026-01-01T00:00:{at % 60:02}Z", text
        )
        site.world.producer.produce(settings.rejected_topic, encode(one), rejected_key(one.topic, one.partition, one.offset))
    assert site.world.producer.flush(30) == 0


def commit(site: Site, messages: int, offset: int, shown: CommittedCounters) -> None:
    """Put `messages` on partition 0 of the logs, and commit as a dataflow that has read `offset` of them."""
    settings = site.world.settings
    Topics(settings).ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    producer = Producer({"bootstrap.servers": settings.brokers, "enable.idempotence": True})
    for _ in range(messages):
        producer.produce(settings.logs_topic, b"{}", partition=0)
    assert producer.flush(30) == 0
    consumer = make_consumer(settings, "test")
    place = TopicPartition(settings.logs_topic, 0, offset, metadata=encode(shown).decode())
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def stock(page: Page, name: str) -> str:
    return page.locator(f'#stock .tile:has-text("{name}") .tile-value').inner_text()


def value(page: Page, name: str) -> Locator:
    return page.locator(f'#stock .tile:has-text("{name}") .tile-value')


NAMES = ("one", "two", "three", "four", "five", "broken")


STEADY: dict[str, Any] = {
    "impressions": 200,
    "clicks": 40,
    "conversions": 8,
    "spend_micros": 30_000_000,
    "revenue_micros": 90_000_000,
}


def filled(site: Site, names: tuple[str, ...] = NAMES, minutes: int = 90, broken: str = "broken") -> None:
    """Steady campaigns on two channels; the `broken` one has not converted for 30 minutes."""
    failing = {"conversions": 0, "revenue_micros": 0}
    sent = [
        recent(minute, campaign=name, channel=channel, **STEADY | (failing if name == broken and minute < 30 else {}))
        for minute in range(minutes)
        for name in names
        for channel in ("search", "social")
    ]
    site.world.send(*sent)
    site.holds(len(sent))


def points(page: Page) -> list[dict[str, Any]]:
    """What the scatter chart draws."""
    drawn = "() => window.echarts && echarts.getInstanceByDom(document.querySelector('#scatter .canvas')) !== undefined"
    page.wait_for_function(drawn)
    text = page.evaluate(
        "JSON.stringify(echarts.getInstanceByDom(document.querySelector('#scatter .canvas')).getOption()"
        ".series.flatMap((one) => one.data.map((item) => item.point)))"
    )
    return json.loads(text)
