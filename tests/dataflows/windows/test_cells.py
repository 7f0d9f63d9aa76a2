"""The two kinds of cells, in Python and in C, over the same events: what they give out, when, and what they keep is the same."""

from __future__ import annotations

import ctypes
import re
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.contract.metrics import Cells, Metrics
from dataflows.native.library import library
from dataflows.windows.cells import decode_window, encode_window
from tests.support.engines.cells import NOW, RULES, WINDOWS, Kind, played
from tests.support.engines.wire import pack, unpack
from tests.support.records import micros

pytestmark = pytest.mark.native

names = st.sampled_from(["a", "b", "c"]) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
counts = st.integers(0, 1000) | st.integers(0, 2**40)
money = st.integers(-(10**6), 10**12) | st.integers(-(2**63), 2**63 - 1)
sums = st.builds(Metrics, *[counts] * 5, *[money] * 3, st.integers(1, 2**40))
shares = st.dictionaries(st.tuples(names, names), sums, min_size=1, max_size=5)


class Step(NamedTuple):
    """One batch: shares by window, how far the watermark goes, how long it took (seconds), and what happens next."""

    shares: list[tuple[int, Cells]]
    watermark: int
    seconds: float
    behind: bool
    then: str


steps = st.builds(
    Step,
    st.lists(st.tuples(st.integers(0, 3), shares), max_size=2),
    st.sampled_from([0, 0, 0, 30, 60]),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 1.0, 30.0, -5.0]),
    st.booleans(),
    st.sampled_from(["", "", "", "tick", "tick", "flush", "forget", "restart", "snapshot"]),
)


@settings(max_examples=40)
@given(st.lists(steps, max_size=15), st.sampled_from([0.0, 0.2, 5.0, 60.0]))
def test_both_kinds_give_out_the_same_at_the_same_time_and_keep_the_same(played: list[Step], emit_seconds: float) -> None:
    python, native = kinds = [Kind("off", emit_seconds), Kind("on", emit_seconds)]
    watermark, now, finished = micros(0), NOW, set[int]()
    for step in played:
        now += step.seconds
        for kind in kinds:
            for number, cells in step.shares:
                window = WINDOWS[number]
                kind.cells.merge(window, pack(cells), micros(number), closed=window + RULES.window <= watermark)
        before = watermark
        watermark += step.watermark * 10**6
        over = [window for window in WINDOWS if window + RULES.window <= watermark and window not in finished]
        finished.update(over)
        for kind in kinds:
            kind.play(before, watermark, now, over, step.then, behind=step.behind)
        assert native.emitted() == python.emitted()
        assert native.cells.next_due() == python.cells.next_due()
        assert native.cells.sizes() == python.cells.sizes()
        if step.then in {"restart", "snapshot"}:
            assert native.image() == python.image()


def test_they_are_the_same_with_many_cells_and_windows() -> None:
    for one, other in zip(played("off"), played("on"), strict=True):
        assert one == other


@pytest.mark.parametrize("choice", ["off", "on"])
@pytest.mark.parametrize("spend", [-5, -(2**62), -(2**90)])
@pytest.mark.parametrize("revenue", [0, 7, -7, 2**80])
def test_no_ratio_is_a_negative_zero(choice: Literal["on", "off"], spend: int, revenue: int) -> None:
    kind = Kind(choice, 0.0)
    sums = Metrics(
        impressions=3, clicks=2, conversions=1, spend_micros=spend, revenue_micros=revenue, refund_micros=revenue, events=6
    )
    share = pack({("refunded", "a"): sums, ("free", "b"): Metrics(3, 2, 1, events=6)})
    kind.cells.merge(WINDOWS[0], share, micros(0), closed=False)
    kind.cells.settle(micros(0), NOW, behind=False)
    found, _ = kind.emitted()
    assert len(found) == 2
    assert [one.roas for one in found if one.campaign_id == "refunded"] == [0.0]
    assert not re.search(rb"-0\.0[,}]", msgspec.json.encode(found))


def test_a_snapshot_is_the_same_text_of_either_kind() -> None:
    kinds = [Kind("off", 0.0), Kind("on", 0.0)]
    share: Cells = {
        ('ä"\\\n\x07', "x\u2028"): Metrics(1, 2, 3, spend_micros=2**70, revenue_micros=-7, refund_micros=8, events=9),
        ("a", "b"): Metrics(events=1),
    }
    for kind in kinds:
        kind.cells.merge(WINDOWS[0], pack(share), micros(0), closed=False)
    texts = {kind.cells.encoded(WINDOWS[0]) for kind in kinds}
    assert len(texts) == 1
    keys, cells = decode_window(texts.pop())
    assert {key[:2]: cell.metrics for key, cell in zip(keys, cells, strict=True)} == share
    assert encode_window((keys, cells)) == kinds[1].cells.encoded(WINDOWS[0])


@given(shares)
def test_a_share_is_read_as_it_was_written(cells: Cells) -> None:
    assert dict(unpack(pack(cells))) == cells


@settings(max_examples=500)
@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.builds(lambda over, under: over / under, money, counts.map((1).__add__))
)
def test_a_double_is_written_as_msgspec_writes_it(number: float) -> None:
    assert written("put_double", number) == msgspec.json.encode(number)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=256))
def test_a_name_is_written_as_msgspec_writes_it(name: str) -> None:
    assert written("put_name", name.encode(), len(name.encode())) == msgspec.json.encode(name)


def written(function: str, *given: Any) -> bytes:
    """What a function of text.c puts."""
    room = ctypes.create_string_buffer(8 * 1024)
    begin = ctypes.addressof(room)
    return ctypes.string_at(begin, getattr(library()[0], function)(begin, *given) - begin)
