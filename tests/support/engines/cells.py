"""The two kinds of cells, driven as `Panes` drives them, so that what they do can be compared."""

from __future__ import annotations

import random
from typing import Literal

from msgspec import convert
from msgspec.structs import replace

from dataflows.contract.metrics import COUNTS, MONEY, Cells, Metrics
from dataflows.contract.schema import WindowResult
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


class Kind:
    """One kind of cells."""

    def __init__(self, choice: Literal["on", "off"], emit_seconds: float) -> None:
        self._new = lambda: Engine(Settings(native=choice)).cells_kind(TableRules(RULES.window), emit_seconds)
        self.cells: CellStore = self._new()

    def told(self) -> tuple[list[WindowResult], int | None]:
        """What was given out since the last call, in an order of its own, and the time of what waited longest."""
        records = self.cells.take_results()
        found = sorted(results(records), key=repr)
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
    rng = random.Random(5)
    names = ["a", "b", "ab", 'ü"\\\n\x01', "x" * 256, *(f"campaign-{number}" for number in range(300))]
    large = [0, 1, -1, 999, 2**53 // 1000, 2**53 // 1000 + 1, 2**63 - 1, -(2**63), 10**15]
    kind, shown = Kind(choice, 3.0), list[object]()
    watermark, now, over = micros(0), NOW, set[int]()
    for step in range(1500):
        now += rng.choice([0.0, 0.05, 0.1, 0.3, 1.0, 2.0, 20.0 if step % 50 == 0 else 0.0, -1.0])
        behind = rng.random() < 0.3
        for _ in range(rng.choice([0, 1, 1, 2])):
            window = watermark - watermark % RULES.window + rng.choice([-2, -1, 0, 0, 0, 0, 1]) * RULES.window
            share: Cells = {}
            for _ in range(rng.choice([1, 3, 40])):
                counts = [rng.choice([0, 0, 1, 3, 7, 10**9]) for _ in COUNTS]
                money = [rng.choice(large) if rng.random() < 0.1 else rng.randrange(10**7) for _ in MONEY]
                share[rng.choice(names), rng.choice("xyz")] = convert([*counts, *money, rng.randrange(1, 9)], Metrics)
            kind.cells.merge(window, pack(share), micros(step), closed=window + RULES.window <= watermark)
        before = watermark
        watermark += rng.choice([0, 0, 0, 1, 3, 30]) * 10**6
        done = [window for window in kind.cells.sizes() if window + RULES.window <= watermark and window not in over]
        over.update(done)
        then = rng.choice(["", "", "tick", "tick", "flush", "forget", "restart"] if step % 10 else ["snapshot"])
        kind.play(before, watermark, now, done, then, behind=behind)
        image = kind.image() if then in {"restart", "snapshot"} else None
        shown.append((step, then, kind.told(), kind.cells.next_due(), kind.cells.sizes(), image))
    return [*shown, *waits_apart(choice)]


def waits_apart(choice: Literal["on", "off"]) -> list[object]:
    """Two cells of which one waits for 512 fortieths of a second and the other five times as long: turns of one wheel."""
    kind, shown = Kind(choice, 512 / 40), list[object]()
    for name, behind in (("a", False), ("a", False), ("b", True)):
        kind.cells.merge(WINDOWS[0], pack({(name, "x"): Metrics(events=1)}), micros(0), closed=False)
        kind.cells.settle(micros(0), NOW, behind=behind)
        shown.append(kind.told())
    for seconds in (12, 13, 60, 65):
        kind.cells.tick(micros(0), NOW + seconds)
        shown.append((kind.told(), kind.cells.next_due()))
    return shown
