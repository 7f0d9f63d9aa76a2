"""A finding in figures: what changed, since when, how sure that is, and how much money it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.constants import MICROS
from figures.attention import rates
from figures.attention.comparisons import BASELINE, HORIZON, NEVER_RATIO, Check, Tested
from figures.attention.history import CLICKS, CONVERSIONS, REVENUE, SPEND, Floats, History, Past
from figures.measures import SIZE

Kind = Literal[
    "silent", "drop", "surge", "flood", "unconverted", "cpa_up", "cpa_down", "ctr_down", "ctr_up", "own_down", "own_up"
]
Money = Literal["missed", "extra", "spent", "saved"]
"""Revenue that did not come, spend above the usual, all that was spent, spend below the usual for what was got."""


class Finding(msgspec.Struct, frozen=True):
    """One thing to look at. `campaign` is None for all of them together.

    `now` since it began and `usual` before: cost per conversion, click rate, or events per minute. `count` is how many events there
    were since, of `expected`. `chance` is how many findings like this or clearer a day of steady traffic would give, over all tests.
    """

    kind: Kind
    campaign: str | None
    metric: str
    """The measure that the page should show with it."""
    now: float | None
    usual: float | None
    since: int
    count: int
    expected: float
    money: float
    money_kind: Money
    chance: float


def beginning(check: Check, past: Past, test: Tested) -> int:
    """Return when the change most likely began, at most the longest window ago."""
    counts, over = check.counted(past.series), check.exposed(past.series, past.minutes)
    earliest = max(past.line(past.until - HORIZON), 0)
    return past.start + (earliest + rates.begun(counts[earliest:], over[earliest:], usual=test.usual, rate=test.rate)) * past.step


def _before(best: Tested, campaign: int, past: Past, since: int) -> tuple[Floats, float]:
    """Sums and minutes of the baseline, which ends where the change began; that of the window where nothing lies before."""
    lines = past.series[max(past.line(since - BASELINE), 0) : past.line(since)]
    seen = int(np.argmax(lines.any(axis=1))) if lines.any() else len(lines)
    if seen == len(lines):
        return best.window.before[campaign], float(best.window.minutes0[campaign])
    minutes = past.minutes[max(past.line(since - BASELINE), 0) : past.line(since)]
    return lines[seen:].sum(axis=0), float(minutes[seen:].sum())


def finding_of(check: Check, best: Tested, campaign: int, past: Past, since: int) -> Finding:
    """Return the finding of `check` about one campaign; `since` is when it began. Its chance is that of the one test."""
    before, minutes0 = _before(best, campaign, past, since)
    at = past.line(since)
    sums, minutes = past.series[at:].sum(axis=0), float(past.minutes[at:].sum())
    count = float(check.counted(sums))
    over = float(check.exposed(sums, np.array(minutes)))
    usual, spent = best.usual, float(sums[SPEND])
    expected = usual * over
    extra = max(spent - float(before[SPEND]) / minutes0 * minutes, 0.0)
    earned = max(float(before[REVENUE]), 0.0)

    def finding(kind: Kind, metric: str, figures: tuple[float | None, float], money: float, about: Money) -> Finding:
        return Finding(kind, None, metric, *figures, since, round(count), expected, money, about, best.chance)

    if check.measure:
        rose = check.up != (check.over == SPEND)
        at, usually = (spent / count if count else None, 1 / usual) if check.over == SPEND else (_over(count, over), usual)
        return finding("own_up" if rose else "own_down", check.measure, (at, usually), spent, "spent")
    if check.id == "traffic_down":
        missed = max(earned / minutes0 * minutes - float(sums[REVENUE]), 0.0)
        return finding("drop" if count else "silent", "clicks", (count / minutes, usual), missed, "missed")
    if check.id == "traffic_up":
        return finding("surge", "clicks", (count / minutes, usual), extra, "extra")
    if check.over == SPEND and not count:
        return finding("unconverted", "conversions", (None, 1 / usual), spent, "spent")
    if check.over == SPEND:
        kind, about = ("cpa_down", "saved") if check.up else ("cpa_up", "extra")
        return finding(kind, "cpa", (spent / count, 1 / usual), abs(spent - count / usual), about)
    if not check.up:
        missed = max(expected - count, 0.0) * earned / max(float(before[CLICKS]), 1.0)
        return finding("ctr_down", "ctr", (count / over if over else None, usual), missed, "missed")
    clicks0 = float(before[CLICKS]) / minutes0
    if count / minutes >= check.ratio * clicks0:
        return finding("flood", "clicks", (count / minutes, clicks0), extra, "extra")
    return finding("ctr_up", "ctr", (count / over if over else None, usual), extra, "extra")


def _over(count: float, over: float) -> float | None:
    return count / over if over else None


def never(history: History, rows: pl.DataFrame, past: Past) -> Finding | None:
    """Return the finding about a campaign (`rows`) that has spent and never converted; None if it did convert or nothing can be said.

    Measured by what the others on its channels got for their money; their counts are as uncertain as they are (`rates`).
    """
    spent = past.series[:, SPEND]
    if past.series[:, CONVERSIONS].any() or not spent.any():
        return None
    steady = 1 - float(spent.max() / spent.sum())
    chance, expected = 1.0, 0.0
    for channel, micros in rows.group_by("channel").agg(pl.col(SIZE).sum()).iter_rows():
        own = micros / MICROS
        others = float(history.by_channel[channel, SPEND]) - own
        converted = float(history.by_channel[channel, CONVERSIONS])
        if own <= 0 or others <= 0:
            continue
        chance *= rates.chance(0, own * steady, converted, others, ratio=NEVER_RATIO, up=False)
        expected += converted / others * own
    if not expected:
        return None
    since = past.start + int(np.argmax(spent > 0)) * past.step
    money = float(spent.sum())
    usual = money / expected
    return Finding("unconverted", None, "conversions", None, usual, since, 0, expected, money, "spent", chance)


_FOLLOWS: Mapping[str, frozenset[str]] = {
    "silent": frozenset({"unconverted", "cpa_up", "cpa_down", "ctr_up", "ctr_down", "own_down", "own_up"}),
    "flood": frozenset({"unconverted", "cpa_up", "surge"}),
}


def distinct(findings: Mapping[tuple[int, str], Finding]) -> dict[tuple[int, str], Finding]:
    """Return the findings that do not just follow from another one about the same campaign: a flood of clicks raises the CPA."""
    kinds: dict[int, set[str]] = {}
    for (campaign, _), finding in findings.items():
        kinds.setdefault(campaign, set()).add(finding.kind)
    return {
        key: finding
        for key, finding in findings.items()
        if not any(finding.kind in _FOLLOWS.get(kind, ()) for kind in kinds[key[0]])
    }
