"""The index of event ids of one source partition: which ids were seen within the horizon of event time."""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 3
"""Generations that are looked into: the current one and two before it, so that an id is known for 2 to 3 spans."""


class IdIndex:
    """Ids by generation, a generation being a fixed span of the partition's event-time clock.

    The content is a function of the log alone: an id stands in the generation of the clock at which it was last seen, and a generation
    is forgotten as a whole when the clock is `KEPT` spans further. So an index that is filled again from the start of the oldest
    generation kept is the index that was lost.
    """

    def __init__(self, horizon: int) -> None:
        """`horizon`: the least event time, in microseconds, for which an id must be remembered."""
        self.span = max(1, -(-horizon // (KEPT - 1)))
        self._generations: dict[int, set[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._generations.values()))

    def generation(self, clock: int) -> int:
        """The generation of a clock (microseconds since 1970)."""
        return clock // self.span

    def turn(self, generation: int) -> None:
        """Make `generation` the current one and forget those that are too old."""
        for old in [g for g in self._generations if g <= generation - KEPT]:
            del self._generations[old]
        self._generations.setdefault(generation, set())

    def add_all_new(self, ids: Sequence[str], generation: int) -> bool:
        """Remember `ids` and return True, if none of them is known and none stands there twice; else change nothing."""
        fresh = set(ids)
        if len(fresh) < len(ids):
            return False
        for known in self._generations.values():
            if not known.isdisjoint(fresh):
                return False
        self._generations[generation] |= fresh
        return True

    def add(self, event_id: str, generation: int) -> bool:
        """Remember `event_id` in `generation`; True if it was not known before."""
        new = not any(event_id in known for known in self._generations.values())
        self._generations[generation].add(event_id)
        return new
