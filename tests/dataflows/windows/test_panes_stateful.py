"""Intake, windows and recovery together, in whatever order things happen, against a model that knows nothing of either.

The real parts: an `Intake` for each of three partitions, a `Panes` for each shard. What Kafka and Bytewax do between them is played here:
polls of any size, partials that reach each shard in any order of the partitions, barriers of snapshots, crashes that fall back to the
last of them while what was written stays written.

Kept away from, for it is not promised (docs/architecture.md): a crash between the moment at which a partition's clock follows the
others' out of a long silence and the next snapshot; and partitions that are added. A clock that follows is tried, with a snapshot
right after it.

    pytest tests/dataflows/windows/test_panes_stateful.py --hypothesis-profile long     # other seeds, for as long as you let it
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dataflows.contract.constants import SHARDS
from dataflows.contract.schema import STATES, WindowResult, rfc3339
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import KEPT, SECOND, Rules
from dataflows.windows.panes import PanesState
from dataflows.windows.shards import Partial, split
from dataflows.windows.watermark import SourceClock
from tests.support.engines.intakes import both
from tests.support.engines.panes import Played, kinds
from tests.support.records import FakeRecord, micros, payload

PARTITIONS = 3
KINDS = both()
SETTINGS = Settings(allowed_lateness_seconds=120.0, max_ahead_seconds=60.0, idle_retention_seconds=300.0)
RULES = Rules.of(SETTINGS)
SPAN = RULES.id_span
NOW = micros(0) / SECOND + 1_000_000
"""The machine's clock, in seconds: every window of the test is over by it."""

Key = tuple[str, str]


class Sent(NamedTuple):
    """A message to come: `seconds` from the newest time of its partition, `campaign`, and which of the earlier ids it repeats."""

    kind: str
    seconds: int
    campaign: str
    twin: int


class Model:
    """What must become of the log of one partition: an event after the other, by the letter of the contract."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.clock: int | None = None
        self.ids: list[str] = []
        self.last_seen: dict[str, int] = {}
        self.accepted: dict[Key, set[int]] = defaultdict(set)
        self.rejected: dict[int, str] = {}
        self.duplicates = 0

    def on_error(self, offset: int, kind: str, event_id: str, moment: int, campaign: str) -> None:
        if kind in ("malformed", "too_far_ahead"):
            self.rejected[offset] = kind
            return
        start = moment - moment % RULES.window
        if self.clock is not None and start + RULES.window + RULES.lateness <= self.clock - RULES.out_of_order:
            self.rejected[offset] = "late"
            return
        self.clock = moment if self.clock is None else max(self.clock, moment)
        generation = self.clock // SPAN
        known = self.last_seen.get(event_id, -KEPT) > generation - KEPT
        self.last_seen[event_id] = generation
        if known:
            self.duplicates += 1
        else:
            self.accepted[rfc3339(start // SECOND), campaign].add(offset)


class SavedPanes(NamedTuple):
    """What a barrier has kept: offset and intake of each partition, and the panes of each shard."""

    sources: list[tuple[int, IntakeState]]
    shards: list[PanesState | None]


sendings = st.lists(
    st.builds(
        Sent,
        st.sampled_from(["event", "event", "event", "twin", "malformed", "too_far_ahead"]),
        st.integers(-400, 90),
        st.sampled_from("abcd"),
        st.integers(0, 200),
    ),
    min_size=1,
    max_size=12,
)
partitions = st.integers(0, PARTITIONS - 1)


def mark(partition: int, offset: int) -> int:
    """What an event brings in: sums of it tell which events are in them."""
    return (offset * PARTITIONS + partition) ** 2 + 1


class Life(RuleBasedStateMachine):
    """A flow, its log, its results and its rejected events."""

    @initialize(first=st.integers(0, 1))
    def begin(self, first: int) -> None:
        self.starts = first
        self.logs: list[list[FakeRecord]] = [[] for _ in range(PARTITIONS)]
        self.models = [Model(partition) for partition in range(PARTITIONS)]
        self.best: dict[Key, WindowResult] = {}
        self.last: dict[Key, WindowResult] = {}
        self.rejected: dict[tuple[int, int], str] = {}
        self.now, self.wall = NOW, micros(0)
        self.kept = SavedPanes([(0, IntakeState())] * PARTITIONS, [None] * SHARDS)
        self.start()

    def start(self, chunk: int = 7) -> None:
        """Begin at what was kept, the ids read again in chunks of `chunk`."""
        # Each start with other intakes than the one before: each must resume from what another has saved.
        self.starts += 1
        self.intakes: list[Intake] = []
        self.offsets: list[int] = []
        for partition, (offset, state) in enumerate(self.kept.sources):
            kind = KINDS[(self.starts + partition) % len(KINDS)]
            intake = kind(RULES, "logs", partition, state, now=lambda: 0.0)
            begin = intake.rewind()
            for place in range(offset if begin is None else begin, offset, chunk):
                intake.refill(self.logs[partition][place : min(place + chunk, offset)])
            intake.resume()
            self.intakes.append(intake)
            self.offsets.append(offset)
        cells = kinds(SETTINGS)
        self.panes = [Played(cells[(self.starts + shard) % len(cells)], state) for shard, state in enumerate(self.kept.shards)]
        self.waiting: list[list[deque[Partial]]] = [[deque() for _ in range(PARTITIONS)] for _ in range(SHARDS)]

    @rule(partition=partitions, sent=sendings)
    def arrive(self, partition: int, sent: list[Sent]) -> None:
        for one in sent:
            self.append(partition, one)

    def append(self, partition: int, one: Sent) -> None:
        log, model = self.logs[partition], self.models[partition]
        newest = max((other.clock for other in self.models if other.clock is not None), default=micros(0))
        own = model.clock if model.clock is not None else newest
        moment = max(micros(0), own + one.seconds * SECOND)
        offset, event_id = len(log), f"id-{len(log)}"
        if one.kind == "twin" and model.ids:
            event_id = model.ids[-1 - one.twin % len(model.ids)]
        model.ids.append(event_id)
        # Kafka's own time only grows, and no event but one that is too far ahead lies past it.
        self.wall = max(self.wall, moment)
        if one.kind == "too_far_ahead":
            moment = self.wall + RULES.max_ahead + (1 + abs(one.seconds)) * SECOND
        seconds = (moment - micros(0)) / SECOND
        value = payload(event_id, seconds, campaign_id=one.campaign, channel="x", revenue_micros=mark(partition, offset))
        record = FakeRecord(value[:-3] if one.kind == "malformed" else value, offset, time=self.wall // 1000)
        log.append(record)
        model.on_error(offset, one.kind, event_id, moment, one.campaign)

    @rule(partition=partitions, count=st.integers(1, 15))
    def poll(self, partition: int, count: int) -> None:
        begin = self.offsets[partition]
        records = self.logs[partition][begin : begin + count]
        if records:
            self.intakes[partition].take(records)
            self.offsets[partition] += len(records)
            self.hand_over(partition, idle=False)

    def hand_over(self, partition: int, *, idle: bool) -> None:
        intake = self.intakes[partition]
        shares, refused = intake.fetch()
        for one in refused:
            assert self.rejected.setdefault((one.partition, one.offset), one.reason) == one.reason
        for shard, partial in split(partition, PARTITIONS, SourceClock(intake.clock, idle), shares):
            self.waiting[int(shard)][partition].append(partial)

    def caught_up(self, partition: int) -> bool:
        return self.offsets[partition] == len(self.logs[partition])

    @rule(partition=partitions)
    def fall_silent(self, partition: int) -> None:
        if self.caught_up(partition):
            self.hand_over(partition, idle=True)

    @rule(partition=partitions)
    def follow_the_others(self, partition: int) -> None:
        """As `Reader` does after the idle retention; the snapshot right after it is what is promised."""
        clocks = [intake.clock for intake in self.intakes if intake.clock is not None]
        if not self.caught_up(partition) or not clocks:
            return
        floor = max(clocks) - round(SETTINGS.idle_retention_seconds * SECOND)
        floor -= floor % RULES.window
        self.intakes[partition].advance(floor, self.offsets[partition])
        model = self.models[partition]
        model.clock = floor if model.clock is None else max(model.clock, floor)
        self.hand_over(partition, idle=True)
        self.snapshot()

    @rule(shard=st.integers(0, SHARDS - 1), order=st.permutations(range(PARTITIONS)), count=st.integers(1, 4))
    def deliver(self, shard: int, order: list[int], count: int) -> None:
        """Some of what waits for a shard; of each partition in its order, the partitions in any."""
        queues = self.waiting[shard]
        partials = [queues[partition].popleft() for partition in order for _ in range(min(count, len(queues[partition])))]
        if partials:
            self.on_error(self.panes[shard].take(partials, self.now))

    def on_error(self, results: list[WindowResult]) -> None:
        for result in results:
            key = (result.window_start, result.campaign_id)
            self.last[key] = result
            if key not in self.best or rank(result) >= rank(self.best[key]):
                self.best[key] = result

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for panes in self.panes:
            due = panes.wake_at()
            if due is not None and due <= self.now:
                self.on_error(panes.tick(self.now))

    @rule()
    def snapshot(self) -> None:
        """A barrier: what was sent before it arrives before it."""
        for shard in range(SHARDS):
            self.deliver(shard, list(range(PARTITIONS)), 10_000)
        sources = [(offset, intake.state()) for offset, intake in zip(self.offsets, self.intakes, strict=True)]
        self.kept = SavedPanes(sources, [panes.state() for panes in self.panes])

    @rule(chunk=st.integers(1, 20))
    def crash(self, chunk: int) -> None:
        self.start(chunk)

    @rule(chunk=st.integers(1, 20))
    def stop_and_start(self, chunk: int) -> None:
        self.snapshot()
        for panes in self.panes:
            self.on_error(panes.flush(self.now))
        self.snapshot()
        self.start(chunk)

    @rule()
    def settle(self) -> None:
        """Read and deliver all there is, and hold it against the model."""
        for partition in range(PARTITIONS):
            self.poll(partition, len(self.logs[partition]))
            self.hand_over(partition, idle=True)
        for shard in range(SHARDS):
            self.deliver(shard, list(range(PARTITIONS)), 10_000)
        self.now += 10
        for panes in self.panes:
            self.on_error(panes.tick(self.now))
        self.agree()

    def agree(self) -> None:
        expected: dict[Key, set[tuple[int, int]]] = defaultdict(set)
        for model in self.models:
            for key, offsets in model.accepted.items():
                expected[key] |= {(model.partition, offset) for offset in offsets}
        assert {key: one.events for key, one in self.best.items()} == {key: len(events) for key, events in expected.items()}
        sums = {key: sum(mark(*event) for event in events) for key, events in expected.items()}
        assert {key: one.revenue_micros for key, one in self.best.items()} == sums
        for key, one in self.best.items():
            assert self.last[key].revision == one.revision, "a compacted topic keeps another value than its readers"
            assert one.state != "provisional"
        for model, intake in zip(self.models, self.intakes, strict=True):
            assert {offset: why for (where, offset), why in self.rejected.items() if where == model.partition} == model.rejected
            assert intake.clock == model.clock
            reasons = list(model.rejected.values())
            assert intake.counters.duplicate == model.duplicates
            assert intake.counters.late == reasons.count("late")
            assert intake.counters.too_far_ahead == reasons.count("too_far_ahead")
            assert intake.counters.read == len(self.logs[model.partition])
        self.nothing_stays_that_is_over()

    def nothing_stays_that_is_over(self) -> None:
        clocks = [model.clock for model in self.models]
        if None in clocks:
            return
        floor = min(clock for clock in clocks if clock is not None) - RULES.out_of_order - RULES.lateness
        for panes in self.panes:
            assert all(window + RULES.window > floor for window in panes.state().panes[0])

    @invariant()
    def counters_add_up(self) -> None:
        for intake, offset in zip(self.intakes, self.offsets, strict=True):
            assert intake.counters.adds_up()
            assert intake.counters.read == offset

    @invariant()
    def nothing_is_shown_that_is_not_true(self) -> None:
        """No result ever counts more than what was accepted, and nothing is rejected that is not to be."""
        for key, one in self.best.items():
            assert one.events <= sum(len(model.accepted.get(key, ())) for model in self.models)
        for (partition, offset), why in self.rejected.items():
            assert self.models[partition].rejected.get(offset) == why

    def teardown(self) -> None:
        if hasattr(self, "panes"):
            self.settle()


def rank(result: WindowResult) -> tuple[int, int]:
    """By the rule of the contract the consumer keeps the highest."""
    return result.revision, STATES.index(result.state)


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(stateful_step_count=40)
