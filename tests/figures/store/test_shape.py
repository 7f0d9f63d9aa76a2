"""The shape of a store: dimensions of a breakdown, declared counts and currencies are kept apart, and added up exactly."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dataflows.contract.breakdowns import Value
from figures.store.rows import Values
from figures.store.shape import shape_of
from figures.store.store import Store
from tests.support.results import BEGIN, SteppedClock, result

FIELDS = ("country", "device")
ROWS: list[Values] = [("DE", "tv"), ("DE", None), (None, None), (True, True), ("(other)", "(not set)"), ("1", "true")]


def breakdown(hours: float = 24.0, days: float = 0.0, **more: Any) -> Store:
    return Store(hours, days, shape=shape_of(fields=FIELDS), **more)


def filled(store: Store, minutes: int = 3) -> Store:
    for minute in range(minutes):
        store.apply([result(minute, clicks=2**at) for at in range(len(ROWS))], values=ROWS)
    return store


def clicks(store: Store, by: tuple[str, ...], grain: int = 86_400) -> dict[tuple[Value, ...], int]:
    """Clicks by the values of `by`."""
    snapshot = store.snapshot()
    rows = snapshot.between(0, 2**40, grain, by=by)
    values = [
        snapshot.names[name].values(rows[name]) if name in snapshot.shape.values else snapshot.names[name].column(rows[name])
        for name in by
    ]
    found: dict[tuple[Value, ...], int] = {}
    for *key, count in zip(*values, rows["clicks"].to_list(), strict=True):
        found[tuple(key)] = found.get(tuple(key), 0) + count
    return found


@pytest.mark.parametrize(("hours", "days", "packed_from"), [(24.0, 0.0, 1), (0.0, 30.0, 1), (0.0, 30.0, 10_000)])
@pytest.mark.parametrize("grain", [60, 300, 900, 3600, 86_400])
def test_null_true_and_every_text_are_values_of_their_own(hours: float, days: float, packed_from: int, grain: int) -> None:
    store = filled(breakdown(hours, days, packed_from=packed_from))
    assert clicks(store, FIELDS, grain) == {key: 3 * 2**at for at, key in enumerate(ROWS)}
    assert clicks(store, ("device",), grain)[None,] == 3 * (2 + 4)
    assert clicks(store, ("campaign",), grain) == {("sale",): 3 * 63}


def test_a_tombstone_deletes_the_row_with_its_values_only() -> None:
    store = filled(breakdown(), minutes=1)
    assert store.delete([(BEGIN, "sale", "search", None, None, "USD"), (BEGIN, "sale", "search", "FR", None, "USD")]) == 1
    assert (None, None) not in clicks(store, FIELDS)
    assert len(clicks(store, FIELDS)) == len(ROWS) - 1
    assert store.delete([(BEGIN, "sale", "search", True, True, "EUR")]) == 0


def test_the_highest_revision_of_each_combination_wins_and_clearing_can_be_undone() -> None:
    store = filled(breakdown(clock=SteppedClock()), minutes=1)
    store.apply([result(clicks=100, revision=13)], values=[(True, True)])
    store.apply([result(clicks=1000, revision=1)], values=[(None, None)])
    assert clicks(store, FIELDS)[True, True] == 100
    assert clicks(store, FIELDS)[None, None] == 4
    assert store.clear() == len(ROWS)
    assert store.undo() == len(ROWS)
    assert clicks(store, FIELDS)[True, True] == 100


def test_unused_names_are_forgotten_while_null_and_true_stay_what_they_are() -> None:
    store = Store(1, shape=shape_of(fields=("device",)))
    store.apply([result() for _ in range(5000)], values=[(f"device {at}",) for at in range(5000)])
    store.apply([result(200), result(200, clicks=2), result(200, clicks=4)], values=[(None,), (True,), ("tv",)])
    assert clicks(store, ("device",)) == {(None,): 1, (True,): 2, ("tv",): 4}
    assert len(store.snapshot().names["device"].names) == 3


def test_currencies_are_never_added_up() -> None:
    store = Store()
    store.apply([result(spend_micros=1), result(spend_micros=2, currency="EUR"), result(spend_micros=4, currency="JPY")])
    snapshot = store.snapshot()
    for grain in (60, 86_400):
        rows = snapshot.between(0, 2**40, grain, by=("currency",))
        named = rows.with_columns(pl.Series("currency", snapshot.names["currency"].column(rows["currency"])))
        assert dict(named.select("currency", "spend_micros").rows()) == {"USD": 1, "EUR": 2, "JPY": 4}
    assert store.delete([(BEGIN, "sale", "search", "EUR")]) == 1


@pytest.mark.parametrize("size", [1, 2**70])
def test_declared_counts_are_sums_like_the_others(size: int) -> None:
    store = Store(shape=shape_of(["lead", "add.to.cart"]))
    for minute, counts in enumerate([{"lead": size}, {}, {"add.to.cart": 3, "lead": 2}]):
        store.apply([result(minute, counts=counts)])
    rows = store.snapshot().between(0, 2**40, 86_400, by=())
    assert int(rows["counts.lead"].sum()) == size + 2
    assert int(rows["counts.add.to.cart"].sum()) == 3


@pytest.mark.parametrize("field", ["t", "campaign", "counts.lead", "été", "a.b", "__proto__"])
def test_a_field_may_have_the_name_of_a_column(field: str) -> None:
    store = Store(shape=shape_of(["lead"], (field,)))
    (column,) = store.shape.values
    store.apply([result(campaign="c", clicks=5)], values=[("v",)])
    assert clicks(store, (column, "campaign")) == {("v", "c"): 5}
