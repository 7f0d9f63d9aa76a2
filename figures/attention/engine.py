"""What needs attention: campaigns whose figures changed by more than chance explains, how sure that is, and how much money it is about.

Each complete minute every campaign is checked over windows of 3 minutes to 6 hours against the 3 hours before the window. A finding must
pass all of these:

- the exact test of `rates`, not against "no change" but against a change that is large enough to act on (`comparisons.Check.ratio`),
  with the dispersion of the campaign's own minutes;
- against the usual rate as the median of shorter stretches, so that an earlier incident in the history does not count;
- against that rate moved along with the median of all campaigns, so that a change of the whole site is
  reported once, for all campaigns, and not for each of them;
- without its most extreme minute, because a single one must not raise an alarm; and also within the last third
  of the window, because what is over needs no attention;
- Bonferroni's correction for all that is looked at in a day (campaigns, checks, windows, 1,440 minutes): over a day of steady traffic
  `FALSE_ALARMS` are expected at most, however often a page is looked at.

A finding stays until its chance rises above the square root of that threshold, so that nothing flickers.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from dataflows.contract.measure_file import Measure
from figures.attention.comparisons import (
    BASELINE,
    CHECKS,
    HORIZON,
    MOVERS,
    NEVER,
    NEVER_RATIO,
    Check,
    Window,
    movement,
    number_of_tests,
    own_checks,
    proofs,
    tested,
    windows,
)
from figures.attention.findings import Finding, beginning, distinct, finding_of, never
from figures.attention.history import CONVERSIONS, SPEND, History, Keeper, Past
from figures.rates.files import packaged
from figures.rates.table import RateTable
from figures.store.blocks import BLOCK_SECONDS, Block, block_of
from figures.store.names import Names
from figures.store.snapshot import Snapshot
from figures.views.view import Scope

FALSE_ALARMS = 1.0
"""Findings a day that steady traffic may give by chance, over all campaigns together."""

ALL = -1
"""Number that means all campaigns."""

_SHOWN = 20
_LOOKED_INTO = 100


class Report(msgspec.Struct, frozen=True):
    """Findings in the complete minutes before `until`, most severe first; `total` may exceed their number.

    `campaigns` were looked at, with `hours` of history.
    """

    until: int
    findings: list[Finding]
    total: int
    campaigns: int
    hours: float


NOTHING = Report(0, [], 0, 0, 0.0)


def within(report: Report, scope: Scope) -> Report:
    """Return the part of `report` that is about the campaigns of `scope` only.

    Findings are about all channels together, so there are none under a filter on channels or on the values of a breakdown.
    """
    if scope.channels or scope.filters or not scope.campaigns:
        return msgspec.structs.replace(NOTHING, until=report.until)
    wanted = frozenset(scope.campaigns)
    own = [finding for finding in report.findings if finding.campaign in wanted]
    return msgspec.structs.replace(report, findings=own, total=len(own), campaigns=min(report.campaigns, len(wanted)))


_Key = tuple[int, str]
"""Number of the campaign, and check."""


class Attention:
    """Checks a store once per complete minute; `window` is the length of a result's window in seconds.

    Money counts in `currency`, to which other currencies are converted by the table that `rates` gives.
    Open windows are not evidence, wherever they are: neither their events nor their minutes count.
    """

    def __init__(
        self,
        window: int = 60,
        currency: str = "USD",
        rates: Callable[[], RateTable] = packaged,
        own: Iterable[Measure] = (),
    ) -> None:
        """`own`: metrics of the deployment's own, of which those that are counts are watched (`comparisons.own_checks`)."""
        self._step = max(60, window)
        checks, further = own_checks(own)
        self._checks = (*CHECKS, *checks)
        self._keeper = Keeper(currency, rates, further)
        self._held: dict[_Key, int] = {}
        self._seen: tuple[int, ...] = (0, 0)
        self._blocks: tuple[Block, ...] = ()
        self._report = NOTHING
        self._names: Names | None = None
        self._lock = threading.Lock()

    def report(self, snapshot: Snapshot, settled: int) -> Report:
        """Return the findings in the windows before `settled` (seconds; later ones are open).

        The same object as long as no minute was completed and none of them was corrected.
        """
        until = settled - settled % 60
        blocks = tuple(block for at, block in snapshot.blocks.items() if at + BLOCK_SECONDS <= until)
        with self._lock:
            seen = (until, snapshot.minutes_from, *_mark(snapshot, until))
            known = len(blocks) == len(self._blocks) and all(map(_same, blocks, self._blocks))
            if known and seen == self._seen:
                return self._report
            if until < self._seen[0] or snapshot.minutes_from < self._seen[1] or snapshot.campaigns is not self._names:
                self._held.clear()  # a different history: it was cleared, is being read from the beginning, or its names were renumbered
            self._names = snapshot.campaigns
            self._seen, self._blocks = seen, blocks
            self._report = NOTHING if snapshot.empty else self._look(snapshot, until)
            return self._report

    def _look(self, snapshot: Snapshot, until: int) -> Report:
        history = self._keeper.history(snapshot, until - HORIZON - BASELINE, until)
        start = max(block_of(history.oldest), block_of(until - HORIZON - BASELINE))
        hours = max(until - max(start, history.oldest), 0) / 3600
        shown = windows(history, start, self._step)
        if not shown or not history.campaigns:
            return Report(until, [], 0, 0, hours)
        look = _Look(history, shown, start, self._step, self._checks)
        passed = look.findings(self._held)
        # A finding of one campaign is not repeated for all of them; two or three campaigns don't count as all.
        own = {check for campaign, check in passed if campaign != ALL}
        kept = {key: finding for key, finding in passed.items() if key[0] != ALL or (look.active >= MOVERS and key[1] not in own)}
        self._held = {key: finding.since for key, finding in kept.items()}
        names = snapshot.campaigns.names
        findings = [
            msgspec.structs.replace(
                finding, campaign=None if key[0] == ALL else names[key[0]], chance=finding.chance * look.per_day
            )
            for key, finding in distinct(kept).items()
        ]
        findings.sort(key=lambda finding: (finding.money_kind == "saved", -finding.money, finding.chance, finding.campaign or ""))
        return Report(until, findings[:_SHOWN], len(findings), look.active, hours)


class _Look:
    """One look at all campaigns."""

    def __init__(self, history: History, shown: Mapping[int, Window], start: int, step: int, checks: Sequence[Check]) -> None:
        self._history, self._shown, self._start, self._step = history, shown, start, step
        self._sums = history.upto(history.until)
        self.active = int((self._sums[:-1].sum(axis=1) > 0).sum())
        self._checks = {check.id: check for check in checks}
        self.per_day = number_of_tests(checks) * (self.active + 1) * 86_400 / step
        """Number of tests in a day, by which each chance is corrected."""
        self._moves: dict[tuple[str, int], float] = {}

    def findings(self, held: Mapping[_Key, int]) -> dict[_Key, Finding]:
        """Return what passes the exact tests, at once or because it is `held` from before (since when)."""
        threshold = FALSE_ALARMS / self.per_day
        chosen = self._candidates(held, -math.log(threshold))
        if not chosen:
            return {}
        rows = self._history.rows(sorted({campaign for campaign, _ in chosen} - {ALL}))
        findings: dict[_Key, Finding] = {}
        for campaign, names in _grouped(chosen).items():
            own = rows.filter(pl.col("campaign") == campaign) if campaign != ALL else rows.clear()
            whole = campaign == ALL
            past = self._history.whole(self._start, self._step) if whole else self._history.past(own, self._start, self._step)
            for name in names:
                before = held.get((campaign, name))
                limit = threshold if before is None else math.sqrt(threshold)
                known = self._checks.get(name)
                finding = self._tested(known, campaign, past, before, limit) if known else never(self._history, own, past)
                if finding is not None and finding.chance < limit:
                    findings[campaign, name] = finding
        return findings

    def _candidates(self, held: Mapping[_Key, int], need: float) -> list[_Key]:
        """Return what could reach the evidence `need`, clearest first, after what is held from before."""
        size = len(self._sums)
        wanted: dict[_Key, float] = dict.fromkeys((key for key in held if key[0] < size - 1), math.inf)
        for check in self._checks.values():
            best = proofs(check, self._shown, size)
            for at in np.flatnonzero(best >= need):
                wanted.setdefault((ALL if at == size - 1 else int(at), check.id), float(best[at]))
        spent, converted = self._history.by_channel[:, SPEND], self._history.by_channel[:, CONVERSIONS]
        rate = float(np.where(spent > 0, converted / np.where(spent > 0, spent, 1), 0).max(initial=0.0))
        hoped = self._sums[:-1, SPEND] * rate * NEVER_RATIO
        for at in np.flatnonzero((self._sums[:-1, CONVERSIONS] == 0) & (hoped >= need)):
            wanted.setdefault((int(at), NEVER), float(hoped[at]))
        return sorted(wanted, key=lambda key: -wanted[key])[:_LOOKED_INTO]

    def _tested(self, check: Check, campaign: int, past: Past, since: int | None, limit: float) -> Finding | None:
        tries = (
            tested(check, self._shown[span], self._moved(check, span), campaign, past)
            for span in check.spans
            if span in self._shown
        )
        passed = [test for test in tries if test is not None and test.chance < limit]
        if not passed:
            return None
        # The shortest window best shows the present state; the clearest gives the certainty.
        since = beginning(check, past, passed[0]) if since is None else since
        finding = finding_of(check, passed[0], campaign, past, max(since, past.start))
        return msgspec.structs.replace(finding, chance=min(test.chance for test in passed))

    def _moved(self, check: Check, span: int) -> float:
        key = (check.id, span)
        if key not in self._moves:
            self._moves[key] = movement(check, self._shown[span])
        return self._moves[key]


def _grouped(keys: Iterable[_Key]) -> dict[int, list[str]]:
    names_of: dict[int, list[str]] = {}
    for campaign, name in keys:
        names_of.setdefault(campaign, []).append(name)
    return names_of


def _mark(snapshot: Snapshot, until: int) -> tuple[int, int, int]:
    """What changes with any row before `until` of the newest block, which is also rebuilt for each row of an open minute."""
    if snapshot.empty:
        return 0, 0, 0
    rows = snapshot.blocks[block_of(snapshot.newest)].rows
    complete = int(rows["t"].search_sorted(until))
    return complete, int(rows["revision"][:complete].sum()), int(rows["state"][:complete].sum())


def _same(block: Block, other: Block) -> bool:
    return block is other
