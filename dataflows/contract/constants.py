"""Constants that the Python and the C engine share; `dataflows.contract.generate` writes them into ``csrc/contract.h``."""

from __future__ import annotations

MICROS = 1_000_000
"""Micros in one unit of currency."""

SHARDS = 8
"""Number of shards that the cells are divided into, whatever the number of workers (Flink calls them key groups). It is fixed, for the
state of a recovery folder is kept by shard, and at most this many workers share the work."""

QUEUES_A_SECOND = 40
"""Number of queues per second in which cells wait for their next update; it does not depend on the number of cells."""
