"""A view: the part of the data that a page shows. Every field is a parameter of the URL, which `parameters` reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from dataflows.contract.breakdowns import Breakdown, columns
from dataflows.contract.errors import InputError
from figures.calendar import ranges
from figures.calendar.calendar import WEEKS
from figures.calendar.zones import UTC
from figures.catalogue import BUILT_IN, Catalogue
from figures.views.breakdown_filter import FieldFilter, breakdown_for
from figures.views.parameters import Parameters

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
PAGE_ROWS, ALL_ROWS = 10, 500
_SEARCH = 200
_LONGEST = 3_660
"""Number of days of the longest range of a page."""


F = TypeVar("F", bound="Filtered")


class Filtered(msgspec.Struct, frozen=True):
    """A filter on campaigns and channels by name, and on the values of a breakdown's fields; empty for all."""

    campaigns: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    filters: tuple[FieldFilter, ...] = ()

    @property
    def filtered(self) -> bool:
        """Whether there is any filter."""
        return bool(self.campaigns or self.channels or self.filters)


class View(Filtered, frozen=True):
    """What is asked for; hashable, so that the answer can be kept for the next viewer who asks the same."""

    range: str = ""
    """A key of `RANGES`, or a range of `ranges.resolve`.

    Empty for the longest of `FITTING` that can be compared with the period before it.
    """
    compare: str = ""
    """One of `ranges.COMPARISONS`. Empty for the same elapsed part of the period before, where the range is running, else all of it."""
    zone: str = UTC
    week: str = WEEKS[0]
    currency: str = ""
    """Code of the currency that money is converted to, or `parameters.NATIVE`; empty for the reporting currency."""
    metric: str = "spend"
    chart: str = "stacked"
    sort: str = ""
    """A column of the campaigns table; empty for the chosen measure."""
    descending: bool = True
    search: str = ""
    all_rows: bool = False
    breakdown: str = ""
    """The breakdown that is shown, and that the figures are computed from under filters on its values; empty if none is declared."""
    split: str = ""
    """The field of the breakdown whose values its table lists; empty for those of all its fields together."""
    values_sort: str = ""
    """A column of that table; empty for the chosen measure."""
    values_descending: bool = True
    values_search: str = ""
    all_values: bool = False

    @property
    def on_calendar(self) -> bool:
        """Whether the range consists of whole days of the zone."""
        return bool(self.range) and self.range not in RANGES

    @property
    def sorted_by(self) -> str:
        """The column that the campaigns table is sorted by."""
        return self.sort or self.metric


NOTHING = ("",)
"""A filter that matches nothing: no event can have an empty name."""


class Scope(Filtered, frozen=True):
    """The filter that an embed was opened with, and that limits everything it can show."""

    def within(self, asked: F) -> F:
        """Return `asked` with its filters narrowed to this scope."""
        if not self.filtered:
            return asked
        campaigns, channels = _narrowed(asked.campaigns, self.campaigns), _narrowed(asked.channels, self.channels)
        filters = tuple(dict.fromkeys((*self.filters, *asked.filters)))
        return msgspec.structs.replace(asked, campaigns=campaigns, channels=channels, filters=filters)


EVERYTHING = Scope()
"""The scope of a page that is not embedded, or embedded without a filter."""


def _narrowed(names: tuple[str, ...], confines: tuple[str, ...]) -> tuple[str, ...]:
    if not (names and confines):
        return names or confines
    inside = frozenset(confines)
    return tuple(name for name in names if name in inside) or NOTHING


class Asked(msgspec.Struct, frozen=True):
    """The view of a URL, and a line for each parameter that is not applied."""

    view: View
    notes: tuple[str, ...]


def checked_range(name: str) -> str:
    """Return `name` if it is the name of a range of a page; raises `InputError` if it is not."""
    if name in RANGES or name in ranges.RANGES:
        return name
    if not ranges.is_custom(name):
        raise InputError(f"`range` takes {', '.join((*RANGES, *ranges.RANGES))}, or two dates such as 2026-11-01..2026-11-15.")
    first, last = ranges.custom(name)
    if (last - first).days >= _LONGEST:
        raise InputError(f"`range` covers at most {_LONGEST:,} days.")
    return name


def asked(query: str, catalogue: Catalogue = BUILT_IN, breakdowns: Sequence[Breakdown] = (), scope: Scope = EVERYTHING) -> Asked:
    """Return the view of a URL's query (`range=1h&campaign=a&campaign=b&…`) within `scope`; invalid parameters keep their defaults.

    `catalogue` has the measures that the page can be about and that its tables can be sorted by; `breakdowns` are those of the
    deployment. Filters that no breakdown has together are not applied, and a note says so.
    """
    url_parameters = Parameters(query)
    view = View(
        range=url_parameters.checked("range", checked_range, ""),
        compare=url_parameters.one("compare", ranges.COMPARISONS),
        zone=url_parameters.zone(),
        week=url_parameters.week(),
        currency=url_parameters.currency(),
        campaigns=url_parameters.names("campaign"),
        channels=url_parameters.names("channel"),
        metric=url_parameters.one("metric", catalogue.measures, "spend"),
        chart=url_parameters.one("chart", CHARTS, "stacked"),
        sort=url_parameters.one("sort", (*catalogue.measures, "name")),
        descending=url_parameters.one("order", ("asc", "desc"), "desc") == "desc",
        search=url_parameters.text("q", _SEARCH),
        all_rows=url_parameters.one("rows", ("10", "all"), "10") == "all",
        **_breakdown_parameters(url_parameters, catalogue, breakdowns),
    )
    view, problem = _with_breakdown(scope.within(view), breakdowns, scope)
    return Asked(view, (*url_parameters.ended(), *([problem] if problem else [])))


def _breakdown_parameters(url_parameters: Parameters, catalogue: Catalogue, breakdowns: Sequence[Breakdown]) -> dict[str, Any]:
    if not breakdowns:
        return {}
    fields = columns(breakdowns)
    return {
        "breakdown": url_parameters.one("breakdown", [breakdown.name for breakdown in breakdowns]),
        "split": url_parameters.one("split", fields),
        "values_sort": url_parameters.one("bsort", (*catalogue.measures, "name")),
        "values_descending": url_parameters.one("border", ("asc", "desc"), "desc") == "desc",
        "values_search": url_parameters.text("bq", _SEARCH),
        "all_values": url_parameters.one("brows", ("10", "all"), "10") == "all",
        "filters": url_parameters.filters(fields),
    }


def _with_breakdown(view: View, breakdowns: Sequence[Breakdown], scope: Scope) -> tuple[View, str]:
    """Return `view` with the breakdown that is shown (the first one if the view says nothing), and why its filters are not applied."""
    if not breakdowns:
        return view, ""
    problem = ""
    try:
        chosen = breakdown_for(breakdowns, view.breakdown, view.filters) or breakdowns[0]
    except InputError as error:
        # The filters of an embed's scope stay: without them it would show more than it may.
        problem = f"The filters are not applied: {error}"
        view = msgspec.structs.replace(view, filters=scope.filters)
        chosen = breakdown_for(breakdowns, "", scope.filters) or breakdowns[0]
    split = view.split if view.split in chosen.fields else ""
    return msgspec.structs.replace(view, breakdown=chosen.name, split=split), problem


def from_query(
    query: str, catalogue: Catalogue = BUILT_IN, breakdowns: Sequence[Breakdown] = (), scope: Scope = EVERYTHING
) -> View:
    """Return the view of a URL's query within `scope`."""
    return asked(query, catalogue, breakdowns, scope).view


def is_embed(query: str) -> bool:
    """Return whether a page with the URL's `query` is shown in another page: with ``embed=1``, as the last value."""
    return parse_qs(query).get("embed", [""])[-1] == "1"


def scope_of(query: str, breakdowns: Sequence[Breakdown] = ()) -> Scope:
    """Return the scope of a page with the URL's `query`: for an embed, the filter that it was opened with."""
    if not is_embed(query):
        return EVERYTHING
    view = from_query(query, breakdowns=breakdowns)
    return Scope(campaigns=view.campaigns, channels=view.channels, filters=view.filters)
