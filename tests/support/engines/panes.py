"""The panes of a shard, on each of the two kinds of cells, and what they give out in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from dataflows import native
from dataflows.contract.metrics import CellKey, Metrics
from dataflows.contract.schema import WindowResult, decode_result, result_key
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.windows.panes import Panes, PanesState
from dataflows.windows.shards import Partial
from dataflows.wire.cell_bytes import Share
from dataflows.wire.records import Records
from tests.support.engines.wire import unpack

NewPanes = Callable[..., "Played"]
"""Makes `Played` panes, from a state if it is given one."""


class Played:
    """`Panes`, whose results are read: `waited` is that of the last call, the first of it a place among them."""

    def __init__(self, settings: Settings, state: PanesState | None = None) -> None:
        self.panes = Panes(settings, Engine(settings).make_tables(), state)
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

    def _read(self, tables: list[Records]) -> list[WindowResult]:
        assert len(tables) <= 1
        records = tables[0] if tables else None
        self.waited = None if records is None else records.waited
        if records is not None and self.waited is not None:
            self.waited = list(records.starts()).index(self.waited[0]), self.waited[1]
        return results(records)


def results(records: Records | None) -> list[WindowResult]:
    """Return the results in `records`, whose keys must fit."""
    if records is None:
        return []
    pairs = list(records.pairs())
    assert len(pairs) == records.count
    read = [decode_result(value) for _, value in pairs]
    assert [key for key, _ in pairs] == [result_key(one.window_start, one.campaign_id, one.channel, one.currency) for one in read]
    return read


def cells_of(shares: Iterable[Share]) -> Iterator[tuple[int, CellKey, Metrics]]:
    """Yield start of the window, campaign and channel, and metrics of each cell; a cell may come several times."""
    for share in shares:
        for key, metrics in unpack(share.cells):
            yield share.window, key, metrics


def sums_of(shares: Iterable[Share]) -> dict[tuple[int, str, str], Metrics]:
    """Return the metrics of each cell by start of the window, campaign and channel."""
    sums: dict[tuple[int, str, str], Metrics] = {}
    for window, (campaign, channel), metrics in cells_of(shares):
        sums.setdefault((window, str(campaign), str(channel)), Metrics()).merge(metrics)
    return sums


def kinds(settings: Settings) -> list[Settings]:
    """`settings` for each kind of cells that there is here."""
    return [replace(settings, native=choice) for choice in (["off"] if native.why_not() else ["off", "on"])]


def counts(number: int) -> Metrics:
    return Metrics(impressions=number, events=number)
