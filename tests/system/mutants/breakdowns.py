"""What is put wrong in breakdowns, event types and currencies."""

# To put something wrong inside a part is what a mutant is:
# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

import dataflows.flow.sink
import dataflows.intake.admission
import dataflows.intake.reference
import dataflows.intake.tables
from dataflows.contract.event_types import DeclaredType
from dataflows.contract.metrics import CellKey, Contribution, contributions
from dataflows.contract.schema import Event, to_micros
from dataflows.intake.admission import Admissions
from dataflows.intake.reference import PythonIntake
from dataflows.intake.rules import Rules
from dataflows.intake.tables import Tables
from tests.system.mutants.registry import Catalogue, patch

MUTANTS = Catalogue()
"""By name."""

mutant = MUTANTS.mutant


def _admissions(make: Callable[[int, int], Admissions]) -> None:
    """Have each intake admit cells by what `make` gives for its bound and its horizon."""
    patch(dataflows.intake.reference, "Admissions", make)


@mutant
def admission_by_arrival_over_all_partitions() -> None:
    shared: list[Admissions] = []

    def one_for_all(bound: int, horizon: int) -> Admissions:
        shared[:] = shared or [Admissions(bound, horizon)]
        return shared[0]

    _admissions(one_for_all)


@mutant
def one_cell_more_is_admitted() -> None:
    _admissions(lambda bound, horizon: Admissions(bound + 1, horizon))


@mutant
def one_bound_for_all_windows() -> None:
    admit = Admissions.admit
    patch(Admissions, "admit", lambda self, _window, *rest, **refill: admit(self, 2**62, *rest, **refill))


@mutant
def admission_ignores_the_currency() -> None:
    admit = Admissions.admit

    def blind(self: Admissions, window: int, table: int, key: CellKey, clock: int, *, refill: bool = False) -> CellKey:
        return (*admit(self, window, table, (*key[:-1], "any"), clock, refill=refill)[:-1], key[-1])

    patch(Admissions, "admit", blind)


@mutant
def a_cell_of_nulls_takes_no_place() -> None:
    admit = Admissions.admit

    def free(self: Admissions, window: int, table: int, key: CellKey, clock: int, *, refill: bool = False) -> CellKey:
        has_value = any(value is not None for value in key[2:-1])
        return admit(self, window, table, key, clock, refill=refill) if has_value else key

    patch(Admissions, "admit", free)


@mutant
def a_repeat_takes_a_place() -> None:
    count = PythonIntake._count

    def greedy(self: PythonIntake, event: Event) -> None:
        moment = to_micros(event.timestamp)
        for table, key in enumerate(self._tables.keys(event)[1:], start=1):
            self._admissions.admit(self.rules.start(moment), table, key, self.clock or moment)
        count(self, event)

    patch(PythonIntake, "_count", greedy)


@mutant
def admitted_cells_are_empty_after_a_restart() -> None:
    count = PythonIntake._count

    def forgetful(self: PythonIntake, event: Event) -> None:
        if self._is_refilling:
            self._ids.add(event.event_id)
        else:
            count(self, event)

    patch(PythonIntake, "_count", forgetful)


@mutant
def a_row_that_is_not_admitted_keeps_its_first_value() -> None:
    patch(dataflows.intake.admission, "other", lambda key: (*key[:3], *(True for _ in key[4:]), key[-1]))


@mutant
def currency_is_not_in_the_key() -> None:
    keys = Tables.keys
    patch(Tables, "keys", lambda self, event: keys(self, replace(event, currency=None)))


@mutant
def an_undeclared_type_is_accepted() -> None:
    right = Rules.of.__func__  # pyright: ignore[reportFunctionMemberAccess] # of the class method

    def of(cls: type[Rules], settings: Any) -> Rules:
        rules = right(cls, settings)
        return replace(rules, declared=(*rules.declared, DeclaredType("add_to_card")))

    patch(Rules, "of", classmethod(of))


@mutant
def a_role_adds_nothing() -> None:
    right = contributions

    def without(declared: Iterable[DeclaredType]) -> dict[str, Contribution]:
        return right(replace(one, role=None) for one in declared)

    patch(dataflows.intake.tables, "contributions", without)


@mutant
def records_have_the_header_of_another_version() -> None:
    patch(dataflows.flow.sink, "HEADERS", [("adtally-contract", b"1")])
