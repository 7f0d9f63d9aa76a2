"""`/api/results`: what the dashboard holds, for scripts (docs/api.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qs

from tornado.iostream import StreamClosedError

from dataflows.errors import InputError
from dataflows.schema import rfc3339
from panel_app.formats import FORMATS
from panel_app.results import Question, Table, file_name, question, table
from panel_app.service import service
from panel_app.web import Guarded

PARAMETERS = ("from", "to", "campaign", "channel", "interval", "by", "format", "limit")
LIMIT = 5_000_000
_LAST = 253_402_300_799
_at_once = asyncio.Semaphore(2)
"""Answers that are worked out at the same time; more would keep those who look at the dashboard waiting."""


def asked_for(query: str) -> tuple[Question, str, int]:
    """Question, format and limit in the query part of a URL; raises `InputError`, which repeats nothing of it."""
    try:
        given = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=250, errors="strict")
    except ValueError:
        raise InputError("the query can't be read: give name=value, UTF-8 and percent-encoded, at most 250 of them.") from None
    if not set(given) <= set(PARAMETERS):
        raise InputError(f"there is a parameter that is not known here; known are {', '.join(PARAMETERS)}.")
    form = (given.get("format") or ["json"])[-1]
    if form not in FORMATS:
        raise InputError(f"`format` must be one of {', '.join(FORMATS)}.")
    return question(given), form, _limit(given.get("limit", []))


def _limit(texts: Sequence[str]) -> int:
    if not texts:
        return LIMIT
    text = texts[-1]
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 0 < int(text) <= LIMIT):
        raise InputError(f"`limit` must be a whole number from 1 to {LIMIT}.")
    return int(text)


class Results(Guarded):
    """Answers `GET /api/results`."""

    async def get(self) -> None:
        """The table that is asked for, in pieces; 400 and one line for a question that makes no sense."""
        try:
            asked, form, limit = asked_for(self.request.query)
        except InputError as error:
            self.fail(400, str(error))
            return
        async with _at_once:
            await self._answer(asked, form, limit)

    head = get

    async def _answer(self, asked: Question, form: str, limit: int) -> None:
        one = service()
        snapshot, status = one.store.snapshot(max_age=1.0), one.feed.status
        settings = one.settings
        loop = asyncio.get_running_loop()
        # polars lets go of the interpreter's lock: viewers are answered meanwhile.
        found: Table = await loop.run_in_executor(
            None, lambda: table(snapshot, asked, window=settings.window_seconds, currency=settings.currency)
        )
        frame = found.frame.head(limit)
        chosen = FORMATS[form]
        self.set_header("Content-Type", chosen.media)
        self.set_header("X-Adtally-Feed", status.state)
        self.set_header("X-Adtally-Rows", str(len(frame)))
        self.set_header("X-Adtally-Complete", str(len(frame) == len(found.frame)).lower())
        if form != "json":
            self.set_header("Content-Disposition", f'attachment; filename="{file_name(found, chosen.ending)}"')
        if self.request.method == "HEAD":
            return
        about = {
            "currency": found.currency,
            "interval": found.interval,
            "from": _told(found.start, known=asked.start is not None or not snapshot.empty),
            "to": _told(found.end, known=asked.end is not None or not snapshot.empty),
            "feed": status.state,
            "count": len(frame),
            "complete": len(frame) == len(found.frame),
        }
        pieces: Iterator[bytes] = chosen.write(frame, about)
        try:
            while (piece := await loop.run_in_executor(None, next, pieces, None)) is not None:
                if piece:
                    self.write(piece)
                    await self.flush()
        except StreamClosedError:
            return  # whoever asked has gone


def _told(seconds: int, *, known: bool) -> str | None:
    return rfc3339(min(seconds, _LAST)) if known else None
