"""The checks of every campaign in each minute, and the conservative test of one campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from dataflows.contract.measure_file import Measure
from dataflows.contract.metrics import COUNTS
from figures.attention import rates
from figures.attention.history import CLICKS, CONVERSIONS, FIELDS, IMPRESSIONS, SPEND, Floats, History, Past
from figures.measures import SIZE
from figures.store.blocks import block_of

BASELINE = 3 * 3600
"""Seconds before a window with which it is compared."""

HORIZON = 6 * 3600
"""The longest window."""

LEAST_BASELINE = 15 * 60
MOVERS = 5
"""Minimum number of campaigns from which a change of the whole site can be inferred."""

_SPANS = (180, 300, 480, 780, 1200, 2700, 5400, 10_800, 21_600)
_BY_MINUTE = 2700
_SHORT = 1200
_PIECE = 20.0
_PIECES = 90


class Check(msgspec.Struct, frozen=True):
    """One question: has the rate of `count` risen (`up`) or fallen beyond `ratio` times the usual? It is counted per `over`.

    Both are columns of `history.FIELDS`; `over` None is the minute.
    """

    id: str
    count: tuple[int, ...]
    over: int | None
    up: bool
    ratio: float
    spans: tuple[int, ...]
    """Windows, in seconds, that are looked at."""
    least: float = 0.0
    """Events that the history must hold: what has no past can't have risen."""
    empty_beyond: int = HORIZON
    """In windows longer than this only complete silence counts, because a daily curve also falls over hours."""
    weights: tuple[tuple[int, int], ...] = ()
    """Columns that the events are counted per, with their weights, where these are more than `over`, the first of them."""
    measure: str = ""
    """The own metric that is watched; empty for the built-in checks."""

    def counted(self, sums: Floats) -> Floats:
        """Return the events in `sums`, whose last axis is `history.FIELDS`."""
        return sum((sums[..., field] for field in self.count[1:]), start=sums[..., self.count[0]])

    def exposed(self, sums: Floats, minutes: Floats) -> Floats:
        """Return what the events are counted per."""
        if self.weights:
            return sum((sums[..., field] * weight for field, weight in self.weights), start=np.zeros(sums.shape[:-1]))
        return minutes if self.over is None else sums[..., self.over]


CHECKS = (
    Check("traffic_down", (IMPRESSIONS, CLICKS), None, False, 1 / 2, _SPANS, empty_beyond=_SHORT),
    Check("traffic_up", (IMPRESSIONS, CLICKS), None, True, 2.0, _SPANS[:5], least=20),
    # Conversions lag the paid click: in the shortest window a growing campaign would look expensive.
    Check("cpa_up", (CONVERSIONS,), SPEND, False, 1 / 1.3, _SPANS[1:]),
    Check("cpa_down", (CONVERSIONS,), SPEND, True, 2.0, _SPANS[1:], least=20),
    Check("ctr_down", (CLICKS,), IMPRESSIONS, False, 1 / 1.25, _SPANS),
    Check("ctr_up", (CLICKS,), IMPRESSIONS, True, 1.5, _SPANS, least=20),
)

NEVER = "never"
"""The check of campaigns that spend and have never converted; it has the whole history as its one window."""

NEVER_RATIO = 1 / 3
"""They are measured by a third of what the others on their channels convert: campaigns differ."""


def number_of_tests(checks: Iterable[Check]) -> int:
    """Return the number of tests of one campaign in one minute."""
    return sum(len(check.spans) for check in checks) + 1


def own_checks(measures: Iterable[Measure]) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Return the checks of own metrics, and the further counts that they need (`history.fields`).

    The test is exact for counts of events: a metric is watched if it is a sum of counts, alone or over counts, or spend over counts. A
    metric with other weights in what is counted, with differences, or of revenue is not: its noise is unknown.
    """
    further: list[str] = []
    checks: list[Check] = []
    for measure in measures:
        spent = measure.numerator == ((SIZE, 1),)
        events, over = (measure.denominator, ()) if spent else (measure.numerator, measure.denominator)
        terms = (*events, *over)
        if not events or any(name.endswith("_micros") or name == "events" for name, _ in terms):
            continue
        if any(weight != 1 for _, weight in events) or any(weight < 1 for _, weight in over):
            continue
        further += [name for name, _ in terms if name not in (*COUNTS[:3], *further)]
        count = tuple(_column(name, further) for name, _ in events)
        weights = ((SPEND, 1),) if spent else tuple((_column(name, further), weight) for name, weight in over)
        checks += _both_directions(measure.id, count, weights)
    return tuple(checks), tuple(further)


def _column(name: str, further: Sequence[str]) -> int:
    return COUNTS.index(name) if name in COUNTS[:3] else len(FIELDS) + further.index(name)


def _both_directions(measure: str, count: tuple[int, ...], weights: tuple[tuple[int, int], ...]) -> tuple[Check, Check]:
    """Return the checks for fewer and for more events, with the bounds and windows of the built-in check of the same kind."""
    over = weights[0][0] if weights else None
    like = {None: ("traffic_down", "traffic_up"), SPEND: ("cpa_up", "cpa_down")}.get(over, ("ctr_down", "ctr_up"))
    models = [next(check for check in CHECKS if check.id == name) for name in like]
    fewer, more = (
        msgspec.structs.replace(
            model,
            id=f"{measure}:{'more' if model.up else 'fewer'}",
            count=count,
            over=over,
            weights=weights if len(weights) > 1 or (weights and weights[0][1] != 1) else (),
            measure=measure,
        )
        for model in models
    )
    return fewer, more


class Window(msgspec.Struct, frozen=True):
    """Sums over one window and over the baseline before it: a row for each campaign, and a last one for all of them."""

    begin: int
    base: int
    now: Floats
    before: Floats
    minutes: Floats
    minutes0: Floats
    """Minutes of the baseline, from when a campaign is first seen."""


def windows(history: History, start: int, step: int) -> dict[int, Window]:
    """Return the comparable windows, by length in seconds; `start` is where the history begins, `step` the length of a minute here.

    Baselines of more than 45 minutes begin at a block boundary, where its totals can be used. Open windows are in neither the sums nor
    the minutes.
    """
    comparable: dict[int, Window] = {}
    end = history.upto(history.until)
    first = np.append(history.first, history.oldest)
    for span in _SPANS:
        begin = history.until - span
        begin = begin if span <= _BY_MINUTE else block_of(begin)
        base = max(block_of(begin - BASELINE), start)
        from_ = max(base, min(history.oldest, begin))
        closed = (history.until - begin) // step - int(history.open_windows(begin, history.until))
        if begin - from_ - step * int(history.open_windows(from_, begin)) < LEAST_BASELINE or closed < 3:
            continue
        seen = np.clip(first, base, begin)
        upto = history.upto(begin)
        comparable[span] = Window(
            begin=begin,
            base=base,
            now=end - upto,
            before=upto - history.upto(base),
            minutes=np.full(len(end), closed * step / 60),
            minutes0=(begin - seen - step * history.open_windows(seen, begin)) / 60,
        )
    return comparable


def movement(check: Check, window: Window) -> float:
    """Return the factor by which the median campaign's rate changed, weighted by the root of its size; 1 with too few campaigns."""
    count, count0 = check.counted(window.now)[:-1], check.counted(window.before)[:-1]
    over, over0 = check.exposed(window.now, window.minutes)[:-1], check.exposed(window.before, window.minutes0)[:-1]
    usable = (over0 > 0) & (over > 0)
    expected = np.where(usable, count0 * over / np.where(usable, over0, 1), 0.0)
    large = expected >= MOVERS
    if large.sum() < MOVERS:
        return 1.0
    median = np.quantile(count[large] / expected[large], 0.5, weights=np.sqrt(expected[large]), method="inverted_cdf")
    return float(np.clip(median, 0.2, 5.0))


def quantities(check: Check, window: Window, moved: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return count and exposure of each campaign in the window, and before it.

    The exposure in the window goes along with the site's movement `moved` where that is the more careful; not that of the last row.
    """
    over = check.exposed(window.now, window.minutes)
    if (careful := max(1.0, moved) if check.up else min(1.0, moved)) != 1:
        over = np.append(over[:-1] * careful, over[-1])
    return check.counted(window.now), over, check.counted(window.before), check.exposed(window.before, window.minutes0)


def proofs(check: Check, shown: Mapping[int, Window], size: int) -> Floats:
    """The most that any window can prove, by campaign, as `rates.evidence` gives it; `size` is the number of rows of a window.

    The site's movement is left out: it could only prove less.
    """
    best = np.zeros(size)
    for span in check.spans:
        if span not in shown:
            continue
        count, over, count0, over0 = quantities(check, shown[span], 1.0)
        proof = rates.evidence(count, over, count0, over0, ratio=check.ratio, up=check.up)
        proof[(count0 < check.least) | ((count > 0) & (span > check.empty_beyond))] = 0.0
        np.maximum(best, proof, out=best)
    return best


class Tested(msgspec.Struct, frozen=True):
    """The chance of what was seen in `window`; `usual` is the rate that it was measured by."""

    window: Window
    chance: float
    usual: float
    rate: float
    """What it is in the window."""


def tested(check: Check, window: Window, moved: float, campaign: int, past: Past) -> Tested | None:
    """Return the result of `window` for one campaign; None without a result, or if the change is over (by the last third of the window).

    The usual rate is the median of the baseline where that is defined, so that an earlier incident in it does not count. A long window
    may hold mishaps of its own and is measured by mean or median, whichever makes the change smaller. The most extreme minute is
    left out.
    """
    count, over, count0, over0 = (float(part[campaign]) for part in quantities(check, window, moved))
    longer = window.minutes[campaign] * 60 > check.empty_beyond
    if count0 < max(check.least, 1) or over0 <= 0 or over <= 0 or (longer and count > 0):
        return None
    counts, exposure = check.counted(past.series), check.exposed(past.series, past.minutes)
    edge, base = past.line(window.begin), past.line(window.base)
    before, exposed = counts[base:edge], exposure[base:edge]
    if check.over is None:
        seen = int(np.argmax(before > 0))
        before, exposed = before[seen:], exposed[seen:]
    rate = count0 / over0
    usual = median_rate(before, exposed) or rate
    if window.minutes[campaign] * 60 > _SHORT:
        usual = max(rate, usual) if check.up else min(rate, usual)
    inside, under = counts[edge:], exposure[edge:]
    late = -(-len(inside) // 3)
    lately, bound = float(inside[-late:].sum()), check.ratio * usual * float(under[-late:].sum())
    if lately <= bound if check.up else lately > bound:
        return None
    apart = inside - usual * under
    worst = int(np.argmax(apart) if check.up else np.argmin(apart))
    rest = over * (1 - float(under[worst]) / float(under.sum()))
    chance = rates.chance(
        count - float(inside[worst]),
        rest * usual / rate,
        count0,
        over0,
        ratio=check.ratio,
        up=check.up,
        dispersion=rates.dispersion(before, exposed, lumps=check.over == SPEND),
    )
    return Tested(window, chance, usual, count / over)


def median_rate(counts: Floats, over: Floats) -> float | None:
    """Return the median of the rate over stretches of about 20 events each, at most 90 of them; None for fewer than 4.

    With stretches of this length the median lies within 2 % of the mean where counts are Poisson.
    """
    pieces = int(min(_PIECES, counts.sum() // _PIECE, len(counts)))
    if pieces < 4:
        return None
    edges = np.linspace(0, len(counts), pieces + 1).astype(int)[:-1]
    exposed = np.add.reduceat(over, edges)
    rates_of_pieces = np.add.reduceat(counts, edges)[exposed > 0] / exposed[exposed > 0]
    return float(np.median(rates_of_pieces))
