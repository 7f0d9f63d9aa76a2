"""Which cells of a breakdown a partition admits: the first ones of each window in its log's order."""

from __future__ import annotations

from typing import Any

from tests.system.oracle.sums import Value, written
from tests.system.oracle.terms import MAIN, Terms

Cell = tuple[str, str, tuple[Value, ...], str]
"""Campaign, channel, values, currency."""


class Admission:
    """The admitted cells of one partition, by window and breakdown, until no event of the window can be accepted any more."""

    def __init__(self, terms: Terms) -> None:
        self._bound = terms.breakdown_cells
        self._breakdowns = {name: fields for name, fields in terms.tables().items() if name != MAIN}
        self._admitted: dict[int, dict[str, dict[Cell, str]]] = {}

    def meet(self, start: int, event: dict[str, Any]) -> list[str]:
        """The values (`written`) under which the next counted event of the window `start` counts in each breakdown."""
        if not self._breakdowns:
            return []
        window = self._admitted.setdefault(start, {name: {} for name in self._breakdowns})
        found: list[str] = []
        for name, fields in self._breakdowns.items():
            admitted = window[name]
            cell: Cell = event["campaign_id"], event["channel"], tuple(event.get(field) for field in fields), event["currency"]
            text = admitted.get(cell)
            if text is None:
                if len(admitted) < self._bound:
                    text = admitted[cell] = written(cell[2])
                else:
                    text = written([True] * len(fields))
            found.append(text)
        return found

    def forget(self, before: int) -> None:
        """Forget the windows that start before `before`: whatever comes of them is late."""
        for start in [start for start in self._admitted if start < before]:
            del self._admitted[start]
