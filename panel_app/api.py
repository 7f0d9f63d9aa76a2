"""`/api/results`: what the dashboard holds, for scripts (docs/api.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tornado.iostream import StreamClosedError

from dataflows.errors import InputError
from panel_app import parameters
from panel_app.formats import FORMATS
from panel_app.results import Question, Table, file_name, question, table
from panel_app.service import service
from panel_app.web import Guarded

PARAMETERS = ("from", "to", "campaign", "channel", "interval", "by", "format", "limit")
LIMIT = 5_000_000
_at_once = asyncio.Semaphore(2)
"""Answers that are worked out at the same time; more would keep those who look at the dashboard waiting."""


def asked_for(query: str) -> tuple[Question, str, int]:
    """Question, format and limit in the query part of a URL; raises `InputError`, which repeats no value of it."""
    given = parameters.parsed(query, strict=True)
    if why := parameters.unknown(given, PARAMETERS):
        raise InputError(f"{why} Known are {', '.join(PARAMETERS)}.")
    form = parameters.once(given, "format", "json")
    if form not in FORMATS:
        raise InputError(f"`format` must be one of {', '.join(FORMATS)}.")
    return question(given), form, _limit(parameters.once(given, "limit", str(LIMIT)))


def _limit(text: str) -> int:
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
            **dict(zip(("from", "to"), found.span, strict=True)),
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
