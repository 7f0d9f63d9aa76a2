"""A search finds what people mean by what they type, and names that look alike can be distinguished."""

from __future__ import annotations

import json
import unicodedata

import pytest

from dataflows.contract.settings import Settings
from figures.service import Service
from figures.store.names import Names
from figures.store.spelling import matches
from panel_app.api import pickers
from panel_app.api.downloads import sheet
from tests.support.results import BEGIN, result

SEASON = "Été soldes"
APART = unicodedata.normalize("NFD", SEASON)
NAMES = [
    SEASON,
    APART,
    "İstanbul",
    "istanbul",
    "STRASSE",
    "straße",
    "\ufb01t",
    "autumn",
    "autumn ",
    "\u3000",
    " ",
    "ΟΔΟΣ",
    "ＳＡＬＥ",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        *((text, [SEASON, APART]) for text in ("été", "ete", "ETE", "E\u0301te", "ＥＴＥ", "e\u200bte", "soldes")),
        *((text, ["İstanbul", "istanbul"]) for text in ("istanbul", "ISTANBUL", "İSTANBUL", "ıstanbul", "Istan")),
        *((text, ["STRASSE", "straße"]) for text in ("strasse", "STRASSE", "straße", "STRAẞE", "traß")),
        *((text, ["ΟΔΟΣ"]) for text in ("οδος", "οδοσ", "ΌΔΟΣ", "ὁδός")),
        *((text, ["\ufb01t"]) for text in ("fit", "FI", "\ufb01")),
        ("sale", ["ＳＡＬＥ"]),
        ("\u3000", [SEASON, APART, "autumn ", "\u3000", " "]),
        ("\u200b", []),
        ("no such", []),
    ],
)
def test_a_search_finds_the_same_names_in_table_picker_and_file(settings: Settings, wanted: str, found: list[str]) -> None:
    service = Service(settings, clock=lambda: BEGIN + 60.0)
    service.store.apply([result(campaign=name) for name in NAMES])
    assert [name for name in NAMES if matches(name, wanted)] == found
    query = f"q={wanted}&rows=all&sort=name"
    rows = json.loads(service.answer(query))["page"]["campaigns"]["rows"]
    assert sorted(row["name"] for row in rows) == sorted(found)
    assert sheet(service, "campaigns", query)[1].frame["campaign_id"].to_list() == [row["name"] for row in rows]
    assert sorted(json.loads(pickers.reply(service, 1, "campaign", wanted))["names"]) == sorted(found)
    service.stop()


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        ("Łódź Ørsted", "lodz orsted", True),
        ("ёлка", "елка", True),
        ("がぞう", "かそう", False),
        ("हिन्दी", "हन्द", False),
        ("한국어", "한국", True),
        ("مُحَمَّد", "محمد", True),
        ("crème brûlée", "creme brulee", True),
        ("a\u00adb", "ab", True),
    ],
)
def test_accents_are_left_out_and_marks_that_make_another_letter_are_not(name: str, wanted: str, found: bool) -> None:
    assert matches(name, wanted) is found


@pytest.mark.parametrize(
    ("one", "other", "short", "long"),
    [
        (SEASON, APART, ("composed", "decomposed"), "U+0301 COMBINING ACUTE ACCENT"),
        ("paypal", "раура\u04cf", ("Latin", "Cyrillic"), "U+0440 CYRILLIC SMALL LETTER ER"),
        ("AUTO", "ΑUΤΟ", ("Latin", "Greek"), "U+0391 GREEK CAPITAL LETTER ALPHA"),
        ("autumn", "autumn ", ("", "space"), "U+0020 SPACE"),
        ("brand", "br\u200band", ("", "invisible"), "U+200B ZERO WIDTH SPACE"),
        ("a b", "a\u00a0b", ("", "U+00A0"), "U+00A0 NO-BREAK SPACE"),
        (" ", "\u3000", ("", "U+3000"), "U+3000 IDEOGRAPHIC SPACE"),
        ("fit", "\ufb01t", ("", "U+FB01"), "LIGATURE FI"),
        ("autumn", "AUTUMN", ("", ""), "upper and lower case only"),
    ],
)
def test_twins_have_a_mark_that_says_what_differs(one: str, other: str, short: tuple[str, str], long: str) -> None:
    known = Names()
    for name in (one, "spring", other):
        known.number(name)
    marks = known.marks([one, "spring", other])
    assert list(marks) == [one, other]
    assert (marks[one].short, marks[other].short) == short
    assert long in marks[one].long
    assert long in marks[other].long


def test_names_that_look_alike_are_found_as_they_come_and_normal_ones_have_no_mark() -> None:
    known = Names()
    for name in ("sale", "sale 1", "sale 2", "Été", "Ete", "brand-10", "Ünal"):
        known.number(name)
    assert known.marks(known.names) == {}
    known.number("sale\u200b")
    assert list(known.marks(known.names)) == ["sale", "sale\u200b"]


def test_a_thousand_twins_cost_no_more_than_a_few() -> None:
    known = Names()
    for at in range(1000):
        known.number("x" * 200 + "\u200b" * (at % 56) + " " * (at // 56))
    assert len(known.marks(known.names[:20])) == 20
