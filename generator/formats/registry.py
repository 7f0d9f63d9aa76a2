"""Formats by the name that ``--format`` takes."""

from __future__ import annotations

from generator.formats.bandit import OpenBandit
from generator.formats.base import Format
from generator.formats.own import JsonLines
from generator.formats.retail import OnlineRetail

FORMATS: dict[str, Format] = {"open-bandit": OpenBandit(), "online-retail": OnlineRetail(), "jsonl": JsonLines()}
