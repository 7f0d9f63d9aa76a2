"""The two kinds of cells, driven as `Panes` drives them, so that what they do can be compared."""

from __future__ import annotations

import random
from typing import Any, Literal

from msgspec import convert
from msgspec.structs import replace

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.metrics import COUNTS, MONEY, CellKey, Cells, Metrics
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.rules import Rules
from dataflows.windows.cells import CellStore, TableRules, decode_window
from tests.support.engines.panes import results
from tests.support.engines.wire import pack
from tests.support.records import T0, micros

RULES = Rules.of(Settings())
WINDOWS = [micros(minute * 60) for minute in range(4)]
NOW = T0.timestamp() + 86_400
MAIN = TableRules(RULES.window)
BROKEN_DOWN = TableRules(RULES.window, ("add_to_cart", "lead"), Breakdown("ad", ("device", "küche")))


class Kind:
    """One kind of cells."""

    def __init__(self, choice: Literal["on", "off"], emit_seconds: float, rules: TableRules = MAIN) -> None:
        self._rules = rules
        self._new = lambda: Engine(Settings(native=choice)).cells_kind(rules, emit_seconds)
        self.cells: CellStore = self._new()

    def emitted(self) -> tuple[list[Any], int | None]:
        """What was given out since the last call, in an order of its own, and the time of what waited longest.

        Of the main table results, of another one records.
        """
        records = self.cells.take_results()
        found: list[Any] = (
            [] if records is None else sorted(results(records) if self._rules is MAIN else records.pairs(), key=repr)
        )
        if records is None or records.waited is None:
            return found, None
        assert records.waited[0] in records.starts()
        return found, records.waited[1]

    def restart(self) -> None:
        """Resume from what a snapshot kept."""
        kept = {window: self.cells.encoded(window) for window in self.cells.sizes()}
        self.cells = self._new()
        for window, data in kept.items():
            self.cells.restore(window, data)

    def image(self) -> dict[int, object]:
        """What a snapshot keeps of each window, but for the moment of the last result, which is not looked at after a restart."""
        kept: dict[int, object] = {}
        for window in self.cells.sizes():
            keys, held = decode_window(self.cells.encoded(window))
            kept[window] = [(key, replace(cell, emitted_at=0.0)) for key, cell in zip(keys, held, strict=True)]
        return kept

    def play(self, before: int, watermark: int, now: float, over: list[int], then: str, *, behind: bool) -> None:
        """What follows when shares were merged: the watermark goes on and passes the windows in `over`; `then`: what happens next.

        A tick moves the watermark itself.
        """
        held = self.cells.sizes()
        self.cells.settle(before if then == "tick" else watermark, now, behind=behind)
        if then == "tick":
            self.cells.tick(watermark, now)
        for window in set(over) & set(held):
            self.cells.finish(window, now)
        if then == "flush":
            self.cells.flush(sorted(held), now)
        elif then == "forget":
            for window in [window for window in held if window + RULES.window <= watermark]:
                self.cells.forget(window)
        elif then == "restart":
            self.restart()


def played(choice: Literal["on", "off"]) -> list[object]:
    """All that one kind of cells does over some thousand steps in which everything happens."""
    return [*_played(choice, MAIN, 1500), *_played(choice, BROKEN_DOWN, 500), *waits_apart(choice)]


def _key(rng: random.Random, names: list[str], rules: TableRules) -> CellKey:
    """Return a key of a table, some with values that are not set, some with those of what was not admitted."""
    key = rng.choice(names), rng.choice("xyz")
    if rules.breakdown is None:
        return *key, "USD"
    values = [rng.choice([*names, None, None, "true", "null"]) for _ in rules.breakdown.fields]
    return *key, *(values if rng.random() < 0.9 else [True for _ in values]), rng.choice(["USD", "EUR"])


def _played(choice: Literal["on", "off"], rules: TableRules, steps: int) -> list[object]:
    rng = random.Random(5)
    names = ["a", "b", "ab", 'ü"\\\n\x01', "x" * 256, *(f"campaign-{number}" for number in range(300))]
    large = [0, 1, -1, 999, 2**53 // 1000, 2**53 // 1000 + 1, 2**63 - 1, -(2**63), 10**15]
    kind, shown = Kind(choice, 3.0, rules), list[object]()
    watermark, now, over = micros(0), NOW, set[int]()
    for step in range(steps):
        now += rng.choice([0.0, 0.05, 0.1, 0.3, 1.0, 2.0, 20.0 if step % 50 == 0 else 0.0, -1.0])
        behind = rng.random() < 0.3
        for _ in range(rng.choice([0, 1, 1, 2])):
            window = watermark - watermark % RULES.window + rng.choice([-2, -1, 0, 0, 0, 0, 1]) * RULES.window
            share: Cells = {}
            for _ in range(rng.choice([1, 3, 40])):
                counts = [rng.choice([0, 0, 1, 3, 7, 10**9]) for _ in COUNTS]
                money = [rng.choice(large) if rng.random() < 0.1 else rng.randrange(10**7) for _ in MONEY]
                declared = [rng.choice([0, 0, 1, 2**40]) for _ in rules.declared]
                share[_key(rng, names, rules)] = convert([*counts, *money, rng.randrange(1, 9), declared], Metrics)
            kind.cells.merge(window, rules.format().pack(share), micros(step), closed=window + RULES.window <= watermark)
        before = watermark
        watermark += rng.choice([0, 0, 0, 1, 3, 30]) * 10**6
        done = [window for window in kind.cells.sizes() if window + RULES.window <= watermark and window not in over]
        over.update(done)
        then = rng.choice(["", "", "tick", "tick", "flush", "forget", "restart"] if step % 10 else ["snapshot"])
        kind.play(before, watermark, now, done, then, behind=behind)
        image = kind.image() if then in {"restart", "snapshot"} else None
        shown.append((step, then, kind.emitted(), kind.cells.next_due(), kind.cells.sizes(), image))
    return shown


def waits_apart(choice: Literal["on", "off"]) -> list[object]:
    """Two cells of which one waits for 512 fortieths of a second and the other five times as long: turns of one wheel."""
    kind, shown = Kind(choice, 512 / 40), list[object]()
    for name, behind in (("a", False), ("a", False), ("b", True)):
        kind.cells.merge(WINDOWS[0], pack({(name, "x"): Metrics(events=1)}), micros(0), closed=False)
        kind.cells.settle(micros(0), NOW, behind=behind)
        shown.append(kind.emitted())
    for seconds in (12, 13, 60, 65):
        kind.cells.tick(micros(0), NOW + seconds)
        shown.append((kind.emitted(), kind.cells.next_due()))
    return shown
