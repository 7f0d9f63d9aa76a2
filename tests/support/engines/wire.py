"""Cells of the results as the wire has them, in tests that name a cell by its campaign and channel alone."""

from __future__ import annotations

from collections.abc import Iterator

from dataflows.contract.metrics import CellKey, Cells, Metrics
from dataflows.wire.cell_bytes import CellFormat, Share

FORMAT = CellFormat()


def in_dollars(cells: Cells) -> Cells:
    """Return `cells` with the currency of the deployment in each key."""
    return {(*key, "USD"): metrics for key, metrics in cells.items()}


def pack(cells: Cells) -> bytes:
    """Return `cells`, whose keys are campaign and channel, as bytes."""
    return FORMAT.pack(in_dollars(cells))


def unpack(data: bytes) -> Iterator[tuple[CellKey, Metrics]]:
    """Yield campaign and channel, and the sums, of the cells in `data`; each must be in the currency of the deployment."""
    for key, metrics in FORMAT.unpack(data):
        assert key[2:] == ("USD",)
        yield key[:2], metrics


def shares_of(window: int, cells: Cells) -> Iterator[Share]:
    """Yield the shares of `cells`, whose keys are campaign and channel."""
    return FORMAT.shares_of(window, 0, in_dollars(cells))
