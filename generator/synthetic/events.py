"""Synthetic traffic: slot after slot on an even grid of time, each filled with an event that the mix and the campaigns allow.

Everything is drawn from the seed and from event time, in blocks whose bounds depend on event time alone: neither the clock of the
machine nor the speed of the broker changes a byte. The loop in `Synthetic._events` is the hot path of load tests: one
formatted text for each event, and no object for it.
"""

from __future__ import annotations

import hashlib
import random
import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from dataflows.contract.event_types import DeclaredType
from generator.batches import Batch, Message, Stamps
from generator.synthetic.ads import Ad, member, rotation_of
from generator.synthetic.audience import Person, audience_of
from generator.synthetic.campaigns import campaigns, channels, currencies_of
from generator.synthetic.faults import Faults, Injector
from generator.synthetic.traffic import KINDS, EventKind, Mix, TrafficCell, cells_of, outcomes_of, weights

EPOCH_SECONDS = 10
"""Time for which the weights of the campaigns stay the same."""

BLOCK = 1024

_DIGITS = tuple(f"{number:03d}" for number in range(1_000))
_SWING = 0.6 / 2**32
"""Factor of a random number of 32 bits: the cost of an event lies between 70 and 130 % of the mean."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to generate. `rate` in messages/s; `start` and `end` in microseconds since 1970 (event time); `count` in messages.

    `currency` is the deployment's, `currencies` those in which campaigns are billed, `declared` its own event types; `ads` of a
    campaign on a channel, `keywords` of an ad group.
    """

    seed: int
    start: int
    rate: float = 20.0
    count: int | None = None
    end: int | None = None
    mix: Mix = Mix()
    campaigns: int = 12
    channels: str = "6"
    ads: int = 8
    keywords: int = 40
    currency: str = "USD"
    currencies: tuple[str, ...] = ("USD", "EUR")
    declared: tuple[DeclaredType, ...] = ()
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
        self.clicks: list[str] = []
        self.orders: deque[tuple[int, str, int, str]] = deque(maxlen=200)
        self.next = 0

    def clicked(self, time: int, details: str) -> None:
        """Remember a click, at most one a second: eight minutes of them fit, whatever the rate."""
        self.next = time + 1_000_000
        self.times.append(time)
        self.clicks.append(details)
        if len(self.times) > 1_000:
            del self.times[:500], self.clicks[:500]

    def last(self, before: int) -> str | None:
        """Return the details of the last click at or before `before`; None if there is none."""
        index = bisect_right(self.times, before) - 1
        return self.clicks[index] if index >= 0 else None


class Synthetic:
    """A `Source` of the events of a plan."""

    def __init__(self, plan: Plan, injector: Injector) -> None:
        self.plan = plan
        self.total = plan.slots()
        self._injector = injector
        self._random = random.Random(plan.seed)  # noqa: S311 - traffic to look at, no secret
        self._run = plan.run_id()
        table = campaigns(plan.campaigns)
        self._cells = cells_of(table, channels(plan.channels))
        currency_of = dict(zip((campaign.name for campaign in table), currencies_of(table, plan.currencies), strict=True))
        self._currencies = [currency_of[cell.campaign.name] for cell in self._cells]
        self._rows = [
            _row(outcome, self._cells[outcome.cell], self._currencies[outcome.cell], plan.currency)
            for outcome in outcomes_of(self._cells, plan.declared)
        ]
        self._kinds = len(KINDS) + len(plan.declared)
        self._trails = [_Trail() for _ in self._cells]
        self._casts: list[_Cast | None] = [None] * len(self._cells)
        self._clickers: dict[int, tuple[Sequence[Ad], Sequence[Person]]] = {}
        self._impressions = 512 if len(self._cells) <= 400 else 64  # many cells would need much memory
        self._stamps = Stamps()

    def title(self) -> str:
        """Return seed and rate, so that a run can be repeated."""
        return f"synthetic events, {self.plan.rate:g}/s, seed {self.plan.seed}"

    def batches(self) -> Iterator[Batch]:
        """Yield batches of up to 1024 messages; `due` is the slot, the event's own time is that or, with faults, earlier."""
        first, table_epoch, table = 0, -1, list[float]()
        while self.total is None or first < self.total:
            epoch = self._slot(first) // (EPOCH_SECONDS * 1_000_000)
            if epoch != table_epoch:
                table_epoch = epoch
                minute = epoch * EPOCH_SECONDS / 60
                table = list(accumulate(weights(self._cells, self.plan.mix, minute, self.plan.declared)))
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
        run, casts, digits = self._run, self._casts, _DIGITS
        milli_text = self._stamps.millisecond
        picks = self._random.choices(self._rows, cum_weights=table, k=len(slots))
        spins = self._spins(len(slots))
        messages: list[Message] = []
        add = messages.append
        last, stamp = -1, ""
        for index, (time, pick, spin, swing) in enumerate(zip(times, picks, spins, spins, strict=True), first):
            milli, micro = divmod(time, 1_000)
            if milli != last:
                last, stamp = milli, milli_text(milli)
            code, head, tail, micros, cell, end = pick
            key = f"{run}-{index:x}"
            if code > 1:
                rest = self._rare(pick, key, time)
                if rest is not None:
                    add((key, f'{{"event_id":"{key}{head}{stamp}{digits[micro]}{tail}{rest}'))
                    continue
                # Nothing to refund yet: an impression instead.
                code, head, tail, micros, cell, end = self._rows[cell * self._kinds]
            if code:
                ad, person = self._click(cell, key, slots[index - first]), ""
            else:
                ads, size, people, users = casts[cell] or self._cast(cell)
                ad, person = ads[spin // users % size], people[spin % users]
            if micros:
                end = f',"cost_micros":{int(micros * (0.7 + swing * _SWING))}{end}'
            add((key, f'{{"event_id":"{key}{head}{stamp}{digits[micro]}{tail}{ad}{person}{end}'))
        return messages

    def _spins(self, number: int) -> Iterator[int]:
        """Return an iterator of two random whole numbers of 32 bits for each of `number` events, drawn in one call."""
        return iter(struct.unpack(f"<{2 * number}I", self._random.randbytes(8 * number)))

    def _cast(self, cell: int) -> _Cast:
        """Return what an impression of a cell takes its ad and its user from; made when needed: there may be 100,000 campaigns."""
        plan, currency = self.plan, self._currencies[cell]
        campaign, channel = self._cells[cell].campaign.name, self._cells[cell].channel
        rotation = rotation_of(
            campaign, channel.name, channel.terms, ads=plan.ads, keywords=plan.keywords, size=self._impressions
        )
        audience = audience_of(channel.name, currency, plan.currencies.index(currency))
        cast = (rotation.shown, len(rotation.shown), audience.shown, len(audience.shown))
        self._casts[cell] = cast
        self._clickers[cell] = (rotation.clicked, audience.clicked)
        return cast

    def _click(self, cell: int, key: str, slot: int | None) -> str:
        """Return the details of a click in `cell` at `slot` with an id of its own; without a slot, of a visit that no click led to."""
        draw = self._random.random
        if self._casts[cell] is None:
            self._cast(cell)
        ads, people = self._clickers[cell]
        ad, terms, ad_converts = ads[int(draw() * len(ads))]
        person, person_converts = people[int(draw() * len(people))]
        details = f"{ad}{terms[int(draw() * len(terms))]}{person}"
        if slot is None:
            return details
        if self._cells[cell].channel.tracked:
            details = f'{details},"click_id":"click-{key}"'
        trail = self._trails[cell]
        if slot >= trail.next and draw() < ad_converts * person_converts:
            trail.clicked(slot, details)
        return details

    def _rare(self, pick: _Row, key: str, time: int) -> str | None:
        """Return the rest of a conversion, purchase, refund or `cost` event after its channel; None for a refund of nothing."""
        code, _, _, micros, cell, end = pick
        draw, trail = self._random.random, self._trails[cell]
        if code == 5:
            return f',"cost_micros":{int(micros * (0.8 + 0.4 * draw()))}{end}'
        if code == 4:
            if not trail.orders or trail.orders[0][0] > time:
                return None
            _, order, revenue, details = trail.orders.popleft()
            back = revenue if draw() < 0.7 else revenue // 20_000 * 10_000
            return f'{details},"order_id":"{order}","revenue_micros":{back}{end}'
        # A conversion lags its click: 5 s at least, 80 s in the mean.
        lag = 5_000_000 + int(self._random.expovariate(1 / 75_000_000))
        details = trail.last(time - lag) or self._click(cell, key, None)
        if code == 2:
            return f"{details}{end}"
        revenue = int(micros / 10_000 * (0.3 + 1.4 * draw())) * 10_000
        trail.orders.append((time, f"order-{key}", revenue, details))
        return f'{details},"order_id":"order-{key}","revenue_micros":{revenue}{end}'


_Cast = tuple[Sequence[str], int, Sequence[str], int]
"""Ads and users of impressions as text, each with their number."""

_Row = tuple[int, str, str, float, int, str]


def _row(outcome: EventKind, cell: TrafficCell, currency: str, default: str) -> _Row:
    """Return what the hot loop needs of an outcome: code, text up to the time, text up to the ad, mean micros, cell, end.

    An event without an amount names its `currency` only if it is not the `default` of the deployment.
    """
    names = (msgspec.json.encode(name).decode() for name in (cell.campaign.name, cell.channel.name))
    campaign, channel = names
    head = f'","event_type":"{outcome.name}","timestamp":"'
    tail = f'Z","campaign_id":{campaign},"channel":{channel}'
    has_amount = outcome.micros or outcome.kind == "refund"
    end = member("currency", currency) if has_amount or currency != default else ""
    return KINDS.index(outcome.kind), head, tail, outcome.micros, outcome.cell, f"{end}}}"
