"""A worker of the flow sleeps while nothing happens, and no longer than it may: in a time that the tests set."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

import pytest
from typing_extensions import override

from dataflows.flow.idle import ALONE_SECONDS, CLUSTER_SECONDS, PAUSE_SECONDS, Rest, Workers
from dataflows.kafka.bell import Bell


class IdleTime:
    """A clock that a test, or a sleep, puts forward; both clocks of a worker show it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeBell(Bell):
    """A bell that rings at times that are set before: `due` has moments and partitions."""

    def __init__(self, time: IdleTime) -> None:
        super().__init__()
        self.time = time
        self.due: list[tuple[float, int]] = []
        self.sleeps: list[float] = []

    @override
    def wait(self, seconds: float) -> None:
        whole = math.ceil(seconds * 1000) / 1000  # as the system has it
        until = min([self.time.now + whole, *(max(at, self.time.now) for at, _ in self.due)])
        self.sleeps.append(until - self.time.now)
        self.time.now = until

    @override
    def rung(self) -> Iterable[int]:
        heard = {partition for at, partition in self.due if at <= self.time.now}
        self.due = [(at, partition) for at, partition in self.due if at > self.time.now]
        return heard | set(super().rung())


class Worker:
    """One worker with two parts of the source, driven as Bytewax does: each part in its turn, and after a pause where it can't sleep."""

    def __init__(self, parts: int = 2) -> None:
        self.time = IdleTime()
        self.bell = FakeBell(self.time)
        self.rest = Rest(Workers(), self.bell, self.time, self.time)
        for part in (0, 1):
            self.rest.join(part, parts)
        self.turns = 0
        self.heard: list[tuple[float, int]] = []

    def run(self, seconds: float, happens: Callable[[], None] = lambda: None) -> None:
        """Until the clock is `seconds` further; `happens` after each round."""
        end = self.time.now + seconds
        while self.time.now < end:
            for part in (0, 1):
                self.turns += 1
                self.rest.turn(part)
                if self.rest.take_ring(part):
                    self.heard.append((round(self.time.now - 1000, 6), part))
                    self.rest.wake_all()
            happens()
            if self.rest.spare_seconds() <= 0:
                self.time.now += PAUSE_SECONDS


def test_a_quiet_worker_is_asked_ten_times_a_second_and_not_a_hundred_times() -> None:
    worker = Worker()
    worker.run(10)
    assert worker.turns <= 2 * 10 / ALONE_SECONDS + 4


def test_a_message_ends_the_sleep_at_once_and_polls_then_come_every_pause() -> None:
    worker = Worker()
    worker.run(1)
    worker.bell.due = [(1001.0 + number / 1000, 1) for number in range(33, 83)]
    before = worker.turns
    worker.run(1)
    first, *later = [moment for moment, _ in worker.heard]
    assert first == pytest.approx(1.033, abs=0.001)
    assert len(later) <= 6, "fifty messages within 50 ms take a poll every 10 ms, not fifty"
    assert worker.turns - before < 2 * (10 + 10)


def test_a_worker_sleeps_no_longer_than_to_the_time_a_result_is_due() -> None:
    worker = Worker()
    worker.run(1)
    worker.rest.expect(3, due := worker.time.now + 0.037)
    reached: list[float] = []

    def happens() -> None:
        if worker.time.now >= due and not reached:
            reached.append(worker.time.now)
            worker.rest.expect(3, None)
            worker.rest.note_activity()

    worker.run(0.5, happens)
    assert reached == [pytest.approx(due, abs=0.002)]


def test_a_result_that_stays_due_keeps_the_worker_awake() -> None:
    worker = Worker()
    worker.rest.expect(0, worker.time.now - 5)
    worker.rest.expect(1, worker.time.now + 5)
    worker.run(1)
    assert worker.bell.sleeps == []


def test_no_worker_sleeps_while_a_snapshot_is_under_way() -> None:
    worker = Worker()
    worker.run(1)
    worker.rest.note_snapshot(0)
    worker.bell.sleeps.clear()
    worker.run(1)
    assert worker.bell.sleeps == [], "part 1 has not taken its snapshot, and part 0 is not polled before that"
    worker.rest.note_snapshot(1)
    worker.run(1)
    assert worker.bell.sleeps


def test_in_a_cluster_a_worker_sleeps_for_shorter_for_nothing_rings_when_another_process_sends() -> None:
    worker = Worker(parts=32)
    worker.run(1)
    assert worker.bell.sleeps
    assert max(worker.bell.sleeps) <= CLUSTER_SECONDS + 0.001


def test_workers_of_a_process_wake_each_other_and_wake_at_the_same_moments() -> None:
    time, workers = IdleTime(), Workers()
    bells = [FakeBell(time), FakeBell(time)]
    rests = [Rest(workers, bell, time, time) for bell in bells]
    for part, rest in enumerate(rests):
        rest.join(part, 2)
    time.now += 0.03
    assert [rest.spare_seconds() for rest in rests] == [pytest.approx(ALONE_SECONDS - 0.03)] * 2
    rests[0].wake_all()
    assert rests[0].spare_seconds() == 0
    rests[1].turn(1)
    rests[1].turn(1)
    assert rests[1].spare_seconds() == 0, "it was rung, and awaits what it is sent"
    assert not rests[1].take_ring(0)


def test_each_thread_has_a_rest_of_its_own() -> None:
    workers = Workers()
    found: list[Rest] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(workers.rest()) or found.append(workers.rest()))
        thread.start()
        thread.join()
    assert found[0] is found[1] is not found[2] is found[3]


def test_a_bell_tells_which_partitions_it_was_rung_for_and_is_silent_after_that() -> None:
    bell = Bell()
    assert list(bell.rung()) == []
    for partition in (3, 700, 3):
        bell.ring(partition)
    bell.wait(120)
    assert sorted(bell.rung()) == [3, 700]
    assert list(bell.rung()) == []


def test_a_bell_without_a_listener_gets_full_and_blocks_no_one() -> None:
    bell = Bell()
    for _ in range(100_000):
        bell.ring(1)
    assert list(bell.rung()) == [1]
