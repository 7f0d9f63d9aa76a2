"""What comes late, through the flow and on to what the dashboard answers: a corrected figure replaces the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from figures.service import Service
from tests.support.flows import counters, last_results, read_topic, recovery_folder, running, send, wait_for
from tests.support.records import T0, payload, stamp


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """The dashboard's own layers, without a server: feed, store, query."""
    made = Service(settings, clock=lambda: T0.timestamp() + 7200)
    made.feed.start()
    yield made
    made.feed.stop()


def shown(service: Service) -> dict[int, tuple[int, int]]:
    """Impressions and spend (currency units) of each window that the store holds, by its place in minutes after T0."""
    rows = service.store.snapshot().between(0, 2**40, 60)
    begin = int(T0.timestamp())
    return {
        (one["t"] - begin) // 60: (one["impressions"], one["spend_micros"] // 1_000_000) for one in rows.iter_rows(named=True)
    }


def spend(service: Service) -> float:
    """Spend over the day in the answer to a browser, in currency units."""
    tiles = json.loads(service.answer("range=24h"))["page"]["tiles"]
    return next(tile["value"] for tile in tiles if tile["id"] == "spend")


def test_a_late_event_replaces_its_figure_a_later_one_and_one_too_far_ahead_are_rejected_and_move_nothing(
    settings: Settings, service: Service, tmp_path: Path
) -> None:
    quick = replace(settings, idle_seconds=0.5)
    folder = recovery_folder(tmp_path / "recovery")
    with running(quick, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        send(quick, [payload("a", 10, cost_micros=5_000_000), payload("b", 70, cost_micros=7_000_000)], partition=0)
        wait_for(lambda: {one["state"] for one in last_results(quick).values()} == {"final"}, "the final results")
        wait_for(lambda: shown(service) == {0: (1, 5), 1: (1, 7)}, "them on the dashboard")

        send(quick, [payload("late", 20, cost_micros=100_000_000)], partition=0)
        wait_for(lambda: shown(service) == {0: (2, 105), 1: (1, 7)}, "the corrected figure in place of the old one")
        assert service.store.snapshot().rows == 2
        assert [one["state"] for one in last_results(quick).values() if one["window_start"] == stamp(0)] == ["corrected"]
        wait_for(lambda: spend(service) == 112.0, "the corrected sum in the page's answer")

        far = payload("far", timestamp="2099-01-01T00:00:00Z")
        send(
            quick,
            [far, payload("c", 700), payload("d", 30, cost_micros=1000_000_000), payload("e", 90, cost_micros=2_000_000)],
            partition=0,
        )
        # At 700 s the first window is over for good (60 + 600 + 5 <= 700), the second is not; the far one has moved no clock.
        wait_for(lambda: shown(service) == {0: (2, 105), 1: (2, 9), 11: (1, 0)}, "the second correction alone")
        wait_for(lambda: spend(service) == 114.0, "the sum of both corrections in the page's answer")
        wait_for(lambda: len(read_topic(quick, quick.rejected_topic)) == 2, "the rejected events")
        wait_for(lambda: counters(quick)[0].get("read") == 7, "the counters")
        assert flow.stop() == [0]
    rejected = {one["offset"]: (one["reason"], one["payload"]) for _, one in read_topic(quick, quick.rejected_topic)}
    assert rejected == {3: ("too_far_ahead", far.decode()), 5: ("late", payload("d", 30, cost_micros=1000_000_000).decode())}
    told = counters(quick)[0]
    assert (told["counted"], told["late"], told["too_far_ahead"], told["malformed"]) == (5, 1, 1, 1)
