"""Constants that the Python and the C engine share; `dataflows.contract.generate` writes them into ``csrc/contract.h``."""

from __future__ import annotations

MICROS = 1_000_000
"""Micros in one unit of currency."""

SHARDS = 8
"""Parts of the key space (campaign, channel), each with its own windows; it fixes where a cell is kept over a restart."""

QUEUES_A_SECOND = 40
"""Cells wait for their next update in this many queues a second: few, however many cells wait."""
