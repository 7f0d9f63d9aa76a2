"""What a deployment meets in its life, each once and in a fixed order; the oracle judges. `make chaos` has the random rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from tests.support.flows import (
    await_caught_up,
    counted,
    counters,
    environment,
    last_results,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.records import payload
from tests.support.settings import own_names
from tests.system.faults.proxy import ProxiedKafka
from tests.system.faults.verdict import await_exact, wrong

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

RECOVER = ("-s", "1", "-b", "0")


@pytest.fixture
def mine(real_kafka: str) -> Settings:
    """Topics and a group of this test, on the real Kafka."""
    return own_names(real_kafka)


def events(first: int, count: int, seconds: float = 600.0) -> list[bytes]:
    """Events `first` … in order of their times, over `seconds`."""
    return [payload(f"e{first + n}", n * seconds / count, campaign_id=f"c{n % 5}", cost_micros=n) for n in range(count)]


def test_the_number_of_workers_and_of_processes_changes_from_run_to_run(mine: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery", 4)
    shapes = [(1, 1), (1, 2), (1, 4), (1, 1), (2, 1), (3, 1), (2, 2), (1, 1)]
    for run, (processes, workers) in enumerate(shapes):
        command = ("-r", str(folder), *RECOVER, "-w", str(workers))
        with running(mine, tmp_path / "log", *command, processes=processes) as flow:
            send(mine, events(1000 * run, 1000))
            wait_for(lambda run=run: counted(mine) > 1000 * run + 300, "part of the results")
            if run % 2:
                continue  # killed in the middle of it
            await_exact(mine, flow)
            assert flow.stop() == [0] * processes
    with running(mine, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        await_caught_up(mine)  # the run that was killed may have written all of it
        await_exact(mine, flow)
        assert flow.stop() == [0]
    assert counted(mine) == 1000 * len(shapes)
    assert wrong(mine) == []


def test_a_partition_that_is_ten_times_slower_makes_nothing_late(
    proxied_kafka: ProxiedKafka, mine: Settings, tmp_path: Path
) -> None:
    for partition in range(4):
        send(mine, events(10_000 * partition, 4000, seconds=7200), partition=partition)
    # Some 600 KB: minutes, until the others have been read. In event time, one partition lags by more than the allowed lateness.
    proxied_kafka.proxy.slow("adtally-reader-2", 3_000)
    command = ("-r", str(recovery_folder(tmp_path / "recovery")), *RECOVER)
    try:
        with running(replace(mine, brokers=proxied_kafka.by_proxy), tmp_path / "log", *command) as flow:
            wait_for(lambda: [one.get("read", 0) for one in counters(mine)].count(4000) == 3, "the other partitions")
            assert counters(mine)[2].get("read", 0) < 4000
            proxied_kafka.proxy.slow("adtally-reader-2", 60_000)
            await_exact(mine, flow)
            assert flow.stop() == [0]
    finally:
        proxied_kafka.proxy.clear()
    assert sum(one["late"] for one in counters(mine)) == 0
    assert counted(mine) == 16_000


def test_a_partition_that_was_silent_for_half_an_hour_delivers_old_events_and_they_are_corrections(
    mine: Settings, tmp_path: Path
) -> None:
    quick = replace(mine, idle_seconds=0.5)
    # Sent before the flow starts: one that is sent later than half a second after the others would be a correction itself.
    send(quick, [payload("first", 0)], partition=3)
    for partition in range(3):
        send(quick, events(10_000 * partition, 1000, seconds=1800), partition=partition)
    with running(quick, tmp_path / "log", "-r", str(recovery_folder(tmp_path / "recovery")), *RECOVER) as flow:
        wait_for(lambda: {one["state"] for one in last_results(quick).values()} == {"final"}, "all minutes to be final")
        send(quick, events(90_000, 1000, seconds=1700), partition=3)
        await_exact(quick, flow)
        wait_for(lambda: "corrected" in {one["state"] for one in last_results(quick).values()}, "the corrections")
        assert flow.stop() == [0]
    assert counted(quick) == 4001


def test_the_backlog_of_an_hour_after_a_crash_is_caught_up_with_through_another_crash(mine: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery", 2)
    command = ("-r", str(folder), *RECOVER)
    generate = [
        sys.executable,
        "-m",
        "generator",
        "synthetic",
        "--quiet",
        "--seed",
        "5",
        "--disorder",
        "5%",
        "--duplicates",
        "1%",
    ]
    with running(mine, tmp_path / "log", *command) as flow:
        subprocess.run([*generate, "--count", "500"], env=environment(mine), check=True, capture_output=True, timeout=120)
        wait_for(lambda: counted(mine) > 100, "the first results")
        flow.kill()
    hour = [*generate, "--backfill", "1h", "--rate", "15", "--count", "50000", "--late", "0.5%", "--malformed", "0.5%"]
    subprocess.run(hour, env=environment(mine), check=True, capture_output=True, timeout=120)
    with running(mine, tmp_path / "log", *command, processes=2) as flow:
        wait_for(lambda: counted(mine) > 5000, "part of the backlog")
        flow.kill()
    with running(mine, tmp_path / "log", *command, "-w", "2") as flow:
        await_caught_up(mine)
        await_exact(mine, flow)
        assert flow.stop() == [0]
    assert sum(one["read"] for one in counters(mine)) == 50_500


def lose_the_beginning(settings: Settings, offset: int) -> None:
    """What retention does: partition 0 begins at `offset` from now on."""
    admin = AdminClient({"bootstrap.servers": settings.brokers})
    for done in admin.delete_records([TopicPartition(settings.logs_topic, 0, offset)]).values():
        done.result(30)


def refusal(settings: Settings, said: str) -> str:
    """The last line of a flow that found its place gone, after a look that it is all that one needs to know."""
    last = said.splitlines()[-1]
    assert f"adtally: partition 0 of {settings.logs_topic} begins at offset 150, but this run must resume at 100" in last
    assert "(retention)" in last
    assert "empty recovery folder" in last
    assert "another ADTALLY_RESULTS_TOPIC" in last
    assert "Traceback" not in said
    return last


def test_retention_that_has_passed_the_resume_offset_while_the_flow_was_down_is_refused_each_time(
    mine: Settings, tmp_path: Path
) -> None:
    command = ("-r", str(recovery_folder(tmp_path / "recovery")), *RECOVER)
    send(mine, events(0, 100), partition=0)
    with running(mine, tmp_path / "log", *command) as flow:
        wait_for(lambda: counted(mine) == 100, "the events")
        assert flow.stop() == [0]
    before = last_results(mine)
    send(mine, events(100, 100), partition=0)
    lose_the_beginning(mine, 150)
    for attempt in range(2):
        with running(mine, tmp_path / f"log-{attempt}", *command) as flow:
            assert flow.wait() == [1]
            refusal(mine, flow.output())
    assert last_results(mine) == before


def test_retention_that_overtakes_a_stopped_flow_is_refused_too(
    mine: Settings, proxied_kafka: ProxiedKafka, tmp_path: Path
) -> None:
    command = ("-r", str(recovery_folder(tmp_path / "recovery")), *RECOVER)
    send(mine, events(0, 100), partition=0)
    with running(replace(mine, brokers=proxied_kafka.by_proxy), tmp_path / "log", *command) as flow:
        wait_for(lambda: counted(mine) == 100 and counters(mine)[0].get("read") == 100, "the events")
        before = last_results(mine)
        flow.freeze()
        proxied_kafka.proxy.reset()  # or the broker's answer to what it was asked last would wait for the flow, with these events
        send(mine, events(100, 100), partition=0)
        lose_the_beginning(mine, 150)
        flow.signal(signal.SIGCONT)
        assert flow.wait() == [1]
        refusal(mine, flow.output())
    after = last_results(mine)
    assert {key: one["events"] for key, one in after.items()} == {key: one["events"] for key, one in before.items()}
