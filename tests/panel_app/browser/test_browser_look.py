"""How the pages look: what fits a phone, what is named, what is counted in words, and what of a name can be seen."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser.pages import STEADY, filled, points, press_menu, recent, value
from tests.support.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CHANNELS = ("search", "social", "display", "email", "video")


def with_channels(site: Site) -> None:
    """Two campaigns of thousands an hour on five channels."""
    sent = [
        recent(minute, campaign=name, channel=channel, **STEADY)
        for minute in range(120)
        for name in ("one", "two")
        for channel in CHANNELS
    ]
    site.world.send(*sent)
    site.holds(len(sent))


@pytest.mark.parametrize("width", [390, 820])
def test_a_picker_opens_within_the_screen_and_moves_nothing(site: Site, width: int) -> None:
    filled(site, minutes=3)
    page = site.open(width=width, height=844)
    for name in ("All channels", "All campaigns"):
        page.get_by_role("button", name=name).click()
        page.get_by_role("checkbox").first.wait_for()
        box = page.get_by_role("dialog").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert page.evaluate("document.querySelector('main').getBoundingClientRect().x") == 0
        page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [700, 820, 1000, 1440])
def test_the_pickers_stand_in_one_line(site: Site, width: int) -> None:
    page = site.open(width=width)
    tops = [box["y"] for box in (one.bounding_box() for one in page.locator("#controls .drop:visible").all()) if box]
    assert len(tops) >= 2
    assert len(set(tops)) == 1


def test_five_channels_of_the_heatmap_fit_a_phone(site: Site) -> None:
    with_channels(site)
    page = site.open("/?range=1h", width=390, height=844)
    expect(page.locator("#heatmap .heat button").first).to_have_text("$1.8K")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('#heatmap .table-box'))")
    cells = "[...document.querySelectorAll('#heatmap .heat button')].every((one) => one.scrollWidth <= one.clientWidth)"
    assert page.evaluate(cells)


def option(page: Any, where: str) -> Any:
    return page.evaluate(f"echarts.getInstanceByDom(document.querySelector('{where} .canvas')).getOption()")


def test_the_axes_of_the_scatter_plot_have_names_and_round_bounds(site: Site) -> None:
    filled(site)
    page = site.open("/?range=1h")
    points(page)
    drawn = option(page, "#scatter")
    (x,), (y,) = drawn["xAxis"], drawn["yAxis"]
    assert (x["name"], y["name"]) == ("Spend", "Cost per conversion")
    # Each spent 60 minutes of 60; a conversion cost 3.75, that of the broken one twice as much.
    assert (x["min"], x["max"], y["min"], y["max"]) == (2000, 5000, 2, 10)


def test_the_period_before_has_one_name_in_legend_and_tooltip(site: Site) -> None:
    filled(site)
    page = site.open("/?range=30m")
    expect(page.locator("#chart .legend")).to_contain_text("Period before")
    points(page)
    assert "Period before" in [one.get("name") for one in option(page, "#chart")["series"]]


def test_one_row_is_one_row(site: Site) -> None:
    site.world.send(recent(1))
    site.holds(1)
    page = site.open("/?every=off")
    expect(page.locator("#footer")).to_contain_text("1 minute row held,")
    press_menu(page, "Clear data")
    expect(page.get_by_role("dialog")).to_contain_text("1 minute row held by the dashboard will be dropped")
    page.get_by_role("button", name="Clear data", exact=True).last.click()
    expect(page.locator("#toasts")).to_contain_text("Cleared 1 minute row.")
    page.get_by_role("button", name="Undo").click()
    page = site.open("/data?every=off")
    expect(value(page, "Minute rows held")).to_have_text("1")
    expect(page.locator("#stock")).to_contain_text("1 campaign, 1 channel")


def test_explore_without_figures_says_so_once_and_draws_no_empty_box(site: Site) -> None:
    page = site.open("/explore")
    expect(page.locator("#plots")).to_be_hidden()
    expect(page.locator("#table")).to_contain_text("No results are held for this range.")


NAMES = {
    "plain": "plain",
    "": "(blank name)",
    "\u3164": "\ufffd",  # a letter of Hangul that is a blank
    "\u2800": "\ufffd",  # a pattern of Braille without a dot
    "soft\u00adhyphen": "soft\ufffdhyphen",
    "ad\u200dmin": "ad\ufffdmin",
    "\u200d\u200d\u200d": "\ufffd\ufffd\ufffd",
    "a\u202eb\u0000c\nd": "a\ufffdb\ufffdc\ufffdd",
    "tag\U000e0041": "tag\ufffd",
    # As they are written: Persian, Hindi, a family, a heart, a variant of a character.
    "می\u200cخواهم": "می\u200cخواهم",
    "क\u094d\u200dष": "क\u094d\u200dष",
    "👩\u200d👩🏽\u200d👧": "👩\u200d👩🏽\u200d👧",
    "❤\ufe0f\u200d🔥": "❤\ufe0f\u200d🔥",
    "葛\U000e0100": "葛\U000e0100",
}


def test_what_can_not_be_seen_in_a_name_is_shown_and_what_a_script_needs_is_kept(site: Site) -> None:
    page = site.open()
    shown = "names => import('adtally/dom.js').then((found) => names.map((name) => found.label(name)))"
    assert page.evaluate(shown, [*NAMES]) == [*NAMES.values()]
    marked = """([name, mark]) => import('adtally/dom.js').then(({ named, remember }) => {
      const before = named(name).textContent;
      remember({ [name]: mark });
      const after = named(name);
      return [before, after.textContent, after.querySelector('.alike').title];
    })"""
    assert page.evaluate(marked, ["__proto__", {"short": "Cyrillic", "long": "U+0430"}]) == [
        "__proto__",
        "__proto__ ≈ Cyrillic (U+0430)",
        "U+0430",
    ]


FIGURES = {  # currency, kind, for an axis, value
    ("JPY", "price", False, 0.45): "¥0.450",
    ("JPY", "price", False, 0.0123): "¥0.0123",
    ("JPY", "price", False, 12.3): "¥12.3",
    ("JPY", "price", False, 450.4): "¥450",
    ("JPY", "price", True, 0.2): "¥0.2",
    ("JPY", "price", True, 150): "¥150",
    ("JPY", "money", False, 450.4): "¥450",
    ("JPY", "money", False, 0.45): "¥0.45",
    ("JPY", "money", True, 0.5): "¥0.5",
    ("JPY", "money", False, 0): "¥0",
    ("KRW", "price", False, -1.5): "-₩1.50",
    ("KWD", "price", False, 0.0123): "KWD 0.0123",
    ("KWD", "money", False, 1.5): "KWD 1.500",
    ("USD", "price", False, 0.98): "$0.980",
    ("USD", "price", False, 4.48): "$4.48",
    ("USD", "price", False, 0.00004): "$0.0000400",
    ("USD", "price", False, 12_345.6): "$12,346",
    ("USD", "price", True, 0.5): "$0.50",
    ("USD", "price", True, 5): "$5",
    ("USD", "money", False, 0.98): "$0.98",
    ("USD", "money", False, 0.0045): "$0.0045",
    ("USD", "percent", False, 0.2136): "21.36%",
    ("USD", "percent", False, 0.00012): "0.0120%",
    ("USD", "percent", True, 0.0005): "0.05%",
    ("USD", "multiple", False, 0.0045): "0.00450×",
    ("USD", "multiple", False, 5.18): "5.18×",
    ("USD", "multiple", True, 2): "2×",
    ("USD", "count", False, 1234): "1,234",
    ("USD", "count", False, -0.04): "0",
    ("USD", "count", False, -0.0): "0",
    ("USD", "money", False, -0.0): "$0.00",
    ("USD", "money", True, -0.0): "$0",
    ("USD", "price", False, -0.0): "$0.00",
    ("USD", "percent", False, -0.0): "0.00%",
    ("USD", "multiple", True, -0.0): "0×",
    ("USD", "multiple", False, -0.5): "-0.500×",
}
SPARKS: dict[tuple[float | None, ...], tuple[int, int, int]] = {  # points: stretches of line, bridges over gaps, dots
    (): (0, 0, 0),
    (None, None): (0, 0, 0),
    (None, 5, None): (1, 0, 1),
    (1, None, 2, None, None, 3): (3, 2, 3),
    (1, 2, None, 3): (2, 1, 1),
    (None, 1, 2, 3): (1, 0, 0),
    (0, 0): (1, 0, 0),
}
VERDICTS = {  # change, difference, good direction, kind
    (0.1, None, "up", "count"): ("good", "up 10%, better"),
    (-0.1, None, "up", "count"): ("bad", "down 10%, worse"),
    (-0.1, None, "down", "price"): ("good", "down 10%, better"),
    (10, None, "neither", "money"): ("flat", "up 1,000%"),
    (None, 1.5, "up", "multiple"): ("good", "up 1.50×, better"),
    (None, -1.5, "up", "multiple"): ("bad", "down 1.50×, worse"),
    (None, 0.0123, "up", "percent"): ("good", "up 1.23 pp, better"),
    (None, 5, "down", "price"): ("bad", "up $5.00, worse"),
    (None, 559.52, "neither", "money"): ("flat", "up $560"),
    (None, -12_345, "up", "count"): ("bad", "down 12.3K, worse"),
    (None, 0, "up", "count"): ("flat", "steady"),
    (0.0001, None, "up", "count"): ("flat", "steady"),
}


COMPARED = {  # seconds that are compared, that are held of the period before, and from the begin of the range to the newest minute
    (3600, 3600, 3600): "Changes are against the period before.",
    (3540, 3600, 3600): "Changes are against the period before, without 1 min that is not complete in both.",
    (2400, 3600, 3600): "Changes are against the period before, without 20 min that are not complete in both.",
    (3600, 3600, 9000): "Changes are against the period before.",
    (0, 0, 3600): "There is no earlier data to compare with.",
    (0, 600, 3600): "Not compared yet: of the 60 min before, only 10 min are held.",
    (0, 3600, 3600): "Not compared yet: no minute is complete in both periods.",
}


def test_what_is_small_or_known_only_now_and_then_is_seen(site: Site) -> None:
    page = site.open()
    written = """given => import('adtally/format.js').then((found) => given.map(([currency, kind, compact, value]) => {
        found.setCurrency(currency);
        return found.figure(value, kind, compact);
    }))"""
    assert dict(zip(FIGURES, page.evaluate(written, [*FIGURES]), strict=True)) == FIGURES
    drawn = """given => import('adtally/spark.js').then(({ spark }) => given.map((values) => {
        const starts = (name) => spark(values).querySelector(`.spark-${name}`)?.getAttribute("d").split("M").length ?? 1;
        return ["line", "bridge", "dot"].map((name) => starts(name) - 1);
    }))"""
    assert [tuple(one) for one in page.evaluate(drawn, [*SPARKS])] == [*SPARKS.values()]
    said = """given => import('adtally/tiles.js').then(({ verdict }) => given.map(([change, difference, good, kind]) => {
        const { tone, words } = verdict({ change, difference }, { good, kind });
        return [tone, words];
    }))"""
    assert page.evaluate(said, [*VERDICTS]) == [list(one) for one in VERDICTS.values()]
    told = """given => import('adtally/tiles.js').then(({ comparison }) => given.map(([compared, held, newest_end]) =>
        comparison({ empty: false, span: { start: 0, end: 3600, length: 3600, newest_end, compared, held } })))"""
    assert page.evaluate(told, [*COMPARED]) == [*COMPARED.values()]


@pytest.mark.parametrize("path", ["/", "/explore", "/data"])
def test_an_unknown_address_is_a_page_too(site: Site, path: str) -> None:
    filled(site, minutes=3)
    page = site.open(f"{path}?{'campaign=a&' * 600}range=%ff&metric=__proto__&theme=x&every=-1&tz=mars&by=constructor&reason=%00")
    expect(page.locator("h1")).to_have_count(1)
    assert site.errors == []


LANGUAGES = "Object.defineProperty(navigator, 'languages', {{ get: () => {} }});"
ZONE = """const own = Intl.DateTimeFormat.prototype.resolvedOptions;
Intl.DateTimeFormat.prototype.resolvedOptions = function () {{ return {{ ...own.call(this), timeZone: {} }}; }};"""


def test_a_locale_or_zone_that_intl_refuses_leaves_every_figure_where_it_is(site: Site) -> None:
    filled(site, minutes=3)
    odd = ["['en-US@posix']", "['C', 'x']", "[]", "undefined"]
    for languages, zone in zip(odd, ["'Foo/Bar'", "'Etc/Unknown'", "':/etc/localtime'", "undefined"], strict=True):
        page = site.open("/?tz=Mars/Olympus", before=LANGUAGES.format(languages) + ZONE.format(zone))
        expect(page.locator("[data-measure=spend] .tile-value")).to_have_text(re.compile(r"\d"))
        expect(page.locator("#footer")).to_contain_text("Times in UTC")
        expect(page.locator("#notices")).to_contain_text("`tz` is not applied")
    assert site.errors == []


def test_a_filter_in_the_url_is_applied_or_named_and_an_embed_stays_within_it(site: Site) -> None:
    filled(site, minutes=3)
    page = site.open("/?campaign=&campaing=two&range=9y")
    expect(page.locator("[data-measure=clicks] .tile-value")).to_have_text("–")
    for words in ("without a name", "unknown parameter `campaing`", "`range` is not applied"):
        expect(page.locator("#notices")).to_contain_text(words)
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator("[data-measure=clicks] .tile-value")).to_have_text(re.compile(r"\d"))

    page = site.open("/?embed=1&campaign=one&campaign=two&channel=search")
    page.locator("#campaigns tbody button").first.click()
    expect(page.locator("#crumbs li")).to_have_count(2)
    page.locator("#crumbs a").click()
    expect(page.locator("#crumbs li")).to_have_text(["2 campaigns, search"])
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map((link) => link.href)")
    assert all("campaign=one" in link or "#main" in link for link in links), links
    held = "[...document.querySelectorAll('#campaigns tbody th')].map((cell) => cell.textContent.trim())"
    expect(page.locator("#campaigns tbody th")).to_have_count(2)  # the rows follow the path above them
    assert set(page.evaluate(held)) == {"one", "two"}
    page.evaluate("history.pushState({}, '', '?embed=1&every=5')")
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    page.wait_for_selector("main:not(.asking)")
    assert set(page.evaluate(held)) == {"one", "two"}
    assert site.errors == []


SAID = """([state, age]) => import('adtally/notices.js').then(({ makeNotices }) => {
  const place = document.createElement('div');
  const feed = { state, topic: 'results', brokers: 'kafka:9092', unread: 0 };
  makeNotices(place, { late: 90, logsTopic: 'logs' })({ rows: 5, age, feed }, { span: { newest_end: 0 } }, { campaigns: [], channels: [] });
  return place.textContent;
})"""


def test_while_it_catches_up_the_page_blames_no_part_for_old_figures(site: Site) -> None:
    page = site.open()
    assert page.evaluate(SAID, ["reading", 600]) == "Catching up with topic results: the figures are not complete yet."
    assert "nothing newer has come" in page.evaluate(SAID, ["live", 600])
    assert page.evaluate(SAID, ["live", 5]) == ""


def test_the_time_axis_is_parted_in_the_zone_that_its_labels_are_in(site: Site) -> None:
    filled(site, minutes=30)
    for zone, ahead in (("", 5.5), ("&tz=utc", 0.0)):
        page = site.open(f"/?range=6h{zone}", zone="Asia/Kolkata")
        points(page)
        (marks,) = [series["data"] for series in option(page, "#chart")["series"] if series["id"] == "marks"]
        hours = [mark["value"][0] / 3_600_000 + ahead for mark in marks]
        assert len(hours) > 3
        assert hours == [round(hour) for hour in hours]
        expect(page.locator("#footer")).to_contain_text("Times in Asia/" if ahead else "Times in UTC.")


@pytest.mark.parametrize(
    ("locale", "spend", "rate"),
    [
        ("de-DE", "21.600 $", "20,00 %"),
        ("fr-FR", "21 600 $", "20,00 %"),
        ("en-IN", "$21,600", "20.00%"),
    ],
)
def test_figures_are_written_as_the_browser_s_language_writes_them(site: Site, locale: str, spend: str, rate: str) -> None:
    filled(site)
    page = site.open("/?range=1h", locale=locale)
    for measure, written in (("spend", spend), ("ctr", rate)):
        shown = page.locator(f'[data-measure="{measure}"] .tile-value').text_content() or ""
        assert " ".join(shown.split()) == written  # which of the spaces that do not break is the browser's choice
    points(page)
    assert site.errors == []
