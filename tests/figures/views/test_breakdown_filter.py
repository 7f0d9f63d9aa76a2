"""Filters on the values of breakdowns: every value can be named in a URL, whatever it and its field are called."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from dataflows.contract.breakdowns import Breakdown, Value
from dataflows.contract.errors import InputError
from figures.views.breakdown_filter import FieldFilter, breakdown_for, parse
from figures.views.parameters import parsed

BREAKDOWNS = (
    Breakdown("ad", ("adgroup_id", "ad_id")),
    Breakdown("device", ("device",)),
    Breakdown("where", ("country", "device")),
)
HOSTILE = [
    "(other)",
    "(not set)",
    "null",
    "true",
    "1",
    "a&b=c",
    "a+b",
    "%41",
    "__proto__",
    "Été",
    "\x00",
    "a,b;c",
    " ",
    "x" * 256,
    ".null",
]


def filters(*pairs: tuple[str, str], fields: tuple[str, ...] = ("device", "country"), taken: tuple[str, ...] = ()) -> Any:
    return parse(parsed(urlencode(pairs)), fields, taken)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_text_is_filtered_as_that_text_whatever_it_is(value: str) -> None:
    assert filters(("f.device", value)).strict() == (FieldFilter("device", (value,)),)
    assert filters(("x.device", value)).strict() == (FieldFilter("device", (), (value,)),)
    assert filters(("device", value)).strict() == (FieldFilter("device", (value,)),)


def test_not_set_and_other_are_not_texts() -> None:
    found = filters(("f.device.null", "1"), ("f.device.other", "1"), ("x.country.other", "1"), ("f.device", "(other)")).strict()
    assert found == (FieldFilter("device", (None, True, "(other)")), FieldFilter("country", (), (True,)))


@pytest.mark.parametrize("field", ["f", "x", "f.device", "null", "a.null", "a.other", "a.b.c", "limit", "__proto__", "été", "t"])
def test_a_field_may_have_any_name(field: str) -> None:
    found = filters((f"f.{field}", "v"), (f"x.{field}.null", "1"), fields=(field,), taken=("limit",))
    assert found.strict() == (FieldFilter(field, ("v",), (None,)),)


def test_the_short_form_gives_way_to_other_parameters() -> None:
    found = filters(("limit", "5"), ("device", "tv"), fields=("limit", "device"), taken=("limit",))
    assert found.filters == (FieldFilter("device", ("tv",)),)
    assert found.read == {"device"}


def test_a_parameter_of_an_unknown_field_is_not_read() -> None:
    assert not filters(("f.browser", "a"), ("x.browser.null", "1"), ("browser", "a"), ("f.", "a"), ("f", "a")).read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("f.device", ""),
        ("device", ""),
        ("f.device", "x" * 257),
        ("f.device.null", "0"),
        ("x.device.other", ""),
        ("f.device.null", "yes"),
    ],
)
def test_what_no_event_can_have_is_named(name: str, value: str) -> None:
    found = filters((name, value))
    assert len(found.problems) == 1
    assert f"`{name}`" in found.problems[0]
    with pytest.raises(InputError):
        found.strict()


def test_a_value_that_is_not_utf_8_matches_nothing_and_is_named() -> None:
    found = parse(parsed("f.device=%ff&f.device=tv"), ("device",))
    assert "UTF-8" in found.problems[0]
    (one,) = found.filters
    assert [one.takes("tv"), one.takes("\ufffd"), one.takes(None)] == [True, False, False]


def test_includes_of_a_field_are_alternatives_and_excludes_win() -> None:
    one = FieldFilter("device", ("tv", None), ("tv",))
    values: list[Value] = ["tv", None, True, "phone"]
    assert [one.takes(value) for value in values] == [False, True, False, False]
    assert [FieldFilter("device", (), ("tv",)).takes(value) for value in values] == [False, True, True, True]


def test_the_breakdown_is_the_named_one_or_the_first_with_all_filtered_fields() -> None:
    assert breakdown_for(BREAKDOWNS, "", ()) is None
    assert breakdown_for(BREAKDOWNS, "ad", ()) == BREAKDOWNS[0]
    assert breakdown_for(BREAKDOWNS, "", filters(("device", "tv")).filters) == BREAKDOWNS[1]
    assert breakdown_for(BREAKDOWNS, "", filters(("device", "tv"), ("country", "DE")).filters) == BREAKDOWNS[2]


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("ads", (), "must be one of ad, device, where"),
        ("ad", ("device",), "`device` needs a breakdown with that field; ad has adgroup_id, ad_id"),
        ("", ("ad_id", "device"), "no breakdown has `ad_id` and `device` together"),
    ],
)
def test_a_breakdown_that_does_not_fit_is_named(name: str, fields: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        breakdown_for(BREAKDOWNS, name, [FieldFilter(field, ("a",)) for field in fields])
    if name:
        with pytest.raises(InputError, match="declares none"):
            breakdown_for((), name, ())
