"""The flow as a process, on the embedded broker: what it must hold to whatever becomes of it."""

from __future__ import annotations

import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from tests.support.flows import (
    FLOW,
    await_caught_up,
    counted,
    counters,
    environment,
    free_port,
    last_results,
    read_topic,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.records import payload, stamp

RECOVER = ["-s", "1", "-b", "0"]


def believable(count: int, seed: int = 1) -> list[tuple[str, float, str]]:
    """(id, seconds, campaign) of `count` events over ten minutes, 2 s of disorder."""
    rng = random.Random(seed)
    return [(f"e{seed}-{number}", 5 + number * 600 / count - rng.random() * 2, f"c{rng.randrange(5)}") for number in range(count)]


def payloads(events: list[tuple[str, float, str]]) -> list[bytes]:
    return [payload(name, seconds, campaign_id=campaign, cost_micros=7) for name, seconds, campaign in events]


def sums(events: list[tuple[str, float, str]]) -> Counter[tuple[str, str]]:
    return Counter((stamp(seconds // 60 * 60), campaign) for _, seconds, campaign in events)


def found(settings: Settings) -> Counter[tuple[str, str]]:
    return Counter({(one["window_start"], one["campaign_id"]): one["events"] for one in last_results(settings).values()})


def test_disorder_duplicates_and_malformed_events_leave_exact_figures_and_counters_that_add_up(
    settings: Settings, tmp_path: Path
) -> None:
    events = believable(10_000)
    rng = random.Random(2)
    given = payloads(events)
    twins = rng.sample(range(len(given)), 100)
    sent = given + [given[place] for place in twins] + [b"{bad"] * 100
    keys = [name for name, _, _ in events] + [events[place][0] for place in twins] + [f"bad-{number}" for number in range(100)]
    send(settings, sent, keys)
    with running(settings, tmp_path / "log") as flow:
        wait_for(lambda: counted(settings) >= 10_000, "all events counted")
        # The last of each partition are malformed.
        wait_for(lambda: len(dict(read_topic(settings, settings.rejected_topic))) == 100, "all of them to be read")
        assert flow.stop() == [0]
    assert found(settings) == sums(events)
    shown = counters(settings)
    for one in shown:
        assert one["read"] == one["counted"] + one["duplicate"] + one["late"] + one["malformed"]
    total = {name: sum(one[name] for one in shown) for name in ("read", "counted", "duplicate", "malformed")}
    assert total == {"read": 10_200, "counted": 10_000, "duplicate": 100, "malformed": 100}
    rejected = dict(read_topic(settings, settings.rejected_topic))
    assert len(rejected) == 100
    assert {one["reason"] for one in rejected.values()} == {"malformed"}
    assert {one["payload"] for one in rejected.values()} == {"{bad"}


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        pytest.param((), 1, id="one worker"),
        pytest.param(("-w", "2"), 1, id="two workers", marks=pytest.mark.long),
        pytest.param((), 2, id="two processes"),
    ],
)
def test_kill_9_in_mid_stream_and_the_same_command_again_give_the_figures_of_an_undisturbed_run(
    settings: Settings, tmp_path: Path, arguments: tuple[str, ...], processes: int
) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    events = believable(6000)
    command = ["-r", str(folder), *RECOVER, *arguments]
    for part in range(3):
        send(
            settings,
            payloads(events[part * 2000 : part * 2000 + 2000]),
            [name for name, _, _ in events[part * 2000 : part * 2000 + 2000]],
        )
        with running(settings, tmp_path / "log", *command, processes=processes) as flow:
            # Somewhere in the middle: some of the part is out, and whatever snapshot there is.
            wait_for(lambda part=part: counted(settings) > part * 2000 + 500, "part of the results")
            flow.kill()
    with running(settings, tmp_path / "last log", *command, processes=processes) as flow:
        # All may have been counted before the kill: then this run still replays part of it.
        await_caught_up(settings)
        assert flow.stop() == [0] * processes
    assert found(settings) == sums(events)
    assert sum(one["duplicate"] for one in counters(settings)) == 0


def test_a_signal_stops_the_flow_cleanly_and_the_next_run_reads_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    events = believable(2000)
    send(settings, payloads(events[:1000]))
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: counted(settings) >= 1000, "the first half")
        flow.signal(signal.SIGINT)
        assert flow.wait() == [0]
    before = len(read_topic(settings, settings.results_topic))
    send(settings, payloads(events[1000:]))
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: counted(settings) >= 2000, "the second half")
        assert flow.stop() == [0]
    assert found(settings) == sums(events)
    assert sum(one["read"] for one in counters(settings)) == 2000
    revisions: dict[bytes, int] = {}
    for key, result in read_topic(settings, settings.results_topic)[before:]:
        assert result["revision"] >= revisions.get(key, 0)
        revisions[key] = result["revision"]


def test_an_event_is_in_the_results_though_its_minute_is_not_over_and_no_snapshot_is_due(
    settings: Settings, tmp_path: Path
) -> None:
    # How soon, the benchmark shows: on a loaded machine a test of seconds says nothing.
    open_minutes = replace(settings, idle_seconds=3600.0)
    with running(open_minutes, tmp_path / "log", "-s", "3600"):
        for number in (1, 2):
            send(settings, [payload(f"e{number}")])
            wait_for(lambda number=number: counted(settings) == number, "the event")
        assert {one["state"] for one in last_results(settings).values()} == {"provisional"}


def test_the_last_minute_becomes_final_in_silence_and_a_late_comer_corrects_it(settings: Settings, tmp_path: Path) -> None:
    quick = replace(settings, idle_seconds=0.5)
    with running(quick, tmp_path / "log"):
        send(quick, [payload("a", 10)])
        wait_for(lambda: [one["state"] for one in last_results(quick).values()] == ["final"], "the final result")
        send(quick, [payload("b", 20)])
        wait_for(
            lambda: [(one["state"], one["events"]) for one in last_results(quick).values()] == [("corrected", 2)],
            "the correction",
        )


def test_an_event_later_than_the_allowed_lateness_is_rejected_and_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    send(settings, [payload("a", 0), payload("b", 1000), payload("c", 1)], partition=0)
    with running(settings, tmp_path / "log"):
        ((_, rejected),) = wait_for(lambda: read_topic(settings, settings.rejected_topic), "the rejected event")
        wait_for(lambda: counted(settings) == 2, "the others")
    assert (rejected["reason"], rejected["partition"], rejected["offset"]) == ("late", 0, 2)
    assert rejected["payload"] == payload("c", 1).decode()


def test_the_flow_waits_for_a_broker_that_is_not_there_and_says_so_once(tmp_path: Path) -> None:
    nowhere = Settings(brokers="127.0.0.1:1")
    with running(nowhere, tmp_path / "log") as flow:
        wait_for(lambda: "no Kafka broker answers at 127.0.0.1:1" in flow.output(), "the line that says so")
        assert flow.stop() == [0]
    assert flow.output().count("no Kafka broker answers") == 1


def run_to_its_end(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FLOW, *arguments], env=environment(settings), capture_output=True, text=True, timeout=120, check=False
    )


def test_a_missing_recovery_folder_gets_one_line_with_the_command_that_makes_it(settings: Settings, tmp_path: Path) -> None:
    done = run_to_its_end(settings, "-r", str(tmp_path / "none"), *RECOVER)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "none") in line
    assert "python -m bytewax.recovery" in line


def test_a_second_run_on_one_recovery_folder_is_refused_in_one_line(settings: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: "reading partition" in flow.output(), "the first run")
        done = run_to_its_end(settings, "-r", str(folder), *RECOVER)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "another flow uses the recovery folder" in line


def test_a_recovery_folder_of_another_deployment_is_refused_in_one_line(settings: Settings, tmp_path: Path) -> None:
    folder = recovery_folder(tmp_path / "recovery")
    send(settings, [payload("a", 1), payload("b", 2)], partition=0)
    with running(settings, tmp_path / "log", "-r", str(folder), *RECOVER) as flow:
        wait_for(lambda: counted(settings) == 2, "the events")
        assert flow.stop() == [0]
    for other, words in (
        (replace(settings, logs_topic=settings.logs_topic + "-new"), "belongs to topic " + settings.logs_topic),
        (replace(settings, window_seconds=10), "ADTALLY_WINDOW_SECONDS=60, but it is 10 now"),
    ):
        done = run_to_its_end(other, "-r", str(folder), *RECOVER)
        assert done.returncode == 1
        assert words in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert "panicked" not in done.stderr


def test_a_wrong_setting_is_one_line(settings: Settings) -> None:
    done = subprocess.run(
        FLOW,
        env={**environment(settings), "ADTALLY_WINDOW_SECONDS": "soon"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "adtally: ADTALLY_WINDOW_SECONDS='soon' can't be used (expected int, got str); it sets: "
        "length of a tumbling window, in seconds (default 60)."
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_process_that_waits_for_its_peers_can_be_stopped(settings: Settings, tmp_path: Path, number: int) -> None:
    alone = ["-i", "0", "-a", f"127.0.0.1:{free_port()};127.0.0.1:{free_port()}"]
    with running(settings, tmp_path / "log", *alone) as flow:
        wait_for(lambda: "error connecting" in flow.output() or "no recovery folder" in flow.output(), "the flow to start")
        flow.signal(number)
        assert flow.wait() == [0]
