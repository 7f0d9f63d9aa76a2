"""Rebuilding results from the logs: what the flow counted is found again, and late events are added once."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from adtally.__main__ import main
from dataflows.commands.rebuild import changes, latest_end, write
from dataflows.commands.recount import Range, count
from dataflows.contract.errors import InputError
from dataflows.contract.schema import result_key
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import deliver, make_producer
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.flows import ANSWER_SECONDS, counters, last_results, recovery_folder, running, send, wait_for
from tests.support.records import micros, payload, stamp
from tests.support.settings import own_names

pytestmark = pytest.mark.xdist_group("rebuild")
FIRST = Range(micros(0), micros(300))


LOG = [
    payload("a", 1),
    payload("b", 2, campaign_id="d"),
    payload("far", 5000),
    payload("late", 3),
    payload("a", 1),
    payload("late", 3),
]


@pytest.fixture(scope="module")
def read_through(embedded_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a flow that has read `LOG` on partition 0, and a later event on each of the others."""
    settings, folder = own_names(embedded_broker), tmp_path_factory.mktemp("flow")
    send(settings, LOG, partition=0)
    for other in range(1, 4):
        send(settings, [payload(f"clock-{other}", 5000)], partition=other)
    recovery = recovery_folder(folder / "recovery")
    with running(settings, folder / "log", "-r", str(recovery), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: sum(one.get("read", 0) for one in counters(settings)) == len(LOG) + 3, "the flow to have read it all")
        assert flow.stop() == [0]
    return settings


@pytest.fixture
def settings(read_through: Settings) -> Settings:
    """The same with a results topic of the test's own, which holds what the flow has written."""
    own = replace(read_through, results_topic=own_names(read_through.brokers).results_topic)
    Topics(own).ensure(own.results_topic, timeout=ANSWER_SECONDS)
    written = scan(read_through, read_through.results_topic)
    deliver(own, "test", own.results_topic, [(message.key() or b"", message.value() or b"") for message in written])
    return own


def test_what_the_flow_has_counted_is_found_again_and_nothing_changes(settings: Settings) -> None:
    assert changes(settings, count(settings, FIRST, late=False)) == []


def test_late_events_are_taken_in_once_however_often_they_came_and_a_second_run_changes_nothing(settings: Settings) -> None:
    (change,) = changes(settings, count(settings, FIRST, late=True))
    assert (change.before, change.after, change.result.campaign_id, change.result.state) == (1, 2, "c", "corrected")
    write(settings, [change])
    shown = [result for result in last_results(settings).values() if result["window_start"] == stamp(0)]
    assert {(one["campaign_id"], one["events"]) for one in shown} == {("c", 2), ("d", 1)}
    assert changes(settings, count(settings, FIRST, late=True)) == []


def test_results_that_were_lost_come_back(settings: Settings) -> None:
    empty = replace(settings, results_topic=settings.results_topic + "-new")
    Topics(empty).ensure(empty.results_topic, timeout=ANSWER_SECONDS)
    found = changes(empty, count(empty, FIRST, late=False))
    assert [(change.before, change.after, change.gains) for change in found] == [(None, 1, True), (None, 1, True)]


def test_what_the_logs_no_longer_hold_takes_nothing_away(settings: Settings) -> None:
    sums = count(settings, FIRST, late=True)
    write(settings, changes(settings, sums))
    (change,) = changes(settings, count(settings, FIRST, late=False))
    assert (change.before, change.after, change.gains) == (2, 1, False)


def test_a_result_that_was_deleted_comes_back_and_a_record_that_is_none_is_passed_over(settings: Settings) -> None:
    key = result_key(stamp(0), "d", "search", "USD")
    junk = [(b"x", b"no result"), (b"y", b"{}"), (b"z", b'{"campaign_id":"\xff"}')]
    deliver(settings, "test", settings.results_topic, junk)
    assert changes(settings, count(settings, FIRST, late=False)) == []
    producer = make_producer(settings, "test")
    producer.produce(settings.results_topic, None, key)
    assert producer.flush(ANSWER_SECONDS) == 0
    (change,) = changes(settings, count(settings, FIRST, late=False))
    assert (change.before, change.after, change.result.campaign_id) == (None, 1, "d")


def test_windows_that_the_flow_may_still_correct_are_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert latest_end(settings) == micros(5000 - 600 - 5)
    for name in ("brokers", "logs_topic", "results_topic", "rejected_topic", "group"):
        monkeypatch.setenv(f"ADTALLY_{name.upper()}", getattr(settings, name))
    assert main(["rebuild", "--from", stamp(0), "--to", stamp(5000)]) == 2
    assert "may still be corrected by the flow" in capsys.readouterr().err
    assert main(["rebuild", "--from", stamp(0), "--to", stamp(60), "--late", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{stamp(0)}  'c' 'search' USD: 1 → 2 events", "1 results would change"]
    assert main(["rebuild", "--from", stamp(0), "--to", stamp(60), "--late"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 results changed"


def test_without_the_flows_clocks_nothing_is_rebuilt(embedded_broker: str) -> None:
    settings = own_names(embedded_broker)
    send(settings, [payload("a")], partition=0)
    with pytest.raises(InputError, match="has not committed a time for partition 0, 1, 2, 3"):
        latest_end(settings)


@pytest.mark.long
def test_late_events_are_counted_permanently_while_a_flow_runs(
    embedded_broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = own_names(embedded_broker)
    for name in ("brokers", "logs_topic", "results_topic", "rejected_topic", "group"):
        monkeypatch.setenv(f"ADTALLY_{name.upper()}", getattr(settings, name))
    folder = recovery_folder(tmp_path / "recovery")
    whole = ["--from", stamp(0), "--to", stamp(60), "--late"]
    sent = 0

    def stream(count: int) -> None:
        """More of the present, on every partition, which the flow reads while windows of the past are rebuilt."""
        nonlocal sent
        for partition in range(4):
            send(
                settings,
                [payload(f"n{partition}-{sent + place}", 5000 + place, campaign_id="now") for place in range(count)],
                partition=partition,
            )
        sent += count

    def rebuilt() -> dict[str, int]:
        return {one["campaign_id"]: one["events"] for one in last_results(settings).values() if one["window_start"] == stamp(0)}

    def now() -> int:
        return sum(one["events"] for one in last_results(settings).values() if one["campaign_id"] == "now")

    with running(settings, tmp_path / "log1", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        send(settings, LOG, partition=0)
        stream(50)
        wait_for(lambda: now() == 200, "the present to be counted")
        wait_for(lambda: all(one.get("kept") for one in counters(settings)), "clocks that no crash takes back")
        assert rebuilt() == {"c": 1, "d": 1}
        assert main(["rebuild", "--from", stamp(0), "--to", stamp(4380), "--late"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 results changed"
        assert main(["rebuild", "--from", stamp(0), "--to", stamp(4500), "--late"]) == 2
        assert "may still be corrected by the flow" in capsys.readouterr().err
        stream(50)
        send(settings, [payload("corrects", 4470, campaign_id="edge"), payload("later still", 30)], partition=0)
        wait_for(lambda: now() == 400, "more of the present")
        flow.kill()
    with running(settings, tmp_path / "log2", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        stream(50)
        wait_for(lambda: now() == 600, "the present after the crash")
        assert rebuilt() == {"c": 2, "d": 1}, "nothing of the flow's has replaced what was rebuilt"
        wait_for(lambda: sum(one["late"] for one in counters(settings)) == 4, "the late ones to be rejected")
        for changed in (1, 0, 0):
            assert main(["rebuild", *whole]) == 0
            assert capsys.readouterr().out.splitlines()[-1] == f"{changed} results changed"
        assert rebuilt() == {"c": 3, "d": 1}
        assert flow.stop() == [0]
