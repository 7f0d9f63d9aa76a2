"""Formats by the name that ``--format`` takes."""

from __future__ import annotations

from generator.formats.bandit import OpenBandit
from generator.formats.base import EventFormat
from generator.formats.own import JsonLinesFormat
from generator.formats.report import AdReport
from generator.formats.retail import OnlineRetail
from generator.formats.snowplow import Snowplow

FORMATS: dict[str, EventFormat] = {
    "open-bandit": OpenBandit(),
    "online-retail": OnlineRetail(),
    "ad-report": AdReport(),
    "snowplow": Snowplow(),
    "jsonl": JsonLinesFormat(),
}
