"""A filter is applied whole, or the page says that it is not: every way in which a URL can name campaigns and channels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from dataflows.contract.errors import InputError
from figures.service import Service
from figures.views.exploring import asked as explored
from figures.views.exploring import find
from figures.views.parameters import LONGEST, parsed
from figures.views.result_table import table
from figures.views.selection import Selection
from figures.views.view import NOTHING, Scope, View, asked
from panel_app.api.downloads import sheet
from panel_app.api.results import asked_for
from panel_app.api.stock import shown
from panel_app.pages.overview import handlers
from panel_app.server.access import Access
from panel_app.server.dashboard import Dashboard
from tests.support.results import BEGIN, result
from tests.support.settings import own_names

NAMES = [
    "a",
    "b",
    "a,b",
    "a+b",
    "a b",
    "100%",
    "%41",
    "Été",
    "é",
    "\ufffd",
    "\x00",
    "x" * 256,
    "a&b=c",
    "__proto__",
    "None",
    "1 ",
]
"""Names of campaigns that are held; each has one click more than the one before."""

ALL = sum(range(1, len(NAMES) + 1))


@pytest.fixture(scope="module")
def service(embedded_broker: str) -> Iterator[Service]:
    made = Service(own_names(embedded_broker), clock=lambda: BEGIN + 60.0)
    rows = [result(campaign=name, channel=f"h{at % 2}", clicks=at + 1) for at, name in enumerate(NAMES)]
    made.store.apply(rows)
    yield made
    made.stop()


def clicks(service: Service, query: str) -> dict[str, Any]:
    """The clicks under `query` by every way in: first figures, download, Explore, API; they must agree."""
    page = json.loads(service.answer(query))["page"]
    tile = next(one["value"] for one in page["tiles"] if one["id"] == "clicks")
    listed = sum(row["figures"][page["campaigns"]["columns"].index("clicks")] for row in page["campaigns"]["rows"])
    filters = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] in ("campaign", "channel"))
    ask, _notes = explored(f"{filters}&measure=clicks&by=none&kind=bar&range=all")
    found = {
        "tile": tile or 0,
        "table": listed,
        "download": sum(sheet(service, "campaigns", query)[1].frame["clicks"]),
        "explore": sum(find(service.snapshot(), ask, 60).frame["clicks"]),
    }
    try:
        question, _form, _limit = asked_for(filters)
    except InputError:  # refused by name, where a page shows nothing
        question = Selection(campaigns=frozenset(ask.campaigns), channels=frozenset(ask.channels))
    api = table(service.snapshot(), question, window=60, currency="USD").frame
    return {**found, "api": sum(api["clicks"])}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ALL),
        *((f"campaign={quote(name)}", at + 1) for at, name in enumerate(NAMES)),
        ("campaign=a&campaign=b", 3),
        ("campaign=a&campaign=a", 1),
        ("campaign=a+b", 1 + NAMES.index("a b")),
        ("campaign=a%2Bb", 1 + NAMES.index("a+b")),
        ("campaign=100%", 1 + NAMES.index("100%")),
        ("campaign=a,b", 1 + NAMES.index("a,b")),
        ("campaign=a&channel=h0", 1),
        ("campaign=a&channel=h1", 0),
        ("channel=h1&campaign=a&campaign=b", 2),
        ("campaign=no+such", 0),
        ("campaign=A", 0),
        ("campaign=" + "x" * 257, 0),
        ("campaign=", 0),
        ("campaign", 0),
        ("channel=", 0),
        ("campaign=&campaign=a", 1),
        ("campaign=%ff", 0),
        ("campaign=%ff&campaign=a", 1),
        ("campaign=%ed%a0%80", 0),
        (urlencode([("campaign", f"other {at}") for at in range(10_000)]), 0),
        (urlencode([("campaign", f"other {at}") for at in range(10_000)] + [("campaign", "b")]), 2),
        (urlencode([("x", "y")] * 600 + [("campaign", "b")]), 2),
    ],
)
def test_every_filter_is_applied_whole_by_every_way_in(service: Service, query: str, wanted: int) -> None:
    assert clicks(service, query + "&rows=all") == dict.fromkeys(("tile", "table", "download", "explore", "api"), wanted)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("campaign=", "`campaign` is given without a name"),
        ("channel=&channel=a", "`channel` is given without a name"),
        ("campaign=%ff", "not UTF-8"),
    ],
)
def test_a_value_that_is_not_a_name_matches_nothing_and_a_page_says_so(query: str, words: str) -> None:
    for notes in (asked(query).notes, explored(query)[1]):
        assert len(notes) == 1
        assert words.lower() in notes[0].lower()
    with pytest.raises(InputError):
        asked_for(query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=99y", "`range` is not applied: it takes 15m"),
        ("range=", "`range` is not applied"),
        ("range=1h&range=6h", "all but the last are not applied"),
        ("q=a&q=b", "all but the last are not applied"),
        ("every=constructor", "`every` is not applied"),
        ("metric=ctr%20", "`metric` is not applied"),
        ("tz=Mars", "`tz` is not applied"),
        ("tz=", "`tz` is not applied"),
        ("every=0", "`every` is not applied"),
        ("campaing=a", "Not applied: unknown parameter `campaing`; was `campaign` meant?"),
        ("Campaign=a", "was `campaign` meant?"),
        ("campaign[]=a", "was `campaign` meant?"),
        ("x=1&y=2", "unknown parameters `x`, `y`."),
        ("%3Cscript%3E=1", "one with characters other than letters and digits"),
        ("q=" + "a" * 300, "the rest is not applied"),
        ("campaign=" + "a" * LONGEST, "The URL is not applied"),
    ],
)
def test_what_a_page_does_not_apply_it_says_once_and_never_repeats_a_value(query: str, words: str) -> None:
    (note,) = asked(query).notes
    assert words in note
    assert "not applied" in note.lower()
    assert not {"99y", "Mars", "script"} & set(note.replace("<", " ").split())


@pytest.mark.parametrize(
    "query", ["", "?", "campaign=a&range=1h&tz=utc&theme=dark&every=off&page=explore", "utm_source=x&gclid=1"]
)
def test_a_url_that_is_applied_in_full_has_no_notes(query: str) -> None:
    assert asked(query).notes == ()


def test_a_page_without_filters_says_that_they_are_not_applied(service: Service) -> None:
    dashboard = Dashboard(service.settings, Access())
    said = json.loads(shown(dashboard, "campaign=a&channel=b&reason=none"))["notes"]
    dashboard.service.stop()
    assert [line.split(":")[0] for line in said] == [
        "`reason` is not applied",
        "`campaign` is not applied",
        "`channel` is not applied",
    ]


def test_bytes_that_are_not_utf_8_never_become_a_name_that_is_held() -> None:
    assert asked("campaign=" + "a" * LONGEST).view == View(campaigns=NOTHING, channels=NOTHING)
    assert asked("campaign=%ff").view == View(campaigns=NOTHING)
    assert asked("campaign=%ef%bf%bd").view == View(campaigns=("\ufffd",))
    assert parsed("%ff=1") == {"\udcff": ["1"]}


def test_a_question_of_ten_thousand_names_is_looked_up_and_not_searched() -> None:
    asked, _form, _limit = asked_for(urlencode([("campaign", f"c{at}") for at in range(10_000)]))
    assert isinstance(asked, Selection)
    assert len(asked.campaigns) == 10_000
    assert asked.takes(0, "c9999", "any")
    assert not asked.takes(0, "c10000", "any")


@pytest.mark.parametrize(
    ("scope", "query", "wanted"),
    [
        (Scope(campaigns=("a",)), "", 1),
        (Scope(campaigns=("a",)), "campaign=b", 0),
        (Scope(campaigns=("a", "b")), "campaign=b&campaign=Été", 2),
        (Scope(campaigns=("a", "b")), "channel=h1", 2),
        (Scope(channels=("h0",)), "campaign=a&campaign=b", 1),
        (Scope(channels=("h0",)), "channel=h1", 0),
        (Scope(campaigns=NOTHING), "campaign=a", 0),
    ],
)
def test_an_embed_with_a_filter_is_answered_nothing_beyond_it(service: Service, scope: Scope, query: str, wanted: int) -> None:
    talk = handlers(service, read_only=True, scope=scope)
    assert set(talk) == {"view", "download"}
    page = json.loads(talk["view"](1, {"query": query}))
    assert sum(tile["value"] or 0 for tile in page["page"]["tiles"] if tile["id"] == "clicks") == wanted
    assert page["page"]["campaigns"]["total"] <= len(scope.campaigns or NAMES)
    assert sum(sheet(service, "cells", query, scope)[1].frame["clicks"]) == wanted
    assert (page["attention"]["findings"], page["attention"]["campaigns"]) == ([], 0)
