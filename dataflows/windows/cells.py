"""The cells of one shard: their sums, their due times, and the results that they emit.

`dataflows.windows.reference` is the specification, in Python; `dataflows.windows.native` does the same in C. Windows are named by their
starts; all times are event time in integer microseconds since 1970, except `now`, which is the machine's clock in seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.measures import ratios
from dataflows.contract.metrics import CellKey, Metrics
from dataflows.contract.schema import State, WindowResult, breakdown_codec, encode, rfc3339
from dataflows.intake.rules import SECOND, Rules
from dataflows.wire.cell_bytes import CellFormat
from dataflows.wire.records import Records

BEHIND = 5
"""Factor by which updates of open cells are rarer while a backlog is read."""

RARER = 5
"""Factor by which updates of the open cells of a breakdown are rarer than those of the results, of which there are far fewer."""


class TableRules(msgspec.Struct, frozen=True):
    """What the cells of one table depend on: the window's length in microseconds, the names of the declared types, the breakdown.

    `breakdown`: None for the results.
    """

    window: int
    declared: tuple[str, ...] = ()
    breakdown: Breakdown | None = None

    @classmethod
    def all_of(cls, rules: Rules) -> list[TableRules]:
        """Return those of each table."""
        return [cls(rules.window, rules.types, breakdown) for breakdown in (None, *rules.breakdowns)]

    def format(self) -> CellFormat:
        """Return the format in which cells of the table arrive."""
        return CellFormat(len(self.declared), len(self.breakdown.fields) if self.breakdown else 0)


class Cell(msgspec.Struct, gc=False, array_like=True):
    """One cell of a table in one window.

    `changed`: its figures were not emitted yet; `waits`: it is in a queue for that; `emitted_at`: seconds, on the machine's clock.
    """

    metrics: Metrics
    state: State = "provisional"
    changed: bool = True
    waits: bool = False
    emitted_at: float = 0.0


class CellStore(ABC):
    """The cells of one shard and table, by window. Results that are due gather until `take_results`."""

    @abstractmethod
    def sizes(self) -> Mapping[int, int]:
        """Return the number of cells of each window that is held; other threads may call it."""

    @abstractmethod
    def merge(self, window: int, cells: bytes, moment: int, *, closed: bool) -> None:
        """Add `cells` (`dataflows.wire.cell_bytes`) to `window`; to be settled.

        `moment`: the time that stands for its events; `closed`: whether the watermark has passed the window.
        """

    @abstractmethod
    def settle(self, watermark: int, now: float, *, behind: bool) -> None:
        """Emit results of what was merged, or queue them for their next update; `behind`: while a backlog is read."""

    @abstractmethod
    def tick(self, watermark: int, now: float) -> None:
        """Emit the results that have become due by waiting."""

    @abstractmethod
    def finish(self, window: int, now: float) -> None:
        """Emit the last result of each cell of a window that the watermark has passed."""

    @abstractmethod
    def flush(self, windows: Iterable[int], now: float) -> None:
        """Emit the results in `windows` that wait for their next update."""

    @abstractmethod
    def forget(self, window: int) -> None:
        """Evict a window."""

    @abstractmethod
    def next_due(self) -> float | None:
        """Return the time on the machine's clock at which `tick` has something to do."""

    @abstractmethod
    def take_results(self) -> Records | None:
        """Return the results that gathered since the last call, as records for their topic; None without any.

        `Records.waited` is about the event that has waited longest, which is the first that changed its cell since the cell's last result.
        Its own time is not known here: the clock of its partition stands for it, which is later by as much as the event came out of
        order, and never past the end of its window.
        """

    @abstractmethod
    def encoded(self, window: int) -> bytes:
        """Encode a window for a snapshot, as `decode_window` reads it; only a changed window is encoded again."""

    @abstractmethod
    def restore(self, window: int, data: bytes) -> None:
        """Take a window from a snapshot; what had not been emitted is due at once."""


# JSON, not MessagePack: the sums of valid events may exceed 64 bits. In two lists, to avoid a tuple for each cell.
encode_window = msgspec.json.Encoder().encode
decode_window = msgspec.json.Decoder(tuple[list[CellKey], list[Cell]]).decode


def to_record(window: int, rules: TableRules, key: CellKey, cell: Cell) -> tuple[bytes, bytes]:
    """Return the result of a cell (see `to_result`) as key and value of a Kafka record."""
    result = to_result(window, rules, key, cell)
    if rules.breakdown is None:
        return encode((result.window_start, *key)), encode(result)
    return encode((result.window_start, *key)), breakdown_codec(rules.breakdown).encode(result, key[2:-1])


def to_result(window: int, rules: TableRules, key: CellKey, cell: Cell) -> WindowResult:
    """Return the contract's result of a cell, without the values of a breakdown: `window` is its start (microseconds)."""
    *sums, events, counts = astuple(cell.metrics)
    # Fields by position: the sums and the ratios are those of the contract, in its order.
    fields: list[Any] = [
        rfc3339(window // SECOND),
        rfc3339((window + rules.window) // SECOND),
        *key[:2],
        *sums,
        {name: count for name, count in zip(rules.declared, counts, strict=True) if count},
        *ratios(cell.metrics).values(),
        key[-1],
        events,
        events,  # the revision
        cell.state,
    ]
    return WindowResult(*fields)
