"""What the Data page says of each breakdown: rows, memory, and how much of the newest hour is in "(other)"."""

from __future__ import annotations

from dataflows.contract.breakdowns import Breakdown, Value
from figures.store.shape import shape_of
from figures.store.store import Store
from figures.views.held_breakdowns import held
from tests.support.results import result

FIELDS = ("country", "device")
BREAKDOWN = Breakdown("both", FIELDS)


def filled(rows: list[tuple[int, tuple[Value, ...], int]]) -> Store:
    """Return a store with a row for each of `rows`: its minute, its values, and the number of its events."""
    store = Store(shape=shape_of((), FIELDS))
    for minute, values, events in rows:
        store.apply([result(minute=minute, events=events, revision=events)], values=[values])
    return store


def test_windows_and_events_of_other_are_those_of_the_newest_hour() -> None:
    store = filled(
        [
            (0, (True, True), 100),  # more than an hour before the newest window
            (60, ("(other)", "tv"), 30),
            (60, (True, True), 10),
            (61, (None, None), 50),
            (100, (True, True), 10),
        ]
    )
    (one,) = held([(BREAKDOWN, store.snapshot(), "live")], 60)
    assert (one.rows, one.windows, one.other_windows, one.other_share) == (5, 3, 2, 0.2)
    assert (one.name, one.fields, one.state) == ("both", FIELDS, "live")
    assert one.held_bytes > 0


def test_a_breakdown_without_rows_has_no_share() -> None:
    (one,) = held([(BREAKDOWN, Store(shape=shape_of((), FIELDS)).snapshot(), "waiting")], 60)
    assert (one.rows, one.oldest, one.windows, one.other_windows, one.other_share) == (0, 0, 0, 0, None)
