"""Metrics of an operator's own: what their formulas mean, and the one line for a formula that has no meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflows.contract.errors import SettingsError
from dataflows.contract.measure_file import MOST_METRICS, Measure, Terms, load, read
from dataflows.contract.measures import RATIOS, TOTALS, ratios
from dataflows.contract.metrics import SUMS, Metrics

BUILT_IN = (*TOTALS, *RATIOS)


def metric(numerator: str, denominator: str = "", *, name: str = "own", unit: str = "count", good: str = "up") -> str:
    """Return the TOML of one metric."""
    below = f'denominator = "{denominator}"\n' if denominator else ""
    return f'[[metric]]\nname = "{name}"\nnumerator = "{numerator}"\n{below}unit = "{unit}"\ngood = "{good}"\n'


def parsed(text: str) -> tuple[Measure, ...]:
    """Return the metrics of `text`, in a deployment that declares the event type add_to_cart."""
    return read(text, "metrics.toml", [*SUMS, "counts.add_to_cart"], BUILT_IN, reserved=SUMS)


@pytest.mark.parametrize(
    ("formula", "terms"),
    [
        ("clicks", (("clicks", 1),)),
        ("clicks + conversions", (("clicks", 1), ("conversions", 1))),
        ("clicks+2*conversions", (("clicks", 1), ("conversions", 2))),
        ("clicks + clicks", (("clicks", 2),)),
        ("-clicks", (("clicks", -1),)),
        ("- 3 * clicks - events", (("clicks", -3), ("events", -1))),
        ("counts.add_to_cart", (("counts.add_to_cart", 1),)),
        ("0 * clicks + events", (("events", 1),)),
    ],
)
def test_a_formula_is_a_sum_with_whole_weights(formula: str, terms: Terms) -> None:
    assert parsed(metric(formula))[0].numerator == terms


def test_a_total_of_money_stands_for_its_sum_of_micros() -> None:
    (own,) = parsed(metric("revenue - refunded - spend", "2 * purchases", unit="price"))
    assert own.numerator == (("revenue_micros", 1), ("refund_micros", -1), ("spend_micros", -1))
    sums = Metrics(purchases=2, revenue_micros=9_000_000, refund_micros=1_000_000, spend_micros=2_000_000)
    assert ratios(sums, [own]) == {"own": 1.5}
    assert own.label == "Own"
    assert not own.additive


def test_a_metric_may_use_a_total_that_the_file_declared_before_it() -> None:
    actions = metric("clicks + conversions", name="actions")
    assert parsed(actions + metric("actions", "impressions", unit="percent"))[1].numerator == (("clicks", 1), ("conversions", 1))
    with pytest.raises(SettingsError, match="no sum is named 'actions'"):
        parsed(metric("actions", "impressions", unit="percent") + actions)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (metric("spnd"), "metric own: numerator 'spnd': no sum is named 'spnd'; did you mean spend?"),
        (metric("cpc"), "metric own: numerator 'cpc': no sum is named 'cpc'"),
        (metric("clicks", "impresions", unit="percent"), "metric own: denominator 'impresions': .*did you mean impressions"),
        (metric("1.5 * clicks"), "metric own: numerator '1.5 \\* clicks': '1.5 \\* clicks' is not a term"),
        (metric("clicks / 2"), "'clicks / 2' is not a term"),
        (metric("(clicks)"), "'\\(clicks\\)' is not a term"),
        (metric("clicks -events"), "a space on both sides of each minus"),
        (metric("clicks +"), "numerator 'clicks \\+': '' is not a term"),
        (metric("clicks - clicks"), "its terms cancel each other"),
        (metric("9999999999 * clicks"), "a weight is beyond 1,000,000,000"),
        (metric("spend + clicks"), "metric own: numerator adds money and counts"),
        (metric("clicks", "spend"), "counts over money"),
        (metric("spend", unit="price"), "unit 'price' does not fit money; use money"),
        (metric("spend", "clicks", unit="percent"), "unit 'percent' does not fit money over counts; use price"),
        (metric("clicks", unit="euro"), "metric own: unit: invalid enum value 'euro'; use one of money, price"),
        (metric("clicks", good="yes"), "good: .*use one of up, down, neither"),
        (metric("clicks", name="cpa"), "metric cpa: another measure, a sum or a column of the API has this name"),
        (metric("clicks", name="spend_micros"), "metric spend_micros: another measure"),
        (metric("clicks") * 2, "metric own: another measure"),
        (metric("clicks", name="Own!"), "metric Own!: name: expected str matching"),
        (metric("clicks").replace("good", "god"), "metric own: object contains unknown field god"),
        ("[metric]\nname = 1\n", " has one \\[metric\\]; each metric begins with \\[\\[metric\\]\\]"),
        ("[[metrics]]\nname = 1\n", " has 'metrics'"),
        ("metric = [3]", "metric number 1: expected object, got int"),
        ("metric = [", " is not TOML"),
        (metric("clicks") * (MOST_METRICS + 1), f"at most {MOST_METRICS} are allowed"),
    ],
)
def test_a_metric_without_a_meaning_is_named_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"^metrics.toml.*{reason}") as error:
        parsed(text)
    assert "\n" not in str(error.value)


def test_a_file_that_can_not_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    for content, reason in ((None, "No such file"), (b"\xff", "not UTF-8")):
        path = tmp_path / "metrics.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SettingsError, match=f"metrics.toml can't be read: .*{reason}"):
            load(str(path), SUMS, BUILT_IN)
