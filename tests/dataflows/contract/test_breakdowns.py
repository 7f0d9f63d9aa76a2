"""ADTALLY_BREAKDOWNS: what it can say, and what is refused in one line."""

from __future__ import annotations

import pytest

from dataflows.contract.breakdowns import Breakdown, columns, parse, text_of, topic_of
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings

AD = Breakdown("ad", ("adgroup_id", "ad_id"))


def test_a_breakdown_has_a_name_and_fields_and_the_name_alone_is_its_field() -> None:
    assert parse("ad=adgroup_id,ad_id;device;country") == (
        AD,
        Breakdown("device", ("device",)),
        Breakdown("country", ("country",)),
    )
    assert parse(" ad = adgroup_id , ad_id ; x=Straße ") == (AD, Breakdown("x", ("Straße",)))
    assert parse("") == parse("  ") == ()


@pytest.mark.parametrize(
    "text", ["", "ad=adgroup_id,ad_id", "device;country;who=user_id;type=event_type,order_id,click_id,event_id"]
)
def test_the_text_of_breakdowns_gives_them_back(text: str) -> None:
    assert parse(text_of(parse(text))) == parse(text)


def test_columns_are_the_distinct_fields_in_the_order_in_which_they_are_first_named() -> None:
    assert columns(parse("ad=adgroup_id,ad_id;device;b=country,ad_id")) == ("adgroup_id", "ad_id", "device", "country")


def test_topics_follow_the_topic_of_results() -> None:
    assert topic_of("results-2", AD) == "results-2.ad"
    settings = Settings.from_environment({"ADTALLY_BREAKDOWNS": "ad=ad_id;device", "ADTALLY_RESULTS_TOPIC": "r"})
    assert settings.topics == ("logs", "r", "rejected", "r.ad", "r.device")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device;", "has '' as the name"),
        ("ad:group", "'ad:group' as the name of a breakdown.*: ad_group=ad:group"),
        ("a=", "names '' in the breakdown 'a'"),
        ("a=b c", "names 'b c'"),
        ('a=b"c', "names 'b\"c'"),
        ("a=\udcff", r"names '\\udcff'"),
        ("device;device", "two breakdowns of the name 'device'"),
        ("a=b,c,b", "'b' twice in the breakdown 'a'"),
        *((f"x={field}", f"'{field}'.* in the key") for field in ("campaign_id", "channel", "currency")),
        *((f"x={field}", f"'{field}'.* not a text") for field in ("timestamp", "cost_micros", "revenue_micros")),
        *((f"x={field}", f"'{field}'.* field of that name") for field in ("window_start", "clicks", "counts", "roas", "state")),
        (";".join(f"b{number}" for number in range(17)), "17 breakdowns, but at most 16"),
        ("x=" + ",".join(f"f{number}" for number in range(9)), "'x' 9 fields, but at most 8"),
    ],
)
def test_what_can_not_be_a_breakdown_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        Settings.from_environment({"ADTALLY_BREAKDOWNS": text})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("logs", ["results.x", "results_x"])
def test_a_breakdown_whose_topic_collides_with_another_one_is_refused(logs: str) -> None:
    with pytest.raises(SettingsError, match=r"results\.x of the breakdown 'x' collides"):
        Settings.from_environment({"ADTALLY_BREAKDOWNS": "x", "ADTALLY_LOGS_TOPIC": logs})
