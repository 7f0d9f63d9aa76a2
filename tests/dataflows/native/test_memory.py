"""What C gives out, and the memory that it takes for that and gives back."""

from __future__ import annotations

import ctypes

import pytest

from dataflows.contract.metrics import Metrics
from dataflows.contract.settings import Settings
from dataflows.intake.rules import Rules
from dataflows.native import NEVER, MessageBatch, Tally, TallyPlan
from dataflows.native.memory import bytes_at
from dataflows.windows.cells import TableRules
from dataflows.windows.native import NativeCells
from tests.support.engines.wire import pack
from tests.support.records import log, micros, payload

TEXT = b"seen\0 and counted"
HELD = ctypes.create_string_buffer(TEXT, len(TEXT))


def test_bytes_are_copied_as_they_stand() -> None:
    copy = bytes_at(ctypes.addressof(HELD), len(TEXT))
    HELD[0] = b"S"
    assert copy == TEXT
    HELD[0] = b"s"
    assert bytes_at(ctypes.addressof(HELD), 0) == b""


@pytest.mark.parametrize("beyond", [0, 3])
def test_a_size_beyond_a_c_int_is_not_cut(beyond: int) -> None:
    """There is no such memory, which is the point: a size that was cut to the last 32 bits would be had."""
    with pytest.raises(MemoryError):
        bytes_at(ctypes.addressof(HELD), 2**62 + beyond)


class Allocated(ctypes.Structure):
    """``struct mallinfo2`` of the GNU C library."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("a", "b", "c", "d", "mapped", "f", "g", "used", "i", "j")]


def held() -> int:
    """Bytes that C holds in this process; Python's own objects, which are small, are elsewhere."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("this C library does not tell what it holds")
    ask.restype = Allocated
    found = ask()
    return found.mapped + found.used


RULES = Rules.of(Settings())
NAMES = [f"{number:06}".ljust(256, "x") for number in range(20_000)]


@pytest.mark.native
def test_what_a_rush_of_shares_took_is_given_back() -> None:
    tally = Tally(window=RULES.window, delay=0, dedup=False, plan=TallyPlan(currency="USD"))
    tally.turn(0, 2**62)
    for first in range(0, len(NAMES), 1000):
        values = [payload("a", campaign_id=name) for name in NAMES[first : first + 1000]]
        tally.read(MessageBatch.of(log(*values)))
        tally.judge(0, NEVER, 2**62, refill=False)
    before = held()
    size = sum(len(share) for *_, share in tally.pack())
    assert size > 7_000_000
    assert held() - before < size // 4


@pytest.mark.native
def test_what_a_rush_of_results_took_is_given_back() -> None:
    cells = NativeCells(TableRules(RULES.window), 0.0)
    cells.merge(micros(0), pack({(name, "x"): Metrics(events=1) for name in NAMES}), micros(0), closed=False)
    before = held()
    cells.settle(micros(0), 0.0, behind=False)
    size = len((cells.take_results() or pytest.fail("nothing was given out")).text)
    assert size > 7_000_000
    assert held() - before < size // 4


@pytest.mark.native
def test_what_a_large_message_took_to_be_unescaped_is_given_back() -> None:
    tally = Tally(window=RULES.window, delay=0, dedup=False, plan=TallyPlan(currency="USD"))
    large = [payload("a", note="\n" + "x" * 60_000)] * 200
    tally.read(MessageBatch.of(log(*large)))
    during = held()
    tally.read(MessageBatch.of(log(payload("a"))))
    assert during - held() > 60_000 * 200
