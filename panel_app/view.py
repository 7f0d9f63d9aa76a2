"""A view: which part of the data one page shows. Every field of it stands in the URL, and only here is the URL read."""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from panel_app.measures import TILES

RANGES: dict[str, tuple[int, int]] = {
    "15m": (900, 60),
    "30m": (1800, 60),
    "1h": (3600, 60),
    "3h": (10_800, 300),
    "6h": (21_600, 300),
    "24h": (86_400, 900),
    "7d": (604_800, 3600),
    "30d": (2_592_000, 21_600),
}
"""Seconds that a range covers, and seconds of one point in its chart."""

FITTING = ("1h", "30m", "15m")

CHARTS = ("stacked", "share", "lines")
SORTS = ("spend", "clicks", "conversions", "cpc", "cpa", "ctr", "roas", "name")
PAGE_ROWS, ALL_ROWS = 10, 500
_PICKED = 100
_FIELDS = 500


class View(msgspec.Struct, frozen=True):
    """What is asked for; hashable, so that the answer can be kept for the next viewer who asks the same."""

    range: str = ""
    """Empty for the longest of `FITTING` that can be compared with the period before it."""
    campaigns: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    metric: str = "spend"
    chart: str = "stacked"
    sort: str = ""
    """A column of the campaigns table; empty for the chosen measure."""
    descending: bool = True
    search: str = ""
    all_rows: bool = False

    @property
    def filtered(self) -> bool:
        """Whether only some campaigns or channels are wanted."""
        return bool(self.campaigns or self.channels)

    @property
    def sorted_by(self) -> str:
        """The column that the campaigns table is sorted by."""
        return self.sort or self.metric


def fields(query: str) -> dict[str, list[str]]:
    """What the query part of a URL gives, by name; nothing where it gives so much that nobody can mean it."""
    try:
        return parse_qs(query.removeprefix("?"), max_num_fields=_FIELDS, errors="replace")
    except ValueError:
        return {}


def from_query(query: str) -> View:
    """The view that the query part of a URL asks for (`range=1h&campaign=a&campaign=b&…`); what makes no sense is left at its default."""
    given = fields(query)

    def one(name: str, allowed: object, default: str) -> str:
        value = given.get(name, [default])[-1]
        return value if value in allowed else default  # pyright: ignore[reportOperatorIssue]  # a tuple or a dict of text

    return View(
        range=one("range", RANGES, ""),
        campaigns=tuple(dict.fromkeys(given.get("campaign", [])))[:_PICKED],
        channels=tuple(dict.fromkeys(given.get("channel", [])))[:_PICKED],
        metric=one("metric", TILES, "spend"),
        chart=one("chart", CHARTS, "stacked"),
        sort=one("sort", SORTS, ""),
        descending=one("order", ("asc", "desc"), "desc") == "desc",
        search=given.get("q", [""])[-1][:200],
        all_rows=one("rows", ("10", "all"), "10") == "all",
    )
