"""ADTALLY_EVENT_TYPES: what it can say, and what is refused in one line."""

from __future__ import annotations

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.contract.event_types import DeclaredType, parse, text_of
from dataflows.contract.settings import Settings

TEXT = "add_to_cart,lead:conversion,renewal:purchase,chargeback:refund"


def test_a_type_is_declared_with_a_role_or_without() -> None:
    assert parse(TEXT) == (
        DeclaredType("add_to_cart"),
        DeclaredType("lead", "conversion"),
        DeclaredType("renewal", "purchase"),
        DeclaredType("chargeback", "refund"),
    )
    assert parse(" a , B.2-c : click ") == (DeclaredType("a"), DeclaredType("B.2-c", "click"))
    assert parse("") == ()
    assert text_of(parse(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,", "has '' as an event type"),
        ("-x", "has '-x' as an event type"),
        ("a b", "has 'a b' as an event type"),
        ("x" * 65, "at most 64"),
        ("a,b,a", "declares 'a' twice"),
        ("click", "'click', which is a built-in event type"),
        *((name, f"'{name}', which is the name of a built-in measure") for name in ("clicks", "spend", "roas", "events")),
        ("a:", "gives 'a' the role ''"),
        ("a:cost", "gives 'a' the role 'cost'; a role is one of impression, click"),
        (",".join(f"t{number}" for number in range(33)), "33 event types, but at most 32"),
    ],
)
def test_what_can_not_be_declared_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        Settings.from_environment({"ADTALLY_EVENT_TYPES": text})
    assert "\n" not in str(refused.value)
