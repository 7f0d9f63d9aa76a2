"""The generator's metrics, compared with what it did."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from dataflows.contract.settings import Settings
from generator.batches import Mark
from generator.telemetry import SendingState
from tests.support.brokers import broker_process
from tests.support.flows import environment, free_port, wait_for
from tests.support.telemetries import ask, by, samples, scraped, total

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sending(settings: Settings) -> Iterator[tuple[Settings, subprocess.Popen[str]]]:
    """A generator that stays, with metrics: 401 events at once, of which some have been done something to, and then none for long."""
    given = replace(settings, metrics_port=free_port())
    faults = ("--duplicates", "10%", "--malformed", "10%", "--late", "10%")
    child = subprocess.Popen(
        [sys.executable, "-m", "generator", "synthetic", "--rate", "0.001", "--backfill", "400000s", "--seed", "7", *faults],
        cwd=ROOT,
        env=environment(given),
        stderr=subprocess.PIPE,
        text=True,
    )
    yield given, child
    child.kill()
    child.wait()


def test_sent_messages_are_counted_by_kind_and_agree_with_the_summary(sending: tuple[Settings, subprocess.Popen[str]]) -> None:
    settings, child = sending
    wait_for(lambda: (total(scraped(settings.metrics_port), "adtally_generator_acknowledged_total") or 0) >= 401, "401 events")
    wait_for(lambda: total(scraped(settings.metrics_port), "adtally_generator_queue_messages") == 0, "the queue to be empty")
    assert ask(settings.metrics_port, "/readyz") == (200, "ready\n")
    assert ask(settings.metrics_port, "/livez") == (200, "live\n")
    found = scraped(settings.metrics_port)
    child.terminate()
    summary = child.communicate(timeout=60)[1].splitlines()[-1].removeprefix("adtally: ")
    said = {name: int(number.replace(",", "")) for name, number in (part.rsplit(" ", 1) for part in summary.split(", "))}
    kinds = by(found, "adtally_generator_messages_total", "kind")
    assert total(found, "adtally_generator_sent_total") == said["sent"] == sum(kinds.values())
    assert total(found, "adtally_generator_acknowledged_total") == said["acknowledged"]
    assert total(found, "adtally_generator_failures_total") == said["failed"] == 0
    assert {kind: kinds[kind] for kind in ("duplicates", "late", "malformed")} == {
        kind: said[kind] for kind in ("duplicates", "late", "malformed")
    }
    assert min(kinds.values()) > 0


def test_it_is_alive_and_not_ready_while_the_broker_is_away() -> None:
    port = free_port()
    broker = broker_process(port)
    settings = replace(Settings(), brokers=f"127.0.0.1:{port}", metrics_port=free_port())
    child = subprocess.Popen(
        [sys.executable, "-m", "generator", "synthetic", "--rate", "50"],
        cwd=ROOT,
        env=environment(settings),
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(lambda: ask(settings.metrics_port, "/readyz") == (200, "ready\n"), "the generator to be ready")
        broker.kill()
        broker.wait()
        wait_for(
            lambda: ask(settings.metrics_port, "/readyz") == (503, "not ready: the broker does not answer\n"),
            "the loss to be seen",
        )
        assert ask(settings.metrics_port, "/livez") == (200, "live\n")
        assert total(scraped(settings.metrics_port), "adtally_ready") == 0
    finally:
        child.kill()
        child.wait()
        broker.kill()
        broker.wait()


def test_a_taken_port_ends_it_with_one_line(sending: tuple[Settings, subprocess.Popen[str]]) -> None:
    settings, _ = sending
    wait_for(lambda: ask(settings.metrics_port, "/livez")[0] == 200, "the first one")
    command = [sys.executable, "-m", "generator", "synthetic", "--count", "1", "--quiet"]
    second = subprocess.run(
        command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=120, check=False
    )
    assert second.returncode == 2
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"adtally: port {settings.metrics_port} on 127.0.0.1, for metrics, is already in use")


def test_what_was_not_marked_is_plain_and_figures_do_not_go_back() -> None:
    one = SendingState()
    assert one.not_ready_reason() == "it has not begun to send"
    one.away = lambda: False
    marks = Counter[Mark]({"late": 3, "duplicates": 2})
    one.note(10, 6, 1, marks)
    one.note(12, 5, 1, marks)
    found = samples(generate_latest(one.registry()).decode())
    assert by(found, "adtally_generator_messages_total", "kind") == {"plain": 7, "late": 3, "duplicates": 2, "malformed": 0}
    assert [total(found, f"adtally_generator_{name}_total") for name in ("sent", "acknowledged", "failures")] == [12, 6, 1]
    assert one.not_ready_reason() == ""
