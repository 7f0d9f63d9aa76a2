"""Synthetic traffic: slot after slot on an even grid of time, each filled with an event that the mix and the campaigns allow.

Everything is drawn from the seed and from event time, in blocks whose bounds depend on event time alone: neither the clock of the
machine nor the speed of the broker changes a byte. The loop in `Synthetic._events` is the hot path of load tests: one
formatted text for each event, and no object for it.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from itertools import accumulate

import msgspec

from generator.batches import Batch, Message, Stamps
from generator.synthetic.campaigns import campaigns, channels
from generator.synthetic.faults import Faults, Injector
from generator.synthetic.traffic import EventKind, Mix, TrafficCell, cells_of, outcomes_of, weights

EPOCH_SECONDS = 10
"""Time for which the weights of the campaigns stay the same."""

BLOCK = 4096
USERS = 50_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to generate. `rate` in messages/s; `start` and `end` in microseconds since 1970 (event time); `count` in messages."""

    seed: int
    start: int
    rate: float = 20.0
    count: int | None = None
    end: int | None = None
    mix: Mix = Mix()
    campaigns: int = 12
    channels: str = "6"
    currency: str = "USD"
    faults: Faults = Faults()

    def run_id(self) -> str:
        """12 hexadecimal digits for the ids: two runs share none, the same plan with other faults or another end shares all."""
        content = msgspec.structs.replace(self, count=None, end=None, faults=Faults())
        return hashlib.blake2b(msgspec.json.encode(content), digest_size=6).hexdigest()

    def slots(self) -> int | None:
        """Number of messages of the plan; None if it never ends."""
        until = None if self.end is None else max(0, -int(-(self.end - self.start) * self.rate // 1_000_000))
        return min((bound for bound in (self.count, until) if bound is not None), default=None)


class _Trail:
    """Past clicks and orders of one cell, so that conversions follow clicks and refunds follow purchases."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.users: list[int] = []
        self.orders: deque[tuple[int, str, int, int]] = deque(maxlen=200)
        self.next = 0

    def clicked(self, time: int, user: int) -> None:
        """Remember a click, at most four a second: ten minutes of them fit, whatever the rate."""
        self.next = time + 250_000
        self.times.append(time)
        self.users.append(user)
        if len(self.times) > 5_000:
            del self.times[:2_500], self.users[:2_500]

    def clicker(self, before: int, otherwise: int) -> int:
        """Return the user of the last click at or before `before`; `otherwise` if there is none."""
        index = bisect_right(self.times, before) - 1
        return self.users[index] if index >= 0 else otherwise


class Synthetic:
    """A `Source` of the events of a plan."""

    def __init__(self, plan: Plan, injector: Injector) -> None:
        self.plan = plan
        self.total = plan.slots()
        self._injector = injector
        self._random = random.Random(plan.seed)  # noqa: S311 - traffic to look at, no secret
        self._run = plan.run_id()
        self._cells = cells_of(campaigns(plan.campaigns), channels(plan.channels))
        self._rows = [_row(outcome, self._cells[outcome.cell]) for outcome in outcomes_of(self._cells)]
        self._trails = [_Trail() for _ in self._cells]
        self._stamps = Stamps()
        self._money = f',"currency":"{plan.currency}"}}'

    def title(self) -> str:
        """Return seed and rate, so that a run can be repeated."""
        return f"synthetic events, {self.plan.rate:g}/s, seed {self.plan.seed}"

    def batches(self) -> Iterator[Batch]:
        """Yield batches of up to 4096 messages; `due` is the slot, the event's own time is that or, with faults, earlier."""
        first, table_epoch, table = 0, -1, list[float]()
        while self.total is None or first < self.total:
            epoch = self._slot(first) // (EPOCH_SECONDS * 1_000_000)
            if epoch != table_epoch:
                table_epoch = epoch
                table = list(accumulate(weights(self._cells, self.plan.mix, epoch * EPOCH_SECONDS / 60)))
            due = self._block(first, (epoch + 1) * EPOCH_SECONDS * 1_000_000)
            times, marks = self._injector.times(first, due)
            messages = self._injector.messages(self._events(first, due, times, table), marks)
            # A block is always generated in full and then cut: a shorter run is the beginning of a longer one.
            keep = len(due) if self.total is None else min(len(due), self.total - first)
            yield Batch(messages[:keep], due[:keep], {index: mark for index, mark in marks.items() if index < keep})
            first += len(due)

    def _slot(self, index: int) -> int:
        return self.plan.start + int(index * 1_000_000 / self.plan.rate)

    def _block(self, first: int, end: int) -> list[int]:
        step = 1_000_000 / self.plan.rate
        start = self.plan.start
        times = [start + int(index * step) for index in range(first, first + BLOCK)]
        return times if times[-1] < end else times[: max(1, bisect_right(times, end - 1))]

    def _events(self, first: int, slots: list[int], times: list[int], table: list[float]) -> list[Message]:
        """Return one message for each of `times` (event time, microseconds); `slots` is when each goes out."""
        draw, run, money = self._random.random, self._run, self._money
        second_text, trails = self._stamps.second, self._trails
        picks = self._random.choices(self._rows, cum_weights=table, k=len(slots))
        messages: list[Message] = []
        add = messages.append
        last, stamp = -1, ""
        for index, (time, pick) in enumerate(zip(times, picks, strict=True), first):
            second = time // 1_000_000
            if second != last:
                last, stamp = second, second_text(second)
            code, head, tail, micros, cell = pick
            key = f"{run}-{index:x}"
            if code > 1:
                rest = self._rare(pick, key, time)
                if rest is None:  # nothing to refund yet: an impression instead
                    code, head, tail, micros, cell = self._rows[cell * 6]
                else:
                    add((key, f'{{"event_id":"{key}{head}{stamp}{time % 1_000_000:06d}{tail}{rest}'))
                    continue
            user = int(draw() * USERS)
            if code:
                trail = trails[cell]
                slot = slots[index - first]
                if slot >= trail.next:
                    trail.clicked(slot, user)
            if micros:
                cost = int(micros * (0.7 + 0.6 * draw()))
                tail = f'{tail}{user}","cost_micros":{cost}{money}'
                add((key, f'{{"event_id":"{key}{head}{stamp}{time % 1_000_000:06d}{tail}'))
            else:
                add((key, f'{{"event_id":"{key}{head}{stamp}{time % 1_000_000:06d}{tail}{user}"}}'))
        return messages

    def _rare(self, pick: _Row, key: str, time: int) -> str | None:
        """Return the rest of a conversion, purchase, refund or `cost` event from its user on; None for a refund of nothing."""
        code, _, _, micros, cell = pick
        draw, trail = self._random.random, self._trails[cell]
        if code == 5:
            return f'","cost_micros":{int(micros * (0.8 + 0.4 * draw()))}{self._money}'
        if code == 4:
            if not trail.orders or trail.orders[0][0] > time:
                return None
            _, order, revenue, user = trail.orders.popleft()
            back = revenue if draw() < 0.7 else revenue // 20_000 * 10_000
            return f'{user}","order_id":"{order}","revenue_micros":{back}{self._money}'
        # A conversion lags its click: 5 s at least, 80 s in the mean.
        lag = 5_000_000 + int(self._random.expovariate(1 / 75_000_000))
        user = trail.clicker(time - lag, int(draw() * USERS))
        if code == 2:
            return f'{user}"}}'
        revenue = int(micros / 10_000 * (0.3 + 1.4 * draw())) * 10_000
        trail.orders.append((time, f"order-{key}", revenue, user))
        return f'{user}","order_id":"order-{key}","revenue_micros":{revenue}{self._money}'


_Row = tuple[int, str, str, float, int]
_CODES = {"impression": 0, "click": 1, "conversion": 2, "purchase": 3, "refund": 4, "cost": 5}


def _row(outcome: EventKind, cell: TrafficCell) -> _Row:
    """Return what the hot loop needs of an outcome: code, text up to the time, text up to the user, mean micros, cell."""
    names = (msgspec.json.encode(name).decode() for name in (cell.campaign.name, cell.channel.name))
    campaign, channel = names
    head = f'","event_type":"{outcome.kind}","timestamp":"'
    tail = f'Z","campaign_id":{campaign},"channel":{channel}'
    # A `cost` event has no user; the quote that it closes is its channel's.
    tail = tail[:-1] if outcome.kind == "cost" else f'{tail},"user_id":"user-'
    return _CODES[outcome.kind], head, tail, outcome.micros, outcome.cell
