"""`/api/results`: what the dashboard holds, for scripts (docs/api.md)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence

from tornado.iostream import StreamClosedError

from dataflows.contract.breakdowns import Breakdown, columns
from dataflows.contract.errors import InputError
from figures.files.formats import FORMATS, FileFormat, csv_format, texts
from figures.views import breakdown_filter, parameters
from figures.views import selection as selections
from figures.views.result_table import ResultTable, check_currency, file_name, table
from figures.views.selection import Selection, selection
from panel_app.server.web import Guarded

PARAMETERS = (*selections.PARAMETERS, "format", "bom", "separator", "decimal_comma", "limit")
LIMIT = 5_000_000
_HEADER, _DASHES, _LONGEST = "X-Adtally-", str.maketrans("._", "--"), 1000


def asked_for(query: str, breakdowns: Sequence[Breakdown] = ()) -> tuple[Selection, FileFormat, int]:
    """Return question, format and limit of a URL's query; raises `InputError`, whose text repeats no value of the query.

    `breakdowns` are those of the deployment.
    """
    query_values = parameters.parsed(query, strict=True)
    filters = breakdown_filter.parse(query_values, columns(breakdowns), PARAMETERS).read
    if why := parameters.unknown((name for name in query_values if name not in filters), PARAMETERS):
        raise InputError(f"{why} Known are {', '.join(PARAMETERS)}.")
    return (
        selection(query_values, breakdowns, PARAMETERS),
        _format(query_values),
        _limit(parameters.once(query_values, "limit", str(LIMIT))),
    )


def _format(query_values: Mapping[str, Sequence[str]]) -> FileFormat:
    """Return the format; the default is CSV if an option of CSV is given, otherwise JSON."""
    of_csv = not query_values.keys().isdisjoint(("bom", "separator", "decimal_comma"))
    name = parameters.once(query_values, "format", "csv" if of_csv else "json")
    if name not in FORMATS:
        raise InputError(f"`format` must be one of {', '.join(FORMATS)}.")
    if not of_csv:
        return FORMATS[name]
    if name != "csv":
        raise InputError("`bom`, `separator` and `decimal_comma` are for `format=csv`.")
    return csv_format(
        parameters.once(query_values, "separator", ","),
        bom=_switch(query_values, "bom"),
        decimal_comma=_switch(query_values, "decimal_comma"),
    )


def _switch(query_values: Mapping[str, Sequence[str]], name: str) -> bool:
    text = parameters.once(query_values, name, "0")
    if text not in ("0", "1"):
        raise InputError(f"`{name}` must be 1 or 0.")
    return text == "1"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 0 < int(text) <= LIMIT):
        raise InputError(f"`limit` must be a whole number from 1 to {LIMIT}.")
    return int(text)


class Results(Guarded):
    """Answers `GET /api/results`."""

    async def get(self) -> None:
        """Send the requested table in pieces; 400 and one line for an invalid query."""
        try:
            breakdowns = self.dashboard.service.settings.breakdown_list
            question, form, limit = asked_for(self.request.query, breakdowns)
            check_currency(question, self.dashboard.service.rates.table)
        except InputError as error:
            self.fail(400, str(error))
            return
        async with self.dashboard.exports:
            await self._answer(question, form, limit)

    head = get

    async def _answer(self, question: Selection, form: FileFormat, limit: int) -> None:
        service = self.dashboard.service
        name = question.breakdown.name if question.breakdown else ""
        store, feed = (service.breakdowns[name], service.breakdown_feeds[name]) if name else (service.store, service.feed)
        snapshot, status = store.snapshot(max_age=1.0), feed.status
        settings = service.settings
        loop = asyncio.get_running_loop()
        # polars releases the GIL, so the server answers viewers in the meantime.
        try:
            answer: ResultTable = await loop.run_in_executor(
                None,
                lambda: table(
                    snapshot,
                    question,
                    window=settings.window_seconds,
                    currency=settings.currency,
                    rates=service.rates.table,
                    catalogue=service.catalogue,
                ),
            )
        except InputError as error:  # a range that the data's own time makes impossible
            self.fail(400, str(error))
            return
        frame = answer.frame.head(limit)
        self.set_header("Content-Type", form.media)
        said = {**answer.about, "feed": status.state, "complete": len(frame) == len(answer.frame)}
        for name, text in texts({**said, "rows": len(frame)}).items():
            # A header has no room for what the name of a file or a field may contain.
            self.set_header(f"{_HEADER}{name.translate(_DASHES).title()}", re.sub(r"[^ -~]", "?", text)[:_LONGEST])
        if form is not FORMATS["json"]:
            self.set_header("Content-Disposition", f'attachment; filename="{file_name(answer, form.ending)}"')
        if self.request.method == "HEAD":
            return
        pieces: Iterator[bytes] = form.write(frame, {**said, "count": len(frame)})
        try:
            while (piece := await loop.run_in_executor(None, next, pieces, None)) is not None:
                if piece:
                    self.write(piece)
                    await self.flush()
        except StreamClosedError:
            return  # the client has closed the connection
