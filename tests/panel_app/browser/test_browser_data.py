"""The Data page in a real browser: it tells the truth about store, dataflow and rejected events, and clears for everyone."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from dataflows.contract.schema import encode, result_key
from dataflows.contract.settings import Settings
from dataflows.flow.progress import CommittedCounters
from dataflows.kafka.topics import Topics
from dataflows.telemetry.ages import EVENT_TIME
from tests.support.brokers import broker_process
from tests.support.browser.pages import HOSTILE, SECOND, commit, press_menu, recent, reject, stock, tile, value
from tests.support.browser.site import Site
from tests.support.dashboards import get
from tests.support.flows import ANSWER_SECONDS, free_port
from tests.support.telemetries import scraped, total
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_it_tells_what_is_held_how_far_the_dataflow_is_and_what_was_rejected(site: Site) -> None:
    site.world.send(*(recent(minute, campaign=name) for minute in range(2, 7) for name in "abc"))
    site.holds(15)
    commit(site, 20, 12, CommittedCounters(read=12, counted=8, duplicate=1, late=1, malformed=2))
    reject(site, "{one", "{two", None)
    reject(site, "late one", reason="late", first=3)
    reject(site, "{two", first=1)  # a repeat after a crash
    page = site.open("/data")
    expect(value(page, "Rejected")).to_have_text("4")
    assert stock(page, "Minute rows held") == "15"
    expect(value(page, "Waiting to be counted")).to_have_text("8")
    first = page.locator("#pipeline tbody tr").first
    for cell in ("12", "8", "1", "2"):
        expect(first).to_contain_text(cell)
    expect(page.locator("#pipeline")).to_contain_text("Read = counted + duplicate + late + malformed, in every partition")
    expect(page.locator(".reason", has_text="Malformed")).to_contain_text("3")
    page.locator(".reason", has_text="Late").click()
    expect(page.locator(".rejects > li")).to_have_count(1)
    assert "reason=late" in page.url
    page.locator(".reject summary").click()
    expect(page.locator(".payload")).to_have_text("late one")
    assert site.errors == []


def test_a_dataflow_that_has_stopped_is_named_and_the_overview_leads_to_what_to_do(
    site: Site, keep: Callable[[Page, str], None]
) -> None:
    site.world.send(recent(5))
    site.holds(1)
    stopped = round((time.time() - 300) * SECOND * SECOND)
    commit(site, 9, 5, CommittedCounters(read=5, counted=5, clock=stopped, at=stopped, pause=5_000_000))
    page = site.open("/")
    notice = page.locator("#notices")
    expect(notice).to_contain_text(
        re.compile(r"Dataflow: It has stopped, .* 4 messages wait to be counted \(since .* 5 min ago\)")
    )
    notice.get_by_role("link", name="What to do").click()
    part = page.locator('#health [data-part="dataflow"]')
    expect(part).to_have_attribute("data-tone", "bad")
    expect(part).to_contain_text("Start it again on its recovery folder")
    expect(part).to_be_in_viewport()
    expect(page.locator("#health [data-part]")).to_have_count(6)
    expect(page.locator('#health [data-tone="bad"]')).to_have_count(1)
    keep(page, "data-stopped")
    # One that runs, and then another one that has lost events.
    commit(site, 0, 9, CommittedCounters(read=9, counted=9, clock=stopped, at=round(time.time() * SECOND * SECOND)))
    expect(part).to_have_attribute("data-tone", "good")
    expect(page.locator('#health [data-part="events"]')).to_contain_text("No events have come (since")
    commit(site, 0, 99, CommittedCounters(read=99, counted=99))
    expect(part).to_contain_text("The log of partition 0 was replaced")
    expect(page.locator(".remarks")).to_contain_text("The whole log counts as lag")
    first = json.loads(site.open("/data").locator("#first").text_content() or "")
    assert [(row["partition"], row["lag"]) for row in first["pipeline"]["partitions"]][:2] == [(0, 9), (1, 0)]
    assert site.errors == []


def test_counters_that_do_not_add_up_are_reported(site: Site) -> None:
    commit(site, 3, 3, CommittedCounters(read=3, counted=1))
    page = site.open("/data")
    expect(page.locator("#pipeline")).to_contain_text("Read is not the sum of the rest in partition 0")


def test_with_nothing_there_it_says_what_is_missing(site: Site) -> None:
    page = site.open("/data")
    assert stock(page, "Minute rows held") == "0"
    assert stock(page, "Oldest minute") == "–"
    expect(page.locator("#pill")).to_contain_text("Waiting for data")
    expect(page.locator("#clearing")).to_contain_text("nothing to clear")
    expect(page.get_by_role("button", name="Clear data …")).to_be_disabled()
    expect(page.locator("#rejects")).to_contain_text("the dataflow creates it when it starts")
    expect(page.locator("#pipeline")).to_contain_text("does not exist")
    Topics(site.world.settings).ensure(site.world.settings.logs_topic, timeout=ANSWER_SECONDS)
    expect(page.locator("#pipeline")).to_contain_text("The dataflow has not committed anything yet")


def test_clear_on_the_data_page_empties_the_overview_of_others_and_undo_brings_it_back(site: Site) -> None:
    site.world.send(*(recent(minute) for minute in range(3)))
    site.holds(3)
    here, there = site.open("/data?every=off"), site.open("/?every=off")
    here.get_by_role("button", name="Clear data …").first.click()
    expect(here.get_by_role("dialog")).to_contain_text("3 minute rows held by the dashboard will be dropped")
    here.get_by_role("button", name="Keep data").click()
    assert tile(there, "clicks") == "3"
    here.get_by_role("button", name="Clear data …").first.click()
    here.get_by_role("button", name="Clear data", exact=True).click()
    expect(value(here, "Minute rows held")).to_have_text("0")
    expect(there.locator('[data-measure="clicks"] .tile-value')).to_have_text("–")
    here.get_by_role("button", name="Undo").click()
    expect(value(here, "Minute rows held")).to_have_text("3")
    expect(there.locator('[data-measure="clicks"] .tile-value')).to_have_text("3")


def test_a_clear_in_the_overviews_menu_empties_the_data_page(site: Site) -> None:
    site.world.send(*(recent(minute) for minute in range(3)))
    site.holds(3)
    here, there = site.open("/?every=off"), site.open("/data?every=off")
    press_menu(here, "Clear data")
    here.get_by_role("button", name="Clear data", exact=True).last.click()
    expect(value(there, "Minute rows held")).to_have_text("0")


def test_hostile_payloads_details_and_names_execute_nothing_and_break_no_layout(site: Site) -> None:
    reject(site, *HOSTILE)
    reject(site, *(name * 40 for name in HOSTILE), reason="oversize", first=100)
    site.world.producer.produce(site.world.settings.rejected_topic, b"<img src=x onerror=alert(1)>")
    site.world.producer.flush(30)
    page = site.open("/data", width=390)
    expect(value(page, "Rejected")).to_have_text(str(2 * len(HOSTILE)))
    page.get_by_role("button", name="Show the newest").click()
    for summary in page.locator(".reject summary").all():
        summary.click()
    expect(page.locator("#rejects")).to_contain_text("1 record of the topic could not be read")
    page.wait_for_timeout(SECOND / 2)
    assert page.locator("main script, main img, main svg[onload], main b:has-text('alert')").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert site.errors == []


def saved(page: Page, press: Callable[[], None]) -> tuple[str, bytes]:
    """Name and content of the file that `press` has the browser save."""
    with page.expect_download() as waiting:
        press()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_files_hold_exact_figures_and_no_formula(site: Site) -> None:
    names = ["=1+1", "@SUM(A1)", "plain"]
    site.world.send(*(recent(minute, campaign=name, spend_micros=1_234_567_891) for minute in range(2, 5) for name in names))
    site.holds(9)
    page = site.open("/?range=15m")
    name, text = saved(page, page.get_by_role("button", name="Download campaigns as CSV").click)
    assert name == "adtally-campaigns-15m-UTC-USD.csv"
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert {row["campaign_id"] for row in rows} == {"'=1+1", "'@SUM(A1)", "plain"}
    assert {row["spend"] for row in rows} == {"3703.703673"}
    name, text = saved(page, page.get_by_role("button", name="Download campaigns with semicolons").click)
    assert name == "adtally-campaigns-15m-UTC-USD.csv"
    assert text.startswith(b"\xef\xbb\xbfwindow_start;window_end;campaign_id")
    assert {row["spend"] for row in csv.DictReader(io.StringIO(text.decode("utf-8-sig")), delimiter=";")} == {"3703,703673"}
    name, raw = saved(page, page.get_by_role("button", name="Download campaigns as Parquet").click)
    assert name == "adtally-campaigns-15m-UTC-USD.parquet"
    assert set(pl.read_parquet(raw)["campaign_id"]) == set(names)
    page = site.open("/data")
    name, raw = saved(page, page.get_by_role("link", name="Download hours as Parquet").click)
    assert pl.read_parquet(raw)["spend_micros"].sum() == 9 * 1_234_567_891
    assert name.startswith("adtally-hour-")
    name, text = saved(page, page.get_by_role("link", name="Download days with semicolons").click)
    assert text.startswith(b"\xef\xbb\xbfwindow_start;window_end;campaign_id")
    page = site.open("/explore?by=campaign&kind=table")
    name, text = saved(page, page.get_by_role("button", name="as CSV").click)
    assert name == "adtally-explore-1h-UTC-USD.csv"
    assert b"'=1+1" in text
    assert site.errors == []


def test_it_tells_that_the_broker_is_away_and_goes_on_when_it_is_back(browser: Browser) -> None:

    port = free_port()
    broker = broker_process(port)
    own = Site(browser, Settings(brokers=f"127.0.0.1:{port}"))
    try:
        own.world.send(recent(2))
        reject(own, "{bad")
        own.start()
        own.holds(1)
        page = own.open("/data?every=5")
        expect(value(page, "Rejected")).to_have_text("1")
        broker.kill()
        broker.wait()
        expect(page.locator("#pill")).to_contain_text("Broker unreachable")
        expect(page.locator("#pipeline")).to_contain_text("No Kafka broker answers")
        expect(page.locator("#rejects")).to_contain_text("As it was read before the broker went away")
        assert stock(page, "Minute rows held") == "1"
        broker = broker_process(port)
        expect(page.locator("#pill")).not_to_contain_text("Broker unreachable")
    finally:
        own.stop()
        broker.kill()
        broker.wait()


def test_the_page_comes_back_by_itself_after_the_server_was_away(site: Site) -> None:
    page = site.open("/data?reason=late")
    site.stop()
    expect(page.locator("#pill")).to_contain_text("Reconnecting")
    site.start()
    page.wait_for_selector('html[data-linked] .reason[aria-pressed="true"]')


def test_the_data_page_is_not_wider_than_the_screen(site: Site, keep: Callable[[Page, str], None]) -> None:
    site.world.send(*(recent(minute, campaign=name) for minute in range(30) for name in ("Autumn Sale", "Retargeting Q4")))
    commit(site, 30, 22, CommittedCounters(read=22, counted=20, late=1, malformed=1))
    reject(site, "{bad", '{"event_id": 5}')
    reject(site, '{"event_id": "late"}', reason="late", first=9)
    site.holds(60)
    for scheme in ("light", "dark"):
        for width in (390, 820, 1440):
            page = site.open("/data", width=width, scheme=scheme)
            page.wait_for_selector(".reject")
            page.wait_for_selector("#pipeline tbody tr")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            keep(page, f"data-{width}-{scheme}")
            page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_the_age_of_events_on_arrival_is_shown_and_a_replay_is_left_out(
    site: Site, keep: Callable[[Page, str], None], width: int, scheme: str
) -> None:
    def put(count: int, age: float, first: int) -> None:
        for number in range(first, first + count):
            one = replace(recent(1), revision=number, events=number)
            told = str(round((time.time() - age) * 1000)).encode()
            site.world.producer.produce(
                site.world.settings.results_topic,
                encode(one),
                result_key(one.window_start, one.campaign_id, one.channel, one.currency),
                headers=[(EVENT_TIME, told)],
            )
        assert site.world.producer.flush(30) == 0

    site.world.send(recent(3))
    site.holds(1)
    until(lambda: get(f"{site.address}/readyz")[0] == 200)
    page = site.open("/data", width=width, scheme=scheme)
    ages = page.locator("#ages")
    expect(ages).to_contain_text("No new event of a recent minute has come in the last 5 min.")
    put(20, 3600 * 24, 1)  # a replay of yesterday
    page.locator("#refresh").click()
    expect(ages).to_contain_text("20 results of minutes long over are left out")
    expect(ages.locator(".tile-value").first).to_have_text("–")
    put(99, 20.0, 100)
    put(1, 120.0, 300)
    expect(ages.locator(".tile-value").first).to_have_text(re.compile(r"^2[0-9] s$"))
    expect(ages).to_contain_text("over 100 results of the last 5 min")
    told = scraped(site.port)
    assert total(told, "adtally_dashboard_viewers") == 1
    assert (total(told, "adtally_dashboard_refresh_seconds_count") or 0) >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert site.errors == []
    keep(page, f"ages-{width}-{scheme}")
