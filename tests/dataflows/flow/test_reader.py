from __future__ import annotations

import zlib

import pytest
from confluent_kafka import KafkaError
from msgspec.structs import replace

from dataflows.contract.errors import OffsetGoneError, RecoveryError
from dataflows.contract.settings import Settings
from dataflows.flow.connection import Fetching
from dataflows.flow.context import FlowContext
from dataflows.flow.position import ReaderState
from dataflows.flow.reader import PollResult, Reader
from dataflows.intake.partition import Counters, IntakeState
from dataflows.kafka.clients import consumer_config
from dataflows.kafka.corruption import Fault
from dataflows.kafka.fetch import FetchResult, PythonFetcher
from tests.support.flows import counters, send, stumbling, wait_for
from tests.support.readers import FakeTopology, ManualTime, read, reader, until_idle
from tests.support.records import micros, payload


def test_a_reader_goes_on_where_its_snapshot_ends_and_still_knows_the_ids_before_it(settings: Settings) -> None:
    send(settings, [payload(f"e{number}", number) for number in range(500)], partition=0)
    first = reader(settings)
    read(first, 500)
    state = first.snapshot()
    first.close()
    assert state is not None
    assert state.offset == 500
    send(settings, [payload("e7", 7), payload("e499", 499), payload("new", 501)], partition=0)
    second = reader(settings, state)
    assert read(second, 503) == {(micros(480), "c"): 1}
    assert second.counters == Counters(read=503, counted=501, duplicate=2)
    second.close()


def test_a_reader_that_starts_at_the_latest_event_reads_only_what_comes_after(settings: Settings) -> None:
    send(settings, [payload("old", 0)], partition=0)
    one = reader(settings, start="latest")
    wait_for(lambda: one.poll() or one.is_open, "the reader to open")
    send(settings, [payload("new", 1)], partition=0)
    assert read(one, 1) == {(micros(0), "c"): 1}
    one.close()


def test_an_offset_beyond_the_end_of_the_log_is_an_error_that_names_both(settings: Settings) -> None:
    send(settings, [payload("a", 0)], partition=0)
    one = reader(settings, ReaderState(settings.logs_topic, 10, IntakeState()))
    with pytest.raises(OffsetGoneError, match="ends at offset 1, but the flow has already read up to 10"):
        wait_for(lambda: one.poll() and False, "the error")


@pytest.mark.parametrize("dedup", [True, False])
def test_a_recreated_topic_that_has_grown_past_the_old_offset_is_recognised(settings: Settings, dedup: bool) -> None:
    mine = replace(settings, dedup=dedup)
    send(mine, [payload(f"old-{number}", number) for number in range(10)], partition=0)
    first = reader(mine)
    read(first, 10)
    state = first.snapshot()
    first.close()
    assert state is not None
    again = reader(mine, state)
    wait_for(lambda: again.poll() or again.is_open, "the same topic to be taken")
    again.close()
    recreated = replace(mine, logs_topic=mine.logs_topic + "-recreated")
    send(recreated, [payload(f"new-{number}", number) for number in range(30)], partition=0)
    second = reader(recreated, replace(state, topic=recreated.logs_topic))
    with pytest.raises(
        OffsetGoneError, match="a different message at offset 9 than the flow read there: the topic was recreated"
    ):
        wait_for(lambda: second.poll() and False, "the error")


def test_a_snapshot_of_another_topic_is_refused(settings: Settings) -> None:
    with pytest.raises(RecoveryError, match=r"belongs to topic others, but ADTALLY_LOGS_TOPIC is logs-.*; set it back"):
        reader(settings, ReaderState("others", 10, IntakeState()))


def test_a_partition_is_idle_when_it_is_read_to_its_end_silent_and_the_broker_answers(settings: Settings) -> None:
    send(settings, [payload("a", 0)], partition=0)
    around, clock = FakeTopology(), ManualTime()
    around.up = False
    one = Reader(FlowContext(settings, topology=around, monotonic=clock), 0, None, start="earliest")
    read(one, 1)
    clock.seconds += 4.9
    assert one.poll() is None
    clock.seconds += 0.2
    assert one.poll() is None, "a broker that does not answer may hold more"
    around.up = True
    assert until_idle(one).clock.time == micros(0)
    one.close()


def test_a_silent_partition_follows_the_others_at_the_distance_of_the_idle_retention(settings: Settings) -> None:
    send(settings, [payload("a", 0)], partition=0)
    around, clock = FakeTopology(), ManualTime()
    one = Reader(FlowContext(settings, topology=around, monotonic=clock), 0, None, start="earliest")
    read(one, 1)
    clock.seconds += 6
    assert until_idle(one).clock.time == micros(0)
    around.clock = micros(3600 + 7200 + 30)
    haul = one.poll()
    assert haul is not None
    assert haul.clock.time == micros(7200)
    send(settings, [payload("b", 5)], partition=0)
    read(one, 2)
    assert one.counters == Counters(read=2, counted=1, late=1)
    one.close()


def test_the_index_of_ids_is_not_read_again_where_duplicates_are_not_looked_for(settings: Settings) -> None:
    plain = replace(settings, dedup=False)
    send(plain, [payload("a", 0), payload("a", 1)], partition=0)
    first = reader(plain)
    read(first, 2)
    state = first.snapshot()
    first.close()
    send(plain, [payload("a", 2)], partition=0)
    second = reader(plain, state)
    assert read(second, 3) == {(micros(0), "c"): 1}
    second.close()


@pytest.mark.parametrize("code", [KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_an_opening_that_fails_with_the_broker_is_tried_again(settings: Settings, code: int) -> None:
    send(settings, [payload("e1", 1)], partition=0)
    kind = stumbling(code, 1)
    fetching = Fetching(make_consumer=lambda settings, role, **own: kind(consumer_config(settings, role) | own))
    one = reader(settings, fetching=fetching)
    assert one.poll() is None
    assert not one.is_open
    read(one, 1)
    one.close()


def test_it_shows_which_clock_no_crash_can_take_back_any_more(settings: Settings) -> None:
    send(settings, [payload("a", 100)], partition=0)
    first = reader(settings)
    read(first, 1)
    first.commit_progress()
    wait_for(lambda: counters(settings)[0].get("clock") == micros(100), "the first commit")
    assert counters(settings)[0]["kept"] is None
    send(settings, [payload("b", 200)], partition=0)
    read(first, 2)
    state = first.snapshot()
    first.commit_progress()
    wait_for(lambda: counters(settings)[0].get("clock") == micros(200), "the second commit")
    shown = counters(settings)[0]
    assert shown["kept"] == micros(100)
    assert shown["last"] == [1, zlib.crc32(payload("b", 200))]
    assert 0 < shown["pause"] < shown["at"]
    first.close()
    again = reader(settings, state)
    wait_for(lambda: again.poll() or again.is_open, "the reader to open")
    again.commit_progress()
    wait_for(lambda: counters(settings)[0].get("kept") == micros(200), "what was restored to be shown as kept")
    again.close()


def test_the_clock_does_not_move_while_ids_are_read_again_after_a_restart(settings: Settings) -> None:
    send(settings, [payload(f"e{number}", number) for number in range(3000)], partition=0)
    first = reader(settings)
    read(first, 3000)
    state = first.snapshot()
    assert state is not None
    clock = state.intake.clock
    assert clock == micros(2999)
    first.close()
    again = reader(settings, state, fetching=Fetching(chunk=100, poll=100))
    polls: list[PollResult] = []
    places: list[int | None] = []

    def refilled() -> bool:
        haul = again.poll()
        places.append(again.progress().clock)
        polls.extend([haul] if haul else [])
        return again.is_open and not again.is_refilling  # else the test may end before what it is about

    wait_for(refilled, "the ids to be read again")
    assert len(polls) > 5, "there is more to read, and it is said"
    assert {haul.clock.time for haul in polls} == set(places) == {clock}
    again.commit_progress()
    wait_for(lambda: counters(settings)[0].get("clock") == clock, "the clock to be shown")
    again.close()


def test_an_end_of_the_log_that_was_passed_meanwhile_is_none(settings: Settings) -> None:
    ends = [Fault(KafkaError(KafkaError._PARTITION_EOF), 1, 0)]

    class Passing(PythonFetcher):
        def fetch(self) -> FetchResult:
            """Says of each end that it was before the message that came with it."""
            records, _, more = super().fetch()
            return FetchResult(records, ends[: len(records)], more)

    send(settings, [payload("a", 0)], partition=0)
    clock = ManualTime()
    fetching = Fetching(make_fetcher=lambda _engine, make, most, _bell: Passing(make({}), most))
    one = reader(settings, clock=clock, fetching=fetching)
    read(one, 1)
    clock.seconds += 6
    assert one.poll() is None, "what came after that end may be more"
    ends[0] = Fault(KafkaError(KafkaError._PARTITION_EOF), 2, 1)
    send(settings, [payload("b", 1)], partition=0)
    read(one, 2)
    clock.seconds += 6
    assert until_idle(one).clock.idle
    one.close()


def test_that_times_are_the_producers_own_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    context = FlowContext(Settings(), topology=FakeTopology())
    for _ in range(3):
        context.warn_of_create_time()
    assert [record.getMessage().partition(",")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "topic logs has message.timestamp.type=CreateTime"
    ]
