"""Replays of files in a test: the events, what was said of bad rows, and when each message is due."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from dataflows.contract.schema import Event, event_decoder
from generator.clock import SystemClock
from generator.formats.base import Context
from generator.formats.inputs import Input
from generator.formats.registry import FORMATS
from generator.replay import Pace, Replay

DATA = Path(__file__).parents[1] / "data"
BANDIT, RETAIL = DATA / "open-bandit.csv", DATA / "online-retail.csv"
DECODE = event_decoder().decode
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


class Result(msgspec.Struct):
    events: list[Event]
    payloads: list[bytes]
    bad: Counter[str]
    said: list[str]
    due: list[int]
    notes: list[str]

    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]


def fields_of(payload: bytes) -> dict[str, Any]:
    """Return all fields of an event, also those that the contract does not name."""
    return msgspec.json.decode(payload)


def replay(form: str, *paths: Path, pace: Pace | None = None, **context: Any) -> Result:
    source = Replay([Input(str(path)) for path in paths], FORMATS[form], Context(**context), pace or Pace(), SystemClock())
    source.read()
    batches = list(source.batches())
    messages = [message for batch in batches for message in batch.messages]
    payloads = [value.encode() if isinstance(value, str) else value for _, value in messages]
    events = [] if context.get("keep_bad") else [DECODE(payload) for payload in payloads]
    assert [key for key, _ in messages] == [event.event_id for event in events] or context.get("keep_bad")
    assert source.total == len(messages)
    due = [due for batch in batches for due in batch.due]
    return Result(events, payloads, source.complaints.reasons, source.complaints.lines(), due, source.notes())


def retail(tmp_path: Path, *rows: str, name: str = "invoices.csv", **context: Any) -> Result:
    path = tmp_path / name
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return replay("online-retail", path, **context)


def line(
    invoice: str = "536365", quantity: str = "6", date: str = "2010-12-01 08:26:00", price: str = "2.55", country: str = "France"
) -> str:
    return f"{invoice},85123A,LANTERN,{quantity},{date},{price},17850.0,{country}"
