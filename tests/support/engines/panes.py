"""The panes of a shard, on each of the two kinds of cells, and what they give out in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from dataflows import native
from dataflows.contract.metrics import Cells, Metrics
from dataflows.contract.schema import WindowResult, decode_result, result_key
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.windows.cells import CellKey, Given
from dataflows.windows.panes import Panes, PanesState, Partial
from dataflows.wire.cell_bytes import unpack
from dataflows.wire.records import Records

NewPanes = Callable[..., "Played"]
"""Makes `Played` panes, from a state if it is given one."""


class Played:
    """`Panes`, whose results are read: `waited` is that of the last call, the first of it a place among them."""

    def __init__(self, settings: Settings, state: PanesState | None = None) -> None:
        self.panes = Panes(settings, Engine(settings).make_cells(), state)
        self.waited: tuple[int, int] | None = None
        self.wake_at, self.figures, self.state = self.panes.wake_at, self.panes.figures, self.panes.state

    def take(self, partials: Iterable[Partial], now: float) -> list[WindowResult]:
        """See `Panes.take`."""
        return self._read(self.panes.take(partials, now))

    def tick(self, now: float) -> list[WindowResult]:
        """See `Panes.tick`."""
        return self._read(self.panes.tick(now))

    def flush(self, now: float) -> list[WindowResult]:
        """See `Panes.flush`."""
        return self._read(self.panes.flush(now))

    def _read(self, given: Given | None) -> list[WindowResult]:
        self.waited = None if given is None else given.waited
        if self.waited is not None and isinstance(given, Records):
            self.waited = list(given.starts()).index(self.waited[0]), self.waited[1]
        return results(given)


def results(given: Given | None) -> list[WindowResult]:
    """What `given` holds; of records, their keys must fit."""
    if given is None:
        return []
    if not isinstance(given, Records):
        return given.results
    pairs = list(given.pairs())
    assert len(pairs) == given.count
    read = [decode_result(value) for _, value in pairs]
    assert [key for key, _ in pairs] == [result_key(one.window_start, one.campaign_id, one.channel) for one in read]
    return read


def cells_of(windows: dict[int, Cells], packed: Iterable[tuple[int, int, bytes]]) -> Iterator[tuple[int, CellKey, Metrics]]:
    """What an intake has fetched, in whichever form: window, campaign and channel, metrics."""
    for window, cells in windows.items():
        for key, metrics in cells.items():
            yield window, key, metrics
    for _, window, share in packed:
        for key, metrics in unpack(share):
            yield window, key, metrics


def kinds(settings: Settings) -> list[Settings]:
    """`settings` for each kind of cells that there is here."""
    return [replace(settings, native=choice) for choice in (["off"] if native.why_not() else ["off", "on"])]


def counts(number: int) -> Metrics:
    return Metrics(impressions=number, events=number)
