"""The two intakes, each of which a test of decisions runs on; and messages as librdkafka holds them, without a Kafka."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Literal

import pytest

from dataflows import native
from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.intake.partition import Intake
from dataflows.kafka.record import Record
from dataflows.native.batch import FetchedBatch
from dataflows.native.structs import Fetched

KINDS = [pytest.param("off", id="python"), pytest.param("on", id="native", marks=pytest.mark.native)]
"""What ADTALLY_NATIVE gives, for a fixture or a test with both."""


def intake_kind(choice: Literal["on", "off"]) -> type[Intake]:
    """The intake that ADTALLY_NATIVE gives."""
    return Engine(Settings(native=choice)).intake_kind


def both() -> list[type[Intake]]:
    """The intakes that there are here."""
    return [intake_kind("off"), *([] if native.why_not() else [intake_kind("on")])]


def laid(records: Sequence[Record]) -> FetchedBatch:
    """The same messages each in memory of its own, as large as it is, like librdkafka's."""
    count = len(records)
    texts = [
        None if (value := record.value()) is None else (ctypes.c_char * len(value)).from_buffer_copy(value) for record in records
    ]
    fetched = Fetched(
        count,
        0,
        (ctypes.c_void_p * count)(*(None if text is None else ctypes.addressof(text) for text in texts)),
        (ctypes.c_int32 * count)(*(0 if text is None else len(text) for text in texts)),
        (ctypes.c_int64 * count)(*(record.offset() or 0 for record in records)),
        (ctypes.c_int64 * count)(*(record.timestamp()[1] for record in records)),
        (ctypes.c_int32 * count)(*(record.timestamp()[0] for record in records)),
    )
    fetched.least_time = min((record.timestamp()[1] for record in records), default=0)
    fetched.texts = texts  # which live as long as what points to them
    return FetchedBatch(fetched, 0, count)
