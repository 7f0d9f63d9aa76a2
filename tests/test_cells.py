"""The two kinds of cells, in Python and in C, over the same events: what they give out, when, and what they keep is the same."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dataflows.cells import CellStore, decode_window, encode_window
from dataflows.engines import cells_kind
from dataflows.metrics import Cells, Metrics
from dataflows.rules import Rules
from dataflows.schema import WindowResult
from dataflows.settings import Settings
from dataflows.share import pack, unpack
from tests.panes import results
from tests.records import T0, micros

pytestmark = pytest.mark.native

RULES = Rules.of(Settings())
WINDOWS = [micros(minute * 60) for minute in range(4)]
NOW = T0.timestamp() + 86_400

names = st.sampled_from(["a", "b", "c"]) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
small = st.integers(0, 1000)
money = st.integers(-(10**6), 10**12) | st.integers(-(2**63), 2**63 - 1)
sums = st.builds(Metrics, *[small] * 5, *[money] * 3, st.integers(1, 10**9)) | st.builds(
    Metrics, *[st.integers(0, 2**40)] * 5, *[money] * 3, st.integers(1, 2**40)
)
shares = st.dictionaries(st.tuples(names, names), sums, min_size=1, max_size=6)


class Step(NamedTuple):
    """One batch: shares by window, how far the watermark goes, how long it took, and what else happens."""

    shares: list[tuple[int, Cells]]
    watermark: int
    seconds: float
    behind: bool
    then: str


steps = st.builds(
    Step,
    st.lists(st.tuples(st.integers(0, 3), shares), max_size=3),
    st.sampled_from([0, 0, 0, 30, 60]),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 1.0, 30.0, -5.0]),
    st.booleans(),
    st.sampled_from(["", "", "", "tick", "tick", "flush", "forget", "restart", "snapshot"]),
)


class Kind:
    """One kind of cells, driven as `Panes` drives it."""

    def __init__(self, choice: str, emit_seconds: float) -> None:
        self._new = lambda: cells_kind(choice)(RULES, emit_seconds)
        self.cells: CellStore = self._new()
        self.packed = choice == "on"

    def told(self) -> tuple[list[WindowResult], int | None]:
        """What was given out, in an order of its own, and the time of what waited longest."""
        given = self.cells.taken()
        found = results(given)
        if given is None or given.waited is None:
            return sorted(found, key=str), None
        assert 0 <= given.waited[0] < len(found)
        return sorted(found, key=str), given.waited[1]

    def restart(self) -> None:
        """Go on from what a snapshot kept."""
        kept = {window: self.cells.encoded(window) for window in self.cells.sizes()}
        self.cells = self._new()
        for window, data in kept.items():
            self.cells.restore(window, data)


def copied(cells: Cells) -> Cells:
    """The same in objects of its own: a shard keeps the metrics that it is given."""
    return {key: replace(metrics) for key, metrics in cells.items()}


def image(cells: CellStore) -> dict[int, object]:
    """What a snapshot keeps of each window, but for the moment of the last result, which is not looked at after a restart."""
    kept: dict[int, object] = {}
    for window in cells.sizes():
        keys, held = decode_window(cells.encoded(window))
        kept[window] = [(key, replace(cell, emitted_at=0.0)) for key, cell in zip(keys, held, strict=True)]
    return kept


@settings(max_examples=150)
@given(st.lists(steps, max_size=25), st.sampled_from([0.0, 0.2, 5.0, 60.0]))
def test_both_kinds_give_out_the_same_at_the_same_time_and_keep_the_same(played: list[Step], emit_seconds: float) -> None:
    kinds = [Kind("off", emit_seconds), Kind("on", emit_seconds)]
    watermark, now, finished = micros(0), NOW, set[int]()
    for step in played:
        now += step.seconds
        for kind in kinds:
            for number, cells in step.shares:
                window = WINDOWS[number]
                share = pack(cells) if step.behind else copied(cells)
                kind.cells.merge(window, share, micros(number), closed=window + RULES.window <= watermark)
        watermark += step.watermark * 10**6
        over = [window for window in WINDOWS if window + RULES.window <= watermark and window not in finished]
        finished.update(over)
        for kind in kinds:
            kind.cells.settle(watermark, now, behind=step.behind)
            for window in over:
                if window in kind.cells.sizes():
                    kind.cells.finish(window, now)
            if step.then == "tick":
                kind.cells.tick(watermark, now)
            elif step.then == "flush":
                kind.cells.flush(sorted(kind.cells.sizes()), now)
            elif step.then == "forget":
                for window in finished & set(kind.cells.sizes()):
                    kind.cells.forget(window)
            elif step.then == "restart":
                kind.restart()
        python, native = kinds
        assert native.told() == python.told()
        assert native.cells.next_due() == python.cells.next_due()
        assert native.cells.sizes() == python.cells.sizes()
        if step.then in {"restart", "snapshot"}:
            assert image(native.cells) == image(python.cells)


def test_a_snapshot_is_the_same_text_of_either_kind() -> None:
    kinds = [Kind("off", 0.0), Kind("on", 0.0)]
    share: Cells = {('ä"\\\n\x07', "x\u2028"): Metrics(1, 2, 3, 4, 5, 2**70, -7, 8, 9), ("a", "b"): Metrics(events=1)}
    for kind in kinds:
        kind.cells.merge(WINDOWS[0], copied(share), micros(0), closed=False)
    texts = {kind.cells.encoded(WINDOWS[0]) for kind in kinds}
    assert len(texts) == 1
    keys, cells = decode_window(texts.pop())
    assert {key: cell.metrics for key, cell in zip(keys, cells, strict=True)} == share
    assert encode_window((keys, cells)) == kinds[1].cells.encoded(WINDOWS[0])


@given(shares)
def test_a_share_is_read_as_it_was_written(cells: Cells) -> None:
    assert dict(unpack(pack(cells))) == cells
