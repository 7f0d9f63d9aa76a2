"""The metrics of a flow as a process, compared with what was sent and with its topics; and its probes."""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.flow.telemetry import Observed, PartitionProgress
from dataflows.telemetry.server import LIVE_SECONDS
from dataflows.windows.panes import Figures
from tests.support.brokers import broker_process
from tests.support.flows import (
    Flow,
    counted,
    free_port,
    free_ports,
    last_results,
    read_topic,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.records import event, payload
from tests.support.telemetries import Found, ask, by, names, samples, scraped, total

RECOVER = ["-s", "1", "-b", "0"]
PARTITIONS = 4
SNAPSHOT = "adtally_last_snapshot_timestamp_seconds"
ADMISSIONS = ("admitted_cells", "full_windows", "other_events")
OUTCOMES = ("counted", "duplicate", "late", "malformed")


def truth(partition: int, round_: int = 0) -> tuple[list[bytes | None], Counter[str]]:
    """Messages for a partition, and what is to become of them; other numbers in each partition and round."""
    name = f"p{partition}r{round_}"
    begin = 3600.0 * 3 * round_
    good = 20 + 3 * partition + round_
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)).isoformat()
    messages: list[bytes | None] = [
        *(payload(f"{name}-{number}", begin + number * 0.5) for number in range(good)),
        *(payload(f"{name}-{number}", begin + number * 0.5) for number in range(2 + partition)),
        payload(f"{name}-late-clock", begin + 3600),
        *(payload(f"{name}-late-{number}", begin + number) for number in range(1 + partition)),
        *[b"{", None, b"[]", b"\xff"][: 1 + round_ + partition % 2],
        *(payload(f"{name}-ahead-{number}", timestamp=ahead) for number in range(partition)),
        *[payload(f"{name}-big", begin + 3600, user_id="u" * 70_000)] * (1 + round_),
    ]
    bad = 1 + round_ + partition % 2
    oversize = 1 + round_
    return messages, Counter(
        counted=good + 1,
        duplicate=2 + partition,
        late=1 + partition,
        malformed=bad + partition + oversize,
        too_far_ahead=partition,
        oversize=oversize,
        read=len(messages),
    )


def expected(sums: dict[int, Counter[str]]) -> dict[str, Any]:
    """The metrics of the log for what became of the messages of each partition."""
    partitions = {str(number): one for number, one in sums.items()}
    reasons = {
        "late": lambda one: one["late"],
        "too_far_ahead": lambda one: one["too_far_ahead"],
        "oversize": lambda one: one["oversize"],
    }
    reasons["malformed"] = lambda one: one["malformed"] - one["too_far_ahead"] - one["oversize"]
    return {
        "read": {number: one["read"] for number, one in partitions.items()},
        "events": {(number, outcome): one[outcome] for number, one in partitions.items() for outcome in OUTCOMES},
        "rejected": {(number, reason): take(one) for number, one in partitions.items() for reason, take in reasons.items()},
    }


def told(found: Found, prefix: str, end: str = "") -> dict[str, Any]:
    """The same out of an answer: ``adtally_log_`` or ``adtally_`` with ``_total``."""
    return {
        "read": by(found, f"{prefix}read{end}", "partition"),
        "events": by(found, f"{prefix}events{end}", "partition", "outcome"),
        "rejected": by(found, f"{prefix}rejected{end}", "partition", "reason"),
    }


def rejected_on_topic(settings: Settings) -> dict[tuple[str, str], float]:
    """Rejected events by partition and reason, as their topic has them."""
    last = {tuple(key): one for key, one in read_topic(settings, settings.rejected_topic)}
    return dict(Counter((str(one["partition"]), one["reason"]) for one in last.values()))


def admissions(settings: Settings, breakdown: str) -> list[float]:
    """Return the `ADMISSIONS` of a breakdown, by its topic, of a log whose events are on one partition."""
    rows = dict(read_topic(settings, f"{settings.results_topic}.{breakdown}"))
    others = [row for key, row in rows.items() if b"true" in key]
    return [len(rows) - len(others), len({row["window_start"] for row in others}), sum(row["events"] for row in others)]


def nonzero(found: dict[Any, float]) -> dict[Any, float]:
    return {key: value for key, value in found.items() if value}


def with_metrics(settings: Settings) -> Settings:
    """The same, with a port for metrics."""
    return replace(settings, metrics_port=free_port())


def test_every_counter_of_a_flow_agrees_with_what_was_sent_and_with_its_topics(on_each_broker: Settings, tmp_path: Path) -> None:
    settings = with_metrics(on_each_broker)
    sums: dict[int, Counter[str]] = {}
    for partition in range(PARTITIONS):
        messages, sums[partition] = truth(partition)
        send(settings, messages, partition=partition)
    store = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(store), *RECOVER) as flow:
        wanted = expected(sums)
        wait_for(lambda: told(scraped(settings.metrics_port), "adtally_log_")["read"] == wanted["read"], "all to be read")
        found = scraped(settings.metrics_port)
        assert told(found, "adtally_log_") == wanted
        assert told(found, "adtally_", "_total") == wanted  # the first run: of the process and of the log are the same
        assert by(found, "adtally_conservation_difference", "partition") == dict.fromkeys(map(str, range(PARTITIONS)), 0)
        assert by(found, "adtally_offset", "partition") == wanted["read"]
        assert by(found, "adtally_consumer_lag_messages", "partition") == dict.fromkeys(map(str, range(PARTITIONS)), 0)
        assert (total(found, "adtally_partitions"), total(found, "adtally_partitions_read")) == (4, 4)
        wait_for(lambda: nonzero(wanted["rejected"]) == rejected_on_topic(settings), "what was rejected to be on its topic")
        wait_for(
            lambda: counted(settings) == sum(one["counted"] for one in sums.values()), "what was counted to be among the results"
        )
        topics = {"results": settings.results_topic, "rejected": settings.rejected_topic}
        wait_for(
            lambda: (
                by(scraped(settings.metrics_port), "adtally_records_acknowledged_total", "topic")
                == {name: len(read_topic(settings, topic)) for name, topic in topics.items()}
            ),
            "as many acknowledgements as there are records",
        )
        # The hour has passed in every partition: what is left is the window of its end, with one campaign and channel.
        wait_for(
            lambda: [total(scraped(settings.metrics_port), f"adtally_{name}") for name in ("windows", "cells")] == [1, 1],
            "what is over to be gone",
        )
        found = scraped(settings.metrics_port)
        assert by(found, "adtally_delivery_failures_total", "topic") == {"results": 0, "rejected": 0}
        assert len(last_results(settings)) == 2
        # A broker that takes long to answer once is missed until it does.
        wait_for(lambda: ask(settings.metrics_port, "/readyz") == (200, "ready\n"), "it to be ready")
        assert ask(settings.metrics_port, "/livez") == (200, "live\n")
        assert flow.stop() == [0]


@pytest.mark.long
def test_after_a_crash_counters_of_the_log_reach_the_same_values_and_those_of_the_process_restart(
    settings: Settings, tmp_path: Path
) -> None:
    settings = with_metrics(settings)
    store = recovery_folder(tmp_path / "recovery")
    sums = {partition: Counter[str]() for partition in range(PARTITIONS)}
    seen: list[dict[str, float]] = []
    for round_ in range(3):
        for partition in range(PARTITIONS):
            messages, more = truth(partition, round_)
            sums[partition].update(more)
            send(settings, messages, partition=partition)
        wanted = expected(sums)
        with running(settings, tmp_path / "log", "-r", str(store), *RECOVER) as flow:
            wait_for(lambda: told(scraped(settings.metrics_port), "adtally_log_")["read"] == wanted["read"], "all to be read")  # noqa: B023 - asked at once
            found = scraped(settings.metrics_port)
            assert told(found, "adtally_log_") == wanted
            assert by(found, "adtally_offset", "partition") == wanted["read"]
            assert set(by(found, "adtally_conservation_difference", "partition").values()) == {0}
            process = by(found, "adtally_read_total", "partition")
            seen.append(process)
            if round_ == 0:
                # What the first run has read is in a snapshot, and what the second has read may be or not.
                read_at = time.time()
                wait_for(lambda: (total(scraped(settings.metrics_port), SNAPSHOT) or 0) > read_at + 2.5, "snapshots")  # noqa: B023 - asked at once
            if round_ < 2:
                flow.kill()
            else:
                assert flow.stop() == [0]  # what was read may not be among the results before
    for partition in map(str, range(PARTITIONS)):
        # Of the process: at least what is new since the last run, and never what only earlier runs have read.
        assert seen[0][partition] == expected({0: truth(int(partition))[1]})["read"]["0"]
        assert truth(int(partition), 2)[1]["read"] <= seen[2][partition] <= sums[int(partition)]["read"]
    assert sum(seen[2].values()) < sum(one["read"] for one in sums.values())
    assert counted(settings) == sum(one["counted"] for one in sums.values())


def test_after_a_clean_restart_nothing_is_of_the_process_and_everything_of_the_log(settings: Settings, tmp_path: Path) -> None:
    settings = with_metrics(replace(settings, breakdowns="who=event_id;device", breakdown_cells=5))
    store = recovery_folder(tmp_path / "recovery")
    messages, sums = truth(1)
    send(settings, messages, partition=1)
    for run in range(2):
        with running(settings, tmp_path / "log", "-r", str(store), *RECOVER) as flow:
            wait_for(lambda: total(scraped(settings.metrics_port), "adtally_log_read") == sums["read"], "what was read")
            found = scraped(settings.metrics_port)
            assert told(found, "adtally_log_")["events"]["1", "counted"] == sums["counted"]
            assert total(found, "adtally_read_total") == (0 if run else sums["read"])
            assert total(found, "adtally_events_total") == (0 if run else sums["read"])
            assert (total(found, "adtally_rejected_total") == 0) == bool(run)
            assert flow.stop() == [0]
            # The second run reads the ids and the admitted cells again, and counts none of them.
            own = [by(found, f"adtally_breakdown_{name}_total", "partition", "breakdown") for name in ADMISSIONS]
            for breakdown in ("who", "device"):
                wanted = [0, 0, 0] if run else admissions(settings, breakdown)
                assert [values["1", breakdown] for values in own] == wanted
    assert admissions(settings, "who") == [5 + 1, 1, sums["counted"] - 5 - 1]


def test_the_time_of_a_snapshot_is_that_of_the_folder_and_absent_without_one(settings: Settings, tmp_path: Path) -> None:
    settings = with_metrics(settings)
    store = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(store), *RECOVER):
        first = wait_for(lambda: total(scraped(settings.metrics_port), SNAPSHOT), "a snapshot")
        wait_for(lambda: (total(scraped(settings.metrics_port), SNAPSHOT) or 0) > first + 1, "another one")
        assert (total(scraped(settings.metrics_port), "adtally_recovery_store_bytes") or 0) > 1000
    with running(settings, tmp_path / "other log"):
        found = wait_for(lambda: scraped(settings.metrics_port), "an answer")
        assert SNAPSHOT not in names(found)


def test_it_is_alive_but_not_ready_without_a_broker_and_ready_once_there_is_one(tmp_path: Path) -> None:
    port = free_port()
    settings = replace(Settings(), brokers=f"127.0.0.1:{port}", metrics_port=free_port())
    with running(settings, tmp_path / "log") as flow:
        said = wait_for(lambda: (answer := ask(settings.metrics_port, "/readyz"))[0] and answer, "an answer")
        assert said == (503, "not ready: the broker does not answer\n")
        assert ask(settings.metrics_port, "/livez") == (200, "live\n")
        broker = broker_process(port)
        try:
            wait_for(lambda: ask(settings.metrics_port, "/readyz") == (200, "ready\n"), "the flow to be ready")
            wait_for(lambda: total(scraped(settings.metrics_port), "adtally_ready") == 1, "the metric to say so")
            broker.send_signal(signal.SIGSTOP)
            wait_for(lambda: ask(settings.metrics_port, "/readyz")[0] == 503, "the broker to be missed")
            found = scraped(settings.metrics_port)
            assert (total(found, "adtally_ready"), total(found, "adtally_broker_up")) == (0, 0)
            assert ask(settings.metrics_port, "/livez") == (200, "live\n")
            broker.send_signal(signal.SIGCONT)
            wait_for(lambda: ask(settings.metrics_port, "/readyz")[0] == 200, "the flow to be ready again")
            assert flow.stop() == [0]
        finally:
            broker.kill()
            broker.wait()


def test_each_process_of_a_cluster_has_a_port_and_together_they_tell_the_whole(settings: Settings, tmp_path: Path) -> None:
    settings = replace(settings, metrics_port=free_ports(2))
    store = recovery_folder(tmp_path / "recovery", 2)
    send(settings, [payload(f"e{number}", number) for number in range(100)], map(str, range(100)))
    with running(settings, tmp_path / "log", "-r", str(store), *RECOVER, processes=2) as flow:

        def both(name: str) -> float:
            return sum(total(scraped(settings.metrics_port + number), name) or 0 for number in range(2))

        wait_for(lambda: both("adtally_log_read") == 100, "both to have read their parts")
        wait_for(lambda: both("adtally_partitions_read") == PARTITIONS, "both to read")
        wait_for(lambda: both("adtally_cells") == len(last_results(settings)), "all cells in the metrics")
        assert flow.stop() == [0, 0]


def test_a_taken_port_ends_the_flow_with_one_line(settings: Settings, tmp_path: Path) -> None:
    settings = with_metrics(settings)
    with running(settings, tmp_path / "log"):
        wait_for(lambda: ask(settings.metrics_port, "/livez")[0] == 200, "the first one")
        second = Flow(settings, tmp_path / "second")
        assert second.wait() == [2]
        (line,) = second.output().splitlines()
        assert line.startswith(f"adtally: port {settings.metrics_port} on 127.0.0.1, for metrics, is already in use; ")


def test_the_age_of_an_event_is_measured_if_it_is_recent_and_counted_apart_if_not(settings: Settings, tmp_path: Path) -> None:
    settings = with_metrics(settings)
    with running(settings, tmp_path / "log"):
        # A year ago, as a replay has it.
        send(settings, [payload(f"old-{number}", number / 10) for number in range(50)], partition=0)
        wait_for(lambda: total(scraped(settings.metrics_port), "adtally_catching_up_results_total"), "results of old minutes")
        found = scraped(settings.metrics_port)
        assert total(found, "adtally_event_to_result_seconds_count") == 0
        now = dt.datetime.now(dt.UTC).isoformat()
        send(settings, [payload("new", timestamp=now)], partition=0)
        wait_for(
            lambda: total(scraped(settings.metrics_port), "adtally_event_to_result_seconds_count"), "the result of a new one"
        )
        messages = read_topic(settings, settings.results_topic)
        assert any(one["window_start"][:16] == now[:16] for _, one in messages)


def observed_by(
    *,
    stopping: bool = False,
    reachable: bool = True,
    partitions: int = 2,
    slots: Iterable[int] = (0, 1),
    assigned: Iterable[int] = (0, 1),
) -> Observed:
    """One that lacks nothing but what is given otherwise."""
    observed = Observed(60, stopping=lambda: stopping, reachable=lambda: reachable, partitions=lambda: partitions)
    for number in slots:
        observed.add_slot(number)
    for number in assigned:
        observed.assign(number)
    return observed


def test_it_is_ready_when_nothing_is_missing() -> None:
    from dataflows.intake.partition import Counters

    observed = observed_by()
    assert observed.not_ready_reason() == ""
    observed.begin(1, Counters())
    assert observed.not_ready_reason() == "not read yet: partition 1"
    observed.note(1, PartitionProgress(Counters(), None, None, None, False))
    assert observed.not_ready_reason() == "not read yet: partition 1"
    observed.note(1, PartitionProgress(Counters(), 0, 0, None, True))
    assert observed.not_ready_reason() == ""


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"stopping": True}, "it is stopping"),
        ({"reachable": False}, "the broker does not answer"),
        ({"partitions": 0}, "the topic of logs does not exist yet"),
        ({"slots": ()}, "its partitions are not assigned yet"),
        ({"assigned": (1,)}, "its partitions are not assigned yet"),
    ],
)
def test_where_it_is_not_ready_it_says_why(lacking: dict[str, Any], words: str) -> None:
    assert observed_by(**lacking).not_ready_reason() == words


def test_a_wait_for_the_broker_is_alive_and_a_stalled_loop_is_not() -> None:
    clock = [0.0]
    observed = Observed(60, monotonic=lambda: clock[0])
    outgoing = observed.outgoing("results")
    observed.pulse.beat()
    clock[0] = LIVE_SECONDS
    outgoing.pulse.beat()  # what `Outbox` does while it waits
    clock[0] = 2 * LIVE_SECONDS
    assert observed.not_live_reason() == ""
    clock[0] += 1
    assert observed.not_live_reason() == "its main loop has not run for 61 s"


def test_the_watermark_is_the_least_of_the_shards_that_have_one() -> None:
    from prometheus_client import generate_latest

    observed = Observed(60, now=lambda: 1_000.0)
    assert "adtally_watermark_timestamp_seconds" not in names(samples(generate_latest(observed.registry()).decode()))
    for figures in (
        Figures(None, 0, 0, (0,), (0,)),
        Figures(900_000_000, 1, 3, (5,), (9,)),
        Figures(990_000_000, 2, 2, (4,), (4,)),
    ):
        observed.add_shard(lambda figures=figures: figures)
    found = samples(generate_latest(observed.registry()).decode())
    assert (total(found, "adtally_watermark_timestamp_seconds"), total(found, "adtally_watermark_lag_seconds")) == (900, 100)
    assert [total(found, f"adtally_{name}") for name in ("open_windows", "windows", "open_cells", "cells")] == [2, 3, 9, 13]


def test_what_was_acknowledged_never_goes_back_while_a_record_is_on_its_way() -> None:
    outgoing = Observed(60).outgoing("results")
    first, second = outgoing.own_count(), outgoing.own_count()
    first[0], second[0] = 5, 3
    assert outgoing.acknowledged() == 8
    outgoing.follow(pending=lambda: 2, failed=lambda: 0)  # the client has two that are not counted as sent yet
    assert outgoing.acknowledged() == 8
    first[0] += 4
    assert outgoing.acknowledged() == 10


@pytest.mark.parametrize(("age", "measured", "apart"), [(-1.0, 0, 0), (0.0, 1, 0), (150.0, 1, 0), (151.0, 0, 1)])
def test_an_acknowledged_result_is_measured_counted_apart_or_unknown(age: float, measured: int, apart: int) -> None:
    from prometheus_client import generate_latest

    observed = Observed(60, now=lambda: 10_000.0)
    observed.outgoing("results").arrived(round((10_000 - age) * 1_000_000))
    found = samples(generate_latest(observed.registry()).decode())
    assert total(found, "adtally_event_to_result_seconds_count") == measured
    assert total(found, "adtally_catching_up_results_total") == apart


def test_no_name_of_a_campaign_is_in_an_answer(settings: Settings, tmp_path: Path) -> None:
    settings = with_metrics(settings)
    with running(settings, tmp_path / "log"):
        send(
            settings,
            [payload("e", campaign_id="spring-launch", channel="billboard"), b"{" + event()["timestamp"].encode()],
            partition=0,
        )
        wait_for(lambda: total(scraped(settings.metrics_port), "adtally_log_read") == 2, "both to be read")
        text = ask(settings.metrics_port, "/metrics")[1]
        assert "spring-launch" not in text
        assert "billboard" not in text
